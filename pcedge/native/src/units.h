// Steps of one record on vectors across units, where the needed widths allow them: rows of 16 units.
#ifndef PCEDGE_UNITS_H
#define PCEDGE_UNITS_H

#include "block.h"

#ifdef PCE_UNITS
#define ROW 16

#if defined(__AVX2__)
typedef __m256i row_t; // 16 numbers of 16 bits
#define row_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define row_store(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define row_set(x) _mm256_set1_epi16((short)(x))
#define row_xor(a, b) _mm256_xor_si256(a, b)
#define row_or(a, b) _mm256_or_si256(a, b)
#define row_sub(a, b) _mm256_sub_epi16(a, b)
#define row_max(a, b) _mm256_max_epu16(a, b)
#define row_low(a, b) _mm256_mullo_epi16(a, b)
#define row_high(a, b) _mm256_mulhi_epu16(a, b)
#define row_left(v, n) _mm256_sll_epi16(v, _mm_cvtsi32_si128(n))
#define row_right(v, n) _mm256_srl_epi16(v, _mm_cvtsi32_si128(n))
static inline uint32_t row_greatest(row_t v) {
  const __m128i half = _mm_max_epu16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i least = _mm_minpos_epu16(_mm_xor_si128(half, _mm_set1_epi16(-1)));
  return 0xffff ^ ((uint32_t)_mm_cvtsi128_si32(least) & 0xffff);
}
#else
typedef struct {
  vec half[2];
} row_t;
static inline row_t row_load(const void *p) {
  const row_t v = {{vec_load(p), vec_load((const uint16_t *)p + 8)}};
  return v;
}
static inline void row_store(void *p, row_t v) {
  vec_store(p, v.half[0]);
  vec_store((uint16_t *)p + 8, v.half[1]);
}
static inline row_t row_set(uint32_t x) {
  const row_t v = {{vec_set16(x), vec_set16(x)}};
  return v;
}
#define ROW_OF(NAME, OPERATION)                                                                    \
  static inline row_t NAME(row_t a, row_t b) {                                                     \
    const row_t v = {{OPERATION(a.half[0], b.half[0]), OPERATION(a.half[1], b.half[1])}};          \
    return v;                                                                                      \
  }
ROW_OF(row_xor, vec_xor)
ROW_OF(row_or, vec_or)
ROW_OF(row_sub, vec_sub16)
ROW_OF(row_max, vec_max16)
ROW_OF(row_low, vec_low16)
ROW_OF(row_high, vec_high16)
static inline row_t row_left(row_t a, int n) {
  const row_t v = {{vec_left16(a.half[0], n), vec_left16(a.half[1], n)}};
  return v;
}
static inline row_t row_right(row_t a, int n) {
  const row_t v = {{vec_right16(a.half[0], n), vec_right16(a.half[1], n)}};
  return v;
}
static inline uint32_t row_greatest(row_t v) {
  return vec_greatest16(vec_max16(v.half[0], v.half[1]));
}
#endif

#define VECTORS (ROW / LANES)

// Mantissas less 2^15, as multiplications of signed 16 bits want them.
static inline __attribute__((always_inline)) const uint32_t *
take_sources(block_t *b, const uint16_t *source, int units) {
  const row_t flip = row_set(0x8000);
  for (int k = 0; k < units; k += ROW)
    row_store((uint16_t *)b->sources + k, row_xor(row_load(source + k), flip));
  return b->sources;
}

