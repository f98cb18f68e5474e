// Rows of 16-bit numbers by record: multiplied, added and transposed.
#ifndef PCEDGE_ROWS_H
#define PCEDGE_ROWS_H

#include "vectors.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// Add the entries of each of four vectors, in every 128 bits: the sums come in the vectors' order. P is what the
// names of a size's instructions begin with.
#define ADD_PAIRS(P, a, b) P##_add_epi32(P##_unpacklo_epi32(a, b), P##_unpackhi_epi32(a, b))
#define ADD_HALVES(P, a, b) P##_add_epi32(P##_unpacklo_epi64(a, b), P##_unpackhi_epi64(a, b))
#define ADD_UP(P, s) ADD_HALVES(P, ADD_PAIRS(P, (s)[0], (s)[1]), ADD_PAIRS(P, (s)[2], (s)[3]))

// Transpose 8 rows r of 8 numbers of 16 bits, in every 128 bits, through as many vectors t.
#define TRANSPOSE(P, r, t)                                                                         \
  do {                                                                                             \
    for (int i = 0; i < 8; i += 2) {                                                               \
      (t)[i] = P##_unpacklo_epi16((r)[i], (r)[i + 1]);                                             \
      (t)[i + 1] = P##_unpackhi_epi16((r)[i], (r)[i + 1]);                                         \
    }                                                                                              \
    for (int i = 0; i < 8; i += 4)                                                                 \
      for (int j = 0; j < 2; ++j) {                                                                \
        (r)[i + 2 * j] = P##_unpacklo_epi32((t)[i + j], (t)[i + 2 + j]);                           \
        (r)[i + 2 * j + 1] = P##_unpackhi_epi32((t)[i + j], (t)[i + 2 + j]);                       \
      }                                                                                            \
    for (int i = 0; i < 4; ++i) {                                                                  \
      (t)[2 * i] = P##_unpacklo_epi64((r)[i], (r)[4 + i]);                                         \
      (t)[2 * i + 1] = P##_unpackhi_epi64((r)[i], (r)[4 + i]);                                     \
    }                                                                                              \
    for (int i = 0; i < 8; ++i)                                                                    \
      (r)[i] = (t)[i];                                                                             \
  } while (0)

// Multiply and add `count` numbers, a multiple of 16, of eight records and their rows, modulo 2^32. Records are
// less 2^15, `stride` numbers apart; what that takes is given back.
static inline __attribute__((always_inline)) void
dots(const int16_t *records, size_t stride, const int16_t *const *rows, int count, uint32_t *out) {
#if defined(__AVX2__)
  const __m256i least = _mm256_set1_epi16(INT16_MIN);
  __m256i sums[8];
  for (int i = 0; i < 8; ++i) {
    sums[i] = _mm256_setzero_si256();
    for (int k = 0; k < count; k += 16) {
      const __m256i record =
          _mm256_loadu_si256((const __m256i *)(const void *)(records + (size_t)i * stride + k));
      const __m256i row = _mm256_loadu_si256((const __m256i *)(const void *)(rows[i] + k));
      sums[i] = _mm256_add_epi32(
          sums[i], _mm256_sub_epi32(_mm256_madd_epi16(record, row), _mm256_madd_epi16(least, row)));
    }
  }
  const __m256i halves[2] = {ADD_UP(_mm256, sums), ADD_UP(_mm256, sums + 4)};
  const __m256i whole = _mm256_add_epi32(_mm256_permute2x128_si256(halves[0], halves[1], 0x20),
                                         _mm256_permute2x128_si256(halves[0], halves[1], 0x31));
  _mm256_storeu_si256((__m256i *)(void *)out, whole);
#elif defined(__SSE2__)
  const __m128i least = _mm_set1_epi16(INT16_MIN);
  for (int first = 0; first < 8; first += 4) {
    __m128i sums[4];
    for (int i = 0; i < 4; ++i) {
      sums[i] = _mm_setzero_si128();
      for (int k = 0; k < count; k += 8) {
        const __m128i record = _mm_loadu_si128(
            (const __m128i *)(const void *)(records + (size_t)(first + i) * stride + k));
        const __m128i row = _mm_loadu_si128((const __m128i *)(const void *)(rows[first + i] + k));
        sums[i] = _mm_add_epi32(
            sums[i], _mm_sub_epi32(_mm_madd_epi16(record, row), _mm_madd_epi16(least, row)));
      }
    }
    _mm_storeu_si128((__m128i *)(void *)(out + first), ADD_UP(_mm, sums));
  }
#else
  for (int i = 0; i < 8; ++i) {
    uint32_t sum = 0;
    for (int k = 0; k < count; ++k)
      sum += (uint32_t)(uint16_t)(records[(size_t)i * stride + (size_t)k] ^ INT16_MIN) *
             (uint32_t)rows[i][k];
    out[i] = sum;
  }
#endif
}

