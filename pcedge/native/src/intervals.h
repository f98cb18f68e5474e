// Intervals of symbols within 2^P (docs/arithmetic.md, section Intervals): for a whole block in 32 bits
// where a step has tables of 16 bits, else record by record.
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
  const int units = s->a_units;
  const uint16_t *source = b->state + (size_t)s->a * N;
  const size_t room = (size_t)b->room;
  FOR_LANES total[n] = 0;
  for (int k = 0; k < units; ++k)
    FOR_LANES {
      total[n] += source[(size_t)k * N + n];
      b->context[n * room + (size_t)k] = source[(size_t)k * N + n];
    }
}

// The weighted entry of one symbol for one record.
static inline uint64_t weighted_of(const block_t *b, const pce_step *s, size_t n, int symbol) {
  const uint16_t *c = b->context + n * (size_t)b->room;
  const int units = s->a_units;
  const uint32_t *row = b->program->tables + s->data + (size_t)symbol * (size_t)units;
  uint64_t sum = 0;
  for (int k = 0; k < units; ++k)
    sum += (uint64_t)c[k] * row[k];
  return sum;
}

// The same of a block whose weighted entries have at most 32 bits.
typedef struct {
  uint32_t total[N], scale[N], up[N], down[N];
} scales_t;

static inline int padded_of(const pce_step *s) { return (s->a_units + 15) / 16 * 16; }

static inline __attribute__((always_inline)) void weigh_rows(const block_t *b, const int16_t *table,
                                                             int padded, const uint32_t *rows,
                                                             int count, uint32_t *out) {
  const size_t room = (size_t)b->room;
  for (int n = 0; n < count; n += 8) {
    const int16_t *row[8];
    for (int i = 0; i < 8; ++i)
      row[i] = table + (size_t)rows[n + i] * (size_t)padded;
    dots((const int16_t *)b->context + (size_t)n * room, room, row, padded, out + n);
  }
}

// Weighted entries of a row of the table for each record; those of records from `count` on are left.
static void weigh(const block_t *b, const int16_t *table, int padded, const uint32_t *rows,
                  int count, uint32_t *out) {
  // A known number of units has no loop.
  if (padded == 16)
    weigh_rows(b, table, 16, rows, count, out);
  else
    weigh_rows(b, table, padded, rows, count, out);
}

static void take_scales(block_t *b, const pce_step *s, int count, scales_t *c) {
  const pce_program *p = b->program;
  const int padded = padded_of(s), L = p->leaf_bits, P = p->scale_bits;
  static const uint32_t none[N];
  uint32_t divisor[N], start[N];
  int32_t length[N];
  // Less 2^15, as multiplications of signed 16 bits want them. What stands behind the units is not 0,
  // but its entries in the tables are.
  by_record(b->state + (size_t)s->a * N, b->context, (size_t)b->room, padded, 0x8000);
  // The last row of the tables is 2^L for all units: what it weighs is the sum times 2^L.
  FOR_LANES c->total[n] = 0;
  weigh(b, b->program->pairs + s->pairs + (size_t)s->symbols * (size_t)padded, padded, none, count,
        c->total);
  FOR_LANES c->total[n] >>= L;
  lengths_narrow(c->total, length);
  FOR_LANES {
    const int32_t over = length[n] - RECIPROCAL_BITS, amount = length[n] + L - (P + 2);
    const uint32_t excess = over > 0 ? (uint32_t)over : 0, lack = over < 0 ? (uint32_t)-over : 0;
    divisor[n] = ((c->total[n] + (1u << excess) - 1) >> excess) << lack;
    c->up[n] = amount < 0 ? (uint32_t)-amount : 0;
    c->down[n] = amount > 0 ? (uint32_t)amount : 0;
  }
  FOR_LANES {
    // A column without a record may hold anything.
    const uint32_t index = (divisor[n] >> 7) - 256;
    start[n] = b->reciprocals[index < 255 ? index : 255];
  }
  const uint32_t left = (1u << P) - (uint32_t)s->symbols * (uint32_t)p->floor;
  FOR_LANES {
    const uint32_t error = (0u - divisor[n] * start[n]) >> 14;
    const uint32_t inverse = (uint32_t)((uint64_t)start[n] * error >> 15);
    const uint32_t exact = divisor[n] == 1u << RECIPROCAL_BITS ? 1u << 17 : inverse;
    c->scale[n] = (uint32_t)((uint64_t)exact * left >> 17);
  }
}

// The bounds of a symbol for each record.
static inline void bounds_of(const pce_program *p, const scales_t *c,
                             const uint32_t *restrict weighted, const uint32_t *restrict symbols,
                             uint32_t *restrict bounds) {
  const uint32_t floor = (uint32_t)p->floor;
  const int shift = p->scale_bits + 2;
  FOR_LANES {
    const uint32_t entry = (weighted[n] << c->up[n]) >> c->down[n];
    bounds[n] = symbols[n] * floor + (uint32_t)((uint64_t)entry * c->scale[n] >> shift);
  }
}

#endif
