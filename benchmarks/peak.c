// The most multiplications and additions of 16-bit numbers that one core does, register to register.
#include <stdint.h>
#include <string.h>

#if defined(__AVX512BW__)
#include <immintrin.h>
typedef __m512i vec;
#define ZERO _mm512_setzero_si512()
#define SET(x) _mm512_set1_epi16((short)(x))
#if defined(__AVX512VNNI__)
#define STEP(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)
#else
#define STEP(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
#endif
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256i vec;
#define ZERO _mm256_setzero_si256()
#define SET(x) _mm256_set1_epi16((short)(x))
#define STEP(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#else
#include <emmintrin.h>
typedef __m128i vec;
#define ZERO _mm_setzero_si128()
#define SET(x) _mm_set1_epi16((short)(x))
#define STEP(sum, a, b) _mm_add_epi32(sum, _mm_madd_epi16(a, b))
#endif

#define CHAINS 12

// Do `rounds` times CHAINS instructions; give how many multiplications and additions that were.
int64_t peak(int64_t rounds, int32_t *out) {
  vec sums[CHAINS], factor = SET(3);
  for (int i = 0; i < CHAINS; ++i)
    sums[i] = ZERO;
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) {
      // The compiler must not see that all multiply the same.
      __asm__ volatile("" : "+x"(factor));
      sums[i] = STEP(sums[i], factor, factor);
    }
  }
  for (int i = 0; i < CHAINS; ++i) {
    int32_t words[sizeof(vec) / 4];
    memcpy(words, &sums[i], sizeof words);
    *out += words[0];
  }
  return rounds * CHAINS * (int64_t)(sizeof(vec) / 2);
}