// The same of one record and its row.
static inline __attribute__((always_inline)) uint32_t dot(const int16_t *record, const int16_t *row,
                                                          int count) {
#if defined(__SSE2__)
  const __m128i least = _mm_set1_epi16(INT16_MIN);
  __m128i sums[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
  for (int k = 0; k < count; k += 16)
    for (int i = 0; i < 2; ++i) {
      const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(record + k + 8 * i));
      const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(row + k + 8 * i));
      sums[i] =
          _mm_add_epi32(sums[i], _mm_sub_epi32(_mm_madd_epi16(a, b), _mm_madd_epi16(least, b)));
    }
  __m128i sum = _mm_add_epi32(sums[0], sums[1]);
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return (uint32_t)_mm_cvtsi128_si32(sum);
#else
  uint32_t sum = 0;
  for (int k = 0; k < count; ++k)
    sum += (uint32_t)(uint16_t)(record[k] ^ INT16_MIN) * (uint32_t)row[k];
  return sum;
#endif
}

#if defined(__AVX512BW__)
#define PCE_PAIRED_ROWS
// Add up the halves of eight vectors: those of the lower ones come first.
static inline __m512i add_halves(const __m512i *s) {
  const __m512i q[2] = {ADD_UP(_mm512, s), ADD_UP(_mm512, s + 4)};
  // Quarters are: sums 0 to 3 and 4 to 7 of the lower halves, the same of the upper ones.
  const __m512i even =
      _mm512_permutex2var_epi64(q[0], _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), q[1]);
  const __m512i odd =
      _mm512_permutex2var_epi64(q[0], _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), q[1]);
  return _mm512_add_epi32(even, odd);
}

static inline __m512i two_dots(__m512i both, __m512i rows) {
  const __m512i least = _mm512_set1_epi16(INT16_MIN);
  return _mm512_sub_epi32(_mm512_madd_epi16(both, rows), _mm512_madd_epi16(least, rows));
}

// The same of a symbol's row and the next one, of 16 units each.
static inline void dots_of_ends(const uint16_t *records, size_t stride, const int16_t *table,
                                const uint32_t *symbols, uint32_t *first, uint32_t *second) {
  __m512i s[8];
  for (size_t i = 0; i < 8; ++i) {
    const __m256i *record = (const __m256i *)(const void *)(records + i * stride);
    const __m512i both = _mm512_broadcast_i64x4(_mm256_loadu_si256(record));
    s[i] = two_dots(both, _mm512_loadu_si512((const void *)(table + (size_t)symbols[i] * 16)));
  }
  const __m512i whole = add_halves(s);
  _mm256_storeu_si256((__m256i *)(void *)first, _mm512_castsi512_si256(whole));
  _mm256_storeu_si256((__m256i *)(void *)second, _mm512_extracti64x4_epi64(whole, 1));
}

// The same of one record and two rows that follow each other, of 16 units each.
static inline uint64_t dots_of_2(const int16_t *record, const int16_t *rows) {
  const __m512i both =
      _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)record));
  __m512i s = two_dots(both, _mm512_loadu_si512((const void *)rows));
  s = _mm512_add_epi32(s, _mm512_shuffle_i64x2(s, s, 0xb1));
  s = _mm512_add_epi32(s, _mm512_shuffle_epi32(s, 0x4e));
  s = _mm512_add_epi32(s, _mm512_shuffle_epi32(s, 0xb1));
  const uint32_t first = (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(s));
  return first | (uint64_t)(uint32_t)_mm_cvtsi128_si32(_mm512_extracti32x4_epi32(s, 2)) << 32;
}

