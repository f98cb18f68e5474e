// Leaves: columns of cumulative tables.
#ifndef PCEDGE_LEAF_HPP
#define PCEDGE_LEAF_HPP

#include "integers.hpp"

namespace pcedge {

/// \brief Where the leaves of one variable lie in the memories.
struct leaf_t {
  std::uint32_t cardinality; ///< number of symbols
  std::uint32_t list;        ///< address of its units' table numbers
  std::uint32_t tables;      ///< address of the first table of this cardinality
  std::uint32_t tails;       ///< address of the first tail of this cardinality
  std::uint32_t nested;      ///< address of the first table's master, shift and scale, if there are
};

/// \brief The count of a symbol in one unit's table, or 2^L where the symbol is missing: summed
/// out.
/// \tparam F family of integers
/// \tparam L leaf_bits
/// \param below cumulative entry at the symbol
/// \param above cumulative entry at the next symbol
template <class F, int L>
uint_t<F, L + 1> leaf_count(uint_t<F, L + 1> below, uint_t<F, L + 1> above,
                            typename F::bit missing) {
#pragma HLS INLINE
  static_assert(L >= 8 && L <= 16, "leaf_bits must be 8 to 16");
  return F::select(missing, uint_t<F, L + 1>(1L << L), uint_t<F, L + 1>(above - below));
}

/// \brief Entry of a nested table: shift + scale * master, without the last L bits of the product.
/// \tparam F family of integers
/// \tparam L leaf_bits
/// \param entry the master's, between its first and its last
/// invariant: shift + scale <= 2^L, so that the entry is at most 2^L
template <class F, int L>
uint_t<F, L + 1> nested_entry(uint_t<F, L + 1> entry, uint_t<F, L + 1> shift,
                              uint_t<F, L + 1> scale) {
#pragma HLS INLINE
  return uint_t<F, L + 1>(shift + uint_t<F, L + 1>(uint_t<F, 2 * L + 2>(scale * entry) >> L));
}

} // namespace pcedge

#endif
