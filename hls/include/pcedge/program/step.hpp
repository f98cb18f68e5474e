// Steps, and how packed rows are read (docs/engine-memories.md, sections Step encoding and Packed rows).
#ifndef PCEDGE_STEP_HPP
#define PCEDGE_STEP_HPP

#include <cstdint>

namespace pcedge {

/// Kinds of steps; the numbers are those of pcedge.schedule.steps.Op.
enum step_kind {
  INIT = 0,
  LEAF = 1,
  UP = 2,
  DOWN = 3,
  LIST = 4,
  MULTIPLY = 5,
  ALIGN = 6,
  INTERVAL = 7
};

/// What becomes of zeros; the numbers are those of pcedge.schedule.steps.Zeros.
enum zeros_t { STAY = 0, REVIVE = 1, KEEP = 2, TAIL = 3 };

/// \brief One decoded step. What a step does not use holds any number: kind and flags say what it
/// uses. Only `variable` and the slots of the sources are 0 then: units read there before they ask
/// for the kind. Addresses and counts are plain words: they are not part of the arithmetic, and
/// synthesis trims them to the sizes of the memories.
struct step_t {
  std::uint32_t kind;
  bool revive; ///< a zero result becomes ones
  bool keeps;  ///< no entry becomes zero by truncation, and 1 weighs nothing
  bool tails;  ///< parameters that are zero are tails
  std::uint32_t
      lift;      ///< bits by which the weights of an UP that keeps are larger than the circuit's
  bool lists;    ///< the operand is lists, not a dense block
  bool values;   ///< the lists carry weights; otherwise every entry weighs 1
  bool gather_a; ///< source a is read through a gather list
  bool gather_b; ///< source b is read through a gather list
  std::uint32_t units;           ///< entries of the result
  std::uint32_t a_units;         ///< entries of source a
  std::uint32_t b_units;         ///< entries of source b
  std::uint32_t target;          ///< address of the result's first mantissa
  std::uint32_t target_exponent; ///< slot of the result's exponent
  std::uint32_t a;               ///< address of source a
  std::uint32_t a_exponent;      ///< slot of its exponent
  std::uint32_t b;               ///< address of source b
  std::uint32_t b_exponent;      ///< slot of its exponent
  std::uint32_t variable;        ///< whose symbol LEAF and INTERVAL take
  std::uint32_t weights;         ///< dense block, or values of lists
  std::uint32_t list;            ///< lists, or gather list of a
  std::uint32_t list_b;          ///< gather list of b
};

/// \brief A field of a packed word.
/// \tparam SHIFT its lowest bit, \tparam BITS its width, at most 32
template <int SHIFT, int BITS> std::uint32_t field_of(std::uint64_t word) {
#pragma HLS INLINE
  static_assert(BITS >= 1 && BITS <= 32 && SHIFT >= 0 && SHIFT + BITS <= 64,
                "a field must lie in one word");
  return std::uint32_t((word >> SHIFT) & ((std::uint64_t(1) << BITS) - 1));
}

/// \brief A row that a step names, or 0 where it uses none: its bits may then be of another field.
template <unsigned ROWS> std::uint32_t row_within(std::uint32_t row) {
#pragma HLS INLINE
  return row < ROWS ? row : 0;
}

/// \brief Decode one step of a program.
/// \tparam P reads every number from the packed rows (generated); the first step stands at place 0,
/// `next` gives the place of the step behind one, `more` tells whether a step stands at a place
template <class P> step_t decode_step(std::uint32_t place) {
#pragma HLS INLINE
  step_t step;
  step.kind = P::kind(place);
  const std::uint32_t zeros = P::revive(place) & 3u;
  step.lift = P::revive(place) >> 2;
  step.revive = zeros == REVIVE;
  step.keeps = zeros >= KEEP;
  step.tails = zeros == TAIL;
  step.lists = P::lists(place) != 0;
  step.values = P::values(place) != 0;
  step.gather_a = P::gather_a(place) != 0;
  step.gather_b = P::gather_b(place) != 0;
  step.units = P::units(place);
  step.a_units = P::a_units(place);
  step.b_units = P::b_units(place);
  step.target = P::target(place);
  step.target_exponent = P::target_exponent(place);
  const bool one = step.kind != INIT && step.kind != LEAF;
  const bool two = step.kind == MULTIPLY || step.kind == ALIGN;
  step.a = P::a(place);
  step.a_exponent = one ? P::a_exponent(place) : 0;
  step.b = P::b(place);
  step.b_exponent = two ? P::b_exponent(place) : 0;
  step.variable = step.kind == LEAF || step.kind == INTERVAL ? P::variable(place) : 0;
  step.weights = P::weights(place);
  step.list = P::list(place);
  step.list_b = P::list_b(place);
  return step;
}

} // namespace pcedge

#endif