// The same of one record and 16 rows that follow each other, of 16 units each.
static inline __m512i dots_of_16(const int16_t *record, const int16_t *rows) {
  const __m512i both =
      _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)record));
  __m512i s[8];
  for (size_t i = 0; i < 8; ++i) {
    const __m256i *row = (const __m256i *)(const void *)(rows + 16 * i);
    s[i] = two_dots(both, _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(row)),
                                             _mm256_loadu_si256(row + 8), 1));
  }
  return add_halves(s);
}
#endif

#if defined(__AVX2__)
// Transpose 8 rows of 16 numbers; only the first `rows` of the result are written.
static inline void transpose_rows(const uint16_t *const *from, uint16_t *to, size_t step,
                                  int rows) {
  __m256i r[8], t[8];
  for (size_t i = 0; i < 8; ++i)
    r[i] = _mm256_loadu_si256((const __m256i *)(const void *)from[i]);
  TRANSPOSE(_mm256, r, t);
  for (int i = 0; i < 8 && i < rows; ++i)
    _mm_storeu_si128((__m128i *)(void *)(to + (size_t)i * step), _mm256_castsi256_si128(r[i]));
  for (int i = 8; i < 16 && i < rows; ++i)
    _mm_storeu_si128((__m128i *)(void *)(to + (size_t)i * step),
                     _mm256_extracti128_si256(r[i - 8], 1));
}

// Transpose 16 rows of 8 numbers, and flip some of their bits.
static inline void transpose_columns(const uint16_t *from, size_t stride, uint16_t *to, size_t step,
                                     uint16_t flip) {
  const __m256i mask = _mm256_set1_epi16((short)flip);
  __m256i r[8], t[8];
  for (size_t i = 0; i < 8; ++i) {
    const __m128i *low = (const __m128i *)(const void *)(from + i * stride);
    const __m128i *high = (const __m128i *)(const void *)(from + (i + 8) * stride);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                                 _mm_loadu_si128(high), 1);
    r[i] = _mm256_xor_si256(both, mask);
  }
  TRANSPOSE(_mm256, r, t);
  for (size_t i = 0; i < 8; ++i)
    _mm256_storeu_si256((__m256i *)(void *)(to + i * step), r[i]);
}
#else
// Transpose 8 rows of 8 numbers, and flip some of their bits; only the first `rows` of the result are written.
static inline void transpose(const uint16_t *const *from, uint16_t *to, size_t step, int rows,
                             uint16_t flip) {
#if defined(__SSE2__)
  const __m128i mask = _mm_set1_epi16((short)flip);
  __m128i r[8], t[8];
  for (int i = 0; i < 8; ++i)
    r[i] = _mm_xor_si128(mask, _mm_loadu_si128((const __m128i *)(const void *)from[i]));
  TRANSPOSE(_mm, r, t);
  for (int i = 0; i < rows; ++i)
    _mm_storeu_si128((__m128i *)(void *)(to + (size_t)i * step), r[i]);
#else
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < 8; ++j)
      to[(size_t)i * step + (size_t)j] = from[j][i] ^ flip;
#endif
}

static inline void transpose_rows(const uint16_t *const *from, uint16_t *to, size_t step,
                                  int rows) {
  for (size_t first = 0; first < 16 && (int)first < rows; first += 8) {
    const uint16_t *part[8];
    for (size_t i = 0; i < 8; ++i)
      part[i] = from[i] + first;
    transpose(part, to + first * step, step, rows - (int)first < 8 ? rows - (int)first : 8, 0);
  }
}

static inline void transpose_columns(const uint16_t *from, size_t stride, uint16_t *to, size_t step,
                                     uint16_t flip) {
  for (size_t first = 0; first < 16; first += 8) {
    const uint16_t *rows[8];
    for (size_t i = 0; i < 8; ++i)
      rows[i] = from + (first + i) * stride;
    transpose(rows, to + first, step, 8, flip);
  }
}
#endif

#endif
