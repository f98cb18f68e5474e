// The engine: replays the steps of a schedule from tables, one multiply-accumulate a cycle, one
// record at a time.
#ifndef PCEDGE_INTERPRETER_HPP
#define PCEDGE_INTERPRETER_HPP

#include "../arith/bounded.hpp"
#include "../arith/interval.hpp"
#include "../arith/leaf.hpp"
#include "../arith/matvec.hpp"
#include "../arith/range_coder.hpp"
#include "../program/circuit.hpp"
#include "../program/step.hpp"
#include "../program/stream.hpp"

namespace pcedge {

/// \brief The probability of one record, mantissa * 2^exponent.
/// \tparam C configuration
template <class C> struct likelihood_t {
  uint_t<typename C::integers, C::state_bits> mantissa;
  sint_t<typename C::integers, EXPONENT_BITS> exponent;
};

/// \brief State memory, symbols of one record, and the operations of the steps.
/// \tparam C configuration: widths and sizes (generated)
/// \tparam M memories: weights, indices, tables and programs (generated)
template <class C, class M> struct engine_t {
  using F = typename C::integers;
  static constexpr int A = C::state_bits;
  static constexpr int L = C::leaf_bits;
  static constexpr int P = C::scale_bits;
  static constexpr int B = C::range_bits;
  static constexpr int ACC = C::accumulator_bits;
  static constexpr int T = C::tail_bits;
  static constexpr int SUM = C::context_sum_bits;
  static constexpr int MIX = C::weighted_bits;
  static_assert(C::weight_bits >= 2 && C::weight_bits <= 16, "weight_bits must be 2 to 16");
  static_assert(ACC >= 2 * A && ACC >= L + 1 + T,
                "the accumulator must hold products and leaf counts");
  static_assert(MIX == SUM + L, "a weighted entry is at most the context's sum times 2^L");
  static_assert(C::symbol_bits >= 1 && C::symbol_bits <= 31, "a symbol must fit 31 bits");
  static_assert(C::max_units >= 1 && C::state_words >= 1 && C::exponent_slots >= 1,
                "sizes must be positive");
  // What this circuit's numbers need for any symbols (docs/bounds.md); every width must hold it.
  static_assert(C::weight_bits + 1 >= C::needed_weight_bits, "a weight does not fit");
  static_assert(L + 1 >= C::needed_leaf_bits, "a table entry does not fit");
  static_assert(A >= C::needed_state_bits, "a mantissa does not fit");
  static_assert(ACC >= C::needed_accumulator_bits, "the accumulator can overflow");
  static_assert(SUM >= C::needed_context_sum_bits, "the sum of a context can overflow");
  static_assert(MIX >= C::needed_weighted_bits, "a weighted entry can overflow");
  static_assert(2 * RECIPROCAL_BITS + 2 >= C::needed_reciprocal_product_bits,
                "the product of the reciprocal can overflow");
  static_assert(P + 2 >= C::needed_bound_input_bits, "a shifted entry does not fit");
  static_assert(P + 1 >= C::needed_scale_bits, "the scale does not fit");
  static_assert(P + RECIPROCAL_BITS + 2 >= C::needed_scale_product_bits,
                "the product of the scale can overflow");
  static_assert(2 * P + 3 >= C::needed_bound_product_bits, "the product of a bound can overflow");
  static_assert(B >= C::needed_range_bits, "the range does not fit");
  static_assert(B + 1 >= C::needed_low_bits, "the low end does not fit");
  static_assert(C::symbol_bits >= C::needed_symbol_bits, "a symbol does not fit");
  static_assert(EXPONENT_BITS >= C::needed_exponent_bits, "an exponent does not fit");

  using bit = typename F::bit;
  using mantissa_t = uint_t<F, A>;
  using exponent_t = sint_t<F, EXPONENT_BITS>;
  using wide_exponent_t = sint_t<F, EXPONENT_BITS + 2>;
  using length_t = uint_t<F, LENGTH_BITS>;
  using acc_t = uint_t<F, ACC>;
  using weight_t = uint_t<F, C::weight_bits + 1>;
  using bound_t = uint_t<F, P + 1>;
  using symbol_t = uint_t<F, C::symbol_bits>;

  /// Levels of words that a leaf table has at most.
  static constexpr unsigned LEVELS =
      unsigned(max_of(1, (C::symbol_bits + C::search_bits - 1) / C::search_bits));

  /// A symbol of all ones was not observed.
  static constexpr std::uint32_t MISSING = std::uint32_t(power_of_two<C::symbol_bits>() - 1);

  memory_t<mantissa_t, C::state_words> state;
  memory_t<exponent_t, C::exponent_slots> exponents;
  memory_t<symbol_t, C::variables> symbols;
  memory_t<acc_t, C::max_units> accumulators;

  /// \brief Entry k of source a or b, through its gather list if it has one.
  mantissa_t entry(unsigned base, bool gathered, unsigned list, unsigned k) const {
#pragma HLS INLINE
    const unsigned place = gathered ? M::index(list + k) : k;
    return state[base + place];
  }

  /// \brief Where the leaves of a variable lie.
  static leaf_t leaf_of(const step_t &step) {
#pragma HLS INLINE
    leaf_t leaf;
    leaf.cardinality = M::variables::cardinality(step.variable);
    leaf.list = M::variables::list(step.variable);
    leaf.tables = M::variables::tables(step.variable);
    leaf.uppers = M::variables::uppers(step.variable);
    leaf.tails = M::variables::tails(step.variable);
    leaf.nested = M::variables::nested(step.variable);
    return leaf;
  }

  /// \brief A symbol outside the alphabet is outside the contract; it is held at the last one so
  /// that no address leaves its memory.
  unsigned bounded_symbol(const step_t &step, const leaf_t &leaf) const {
#pragma HLS INLINE
    const unsigned symbol = unsigned(symbols[step.variable]);
    const unsigned last = leaf.cardinality - 1;
    return symbol > last ? last : symbol;
  }

  /// \brief Cumulative entry of a leaf table: the sum of the counts of all symbols below this one.
  /// Stored are all but the first, which is 0, and the last, without the top bit of those that are
  /// 2^L.
  /// \param number the table's number among those of its cardinality
  static uint_t<F, L + 1> cumulative(const leaf_t &leaf, unsigned number, unsigned symbol) {
#pragma HLS INLINE
    if (symbol == 0)
      return uint_t<F, L + 1>(0);
    if (symbol >= leaf.cardinality)
      return uint_t<F, L + 1>(power_of_two<L>());
    if (!M::nested_tables)
      return stored(leaf, number, symbol);
    const unsigned row = leaf.nested + number;
    return nested_entry<F, L>(stored(leaf, M::nested::master(row), symbol),
                              uint_t<F, L + 1>(M::nested::shift(row)),
                              uint_t<F, L + 1>(M::nested::scale(row)));
  }

  /// \brief Stored entry of a table or master, for symbols from 1 to the last.
  static uint_t<F, L + 1> stored(const leaf_t &leaf, unsigned table, unsigned symbol) {
#pragma HLS INLINE
    if (symbol + M::tail(leaf.tails + table) >= leaf.cardinality)
      return uint_t<F, L + 1>(power_of_two<L>());
    const unsigned cardinality = leaf.cardinality;
    const entry_place_t place = entry_place<C::search_bits, LEVELS>(cardinality, symbol);
    const unsigned own = words_of<C::search_bits>(cardinality, 0);
    const unsigned above = words_before<C::search_bits, LEVELS>(cardinality, LEVELS);
    const bool lowest = place.level == 0;
    const std::uint32_t first =
        table_start<F, C::table_bits, C::symbol_bits, C::search_bits>(table, lowest ? own : above);
    return lowest ? uint_t<F, L + 1>(M::table(0, leaf.tables + first + place.word, place.slot))
                  : uint_t<F, L + 1>(M::upper(0, leaf.uppers + first + place.word, place.slot));
  }

  /// \brief Shift the accumulated vector into the state memory.
  void finish(const step_t &step, acc_t all, wide_exponent_t exponent) {
#pragma HLS INLINE
    const length_t length = bit_length<F, ACC>(all);
  normalise:
    for (unsigned k = 0; k < step.units; ++k) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = C::max_units
      state[step.target + k] =
          normalise_entry<F, ACC, A>(accumulators[k], length, step.revive, step.keeps, step.lift);
    }
    exponents[step.target_exponent] = normalise_exponent<F, A>(exponent, length, step.revive);
  }

