// What the kernels need of an instruction set: words of two mantissas, multiplied and added.
#ifndef PCEDGE_VECTORS_H
#define PCEDGE_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512BW__)
#include <immintrin.h>
#define LANES 16
typedef __m512i vec;
#define vec_load(p) _mm512_loadu_si512((const void *)(p))
#define vec_store(p, v) _mm512_storeu_si512((void *)(p), v)
#define vec_set(x) _mm512_set1_epi32((int)(x))
#if defined(__AVX512VNNI__)
#define vec_multiply_add(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)
#else
#define vec_multiply_add(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
#endif
#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
typedef __m256i vec;
#define vec_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define vec_store(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define vec_set(x) _mm256_set1_epi32((int)(x))
#define vec_multiply_add(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#elif defined(__SSE2__)
#include <emmintrin.h>
#define LANES 4
typedef __m128i vec;
#define vec_load(p) _mm_loadu_si128((const __m128i *)(p))
#define vec_store(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define vec_set(x) _mm_set1_epi32((int)(x))
#define vec_multiply_add(sum, a, b) _mm_add_epi32(sum, _mm_madd_epi16(a, b))
#else
#define LANES 4
typedef struct {
  uint32_t word[LANES];
} vec;
static inline vec vec_load(const uint32_t *p) {
  vec v;
  for (int i = 0; i < LANES; ++i)
    v.word[i] = p[i];
  return v;
}
static inline void vec_store(uint32_t *p, vec v) {
  for (int i = 0; i < LANES; ++i)
    p[i] = v.word[i];
}
static inline vec vec_set(uint32_t x) {
  vec v;
  for (int i = 0; i < LANES; ++i)
    v.word[i] = x;
  return v;
}
static inline vec vec_multiply_add(vec sum, vec a, vec b) {
  for (int i = 0; i < LANES; ++i) {
    const int32_t low = (int32_t)(int16_t)(a.word[i] & 0xffff) * (int16_t)(b.word[i] & 0xffff);
    const int32_t high = (int32_t)(int16_t)(a.word[i] >> 16) * (int16_t)(b.word[i] >> 16);
    sum.word[i] += (uint32_t)low + (uint32_t)high;
  }
  return sum;
}
#endif

#if defined(__SSE2__)
// Add up the entries of each of four vectors.
static inline __m128i add_up(__m128i a, __m128i b, __m128i c, __m128i d) {
  const __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
  const __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
  return _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
}
#endif

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
  __m256i halves[2];
  for (int i = 0; i < 2; ++i) {
    const __m256i *s = sums + 4 * i;
    const __m256i ab =
        _mm256_add_epi32(_mm256_unpacklo_epi32(s[0], s[1]), _mm256_unpackhi_epi32(s[0], s[1]));
    const __m256i cd =
        _mm256_add_epi32(_mm256_unpacklo_epi32(s[2], s[3]), _mm256_unpackhi_epi32(s[2], s[3]));
    halves[i] = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  }
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
    _mm_storeu_si128((__m128i *)(void *)(out + first), add_up(sums[0], sums[1], sums[2], sums[3]));
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

// Transpose 8 rows of 8 numbers, and flip some of their bits; only the first `rows` of the result are written.
static inline void transpose(const uint16_t *from, size_t stride, uint16_t *to, size_t step,
                             int rows, uint16_t flip) {
#if defined(__SSE2__)
  const __m128i mask = _mm_set1_epi16((short)flip);
  __m128i r[8], t[8];
  for (int i = 0; i < 8; ++i)
    r[i] = _mm_xor_si128(
        mask, _mm_loadu_si128((const __m128i *)(const void *)(from + (size_t)i * stride)));
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) {
      r[4 * i + 2 * j] = _mm_unpacklo_epi32(t[4 * i + j], t[4 * i + 2 + j]);
      r[4 * i + 2 * j + 1] = _mm_unpackhi_epi32(t[4 * i + j], t[4 * i + 2 + j]);
    }
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm_unpacklo_epi64(r[i], r[4 + i]);
    t[2 * i + 1] = _mm_unpackhi_epi64(r[i], r[4 + i]);
  }
  for (int i = 0; i < rows; ++i)
    _mm_storeu_si128((__m128i *)(void *)(to + (size_t)i * step), t[i]);
#else
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < 8; ++j)
      to[(size_t)i * step + (size_t)j] = from[(size_t)j * stride + (size_t)i] ^ flip;
#endif
}

#endif
