// What the kernels need of an instruction set: vectors of LANES words, or of twice as many halves. Where there is no
// such set, PCE_FUSED is not defined, and loops in plain C do the work.
#ifndef PCEDGE_VECTORS_H
#define PCEDGE_VECTORS_H

#include <stddef.h>
#include <stdint.h>

// The bits of every word: the exponent of a float, whose low bits are cleared so that it does not round up. P is what
// the names of a size's instructions begin with, ALL how those for all bits end.
#define VEC_LENGTH(P, ALL)                                                                         \
  const vec half = P##_srli_epi32(v, 1);                                                           \
  const vec top = P##_andnot_##ALL(P##_srli_epi32(half, 1), half);                                 \
  const vec word = P##_castps_##ALL(P##_cvtepi32_ps(top));                                         \
  const vec bits = P##_sub_epi32(P##_srli_epi32(word, 23), P##_set1_epi32(125));                   \
  const vec some = P##_max_epi32(bits, P##_set1_epi32(1));                                         \
  return P##_andnot_##ALL(P##_cmpeq_epi32(v, P##_setzero_##ALL()), some);

#if defined(__AVX512BW__)
#include <immintrin.h>
#define LANES 16
#define PCE_FUSED
typedef __m512i vec;
typedef __m512i vec_shift;
#define vec_load(p) _mm512_loadu_si512((const void *)(p))
#define vec_store(p, v) _mm512_storeu_si512((void *)(p), v)
#define vec_set(x) _mm512_set1_epi32((int)(x))
#define vec_set16(x) _mm512_set1_epi16((short)(x))
#define vec_add(a, b) _mm512_add_epi32(a, b)
#define vec_sub(a, b) _mm512_sub_epi32(a, b)
#define vec_sub16(a, b) _mm512_sub_epi16(a, b)
#define vec_add16(a, b) _mm512_add_epi16(a, b)
#define vec_right16(v, n) _mm512_srl_epi16(v, _mm_cvtsi32_si128(n))
#define vec_and(a, b) _mm512_and_si512(a, b)
#define vec_or(a, b) _mm512_or_si512(a, b)
#define vec_xor(a, b) _mm512_xor_si512(a, b)
#define vec_low(a, b) _mm512_unpacklo_epi16(a, b)
#define vec_high(a, b) _mm512_unpackhi_epi16(a, b)
#define vec_pack(low, high) _mm512_packus_epi32(low, high)
#define vec_max(a, b) _mm512_max_epu32(a, b)
#define vec_max16(a, b) _mm512_max_epu16(a, b)
#define vec_low16(a, b) _mm512_mullo_epi16(a, b)
#define vec_high16(a, b) _mm512_mulhi_epu16(a, b)
#define vec_multiply(a, b) _mm512_mullo_epi32(a, b)
#define vec_some16(v) (_mm512_test_epi16_mask(v, v) == 0xffffffffu)
#define vec_live16(v) _mm512_maskz_mov_epi16(_mm512_cmpneq_epi16_mask(v, _mm512_set1_epi16(1)), v)
#define vec_length(v) _mm512_sub_epi32(_mm512_set1_epi32(32), _mm512_lzcnt_epi32(v))
#define vec_amount(count) (count)
#define vec_left(v, amount) _mm512_sllv_epi32(v, amount)
#define vec_amount_right(count) (count)
#define vec_right_each(v, amount) _mm512_srlv_epi32(v, amount)
#define vec_right(v, n) _mm512_srl_epi32(v, _mm_cvtsi32_si128(n))
#define vec_if_zero(v, x) _mm512_maskz_mov_epi32(_mm512_testn_epi32_mask(v, v), x)
#define vec_any(v) (_mm512_test_epi32_mask(v, v) != 0)
// The upper halves of (high, low) shifted left by fewer than 16 bits, of pairs of 16-bit numbers.
#if defined(__AVX512VBMI2__)
#define vec_double_left(high, low, count) _mm512_shldv_epi16(high, low, count)
#define vec_amount16(count) (count)
#endif
// x where a <= b, else y
#define vec_choose(a, b, x, y) _mm512_mask_blend_epi32(_mm512_cmple_epu32_mask(a, b), y, x)
typedef __m512 vec_floats;
#define vec_floats_load(p) _mm512_loadu_ps(p)
#define vec_floats_set(x) _mm512_set1_ps(x)
#define vec_floats_sub(a, b) _mm512_sub_ps(a, b)
#define vec_floats_multiply(a, b) _mm512_mul_ps(a, b)
// How many halves of words are at most these floats.
#define vec_count_halves(v, most)                                                                  \
  __builtin_popcount(                                                                              \
      _mm512_cmp_ps_mask(_mm512_cvtepi32_ps(_mm512_srli_epi32(v, 1)), most, _CMP_LE_OQ))
