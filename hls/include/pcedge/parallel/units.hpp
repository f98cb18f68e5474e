// The units MIX and VECTOR of the parallel engine, and their writers (docs/engine.md).
#ifndef PCEDGE_UNITS_HPP
#define PCEDGE_UNITS_HPP

#include "operands.hpp"

namespace pcedge {

/// \brief The row of a unit's accumulators in which an entry of one of both vectors lies.
template <class K> unsigned accumulator_row(bool second, unsigned entry) {
#pragma HLS INLINE
  // Beyond one vector there is the other one.
  const unsigned within = PCEDGE_WITHIN(entry, unsigned(K::C::max_units), "accumulators");
  return (second ? K::UNIT_ROWS : 0) + within / K::LANES;
}

/// \brief The lane of an entry.
template <class K> unsigned lane_of(unsigned entry) {
#pragma HLS INLINE
  return entry & (K::LANES - 1);
}

/// \brief Store one entry.
template <class K>
void store_entry(typename K::accumulators_t &accumulators, const typename K::worker_t &w,
                 unsigned entry, typename K::acc_t value) {
#pragma HLS INLINE
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    if (e == lane_of<K>(entry))
      accumulators[accumulator_row<K>(w.second, entry)][e] = value;
  }
}

/// \brief The weights of a tile: one word of memory, or of rows of a table those that lie behind
/// each other from the rows' turns on, each in a bank of its own.
template <class K>
void read_tile(const typename K::worker_t &w, bool down,
               typename K::weight_t (&weights)[K::TR][K::TC]) {
#pragma HLS INLINE
  using M = typename K::M;
  const unsigned target = unsigned(w.target);
  const unsigned row = down ? w.source : target, column = down ? target : w.source;
  const unsigned rows = down ? w.step.a_units : w.step.units;
rows_loop:
  for (unsigned r = 0; r < K::TR; ++r) {
#pragma HLS UNROLL
    std::uint32_t start = 0;
    // Beyond the last row stands the first of the table, turned by nothing.
    if (w.turned)
      start = w.rows.place(M::turned_row(w.first_row + row + r), column);
  columns_loop:
    for (unsigned bank = 0; bank < K::TC; ++bank) {
#pragma HLS UNROLL
      const unsigned c = w.turned ? (bank - start) & (K::TC - 1) : bank;
      typename K::weight_t weight = 0;
      if (!w.turned)
        weight = typename K::weight_t(M::tile(w.tile, r * K::TC + c));
      else if (row + r < rows && column + c < w.rows.length)
        weight = typename K::weight_t(M::row_weight(r / PORTS, start + c));
      weights[r][c] = weight;
    }
  }
}

/// \brief What a tile adds to the targets of each lane: balanced sums over its columns up, over its
/// rows down. A source beyond the vector adds zero.
/// \param some whether the targets of each lane are possible, in a step that keeps
template <class K>
void tile_sums(const typename K::worker_t &w, const typename K::operands_t &o, bool down,
               typename K::acc_t (&lanes)[K::LANES], bool (&some)[K::LANES]) {
#pragma HLS INLINE
  using acc_t = typename K::acc_t;
  using mantissa_t = typename K::mantissa_t;
  mantissa_t sources[K::LANES];
  bool ways[K::TR];
#pragma HLS ARRAY_PARTITION variable = ways complete
  acc_t across[K::TR][K::TC], along[K::TC][K::TR];
  typename K::weight_t weights[K::TR][K::TC];
#pragma HLS ARRAY_PARTITION variable = weights complete dim = 0
#pragma HLS ARRAY_PARTITION variable = sources complete
#pragma HLS ARRAY_PARTITION variable = across complete dim = 0
#pragma HLS ARRAY_PARTITION variable = along complete dim = 0
sources_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    sources[e] = w.source + e < w.step.a_units ? o.a[e] : mantissa_t(0);
  }
  read_tile<K>(w, down, weights);
rows_loop:
  for (unsigned r = 0; r < K::TR; ++r) {
#pragma HLS UNROLL
    ways[r] = false;
  columns_loop:
    for (unsigned c = 0; c < K::TC; ++c) {
#pragma HLS UNROLL
      const typename K::weight_t weight = weights[r][c];
      across[r][c] = along[c][r] =
          tailed_entry<typename K::F, K::C::accumulator_bits, K::C::weight_bits + 1, K::A>(
              weight, live_mantissa<typename K::F, K::A>(sources[down ? r : c], w.step.keeps),
              w.step.tails, w.step.lift);
      ways[r] = ways[r] || (sources[c] != 0 && (w.step.tails || weight != 0));
    }
  }
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    some[e] = w.step.keeps && ways[e & (K::TR - 1)];
    lanes[e] = down ? sum_of(along[e]) : sum_of(across[e & (K::TR - 1)]);
  }
}

