// The parallel engine: several records in flight, several multiply-accumulates a cycle. One
// iteration of its loop is one clock cycle (docs/engine.md).
#ifndef PCEDGE_PARALLEL_HPP
#define PCEDGE_PARALLEL_HPP

#include "kernels.hpp"

namespace pcedge {

/// Counts clock cycles.
using cycle_t = std::uint64_t;

/// Cycles from an entry's last beat to when a reader may use it, beyond the writing itself; from the
/// last beat of an interval to what follows from it; from the request of a step to its numbers.
constexpr unsigned MIX_LATENCY = 4;
constexpr unsigned VECTOR_LATENCY = 3;
constexpr unsigned INTERVAL_LATENCY = 7;
constexpr unsigned FETCH_LATENCY = 1;

/// Steps fetched in a cycle: a memory has two ports.
constexpr unsigned FETCHES = 2;

/// What the engine does with the records of its streams.
enum job_t { LIKELIHOOD = 0, ENCODE = 1, DECODE = 2 };

constexpr unsigned ceil_div(unsigned a, unsigned b) { return (a + b - 1) / b; }

/// \brief Several streams of records over one set of units.
/// \tparam C configuration; beside engine_t's: streams, tile_rows * tile_columns multipliers of the
/// matrix-vector unit, lanes of the others, search_bits that a decoder finds in a round
/// \tparam M memories, blocks of weights in tiles
template <class C, class M> struct parallel_engine_t {
  using E = engine_t<C, M>;
  using F = typename C::integers;
  using acc_t = typename E::acc_t;
  using bound_t = typename E::bound_t;
  using mantissa_t = typename E::mantissa_t;
  using exponent_t = typename E::exponent_t;
  using wide_exponent_t = typename E::wide_exponent_t;
  using weight_t = typename E::weight_t;
  using symbol_t = typename E::symbol_t;
  using beat_t = lane_byte_t<F>;
  using coder_t = range_state_t<F, C::range_bits>;
  static constexpr int A = C::state_bits, L = C::leaf_bits, P = C::scale_bits, B = C::range_bits;
  static constexpr unsigned S = C::streams, TR = C::tile_rows, TC = C::tile_columns;
  static constexpr unsigned LANES = C::lanes, ROUND = C::search_bits, PROBES = (1u << ROUND) - 1;
  static_assert(S >= 1 && TR >= 1 && TC >= 1 && LANES >= 1 && ROUND >= 1, "sizes must be positive");

  /// Kinds of units.
  enum unit_t { MIX = 0, VECTOR = 1, INTERVALS = 2, UNITS = 3 };

  /// One stream: a record and where it stands.
  struct stream_t {
    mantissa_t state[C::state_words];
    exponent_t exponents[C::exponent_slots];
    symbol_t symbols[2][C::variables]; ///< of the record at work, and of the next or the last one
    bool side;                         ///< which of both the record at work has
    cycle_t ready[C::exponent_slots];  ///< when the value of a slot may be read
    bool written[C::exponent_slots];   ///< its entries are in the memory, or on their way
    step_t step;                       ///< the next step
    cycle_t fetched;                   ///< when `step` is valid
    cycle_t after;                     ///< when the interval before lets the next step begin
    std::uint32_t place;               ///< number of the next step
    std::uint32_t moved;               ///< symbols that came in, or went out
    std::uint32_t records;             ///< records still to come, with this one
    std::uint32_t pending;             ///< results on their way
    std::uint32_t left;                ///< records that have still to come in
    bool loaded;                       ///< the next record is there
    bool working, wanted, valid, reading, storing;
    coder_t coder;
    carry_state_t<F> carry;
    bool ended;
    // What a decoder's search knows: symbol, bits still open, both ends of its interval.
    std::uint32_t found, open;
    bound_t low, high;
    bool bounded;
    interval_scale_t<F, P> scale;
  };

  /// Accumulators on their way to the state memory.
  struct writer_t {
    bool busy;
    unsigned stream, next;
    step_t step;
    acc_t entries[C::max_units];
    acc_t all;
    wide_exponent_t exponent;
    bool raw;
  };

  /// A step at work.
  struct worker_t {
    bool busy, done;
    unsigned stream, last;
    step_t step;
    acc_t entries[C::max_units];
    acc_t all, sum;
    unsigned target, source, end, cleared; ///< where it stands
  };

  /// An interval at work.
  struct interval_t {
    bool busy;
    unsigned stream, last, next;
    step_t step;
    leaf_t leaf;
    uint_t<F, C::context_sum_bits> total;
    uint_t<F, C::weighted_bits> weighted[PROBES > 2 ? PROBES : 2];
  };

  stream_t streams[S];
  worker_t mix, vector;
  writer_t mix_writer, vector_writer;
  interval_t interval;
  unsigned last_fetched;
  cycle_t now;
  job_t job;

  static unsigned unit_of(const step_t &step) {
#pragma HLS INLINE
    if (step.kind == INTERVAL)
      return INTERVALS;
    return step.kind == UP || step.kind == DOWN || step.kind == LIST ? MIX : VECTOR;
  }

  static bool uses_a(const step_t &step) { return step.kind != INIT && step.kind != LEAF; }
  static bool uses_b(const step_t &step) { return step.kind == MULTIPLY || step.kind == ALIGN; }

  static bool is_ready(const stream_t &s, unsigned slot, cycle_t now) {
#pragma HLS INLINE
    return s.written[slot] && s.ready[slot] <= now;
  }

  /// \brief Tell whether a stream's next step may begin in a unit.
  bool may_issue(const stream_t &s, unsigned unit) const {
#pragma HLS INLINE
    if (!s.working || !s.valid || s.fetched > now || s.reading || s.after > now ||
        unit_of(s.step) != unit)
      return false;
    if (uses_a(s.step) && !is_ready(s, s.step.a_exponent, now))
      return false;
    return !uses_b(s.step) || is_ready(s, s.step.b_exponent, now);
  }

  /// \brief Take the first stream, round robin, whose next step may begin; S if there is none.
  unsigned choose(unsigned unit, unsigned last) const {
#pragma HLS INLINE
    unsigned chosen = S;
  candidates:
    for (unsigned n = S; n > 0; --n) {
#pragma HLS UNROLL
      const unsigned k = (last + n) % S;
      if (may_issue(streams[k], unit))
        chosen = k;
    }
    return chosen;
  }

  /// \brief What every issue does: the stream's sources are read from now on, its target is not yet
  /// there, and its next step is wanted.
  void begin(stream_t &s) {
#pragma HLS INLINE
    s.reading = true;
    if (s.step.kind != INTERVAL) {
      s.written[s.step.target_exponent] = false;
      s.pending += 1;
    }
  }

  void advance(stream_t &s) {
#pragma HLS INLINE
    s.valid = false;
    s.place += 1;
    const unsigned steps = job == LIKELIHOOD ? M::likelihood_steps : M::code_steps;
    s.wanted = s.place < steps;
  }

  void start(worker_t &w, unsigned unit) {
    const unsigned k = choose(unit, w.last);
    if (w.busy || k == S)
      return;
    stream_t &s = streams[k];
    w.busy = true;
    w.done = false;
    w.stream = w.last = k;
    w.step = s.step;
    w.all = w.sum = 0;
    w.target = w.source = w.cleared = 0;
    w.end = w.step.lists ? unsigned(M::index(w.step.list)) : 0;
    begin(s);
    advance(s);
  }

  /// \brief One cycle of the matrix-vector unit on a dense block: one tile of it.
  void tile(worker_t &w) {
    const step_t &step = w.step;
    const stream_t &s = streams[w.stream];
    const bool down = step.kind == DOWN;
    // A tile has rows for the units of the layer above: targets on the way up, sources down.
    const unsigned across = ceil_div(down ? step.units : step.a_units, TC);
    const unsigned row = (down ? w.source : w.target) * TR;
    const unsigned column = (down ? w.target : w.source) * TC;
    const unsigned rows = down ? step.a_units : step.units;
    const unsigned columns = down ? step.units : step.a_units;
    const unsigned base = step.weights + ((row / TR) * across + column / TC) * (TR * TC);
  rows_loop:
    for (unsigned r = 0; r < TR; ++r) {
#pragma HLS UNROLL
    columns_loop:
      for (unsigned c = 0; c < TC; ++c) {
#pragma HLS UNROLL
        const unsigned target = down ? column + c : row + r;
        const unsigned source = down ? row + r : column + c;
        if (row + r >= rows || column + c >= columns)
          continue;
        const bool fresh = w.source == 0 && (down ? r == 0 : c == 0);
        const acc_t before = fresh ? acc_t(0) : w.entries[target];
        w.entries[target] = multiply_accumulate<F, C::accumulator_bits, C::weight_bits + 1, A>(
            before, weight_t(M::weight(base + r * TC + c)), s.state[step.a + source]);
      }
    }
    w.source += 1;
    if (w.source < ceil_div(step.a_units, down ? TR : TC))
      return;
    const unsigned width = down ? TC : TR;
  combine:
    for (unsigned e = 0; e < (TR > TC ? TR : TC); ++e) {
#pragma HLS UNROLL
      if (e < width && w.target * width + e < step.units)
        w.all = acc_t(w.all | w.entries[w.target * width + e]);
    }
    w.source = 0;
    w.target += 1;
    w.done = w.target * width >= step.units;
  }

  /// \brief One cycle of UP or LIST by lists: one entry, or the end of a list.
  void listed(worker_t &w) {
    const step_t &step = w.step;
    if (w.source < w.end) {
      const unsigned source = M::index(step.list + step.units + w.source);
      const weight_t weight =
          step.values ? weight_t(M::weight(step.weights + w.source)) : weight_t(1);
      w.sum = multiply_accumulate<F, C::accumulator_bits, C::weight_bits + 1, A>(
          w.sum, weight, streams[w.stream].state[step.a + source]);
      w.source += 1;
      return;
    }
    w.entries[w.target] = w.sum;
    w.all = acc_t(w.all | w.sum);
    w.sum = 0;
    w.target += 1;
    w.done = w.target == step.units;
    if (!w.done)
      w.end += M::index(step.list + w.target);
  }

  /// \brief One cycle of DOWN by lists: some accumulators cleared, then one entry or the end of a row.
  void scattered(worker_t &w) {
    const step_t &step = w.step;
    if (w.cleared < step.units) {
    clear:
      for (unsigned e = 0; e < LANES; ++e) {
#pragma HLS UNROLL
        if (w.cleared + e < step.units)
          w.entries[w.cleared + e] = acc_t(0);
      }
      w.cleared += LANES;
      return;
    }
    if (w.source < w.end) {
      const unsigned target = M::index(step.list + step.a_units + w.source);
      w.entries[target] = multiply_accumulate<F, C::accumulator_bits, C::weight_bits + 1, A>(
          w.entries[target], weight_t(M::weight(step.weights + w.source)),
          streams[w.stream].state[step.a + w.target]);
      // The OR of all terms has as many bits as the largest entry at least, so it is made at the end.
      w.source += 1;
      return;
    }
    w.target += 1;
    w.done = w.target == step.a_units;
    if (!w.done)
      w.end += M::index(step.list + w.target);
  }

  /// \brief One cycle of a step that takes its entries one by one.
  void entries(worker_t &w) {
    const step_t &step = w.step;
    const stream_t &s = streams[w.stream];
    const bool single = step.kind == MULTIPLY && (step.gather_a || step.gather_b);
    const unsigned width = single ? 1 : LANES;
    const exponent_t a = s.exponents[step.a_exponent], b = s.exponents[step.b_exponent];
    const exponent_t common = F::select(a < b, b, a);
    const leaf_t leaf = E::leaf_of(step);
    const bool missing = s.symbols[s.side][step.variable] == symbol_t(E::MISSING);
    const unsigned symbol = bounded(s, step, leaf);
  lanes_loop:
    for (unsigned e = 0; e < LANES; ++e) {
#pragma HLS UNROLL
      const unsigned k = w.target + e;
      if (e >= width || k >= step.units)
        continue;
      acc_t value = acc_t(1L << (A - 1));
      if (step.kind == LEAF) {
        const unsigned number = M::leaf(leaf.list + k);
        value = leaf_count<F, L>(E::cumulative(leaf, number, symbol),
                                 E::cumulative(leaf, number, symbol + 1), missing);
      } else if (step.kind == MULTIPLY) {
        const unsigned first = step.gather_a ? unsigned(M::index(step.list + k)) : k;
        const unsigned second = step.gather_b ? unsigned(M::index(step.list_b + k)) : k;
        value = acc_t(s.state[step.a + first] * s.state[step.b + second]);
      } else if (step.kind == ALIGN) {
        const bool left = k < step.a_units;
        const unsigned source = left ? step.a + k : step.b + k - step.a_units;
        value = align_entry<F, A>(s.state[source], left ? a : b, common);
      }
      w.entries[k] = value;
      w.all = acc_t(w.all | value);
    }
    w.target += width;
    w.done = w.target >= step.units;
  }

  unsigned bounded(const stream_t &s, const step_t &step, const leaf_t &leaf) const {
#pragma HLS INLINE
    const unsigned symbol = unsigned(s.symbols[s.side][step.variable]);
    const unsigned last = leaf.cardinality - 1;
    return symbol > last ? last : symbol;
  }

  /// \brief The exponent of a step's exact entries.
  wide_exponent_t exponent_of(const step_t &step, const stream_t &s) const {
#pragma HLS INLINE
    const wide_exponent_t a = wide_exponent_t(s.exponents[step.a_exponent]);
    const wide_exponent_t b = wide_exponent_t(s.exponents[step.b_exponent]);
    switch (step.kind) {
    case INIT:
      return wide_exponent_t(1 - A);
    case LEAF:
      return wide_exponent_t(-L);
    case LIST:
      return a;
    case MULTIPLY:
      return a + b;
    case ALIGN:
      return F::select(a < b, b, a);
    default:
      return a - wide_exponent_t(C::weight_bits);
    }
  }

  /// \brief One cycle of a unit; when a step is done, its writer takes over as soon as it is free.
  void work(worker_t &w, writer_t &to) {
    if (!w.busy)
      return;
    if (!w.done) {
      if (w.step.kind == DOWN && w.step.lists)
        scattered(w);
      else if (w.step.kind == UP || w.step.kind == DOWN || w.step.kind == LIST)
        w.step.lists ? listed(w) : tile(w);
      else
        entries(w);
    }
    if (!w.done || to.busy)
      return;
    stream_t &s = streams[w.stream];
    to.busy = true;
    to.stream = w.stream;
    to.step = w.step;
    to.next = 0;
    to.all = w.all;
    to.raw = w.step.kind == INIT || w.step.kind == ALIGN;
    to.exponent = exponent_of(w.step, s);
  hand_over:
    for (unsigned k = 0; k < C::max_units; ++k) {
#pragma HLS UNROLL
      to.entries[k] = w.entries[k];
      if (w.step.kind == DOWN && w.step.lists && k < w.step.units)
        to.all = acc_t(to.all | w.entries[k]);
    }
    s.reading = false;
    w.busy = false;
  }

  /// \brief One cycle of a writer: some entries, normalised.
  void write(writer_t &w, unsigned latency) {
    if (!w.busy)
      return;
    stream_t &s = streams[w.stream];
    const typename E::length_t length = bit_length<F, C::accumulator_bits>(w.all);
  lanes_loop:
    for (unsigned e = 0; e < LANES; ++e) {
#pragma HLS UNROLL
      const unsigned k = w.next + e;
      if (k >= w.step.units)
        continue;
      const mantissa_t whole =
          normalise_entry<F, C::accumulator_bits, A>(w.entries[k], length, w.step.revive);
      s.state[w.step.target + k] = F::select(w.raw, mantissa_t(w.entries[k]), whole);
    }
    w.next += LANES;
    if (w.next < w.step.units)
      return;
    const exponent_t moved = normalise_exponent<F, A>(w.exponent, length, w.step.revive);
    s.exponents[w.step.target_exponent] = F::select(w.raw, exponent_t(w.exponent), moved);
    s.written[w.step.target_exponent] = true;
    s.ready[w.step.target_exponent] = now + 1 + latency;
    s.pending -= 1;
    w.busy = false;
  }

  /// \brief Begin an interval, or the next round of a decoder's search.
  void start_interval() {
    const unsigned k = choose(INTERVALS, interval.last);
    if (interval.busy || k == S)
      return;
    stream_t &s = streams[k];
    interval.busy = true;
    interval.stream = interval.last = k;
    interval.next = 0;
    interval.step = s.step;
    interval.leaf = E::leaf_of(s.step);
    interval.total = 0;
  clear:
    for (unsigned p = 0; p < (PROBES > 2 ? PROBES : 2); ++p) {
#pragma HLS UNROLL
      interval.weighted[p] = 0;
    }
    begin(s);
  }

  /// \brief The symbol whose lower end a probe of this round computes.
  unsigned probe(const stream_t &s, unsigned p) const {
#pragma HLS INLINE
    const unsigned bits = s.open < ROUND ? s.open : ROUND;
    return s.found + ((p + 1) << (s.open - bits));
  }

  /// \brief One cycle of the interval unit: some units of the context.
  void work_interval(hls::stream<beat_t> *in, hls::stream<beat_t> *out) {
    interval_t &w = interval;
    if (!w.busy)
      return;
    stream_t &s = streams[w.stream];
    const unsigned symbol = bounded(s, w.step, w.leaf);
    const unsigned ends = job == DECODE ? PROBES : 2;
  lanes_loop:
    for (unsigned e = 0; e < LANES; ++e) {
#pragma HLS UNROLL
      const unsigned k = w.next + e;
      if (k >= w.step.a_units)
        continue;
      const mantissa_t context = s.state[w.step.a + k];
      const unsigned number = M::leaf(w.leaf.list + k);
      w.total = uint_t<F, C::context_sum_bits>(w.total + context);
    ends_loop:
      for (unsigned p = 0; p < (PROBES > 2 ? PROBES : 2); ++p) {
#pragma HLS UNROLL
        if (p >= ends)
          continue;
        const unsigned at = job == DECODE ? probe(s, p) : symbol + p;
        const unsigned safe = at > w.leaf.cardinality ? w.leaf.cardinality : at;
        const uint_t<F, L + 1> below = E::cumulative(w.leaf, number, safe);
        w.weighted[p] =
            uint_t<F, C::weighted_bits>(w.weighted[p] + uint_t<F, A + L + 1>(context * below));
      }
    }
    w.next += LANES;
    if (w.next < w.step.a_units)
      return;
    w.busy = false;
    s.after = now + 1 + INTERVAL_LATENCY;
    s.scale = interval_scale<F, C::context_sum_bits, L, P>(
        w.total, uint_t<F, P>(w.leaf.cardinality * unsigned(C::floor)));
    if (job == DECODE) {
      search(s, w, in[w.stream]);
      return;
    }
    // Encoding goes on at once: nothing waits for an interval but the next one.
    if (s.symbols[s.side][w.step.variable] != symbol_t(E::MISSING)) {
      s.coder = range_encode<F, B, P>(s.coder, bound_at(s, w.weighted[0], symbol),
                                      bound_at(s, w.weighted[1], symbol + 1));
    bytes:
      for (int k = 0; k < P / 8; ++k) {
        if (range_low_on_bits<F, B>(s.coder)) {
          s.carry = put_digit<F>(s.carry, range_digit<F, B>(s.coder), out[w.stream]);
          s.coder = range_shift<F, B>(s.coder, 0);
        }
      }
    }
    s.after = now + 1;
    s.reading = false;
    advance(s);
  }

  bound_t bound_at(const stream_t &s, uint_t<F, C::weighted_bits> weighted, unsigned symbol) const {
#pragma HLS INLINE
    return interval_bound<F, C::weighted_bits, P>(weighted, bound_t(symbol * unsigned(C::floor)),
                                                  s.scale);
  }

  /// \brief What a round of the search found; after the last one the symbol is known.
  void search(stream_t &s, interval_t &w, hls::stream<beat_t> &in) {
    if (!s.bounded) {
      s.low = 0;
      s.high = bound_at(s, uint_t<F, C::weighted_bits>(uint_t<F, C::weighted_bits>(w.total) << L),
                        w.leaf.cardinality);
      s.bounded = true;
    }
    const unsigned bits = s.open < ROUND ? s.open : ROUND;
    unsigned found = s.found;
    bool over = false;
  probes:
    for (unsigned p = 0; p < PROBES; ++p) {
#pragma HLS UNROLL
      const unsigned at = probe(s, p);
      // invariant: probes rise, so that the first one beyond the position bounds it from above
      if (p + 1 >= (1u << bits) || at >= w.leaf.cardinality || over)
        continue;
      const bound_t lower = bound_at(s, w.weighted[p], at);
      if (range_reached<F, B, P>(s.coder, lower)) {
        found = at;
        s.low = lower;
      } else {
        s.high = lower;
        over = true;
      }
    }
    s.found = found;
    s.open -= bits;
    s.reading = false;
    if (s.open > 0)
      return;
    s.symbols[s.side][w.step.variable] = symbol_t(found);
    s.coder = range_decode<F, B, P>(s.coder, s.low, s.high);
  bytes:
    for (int k = 0; k < P / 8; ++k) {
      if (range_low_on_bits<F, B>(s.coder))
        s.coder = range_shift<F, B>(s.coder, lane_next<F>(in, s.ended));
    }
    advance(s);
  }

  /// \brief Fetch one stream's next step a cycle, round robin.
  void fetch() {
    unsigned chosen = S;
  candidates:
    for (unsigned n = S; n > 0; --n) {
#pragma HLS UNROLL
      const unsigned k = (last_fetched + n) % S;
      if (streams[k].wanted)
        chosen = k;
    }
    if (chosen == S)
      return;
    stream_t &s = streams[chosen];
    last_fetched = chosen;
    s.step = job == LIKELIHOOD ? decode_step<typename M::likelihood_program>(s.place)
                               : decode_step<typename M::code_program>(s.place);
    s.wanted = false;
    s.valid = true;
    s.fetched = now + 1 + FETCH_LATENCY;
    s.found = 0;
    s.bounded = false;
    s.open = s.step.kind == INTERVAL ? unsigned(bit_length<F, 32>(uint_t<F, 32>(
                                           M::variables::cardinality(s.step.variable) - 1)))
                                     : 0;
  }

  /// \brief One cycle of a stream's ends: a symbol in or out beside the work, a record begun or done.
  /// \return whether the stream has nothing left to do
  bool move(stream_t &s, hls::stream<symbol_t> &in, hls::stream<symbol_t> &out,
            hls::stream<likelihood_t<C>> &results) {
    const unsigned variables = C::variables;
    if (job == DECODE && s.storing) {
      out.write(s.symbols[!s.side][s.moved]);
      s.moved += 1;
      s.storing = s.moved < variables;
    } else if (job != DECODE && !s.loaded && s.left > 0) {
      s.symbols[!s.side][s.moved] = in.read();
      s.moved += 1;
      s.loaded = s.moved == variables;
    }
    const unsigned steps = job == LIKELIHOOD ? M::likelihood_steps : M::code_steps;
    const bool complete = s.working && s.place == steps && !s.reading && s.pending == 0 &&
                          s.after <= now &&
                          (job != LIKELIHOOD || is_ready(s, M::likelihood_result_exponent, now));
    // A decoder's record goes out while the next one is found.
    if (complete && !s.storing) {
      if (job == LIKELIHOOD) {
        likelihood_t<C> result;
        result.mantissa = s.state[M::likelihood_result];
        result.exponent = s.exponents[M::likelihood_result_exponent];
        results.write(result);
      }
      s.working = false;
      s.records -= 1;
      if (job == DECODE) {
        s.storing = true;
        s.moved = 0;
        s.side = !s.side;
      }
    }
    if (!s.working && (job == DECODE ? s.records > 0 : s.loaded)) {
      s.working = true;
      s.wanted = true;
      s.place = 0;
      if (job != DECODE) {
        s.side = !s.side;
        s.loaded = false;
        s.moved = 0;
        s.left -= 1;
      }
    }
    return s.records == 0 && !s.storing;
  }

  /// \brief Work on `records[k]` records of every stream k, as `what` says; give the clock cycles.
  cycle_t run(job_t what, hls::stream<symbol_t> *symbols, hls::stream<symbol_t> *found,
              hls::stream<beat_t> *coded, hls::stream<beat_t> *bytes,
              hls::stream<likelihood_t<C>> *results, const unsigned *records) {
    job = what;
    now = 0;
    mix.busy = vector.busy = interval.busy = mix_writer.busy = vector_writer.busy = false;
    mix.last = vector.last = interval.last = last_fetched = S - 1;
  reset:
    for (unsigned k = 0; k < S; ++k) {
      stream_t &s = streams[k];
      s.records = s.left = records[k];
      s.place = s.moved = s.pending = 0;
      s.side = s.loaded = s.working = s.wanted = s.valid = s.reading = s.storing = false;
      s.after = 0;
      s.coder = range_start<F, B>();
      s.carry = carry_start<F>();
      s.ended = false;
      if (job == DECODE) {
      first_bytes:
        for (int b = 0; b < B / 8; ++b)
          s.coder.low = uint_t<F, B + 1>(uint_t<F, B>(s.coder.low << 8) |
                                         uint_t<F, B>(lane_next<F>(coded[k], s.ended)));
      }
    }
    bool done = false;
  cycles:
    for (; !done; ++now) {
#pragma HLS PIPELINE II = 1
      write(mix_writer, MIX_LATENCY);
      write(vector_writer, VECTOR_LATENCY);
      work(mix, mix_writer);
      work(vector, vector_writer);
      work_interval(coded, bytes);
      start(mix, MIX);
      start(vector, VECTOR);
      start_interval();
    fetches:
      for (unsigned port = 0; port < FETCHES; ++port) {
#pragma HLS UNROLL
        fetch();
      }
      done = true;
    ends:
      for (unsigned k = 0; k < S; ++k) {
#pragma HLS UNROLL
        done = move(streams[k], symbols[k], found[k], results[k]) && done;
      }
    }
  flush:
    for (unsigned k = 0; k < S; ++k) {
      stream_t &s = streams[k];
      if (job == ENCODE && records[k] > 0) {
        s.carry = put_digit<F>(s.carry, range_flush<F, B>(s.coder), bytes[k]);
        end_lane<F>(s.carry, bytes[k]);
      }
      while (job == DECODE && !s.ended)
        (void)lane_next<F>(coded[k], s.ended);
    }
    return now;
  }
};

} // namespace pcedge

#endif