static inline vec vec_multiply_right(vec a, vec b, int n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  const vec even = _mm512_srl_epi64(_mm512_mul_epu32(a, b), count);
  const vec odd =
      _mm512_srl_epi64(_mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32)), count);
  return _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, _MM_PERM_CCAA);
}
#define vec_apart(first, second, low, high)                                                        \
  (*(low) = _mm512_shuffle_i64x2(first, second, 0x88),                                             \
   *(high) = _mm512_shuffle_i64x2(first, second, 0xdd))
static inline void vec_order(vec low, vec high, vec *first, vec *second) {
  *first = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high);
  *second = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high);
}
#define vec_gather(table, index) _mm512_i32gather_epi32(index, (const void *)(table), 4)
#if defined(__AVX512VNNI__)
#define vec_multiply_add(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)
#else
#define vec_multiply_add(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
#endif
#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
#define PCE_FUSED
typedef __m256i vec;
typedef __m256i vec_shift;
#define vec_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vec_store(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define vec_set(x) _mm256_set1_epi32((int)(x))
#define vec_set16(x) _mm256_set1_epi16((short)(x))
#define vec_add(a, b) _mm256_add_epi32(a, b)
#define vec_sub(a, b) _mm256_sub_epi32(a, b)
#define vec_sub16(a, b) _mm256_sub_epi16(a, b)
#define vec_add16(a, b) _mm256_add_epi16(a, b)
#define vec_right16(v, n) _mm256_srl_epi16(v, _mm_cvtsi32_si128(n))
#define vec_and(a, b) _mm256_and_si256(a, b)
#define vec_or(a, b) _mm256_or_si256(a, b)
#define vec_xor(a, b) _mm256_xor_si256(a, b)
#define vec_low(a, b) _mm256_unpacklo_epi16(a, b)
#define vec_high(a, b) _mm256_unpackhi_epi16(a, b)
#define vec_pack(low, high) _mm256_packus_epi32(low, high)
#define vec_max(a, b) _mm256_max_epu32(a, b)
#define vec_max16(a, b) _mm256_max_epu16(a, b)
#define vec_low16(a, b) _mm256_mullo_epi16(a, b)
#define vec_high16(a, b) _mm256_mulhi_epu16(a, b)
#define vec_some16(v)                                                                              \
  (_mm256_testz_si256(_mm256_cmpeq_epi16(v, _mm256_setzero_si256()), _mm256_set1_epi16(-1)))
#define vec_live16(v) _mm256_andnot_si256(_mm256_cmpeq_epi16(v, _mm256_set1_epi16(1)), v)
#define vec_multiply(a, b) _mm256_mullo_epi32(a, b)
#define vec_amount(count) (count)
#define vec_left(v, amount) _mm256_sllv_epi32(v, amount)
#define vec_amount_right(count) (count)
#define vec_right_each(v, amount) _mm256_srlv_epi32(v, amount)
#define vec_right(v, n) _mm256_srl_epi32(v, _mm_cvtsi32_si128(n))
#define vec_if_zero(v, x) _mm256_and_si256(_mm256_cmpeq_epi32(v, _mm256_setzero_si256()), x)
#define vec_any(v) (!_mm256_testz_si256(v, v))
#define vec_choose(a, b, x, y)                                                                     \
  _mm256_blendv_epi8(y, x, _mm256_cmpeq_epi32(_mm256_max_epu32(a, b), b))
