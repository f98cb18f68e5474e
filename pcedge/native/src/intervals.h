// Intervals of symbols within 2^P (docs/arithmetic.md, section Intervals): on vectors where a step has tables of
// 16 bits and the instruction set has them, else record by record.
#ifndef PCEDGE_INTERVALS_H
#define PCEDGE_INTERVALS_H

#include "steps.h"

#define RECIPROCAL_BITS 16

// What all bounds of one record's context share.
typedef struct {
  int amount;
  uint64_t scale;
} scale_t;

static inline uint64_t reciprocal(const block_t *b, uint64_t divisor) {
  if (divisor == 1u << RECIPROCAL_BITS)
    return 1u << 17;
  const uint64_t start = b->reciprocals[(divisor >> 7) - 256];
  return start * (((UINT64_C(1) << 32) - divisor * start) >> 14) >> 15;
}

static inline scale_t scale_of(const block_t *b, uint64_t total, int symbols) {
  const pce_program *p = b->program;
  scale_t scale;
  const int length = bits_of(total);
  const int excess = length > RECIPROCAL_BITS ? length - RECIPROCAL_BITS : 0;
  const uint64_t divisor = (total + (UINT64_C(1) << excess) - 1) >>
                           excess << (length < RECIPROCAL_BITS ? RECIPROCAL_BITS - length : 0);
  const uint64_t left = (UINT64_C(1) << p->scale_bits) - (uint64_t)symbols * (uint64_t)p->floor;
  scale.scale = reciprocal(b, divisor) * left >> 17;
  scale.amount = length + p->leaf_bits - (p->scale_bits + 2);
  return scale;
}

static inline uint64_t bound_of(const pce_program *p, uint64_t weighted, int symbol,
                                scale_t scale) {
  const uint64_t entry = scale.amount >= 0 ? weighted >> scale.amount : weighted << -scale.amount;
  return (uint64_t)symbol * (uint64_t)p->floor + (entry * scale.scale >> (p->scale_bits + 2));
}

// Bring an INTERVAL's context to every record's side, and add it up.
static void take_context(block_t *b, const pce_step *s, uint64_t *total) {
  const int units = s->a_units;
  const uint16_t *source = b->state + (size_t)s->a * N;
  const size_t room = (size_t)b->room;
  FOR_LANES total[n] = 0;
  for (int k = 0; k < units; ++k)
    FOR_LANES {
      total[n] += source[(size_t)k * N + n];
      b->context[n * room + (size_t)k] = source[(size_t)k * N + n];
    }
}

// The weighted entry of one symbol for one record; the context's bits may be flipped.
static inline uint64_t weighted_of(const block_t *b, const pce_step *s, size_t n, int symbol,
                                   uint16_t flip) {
  const uint16_t *c = b->context + n * (size_t)b->room;
  const int units = s->a_units;
  const uint32_t *row = b->program->tables + s->data + (size_t)symbol * (size_t)units;
  uint64_t sum = 0;
  for (int k = 0; k < units; ++k)
    sum += (uint64_t)(uint16_t)(c[k] ^ flip) * row[k];
  return sum;
}

#ifdef PCE_FUSED
// Mantissas less 2^15, as multiplications of signed 16 bits want them.
#define FLIP 0x8000

// Records whose vectors are whole.
#define COLUMNS (N < 8 ? 8 : N)

// What all bounds of a block's contexts share.
typedef struct {
  uint32_t scale[COLUMNS], up[COLUMNS], down[COLUMNS];
} scales_t;

// The scales of LANES records from their contexts' totals.
static inline void scales_at(const block_t *b, const pce_step *s, vec total, scales_t *c,
                             size_t lane) {
  const pce_program *p = b->program;
  const int P = p->scale_bits;
  const vec most = vec_set(1u << RECIPROCAL_BITS), one = vec_set(1);
  const vec whole = vec_set(RECIPROCAL_BITS), even = vec_set(P + 2 - p->leaf_bits);
  const vec length = vec_length(total), longer = vec_max(length, whole);
  const vec excess = vec_sub(longer, whole), lack = vec_sub(longer, length);
  const vec last = vec_sub(vec_left(one, vec_amount(excess)), one);
  const vec rounded_up = vec_right_each(vec_add(total, last), vec_amount_right(excess));
  const vec divisor = vec_left(rounded_up, vec_amount(lack));
  // A column without a record may hold anything.
  const vec index = vec_and(vec_right(divisor, 7), vec_set(255));
  const vec start = vec_gather(b->reciprocals, index);
  const vec error = vec_right(vec_sub(vec_set(0), vec_multiply(divisor, start)), 14);
  const vec inverse = vec_multiply_right(start, error, 15);
  const vec exact = vec_choose(most, divisor, vec_set(1u << 17), inverse);
  const vec left = vec_set((1u << P) - (uint32_t)s->symbols * (uint32_t)p->floor);
  const vec reach = vec_max(length, even);
  vec_store(c->scale + lane, vec_multiply_right(exact, left, 17));
  vec_store(c->up + lane, vec_sub(reach, length));
  vec_store(c->down + lane, vec_sub(reach, even));
}

// The bounds of LANES records' symbols.
static inline vec bounds_at(const pce_program *p, const scales_t *c, size_t lane, vec weighted,
                            vec symbols) {
  const vec up = vec_load(c->up + lane), down = vec_load(c->down + lane);
  const vec entry = vec_right_each(vec_left(weighted, vec_amount(up)), vec_amount_right(down));
  const vec part = vec_multiply_right(entry, vec_load(c->scale + lane), p->scale_bits + 2);
  return vec_add(vec_multiply(symbols, vec_set(p->floor)), part);
}

