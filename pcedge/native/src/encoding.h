// Intervals of whole records, and their bytes in lanes.
#ifndef PCEDGE_ENCODING_H
#define PCEDGE_ENCODING_H

#include "coder.h"
#include "records.h"

#ifndef PCE_ONE
// Fetch the table rows of the next INTERVAL, whose symbols are known. Always inline: a compiler takes
// a function that only fetches for one without an effect, and drops its calls.
static inline __attribute__((always_inline)) void
fetch_ahead(const block_t *b, const pce_schedule *schedule, int i, int count) {
  for (++i; i < schedule->count; ++i) {
    const pce_step *s = schedule->steps + i;
    if ((s->op != INTERVAL || s->pairs < 0) && s->op != LEAF)
      continue;
    const size_t padded = vectors_of((size_t)(s->op == LEAF ? s->units : s->a_units));
    const int32_t *symbols = b->symbols + (size_t)s->variable * N;
    const int16_t *rows = b->program->pairs + s->pairs,
                  *next = rows + (s->op == INTERVAL ? padded : 0);
    for (int n = 0; n < count; ++n) {
      const size_t row = (size_t)(symbols[n] < 0 ? 0 : symbols[n]) * padded;
      __builtin_prefetch(rows + row);
      if (next != rows)
        __builtin_prefetch(next + row);
    }
    if (s->op == INTERVAL)
      return;
  }
}
#endif

#ifdef PCE_LANES
// The ends of one INTERVAL's symbols, of a block whose weighted entries have at most 32 bits.
static void step_intervals(block_t *b, const pce_step *s, int count, uint32_t *lo, uint32_t *hi) {
  const int32_t *symbols = b->symbols + (size_t)s->variable * N;
  scales_t scales;
  uint32_t known[N];
  take_scales(b, s, &scales);
  FOR_LANES known[n] = (uint32_t)(symbols[n] < 0 ? 0 : symbols[n]);
  ends_of(b, s, &scales, known, count, lo, hi);
  FOR_LANES {
    lo[n] = symbols[n] < 0 ? 0 : lo[n];
    hi[n] = symbols[n] < 0 ? 0 : hi[n];
  }
}
#endif

#ifdef PCE_UNITS
static void step_intervals(block_t *b, const pce_step *s, int count, uint32_t *lo, uint32_t *hi) {
  const pce_program *p = b->program;
  const int32_t symbol = b->symbols[s->variable];
  (void)count;
  *lo = *hi = 0;
  if (symbol < 0)
    return;
  const scale_t scale = scale_of(b, take_total(b, s), s->symbols);
#if LANES == 16
  if (s->a_units <= ROW) {
    const uint64_t ends = dots_of_2((const int16_t *)(const void *)b->sources,
                                    p->pairs + s->pairs + (size_t)symbol * ROW);
    *lo = (uint32_t)bound_of(p, (uint32_t)ends, symbol, scale);
    *hi = (uint32_t)bound_of(p, ends >> 32, symbol + 1, scale);
    return;
  }
#endif
  *lo = (uint32_t)bound_of(p, weigh_row(b, s, symbol), symbol, scale);
  *hi = (uint32_t)bound_of(p, weigh_row(b, s, symbol + 1), symbol + 1, scale);
}
#endif

// The same record by record.
static void step_intervals_wide(block_t *b, const pce_step *s, int count, uint32_t *lo,
                                uint32_t *hi) {
  const pce_program *p = b->program;
  uint64_t total[N];
  take_context(b, s, total);
  for (int n = 0; n < count; ++n) {
    const int32_t symbol = b->symbols[(size_t)s->variable * N + (size_t)n];
    if (symbol < 0) {
      lo[n] = hi[n] = 0;
      continue;
    }
    const scale_t scale = scale_of(b, total[n], s->symbols);
    lo[n] = (uint32_t)bound_of(p, weighted_of(b, s, (size_t)n, symbol, 0), symbol, scale);
    hi[n] = (uint32_t)bound_of(p, weighted_of(b, s, (size_t)n, symbol + 1, 0), symbol + 1, scale);
  }
}

