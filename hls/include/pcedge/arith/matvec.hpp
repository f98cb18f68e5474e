// The matrix-vector step: dense blocks and lists are two operands of one accumulation.
#ifndef PCEDGE_MATVEC_HPP
#define PCEDGE_MATVEC_HPP

#include "bounded.hpp"
#include "normalise.hpp"

namespace pcedge {

/// \brief A weight times a mantissa.
/// \tparam F family of integers
/// \tparam N width of the accumulator
/// \tparam W width of a weight, weight_bits + 1: a certain child weighs 2^weight_bits
/// \tparam A width of a mantissa
template <class F, int N, int W, int A>
uint_t<F, N> weighted_entry(uint_t<F, W> weight, uint_t<F, A> mantissa) {
#pragma HLS INLINE
  // No weight exceeds 2^(W - 1), so a product needs a bit less than its factors have.
  static_assert(W >= 1 && W - 1 + A <= N, "one product must fit the accumulator");
  return uint_t<F, N>(uint_t<F, W - 1 + A>(weight * mantissa));
}

/// By so many bits a weight of 0 of a sum with tails is below a weight of 1.
constexpr int WEIGHT_TAIL_BITS = 4;

/// \brief A weight times a mantissa; with tails a weight of 0 counts as 2^-WEIGHT_TAIL_BITS of 1.
/// \param lift bits by which the weights of the step are larger than the circuit's
template <class F, int N, int W, int A>
uint_t<F, N> tailed_entry(uint_t<F, W> weight, uint_t<F, A> mantissa, typename F::bit tails,
                          std::uint32_t lift) {
#pragma HLS INLINE
  const uint_t<F, N> whole = weighted_entry<F, N, W, A>(weight, mantissa);
  const uint_t<F, N> tail = uint_t<F, N>(uint_t<F, N>(uint_t<F, A>(mantissa >> WEIGHT_TAIL_BITS))
                                         << uint_t<F, 4>(lift & 15u));
  return F::select(typename F::bit(tails & (weight == 0)), tail, whole);
}

/// \brief One multiply-accumulate.
/// invariant: the sum of all terms of one entry fits N bits (docs/arithmetic.md, table of widths)
template <class F, int N, int W, int A>
uint_t<F, N> multiply_accumulate(uint_t<F, N> sum, uint_t<F, W> weight, uint_t<F, A> mantissa) {
#pragma HLS INLINE
  return uint_t<F, N>(sum + weighted_entry<F, N, W, A>(weight, mantissa));
}

/// \brief The sum of terms FIRST to FIRST + COUNT - 1 of an array, by a balanced tree of adders,
/// ceil(log2 COUNT) in series.
/// invariant: T holds the sum of all terms, and so the sum of any of them; order changes no bit
template <class T, unsigned FIRST, unsigned COUNT> struct adder_tree {
  static_assert(COUNT > 1, "a tree has two terms at least");
  template <unsigned N> static T sum(const T (&terms)[N]) {
#pragma HLS INLINE
    return T(adder_tree<T, FIRST, COUNT / 2>::sum(terms) +
             adder_tree<T, FIRST + COUNT / 2, COUNT - COUNT / 2>::sum(terms));
  }
};

template <class T, unsigned FIRST> struct adder_tree<T, FIRST, 1> {
  template <unsigned N> static T sum(const T (&terms)[N]) {
#pragma HLS INLINE
    static_assert(FIRST < N, "a term must be of the array");
    return terms[FIRST];
  }
};

/// \brief The sum of an array.
template <class T, unsigned N> T sum_of(const T (&terms)[N]) {
#pragma HLS INLINE
  return adder_tree<T, 0, N>::sum(terms);
}

/// \brief Where the weight lies that a target's entry gives to a source's, source after source and
/// target after target, counted up without a multiplication. Up, a row of the block belongs to a
/// target; down, to a source. A block lies tile by tile.
/// \tparam ROWS, COLUMNS of a tile, powers of two
template <unsigned ROWS, unsigned COLUMNS> struct dense_address_t {
  static constexpr std::uint32_t TILE = ROWS * COLUMNS;
  static_assert((ROWS & (ROWS - 1)) == 0 && (COLUMNS & (COLUMNS - 1)) == 0,
                "sides of a tile must be powers of two");
  std::uint32_t across; ///< weights of a row of tiles
  std::uint32_t start;  ///< of source 0
  std::uint32_t place;
  bool down;

  /// \brief Begin at target 0, source 0.
  static dense_address_t begin(std::uint32_t base, std::uint32_t targets, std::uint32_t sources,
                               bool down) {
#pragma HLS INLINE
    const std::uint32_t columns = down ? targets : sources;
    return {(columns + COLUMNS - 1) / COLUMNS * TILE, base, base, down};
  }

  /// \brief Go on to the source after `source`.
  void next_source(std::uint32_t source) {
#pragma HLS INLINE
    place += down ? row_step(source) : column_step(source);
  }

  /// \brief Go on to the target after `target`, and source 0.
  void next_target(std::uint32_t target) {
#pragma HLS INLINE
    start += down ? column_step(target) : row_step(target);
    place = start;
  }

  /// \brief From a row of the block to the next one: within a tile, or to the next row of tiles.
  std::uint32_t row_step(std::uint32_t row) const {
#pragma HLS INLINE
    return (row & (ROWS - 1)) + 1 < ROWS ? COLUMNS : across + COLUMNS - TILE;
  }

  static std::uint32_t column_step(std::uint32_t column) {
#pragma HLS INLINE
    return (column & (COLUMNS - 1)) + 1 < COLUMNS ? 1u : TILE - COLUMNS + 1;
  }
};

/// \brief The rows of a block that are turned rows of a table: a row of length n is stored as its
/// number in the table, and in the low bits its turn t; its entry j is entry (j + t) mod n there.
/// \tparam F family of integers
/// \tparam N width of a row's number
/// \tparam S width of a row's entries in memory
/// \tparam COLUMNS of a tile: so many neighbours of a row lie behind each other, from any turn on
template <class F, int N, int S, unsigned COLUMNS> struct turned_rows_t {
  std::uint32_t start;  ///< of the rows of this length
  std::uint32_t length; ///< n
  std::uint32_t stride; ///< entries that a row takes in memory
  std::uint32_t bits;   ///< of a turn

  static turned_rows_t of(std::uint32_t start, std::uint32_t length) {
#pragma HLS INLINE
    const std::uint32_t stride = (length + 2 * COLUMNS - 2) / COLUMNS * COLUMNS;
    return {start, length, stride, std::uint32_t(bit_length<F, 32>(uint_t<F, 32>(length - 1)))};
  }

  /// \brief Where an entry lies.
  /// \param stored of its row
  std::uint32_t place(std::uint32_t stored, std::uint32_t entry) const {
#pragma HLS INLINE
    const std::uint32_t number = stored >> bits, turn = stored & ((1u << bits) - 1);
    const std::uint32_t sum = entry + turn;
    PCEDGE_FITS(number, N, "a row's number");
    PCEDGE_FITS(stride, S, "a row's entries");
    return start + std::uint32_t(uint_t<F, N + S>(uint_t<F, N>(number) * uint_t<F, S>(stride))) +
           (sum >= length ? sum - length : sum);
  }
};

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
