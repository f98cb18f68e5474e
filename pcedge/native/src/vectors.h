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

// Multiply and add `count` numbers, a multiple of 16, modulo 2^32.
static inline uint32_t dot(const int16_t *a, const int16_t *b, int count) {
#if defined(__AVX2__)
  __m256i sum = _mm256_setzero_si256();
  for (int k = 0; k < count; k += 16)
    sum = _mm256_add_epi32(
        sum, _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(a + k)),
                               _mm256_loadu_si256((const __m256i *)(const void *)(b + k))));
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
  return (uint32_t)_mm_cvtsi128_si32(half);
#elif defined(__SSE2__)
  __m128i sum = _mm_setzero_si128();
  for (int k = 0; k < count; k += 8)
    sum =
        _mm_add_epi32(sum, _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(const void *)(a + k)),
                                          _mm_loadu_si128((const __m128i *)(const void *)(b + k))));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return (uint32_t)_mm_cvtsi128_si32(sum);
#else
  uint32_t sum = 0;
  for (int k = 0; k < count; ++k)
    sum += (uint32_t)((int32_t)a[k] * b[k]);
  return sum;
#endif
}

// Transpose 8 rows of 8 numbers; only the first `rows` of the result are written.
static inline void transpose(const uint16_t *from, size_t stride, uint16_t *to, size_t step,
                             int rows) {
#if defined(__SSE2__)
  __m128i r[8], t[8];
  for (int i = 0; i < 8; ++i)
    r[i] = _mm_loadu_si128((const __m128i *)(const void *)(from + (size_t)i * stride));
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
      to[(size_t)i * step + (size_t)j] = from[(size_t)j * stride + (size_t)i];
#endif
}

#endif