// Multiply pairs of units with 16 rows of weights, which begin with these sums.
static inline __attribute__((always_inline)) void
weigh_sources(const uint32_t *source, const uint32_t *weights, size_t stride, int pairs,
              const uint32_t *sums, vec acc[VECTORS]) {
  // Two sums at a time, which do not wait for each other.
  vec other[VECTORS];
  for (int v = 0; v < VECTORS; ++v) {
    acc[v] = vec_load(sums + v * LANES);
    other[v] = vec_set(0);
  }
  int p = 0;
  for (; p + 1 < pairs; p += 2, weights += 2 * stride) {
    const vec even = vec_set(source[p]), odd = vec_set(source[p + 1]);
    for (int v = 0; v < VECTORS; ++v) {
      acc[v] = vec_multiply_add(acc[v], vec_load(weights + v * LANES), even);
      other[v] = vec_multiply_add(other[v], vec_load(weights + stride + v * LANES), odd);
    }
  }
  if (p < pairs) {
    const vec even = vec_set(source[p]);
    for (int v = 0; v < VECTORS; ++v)
      acc[v] = vec_multiply_add(acc[v], vec_load(weights + v * LANES), even);
  }
  for (int v = 0; v < VECTORS; ++v)
    acc[v] = vec_add(acc[v], other[v]);
}

// The halves of 32 bits of 16 sums.
static inline void split(const vec acc[VECTORS], row_t *high, row_t *low) {
#if LANES == 16
  *high = _mm512_cvtepi32_epi16(_mm512_srli_epi32(acc[0], 16));
  *low = _mm512_cvtepi32_epi16(acc[0]);
#else
  const vec mask = vec_set(0xffff);
#if LANES == 8
  const vec most = vec_pack(vec_right(acc[0], 16), vec_right(acc[1], 16));
  const vec least = vec_pack(vec_and(acc[0], mask), vec_and(acc[1], mask));
  *high = _mm256_permute4x64_epi64(most, 0xd8);
  *low = _mm256_permute4x64_epi64(least, 0xd8);
#else
  for (int i = 0; i < 2; ++i) {
    high->half[i] = vec_pack(vec_right(acc[2 * i], 16), vec_right(acc[2 * i + 1], 16));
    low->half[i] = vec_pack(vec_and(acc[2 * i], mask), vec_and(acc[2 * i + 1], mask));
  }
#endif
#endif
}

// Mantissas of 16 units, of which the greatest has `length` bits.
static inline row_t shifted(row_t high, row_t low, int length, int state_bits) {
  // A row shifted by 16 bits, or more, is nothing.
  const int up = 32 - length;
  row_t m = row_or(row_left(high, up), row_right(low, 16 - up));
  if (length <= 16)
    m = row_left(low, 16 - length);
  return state_bits == 16 ? m : row_right(m, 16 - state_bits);
}

static inline void settle_length(block_t *b, const pce_step *s, int length, int32_t exponent,
                                 int scales) {
  if (length && !scales)
    return;
  const int A = b->program->state_bits;
  if (!length && s->zeros == REVIVE)
    for (int k = 0; k < s->units; ++k)
      b->state[s->target + k] = (uint16_t)(1u << (A - 1));
  if (!scales)
    return;
  const int64_t moved = (int64_t)exponent + (length ? length - A : 0);
  const int none = moved < ZERO_EXPONENT || (!length && s->zeros != REVIVE);
  b->exponents[s->target_slot] = none ? ZERO_EXPONENT : (int32_t)moved;
}

static inline int length_of(row_t high, row_t low) {
  const uint32_t most = row_greatest(high);
  return most ? 16 + bits_of(most) : bits_of(row_greatest(low));
}

// Write 16 mantissas, or as many as there are.
static inline void put_row(uint16_t *at, row_t v, int units) {
  if (units >= ROW) {
    row_store(at, v);
    return;
  }
  uint16_t all[ROW];
  row_store(all, v);
  memcpy(at, all, (size_t)units * sizeof *at);
}

// Shift what was accumulated, halves of 16 units in turn, so that the largest entry has A bits.
static void settle_rows(block_t *b, const pce_step *s, row_t high, row_t low, int32_t exponent,
                        int scales) {
  const int A = b->program->state_bits, length = length_of(high, low);
  const uint16_t *work = (const uint16_t *)b->work;
  uint16_t *state = b->state + s->target;
  for (int k = 0; k < s->units; k += ROW, work += 2 * ROW)
    put_row(state + k, shifted(row_load(work), row_load(work + ROW), length, A), s->units - k);
  settle_length(b, s, length, exponent, scales);
}

