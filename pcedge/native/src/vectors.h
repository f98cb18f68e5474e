// What the kernels need of an instruction set: words of two mantissas, multiplied and added.
#ifndef PCEDGE_VECTORS_H
#define PCEDGE_VECTORS_H

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

#endif
