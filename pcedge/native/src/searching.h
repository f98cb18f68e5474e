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
// Halves of the weighted entries up to which a symbol begins at or below the position, about: those of symbol x are
// `first` less x times `slope`, times `total`, which is known last. What they propose is checked.
typedef struct {
  float first, slope, total;
} limits_t;

// How many of 16 weighted entries, those of every `step`-th symbol from `low` on, are at or below the position.
static inline int count_below(const float *counting, const vec weighted[VECTORS], limits_t limits,
                              int low, int step) {
  const vec_floats first = vec_floats_set(limits.first - (float)low * limits.slope);
  const vec_floats slope = vec_floats_set((float)step * limits.slope);
  const vec_floats total = vec_floats_set(limits.total);
  int count = 0;
  for (int v = 0; v < VECTORS; ++v) {
    const vec_floats taken = vec_floats_multiply(vec_floats_load(counting + v * LANES), slope);
    const vec_floats most = vec_floats_multiply(vec_floats_sub(first, taken), total);
    count += vec_count_halves(weighted[v], most);
  }
  return count;
}

// The place of the last of `limit` entries that are at or below the position; the first one always is.
static inline int last_of(int count, int limit) {
  const int most = count < limit ? count : limit;
  return most > 0 ? most - 1 : 0;
}

// Among which symbols one record's is, by every `stride`-th one; gives the first of them.
static inline int find_mark(const block_t *b, const pce_step *s, limits_t limits) {
  const pce_program *p = b->program;
  const int stride = s->list_b, marks = (s->symbols + stride - 1) / stride;
  const int words = (s->a_units + 1) / 2;
  const size_t padded = vectors_of((size_t)marks);
  const uint32_t *weights = (const uint32_t *)(const void *)(p->pairs + s->list);
  const uint32_t *sums = p->sums + s->sums;
  vec acc[VECTORS];
  int count = 0;
#if LANES == 16
  if (words == ROW / 2 && padded == ROW) {
    acc[0] = weigh_16_units(b->state + s->a, weights, sums);
    return last_of(count_below(b->counting, acc, limits, 0, stride), marks) * stride;
  }
#endif
  for (int m = 0; m < marks && count == m; m += ROW) {
    weigh_sources(b->sources, weights + m, padded, words, sums + m, acc);
    count += count_below(b->counting, acc, limits, m * stride, stride);
  }
  return last_of(count, marks) * stride;
}

// Find one record's symbol: among every `stride`-th one, then in rows of 16.
static uint32_t find_row(block_t *b, const pce_step *s, const decoders_t *decoders, uint32_t *start,
                         uint32_t *end) {
  const pce_program *p = b->program;
  const uint64_t part = decoders->offset[0] / (decoders->range[0] >> p->scale_bits);
  const float whole = (float)(1 << p->leaf_bits) * 0.5f;
  const float per_part = whole / (float)((1 << p->scale_bits) - s->symbols * p->floor);
  const float first = (float)(int32_t)(part + 1) * per_part, slope = (float)p->floor * per_part;
  const uint32_t total = take_total(b, s);
  const limits_t limits = {first, slope, (float)(int32_t)total};
  const scale_t scale = scale_of(b, total, s->symbols);
  int low = 0, size = s->symbols;
  if (s->list >= 0) {
    low = find_mark(b, s, limits);
    size = size - low < s->list_b ? size - low : s->list_b;
  }
  uint32_t weighted[ROW];
  for (;;) {
    const int step = (size + ROW - 1) / ROW;
    vec acc[VECTORS];
#if LANES == 16
    if (step == 1 && s->a_units <= ROW && low + ROW <= s->symbols) {
      acc[0] = dots_of_16((const int16_t *)(const void *)b->sources,
                          p->pairs + s->pairs + (size_t)low * ROW);
      vec_store(weighted, acc[0]);
    } else
#endif
    {
      weigh_rows(b, s, low, step, weighted);
      for (int v = 0; v < VECTORS; ++v)
        acc[v] = vec_load(weighted + v * LANES);
    }
    const int found =
        last_of(count_below(b->counting, acc, limits, low, step), (size + step - 1) / step);
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
      return (uint32_t)low;
    }
    low += found * step;
    size = size - found * step < step ? size - found * step : step;
  }
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
