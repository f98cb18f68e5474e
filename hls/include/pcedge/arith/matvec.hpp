// The matrix-vector step: dense blocks and lists are two operands of one accumulation.
#ifndef PCEDGE_MATVEC_HPP
#define PCEDGE_MATVEC_HPP

#include "integers.hpp"

namespace pcedge {

/// \brief One multiply-accumulate.
/// \tparam F family of integers
/// \tparam N width of the accumulator
/// \tparam W width of a weight, weight_bits + 1: a certain child weighs 2^weight_bits
/// \tparam A width of a mantissa
/// invariant: the sum of all terms of one entry fits N bits (docs/arithmetic.md, table of widths)
template <class F, int N, int W, int A>
uint_t<F, N> multiply_accumulate(uint_t<F, N> sum, uint_t<F, W> weight, uint_t<F, A> mantissa) {
#pragma HLS INLINE
  // No weight exceeds 2^(W - 1), so a product needs a bit less than its factors have.
  static_assert(W >= 1 && W - 1 + A <= N, "one product must fit the accumulator");
  return uint_t<F, N>(sum + uint_t<F, W - 1 + A>(weight * mantissa));
}

/// \brief Address of the weight that entry `target` of `targets` gives to entry `source` of
/// `sources`. Up, a row of the block belongs to a target; down, to a source. A block lies tile by
/// tile.
/// \tparam ROWS, COLUMNS of a tile
template <unsigned ROWS, unsigned COLUMNS>
std::uint32_t dense_address(std::uint32_t base, std::uint32_t target, std::uint32_t targets,
                            std::uint32_t source, std::uint32_t sources, bool down) {
#pragma HLS INLINE
  const std::uint32_t row = down ? source : target;
  const std::uint32_t column = down ? target : source;
  const std::uint32_t across = ((down ? targets : sources) + COLUMNS - 1) / COLUMNS;
  const std::uint32_t tile = row / ROWS * across + column / COLUMNS;
  return base + (tile * ROWS + row % ROWS) * COLUMNS + column % COLUMNS;
}

/// \brief The number that a bank's entry stands for: a weight, or an entry of a list.
/// \tparam N width of the bank
/// \tparam SHIFT all numbers of the bank are multiples of 2^SHIFT, and stored without these zeros
/// \tparam CERTAIN all ones stand for 2^TOP, the weight of a certain child
/// \tparam TOP no number exceeds 2^TOP
/// \param marked whether all ones stand for 2^TOP in this row
template <int N, int SHIFT, bool CERTAIN, int TOP>
std::uint32_t stored_entry(std::uint32_t stored, bool marked = true) {
#pragma HLS INLINE
  static_assert(N >= 1 && N + SHIFT <= TOP + 1, "no number may exceed 2^TOP");
  return CERTAIN && marked && stored == (1u << N) - 1 ? 1u << TOP : stored << SHIFT;
}

} // namespace pcedge

#endif