  void init(const step_t &step) {
  ones:
    for (unsigned k = 0; k < step.units; ++k) {
#pragma HLS PIPELINE II = 1
      state[step.target + k] = mantissa_t(power_of_two<A - 1>());
    }
    exponents[step.target_exponent] = exponent_t(1 - A);
  }

  void leaf(const step_t &step) {
    const leaf_t leaf = leaf_of(step);
    const bit missing = symbols[step.variable] == symbol_t(MISSING);
    const unsigned symbol = bounded_symbol(step, leaf);
    const std::uint32_t tail = step.tails ? M::index(step.list + symbol) : 0;
    acc_t all = 0;
  absorb:
    for (unsigned k = 0; k < step.units; ++k) {
#pragma HLS PIPELINE II = 1
      const unsigned number = M::leaf(leaf.list + k);
      const uint_t<F, L + 1> count = leaf_count<F, L>(
          cumulative(leaf, number, symbol), cumulative(leaf, number, symbol + 1), missing);
      const acc_t entry = leaf_entry<F, ACC, L, T>(count, step.tails, tail);
      accumulators[k] = entry;
      all = acc_t(all | entry);
    }
    finish(step, all, wide_exponent_t(step.tails ? -L - T : -L));
  }

  using turned_rows = turned_rows_t<F, M::row_number_bits, M::row_stride_bits, C::tile_columns>;

