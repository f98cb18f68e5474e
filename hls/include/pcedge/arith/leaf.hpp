// Leaves: columns of cumulative tables.
#ifndef PCEDGE_LEAF_HPP
#define PCEDGE_LEAF_HPP

#include "bounded.hpp"
#include "integers.hpp"

namespace pcedge {

/// \brief Where the leaves of one variable lie in the memories.
struct leaf_t {
  std::uint32_t cardinality; ///< number of symbols
  std::uint32_t list;        ///< address of its units' table numbers
  std::uint32_t tables;      ///< address of the first word of level 0 of this cardinality's tables
  std::uint32_t uppers;      ///< address of the first word of their other levels
  std::uint32_t tails;       ///< address of the first tail of this cardinality
  std::uint32_t nested;      ///< address of the first table's master, shift and scale, if there are
};

/// \brief Words that a table has in a level (docs/engine-memories.md, section Words of leaf tables).
/// \tparam B bits: a word has 2^B - 1 entries, level j the multiples of 2^(B j)
template <int B> std::uint32_t words_of(std::uint32_t cardinality, unsigned level) {
#pragma HLS INLINE
  return (((cardinality - 1) >> (unsigned(B) * level)) + ((1u << B) - 1)) >> B;
}

/// \brief Where an entry lies: in its level, a word of the table, and in the word.
struct entry_place_t {
  unsigned level;
  std::uint32_t word; ///< counted from the first of level 0, or of all other levels
  std::uint32_t slot;
};

/// \brief The first word of a level; those of all levels but 0 follow each other.
/// \tparam LEVELS that any table has at most
template <int B, unsigned LEVELS>
std::uint32_t words_before(std::uint32_t cardinality, unsigned level) {
#pragma HLS INLINE
  std::uint32_t words = 0;
levels:
  for (unsigned j = 1; j < LEVELS; ++j) {
#pragma HLS UNROLL
    if (j < level)
      words += words_of<B>(cardinality, j);
  }
  return words;
}

/// \brief The first word of a table among tables of so many words each: a product as narrow as both.
/// \tparam F family of integers
/// \tparam N width of a table's number
/// \tparam S width of a symbol
/// \tparam B bits of a symbol that are found in a round; a level has at most 2^(S - B) words, and
/// all others together have fewer than twice as many
template <class F, int N, int S, int B>
std::uint32_t table_start(std::uint32_t number, std::uint32_t words) {
#pragma HLS INLINE
  constexpr int W = max_of(1, S - B + 1);
  PCEDGE_FITS(number, N, "a leaf table's number");
  PCEDGE_FITS(words, W, "a leaf table's words");
  return std::uint32_t(uint_t<F, N + W>(uint_t<F, N>(number) * uint_t<F, W>(words)));
}

/// \brief Find the entry at a symbol, 1 to the last.
template <int B, unsigned LEVELS>
entry_place_t entry_place(std::uint32_t cardinality, std::uint32_t symbol) {
#pragma HLS INLINE
  constexpr std::uint32_t SLOTS = (1u << B) - 1;
  entry_place_t place;
  place.level = 0;
levels:
  for (unsigned j = 1; j < LEVELS; ++j) {
#pragma HLS UNROLL
    if ((symbol & ((1u << (unsigned(B) * j)) - 1)) == 0)
      place.level = j;
  }
  const std::uint32_t multiple = symbol >> (unsigned(B) * place.level);
  place.word = words_before<B, LEVELS>(cardinality, place.level) + (multiple >> B);
  place.slot = (multiple & SLOTS) - 1;
  return place;
}

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
  return F::select(missing, uint_t<F, L + 1>(power_of_two<L>()), uint_t<F, L + 1>(above - below));
}

/// \brief What a LEAF accumulates: a count, or with tails one with T bits below, and for a count of 0
/// a power of two.
/// \tparam N width of the accumulator
/// \tparam T tail_bits, 0 where no circuit of the build has tails
/// \param exponent by how many bits the symbol's tail is below a count of 1, 0 to T
template <class F, int N, int L, int T>
uint_t<F, N> leaf_entry(uint_t<F, L + 1> count, typename F::bit tails, std::uint32_t exponent) {
#pragma HLS INLINE
  static_assert(L + 1 + T <= N, "a count and its tail must fit the accumulator");
  using tail_t = uint_t<F, T + 1>;
  const uint_t<F, 5> shift = uint_t<F, 5>(exponent & 31u);
  const uint_t<F, N> tail = uint_t<F, N>(tail_t(tail_t(power_of_two<T>()) >> shift));
  const uint_t<F, N> scaled = uint_t<F, N>(uint_t<F, L + 1 + T>(uint_t<F, L + 1 + T>(count) << T));
  return F::select(tails, F::select(count == 0, tail, scaled), uint_t<F, N>(count));
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
