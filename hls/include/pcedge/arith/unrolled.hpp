// Steps of an unrolled kernel, where the range of every signal is known when the text is generated
// (docs/unrolled.md): adders over shifted operands, normalising within known lengths, the score.
#ifndef PCEDGE_UNROLLED_HPP
#define PCEDGE_UNROLLED_HPP

#include "normalise.hpp"

namespace pcedge {

/// Fraction bits of the score, and how many bits of the mantissa, below the first, it looks at.
constexpr int SCORE_FRACTION = 8;
constexpr int SCORE_TABLE_BITS = 7;

/// Width of a score; all ones say that the record is impossible.
constexpr int SCORE_BITS = 32;

/// \brief The sum of two shifted operands, of which the generator proved that it is in 0..2^N-1.
/// \tparam F family of integers
/// \tparam N width of the result
/// \param a first operand, extended or cut to N bits; \param left its constant shift to the left
/// \param b second operand; \param right its shift
/// invariant: all is exact modulo 2^N, so operands may be negative, and wider than the result
template <class F, int N> uint_t<F, N> plus(uint_t<F, N> a, int left, uint_t<F, N> b, int right) {
#pragma HLS INLINE
  return uint_t<F, N>(uint_t<F, N>(a << left) + uint_t<F, N>(b << right));
}

/// \brief A difference that is never negative.
template <class F, int N> uint_t<F, N> minus(uint_t<F, N> a, int left, uint_t<F, N> b, int right) {
#pragma HLS INLINE
  return uint_t<F, N>(uint_t<F, N>(a << left) - uint_t<F, N>(b << right));
}

/// \brief A sum in -2^(N-1)..2^(N-1)-1.
template <class F, int N>
sint_t<F, N> signed_plus(uint_t<F, N> a, int left, uint_t<F, N> b, int right) {
#pragma HLS INLINE
  return sint_t<F, N>(plus<F, N>(a, left, b, right));
}

/// \brief A difference in -2^(N-1)..2^(N-1)-1.
template <class F, int N>
sint_t<F, N> signed_minus(uint_t<F, N> a, int left, uint_t<F, N> b, int right) {
#pragma HLS INLINE
  return sint_t<F, N>(minus<F, N>(a, left, b, right));
}

/// \brief By how much the largest entry of a vector is longer than the shortest that it can be.
/// \tparam N width of the vector's entries
/// \tparam LEAST bits that the largest entry has, if it is not zero
/// \param all the OR of all entries
template <class F, int N, int LEAST> uint_t<F, LENGTH_BITS> excess_length(uint_t<F, N> all) {
#pragma HLS INLINE
  static_assert(LEAST >= 1 && LEAST <= N, "the shortest length must be in 1..N");
  using length_t = uint_t<F, LENGTH_BITS>;
  // invariant: LEAST - 1 bits less leave at least one bit, unless all is zero
  const length_t rest = bit_length<F, N - LEAST + 1>(uint_t<F, N - LEAST + 1>(all >> (LEAST - 1)));
  return F::select(rest == 0, length_t(0), length_t(rest - length_t(1)));
}

/// \brief One entry of a normalised vector, for a vector that `excess_length` looked at.
/// \tparam A width of a mantissa
/// The shift is the one of `normalise_entry`, split into a constant one and one that is at most
/// N - LEAST: truncation after truncation is truncation. A zero vector stays zero.
template <class F, int N, int LEAST, int A>
uint_t<F, A> scale_entry(uint_t<F, N> value, uint_t<F, LENGTH_BITS> excess) {
#pragma HLS INLINE
  static_assert(A >= 8 && A <= 16, "state_bits must be 8 to 16");
  static_assert(N <= 53, "an accumulator must fit 53 bits");
  constexpr int LEFT = LEAST < A ? A - LEAST : 0;
  constexpr int RIGHT = LEAST > A ? LEAST - A : 0;
  constexpr int WIDE = N + LEFT - RIGHT;
  using wide = uint_t<F, WIDE>;
  const wide moved = wide(uint_t<F, N + LEFT>(uint_t<F, N + LEFT>(value) << LEFT) >> RIGHT);
  return uint_t<F, A>(moved >> excess);
}

/// \brief By how much the mantissas of a vector are shifted right under a greater exponent.
/// \tparam N width of the exponents, \tparam A width of a mantissa: a shift by A leaves nothing
template <class F, int N, int A>
uint_t<F, LENGTH_BITS> alignment(sint_t<F, N> own, sint_t<F, N> common) {
#pragma HLS INLINE
  using wide = sint_t<F, max_of(N, LENGTH_BITS) + 1>;
  const wide gap = wide(wide(common) - wide(own));
  return uint_t<F, LENGTH_BITS>(F::select(gap > wide(A), wide(A), gap));
}

/// \brief The score of a likelihood: -log2 in parts of 2^-SCORE_FRACTION bit.
/// \tparam A width of the mantissa, which is 0 or has its first bit set
template <class F, int A>
uint_t<F, SCORE_BITS> score_of(uint_t<F, A> mantissa, sint_t<F, EXPONENT_BITS> exponent) {
#pragma HLS INLINE
  // Entry i is floor(2^8 log2(1 + (i + 1/2) / 2^7)), the logarithm in the middle of its part of 1..2.
  static const std::uint8_t TABLE[1 << SCORE_TABLE_BITS] = {
#include "score_table.inc"
  };
  using place_t = uint_t<F, SCORE_TABLE_BITS>;
  using score_t = uint_t<F, SCORE_BITS>;
  using wide = sint_t<F, EXPONENT_BITS + SCORE_FRACTION + 2>;
  const place_t place =
      place_t(uint_t<F, A>(mantissa >> (A - 1 - SCORE_TABLE_BITS)) & ((1 << SCORE_TABLE_BITS) - 1));
  const wide whole = wide(wide(1 - A) - wide(exponent));
  const wide bits = wide(wide(whole * (1 << SCORE_FRACTION)) - wide(TABLE[place]));
  const wide most = wide(power_of_two<SCORE_BITS>() - 2);
  const wide bounded = F::select(bits < wide(0), wide(0), F::select(bits > most, most, bits));
  return F::select(mantissa == 0, score_t(power_of_two<SCORE_BITS>() - 1), score_t(bounded));
}

} // namespace pcedge

#endif
