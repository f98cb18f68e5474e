// Bounds of simulation: an address beyond its memory, a number beyond its width, or an engine that
// waits for ever ends the run with a text and exit status 3. Nothing of it is in hardware.
#ifndef PCEDGE_BOUNDED_HPP
#define PCEDGE_BOUNDED_HPP

#include <cstdint>

#ifdef __SYNTHESIS__

/// An address, and the number of entries of the memory that it is for.
#define PCEDGE_WITHIN(place, entries, name) (place)
/// A number without a sign that must fit some bits.
#define PCEDGE_FITS(number, bits, name) (void)0
/// Count a word that came in or went out.
#define PCEDGE_WORD_MOVED() (void)0

namespace pcedge {

/// \brief A memory of N entries.
template <class T, unsigned N> using memory_t = T[N];

} // namespace pcedge

#else

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#define PCEDGE_WITHIN(place, entries, name) (pcedge::within(place, entries, name))
#define PCEDGE_FITS(number, bits, name) pcedge::fits(number, bits, name)
#define PCEDGE_WORD_MOVED() (void)++pcedge::words_moved()

namespace pcedge {

/// \brief End the simulation.
[[noreturn]] inline void out_of_bounds(const char *what, const char *name, std::uint64_t bound,
                                       std::uint64_t got) {
  std::fprintf(stderr, "simulation: %s %s must be below %" PRIu64 ", got %" PRIu64 "\n", what, name,
               bound, got);
  std::exit(3);
}

inline std::uint32_t within(std::uint32_t place, std::uint32_t entries, const char *name) {
  if (place >= entries)
    out_of_bounds("an address of", name, entries, place);
  return place;
}

/// \param bits at most 63
inline void fits(std::uint64_t number, int bits, const char *name) {
  if (number >> bits != 0)
    out_of_bounds("a number of", name, std::uint64_t(1) << bits, number);
}

/// \brief A memory of N entries.
template <class T, unsigned N> struct memory_t {
  T entries[N];
  T &operator[](std::uint32_t place) { return entries[within(place, N, "an engine's memory")]; }
  const T &operator[](std::uint32_t place) const {
    return entries[within(place, N, "an engine's memory")];
  }
};

/// \brief Words that came in or went out in this simulation.
inline std::uint64_t &words_moved() {
  static std::uint64_t count = 0;
  return count;
}

/// \brief Notices that nothing will ever happen: cycles in which no unit works and no word moves.
struct patience_t {
  /// More than any latency; with ends that are not ready in 255 of 256 cases a word moves by then
  /// but for once in e^256.
  static constexpr std::uint32_t MOST = 1u << 16;
  std::uint32_t idle = 0;
  std::uint64_t words = 0;

  void cycle(bool works) {
    idle = works || words != words_moved() ? 0 : idle + 1;
    words = words_moved();
    if (idle == MOST)
      out_of_bounds("cycles in which", "nothing moves", MOST, idle);
  }
};

} // namespace pcedge

#endif

#endif
