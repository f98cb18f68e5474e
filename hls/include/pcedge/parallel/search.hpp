// The unit INTERVAL of the parallel engine: an encoder's interval, a decoder's search.
#ifndef PCEDGE_SEARCH_HPP
#define PCEDGE_SEARCH_HPP

#include "packing.hpp"
#include "tables.hpp"

namespace pcedge {

/// A byte behind the last one of a decoder's lane: zero, and marked as none of it.
constexpr unsigned NO_BYTE = 256;

/// \brief Take the oldest digit or byte that is held; `NO_BYTE` where there is none.
template <class K> uint_t<typename K::F, 9> pop_byte(typename K::stream_t &s) {
#pragma HLS INLINE
  uint_t<typename K::F, 9> digit = NO_BYTE;
  const unsigned held = unsigned(s.holds);
  if (held == 0)
    return digit;
  digit = s.held[0];
shift:
  for (unsigned i = 1; i < K::HELD; ++i) {
#pragma HLS UNROLL
    s.held[i - 1] = s.held[i];
  }
  s.holds = typename K::held_t(held - 1);
  return digit;
}

/// \brief Tell whether a stream can do what an interval asks of its ends: an encoder has room for
/// its digits, a decoder has its bytes.
template <class K> bool ends_ready(const K &k, const typename K::stream_t &s) {
#pragma HLS INLINE
  if (k.encodes())
    return unsigned(s.holds) + K::SHIFTS <= K::HELD;
  return s.ended || unsigned(s.holds) >= K::SHIFTS;
}

template <class K>
typename K::bound_t bound_at(const typename K::stream_t &s, typename K::weighted_t weighted,
                             unsigned symbol) {
#pragma HLS INLINE
  PCEDGE_FITS(std::uint64_t(weighted), K::C::weighted_bits, "a weighted entry");
  return interval_bound<typename K::F, K::C::weighted_bits, K::P>(
      weighted, floors_of<typename K::F, K::C::symbol_bits, K::P>(symbol, unsigned(K::M::floor)),
      s.scale);
}

/// \brief Take the next byte of a decoder: its eight bits. How many of its window's are none is
/// counted.
template <class K>
uint_t<typename K::F, 8> next_byte(typename K::stream_t &s, uint_t<typename K::F, 9> byte) {
#pragma HLS INLINE
  const bool none = byte >= NO_BYTE && unsigned(s.unread) < unsigned(K::B / 8);
  s.unread = typename K::open_bytes_t(s.unread + (none ? 1 : 0));
  return uint_t<typename K::F, 8>(byte & 255);
}

/// \brief What a round of the search found.
/// \return whether the symbol is known
template <class K> bool search(K &k, typename K::stream_t &s) {
#pragma HLS INLINE
  using F = typename K::F;
  typename K::interval_t &w = k.interval;
  if (!s.bounded) {
    s.low = 0;
    s.high = bound_at<K>(s, typename K::weighted_t(typename K::weighted_t(w.total) << K::L),
                         w.leaf.cardinality);
    s.bounded = true;
  }
  // The first round takes the bits that are no whole round, so that probes lie in words of a level.
  const unsigned open = unsigned(s.open), bits = open - K::ROUND * probed_level<K>(s);
  unsigned found = unsigned(s.found);
  bool over = false;
probes:
  for (unsigned p = 0; p < K::PROBES; ++p) {
#pragma HLS UNROLL
    const unsigned at = probe<K>(s, p);
    // invariant: probes rise, so that the first one beyond the position bounds it from above
    if (p + 1 >= (1u << bits) || at >= w.leaf.cardinality || over)
      continue;
    const typename K::bound_t lower = bound_at<K>(s, w.weighted[p], at);
    if (range_reached<F, K::B, K::P>(s.coder, lower)) {
      found = at;
      s.low = lower;
    } else {
      s.high = lower;
      over = true;
    }
  }
  s.found = typename K::symbol_t(found);
  s.open = typename K::open_t(open - bits);
  if (open > bits)
    return false;
  s.keeps = true;
  s.kept = typename K::symbol_t(found);
  s.variable = typename K::variable_t(w.step.variable);
  const range_state_t<F, K::B> next = range_decode<F, K::B, K::P>(s.coder, s.low, s.high);
  if (k.job == UNPACK && !is_packed<K>(s, next)) {
    s.kept = typename K::symbol_t(K::E::MISSING);
    return true;
  }
  s.coder = next;
  s.damaged = s.damaged || range_left<F, K::B>(s.coder);
  s.coder = range_hold<F, K::B>(s.coder);
bytes:
  for (unsigned i = 0; i < K::SHIFTS; ++i) {
#pragma HLS UNROLL
    if (range_low_on_bits<F, K::B>(s.coder)) {
      s.coder = range_shift<F, K::B>(s.coder, next_byte<K>(s, pop_byte<K>(s)));
      s.shifted += 1;
    }
  }
  return true;
}

/// \brief Code a symbol between both ends of its interval; a missing one has no interval.
template <class K> void code(K &k, typename K::stream_t &s) {
#pragma HLS INLINE
  using F = typename K::F;
  typename K::interval_t &w = k.interval;
  const typename K::symbol_t given = k.operands[w.stream].symbol;
  const unsigned symbol = bounded_symbol<K>(given, w.leaf);
  if (given == typename K::symbol_t(K::E::MISSING) || s.over)
    return;
  const typename K::bound_t start = bound_at<K>(s, w.weighted[0], symbol);
  const typename K::bound_t end = bound_at<K>(s, w.weighted[1], symbol + 1);
  if (k.job == PACK) {
    pack<K>(s, start, end);
    return;
  }
  s.coder = range_encode<F, K::B, K::P>(s.coder, start, end);
bytes:
  for (unsigned i = 0; i < K::SHIFTS; ++i) {
#pragma HLS UNROLL
    if (range_low_on_bits<F, K::B>(s.coder)) {
      push_byte<K>(s, range_digit<F, K::B>(s.coder));
      s.coder = range_shift<F, K::B>(s.coder, 0);
    }
  }
}

/// \brief One cycle of the unit: some units of the context.
/// \return whether the stream's step is done
template <class K> bool work_interval(K &k) {
#pragma HLS INLINE
  using F = typename K::F;
  typename K::interval_t &w = k.interval;
  if (!w.busy)
    return false;
  typename K::stream_t &s = k.streams[w.stream];
  using total_t = uint_t<F, K::C::context_sum_bits>;
  using weighted_t = typename K::weighted_t;
  const unsigned next = unsigned(w.next), ends = k.decodes() ? K::PROBES : 2;
  total_t contexts[K::LANES];
  weighted_t below[K::POINTS][K::LANES];
#pragma HLS ARRAY_PARTITION variable = contexts complete
#pragma HLS ARRAY_PARTITION variable = below complete dim = 0
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    // A unit beyond the context weighs nothing.
    typename K::mantissa_t context = 0;
    if (next + e < w.step.a_units)
      context = k.operands[w.stream].a[e];
    contexts[e] = total_t(context);
  ends_loop:
    for (unsigned p = 0; p < K::POINTS; ++p) {
#pragma HLS UNROLL
      below[p][e] = weighted_t(0);
      if (p < ends)
        below[p][e] = weighted_t(uint_t<F, K::A + K::L + 1>(context * k.rows[e].at[p]));
    }
  }
  w.total = total_t(w.total + sum_of(contexts));
sums:
  for (unsigned p = 0; p < K::POINTS; ++p) {
#pragma HLS UNROLL
    w.weighted[p] = weighted_t(w.weighted[p] + sum_of(below[p]));
  }
  w.next = typename K::count_t(next + K::LANES);
  if (next + K::LANES < w.step.a_units)
    return false;
  w.busy = false;
  s.reading = false;
  PCEDGE_FITS(std::uint64_t(w.total), K::C::context_sum_bits, "the sum of a context");
  s.scale = interval_scale<F, K::C::context_sum_bits, K::L, K::P>(
      w.total, floors_of<F, K::C::symbol_bits, K::P>(w.leaf.cardinality, unsigned(K::M::floor)));
  if (k.decodes()) {
    s.after = 1 + INTERVAL_LATENCY;
    return search(k, s);
  }
  // Encoding goes on at once: nothing waits for an interval but the next one.
  s.after = 1;
  code(k, s);
  return true;
}

} // namespace pcedge

#endif
