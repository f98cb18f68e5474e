// Records of lanes: the search for symbols.
#ifndef PCEDGE_DECODING_H
#define PCEDGE_DECODING_H

#include "coder.h"
#include "records.h"

// Find a record's symbol: the greatest one whose interval begins at or below the position.
static int32_t find(const block_t *b, const pce_step *s, size_t n, scale_t scale, uint16_t flip,
                    decoder_t d, uint64_t *start, uint64_t *end) {
  const pce_program *p = b->program;
  const uint64_t unit = d.range >> p->scale_bits;
  int32_t low = 0, high = s->symbols;
  *start = 0;
  *end = bound_of(p, weighted_of(b, s, n, high, flip), high, scale);
  while (high - low > 1) {
    const int32_t middle = low + (high - low) / 2;
    const uint64_t bound = bound_of(p, weighted_of(b, s, n, middle, flip), middle, scale);
    if (unit * bound <= d.offset) {
      low = middle;
      *start = bound;
    } else {
      high = middle;
      *end = bound;
    }
  }
  return low;
}

static void find_each(block_t *b, const pce_step *s, const decoders_t *decoders, int count,
                      uint32_t *symbols, uint32_t *starts, uint32_t *ends) {
  uint64_t total[N], start, end;
  take_context(b, s, total);
  for (int n = 0; n < count; ++n) {
    const scale_t scale = scale_of(b, total[n], s->symbols);
    symbols[n] = (uint32_t)find(b, s, (size_t)n, scale, 0, decoder_of(decoders, (size_t)n), &start, &end);
    starts[n] = (uint32_t)start;
    ends[n] = (uint32_t)end;
  }
}

#ifdef PCE_FUSED
static inline uint32_t whole_of(float x) {
  const float half = x * 0.5f;
  return (uint32_t)(int32_t)(half < 2147483520.0f ? half : 2147483520.0f) << 1 | 1;
}

#endif

#ifdef PCE_LANES
// The greatest part of 2^P at or below each decoder's position: a float proposes, integers decide.
static void positions(const pce_program *p, const decoders_t *decoders, int count,
                      uint32_t *restrict parts) {
  const uint64_t *restrict offset = decoders->offset, *restrict range = decoders->range;
  const int P = p->scale_bits;
  FOR_LANES {
    // Integers below 2^52 as floats: their bits are those of 2^52 and more.
    const uint64_t above = UINT64_C(0x4330000000000000);
    const uint64_t left = offset[n] | above, right = range[n] >> P | above;
    double dividend, divisor;
    memcpy(&dividend, &left, sizeof left);
    memcpy(&divisor, &right, sizeof right);
    const double ratio = (dividend - 4503599627370496.0) / (divisor - 4503599627370496.0);
    parts[n] = (uint32_t)(int32_t)ratio;
  }
  uint64_t wrong = 0;
  FOR_LANES {
    const uint64_t unit = range[n] >> P;
    wrong |= (uint64_t)(unit * parts[n] > offset[n]) | (unit * (parts[n] + 1) <= offset[n]);
  }
  for (int n = 0; wrong && n < count; ++n) {
    const uint64_t unit = range[n] >> P;
    uint64_t part = parts[n];
    while (unit * part > offset[n])
      --part;
    while (unit * (part + 1) <= offset[n])
      ++part;
    parts[n] = (uint32_t)part;
  }
}

// Weighted entries up to which a symbol begins at or below the position, about: those of symbol x are `first` less
// x times `slope`. What they propose is checked.
typedef struct {
  uint32_t first[COLUMNS], slope[COLUMNS];
} thresholds_t;

static void take_thresholds(const pce_program *p, const scales_t *c, const uint32_t *parts,
                            thresholds_t *t) {
  FOR_LANES {
    const uint32_t power = (uint32_t)(127 + p->scale_bits + 2) + c->down[n] - c->up[n], word = power << 23;
    float factor;
    memcpy(&factor, &word, sizeof word);
    factor /= (float)(int32_t)c->scale[n];
    t->first[n] = whole_of((float)(int32_t)(parts[n] + 1) * factor);
    t->slope[n] = (uint32_t)(int32_t)((float)p->floor * factor);
  }
}
#endif

