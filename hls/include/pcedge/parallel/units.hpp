// The units MIX and VECTOR of the parallel engine, and their writers (docs/engine.md).
#ifndef PCEDGE_UNITS_HPP
#define PCEDGE_UNITS_HPP

#include "operands.hpp"

namespace pcedge {

/// \brief One cycle of the matrix-vector unit on a dense block: one tile of it.
template <class K> void tile(K &k, typename K::worker_t &w) {
#pragma HLS INLINE
  using acc_t = typename K::acc_t;
  using C = typename K::C;
  const step_t &step = w.step;
  const typename K::operands_t &o = k.operands[w.stream];
  const bool down = step.kind == DOWN;
  // A tile has rows for the units of the layer above: targets on the way up, sources down.
  const unsigned across = ceil_div(down ? step.units : step.a_units, K::TC);
  const unsigned row = (down ? w.source : w.target) * K::TR;
  const unsigned column = (down ? w.target : w.source) * K::TC;
  const unsigned rows = down ? step.a_units : step.units;
  const unsigned columns = down ? step.units : step.a_units;
  const unsigned place = step.weights / (K::TR * K::TC) + (row / K::TR) * across + column / K::TC;
rows_loop:
  for (unsigned r = 0; r < K::TR; ++r) {
#pragma HLS UNROLL
  columns_loop:
    for (unsigned c = 0; c < K::TC; ++c) {
#pragma HLS UNROLL
      const unsigned target = down ? column + c : row + r;
      if (row + r >= rows || column + c >= columns)
        continue;
      const bool fresh = w.source == 0 && (down ? r == 0 : c == 0);
      const acc_t before = fresh ? acc_t(0) : w.entries[target];
      const typename K::weight_t weight = K::M::tile(place, r * K::TC + c);
      w.entries[target] =
          multiply_accumulate<typename K::F, C::accumulator_bits, C::weight_bits + 1, K::A>(
              before, weight, o.a[down ? r : c]);
    }
  }
  w.source += 1;
  if (w.source < ceil_div(step.a_units, down ? K::TR : K::TC))
    return;
  const unsigned width = down ? K::TC : K::TR;
combine:
  for (unsigned e = 0; e < (K::TR > K::TC ? K::TR : K::TC); ++e) {
#pragma HLS UNROLL
    if (e < width && w.target * width + e < step.units)
      w.all = acc_t(w.all | w.entries[w.target * width + e]);
  }
  w.source = 0;
  w.target += 1;
  w.done = w.target * width >= step.units;
}

/// \brief One cycle of UP or LIST by lists: one entry, or the end of a list.
template <class K> void listed(K &k, typename K::worker_t &w) {
#pragma HLS INLINE
  const step_t &step = w.step;
  if (w.source < w.end) {
    w.sum = multiply_accumulate<typename K::F, K::C::accumulator_bits, K::C::weight_bits + 1, K::A>(
        w.sum, w.weight, k.operands[w.stream].a[0]);
    w.source += 1;
    return;
  }
  w.entries[w.target] = w.sum;
  w.all = typename K::acc_t(w.all | w.sum);
  w.sum = 0;
  w.target += 1;
  w.done = w.target == step.units;
  if (!w.done)
    w.end += w.index;
}

/// \brief One cycle of DOWN by lists: some accumulators cleared, then one entry or the end of a row.
template <class K> void scattered(K &k, typename K::worker_t &w) {
#pragma HLS INLINE
  const step_t &step = w.step;
  if (w.cleared < step.units) {
  clear:
    for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
      if (w.cleared + e < step.units)
        w.entries[w.cleared + e] = 0;
    }
    w.cleared += K::LANES;
    return;
  }
  if (w.source < w.end) {
    w.entries[w.index] =
        multiply_accumulate<typename K::F, K::C::accumulator_bits, K::C::weight_bits + 1, K::A>(
            w.entries[w.index], w.weight, k.operands[w.stream].a[0]);
    // The OR of all terms has as many bits as the largest entry at least, so it is made at the end.
    w.source += 1;
    return;
  }
  w.target += 1;
  w.done = w.target == step.a_units;
  if (!w.done)
    w.end += w.index;
}