/// \brief One cycle of the matrix-vector unit on a dense block: one tile of it. A tile has rows for
/// the units of the layer above: targets on the way up, sources down.
template <class K>
void tile(K &k, typename K::worker_t &w, typename K::accumulators_t &accumulators) {
#pragma HLS INLINE
  using acc_t = typename K::acc_t;
  const step_t &step = w.step;
  const bool down = step.kind == DOWN;
  const unsigned targets = down ? K::TC : K::TR, sources = down ? K::TR : K::TC;
  const bool last = w.source + sources >= step.a_units;
  // The targets of a beat lie in one row of accumulators: all of its lanes, or some upwards.
  const unsigned target = unsigned(w.target), first = lane_of<K>(target), row = target - first;
  acc_t lanes[K::LANES];
  bool ways[K::LANES];
#pragma HLS ARRAY_PARTITION variable = lanes complete
#pragma HLS ARRAY_PARTITION variable = ways complete
  tile_sums<K>(w, k.operands[w.stream], down, lanes, ways);
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    const acc_t before = w.source == 0 ? acc_t(0) : w.sums[e];
    const acc_t sum = acc_t(before + lanes[e]);
    const bool some = ways[e] || (w.source != 0 && w.somes[e]);
    w.sums[e] = sum;
    w.somes[e] = some;
    const acc_t entry =
        with_possible<typename K::F, K::C::accumulator_bits>(sum, some, w.step.lift);
    const bool within = e >= first && e < first + targets && row + e < step.units;
    if (last && within) {
      accumulators[accumulator_row<K>(w.second, row)][e] = entry;
      w.all = acc_t(w.all | entry);
    }
  }
  w.first_tile += last ? 1 : 0;
  w.tile = last && down ? w.first_tile : w.tile + w.stride;
  w.source = last ? 0 : w.source + sources;
  const unsigned next = last ? target + targets : target;
  w.target = typename K::count_t(next);
  w.done = next >= step.units;
}

/// \brief One cycle of UP or LIST by lists: one entry, or the end of a list.
/// \param term the entry's weight times its source
/// \param some whether the entry makes the target possible, in a step that keeps
template <class K>
void listed(typename K::worker_t &w, typename K::accumulators_t &accumulators,
            typename K::acc_t term, bool some) {
#pragma HLS INLINE
  const unsigned target = unsigned(w.target);
  if (w.source < w.end) {
    w.sum = typename K::acc_t(w.sum + term);
    w.some = w.some || some;
    w.source += 1;
    return;
  }
  const typename K::acc_t entry =
      with_possible<typename K::F, K::C::accumulator_bits>(w.sum, w.some, w.step.lift);
  store_entry<K>(accumulators, w, target, entry);
  w.all = typename K::acc_t(w.all | entry);
  w.sum = 0;
  w.some = false;
  w.target = typename K::count_t(target + 1);
  w.done = target + 1 == w.step.units;
  if (!w.done)
    w.end += w.index;
}

/// \brief One cycle of DOWN by lists: some accumulators cleared, then one entry or the end of a row.
/// \param term the entry's weight times its source
template <class K>
void scattered(typename K::worker_t &w, typename K::accumulators_t &accumulators,
               typename K::acc_t term) {
#pragma HLS INLINE
  using acc_t = typename K::acc_t;
  const unsigned target = unsigned(w.target), cleared = unsigned(w.cleared);
  if (cleared < w.step.units) {
  clear:
    for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
      accumulators[accumulator_row<K>(w.second, cleared)][e] = 0;
    }
    w.cleared = typename K::count_t(cleared + K::LANES);
    return;
  }
  if (w.source < w.end) {
    const acc_t before = accumulators[accumulator_row<K>(w.second, w.index)][lane_of<K>(w.index)];
    const acc_t sum = acc_t(before + term);
    store_entry<K>(accumulators, w, w.index, sum);
    // invariant: an entry never falls, so that no sum on the way is longer than the last one, and
    // the OR of all has the length of the greatest
    w.all = acc_t(w.all | sum);
    w.source += 1;
    return;
  }
  w.target = typename K::count_t(target + 1);
  w.done = target + 1 == w.step.a_units;
  if (!w.done)
    w.end += w.index;
}

/// \brief One cycle of a step by lists, with one multiplier for both kinds.
template <class K>
void by_lists(K &k, typename K::worker_t &w, typename K::accumulators_t &accumulators) {
#pragma HLS INLINE
  const typename K::mantissa_t source = k.operands[w.stream].a[0];
  const typename K::acc_t term =
      weighted_entry<typename K::F, K::C::accumulator_bits, K::C::weight_bits + 1, K::A>(
          w.weight, live_mantissa<typename K::F, K::A>(source, w.step.keeps));
  if (w.step.kind == DOWN)
    scattered<K>(w, accumulators, term);
  else
    listed<K>(w, accumulators, term, w.step.keeps && source != 0 && w.weight != 0);
}

