// Intervals of symbols within 2^P (docs/arithmetic.md, section Intervals).
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
  const int units = s->a_units, padded = (units + 15) / 16 * 16;
  const uint16_t *source = b->state + (size_t)s->a * N;
  const size_t room = (size_t)b->room;
  FOR_LANES total[n] = 0;
  for (int k = 0; k < units; ++k)
    FOR_LANES total[n] += source[(size_t)k * N + n];
  if (units % 8 == 0 && s->pairs >= 0) {
    by_record(source, b->context, room, units);
  } else {
    for (int k = 0; k < units; ++k)
      FOR_LANES b->context[n * room + (size_t)k] = source[(size_t)k * N + n];
  }
  if (s->pairs < 0)
    return;
  for (int k = units; k < padded; ++k)
    FOR_LANES b->context[n * room + (size_t)k] = 0x8000;
  // Less 2^15, as multiplications of signed 16 bits want them; `sums` has what this takes.
  FOR_LANES for (int k = 0; k < units; ++k) b->context[n * room + (size_t)k] ^= 0x8000;
}

// The weighted entry of one symbol for one record.
static inline uint64_t weighted_of(const block_t *b, const pce_step *s, size_t n, int symbol) {
  const uint16_t *c = b->context + n * (size_t)b->room;
  const int units = s->a_units;
  if (s->pairs >= 0) {
    const int padded = (units + 15) / 16 * 16;
    const int16_t *row = b->program->pairs + s->pairs + (size_t)symbol * (size_t)padded;
    return (uint32_t)(dot((const int16_t *)c, row, padded) + b->program->sums[s->sums + symbol]);
  }
  const uint32_t *row = b->program->tables + s->data + (size_t)symbol * (size_t)units;
  uint64_t sum = 0;
  for (int k = 0; k < units; ++k)
    sum += (uint64_t)c[k] * row[k];
  return sum;
}

#endif