#ifdef PCE_LANES
// Search among every `stride`-th symbol, whose rows are weights for all records.
static void find_marks(block_t *b, const pce_step *s, const thresholds_t *t, uint32_t *low) {
  const int units = s->a_units, words = (units + 1) / 2;
  const uint32_t stride = (uint32_t)s->list_b;
  const int marks = (s->symbols + s->list_b - 1) / s->list_b;
  const uint32_t *rows = (const uint32_t *)(const void *)(b->program->pairs + s->list);
  const uint32_t *sums = b->program->sums + s->sums;
  const vec one = vec_set(1);
  for (size_t lane = 0; lane < N; lane += WIDTH) {
    interleave(b, b->state + (size_t)s->a * N + lane, units, 0);
    vec most[2], step[2], count[2] = {vec_set(0), vec_set(0)};
    vec_apart(vec_load(t->first + lane), vec_load(t->first + lane + LANES), most, most + 1);
    vec_apart(vec_load(t->slope + lane), vec_load(t->slope + lane + LANES), step, step + 1);
    for (int i = 0; i < 2; ++i)
      step[i] = vec_multiply(step[i], vec_set(stride));
    for (int k = 0; k < marks; k += ROWS) {
      vec acc[ROWS][2];
      accumulate(b, rows + k, vectors_of((size_t)marks), words, sums + k, acc);
      for (int r = 0; r < ROWS && k + r < marks; ++r)
        for (int i = 0; i < 2; ++i) {
          count[i] = vec_choose(acc[r][i], most[i], vec_add(count[i], one), count[i]);
          most[i] = vec_sub(most[i], step[i]);
        }
    }
    vec first, second;
    vec_order(count[0], count[1], &first, &second);
    vec_store(low + lane, vec_multiply(vec_sub(first, one), vec_set(stride)));
    vec_store(low + lane + LANES, vec_multiply(vec_sub(second, one), vec_set(stride)));
  }
}

// Find the symbols of a block whose weighted entries have at most 32 bits, all by the same halves.
static void find_all(block_t *b, const pce_step *s, const decoders_t *decoders, int count,
                     uint32_t *restrict low, uint32_t *restrict start, uint32_t *restrict end) {
  const pce_program *p = b->program;
  const uint32_t symbols = (uint32_t)s->symbols;
  const size_t padded = vectors_of((size_t)s->a_units);
  scales_t scales;
  thresholds_t thresholds;
  uint32_t parts[N], middle[N], rows[N], weighted[N] = {0};
  take_scales(b, s, &scales);
  positions(p, decoders, count, parts);
  take_thresholds(p, &scales, parts, &thresholds);
  uint32_t step = 1;
  if (s->list >= 0) {
    step = (uint32_t)s->list_b / 2;
    find_marks(b, s, &thresholds, low);
    // The lines of the first two halvings; what comes after lies beside them.
    for (int n = 0; n < count; ++n) {
      const int16_t *row = p->pairs + s->pairs + (size_t)low[n] * padded;
      __builtin_prefetch(row + step * padded);
      __builtin_prefetch(row + step / 2 * padded);
      __builtin_prefetch(row + 3 * step / 2 * padded);
    }
  } else {
    FOR_LANES low[n] = 0;
    while (2 * step < symbols)
      step *= 2;
  }
  for (; step; step /= 2) {
    FOR_LANES {
      middle[n] = low[n] + step;
      rows[n] = middle[n] < symbols ? middle[n] : 0;
    }
    weigh(b, s, rows, count, weighted);
    FOR_LANES {
      const uint32_t most = thresholds.first[n] - middle[n] * thresholds.slope[n];
      low[n] = middle[n] < symbols && weighted[n] <= most ? middle[n] : low[n];
    }
  }
  ends_of(b, s, &scales, low, count, start, end);
  for (int n = 0; n < count; ++n)
    if (start[n] > parts[n] || end[n] <= parts[n]) {
      uint64_t first, last;
      low[n] = (uint32_t)find(b, s, (size_t)n, scale_at(&scales, (size_t)n), FLIP,
                              decoder_of(decoders, (size_t)n), &first, &last);
      start[n] = (uint32_t)first;
      end[n] = (uint32_t)last;
    }
}
#endif

