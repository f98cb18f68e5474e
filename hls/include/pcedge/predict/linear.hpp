// Prediction by neighbours and its sign-LMS correction, pure functions (docs/predictor.md, sections
// Prediction and Adaptation).
#ifndef PCEDGE_LINEAR_HPP
#define PCEDGE_LINEAR_HPP

#include "../arith/normalise.hpp"

namespace pcedge {

/// Fractional bits of coefficients, constants and adaptive weights.
constexpr int FRACTION_BITS = 16;

/// Width of a narrow group's coefficient, and of an adaptive weight; neither is -2^21.
constexpr int COEFFICIENT_BITS = 22;

/// Width of a number as predictions of narrow groups see it: below 2^32 either way.
constexpr int NARROW_BITS = 33;

/// Width of a number as features and the adaptation see it: below 2^31 either way.
constexpr int SEEN_BITS = 32;

/// Width of the sum of a prediction, of the adaptation's, and of what rounds either.
constexpr int PREDICTION_BITS = 62;

static_assert((std::int64_t(-3) >> 1) == -2, "a shift to the right must round down");

/// \brief Hold a number within low..high.
template <class F, int N>
sint_t<F, N> held(sint_t<F, N> value, sint_t<F, N> low, sint_t<F, N> high) {
#pragma HLS INLINE
  return F::select(value < low, low, F::select(value > high, high, value));
}

/// \brief Hold a number below 2^(M - 1) either way.
/// \tparam N width of the number, \tparam M of the result
template <class F, int N, int M> sint_t<F, M> saturated(sint_t<F, N> value) {
#pragma HLS INLINE
  constexpr int W = max_of(N, M);
  using wide = sint_t<F, W>;
  const wide most = wide(power_of_two<M - 1>() - 1);
  return sint_t<F, M>(held<F, W>(wide(value), wide(-most), most));
}

/// \brief The size of a number that is not the least of its width.
template <class F, int N> uint_t<F, N> magnitude(sint_t<F, N> value) {
#pragma HLS INLINE
  return uint_t<F, N>(F::select(value < 0, sint_t<F, N>(-value), value));
}

/// \brief One neighbour more in the sum of a narrow group's prediction.
/// \tparam N width of the numbers
/// invariant: at most 64 neighbours and a constant below 2^48, so the sum is below 2^60
template <class F, int N>
sint_t<F, PREDICTION_BITS> predict_narrow(sint_t<F, PREDICTION_BITS> sum,
                                          sint_t<F, COEFFICIENT_BITS> coefficient,
                                          sint_t<F, N> number) {
#pragma HLS INLINE
  constexpr int M = N < NARROW_BITS ? N : NARROW_BITS;
  const sint_t<F, M> narrow = saturated<F, N, M>(number);
  return sint_t<F, PREDICTION_BITS>(sum + sint_t<F, COEFFICIENT_BITS + M>(coefficient * narrow));
}

/// \brief The same for a wide group, modulo 2^64: its coefficients are whole, and below 4.
template <class F>
uint_t<F, 64> predict_wide(uint_t<F, 64> sum, sint_t<F, COEFFICIENT_BITS> coefficient,
                           sint_t<F, 64> number) {
#pragma HLS INLINE
  using whole = uint_t<F, 64>;
  const uint_t<F, 2> times = uint_t<F, 2>(magnitude<F, COEFFICIENT_BITS>(coefficient));
  const whole one = F::select((times & 1) != 0, whole(number), whole(0));
  const whole two = F::select((times & 2) != 0, whole(whole(number) << 1), whole(0));
  const whole product = whole(one + two);
  return F::select(coefficient < 0, whole(sum - product), whole(sum + product));
}

/// \brief Round the sum of a prediction, and hold it within the range of its group.
template <class F>
sint_t<F, NARROW_BITS> prediction_of(sint_t<F, PREDICTION_BITS> sum, sint_t<F, NARROW_BITS> low,
                                     sint_t<F, NARROW_BITS> high) {
#pragma HLS INLINE
  using wide = sint_t<F, PREDICTION_BITS>;
  const wide rounded = wide(wide(sum + wide(power_of_two<FRACTION_BITS - 1>())) >> FRACTION_BITS);
  return sint_t<F, NARROW_BITS>(held<F, PREDICTION_BITS>(rounded, wide(low), wide(high)));
}

/// \brief One input more in the sum of the adaptation's correction.
/// invariant: at most 64 inputs, so the sum is below 2^58
template <class F>
sint_t<F, PREDICTION_BITS> correct(sint_t<F, PREDICTION_BITS> sum,
                                   sint_t<F, COEFFICIENT_BITS> weight, sint_t<F, SEEN_BITS> input) {
#pragma HLS INLINE
  return sint_t<F, PREDICTION_BITS>(sum + sint_t<F, COEFFICIENT_BITS + SEEN_BITS>(weight * input));
}

/// \brief Add the correction to the first prediction.
template <class F>
sint_t<F, NARROW_BITS> corrected(sint_t<F, NARROW_BITS> prediction, sint_t<F, PREDICTION_BITS> sum,
                                 sint_t<F, NARROW_BITS> low, sint_t<F, NARROW_BITS> high) {
#pragma HLS INLINE
  using wide = sint_t<F, PREDICTION_BITS>;
  const wide rounded = wide(wide(sum + wide(power_of_two<FRACTION_BITS - 1>())) >> FRACTION_BITS);
  return sint_t<F, NARROW_BITS>(
      held<F, PREDICTION_BITS>(wide(wide(prediction) + rounded), wide(low), wide(high)));
}

/// Width of the sizes of all inputs together.
constexpr int INPUTS_BITS = 38;

/// \brief Move a weight by its input's share in all of them, towards a smaller residual.
/// \param gain 16 - rate + the bits of the number of inputs less 1, at most 21
/// \param length bits of the sum of the sizes of all inputs
/// \param residual any number of the residual's sign
/// invariant: an input is below 2^length, so it moves its weight by less than 2^gain
template <class F>
sint_t<F, COEFFICIENT_BITS> moved_weight(sint_t<F, COEFFICIENT_BITS> weight,
                                         sint_t<F, SEEN_BITS> input, uint_t<F, LENGTH_BITS> gain,
                                         uint_t<F, LENGTH_BITS> length, sint_t<F, 64> residual) {
#pragma HLS INLINE
  constexpr int W = SEEN_BITS + 21;
  using wide = sint_t<F, COEFFICIENT_BITS + 2>;
  const uint_t<F, W> size = uint_t<F, W>(magnitude<F, SEEN_BITS>(input));
  const wide move = wide(uint_t<F, W>(uint_t<F, W>(size << gain) >> length));
  const wide none = 0;
  const wide up = F::select((residual < 0) == (input < 0), move, wide(-move));
  const wide next = wide(wide(weight) + F::select(residual == 0, none, up));
  const wide most = wide(power_of_two<COEFFICIENT_BITS - 1>() - 1);
  return sint_t<F, COEFFICIENT_BITS>(held<F, COEFFICIENT_BITS + 2>(next, wide(-most), most));
}

} // namespace pcedge

#endif