static inline void bounds_of(const pce_program *p, const scales_t *c, const uint32_t *weighted,
                             const uint32_t *symbols, uint32_t *bounds) {
  for (size_t lane = 0; lane < N; lane += LANES)
    vec_store(bounds + lane,
              bounds_at(p, c, lane, vec_load(weighted + lane), vec_load(symbols + lane)));
}

static inline scale_t scale_at(const scales_t *c, size_t n) {
  const scale_t scale = {(int)c->down[n] - (int)c->up[n], c->scale[n]};
  return scale;
}
#endif

#ifdef PCE_LANES
// Bring contexts to every record's side, and take what their bounds share.
static void take_scales(block_t *b, const pce_step *s, scales_t *c) {
  const int units = s->a_units;
  const uint16_t *source = b->state + (size_t)s->a * N;
  by_record(source, b->context, (size_t)b->room, (int)vectors_of((size_t)units), FLIP);
  for (size_t lane = 0; lane < N; lane += WIDTH) {
    interleave(b, source + lane, units, 0);
    vec low = vec_set((uint32_t)units << 15), high = low;
    const uint32_t *words = b->sources;
    for (int k = 0; k < units; k += 2, words += WIDTH) {
      const vec ones = vec_set(k + 1 < units ? 0x10001u : 1u);
      low = vec_multiply_add(low, vec_load(words), ones);
      high = vec_multiply_add(high, vec_load(words + LANES), ones);
    }
    vec first, second;
    vec_order(low, high, &first, &second);
    scales_at(b, s, first, c, lane);
    scales_at(b, s, second, c, lane + LANES);
  }
}

static inline __attribute__((always_inline)) void weigh_rows(const block_t *b, const int16_t *table,
                                                             size_t padded, const uint32_t *rows,
                                                             int count, uint32_t *out) {
  const size_t room = (size_t)b->room;
  for (int n = 0; n < count; n += 8) {
    const int16_t *row[8];
    for (int i = 0; i < 8; ++i)
      row[i] = table + (size_t)rows[n + i] * padded;
    dots((const int16_t *)b->context + (size_t)n * room, room, row, (int)padded, out + n);
  }
}

// Weighted entries of a row of the table for each record; those of records from `count` on are left.
static void weigh(const block_t *b, const pce_step *s, const uint32_t *rows, int count,
                  uint32_t *out) {
  const int16_t *table = b->program->pairs + s->pairs;
  const size_t padded = vectors_of((size_t)s->a_units);
  // A known number of units has no loop.
  if (padded == 16)
    weigh_rows(b, table, 16, rows, count, out);
  else
    weigh_rows(b, table, padded, rows, count, out);
}

// Both bounds of a symbol of each record.
static void ends_of(const block_t *b, const pce_step *s, const scales_t *c, const uint32_t *symbols,
                    int count, uint32_t *lo, uint32_t *hi) {
  uint32_t next[N], first[N] = {0}, second[N] = {0};
  FOR_LANES next[n] = symbols[n] + 1;
#ifdef PCE_PAIRED_ROWS
  if (s->a_units <= 16) {
    const int16_t *table = b->program->pairs + s->pairs;
    for (int n = 0; n < count; n += 8)
      dots_of_ends(b->context + (size_t)n * (size_t)b->room, (size_t)b->room, table, symbols + n,
                   first + n, second + n);
  } else
#endif
  {
    weigh(b, s, symbols, count, first);
    weigh(b, s, next, count, second);
  }
  bounds_of(b->program, c, first, symbols, lo);
  bounds_of(b->program, c, second, next, hi);
}
#endif

#ifdef PCE_UNITS
// The weighted entry of a symbol for one record, whose context is in `sources`.
static inline uint32_t weigh_row(const block_t *b, const pce_step *s, int symbol) {
  const size_t padded = vectors_of((size_t)s->a_units);
  const int16_t *row = b->program->pairs + s->pairs + (size_t)symbol * padded;
  const int16_t *record = (const int16_t *)(const void *)b->sources;
  return padded == ROW ? dot(record, row, ROW) : dot(record, row, (int)padded);
}

// One record's context, less 2^15 each, goes into `sources`; gives its sum.
static inline uint32_t take_total(block_t *b, const pce_step *s) {
  const uint16_t *state = b->state + s->a;
  const int16_t *ones = b->ones + b->room - s->a_units;
  take_sources(b, state, s->a_units);
#if defined(__AVX2__)
  if (s->a_units <= ROW) {
    // The shortest way: all else waits.
    const __m256i pairs =
        _mm256_madd_epi16(row_xor(row_load(state), row_set(0x8000)), row_load(ones));
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(sum) + ((uint32_t)s->a_units << 15);
  }
#endif
  return dot((const int16_t *)(const void *)b->sources, ones, (int)vectors_of((size_t)s->a_units));
}

// Weighted entries of 16 rows of the table for one record: those of every `step`-th symbol from `low` on.
static inline void weigh_rows(const block_t *b, const pce_step *s, int low, int step,
                              uint32_t *out) {
  const size_t padded = vectors_of((size_t)s->a_units);
  const int16_t *table = b->program->pairs + s->pairs;
  const int16_t *record = (const int16_t *)(const void *)b->sources;
  for (int first = 0; first < ROW; first += 8) {
    const int16_t *row[8];
    for (int i = 0; i < 8; ++i) {
      const int symbol = low + (first + i) * step;
      row[i] = table + (size_t)(symbol < s->symbols ? symbol : s->symbols) * padded;
    }
    if (padded == ROW)
      dots(record, 0, row, ROW, out + first);
    else
      dots(record, 0, row, (int)padded, out + first);
  }
}
#endif

#endif
