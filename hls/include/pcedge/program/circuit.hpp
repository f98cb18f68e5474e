// What a circuit's memories say of it beside their entries.
#ifndef PCEDGE_CIRCUIT_HPP
#define PCEDGE_CIRCUIT_HPP

#include <cstdint>

namespace pcedge {

/// Words of a digest, the first bytes lowest.
constexpr unsigned DIGEST_WORDS = 8;

/// \brief A circuit and its sizes.
struct circuit_t {
  std::uint32_t record; ///< variables; 0: there is no circuit
  std::uint32_t likelihood_steps, code_steps;
  std::uint32_t likelihood_result, likelihood_result_exponent; ///< where the likelihood lies
  std::uint32_t nested;                                        ///< leaf tables come from masters
  std::uint32_t max_units, state_words, exponent_slots, cardinality, terms, floor;
  std::uint32_t digest[DIGEST_WORDS];
};

} // namespace pcedge

#endif
