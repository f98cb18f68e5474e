// Vectors of 64 bits, in which range coders of a block's columns stand side by side.
#ifndef PCEDGE_QUADS_H
#define PCEDGE_QUADS_H

#include "vectors.h"
#include <string.h>

// Addresses are numbers of 64 bits here.
#if UINTPTR_MAX == UINT64_MAX && defined(__AVX512BW__)
#define QUADS 8
typedef __m512i quad;
typedef __mmask8 quad_mask;
#define quad_load(p) _mm512_loadu_si512((const void *)(p))
#define quad_store(p, v) _mm512_storeu_si512((void *)(p), v)
#define quad_of(p) _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define quad_set(x) _mm512_set1_epi64((long long)(x))
#define quad_add(a, b) _mm512_add_epi64(a, b)
#define quad_sub(a, b) _mm512_sub_epi64(a, b)
#define quad_and(a, b) _mm512_and_si512(a, b)
#define quad_or(a, b) _mm512_or_si512(a, b)
#define quad_multiply(a, b) _mm512_mul_epu32(a, b)
#define quad_left(v, count) _mm512_sllv_epi64(v, count)
#define quad_right(v, count) _mm512_srlv_epi64(v, count)
#define quad_bits(v) _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_lzcnt_epi64(v))
// Where a > b, both below 2^63.
#define quad_above(a, b) _mm512_cmpgt_epi64_mask(a, b)
#define quad_bitmap(mask) ((unsigned)(mask))
// x where a > b, else y
#define quad_choose(a, b, x, y) _mm512_mask_blend_epi64(_mm512_cmpgt_epi64_mask(a, b), y, x)
#define quad_swapped(v)                                                                            \
  _mm512_shuffle_epi8(v,                                                                           \
                      _mm512_set_epi64(0x08090a0b0c0d0e0f, 0x0001020304050607, 0x08090a0b0c0d0e0f, \
                                       0x0001020304050607, 0x08090a0b0c0d0e0f, 0x0001020304050607, \
                                       0x08090a0b0c0d0e0f, 0x0001020304050607))
#define quad_gather(addresses) _mm512_i64gather_epi64(addresses, NULL, 1)
#define quad_scatter(addresses, v) _mm512_i64scatter_epi64(NULL, addresses, v, 1)
#elif UINTPTR_MAX == UINT64_MAX && defined(__AVX2__)
#define QUADS 4
typedef __m256i quad;
#define quad_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define quad_store(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define quad_of(p) _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define quad_set(x) _mm256_set1_epi64x((long long)(x))
#define quad_add(a, b) _mm256_add_epi64(a, b)
#define quad_sub(a, b) _mm256_sub_epi64(a, b)
#define quad_and(a, b) _mm256_and_si256(a, b)
#define quad_or(a, b) _mm256_or_si256(a, b)
#define quad_multiply(a, b) _mm256_mul_epu32(a, b)
#define quad_left(v, count) _mm256_sllv_epi64(v, count)
#define quad_right(v, count) _mm256_srlv_epi64(v, count)
// Of numbers from 1 to 2^52 - 1, as the exponents of floats.
static inline quad quad_bits(quad v) {
  const __m256i above = _mm256_set1_epi64x(0x4330000000000000);
  const __m256d value =
      _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(v, above)), _mm256_castsi256_pd(above));
  return _mm256_sub_epi64(_mm256_srli_epi64(_mm256_castpd_si256(value), 52),
                          _mm256_set1_epi64x(1022));
}
#define quad_above(a, b) _mm256_cmpgt_epi64(a, b)
#define quad_bitmap(mask) ((unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(mask)))
#define quad_choose(a, b, x, y) _mm256_blendv_epi8(y, x, _mm256_cmpgt_epi64(a, b))
#define quad_swapped(v)                                                                            \
  _mm256_shuffle_epi8(v, _mm256_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607,                 \
                                           0x08090a0b0c0d0e0f, 0x0001020304050607))
#define quad_gather(addresses) _mm256_i64gather_epi64(NULL, addresses, 1)
static inline void quad_scatter(quad addresses, quad v) {
  uint64_t at[4], words[4];
  quad_store(at, addresses);
  quad_store(words, v);
  for (int i = 0; i < 4; ++i)
    memcpy((void *)(uintptr_t)at[i], words + i, sizeof *words);
}
#endif

#endif
