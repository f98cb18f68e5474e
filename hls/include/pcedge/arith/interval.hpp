// Coding intervals without a divider (docs/arithmetic.md, section Interval).
#ifndef PCEDGE_INTERVAL_HPP
#define PCEDGE_INTERVAL_HPP

#include "normalise.hpp"

namespace pcedge {

/// Width of the normalised sum that the reciprocal takes.
constexpr int RECIPROCAL_BITS = 16;

/// \brief Approximate 2^33 / divisor from below: a table and one Newton step.
/// \tparam F family of integers
/// \param divisor 2^15 .. 2^16
/// \return 18 bits; result * divisor <= 2^33, relative error under 2^-15
template <class F> uint_t<F, 18> reciprocal(uint_t<F, 17> divisor) {
#pragma HLS INLINE
  // Entry i is floor(2^25 / (2 i + 513)): 2^31 / d at the middle of the divisors that share it.
  static const std::uint16_t TABLE[256] = {
#include "reciprocal_table.inc"
  };
  using index_t = uint_t<F, 9>;
  const typename F::bit top = divisor == uint_t<F, 17>(power_of_two<16>());
  const index_t place = index_t(uint_t<F, 17>(divisor >> 7) & 255);
  const uint_t<F, 16> start = TABLE[F::select(top, index_t(255), place)];
  // invariant: divisor * start < 2^32, the start is off by less than 2^-8
  const uint_t<F, 33> error = uint_t<F, 33>(power_of_two<32>()) - uint_t<F, 33>(divisor * start);
  const uint_t<F, 34> product = start * uint_t<F, 18>(error >> 14);
  return F::select(top, uint_t<F, 18>(power_of_two<17>()), uint_t<F, 18>(product >> 15));
}

/// \brief The floors of some symbols: a product as narrow as its factors.
/// \tparam F family of integers
/// \tparam S width of a number of symbols
/// \tparam P scale_bits
/// invariant: the floors of all symbols are at most 2^(P - 1)
template <class F, int S, int P>
uint_t<F, P> floors_of(std::uint32_t symbols, std::uint32_t floor) {
#pragma HLS INLINE
  return uint_t<F, P>(uint_t<F, S>(symbols) * uint_t<F, P>(floor));
}

/// \brief What one symbol's intervals share: made once a symbol from the sum of the context.
/// \tparam F family of integers
/// \tparam P scale_bits: intervals are parts of 2^P
template <class F, int P> struct interval_scale_t {
  /// bits of a context-weighted cumulative entry, at most
  uint_t<F, LENGTH_BITS> length;
  /// R
  uint_t<F, P + 1> scale;
};

/// \brief Prepare the intervals of one context.
/// \tparam F family of integers
/// \tparam N width of the sum of the context's mantissas
/// \tparam L leaf_bits
/// \tparam P scale_bits
/// \param total sum of the mantissas, not zero
/// \param floors number of symbols times the floor of each
template <class F, int N, int L, int P>
interval_scale_t<F, P> interval_scale(uint_t<F, N> total, uint_t<F, P> floors) {
#pragma HLS INLINE
  using length_t = uint_t<F, LENGTH_BITS>;
  constexpr int W = max_of(N, RECIPROCAL_BITS) + 1;
  const length_t length = bit_length<F, N>(total);
  const length_t target = RECIPROCAL_BITS;
  const length_t right = F::select(length > target, length_t(length - target), length_t(0));
  const length_t left = F::select(length < target, length_t(target - length), length_t(0));
  // Rounded up, so that the reciprocal stays below the truth.
  const uint_t<F, W> fill = uint_t<F, W>(uint_t<F, W>(uint_t<F, W>(1) << right) - 1);
  const uint_t<F, W> kept = uint_t<F, W>(uint_t<F, W>(uint_t<F, W>(total) + fill) >> right);
  const uint_t<F, 17> divisor = uint_t<F, 17>(kept << left);
  const uint_t<F, P> room = uint_t<F, P>(uint_t<F, P + 1>(power_of_two<P>()) - floors);
  const uint_t<F, P + 18> product = reciprocal<F>(divisor) * room;
  interval_scale_t<F, P> result;
  result.length = length_t(length + L);
  result.scale = uint_t<F, P + 1>(product >> 17);
  return result;
}

/// \brief The lower end of a symbol's interval: floors below it + floor(weighted * R).
/// \tparam F family of integers
/// \tparam N width of a weighted entry
/// \tparam P scale_bits
/// \param weighted sum over the units of context times cumulative table at the symbol
/// \param floors symbol times the floor of each
/// invariant: strictly increasing in the symbol, at most 2^P at the last end
template <class F, int N, int P>
uint_t<F, P + 1> interval_bound(uint_t<F, N> weighted, uint_t<F, P + 1> floors,
                                const interval_scale_t<F, P> &prepared) {
#pragma HLS INLINE
  constexpr int X = P + 2;
  static_assert(N <= 53 && X + P + 1 <= 53,
                "a weighted entry and the scaled product must fit 53 bits");
  const uint_t<F, X> input = scale_to<F, N, X>(weighted, prepared.length);
  const uint_t<F, X + P + 1> product = input * prepared.scale;
  return uint_t<F, P + 1>(floors + uint_t<F, P + 1>(product >> X));
}

} // namespace pcedge

#endif
