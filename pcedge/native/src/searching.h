// The search for the symbols of an INTERVAL.
#ifndef PCEDGE_SEARCHING_H
#define PCEDGE_SEARCHING_H

#include "coder.h"

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
    symbols[n] =
        (uint32_t)find(b, s, (size_t)n, scale, 0, decoder_of(decoders, (size_t)n), &start, &end);
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
    const uint32_t power = (uint32_t)(127 + p->scale_bits + 2) + c->down[n] - c->up[n],
                   word = power << 23;
    float factor;
    memcpy(&factor, &word, sizeof word);
    factor /= (float)(int32_t)c->scale[n];
    t->first[n] = whole_of((float)(int32_t)(parts[n] + 1) * factor);
    t->slope[n] = whole_of((float)p->floor * factor);
  }
}

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
  const uint32_t slope = whole_of((float)p->floor * factor);
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
    const int found =
        last_of(count_below(b, acc, first, slope, low, step), (size + step - 1) / step);
    if (step == 1) {
      const uint64_t last = found < ROW - 1 ? weighted[found + 1] : weigh_row(b, s, low + ROW);
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

#endif
