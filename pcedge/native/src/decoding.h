// Records of lanes.
#ifndef PCEDGE_DECODING_H
#define PCEDGE_DECODING_H

#include "records.h"
#include "searching.h"

#ifdef QUADS
// Take the intervals of QUADS columns from `first` on where all are inside and far from their ends; tell whether.
static inline int take_quads(decoders_t *d, const pce_program *p, int first, const uint32_t *start,
                             const uint32_t *end) {
  const quad range = quad_load(d->range + first), offset = quad_load(d->offset + first);
  const quad read = quad_load(d->read + first), three = quad_set(3), most = quad_set(64);
  const quad last = quad_sub(quad_load(d->size + first), quad_set(8));
  const quad begin = quad_of(start + first), unit = quad_right(range, quad_set(p->scale_bits));
  const quad rest = quad_sub(offset, quad_multiply(unit, begin));
  const quad width = quad_multiply(unit, quad_sub(quad_of(end + first), begin));
  if (quad_bitmap(quad_above(width, rest)) != (1u << QUADS) - 1 ||
      quad_bitmap(quad_above(read, last)))
    return 0;
  const quad bytes = quad_gather(quad_add(quad_load(d->bytes + first), read));
  const quad moves = quad_right(quad_sub(quad_set(p->range_bits), quad_bits(width)), three);
  const quad moved = quad_left(moves, three);
  const quad more = quad_right(quad_swapped(bytes), quad_sub(most, moved));
  quad_store(d->offset + first, quad_or(quad_left(rest, moved), more));
  quad_store(d->range + first, quad_left(width, moved));
  quad_store(d->read + first, quad_add(read, moves));
  return 1;
}
#endif

// Take the intervals of the first columns; tell which one leaves its interval first, or -1.
static int take_all(decoders_t *d, const pce_program *p, int count, const uint32_t *start,
                    const uint32_t *end) {
  int outside = -1, n = 0;
#ifdef QUADS
  const int quads = has_quads(p);
  for (; quads && n + QUADS <= count; n += QUADS) {
    if (take_quads(d, p, n, start, end))
      continue;
    for (int i = n; i < n + QUADS; ++i)
      if (!decoders_take(d, (size_t)i, p, start[i], end[i]) && outside < 0)
        outside = i;
  }
#endif
  for (; n < count; ++n)
    if (!decoders_take(d, (size_t)n, p, start[n], end[n]) && outside < 0)
      outside = n;
  return outside;
}

// Fetch the rows of the LEAF that follows an INTERVAL. Always inline, as fetch_ahead.
static inline __attribute__((always_inline)) void
fetch_leaf(const block_t *b, const pce_schedule *schedule, int i, int count) {
  if (i >= schedule->count || schedule->steps[i].op != LEAF)
    return;
  const pce_step *s = schedule->steps + i;
  const size_t padded = vectors_of((size_t)s->units);
  const int32_t *symbols = b->symbols + (size_t)s->variable * N;
  for (int n = 0; n < count; ++n)
    __builtin_prefetch(b->program->pairs + s->pairs + (size_t)symbols[n] * padded);
}

static int decode_block(block_t *b, decoders_t *decoders, int64_t lanes, int64_t first, int columns,
                        int32_t strict, pce_records *out, int64_t *fault) {
  const pce_program *p = b->program;
  const pce_schedule *schedule = &p->code;
  for (int64_t base = first; base < out->count; base += lanes) {
    const int count = (int)(out->count - base < columns ? out->count - base : columns);
    if (schedule->given) // they stand where the records will
      load_from(b, out, base, count);
    for (int i = 0; i < schedule->count; ++i) {
      const pce_step *s = schedule->steps + i;
#ifdef PCE_ONE
      fetch_unknown(b, schedule, i + AHEAD);
#endif
#ifdef PCE_UNITS
      if (s->op == LEAF && s->data >= 0 && s->units <= ROW && !schedule->scales &&
          leaf_of_rows(b, s))
        continue;
#endif
      if (s->op != INTERVAL) {
        run_step(b, schedule, s);
        continue;
      }
      uint32_t symbol[N], start[N], end[N];
      find_symbols(b, s, decoders, count, symbol, start, end);
      memcpy(b->symbols + (size_t)s->variable * N, symbol, (size_t)count * sizeof *symbol);
      fetch_leaf(b, schedule, i + 1, count);
      const int outside = take_all(decoders, p, count, start, end);
      if (outside >= 0 && strict) {
        fault[0] = first + outside;
        return PCE_DAMAGED;
      }
    }
    for (int n = 0; n < count; ++n) {
      const decoder_t d = decoder_of(decoders, (size_t)n);
      if (strict && decoder_needed(&d, p) > d.size) {
        fault[0] = first + n;
        fault[1] = decoder_needed(&d, p);
        return PCE_SHORT;
      }
      for (int v = 0; v < p->variables; ++v)
        put_symbol(out, (base + n) * p->variables + v, b->symbols[(size_t)v * N + (size_t)n]);
    }
  }
  for (int n = 0; n < columns && strict == 1; ++n) {
    const decoder_t d = decoder_of(decoders, (size_t)n);
    fault[0] = first + n;
    if (decoder_needed(&d, p) != d.size) {
      fault[1] = decoder_needed(&d, p);
      return PCE_LONG;
    }
    if (decoder_excess(&d, p)) {
      fault[1] = decoder_excess(&d, p);
      return PCE_FLUSH;
    }
  }
  return PCE_OK;
}

static int decode_lanes(const pce_program *p, const uint8_t *data, const int64_t *ends,
                        int64_t lanes, int64_t begin, int64_t end, int32_t strict, pce_records *out,
                        int64_t *fault) {
  block_t b;
  if (block_make(&b, p, &p->code))
    return PCE_MEMORY;
  int status = PCE_OK;
  for (int64_t first = begin; first < end && status == PCE_OK; first += N) {
    decoders_t decoders;
    const int columns = (int)(end - first < N ? end - first : N);
    FOR_LANES decoders_start(&decoders, n, p, data, 0);
    for (int n = 0; n < columns; ++n) {
      const int64_t from = first + n ? ends[first + n - 1] : 0;
      decoders_start(&decoders, (size_t)n, p, data + from, ends[first + n] - from);
    }
    memset(b.symbols, 0, (size_t)p->variables * N * sizeof *b.symbols);
    status = decode_block(&b, &decoders, lanes, first, columns, strict, out, fault);
  }
  block_free(&b);
  return status;
}

// Bytes of lanes while they grow.
typedef struct {
  uint8_t *bytes;
  size_t size, room;
} bytes_t;

static int append(bytes_t *all, const uint8_t *bytes, size_t size) {
  if (all->size + size > all->room) {
    const size_t room = 2 * (all->size + size) + 64;
    uint8_t *larger = realloc(all->bytes, room);
    if (!larger)
      return PCE_MEMORY;
    all->bytes = larger;
    all->room = room;
  }
  if (size)
    memcpy(all->bytes + all->size, bytes, size);
  all->size += size;
  return PCE_OK;
}

#endif
