// Block floating point: shift a vector so that its largest entry has A bits (docs/arithmetic.md,
// section Normalise).
#ifndef PCEDGE_NORMALISE_HPP
#define PCEDGE_NORMALISE_HPP

#include "integers.hpp"

namespace pcedge {

/// The exponent of an all-zero vector, and the least that any vector can have.
constexpr std::int64_t ZERO_EXPONENT = -std::int64_t(power_of_two<30>());

/// Width of an exponent; sums of two are saturated before they are stored.
constexpr int EXPONENT_BITS = 32;

/// Width of a number of bits, 0..64.
constexpr int LENGTH_BITS = 7;

/// \brief Count the bits of an unsigned number; zero has none.
/// \tparam F family of integers
/// \tparam N width of the number, at most 64
template <class F, int N> uint_t<F, LENGTH_BITS> bit_length(uint_t<F, N> value) {
#pragma HLS INLINE
  static_assert(N >= 1 && N <= 64, "bit_length takes 1 to 64 bits");
  uint_t<F, N> rest = value;
  uint_t<F, LENGTH_BITS> length = 0;
bits:
  for (unsigned k = 32; k >= 1; k /= 2) {
#pragma HLS UNROLL
    // invariant: value has length + (bits of rest) bits, and rest has at most 2k bits
    const uint_t<F, N> upper = k < unsigned(N) ? uint_t<F, N>(rest >> k) : uint_t<F, N>(0);
    const typename F::bit large = upper != 0;
    length = F::select(large, uint_t<F, LENGTH_BITS>(length + k), length);
    rest = F::select(large, upper, rest);
  }
  return uint_t<F, LENGTH_BITS>(length + uint_t<F, LENGTH_BITS>(rest));
}

/// \brief Shift right with truncation from `length` bits to `To` bits, or left where there are
/// fewer.
/// \tparam F family of integers
/// \tparam N width of the value
/// \tparam To width of the result
/// invariant: value < 2^length, so the result fits To bits
template <class F, int N, int To>
uint_t<F, To> scale_to(uint_t<F, N> value, uint_t<F, LENGTH_BITS> length) {
#pragma HLS INLINE
  constexpr int W = max_of(N, To);
  using length_t = uint_t<F, LENGTH_BITS>;
  const length_t target = To;
  const length_t right = F::select(length > target, length_t(length - target), length_t(0));
  const length_t left = F::select(length < target, length_t(target - length), length_t(0));
  return uint_t<F, To>(uint_t<F, W>(uint_t<F, W>(value) >> right) << left);
}

/// \brief What a mantissa weighs: in a likelihood with tails 1 only says that an entry is possible.
/// \tparam A width of a mantissa
template <class F, int A> uint_t<F, A> live_mantissa(uint_t<F, A> mantissa, typename F::bit keeps) {
#pragma HLS INLINE
  const typename F::bit lone = mantissa == uint_t<F, A>(1);
  return F::select(typename F::bit(lone & keeps), uint_t<F, A>(0), mantissa);
}

/// \brief 1, larger by so many bits as the weights of a step are than the circuit's: a loaded circuit
/// may have a smaller W than its build.
template <class F, int N> uint_t<F, N> lifted_one(std::uint32_t lift) {
#pragma HLS INLINE
  return uint_t<F, N>(uint_t<F, N>(1) << uint_t<F, 4>(lift & 15u));
}

/// \brief An accumulated entry that is zero, and possible, is 1; no other is, for what weighs
/// something is at least 2.
/// \tparam N width of the accumulator
template <class F, int N>
uint_t<F, N> with_possible(uint_t<F, N> value, typename F::bit some, std::uint32_t lift = 0) {
#pragma HLS INLINE
  return F::select(typename F::bit(some & (value == 0)), lifted_one<F, N>(lift), value);
}

/// \brief What a shift to the right left of an entry: what was not zero stays possible, 1.
template <class F, int A>
uint_t<F, A> kept_entry(uint_t<F, A> shifted, typename F::bit some, typename F::bit keeps) {
#pragma HLS INLINE
  const typename F::bit lost = some & (shifted == 0);
  return F::select(typename F::bit(lost & keeps), uint_t<F, A>(1), shifted);
}

/// \brief One entry of a normalised vector.
/// \tparam F family of integers
/// \tparam N width of the accumulator
/// \tparam A width of a mantissa
/// \param value exact entry
/// \param length bits of the largest entry of the vector (the OR of all entries has as many)
/// \param revive what a zero vector becomes: 2^(A-1) in every entry, or zero
/// \param keeps whether an entry that is not zero stays at least 1, and 1 beside others is 1
template <class F, int N, int A>
uint_t<F, A> normalise_entry(uint_t<F, N> value, uint_t<F, LENGTH_BITS> length,
                             typename F::bit revive, typename F::bit keeps = typename F::bit(false),
                             std::uint32_t lift = 0) {
#pragma HLS INLINE
  static_assert(A >= 8 && A <= 16, "state_bits must be 8 to 16");
  static_assert(N <= 53, "an accumulator must fit 53 bits");
  const uint_t<F, A> zero = F::select(revive, uint_t<F, A>(power_of_two<A - 1>()), uint_t<F, A>(0));
  const uint_t<F, A> scaled =
      kept_entry<F, A>(scale_to<F, N, A>(value, length), typename F::bit(value != 0), keeps);
  const typename F::bit beside =
      (value == lifted_one<F, N>(lift)) & (length > uint_t<F, LENGTH_BITS>(1 + (lift & 15u)));
  const uint_t<F, A> whole = F::select(typename F::bit(beside & keeps), uint_t<F, A>(1), scaled);
  return F::select(length == 0, zero, whole);
}

/// \brief The exponent of a normalised vector, saturated at ZERO_EXPONENT.
/// \param exponent of the exact entries, a sum of at most two exponents and a constant
template <class F, int A>
sint_t<F, EXPONENT_BITS> normalise_exponent(sint_t<F, EXPONENT_BITS + 2> exponent,
                                            uint_t<F, LENGTH_BITS> length, typename F::bit revive) {
#pragma HLS INLINE
  using wide = sint_t<F, EXPONENT_BITS + 2>;
  const wide least = ZERO_EXPONENT;
  const wide shifted = exponent + wide(length) - wide(A);
  const wide zero = F::select(revive, exponent, least);
  const wide moved = F::select(length == 0, zero, shifted);
  return sint_t<F, EXPONENT_BITS>(F::select(moved < least, least, moved));
}

/// \brief One entry of a vector under a greater exponent, with truncation.
/// \param keeps whether an entry that is not zero stays at least 1
template <class F, int A>
uint_t<F, A> align_entry(uint_t<F, A> mantissa, sint_t<F, EXPONENT_BITS> own,
                         sint_t<F, EXPONENT_BITS> common,
                         typename F::bit keeps = typename F::bit(false)) {
#pragma HLS INLINE
  using wide = sint_t<F, EXPONENT_BITS + 2>;
  const wide gap = wide(common) - wide(own);
  const wide bounded = F::select(gap > wide(A), wide(A), gap); // a shift by A leaves nothing
  return kept_entry<F, A>(
      uint_t<F, A>(uint_t<F, A + 1>(mantissa) >> uint_t<F, LENGTH_BITS>(bounded)),
      typename F::bit(mantissa != 0), keeps);
}

} // namespace pcedge

#endif
