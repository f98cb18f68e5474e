// The ports of the streams' memories (docs/engine.md, section Memories): in a cycle a stream's state
// memory gives two times as many entries as there are lanes, and takes as many as there are lanes.
#ifndef PCEDGE_OPERANDS_HPP
#define PCEDGE_OPERANDS_HPP

#include "machine.hpp"

namespace pcedge {

/// \brief Neighbouring entries of a vector, one a lane: those of lanes `from` to `to` - 1.
struct span_t {
  std::uint32_t base; ///< address of the entry of lane 0, modulo 2^32 where `from` is not 0
  unsigned from, to;
};

/// \brief Read neighbours: lane e has entry base + e, which lies in bank (base + e) modulo LANES, so
/// that each bank is read once, and words are turned to their lanes.
template <class K>
void read_span(const K &k, unsigned stream, const span_t &span,
               typename K::mantissa_t (&lanes)[K::LANES]) {
#pragma HLS INLINE
  if (span.from == span.to)
    return;
banks:
  for (unsigned bank = 0; bank < K::LANES; ++bank) {
#pragma HLS UNROLL
    const unsigned lane = (bank - span.base) & (K::LANES - 1);
    if (lane >= span.from && lane < span.to)
      lanes[lane] = k.state[stream][(span.base + lane) / K::LANES][bank];
  }
}

/// \brief So many lanes as there are, or as are left.
template <class K> unsigned lanes_of(unsigned left) {
#pragma HLS INLINE
  return left < K::LANES ? left : K::LANES;
}

/// \brief One cycle of MIX's port of the lists: an entry and its weight, or the length of the next
/// list.
template <class K> void read_lists(K &k) {
#pragma HLS INLINE
  typename K::worker_t &w = k.mix;
  const step_t &step = w.step;
  if (!w.busy || w.done || !step.lists)
    return;
  const unsigned lists = step.kind == DOWN ? step.a_units : step.units;
  const bool entry = w.source < w.end;
  const unsigned next = unsigned(w.target) + 1;
  if (entry || next < lists)
    w.index = K::M::index(step.list + (entry ? lists + w.source : next));
  w.weight = entry && step.values ? typename K::weight_t(K::M::weight(step.weights + w.source))
                                  : typename K::weight_t(1);
}

/// \brief What MIX reads in this cycle: sources of a tile, or one by a list.
template <class K> span_t mix_span(const typename K::worker_t &w) {
#pragma HLS INLINE
  const step_t &step = w.step;
  if (!step.lists) {
    const unsigned width = step.kind == DOWN ? K::TR : K::TC;
    const unsigned left = step.a_units - w.source;
    return {step.a + w.source, 0, left < width ? left : width};
  }
  if (step.kind == DOWN)
    return {step.a + unsigned(w.target), 0, 1};
  if (w.source >= w.end)
    return {step.a, 0, 0};
  return {step.a + w.index, 0, 1};
}

/// \brief What VECTOR reads in this cycle of source a, or b.
template <class K> span_t vector_span(const typename K::worker_t &w, bool second) {
#pragma HLS INLINE
  const step_t &step = w.step;
  const std::uint32_t base = second ? step.b : step.a;
  const unsigned target = unsigned(w.target), lanes = lanes_of<K>(step.units - target);
  if (step.kind == MULTIPLY) {
    if (!step.gather_a && !step.gather_b)
      return {base + target, 0, lanes};
    const bool gathered = second ? step.gather_b : step.gather_a;
    const unsigned entry =
        gathered ? K::M::index((second ? step.list_b : step.list) + target) : target;
    return {base + entry, 0, 1};
  }
  if (step.kind != ALIGN)
    return {base, 0, 0};
  // The entries of b follow those of a: lanes before `border` have a's.
  const unsigned left = step.a_units > target ? step.a_units - target : 0;
  const unsigned border = left < lanes ? left : lanes;
  if (second)
    return {step.b + target - step.a_units, border, lanes};
  return {step.a + target, 0, border};
}

/// \brief Tell whether a stream's memories are read in this cycle: not while it waits for its next
/// step.
template <class K> bool reads(const typename K::stream_t &s) {
#pragma HLS INLINE
  return s.reading || s.storing || (s.working && !s.wanted && !s.valid);
}

/// \brief One cycle of a stream's reading ports. Only one unit works on a stream at a time; where
/// none does, the likelihood is read.
template <class K> void read_operands(K &k, unsigned stream) {
#pragma HLS INLINE
  using M = typename K::M;
  const typename K::stream_t &s = k.streams[stream];
  typename K::operands_t &o = k.operands[stream];
  const bool mix = k.mix.busy && k.mix.stream == stream;
  const bool vector = k.vector.busy && k.vector.stream == stream;
  const bool interval = k.interval.busy && k.interval.stream == stream;
  const bool any = mix || vector || interval;
  // A value: hardware has no reference to one of several variables.
  step_t step = k.interval.step;
  if (mix)
    step = k.mix.step;
  else if (vector)
    step = k.vector.step;
  span_t a = {std::uint32_t(M::likelihood_result), 0, 1}, b = {0, 0, 0};
  if (mix)
    a = k.mix.done ? b : mix_span<K>(k.mix);
  else if (vector) {
    a = k.vector.done ? b : vector_span<K>(k.vector, false);
    b = k.vector.done ? b : vector_span<K>(k.vector, true);
  } else if (interval) {
    a.base = step.a + unsigned(k.interval.next);
    a.to = lanes_of<K>(step.a_units - unsigned(k.interval.next));
  }
  read_span(k, stream, a, o.a);
  read_span(k, stream, b, o.b);
  o.a_exponent =
      k.exponents[stream][any ? step.a_exponent : unsigned(M::likelihood_result_exponent)];
  o.b_exponent = k.exponents[stream][any ? step.b_exponent : 0];
  typename K::symbol_t read[2];
sides:
  for (unsigned side = 0; side < 2; ++side) {
#pragma HLS UNROLL
    const bool own = side == (s.side ? 1u : 0u);
    const unsigned place = own ? (any ? step.variable : 0) : unsigned(s.sent);
    read[side] = k.symbols[stream][side][place < unsigned(K::C::variables) ? place : 0];
  }
  o.symbol = read[s.side ? 1 : 0];
  o.leaving = read[s.side ? 0 : 1];
}

/// \brief One cycle of a stream's writing port: a writer's entries. Never do both writers have the
/// same stream.
template <class K> void write_results(K &k, unsigned stream) {
#pragma HLS INLINE
  const typename K::writer_t &m = k.mix_writer, &v = k.vector_writer;
  const bool mix = m.writes && m.stream == stream;
  if (!mix && !(v.writes && v.stream == stream))
    return;
  const unsigned first = unsigned(mix ? m.first : v.first);
  const std::uint32_t base = (mix ? m.step.target : v.step.target) + first;
  const unsigned lanes = lanes_of<K>((mix ? m.step.units : v.step.units) - first);
banks:
  for (unsigned bank = 0; bank < K::LANES; ++bank) {
#pragma HLS UNROLL
    const unsigned lane = (bank - base) & (K::LANES - 1);
    if (lane < lanes)
      k.state[stream][(base + lane) / K::LANES][bank] = mix ? m.lanes[lane] : v.lanes[lane];
  }
  if (mix ? m.ends : v.ends)
    k.exponents[stream][mix ? m.step.target_exponent : v.step.target_exponent] =
        mix ? m.made : v.made;
}

/// \brief One cycle of a unit's results: the one that has passed all stages may be read.
template <class K, unsigned STAGES>
void land(K &k, typename K::landing_t (&line)[STAGES], const typename K::writer_t &from) {
#pragma HLS INLINE
  if (line[0].valid) {
    k.ready[line[0].stream][line[0].slot] = true;
    k.streams[line[0].stream].pending -= 1;
  }
stages:
  for (unsigned i = 1; i < STAGES; ++i) {
#pragma HLS UNROLL
    line[i - 1] = line[i];
  }
  line[STAGES - 1].valid = from.writes && from.ends;
  line[STAGES - 1].stream = from.stream;
  line[STAGES - 1].slot = from.step.target_exponent;
}

} // namespace pcedge

#endif