#ifdef PCE_UNITS
// How many of 16 weighted entries, those of every `step`-th symbol from `low` on, are at or below the position.
static inline int count_below(const block_t *b, const vec weighted[VECTORS], uint32_t first,
                              uint32_t slope, int low, int step) {
  const vec base = vec_set(first - (uint32_t)low * slope), each = vec_set((uint32_t)step * slope);
  int count = 0;
  for (int v = 0; v < VECTORS; ++v) {
    const vec taken = vec_multiply(vec_load(b->counting + v * LANES), each);
    count += vec_count_up_to(weighted[v], vec_sub(base, taken));
  }
  return count;
}

// The place of the last of `limit` entries that are at or below the position; the first one always is.
static inline int last_of(int count, int limit) {
  const int most = count < limit ? count : limit;
  return most > 0 ? most - 1 : 0;
}

// Find one record's symbol: among every `stride`-th one, then in rows of 16.
static uint32_t find_row(block_t *b, const pce_step *s, const decoders_t *decoders, uint32_t *start,
                         uint32_t *end) {
  const pce_program *p = b->program;
  const uint64_t part = decoders->offset[0] / (decoders->range[0] >> p->scale_bits);
  const scale_t scale = take_scale(b, s);
  const int symbols = s->symbols, words = (s->a_units + 1) / 2;
  // Weighted entries up to which a symbol begins at or below the position, about: what they propose is checked.
  const uint32_t power = (uint32_t)(127 + p->scale_bits + 2 + scale.amount) << 23;
  float factor;
  memcpy(&factor, &power, sizeof power);
  factor /= (float)(int32_t)scale.scale;
  const uint32_t first = whole_of((float)(int32_t)(part + 1) * factor);
  const uint32_t slope = (uint32_t)(int32_t)((float)p->floor * factor);
  vec acc[VECTORS];
  int low = 0, size = symbols;
  if (s->list >= 0) {
    const int stride = s->list_b, marks = (symbols + stride - 1) / stride;
    const size_t padded = vectors_of((size_t)marks);
    const uint32_t *weights = (const uint32_t *)(const void *)(p->pairs + s->list);
    int count = 0;
    for (int m = 0; m < marks && count == m; m += ROW) {
      if (words == ROW / 2 && padded == ROW)
        weigh_sources(b->sources, weights, ROW, ROW / 2, p->sums + s->sums, acc);
      else
        weigh_sources(b->sources, weights + m, padded, words, p->sums + s->sums + m, acc);
      count += count_below(b, acc, first, slope, m * stride, stride);
    }
    low = last_of(count, marks) * stride;
    size = symbols - low < stride ? symbols - low : stride;
  }
  uint32_t weighted[ROW];
  int step;
  do {
    step = (size + ROW - 1) / ROW;
    weigh_rows(b, s, low, step, weighted);
    for (int v = 0; v < VECTORS; ++v)
      acc[v] = vec_load(weighted + v * LANES);
    const int found = last_of(count_below(b, acc, first, slope, low, step), (size + step - 1) / step);
    if (step == 1) {
      const uint64_t last = found < ROW - 1 ? weighted[found + 1]
                                            : weigh_row(b, s, low + ROW);
      uint64_t begin = bound_of(p, weighted[found], low + found, scale);
      uint64_t after = bound_of(p, last, low + found + 1, scale);
      low += found;
      if (begin > part || after <= part) {
        memcpy(b->context, b->sources, (size_t)s->a_units * sizeof *b->context);
        low = find(b, s, 0, scale, FLIP, decoder_of(decoders, 0), &begin, &after);
      }
      *start = (uint32_t)begin;
      *end = (uint32_t)after;
    } else {
      low += found * step;
      size = size - found * step < step ? size - found * step : step;
    }
  } while (step > 1);
  return (uint32_t)low;
}
#endif

// Find the symbols of a block's next INTERVAL, and their ends.
static void find_symbols(block_t *b, const pce_step *s, const decoders_t *decoders, int count,
                         uint32_t *symbols, uint32_t *starts, uint32_t *ends) {
#ifdef PCE_UNITS
  if (s->pairs >= 0) {
    *symbols = find_row(b, s, decoders, starts, ends);
    return;
  }
#endif
#ifdef PCE_LANES
  if (s->pairs >= 0) {
    find_all(b, s, decoders, count, symbols, starts, ends);
    return;
  }
#endif
  find_each(b, s, decoders, count, symbols, starts, ends);
}

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
  if (quad_bitmap(quad_above(width, rest)) != (1u << QUADS) - 1 || quad_bitmap(quad_above(read, last)))
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
