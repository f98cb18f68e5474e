// Steps on vectors across a block's records, where the needed widths allow them: sums of 32 bits from products of 16.
//
// Two rows of 16-bit mantissas are interleaved to words for 2 * LANES records; what is accumulated is in that order,
// `low` and `high`, until it is packed to mantissas again, which brings the records back into theirs.
#ifndef PCEDGE_KERNELS_H
#define PCEDGE_KERNELS_H

#include "block.h"

#ifdef PCE_LANES
#define WIDTH ((size_t)(2 * LANES))
// Rows that are accumulated together.
#define ROWS (LANES == 16 ? 8 : 4)

// Shift what was accumulated for 2 * LANES records from `lane` on so that the largest entry of each has A bits.
static inline __attribute__((always_inline)) void settle(block_t *b, const pce_step *s, int units,
                                                         size_t lane, vec top_low, vec top_high) {
  // What a vector is written to may be anything, for a compiler: all else is read before.
  const int A = b->program->state_bits, down = 32 - A, revives = s->zeros == REVIVE;
  const uint32_t *work = b->work;
  uint16_t *state = b->state + (size_t)s->target * N + lane;
  const vec low = vec_length(top_low), high = vec_length(top_high), whole = vec_set(32);
  const vec_shift first = vec_amount(vec_sub(whole, low));
  const vec_shift second = vec_amount(vec_sub(whole, high));
  vec_store(b->lengths + lane, vec_pack(low, high));
  for (int k = 0; k < units; ++k, work += WIDTH) {
    const vec a = vec_left(vec_load(work), first);
    const vec c = vec_left(vec_load(work + LANES), second);
    vec_store(state + (size_t)k * N, vec_pack(vec_right(a, down), vec_right(c, down)));
  }
  if (!revives)
    return;
  const vec half = vec_set(1u << (A - 1));
  const vec revived = vec_pack(vec_if_zero(top_low, half), vec_if_zero(top_high, half));
  if (vec_any(revived))
    for (int k = 0; k < units; ++k) {
      uint16_t *row = state + (size_t)k * N;
      vec_store(row, vec_or(vec_load(row), revived));
    }
}

// The exponents of what `settle` left, from those that the accumulated numbers had.
static void settle_exponents(block_t *b, const pce_step *s, const int32_t *restrict exponent) {
  const int A = b->program->state_bits;
  int32_t *restrict own = b->exponents + (size_t)s->target_slot * N;
  const uint16_t *restrict length = b->lengths;
  FOR_LANES {
    const int64_t moved = (int64_t)exponent[n] + (length[n] ? length[n] - A : 0);
    const int none = moved < ZERO_EXPONENT || (!length[n] && s->zeros != REVIVE);
    own[n] = none ? ZERO_EXPONENT : (int32_t)moved;
  }
}

// Interleave the mantissas of a step's source for 2 * LANES records, less 2^15 each, for multiplications are signed.
static inline void interleave(block_t *b, const uint16_t *source, int units, int keep) {
  const vec flip = vec_set16(0x8000);
  uint32_t *words = b->sources;
  for (int k = 0; k < units; k += 2, words += WIDTH) {
    vec first = vec_load(source + (size_t)k * N);
    vec second = vec_load(source + (size_t)(k + 1 < units ? k + 1 : k) * N);
    if (keep) {
      first = vec_live16(first);
      second = vec_live16(second);
    }
    first = vec_xor(first, flip);
    second = vec_xor(second, flip);
    vec_store(words, vec_low(first, second));
    vec_store(words + LANES, vec_high(first, second));
  }
}

// Multiply what is interleaved, `count` words, with ROWS rows of weights that begin with these sums.
static inline __attribute__((always_inline)) void accumulate(const block_t *b,
                                                             const uint32_t *weights, size_t stride,
                                                             int count, const uint32_t *sums,
                                                             vec acc[ROWS][2]) {
  for (int r = 0; r < ROWS; ++r)
    acc[r][0] = acc[r][1] = vec_set(sums[r]);
  const uint32_t *source = b->sources;
  for (int p = 0; p < count; ++p, source += WIDTH, weights += stride) {
    const vec low = vec_load(source), high = vec_load(source + LANES);
    for (int r = 0; r < ROWS; ++r) {
      const vec weight = vec_set(weights[r]);
      acc[r][0] = vec_multiply_add(acc[r][0], low, weight);
      acc[r][1] = vec_multiply_add(acc[r][1], high, weight);
    }
  }
}

// A dense UP or DOWN.
static inline __attribute__((always_inline)) void mix_rows(block_t *b, const pce_step *s, int units,
                                                           int inputs) {
  const int count = (inputs + 1) / 2;
  const size_t stride = vectors_of((size_t)units);
  const uint32_t *weights = (const uint32_t *)(const void *)(b->program->pairs + s->pairs);
  const uint32_t *sums = b->program->sums + s->sums;
  const uint16_t *source = b->state + (size_t)s->a * N;
  for (size_t lane = 0; lane < N; lane += WIDTH) {
    interleave(b, source + lane, inputs, 0);
    vec top_low = vec_set(0), top_high = vec_set(0);
    uint32_t *work = b->work;
    for (int k = 0; k < units; k += ROWS) {
      vec acc[ROWS][2];
      accumulate(b, weights + k, stride, count, sums + k, acc);
      for (int r = 0; r < ROWS; ++r, work += WIDTH) {
        vec_store(work, acc[r][0]);
        vec_store(work + LANES, acc[r][1]);
        top_low = vec_max(top_low, acc[r][0]);
        top_high = vec_max(top_high, acc[r][1]);
      }
    }
    settle(b, s, units, lane, top_low, top_high);
  }
}