// Both ends of the intervals of all records in a block: by place in the coding order, N records side by side. One
// record's encoder, where there is one, takes each at once.
static void block_intervals(block_t *b, int count, uint32_t *lo, uint32_t *hi, encoder_t *encoder) {
  const pce_schedule *schedule = &b->program->code;
  for (int i = 0; i < schedule->count; ++i) {
    const pce_step *s = schedule->steps + i;
#ifdef PCE_ONE
    fetch_known(b, schedule, i + AHEAD);
#endif
    if (s->op != INTERVAL) {
      run_step(b, schedule, s);
      continue;
    }
    const size_t at = (size_t)s->place * N;
#ifndef PCE_ONE
    fetch_ahead(b, schedule, i, count);
#endif
#ifdef PCE_FUSED
    if (s->pairs >= 0)
      step_intervals(b, s, count, lo + at, hi + at);
    else
#endif
      step_intervals_wide(b, s, count, lo + at, hi + at);
    if (encoder && lo[at] != hi[at])
      encoder_narrow(encoder, b->program, lo[at], hi[at]);
  }
}

static int intervals_of(const pce_program *p, const pce_records *r, int64_t *lo, int64_t *hi) {
  const size_t size = (size_t)p->variables * N;
  block_t b;
  uint32_t *ends = taken(2 * size, sizeof *ends);
  int status = ends ? block_make(&b, p, &p->code) : PCE_MEMORY;
  if (status) {
    free(ends);
    return status;
  }
  for (int64_t first = 0; first < r->count; first += N) {
    const int count = load_next(&b, r, first);
    block_intervals(&b, count, ends, ends + size, NULL);
    for (int n = 0; n < count; ++n)
      for (int v = 0; v < p->variables; ++v) {
        const size_t at = (size_t)v * N + (size_t)n;
        lo[(first + n) * p->variables + v] = ends[at];
        hi[(first + n) * p->variables + v] = ends[size + at];
      }
  }
  block_free(&b);
  free(ends);
  return PCE_OK;
}

#ifdef QUADS
// Narrow the ranges of `count` different encoders, a multiple of QUADS, whose records begin in column `first`.
static void narrow_quads(const pce_program *p, encoder_t *encoders, const int64_t *owner, int first,
                         int count, const uint32_t *lo, const uint32_t *hi) {
  uint64_t low[N], range[N], at[N];
  const int B = p->range_bits;
  const quad mask = quad_set((UINT64_C(1) << B) - 1), up = quad_set(64 - B), bits = quad_set(B);
  const quad scale = quad_set(p->scale_bits), three = quad_set(3), none = quad_set(0);
  for (int n = 0; n < count; ++n) {
    const encoder_t *e = encoders + owner[first + n];
    low[n] = e->low;
    range[n] = e->range;
    at[n] = (uint64_t)(uintptr_t)(e->bytes + e->size);
  }
  for (int v = 0; v < p->variables; ++v, lo += N, hi += N)
    for (int n = 0; n < count; n += QUADS) {
      const quad begin = quad_of(lo + first + n), end = quad_of(hi + first + n);
      const quad before = quad_load(range + n), old = quad_load(low + n);
      const quad unit = quad_right(before, scale);
      const quad sum = quad_add(old, quad_multiply(unit, begin));
      // What is known has an interval of no width, and narrows nothing.
      const quad width = quad_sub(end, begin);
      const quad wide = quad_choose(width, none, quad_multiply(unit, width), before);
      for (unsigned carries = quad_bitmap(quad_above(sum, mask)); carries; carries &= carries - 1) {
        uint8_t *byte = (uint8_t *)(uintptr_t)at[n + __builtin_ctz(carries)];
        while (++*--byte == 0)
          ;
      }
      const quad kept = quad_and(sum, mask), places = quad_load(at + n);
      const quad moves = quad_right(quad_sub(bits, quad_bits(wide)), three);
      const quad moved = quad_left(moves, three);
      quad_scatter(places, quad_swapped(quad_left(kept, up)));
      quad_store(at + n, quad_add(places, moves));
      quad_store(low + n, quad_and(quad_left(kept, moved), mask));
      quad_store(range + n, quad_left(wide, moved));
    }
  for (int n = 0; n < count; ++n) {
    encoder_t *e = encoders + owner[first + n];
    e->low = low[n];
    e->range = range[n];
    e->size = (size_t)((uint8_t *)(uintptr_t)at[n] - e->bytes);
  }
}
#endif

