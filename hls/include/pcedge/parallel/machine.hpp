// The parallel engine's state: streams of records, units, and what goes between them
// (docs/engine.md). One iteration of its loop, in scheduler.hpp, is one clock cycle.
#ifndef PCEDGE_MACHINE_HPP
#define PCEDGE_MACHINE_HPP

#include "../sequential/interpreter.hpp"
#include "registers.hpp"

namespace pcedge {

/// Counts clock cycles.
using cycle_t = std::uint64_t;

/// Ports of a memory: so many rows of a tile read one copy of a row table.
constexpr unsigned PORTS = 2;
/// Steps fetched in a cycle.
constexpr unsigned FETCHES = PORTS;

/// \brief A word between the engine and its ports.
struct word_t {
  std::uint32_t data;
  bool last; ///< of a record, a lane or an image
  bool end;  ///< not a word: the job has no more
};

constexpr unsigned ceil_div(unsigned a, unsigned b) { return (a + b - 1) / b; }

/// \brief Several streams of records over one set of units.
/// \tparam C configuration; beside engine_t's: streams, tile_rows * tile_columns multipliers of the
/// matrix-vector unit, lanes of the others, search_bits that a decoder finds in a round
/// \tparam M_ memories, blocks of weights in tiles
template <class C_, class M_> struct machine_t {
  using C = C_;
  using M = M_;
  using E = engine_t<C, M>;
  using F = typename C::integers;
  using acc_t = typename E::acc_t;
  using bound_t = typename E::bound_t;
  using mantissa_t = typename E::mantissa_t;
  using exponent_t = typename E::exponent_t;
  using wide_exponent_t = typename E::wide_exponent_t;
  using weight_t = typename E::weight_t;
  using symbol_t = typename E::symbol_t;
  using weighted_t = uint_t<F, C::weighted_bits>;
  static constexpr int A = C::state_bits, L = C::leaf_bits, P = C::scale_bits, B = C::range_bits;
  static constexpr int T = C::tail_bits;
  static constexpr unsigned S = C::streams, TR = C::tile_rows, TC = C::tile_columns;
  static constexpr unsigned LANES = C::lanes, ROUND = C::search_bits, PROBES = (1u << ROUND) - 1;
  static constexpr unsigned POINTS = PROBES > 2 ? PROBES : 2;
  /// Bytes that a symbol moves at most, and those that a stream holds.
  static constexpr unsigned SHIFTS = P / 8, HELD = SHIFTS + 2;
  static_assert(S >= 1 && TR >= 1 && TC >= 1 && LANES >= 1 && ROUND >= 1, "sizes must be positive");
  static_assert((LANES & (LANES - 1)) == 0, "lanes must be a power of two");
  static_assert(TC == LANES && LANES % TR == 0,
                "a tile must have a column, and a part of a row, a lane");
  /// Rows of a vector's accumulators: entry i is in lane i modulo LANES of row i / LANES.
  static constexpr unsigned UNIT_ROWS = ceil_div(C::max_units, LANES);
  /// Counts the entries of a vector, to the end of its last row.
  using count_t = uint_t<F, ceil_log2(C::max_units + int(LANES))>;
  /// A unit's accumulators: two vectors, one that the unit fills and one that its writer empties.
  using accumulators_t = memory_t<acc_t[LANES], 2 * UNIT_ROWS>;

  /// Kinds of units.
  enum unit_t { MIX = 0, VECTOR = 1, INTERVALS = 2 };

  /// What is left of a stream's job when its records are done.
  enum tail_t { RECORDS = 0, DIGITS = 1, LAST_RUN = 2, FINISHED = 3, PAYLOAD = 4, COUNT = 5 };

  /// Counts what came in or went out of a record, a result, or the first bytes of a lane.
  using moved_t = uint_t<F, ceil_log2(max_of(C::variables, max_of(B / 8, 2)) + 1)>;
  /// Counts bytes that a stream holds.
  using held_t = uint_t<F, ceil_log2(int(HELD) + 1)>;
  /// Counts bits of a symbol.
  using open_t = uint_t<F, ceil_log2(C::symbol_bits + 1)>;
  /// Counts bytes of a decoder's window that its packet does not have.
  using open_bytes_t = uint_t<F, ceil_log2(B / 8 + 1)>;
  /// What is left of a payload where a symbol of any probability has no room: P / 8 + 1 bytes, a carry.
  using cell_t = uint_t<F, P + 9>;
  /// Says which variable.
  using variable_t = uint_t<F, max_of(1, ceil_log2(C::variables))>;

  /// One stream: a record and where it stands.
  struct stream_t {
    bool side;              ///< which of both symbol memories the record at work has
    step_t step;            ///< the next step
    unsigned unit;          ///< which unit does it
    std::uint8_t fetched;   ///< cycles until `step` is valid
    std::uint8_t after;     ///< cycles until the interval before lets the next step begin
    std::uint32_t place;    ///< where the next step stands in the program
    std::uint32_t next;     ///< where the one after it stands
    bool more;              ///< whether there is one
    bool walked;            ///< whether all steps have begun
    moved_t moved;          ///< symbols of a record, or first bytes of a lane, that came
    moved_t sent;           ///< words of a result that went out
    std::uint32_t records;  ///< records still to come, with this one
    std::uint32_t pending;  ///< results that may not be read yet
    std::uint32_t left;     ///< records that have still to come in
    bool loaded;            ///< the next record, or the first bytes of a lane, are there
    bool padding, skipping; ///< a record was too short, or is too long
    bool working, wanted, valid, reading, storing;
    range_state_t<F, B> coder;
    carry_state_t<F> carry;
    memory_t<uint_t<F, 9>, HELD>
        held; ///< digits of an encoder, bytes of a decoder, the oldest first
    held_t holds;
    carried_t<F> owed; ///< what an encoder's last digit released
    tail_t tail;
    bool ended; ///< the last byte of a decoder's lane is held
    // What tells a damaged lane: its bytes, those that symbols moved, a position out of all intervals.
    std::uint32_t came, shifted;
    bool damaged;
    mantissa_t result;
    exponent_t result_exponent;
    // What a decoder's search knows: symbol, bits still open, both ends of its interval.
    symbol_t found;
    open_t open;
    // The symbol that a search has found, until it is in its memory.
    bool keeps;
    symbol_t kept;
    variable_t variable;
    bound_t low, high;
    bool bounded;
    interval_scale_t<F, P> scale;
    // A packet (packing.hpp).
    bool headed; ///< the word before it has come
    bool over;   ///< it holds no further symbol
    bool sure;   ///< it holds what its second rule says
    std::uint32_t
        count; ///< symbols that an encoder's holds, or of a decoder's record those before it
    open_bytes_t unread; ///< of a decoder's window
    std::uint16_t room;  ///< bytes of an encoder's payload that its window has not passed
    bool tight;          ///< a symbol of any probability has no room any more: since then,
    std::uint8_t rest;   ///< how many bytes of the payload are left,
    cell_t passed;       ///< which of them the window has passed,
    std::uint32_t safe;  ///< how many symbols the first whole cell of then says,
    cell_t safe_cell;    ///< which cell that is,
    std::uint32_t lower_says, upper_says; ///< and what both cells say in which the interval ends
  };

  /// What a unit reads of a stream's memories in a cycle, through ports that each have one address.
  struct operands_t {
    mantissa_t a[LANES], b[LANES];
    exponent_t a_exponent, b_exponent;
    symbol_t symbol;  ///< of the step's variable
    symbol_t leaving; ///< of the record that goes out
  };

  /// A result that may be read as soon as it has passed its unit's stages.
  struct landing_t {
    bool valid;
    unsigned stream, slot;
  };

  /// Accumulators on their way to the state memory.
  struct writer_t {
    bool busy;
    bool writes, ends; ///< in this cycle entries, and the exponent
    count_t first;     ///< which entries
    mantissa_t lanes[LANES];
    exponent_t made;
    unsigned stream;
    count_t next;
    step_t step;
    bool second; ///< which of both vectors it empties
    acc_t all;
    wide_exponent_t exponent;
    bool raw;
  };

  /// What a lane reads of its unit's leaf table in a cycle: entries at a symbol and the next one, or
  /// at all probes of a round.
  struct row_t {
    uint_t<F, L + 1> at[POINTS];
  };

  /// A step at work.
  struct worker_t {
    bool busy, done;
    unsigned stream, last;
    step_t step;
    leaf_t leaf;
    bool second;             ///< which of both vectors it fills; its writer has the other one
    acc_t all, sum;          ///< OR of all entries, and the sum of a list's terms so far
    acc_t sums[LANES];       ///< of a row of targets, over the tiles so far
    bool some;               ///< where entries may be possible without a value: a list's so far,
    bool somes[LANES];       ///< and a row's of targets
    count_t target, cleared; ///< where it stands: the first target of a beat
    unsigned source, end;    ///< the first source, or entry of lists, and the end of a list
    std::uint32_t tile, first_tile,
        stride;                   ///< address of a beat's tile, of source 0, and to the next
    std::uint32_t index;          ///< of a list: this entry's, or the next one's length
    weight_t weight;              ///< of this entry
    bool turned;                  ///< whether rows are turned rows of a table,
    typename E::turned_rows rows; ///< where these lie,
    std::uint32_t first_row;      ///< and the address of the first row's number and turn
  };

  /// An interval at work.
  struct interval_t {
    bool busy;
    unsigned stream, last;
    count_t next; ///< unit of the context
    step_t step;
    leaf_t leaf;
    uint_t<F, C::context_sum_bits> total;
    weighted_t weighted[POINTS];
  };

  /// Words of a bank of the state memory; entry i of it is in bank i modulo LANES.
  static constexpr unsigned ROWS = ceil_div(C::state_words, LANES);

  stream_t streams[S];
  memory_t<mantissa_t[LANES], ROWS> state[S];
  memory_t<exponent_t, C::exponent_slots> exponents[S];
  memory_t<symbol_t, C::variables>
      symbols[S][2]; ///< of the record at work, and of the next or the last one
  memory_t<bool, C::exponent_slots> ready[S]; ///< the value of a slot may be read
  operands_t operands[S];
  worker_t mix, vector;
  accumulators_t mix_accumulators, vector_accumulators;
  writer_t mix_writer, vector_writer;
  landing_t mix_landings[MIX_LATENCY + 1], vector_landings[VECTOR_LATENCY + 1];
  interval_t interval;
  row_t rows[LANES];              ///< of this cycle
  unsigned last_fetched, wanting; ///< streams that want their next step
  unsigned asked;                 ///< a bit a unit: some stream's next step is of it
  cycle_t now;
  job_t job;
  std::uint32_t status;

  /// Random bytes are decoded as any others.
  bool decodes() const { return job == DECODE || job == SAMPLE || job == UNPACK; }
  bool encodes() const { return job == ENCODE || job == PACK; }
};

/// \brief Tell whether a LEAF reads tables in this cycle; an INTERVAL then does not.
template <class K> bool leaf_reads(const K &k) {
#pragma HLS INLINE
  return k.vector.busy && !k.vector.done && k.vector.step.kind == LEAF;
}

/// \brief Tell whether a symbol that came is beyond the alphabet of its variable.
template <class K> bool is_beyond(typename K::symbol_t given, const leaf_t &leaf) {
#pragma HLS INLINE
  return given != typename K::symbol_t(K::E::MISSING) && unsigned(given) >= leaf.cardinality;
}

/// \brief The symbol of a step's variable, held within its alphabet.
template <class K> unsigned bounded_symbol(typename K::symbol_t given, const leaf_t &leaf) {
#pragma HLS INLINE
  const unsigned symbol = unsigned(given), last = leaf.cardinality - 1;
  return symbol > last ? last : symbol;
}

} // namespace pcedge

#endif