typedef __m256 vec_floats;
#define vec_floats_load(p) _mm256_loadu_ps(p)
#define vec_floats_set(x) _mm256_set1_ps(x)
#define vec_floats_sub(a, b) _mm256_sub_ps(a, b)
#define vec_floats_multiply(a, b) _mm256_mul_ps(a, b)
#define vec_count_halves(v, most)                                                                  \
  __builtin_popcount((unsigned)_mm256_movemask_ps(                                                 \
      _mm256_cmp_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(v, 1)), most, _CMP_LE_OQ)))
static inline vec vec_length(vec v) { VEC_LENGTH(_mm256, si256) }
static inline vec vec_multiply_right(vec a, vec b, int n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  const vec even = _mm256_srl_epi64(_mm256_mul_epu32(a, b), count);
  const vec odd =
      _mm256_srl_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)), count);
  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
#define vec_apart(first, second, low, high)                                                        \
  (*(low) = _mm256_permute2x128_si256(first, second, 0x20),                                        \
   *(high) = _mm256_permute2x128_si256(first, second, 0x31))
#define vec_order(low, high, first, second) vec_apart(low, high, first, second)
#define vec_gather(table, index) _mm256_i32gather_epi32((const int *)(table), index, 4)
#define vec_multiply_add(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#elif defined(__SSE4_1__)
#include <smmintrin.h>
#define LANES 4
#define PCE_FUSED
typedef __m128i vec;
typedef __m128i vec_shift;
#define vec_load(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define vec_store(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define vec_set(x) _mm_set1_epi32((int)(x))
#define vec_set16(x) _mm_set1_epi16((short)(x))
#define vec_add(a, b) _mm_add_epi32(a, b)
#define vec_sub(a, b) _mm_sub_epi32(a, b)
#define vec_sub16(a, b) _mm_sub_epi16(a, b)
#define vec_add16(a, b) _mm_add_epi16(a, b)
#define vec_right16(v, n) _mm_srl_epi16(v, _mm_cvtsi32_si128(n))
#define vec_and(a, b) _mm_and_si128(a, b)
#define vec_or(a, b) _mm_or_si128(a, b)
#define vec_xor(a, b) _mm_xor_si128(a, b)
#define vec_low(a, b) _mm_unpacklo_epi16(a, b)
#define vec_high(a, b) _mm_unpackhi_epi16(a, b)
#define vec_pack(low, high) _mm_packus_epi32(low, high)
#define vec_max(a, b) _mm_max_epu32(a, b)
#define vec_max16(a, b) _mm_max_epu16(a, b)
#define vec_low16(a, b) _mm_mullo_epi16(a, b)
#define vec_high16(a, b) _mm_mulhi_epu16(a, b)
#define vec_left16(v, n) _mm_sll_epi16(v, _mm_cvtsi32_si128(n))
#define vec_greatest16(v)                                                                          \
  (0xffff ^                                                                                        \
   ((uint32_t)_mm_cvtsi128_si32(_mm_minpos_epu16(_mm_xor_si128(v, _mm_set1_epi16(-1)))) & 0xffff))