// Narrow the ranges of the block's records, in the order of the columns for each encoder.
static int narrow_block(const pce_program *p, encoder_t *encoders, const int64_t *owner, int count,
                        size_t room, const uint32_t *lo, const uint32_t *hi) {
  for (int first = 0; first < count;) {
    // As many columns side by side as there are different encoders: no one waits for another.
    int last = first + 1;
    while (last < count && owner[last] > owner[last - 1])
      ++last;
    for (int n = first; n < last; ++n)
      if (encoder_room(encoders + owner[n], room))
        return PCE_MEMORY;
#ifdef QUADS
    if (has_quads(p)) {
      const int whole = (last - first) / QUADS * QUADS;
      narrow_quads(p, encoders, owner, first, whole, lo, hi);
      first += whole;
    }
#endif
    for (int v = 0; first < last && v < p->variables; ++v)
      for (int n = first; n < last; ++n) {
        const size_t at = (size_t)v * N + (size_t)n;
        if (lo[at] != hi[at])
          encoder_narrow(encoders + owner[n], p, lo[at], hi[at]);
      }
    first = last;
  }
  return PCE_OK;
}

static int encode_lanes(const pce_program *p, const pce_records *r, int64_t lanes, int64_t begin,
                        int64_t end, pce_lanes *out) {
  const size_t size = (size_t)p->variables * N;
  const size_t most = (size_t)p->variables * (size_t)(p->scale_bits / 8) + ENCODER_SLACK;
  const int64_t mine = end - begin;
  block_t b;
  out->data = NULL;
  uint32_t *ends = taken(2 * size, sizeof *ends);
  encoder_t *encoders = taken((size_t)mine, sizeof *encoders);
  int status = ends && encoders ? block_make(&b, p, &p->code) : PCE_MEMORY;
  if (status) {
    free(ends);
    free(encoders);
    return status;
  }
  for (int64_t lane = 0; lane < mine; ++lane)
    encoders[lane].range = (UINT64_C(1) << p->range_bits) - 1;
  // Rounds of one record of each lane, record by record; a block is whatever N come next.
  int64_t round = 0, lane = begin, more = 1;
  while (more && status == PCE_OK) {
    int64_t owner[N], records[N];
    int count = 0;
    while (count < N) {
      const int64_t record = round * lanes + lane;
      if (record >= r->count && (lane == begin || round * lanes + begin >= r->count)) {
        more = 0;
        break;
      }
      if (record < r->count) {
        records[count] = record;
        owner[count++] = lane - begin;
      }
      if (++lane == end) {
        lane = begin;
        ++round;
      }
    }
    if (!count)
      break;
    load(&b, r, records, count);
    // Bytes of one record's symbols go out while the next ones are computed.
    encoder_t *alone = N == 1 ? encoders + *owner : NULL;
    if (alone)
      status = encoder_room(alone, most);
    if (status == PCE_OK)
      block_intervals(&b, count, ends, ends + size, alone);
    if (!alone)
      status = narrow_block(p, encoders, owner, count, most, ends, ends + size);
  }
  size_t total = 0;
  for (int64_t i = 0; i < mine && status == PCE_OK; ++i) {
    status = encoder_room(encoders + i, 1);
    if (status == PCE_OK)
      encoder_flush(encoders + i, p);
    total += encoders[i].size;
  }
  if (status == PCE_OK) {
    out->data = malloc(total ? total : 1);
    status = out->data ? PCE_OK : PCE_MEMORY;
  }
  size_t place = 0;
  for (int64_t i = 0; i < mine; ++i) {
    if (status == PCE_OK) {
      memcpy(out->data + place, encoders[i].bytes, encoders[i].size);
      out->ends[i] = (int64_t)(place += encoders[i].size);
    }
    free(encoders[i].bytes);
  }
  free(encoders);
  free(ends);
  block_free(&b);
  return status;
}

#endif