  /// \brief Tell whether the rows of a step's block are turned rows of a table.
  static bool is_turned(const step_t &step) {
#pragma HLS INLINE
    return M::row_table && (step.kind == UP || step.kind == DOWN) && !step.lists &&
           step.weights >= M::turned_base;
  }

  /// \brief Where the rows of such a step lie; of any other anything.
  static turned_rows turned_of(const step_t &step) {
#pragma HLS INLINE
    const std::uint32_t length = step.kind == DOWN ? step.units : step.a_units;
    return turned_rows::of(M::row_start(is_turned(step) ? length : 0), length);
  }

  /// \brief UP, LIST and dense DOWN: every target entry is a weighted sum of source entries.
  void mix(const step_t &step) {
    const bool down = step.kind == DOWN;
    acc_t all = 0;
    unsigned end = 0;
    // Lists start with the length of each; their entries follow.
    const unsigned entries = step.list + step.units;
    auto address = dense_address_t<C::tile_rows, C::tile_columns>::begin(step.weights, step.units,
                                                                         step.a_units, down);
    const bool turned = is_turned(step);
    const turned_rows rows = turned_of(step);
    const std::uint32_t first_row = step.weights - M::turned_base;
  targets:
    for (unsigned k = 0; k < step.units; ++k) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = C::max_units
      const unsigned first = step.lists ? end : 0;
      end = step.lists ? first + M::index(step.list + k) : step.a_units;
      acc_t sum = 0;
      bool some = false;
    sources:
      for (unsigned i = first; i < end; ++i) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 0 max = C::max_units
        const unsigned source = step.lists ? M::index(entries + i) : i;
        const unsigned place = step.lists ? step.weights + i : address.place;
        const bool weighted = !step.lists || step.values;
        weight_t weight = 1;
        if (turned)
          weight = weight_t(M::row_weight(
              0, rows.place(M::turned_row(first_row + (down ? i : k)), down ? k : i)));
        else if (weighted)
          weight = weight_t(M::weight(place));
        const mantissa_t mantissa = state[step.a + source];
        sum = acc_t(sum +
                    tailed_entry<F, ACC, C::weight_bits + 1, A>(
                        weight, live_mantissa<F, A>(mantissa, step.keeps), step.tails, step.lift));
        some = some || (step.keeps && mantissa != 0 && (step.tails || weight != 0));
        address.next_source(i);
      }
      address.next_target(k);
      const acc_t entry = with_possible<F, ACC>(sum, some, step.lift);
      accumulators[k] = entry;
      all = acc_t(all | entry);
    }
    const wide_exponent_t own = wide_exponent_t(exponents[step.a_exponent]);
    const wide_exponent_t scaled = own - wide_exponent_t(C::weight_bits);
    finish(step, all, F::select(step.kind == LIST, own, scaled));
  }

  /// \brief DOWN by lists: every source entry goes, weighted, to the target entries of its row, so
  /// that UP and DOWN read the same lists.
  void spread(const step_t &step) {
  clear:
    for (unsigned k = 0; k < step.units; ++k) {
#pragma HLS PIPELINE II = 1
      accumulators[k] = acc_t(0);
    }
    const unsigned entries = step.list + step.a_units;
    unsigned end = 0;
  rows:
    for (unsigned k = 0; k < step.a_units; ++k) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = C::max_units
      const unsigned first = end;
      const mantissa_t source = state[step.a + k];
      end = first + M::index(step.list + k);
    columns:
      for (unsigned i = first; i < end; ++i) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = C::max_units
// invariant: the columns of a row ascend, so that no two of them add to the same entry
#pragma HLS DEPENDENCE variable = accumulators inter false
        const unsigned target = M::index(entries + i);
        accumulators[target] = multiply_accumulate<F, ACC, C::weight_bits + 1, A>(
            accumulators[target], weight_t(M::weight(step.weights + i)), source);
      }
    }
    acc_t all = 0;
  combine:
    for (unsigned k = 0; k < step.units; ++k) {
#pragma HLS PIPELINE II = 1
      all = acc_t(all | accumulators[k]);
    }
    finish(step, all,
           wide_exponent_t(exponents[step.a_exponent]) - wide_exponent_t(C::weight_bits));
  }

  void multiply(const step_t &step) {
    acc_t all = 0;
  products:
    for (unsigned k = 0; k < step.units; ++k) {
#pragma HLS PIPELINE II = 1
      const mantissa_t first = entry(step.a, step.gather_a, step.list, k);
      const mantissa_t second = entry(step.b, step.gather_b, step.list_b, k);
      const mantissa_t a = live_mantissa<F, A>(first, step.keeps);
      const mantissa_t b = live_mantissa<F, A>(second, step.keeps);
      const acc_t product = acc_t(a * b);
      const acc_t value = with_possible<F, ACC>(product, step.keeps && first != 0 && second != 0);
      accumulators[k] = value;
      all = acc_t(all | value);
    }
    finish(step, all,
           wide_exponent_t(exponents[step.a_exponent]) +
               wide_exponent_t(exponents[step.b_exponent]));
  }

  void align(const step_t &step) {
    const exponent_t a = exponents[step.a_exponent];
    const exponent_t b = exponents[step.b_exponent];
    const exponent_t common = F::select(a < b, b, a);
  first:
    for (unsigned k = 0; k < step.a_units; ++k) {
#pragma HLS PIPELINE II = 1
      state[step.target + k] = align_entry<F, A>(state[step.a + k], a, common, step.keeps);
    }
  second:
    for (unsigned k = 0; k < step.b_units; ++k) {
#pragma HLS PIPELINE II = 1
      state[step.target + step.a_units + k] =
          align_entry<F, A>(state[step.b + k], b, common, step.keeps);
    }
    exponents[step.target_exponent] = common;
  }

  /// \brief What all symbols of one INTERVAL step share.
  interval_scale_t<F, P> prepare(const step_t &step, const leaf_t &leaf) const {
    uint_t<F, SUM> total = 0;
  total_loop:
    for (unsigned k = 0; k < step.a_units; ++k) {
#pragma HLS PIPELINE II = 1
      total = uint_t<F, SUM>(total + state[step.a + k]);
    }
    return interval_scale<F, SUM, L, P>(
        total, floors_of<F, C::symbol_bits, P>(leaf.cardinality, unsigned(C::floor)));
  }

  /// \brief The lower end of a symbol's interval.
  bound_t bound(const step_t &step, const leaf_t &leaf, unsigned symbol,
                const interval_scale_t<F, P> &prepared) const {
    uint_t<F, MIX> weighted = 0;
  mixture:
    for (unsigned k = 0; k < step.a_units; ++k) {
#pragma HLS PIPELINE II = 1
      const uint_t<F, L + 1> below = cumulative(leaf, M::leaf(leaf.list + k), symbol);
      weighted = uint_t<F, MIX>(weighted + uint_t<F, A + L + 1>(state[step.a + k] * below));
    }
    return interval_bound<F, MIX, P>(
        weighted, floors_of<F, C::symbol_bits, P>(symbol, unsigned(C::floor)), prepared);
  }

  /// \brief All steps but INTERVAL.
  void run(const step_t &step) {
    switch (step.kind) {
    case INIT:
      return init(step);
    case LEAF:
      return leaf(step);
    case MULTIPLY:
      return multiply(step);
    case ALIGN:
      return align(step);
    case DOWN:
      return step.lists ? spread(step) : mix(step);
    default:
      return mix(step);
    }
  }

  /// \brief Read one record, in the order of the variables.
  void read(hls::stream<symbol_t> &in) {
  read_symbols:
    for (unsigned v = 0; v < C::variables; ++v) {
#pragma HLS PIPELINE II = 1
      symbols[v] = in.read();
    }
  }

  /// \brief Write one record, in the order of the variables.
  void write(hls::stream<symbol_t> &out) const {
  write_symbols:
    for (unsigned v = 0; v < C::variables; ++v) {
#pragma HLS PIPELINE II = 1
      out.write(symbols[v]);
    }
  }
};

} // namespace pcedge

#endif