#define vec_some16(v) (_mm_testz_si128(_mm_cmpeq_epi16(v, _mm_setzero_si128()), _mm_set1_epi16(-1)))
#define vec_live16(v) _mm_andnot_si128(_mm_cmpeq_epi16(v, _mm_set1_epi16(1)), v)
#define vec_multiply(a, b) _mm_mullo_epi32(a, b)
// Shifts by different amounts are multiplications by powers of 2, which floats give: 2^31 and more is 2^31.
static inline vec vec_amount(vec count) {
  return _mm_cvttps_epi32(
      _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(count, _mm_set1_epi32(127)), 23)));
}
#define vec_left(v, amount) _mm_mullo_epi32(v, amount)
#define vec_amount_right(count) vec_amount(_mm_sub_epi32(_mm_set1_epi32(31), count))
#define vec_right_each(v, amount) vec_multiply_right(v, amount, 31)
#define vec_right(v, n) _mm_srl_epi32(v, _mm_cvtsi32_si128(n))
#define vec_if_zero(v, x) _mm_and_si128(_mm_cmpeq_epi32(v, _mm_setzero_si128()), x)
#define vec_any(v) (!_mm_testz_si128(v, v))
#define vec_choose(a, b, x, y) _mm_blendv_epi8(y, x, _mm_cmpeq_epi32(_mm_max_epu32(a, b), b))
typedef __m128 vec_floats;
#define vec_floats_load(p) _mm_loadu_ps(p)
#define vec_floats_set(x) _mm_set1_ps(x)
#define vec_floats_sub(a, b) _mm_sub_ps(a, b)
#define vec_floats_multiply(a, b) _mm_mul_ps(a, b)
#define vec_count_halves(v, most)                                                                  \
  __builtin_popcount(                                                                              \
      (unsigned)_mm_movemask_ps(_mm_cmple_ps(_mm_cvtepi32_ps(_mm_srli_epi32(v, 1)), most)))
static inline vec vec_length(vec v) { VEC_LENGTH(_mm, si128) }
static inline vec vec_multiply_right(vec a, vec b, int n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  const vec even = _mm_srl_epi64(_mm_mul_epu32(a, b), count);
  const vec odd = _mm_srl_epi64(_mm_mul_epu32(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32)), count);
  return _mm_blend_epi16(even, _mm_slli_epi64(odd, 32), 0xcc);
}
#define vec_multiply_add(sum, a, b) _mm_add_epi32(sum, _mm_madd_epi16(a, b))
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define LANES 4
#define PCE_FUSED
typedef uint32x4_t vec;
typedef int32x4_t vec_shift;
#define VEC16(v) vreinterpretq_u16_u32(v)
#define VEC_OF16(v) vreinterpretq_u32_u16(v)
#define vec_load(p) vreinterpretq_u32_u8(vld1q_u8((const uint8_t *)(p)))
#define vec_store(p, v) vst1q_u8((uint8_t *)(p), vreinterpretq_u8_u32(v))
#define vec_set(x) vdupq_n_u32((uint32_t)(x))
#define vec_set16(x) VEC_OF16(vdupq_n_u16((uint16_t)(x)))
#define vec_add(a, b) vaddq_u32(a, b)
#define vec_sub(a, b) vsubq_u32(a, b)
#define vec_sub16(a, b) VEC_OF16(vsubq_u16(VEC16(a), VEC16(b)))
#define vec_and(a, b) vandq_u32(a, b)
#define vec_add16(a, b) VEC_OF16(vaddq_u16(VEC16(a), VEC16(b)))
#define vec_right16(v, n) VEC_OF16(vshlq_u16(VEC16(v), vdupq_n_s16((int16_t)-(n))))
#define vec_or(a, b) vorrq_u32(a, b)
#define vec_xor(a, b) veorq_u32(a, b)
#define vec_low(a, b) VEC_OF16(vzip1q_u16(VEC16(a), VEC16(b)))
#define vec_high(a, b) VEC_OF16(vzip2q_u16(VEC16(a), VEC16(b)))
#define vec_pack(low, high) VEC_OF16(vcombine_u16(vqmovn_u32(low), vqmovn_u32(high)))
#define vec_max(a, b) vmaxq_u32(a, b)
#define vec_max16(a, b) VEC_OF16(vmaxq_u16(VEC16(a), VEC16(b)))
#define vec_low16(a, b) VEC_OF16(vmulq_u16(VEC16(a), VEC16(b)))
static inline vec vec_high16(vec a, vec b) {
  const uint32x4_t low = vmull_u16(vget_low_u16(VEC16(a)), vget_low_u16(VEC16(b)));
  const uint32x4_t high = vmull_high_u16(VEC16(a), VEC16(b));
  return VEC_OF16(vuzp2q_u16(VEC16(low), VEC16(high)));
}
#define vec_left16(v, n) VEC_OF16(vshlq_u16(VEC16(v), vdupq_n_s16((int16_t)(n))))
#define vec_greatest16(v) ((uint32_t)vmaxvq_u16(VEC16(v)))
#define vec_some16(v) (vminvq_u16(VEC16(v)) != 0)
#define vec_live16(v) VEC_OF16(vbicq_u16(VEC16(v), vceqq_u16(VEC16(v), vdupq_n_u16(1))))
#define vec_multiply(a, b) vmulq_u32(a, b)
#define vec_length(v) vsubq_u32(vdupq_n_u32(32), vclzq_u32(v))
#define vec_amount(count) vreinterpretq_s32_u32(count)
#define vec_left(v, amount) vshlq_u32(v, amount)
#define vec_amount_right(count) vnegq_s32(vreinterpretq_s32_u32(count))
#define vec_right_each(v, amount) vshlq_u32(v, amount)
#define vec_right(v, n) vshlq_u32(v, vdupq_n_s32(-(n)))
#define vec_if_zero(v, x) vandq_u32(vceqzq_u32(v), x)
#define vec_any(v) (vmaxvq_u32(v) != 0)
typedef float32x4_t vec_floats;
#define vec_floats_load(p) vld1q_f32(p)
#define vec_floats_set(x) vdupq_n_f32(x)
#define vec_floats_sub(a, b) vsubq_f32(a, b)
#define vec_floats_multiply(a, b) vmulq_f32(a, b)
#define vec_count_halves(v, most)                                                                  \
  ((int)vaddvq_u32(vshrq_n_u32(vcleq_f32(vcvtq_f32_u32(vshrq_n_u32(v, 1)), most), 31)))