#if LANES == 16
// The bits that any of the words has, in all of them.
static inline vec bits_of_all(vec v) {
  v = vec_or(v, _mm512_shuffle_i64x2(v, v, 0x4e));
  v = vec_or(v, _mm512_shuffle_i64x2(v, v, 0xb1));
  v = vec_or(v, _mm512_shuffle_epi32(v, 0x4e));
  return vec_or(v, _mm512_shuffle_epi32(v, 0xb1));
}

// Multiply 16 units with 16 rows of weights, which begin with these sums: on the shortest way, for all else waits.
static inline vec weigh_16_units(const uint16_t *source, const uint32_t *weights,
                                 const uint32_t *sums) {
  const vec flip = vec_set16(0x8000);
  vec acc[4] = {vec_load(sums), vec_set(0), vec_set(0), vec_set(0)};
  for (int p = 0; p < ROW / 2; ++p) {
    int32_t pair;
    memcpy(&pair, source + 2 * p, sizeof pair);
    acc[p % 4] =
        vec_multiply_add(acc[p % 4], vec_load(weights + p * ROW), vec_xor(vec_set(pair), flip));
  }
  return vec_add(vec_add(acc[0], acc[1]), vec_add(acc[2], acc[3]));
}

// A dense UP or DOWN between 16 units, which has no loops.
static inline void mix_16_units(block_t *b, const pce_step *s, int32_t exponent, int scales) {
  const int A = b->program->state_bits;
  const uint32_t *weights = (const uint32_t *)(const void *)(b->program->pairs + s->pairs);
  const vec sum = weigh_16_units(b->state + s->a, weights, b->program->sums + s->sums);
  const vec lacks = _mm512_lzcnt_epi32(bits_of_all(sum));
  const vec odd = _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 31,
                                   29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  row_t m = _mm512_castsi512_si256(_mm512_permutexvar_epi16(odd, _mm512_sllv_epi32(sum, lacks)));
  if (A != 16)
    m = row_right(m, 16 - A);
  row_store(b->state + s->target, m);
  settle_length(b, s, 32 - _mm_cvtsi128_si32(_mm512_castsi512_si128(lacks)), exponent, scales);
}
#else
// A dense UP or DOWN between 16 units, which has no loops.
static inline void mix_16_units(block_t *b, const pce_step *s, int32_t exponent, int scales) {
  const uint32_t *weights = (const uint32_t *)(const void *)(b->program->pairs + s->pairs);
  vec acc[VECTORS];
  row_t high, low;
  weigh_sources(take_sources(b, b->state + s->a, ROW), weights, ROW, ROW / 2,
                b->program->sums + s->sums, acc);
  split(acc, &high, &low);
  const int length = length_of(high, low);
  row_store(b->state + s->target, shifted(high, low, length, b->program->state_bits));
  settle_length(b, s, length, exponent, scales);
}

#endif

// A dense UP or DOWN.
static void mix_units(block_t *b, const pce_step *s, int32_t exponent, int scales) {
  const int units = s->units, pairs = (s->a_units + 1) / 2, A = b->program->state_bits;
  const size_t stride = vectors_of((size_t)units);
  const uint32_t *weights = (const uint32_t *)(const void *)(b->program->pairs + s->pairs);
  const uint32_t *sums = b->program->sums + s->sums;
  vec acc[VECTORS];
  row_t high, low;
  const uint32_t *source = take_sources(b, b->state + s->a, s->a_units);
  if (units <= ROW) {
    weigh_sources(source, weights, ROW, pairs, sums, acc);
    split(acc, &high, &low);
    const int length = length_of(high, low);
    put_row(b->state + s->target, shifted(high, low, length, A), units);
    settle_length(b, s, length, exponent, scales);
    return;
  }
  row_t most = row_set(0), least = most;
  uint16_t *work = (uint16_t *)b->work;
  for (int k = 0; k < units; k += ROW, work += 2 * ROW) {
    weigh_sources(source, weights + k, stride, pairs, sums + k, acc);
    split(acc, &high, &low);
    row_store(work, high);
    row_store(work + ROW, low);
    most = row_max(most, high);
    least = row_max(least, low);
  }
  settle_rows(b, s, most, least, exponent, scales);
}

