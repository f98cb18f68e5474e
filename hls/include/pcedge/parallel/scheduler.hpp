// The parallel engine's loop: which step begins where, cycle by cycle (docs/engine.md, Rules).
#ifndef PCEDGE_SCHEDULER_HPP
#define PCEDGE_SCHEDULER_HPP

#include "ends.hpp"
#include "tables.hpp"
#include "units.hpp"

namespace pcedge {

template <class K> unsigned unit_of(const step_t &step) {
#pragma HLS INLINE
  if (step.kind == INTERVAL)
    return K::INTERVALS;
  return step.kind == UP || step.kind == DOWN || step.kind == LIST ? K::MIX : K::VECTOR;
}

/// \brief Tell whether a stream's next step may begin in a unit.
template <class K> bool may_issue(const K &k, unsigned stream, unsigned unit) {
#pragma HLS INLINE
  const typename K::stream_t &s = k.streams[stream];
  if (s.unit != unit || !s.working || !s.valid || s.reading || s.fetched > 0 || s.after > 0)
    return false;
  // The tables' port is for one unit a cycle.
  if (s.step.kind == LEAF && k.interval.busy)
    return false;
  const bool uses_a = s.step.kind != INIT && s.step.kind != LEAF;
  const bool uses_b = s.step.kind == MULTIPLY || s.step.kind == ALIGN;
  if (uses_a && !k.ready[stream][s.step.a_exponent])
    return false;
  if (uses_b && !k.ready[stream][s.step.b_exponent])
    return false;
  return unit != K::INTERVALS || ends_ready(k, s);
}

/// \brief Stream `last` + n, round robin.
template <class K> unsigned after(unsigned last, unsigned n) {
#pragma HLS INLINE
  const unsigned sum = last + n;
  return sum >= K::S ? sum - K::S : sum;
}

/// \brief Take the first stream, round robin, whose next step may begin; S if there is none.
template <class K> unsigned choose(const K &k, unsigned unit, unsigned last) {
#pragma HLS INLINE
  unsigned chosen = K::S;
candidates:
  for (unsigned n = K::S; n > 0; --n) {
#pragma HLS UNROLL
    const unsigned stream = after<K>(last, n);
    if (may_issue(k, stream, unit))
      chosen = stream;
  }
  return chosen;
}

/// \brief A stream's step is done or on its way: the next one is wanted.
template <class K> void advance(K &k, typename K::stream_t &s) {
#pragma HLS INLINE
  s.valid = false;
  s.place = s.next;
  s.wanted = s.more;
  s.walked = !s.more;
  k.wanting += s.wanted ? 1 : 0;
}

/// \brief Begin a step in a unit that is free.
template <class K> void start(K &k, typename K::worker_t &w, unsigned unit) {
#pragma HLS INLINE
  if (w.busy || (k.asked >> unit & 1) == 0)
    return;
  const unsigned chosen = choose(k, unit, w.last);
  if (chosen == K::S)
    return;
  typename K::stream_t &s = k.streams[chosen];
  w.busy = true;
  w.done = false;
  w.stream = w.last = chosen;
  w.step = s.step;
  if (unit == K::VECTOR) {
    w.leaf = K::E::leaf_of(s.step);
  } else {
    w.end = s.step.lists ? unsigned(K::M::index(s.step.list)) : 0;
    // Tiles follow each other along the sources upwards, along the targets down.
    w.tile = w.first_tile = s.step.weights / (K::TR * K::TC);
    w.stride = s.step.kind == DOWN ? ceil_div(s.step.units, K::TC) : 1;
    w.turned = K::E::is_turned(s.step);
    w.rows = K::E::turned_of(s.step);
    w.first_row = s.step.weights - K::M::turned_base;
  }
  w.all = w.sum = 0;
  w.some = false;
  w.target = w.cleared = 0;
  w.source = 0;
  // The sources are read from now on, and the target is not yet there.
  s.reading = true;
  k.ready[chosen][s.step.target_exponent] = false;
  s.pending += 1;
  advance(k, s);
}

/// \brief Begin an interval, or the next round of a decoder's search.
template <class K> void start_interval(K &k) {
#pragma HLS INLINE
  typename K::interval_t &w = k.interval;
  if (w.busy || leaf_reads(k) || (k.asked >> unsigned(K::INTERVALS) & 1) == 0)
    return;
  const unsigned chosen = choose(k, K::INTERVALS, w.last);
  if (chosen == K::S)
    return;
  typename K::stream_t &s = k.streams[chosen];
  w.busy = true;
  w.stream = w.last = chosen;
  w.next = 0;
  w.step = s.step;
  w.leaf = K::E::leaf_of(s.step);
  w.total = 0;
clear:
  for (unsigned p = 0; p < K::POINTS; ++p) {
#pragma HLS UNROLL
    w.weighted[p] = 0;
  }
  s.reading = true;
}

/// \brief Read a stream's next step, and where the one after it stands.
template <class P, class S> void fetch_step(S &s) {
#pragma HLS INLINE
  s.step = decode_step<P>(s.place);
  s.next = P::next(s.place);
  s.more = P::more(s.next) != 0;
}

/// \brief Fetch the next step of the first stream, round robin, that wants one.
template <class K> void fetch(K &k) {
#pragma HLS INLINE
  using M = typename K::M;
  if (k.wanting == 0)
    return;
  unsigned chosen = 0;
candidates:
  for (unsigned n = K::S; n > 0; --n) {
#pragma HLS UNROLL
    const unsigned stream = after<K>(k.last_fetched, n);
    if (k.streams[stream].wanted)
      chosen = stream;
  }
  typename K::stream_t &s = k.streams[chosen];
  k.last_fetched = chosen;
  k.wanting -= 1;
  // What comes next is read with the step, so that nothing waits for it when the step begins.
  if (k.job == LIKELIHOOD)
    fetch_step<typename M::likelihood_program>(s);
  else
    fetch_step<typename M::code_program>(s);
  s.unit = unit_of<K>(s.step);
  s.wanted = false;
  s.valid = true;
  s.fetched = 1 + FETCH_LATENCY;
  s.found = 0;
  s.bounded = false;
  s.open = 0;
  if (s.step.kind == INTERVAL)
    s.open = typename K::open_t(
        bit_length<typename K::F, 32>(M::variables::cardinality(s.step.variable) - 1u));
}

/// \brief Take all results from their way.
template <class L, unsigned STAGES> void clear(L (&line)[STAGES]) {
#pragma HLS INLINE
stages:
  for (unsigned i = 0; i < STAGES; ++i) {
#pragma HLS UNROLL
    line[i].valid = false;
  }
}

template <class K> void reset(K &k, job_t job, const std::uint32_t *records) {
  using F = typename K::F;
  k.job = job;
  k.now = 0;
  k.wanting = 0;
  k.mix.busy = k.vector.busy = k.interval.busy = k.mix_writer.busy = k.vector_writer.busy = false;
  k.mix_writer.writes = k.vector_writer.writes = false;
  clear(k.mix_landings);
  clear(k.vector_landings);
  k.mix.second = k.vector.second = false;
  k.mix.last = k.vector.last = k.interval.last = k.last_fetched = K::S - 1;
streams:
  for (unsigned n = 0; n < K::S; ++n) {
    typename K::stream_t &s = k.streams[n];
    s.records = s.left = records[n];
    s.place = s.next = s.pending = s.unit = 0;
    s.more = s.walked = false;
    s.moved = s.sent = 0;
    s.holds = 0;
    s.side = s.loaded = s.working = s.wanted = s.valid = s.reading = s.storing = false;
    s.padding = s.skipping = false;
    s.keeps = s.damaged = false;
    s.headed = job != PACK && job != UNPACK;
    s.over = s.sure = s.tight = false;
    s.count = 0;
    s.unread = 0;
    s.room = 0;
    s.passed = 0;
    s.rest = 0;
    s.came = s.shifted = 0;
    s.after = s.fetched = 0;
    s.coder = range_start<F, K::B>();
    s.carry = carry_start<F>();
    s.owed.run = 0;
    s.tail = s.records > 0 ? K::RECORDS : K::FINISHED;
    s.ended = s.records == 0;
  }
}

/// \brief Count down to zero.
inline void tick(std::uint8_t &left) {
#pragma HLS INLINE
  left = left == 0 ? 0 : std::uint8_t(left - 1);
}

/// \brief Work on `records[n]` records of every stream n.
/// \return the clock cycles until the last result was there; the ends of an encoder's lanes follow
template <class K>
cycle_t work_on(K &k, job_t job, hls::stream<word_t> *in, hls::stream<word_t> *out,
                const std::uint32_t *records) {
  reset(k, job, records);
  static_assert(VECTOR_LATENCY + 1 == 4 && MIX_LATENCY >= VECTOR_LATENCY, "distances below");
  cycle_t counted = 0;
  bool computed = false, done = false, finished = false;
#ifndef __SYNTHESIS__
  patience_t patience;
#endif
cycles:
  for (; !finished; ++k.now) {
#pragma HLS PIPELINE II = 1
    // Whether this iteration is the last one is known before it begins: the loop ends an iteration,
    // in which nothing moves, after all is done. A condition of the same iteration would make all
    // of it one path.
    finished = done;
// invariant: a value is read 1 + VECTOR_LATENCY cycles after it was written, or later, and its
// address is given again when its last reader has read. A pragma takes no name of a constant.
#pragma HLS DEPENDENCE variable = k.state inter RAW distance = 4 true
#pragma HLS DEPENDENCE variable = k.exponents inter RAW distance = 4 true
    k.asked = 0;
    read_lists(k);
  reads:
    for (unsigned n = 0; n < K::S; ++n) {
#pragma HLS UNROLL
      if ((k.streams[n].fetched | k.streams[n].after) != 0) {
        tick(k.streams[n].fetched);
        tick(k.streams[n].after);
      }
      k.asked |= (k.streams[n].valid ? 1u : 0u) << k.streams[n].unit;
      if (reads<K>(k.streams[n]))
        read_operands(k, n);
    }
    write<K>(k.mix_writer, k.mix_accumulators);
    write<K>(k.vector_writer, k.vector_accumulators);
  results:
    for (unsigned n = 0; n < K::S; ++n) {
#pragma HLS UNROLL
      if (k.mix_writer.writes || k.vector_writer.writes)
        write_results(k, n);
    }
    land(k, k.mix_landings, k.mix_writer);
    land(k, k.vector_landings, k.vector_writer);
    look_up(k);
    work<K::MIX>(k, k.mix, k.mix_accumulators, k.mix_writer, k.vector_writer);
    work<K::VECTOR>(k, k.vector, k.vector_accumulators, k.vector_writer, k.mix_writer);
    if (work_interval(k))
      advance(k, k.streams[k.interval.stream]);
    start(k, k.mix, K::MIX);
    start(k, k.vector, K::VECTOR);
    start_interval(k);
  fetches:
    for (unsigned port = 0; port < FETCHES; ++port) {
#pragma HLS UNROLL
      fetch(k);
    }
    bool idle = true;
  ends:
    for (unsigned n = 0; n < K::S; ++n) {
#pragma HLS UNROLL
      if (is_quiet(k, k.streams[n]))
        idle = false;
      else
        idle = move(k, n, in[n], out[n]) && idle;
    }
    done = idle;
#ifndef __SYNTHESIS__
    patience.cycle(k.mix.busy || k.vector.busy || k.interval.busy || k.mix_writer.busy ||
                   k.vector_writer.busy);
#endif
  tails:
    for (unsigned n = 0; n < K::S; ++n) {
#pragma HLS UNROLL
      done = done && is_empty(k, k.streams[n]);
    }
    if (idle && !computed)
      counted = k.now + 1;
    computed = idle;
  }
lanes:
  for (unsigned n = 0; n < K::S; ++n) {
#pragma HLS UNROLL
    if (job == DECODE && records[n] > 0 && is_damaged<K>(k.streams[n]))
      k.status |= BAD_LANE;
  }
  return counted;
}

} // namespace pcedge

#endif