static void mix_lanes(block_t *b, const pce_step *s, const int32_t *exponent, int scales) {
  // Known numbers of units have no loops.
  if (s->units == 16 && s->a_units == 16)
    mix_rows(b, s, 16, 16);
  else
    mix_rows(b, s, s->units, s->a_units);
  if (scales)
    settle_exponents(b, s, exponent);
}

// UP, DOWN and LIST by lists of entries.
static void mix_lists(block_t *b, const pce_step *s, const int32_t *exponent, int scales) {
  const pce_program *p = b->program;
  const int units = s->units;
  const uint16_t *source = b->state + (size_t)s->a * N;
  const int32_t *starts = p->lists + s->list, *indices = p->lists + s->list_b;
  const uint32_t *weights = s->data < 0 ? NULL : p->weights + s->data;
  const vec none = vec_set(0);
  for (size_t lane = 0; lane < N; lane += WIDTH) {
    vec top_low = none, top_high = none;
    uint32_t *work = b->work;
    for (int k = 0; k < units; ++k, work += WIDTH) {
      vec low = none, high = none;
      for (int i = starts[k]; i < starts[k + 1]; ++i) {
        const vec m = vec_load(source + (size_t)indices[i] * N + lane);
        const vec first = vec_low(m, none), second = vec_high(m, none);
        const vec weight = vec_set(weights ? weights[i] : 1);
        low = vec_add(low, weights ? vec_multiply(first, weight) : first);
        high = vec_add(high, weights ? vec_multiply(second, weight) : second);
      }
      vec_store(work, low);
      vec_store(work + LANES, high);
      top_low = vec_max(top_low, low);
      top_high = vec_max(top_high, high);
    }
    settle(b, s, units, lane, top_low, top_high);
  }
  if (scales)
    settle_exponents(b, s, exponent);
}

// The same into the accumulators, where entries stay possible.
static void accumulate_lanes(block_t *b, const pce_step *s) {
  const int count = (s->a_units + 1) / 2;
  const size_t stride = vectors_of((size_t)s->units);
  const uint32_t *weights = (const uint32_t *)(const void *)(b->program->pairs + s->pairs);
  for (size_t lane = 0; lane < N; lane += WIDTH) {
    interleave(b, b->state + (size_t)s->a * N + lane, s->a_units, 1);
    for (int k = 0; k < s->units; k += ROWS) {
      vec acc[ROWS][2];
      accumulate(b, weights + k, stride, count, b->program->sums + s->sums + k, acc);
      for (int r = 0; r < ROWS && k + r < s->units; ++r) {
        vec first, second;
        vec_order(acc[r][0], acc[r][1], &first, &second);
        vec_store(b->narrow + (size_t)(k + r) * N + lane, first);
        vec_store(b->narrow + (size_t)(k + r) * N + lane + LANES, second);
      }
    }
  }
}

// Products for 2 * LANES records from `lane` on. Both halves of 32 bits are kept apart: where some product of each
// record has more than 16 bits, 16-bit vectors do the rest.
static inline __attribute__((always_inline)) void multiply_rows(block_t *b, const pce_step *s,
                                                                int units, size_t lane,
                                                                const int32_t *first_list,
                                                                const int32_t *second_list) {
  const int A = b->program->state_bits;
  const uint16_t *firsts = b->state + (size_t)s->a * N + lane;
  const uint16_t *seconds = b->state + (size_t)s->b * N + lane;
  uint16_t *state = b->state + (size_t)s->target * N + lane;
  uint32_t *work = b->work;
  vec top = vec_set(0);
  for (int k = 0; k < units; ++k, work += WIDTH) {
    const vec first = vec_load(firsts + (size_t)(first_list ? first_list[k] : k) * N);
    const vec second = vec_load(seconds + (size_t)(second_list ? second_list[k] : k) * N);
    const vec high = vec_high16(first, second);
    vec_store(work, high);
    vec_store(work + LANES, vec_low16(first, second));
    top = vec_max16(top, high);
  }
  work = b->work;
  if (vec_some16(top)) {
    const vec none = vec_set(0), low = vec_low(top, none), high = vec_high(top, none);
    const vec length = vec_pack(vec_length(low), vec_length(high)), half = vec_set16(16);
    vec_store(b->lengths + lane, vec_add16(length, half));
    const vec amount = vec_amount16(vec_sub16(half, length));
    for (int k = 0; k < units; ++k, work += WIDTH) {
      const vec m = vec_double_left(vec_load(work), vec_load(work + LANES), amount);
      vec_store(state + (size_t)k * N, vec_right16(m, 16 - A));
    }
    return;
  }
  vec top_low = vec_set(0), top_high = vec_set(0);
  for (int k = 0; k < units; ++k, work += WIDTH) {
    const vec high = vec_load(work), low = vec_load(work + LANES);
    const vec first = vec_low(low, high), second = vec_high(low, high);
    vec_store(work, first);
    vec_store(work + LANES, second);
    top_low = vec_max(top_low, first);
    top_high = vec_max(top_high, second);
  }
  settle(b, s, units, lane, top_low, top_high);
}

static void multiply_lanes(block_t *b, const pce_step *s, const int32_t *exponent, int scales) {
  const int32_t *lists = b->program->lists;
  const int32_t *first = s->list < 0 ? NULL : lists + s->list;
  const int32_t *second = s->list_b < 0 ? NULL : lists + s->list_b;
  for (size_t lane = 0; lane < N; lane += WIDTH) {
    if (!first && !second && s->units == 16)
      multiply_rows(b, s, 16, lane, NULL, NULL);
    else
      multiply_rows(b, s, s->units, lane, first, second);
  }
  if (scales)
    settle_exponents(b, s, exponent);
}
#endif

#endif