static inline row_t gathered(const uint16_t *state, const int32_t *list, int first, int units) {
  if (!list && units - first >= ROW)
    return row_load(state + first);
  uint16_t some[ROW] = {0};
  for (int k = 0; k < ROW && first + k < units; ++k)
    some[k] = state[list ? list[first + k] : first + k];
  return row_load(some);
}

#if LANES == 16
// The leading zeros of the greatest of 16 numbers, in every word; 32 where all are 0.
static inline row_t lacks_of(row_t v) {
  v = row_or(v, _mm256_permute2x128_si256(v, v, 1));
  v = row_or(v, _mm256_shuffle_epi32(v, 0x4e));
  v = row_or(v, _mm256_shuffle_epi32(v, 0xb1));
  return _mm256_lzcnt_epi32(row_or(v, _mm256_rol_epi32(v, 16)));
}
#endif

// A product of 16 units and 16 units.
static inline void multiply_16_units(block_t *b, const pce_step *s, int32_t exponent, int scales) {
  const int A = b->program->state_bits;
  const row_t x = row_load(b->state + s->a), y = row_load(b->state + s->b);
  const row_t high = row_high(x, y), low = row_low(x, y);
#if LANES == 16
  const row_t lacks = lacks_of(high);
  const int up = _mm_cvtsi128_si32(_mm256_castsi256_si128(lacks));
  if (up <= 16) {
    const row_t count = _mm256_shuffle_epi8(lacks, _mm256_set1_epi32(0x01000100));
#if defined(__AVX512VBMI2__)
    row_t m = _mm256_shldv_epi16(high, low, count);
#else
    row_t m = row_or(_mm256_sllv_epi16(high, count),
                     _mm256_srlv_epi16(low, _mm256_sub_epi16(row_set(16), count)));
#endif
    if (A != 16)
      m = row_right(m, 16 - A);
    row_store(b->state + s->target, m);
    settle_length(b, s, 32 - up, exponent, scales);
    return;
  }
#endif
  const int length = length_of(high, low);
  row_store(b->state + s->target, shifted(high, low, length, A));
  settle_length(b, s, length, exponent, scales);
}

static void multiply_units(block_t *b, const pce_step *s, int32_t exponent, int scales) {
  const int units = s->units;
  const uint16_t *x = b->state + s->a, *y = b->state + s->b;
  row_t high, low;
  if (units == ROW && s->list < 0 && s->list_b < 0) {
    multiply_16_units(b, s, exponent, scales);
    return;
  }
  const int32_t *lists = b->program->lists;
  const int32_t *first = s->list < 0 ? NULL : lists + s->list;
  const int32_t *second = s->list_b < 0 ? NULL : lists + s->list_b;
  row_t most = row_set(0), least = most;
  uint16_t *work = (uint16_t *)b->work;
  for (int k = 0; k < units; k += ROW, work += 2 * ROW) {
    const row_t a = gathered(x, first, k, units), c = gathered(y, second, k, units);
    high = row_high(a, c);
    low = row_low(a, c);
    row_store(work, high);
    row_store(work + ROW, low);
    most = row_max(most, high);
    least = row_max(least, low);
  }
  settle_rows(b, s, most, least, exponent, scales);
}

// LEAF of a symbol that INTERVAL has just found: two rows that are near, whose difference it normalises. Tells whether
// it was not all zeros, for which there is a table.
static inline int leaf_of_rows(block_t *b, const pce_step *s) {
  const int A = b->program->state_bits;
  const int16_t *rows = b->program->pairs + s->data + (size_t)b->symbols[s->variable] * ROW;
  const row_t counts = row_sub(row_load(rows + ROW), row_load(rows));
  const uint32_t most = row_greatest(counts);
  if (!most)
    return 0;
  const row_t m = row_left(counts, 16 - bits_of(most));
  put_row(b->state + s->target, A == 16 ? m : row_right(m, 16 - A), s->units);
  return 1;
}
#endif

#endif