/// \brief One cycle of a step of VECTOR: an entry a lane, or one where sources are gathered.
template <class K>
void entries(K &k, typename K::worker_t &w, typename K::accumulators_t &accumulators) {
#pragma HLS INLINE
  using F = typename K::F;
  using acc_t = typename K::acc_t;
  const step_t &step = w.step;
  const typename K::operands_t &given = k.operands[w.stream];
  // What the sources weigh; ALIGN moves them as they are.
  typename K::operands_t o = given;
sources_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    o.a[e] = live_mantissa<F, K::A>(given.a[e], step.keeps);
    o.b[e] = live_mantissa<F, K::A>(given.b[e], step.keeps);
  }
  const bool single = step.kind == MULTIPLY && (step.gather_a || step.gather_b);
  const typename K::exponent_t a = o.a_exponent, b = o.b_exponent;
  const typename K::exponent_t common = F::select(a < b, b, a);
  const bool missing = o.symbol == typename K::symbol_t(K::E::MISSING);
  const bool tails = step.kind == LEAF && step.tails;
  const std::uint32_t tail =
      tails ? K::M::index(step.list + bounded_symbol<K>(o.symbol, w.leaf)) : 0;
  const unsigned target = unsigned(w.target);
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    // One entry goes to its own lane, whatever lane its sources came by.
    const unsigned from = single ? 0 : e, i = single ? target : target + e;
    if (i >= step.units || (single && e != lane_of<K>(target)))
      continue;
    acc_t value = acc_t(power_of_two<K::A - 1>());
    if (step.kind == LEAF) {
      value = leaf_entry<F, K::C::accumulator_bits, K::L, K::T>(
          leaf_count<F, K::L>(k.rows[e].at[0], k.rows[e].at[1], missing), tails, tail);
    } else if (step.kind == MULTIPLY) {
      value = with_possible<F, K::C::accumulator_bits>(
          acc_t(o.a[from] * o.b[from]), step.keeps && given.a[from] != 0 && given.b[from] != 0);
    } else if (step.kind == ALIGN) {
      const bool left = i < step.a_units;
      value =
          align_entry<F, K::A>(left ? given.a[e] : given.b[e], left ? a : b, common, step.keeps);
    }
    accumulators[accumulator_row<K>(w.second, target)][e] = value;
    w.all = acc_t(w.all | value);
  }
  const unsigned next = target + (single ? 1 : K::LANES);
  w.target = typename K::count_t(next);
  w.done = next >= step.units;
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
    return wide_t(step.tails ? -K::L - K::T : -K::L);
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
/// the other one does not write for the same stream, whose memory has one port to write. Nothing is
/// copied: the writer takes the vector, and the unit goes on with the one that was emptied.
/// \tparam UNIT which one it is, so that each has no more hardware than for its own steps
template <unsigned UNIT, class K>
void work(K &k, typename K::worker_t &w, typename K::accumulators_t &accumulators,
          typename K::writer_t &to, const typename K::writer_t &other) {
#pragma HLS INLINE
  if (!w.busy)
    return;
  if (!w.done) {
    if (UNIT == K::VECTOR)
      entries(k, w, accumulators);
    else if (w.step.lists)
      by_lists(k, w, accumulators);
    else
      tile(k, w, accumulators);
  }
  if (!w.done || to.busy || (other.busy && other.stream == w.stream))
    return;
  to.busy = true;
  to.stream = w.stream;
  to.step = w.step;
  to.next = 0;
  to.second = w.second;
  to.all = w.all;
  to.raw = w.step.kind == INIT || w.step.kind == ALIGN;
  to.exponent = exponent_of<K>(w.step, k.operands[w.stream]);
  w.second = !w.second;
  k.streams[w.stream].reading = false;
  w.busy = false;
}

/// \brief One cycle of a writer: some entries, normalised.
template <class K>
void write(typename K::writer_t &w, const typename K::accumulators_t &accumulators) {
#pragma HLS INLINE
  using F = typename K::F;
  constexpr int ACC = K::C::accumulator_bits;
  w.writes = w.busy;
  if (!w.busy)
    return;
  PCEDGE_FITS(std::uint64_t(w.all), ACC, "an accumulator");
  const unsigned next = unsigned(w.next);
  const typename K::E::length_t length = bit_length<F, ACC>(w.all);
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    if (next + e >= w.step.units)
      continue;
    const typename K::acc_t entry = accumulators[accumulator_row<K>(w.second, next)][e];
    const typename K::mantissa_t whole =
        normalise_entry<F, ACC, K::A>(entry, length, w.step.revive, w.step.keeps, w.step.lift);
    w.lanes[e] = F::select(w.raw, typename K::mantissa_t(entry), whole);
  }
  w.first = w.next;
  w.next = typename K::count_t(next + K::LANES);
  w.ends = next + K::LANES >= w.step.units;
  const typename K::exponent_t moved =
      normalise_exponent<F, K::A>(w.exponent, length, w.step.revive);
  w.made = F::select(w.raw, typename K::exponent_t(w.exponent), moved);
  PCEDGE_FITS(std::uint64_t(std::int64_t(w.made) + (std::int64_t(1) << (EXPONENT_BITS - 1))),
              EXPONENT_BITS, "an exponent, less the least one,");
  w.busy = !w.ends;
}

} // namespace pcedge

#endif