/// \brief One cycle of a step that takes its entries one by one.
template <class K> void entries(K &k, typename K::worker_t &w) {
#pragma HLS INLINE
  using F = typename K::F;
  using acc_t = typename K::acc_t;
  const step_t &step = w.step;
  const typename K::operands_t &o = k.operands[w.stream];
  const bool single = step.kind == MULTIPLY && (step.gather_a || step.gather_b);
  const unsigned width = single ? 1 : K::LANES;
  const typename K::exponent_t a = o.a_exponent, b = o.b_exponent;
  const typename K::exponent_t common = F::select(a < b, b, a);
  const bool missing = o.symbol == typename K::symbol_t(K::E::MISSING);
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    const unsigned i = w.target + e;
    if (e >= width || i >= step.units)
      continue;
    acc_t value = acc_t(power_of_two<K::A - 1>());
    if (step.kind == LEAF) {
      value = leaf_count<F, K::L>(k.rows[e].at[0], k.rows[e].at[1], missing);
    } else if (step.kind == MULTIPLY) {
      value = acc_t(o.a[e] * o.b[e]);
    } else if (step.kind == ALIGN) {
      const bool left = i < step.a_units;
      value = align_entry<F, K::A>(left ? o.a[e] : o.b[e], left ? a : b, common);
    }
    w.entries[i] = value;
    w.all = acc_t(w.all | value);
  }
  w.target += width;
  w.done = w.target >= step.units;
}

/// \brief The exponent of a step's exact entries.
template <class K>
typename K::wide_exponent_t exponent_of(const step_t &step, const typename K::operands_t &o) {
#pragma HLS INLINE
  using wide_t = typename K::wide_exponent_t;
  const wide_t a = wide_t(o.a_exponent);
  const wide_t b = wide_t(o.b_exponent);
  switch (step.kind) {
  case INIT:
    return wide_t(1 - K::A);
  case LEAF:
    return wide_t(-K::L);
  case LIST:
    return a;
  case MULTIPLY:
    return a + b;
  case ALIGN:
    return K::F::select(a < b, b, a);
  default:
    return a - wide_t(K::C::weight_bits);
  }
}

/// \brief One cycle of a unit; when a step is done, its writer takes over as soon as it is free and
/// the other one does not write for the same stream, whose memory has one port to write.
template <class K>
void work(K &k, typename K::worker_t &w, typename K::writer_t &to,
          const typename K::writer_t &other) {
#pragma HLS INLINE
  if (!w.busy)
    return;
  if (!w.done) {
    if (w.step.kind == DOWN && w.step.lists)
      scattered(k, w);
    else if (w.step.kind == UP || w.step.kind == DOWN || w.step.kind == LIST)
      w.step.lists ? listed(k, w) : tile(k, w);
    else
      entries(k, w);
  }
  if (!w.done || to.busy || (other.busy && other.stream == w.stream))
    return;
  to.busy = true;
  to.stream = w.stream;
  to.step = w.step;
  to.next = 0;
  to.all = w.all;
  to.raw = w.step.kind == INIT || w.step.kind == ALIGN;
  to.exponent = exponent_of<K>(w.step, k.operands[w.stream]);
hand_over:
  for (unsigned i = 0; i < K::C::max_units; ++i) {
#pragma HLS UNROLL
    to.entries[i] = w.entries[i];
    if (w.step.kind == DOWN && w.step.lists && i < w.step.units)
      to.all = typename K::acc_t(to.all | w.entries[i]);
  }
  k.streams[w.stream].reading = false;
  w.busy = false;
}

/// \brief One cycle of a writer: some entries, normalised.
template <class K> void write(typename K::writer_t &w) {
#pragma HLS INLINE
  using F = typename K::F;
  constexpr int ACC = K::C::accumulator_bits;
  w.writes = w.busy;
  if (!w.busy)
    return;
  PCEDGE_FITS(std::uint64_t(w.all), ACC, "an accumulator");
  const typename K::E::length_t length = bit_length<F, ACC>(w.all);
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    const unsigned i = w.next + e;
    if (i >= w.step.units)
      continue;
    const typename K::mantissa_t whole =
        normalise_entry<F, ACC, K::A>(w.entries[i], length, w.step.revive);
    w.lanes[e] = F::select(w.raw, typename K::mantissa_t(w.entries[i]), whole);
  }
  w.first = w.next;
  w.next += K::LANES;
  w.ends = w.next >= w.step.units;
  const typename K::exponent_t moved =
      normalise_exponent<F, K::A>(w.exponent, length, w.step.revive);
  w.made = F::select(w.raw, typename K::exponent_t(w.exponent), moved);
  PCEDGE_FITS(std::uint64_t(std::int64_t(w.made) + (std::int64_t(1) << (EXPONENT_BITS - 1))),
              EXPONENT_BITS, "an exponent, less the least one,");
  w.busy = !w.ends;
}

} // namespace pcedge

#endif
