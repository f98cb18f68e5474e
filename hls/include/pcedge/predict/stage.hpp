// What is known of a lane before a number is coded: its prediction and its class; and what is
// learned from the number (docs/predictor.md). Encoder and decoder share all of it.
#ifndef PCEDGE_STAGE_HPP
#define PCEDGE_STAGE_HPP

#include "../arith/bounded.hpp"
#include "linear.hpp"

namespace pcedge {

/// Width of a feature: sums below 2^49, and thresholds, which a generator holds below 2^53.
constexpr int FEATURE_BITS = 54;

/// What a feature begins with, and what a part of it adds.
enum feature_start_t : std::uint32_t { FROM_ZERO, FROM_COLUMN, FROM_PREDICTION };
enum feature_part_t : std::uint32_t { PART_VALUE, PART_RESIDUAL, PART_SIZE, PART_DIFFERENCE };

/// \brief The last numbers of a lane, in their order, with zeros between the ends of an axis and
/// its next beginning: every neighbour is a fixed distance before the number that comes next.
/// \tparam N width of a number, \tparam G places and zeros (generated)
template <class F, int N, class G> struct line_buffer_t {
  sint_t<F, N> entries[G::places];
  std::uint32_t place;

  /// \brief Begin a lane: whatever comes before it is zero.
  void clear() {
    place = 0;
  zeros:
    for (std::uint32_t k = 0; k != G::places; ++k) {
#pragma HLS PIPELINE II = 1
      entries[k] = 0;
    }
  }

  /// \brief The number so many places before the next, 1 to G::places - 1.
  sint_t<F, N> before(std::uint32_t distance) const {
#pragma HLS INLINE
    const std::uint32_t from = place < distance ? place + G::places : place;
    return entries[PCEDGE_WITHIN(from - distance, G::places, "a line buffer")];
  }

  /// \brief Take the next number, and the zeros behind the axes that end with it.
  void put(sint_t<F, N> number, std::uint32_t ended) {
    write(number);
    const std::uint32_t zeros = G::zeros(ended);
  pad:
    for (std::uint32_t k = 0; k != zeros; ++k) {
#pragma HLS PIPELINE II = 1
      write(sint_t<F, N>(0));
    }
  }

private:
  void write(sint_t<F, N> number) {
#pragma HLS INLINE
    entries[PCEDGE_WITHIN(place, G::places, "a line buffer")] = number;
    place = place + 1 == G::places ? 0 : place + 1;
  }
};

/// \brief What is known of a number before it is coded.
template <class F> struct outlook_t {
  sint_t<F, 64> first;      ///< what its neighbours predict
  sint_t<F, 64> prediction; ///< the same, corrected
  std::uint32_t group, chosen;
  bool adapts;
};

/// \brief The state of a lane.
/// \tparam S the stage: widths, sizes and tables (generated)
template <class S> struct stage_t {
  using F = typename S::integers;
  static constexpr int N = S::number_bits;
  static_assert(N >= 2 && N <= 64, "a number must fit 64 bits");
  static_assert(S::columns >= 1 && S::axes >= 1 && S::groups >= 1, "sizes must be positive");
  using number_t = sint_t<F, N>;
  using wide_t = sint_t<F, 64>;
  using whole_t = uint_t<F, 64>;
  using seen_t = sint_t<F, SEEN_BITS>;
  using narrow_t = sint_t<F, NARROW_BITS>;
  using sum_t = sint_t<F, PREDICTION_BITS>;
  using coefficient_t = sint_t<F, COEFFICIENT_BITS>;
  using feature_t = sint_t<F, FEATURE_BITS>;

  line_buffer_t<F, N, typename S::values> values;
  line_buffer_t<F, N, typename S::firsts> firsts;
  line_buffer_t<F, N, typename S::residuals> residuals;
  /// Adaptive weights of every group, and the inputs of the number that comes next.
  coefficient_t weights[S::groups][S::inputs == 0 ? 1 : S::inputs];
  seen_t history[S::inputs == 0 ? 1 : S::inputs];
  uint_t<F, INPUTS_BITS> sizes;
  feature_t features[S::features == 0 ? 1 : S::features];
  std::uint32_t index[S::axes];
  std::uint32_t column;

  /// \brief Begin a lane: nothing is known.
  void begin() {
    values.clear();
    if (S::inputs != 0)
      firsts.clear();
    if (S::sees_residuals)
      residuals.clear();
  groups:
    for (std::uint32_t g = 0; g != S::groups; ++g) {
    weights_of:
      for (std::uint32_t j = 0; j != S::inputs; ++j) {
#pragma HLS PIPELINE II = 1
        weights[g][j] = 0;
      }
    }
  axes:
    for (std::uint32_t a = 0; a != S::axes; ++a)
      index[a] = 0;
    column = 0;
  }

  /// \brief Predict the next number and choose its class.
  outlook_t<F> predict() {
    outlook_t<F> outlook;
    const std::uint32_t group = S::group(column);
    const bool whole = S::wide && S::is_wide(group) != 0;
    outlook.group = group;
    outlook.first = first_prediction(group, whole);
    outlook.prediction = outlook.first;
    outlook.adapts = S::inputs != 0 && !whole;
    if (outlook.adapts)
      outlook.prediction = wide_t(adapted(group, narrow_t(outlook.first)));
    describe(saturated<F, 64, SEEN_BITS>(outlook.prediction));
    outlook.chosen = walk();
    return outlook;
  }

  /// \brief Learn from the number, and go on to the next.
  void observe(const outlook_t<F> &outlook, wide_t number) {
    const wide_t residual = difference(number, outlook.prediction);
    if (outlook.adapts)
      learn(outlook.group, residual);
    const std::uint32_t ended = advance();
    values.put(number_t(number), ended);
    if (S::inputs != 0)
      firsts.put(number_t(difference(number, outlook.first)), ended);
    if (S::sees_residuals)
      residuals.put(number_t(residual), ended);
  }

  /// \brief A difference modulo 2^64.
  static wide_t difference(wide_t a, wide_t b) {
#pragma HLS INLINE
    return wide_t(whole_t(whole_t(a) - whole_t(b)));
  }

  /// \brief Tell whether a number, its origin taken off, is in the range of its group.
  static bool inside(std::uint32_t group, wide_t number) {
#pragma HLS INLINE
    return whole_t(whole_t(number) - whole_t(S::least(group))) <= whole_t(S::span(group));
  }

private:
  wide_t first_prediction(std::uint32_t group, bool whole) const {
    sum_t sum = sum_t(S::constant(group));
    whole_t wrapped = 0;
    const std::uint32_t end = S::first_term(group + 1);
  terms:
    for (std::uint32_t t = S::first_term(group); t != end; ++t) {
#pragma HLS PIPELINE II = 1
      const number_t number = values.before(S::term_distance(t));
      const coefficient_t coefficient = coefficient_t(S::coefficient(t));
      if (whole)
        wrapped = predict_wide<F>(wrapped, coefficient, wide_t(number));
      else
        sum = predict_narrow<F, N>(sum, coefficient, number);
    }
    const narrow_t narrow =
        prediction_of<F>(sum, narrow_t(S::low(group)), narrow_t(S::high(group)));
    return whole ? wide_t(wrapped) : wide_t(narrow);
  }

  narrow_t adapted(std::uint32_t group, narrow_t first) {
    sum_t sum = 0;
    sizes = 0;
  inputs:
    for (std::uint32_t j = 0; j != S::inputs; ++j) {
#pragma HLS PIPELINE II = 1
      const seen_t input = saturated<F, N, SEEN_BITS>(firsts.before(S::input_distance(j)));
      history[j] = input;
      sizes =
          uint_t<F, INPUTS_BITS>(sizes + uint_t<F, INPUTS_BITS>(magnitude<F, SEEN_BITS>(input)));
      sum = correct<F>(sum, weights[group][j], input);
    }
    return corrected<F>(first, sum, narrow_t(S::low(group)), narrow_t(S::high(group)));
  }

  void learn(std::uint32_t group, wide_t residual) {
    const auto length = bit_length<F, INPUTS_BITS>(sizes);
  inputs:
    for (std::uint32_t j = 0; j != S::inputs; ++j) {
#pragma HLS PIPELINE II = 1
      weights[group][j] = moved_weight<F>(weights[group][j], history[j],
                                          uint_t<F, LENGTH_BITS>(S::gain), length, residual);
    }
  }

  /// \brief Compute the features of the next number.
  /// invariant: at most 64 parts with weights of at most 1,024, so a feature is below 2^48
  void describe(seen_t prediction) {
  features_loop:
    for (std::uint32_t f = 0; f != S::features; ++f) {
      const std::uint32_t start = S::feature_start(f), end = S::first_part(f + 1);
      feature_t sum = start == FROM_PREDICTION ? feature_t(prediction)
                      : start == FROM_COLUMN   ? feature_t(column)
                                               : feature_t(0);
    parts:
      for (std::uint32_t p = S::first_part(f); p != end; ++p) {
#pragma HLS PIPELINE II = 1
        const std::uint32_t kind = S::part_kind(p), distance = S::part_distance(p);
        const bool error = S::sees_residuals && (kind == PART_RESIDUAL || kind == PART_SIZE);
        const seen_t number = saturated<F, N, SEEN_BITS>(error ? residuals.before(distance)
                                                               : values.before(distance));
        const seen_t other = kind == PART_DIFFERENCE
                                 ? saturated<F, N, SEEN_BITS>(values.before(S::part_other(p)))
                                 : seen_t(0);
        const sint_t<F, SEEN_BITS + 1> gap =
            sint_t<F, SEEN_BITS + 1>(sint_t<F, SEEN_BITS + 1>(number) - other);
        const bool size = kind == PART_SIZE || kind == PART_DIFFERENCE;
        const sint_t<F, SEEN_BITS + 1> term =
            size && gap < 0 ? sint_t<F, SEEN_BITS + 1>(-gap) : gap;
        const sint_t<F, 12> weight = sint_t<F, 12>(S::part_weight(p));
        sum = feature_t(sum + sint_t<F, SEEN_BITS + 13>(weight * term));
      }
      features[f] = sum;
    }
  }

  /// \brief Walk down the tree, to a class.
  std::uint32_t walk() const {
    std::int32_t node = S::nodes == 0 ? -1 : 0;
  tree:
    for (std::uint32_t d = 0; d != S::depth; ++d) {
#pragma HLS PIPELINE
      if (node < 0)
        break;
      const std::uint32_t at = std::uint32_t(node);
      const feature_t feature = features[S::node_feature(at)];
      const bool above = feature > feature_t(S::node_threshold(at));
      node = above ? S::node_above(at) : S::node_below(at);
    }
    return std::uint32_t(-1 - node);
  }

  /// \brief Go on to the next number of the lane.
  /// \return how many axes of a row end with this one
  std::uint32_t advance() {
    std::uint32_t ended = 0;
  axes:
    for (std::uint32_t a = S::axes; a != 0; --a) {
#pragma HLS UNROLL
      const std::uint32_t next = index[a - 1] + 1;
      const bool carry = ended == S::axes - a;
      const bool ends = carry && next == S::size(a - 1);
      index[a - 1] = ends ? 0 : carry ? next : index[a - 1];
      ended += ends ? 1 : 0;
    }
    column = ended == S::axes ? 0 : column + 1;
    return ended;
  }
};

} // namespace pcedge

#endif
