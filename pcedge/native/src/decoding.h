// Records of lanes: the search for symbols.
#ifndef PCEDGE_DECODING_H
#define PCEDGE_DECODING_H

#include "coder.h"
#include "records.h"

// Find a record's symbol: the greatest one whose interval begins at or below the position.
static int32_t find(const block_t *b, const pce_step *s, size_t n, scale_t scale,
                    const decoder_t *d, uint64_t *start, uint64_t *end) {
  const pce_program *p = b->program;
  const uint64_t unit = d->range >> p->scale_bits;
  int32_t low = 0, high = s->symbols;
  *start = 0;
  *end = bound_of(p, weighted_of(b, s, n, high), high, scale);
  while (high - low > 1) {
    const int32_t middle = low + (high - low) / 2;
    const uint64_t bound = bound_of(p, weighted_of(b, s, n, middle), middle, scale);
    if (unit * bound <= d->offset) {
      low = middle;
      *start = bound;
    } else {
      high = middle;
      *end = bound;
    }
  }
  return low;
}

// Fetch the lines of so many numbers. Always inline, as fetch_ahead.
static inline __attribute__((always_inline)) void fetch(const int16_t *numbers, size_t count) {
  for (size_t k = 0; k < count; k += 32)
    __builtin_prefetch(numbers + k);
}

static void find_each(block_t *b, const pce_step *s, const decoder_t *decoders, int count,
                      uint32_t *symbols, uint32_t *starts, uint32_t *ends) {
  uint64_t total[N], start, end;
  take_context(b, s, total);
  for (int n = 0; n < count; ++n) {
    const scale_t scale = scale_of(b, total[n], s->symbols);
    symbols[n] = (uint32_t)find(b, s, (size_t)n, scale, decoders + n, &start, &end);
    starts[n] = (uint32_t)start;
    ends[n] = (uint32_t)end;
  }
}

// The greatest part of 2^P at or below each decoder's position: a float proposes, integers decide.
static void positions(const pce_program *p, const decoder_t *decoders, int count,
                      uint32_t *restrict parts) {
  uint64_t unit[N], offset[N];
  FOR_LANES {
    const int taken = (int)n < count;
    unit[n] = taken ? decoders[n].range >> p->scale_bits : 1;
    offset[n] = taken ? decoders[n].offset : 0;
  }
  FOR_LANES {
    // Integers below 2^52 as floats: their bits are those of 2^52 and more.
    const uint64_t above = UINT64_C(0x4330000000000000);
    const uint64_t left = offset[n] | above, right = unit[n] | above;
    double dividend, divisor;
    memcpy(&dividend, &left, sizeof left);
    memcpy(&divisor, &right, sizeof right);
    const double ratio = (dividend - 4503599627370496.0) / (divisor - 4503599627370496.0);
    parts[n] = (uint32_t)(int32_t)ratio;
  }
  for (int n = 0; n < count; ++n) {
    uint64_t part = parts[n];
    while (unit[n] * part > offset[n])
      --part;
    while (unit[n] * (part + 1) <= offset[n])
      ++part;
    parts[n] = (uint32_t)part;
  }
}

// Find the symbols of a block whose weighted entries have at most 32 bits, all by the same halves.
static void find_all(block_t *b, const pce_step *s, const decoder_t *decoders, int count,
                     uint32_t *restrict low, uint32_t *restrict start, uint32_t *restrict end) {
  const pce_program *p = b->program;
  const uint32_t symbols = (uint32_t)s->symbols;
  const int padded = padded_of(s);
  scales_t scales;
  uint32_t parts[N], middle[N], rows[N], weighted[N] = {0}, bounds[N];
  take_scales(b, s, count, &scales);
  positions(p, decoders, count, parts);
  FOR_LANES {
    low[n] = start[n] = 0;
    weighted[n] = scales.total[n] << p->leaf_bits;
    middle[n] = symbols;
  }
  bounds_of(p, &scales, weighted, middle, end);
  uint32_t step = 1;
  while (2 * step < symbols)
    step *= 2;
  for (; step; step /= 2) {
    // First among every `stride`-th symbol, whose rows lie side by side, for all records to read.
    const uint32_t stride = s->list >= 0 && step >= (uint32_t)s->list_b ? (uint32_t)s->list_b : 1;
    const int shift = __builtin_ctz(stride);
    FOR_LANES {
      middle[n] = low[n] + step;
      rows[n] = middle[n] < symbols ? middle[n] >> shift : 0;
    }
    if (stride == 1 && 2 * step == (uint32_t)s->list_b)
      for (int n = 0; n < count; ++n)
        fetch(p->pairs + s->pairs + (size_t)low[n] * (size_t)padded, 2 * step * (size_t)padded);
    weigh(b, p->pairs + (stride > 1 ? s->list : s->pairs), padded, rows, count, weighted);
    bounds_of(p, &scales, weighted, middle, bounds);
    FOR_LANES {
      const int there = middle[n] < symbols, below = bounds[n] <= parts[n];
      low[n] = there && below ? middle[n] : low[n];
      start[n] = there && below ? bounds[n] : start[n];
      end[n] = there && !below ? bounds[n] : end[n];
    }
  }
}

static int decode_block(block_t *b, decoder_t *decoders, int64_t lanes, int64_t first, int columns,
                        int32_t strict, pce_records *out, int64_t *fault) {
  const pce_program *p = b->program;
  const pce_schedule *schedule = &p->code;
  for (int64_t base = first; base < out->count; base += lanes) {
    const int count = (int)(out->count - base < columns ? out->count - base : columns);
    if (schedule->given) // they stand where the records will
      load_from(b, out, base, count);
    for (int i = 0; i < schedule->count; ++i) {
      const pce_step *s = schedule->steps + i;
      if (s->op != INTERVAL) {
        run_step(b, schedule, s);
        continue;
      }
      uint32_t symbol[N], start[N], end[N];
      if (s->pairs >= 0)
        find_all(b, s, decoders, count, symbol, start, end);
      else
        find_each(b, s, decoders, count, symbol, start, end);
      for (int n = 0; n < count; ++n) {
        b->symbols[(size_t)s->variable * N + (size_t)n] = (int32_t)symbol[n];
        if (!decoder_take(decoders + n, p, start[n], end[n]) && strict) {
          fault[0] = first + n;
          return PCE_DAMAGED;
        }
      }
    }
    for (int n = 0; n < count; ++n) {
      if (strict && decoder_needed(decoders + n, p) > decoders[n].size) {
        fault[0] = first + n;
        fault[1] = decoder_needed(decoders + n, p);
        return PCE_SHORT;
      }
      for (int v = 0; v < p->variables; ++v)
        put_symbol(out, (base + n) * p->variables + v, b->symbols[(size_t)v * N + (size_t)n]);
    }
  }
  for (int n = 0; n < columns && strict == 1; ++n) {
    fault[0] = first + n;
    if (decoder_needed(decoders + n, p) != decoders[n].size) {
      fault[1] = decoder_needed(decoders + n, p);
      return PCE_LONG;
    }
    if (decoder_excess(decoders + n, p)) {
      fault[1] = decoder_excess(decoders + n, p);
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
    decoder_t decoders[N];
    const int columns = (int)(end - first < N ? end - first : N);
    for (int n = 0; n < columns; ++n) {
      const int64_t from = first + n ? ends[first + n - 1] : 0;
      decoder_start(decoders + n, p, data + from, ends[first + n] - from);
    }
    memset(b.symbols, 0, (size_t)p->variables * N * sizeof *b.symbols);
    status = decode_block(&b, decoders, lanes, first, columns, strict, out, fault);
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
