// The step encoding: twelve 32-bit words a step (docs/schedule.md, section Step encoding).
#ifndef PCEDGE_STEP_HPP
#define PCEDGE_STEP_HPP

#include <cstdint>

namespace pcedge {

/// Kinds of steps; the numbers are those of pcedge.coder.schedule.Op.
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

/// Bits of the flags in the first word, above the kind.
enum step_flag { REVIVE = 1, LISTS = 2, VALUES = 4, GATHER_A = 8, GATHER_B = 16 };

constexpr int STEP_WORDS = 12;

/// \brief One decoded step. Addresses and counts are plain words: they are not part of the
/// arithmetic, and synthesis trims them to the sizes of the memories.
struct step_t {
  std::uint32_t kind;
  bool revive;                   ///< a zero result becomes ones
  bool lists;                    ///< the operand is lists, not a dense block
  bool values;                   ///< the lists carry weights; otherwise every entry weighs 1
  bool gather_a;                 ///< source a is read through a gather list
  bool gather_b;                 ///< source b is read through a gather list
  std::uint32_t target;          ///< address of the result's first mantissa
  std::uint32_t target_exponent; ///< slot of the result's exponent
  std::uint32_t units;           ///< entries of the result
  std::uint32_t a;               ///< address of source a
  std::uint32_t a_exponent;      ///< slot of its exponent
  std::uint32_t a_units;         ///< its entries
  std::uint32_t b;               ///< address of source b; the variable of LEAF and INTERVAL
  std::uint32_t b_exponent;      ///< slot of its exponent; the cardinality of LEAF and INTERVAL
  std::uint32_t b_units;         ///< its entries
  std::uint32_t operand;         ///< dense block, row pointers, leaf table, or gather list of a
  std::uint32_t operand_b;       ///< values of lists, or gather list of b
};

/// \brief Decode one step of a program.
/// \param words the program memory, STEP_WORDS words a step
inline step_t decode_step(const std::uint32_t *words, unsigned place) {
#pragma HLS INLINE
  const std::uint32_t *w = words + place * STEP_WORDS;
  const std::uint32_t flags = w[0] >> 8;
  step_t step;
  step.kind = w[0] & 7;
  step.revive = (flags & REVIVE) != 0;
  step.lists = (flags & LISTS) != 0;
  step.values = (flags & VALUES) != 0;
  step.gather_a = (flags & GATHER_A) != 0;
  step.gather_b = (flags & GATHER_B) != 0;
  step.target = w[1];
  step.target_exponent = w[2];
  step.units = w[3];
  step.a = w[4];
  step.a_exponent = w[5];
  step.a_units = w[6];
  step.b = w[7];
  step.b_exponent = w[8];
  step.b_units = w[9];
  step.operand = w[10];
  step.operand_b = w[11];
  return step;
}

} // namespace pcedge

#endif