#define vec_choose(a, b, x, y) vbslq_u32(vcleq_u32(a, b), x, y)
static inline vec vec_multiply_right(vec a, vec b, int n) {
  const int64x2_t count = vdupq_n_s64(-n);
  const uint64x2_t low = vshlq_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)), count);
  const uint64x2_t high = vshlq_u64(vmull_high_u32(a, b), count);
  return vuzp1q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
}
static inline vec vec_multiply_add(vec sum, vec a, vec b) {
  const int16x8_t left = vreinterpretq_s16_u32(a), right = vreinterpretq_s16_u32(b);
  const int32x4_t low = vmull_s16(vget_low_s16(left), vget_low_s16(right));
  const int32x4_t high = vmull_high_s16(left, right);
  return vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, high)));
}
#endif

#if defined(PCE_FUSED) && LANES == 4
#define vec_apart(first, second, low, high) (*(low) = (first), *(high) = (second))
#define vec_order(low, high, first, second) (*(first) = (low), *(second) = (high))
#endif

#if defined(PCE_FUSED) && !defined(vec_double_left)
// The upper halves of (high, low) shifted left by fewer than 16 bits, of pairs of 16-bit numbers.
#define vec_double_left(high, low, power) vec_add16(vec_low16(high, power), vec_high16(low, power))
static inline vec vec_amount16(vec count) {
  const vec none = vec_set(0), one = vec_set(1);
  return vec_pack(vec_left(one, vec_amount(vec_low(count, none))),
                  vec_left(one, vec_amount(vec_high(count, none))));
}
#endif

#if defined(PCE_FUSED) && !defined(vec_gather)
static inline vec vec_gather(const uint32_t *table, vec index) {
  uint32_t at[LANES];
  vec_store(at, index);
  for (int i = 0; i < LANES; ++i)
    at[i] = table[at[i]];
  return vec_load(at);
}
#endif

#endif
