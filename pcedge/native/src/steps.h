// The steps of a schedule on a block of records (docs/arithmetic.md, docs/program.md).
#ifndef PCEDGE_STEPS_H
#define PCEDGE_STEPS_H

#include "pcedge.h"
#include "vectors.h"
#include <stdlib.h>
#include <string.h>

#define N PCE_BLOCK
#define FOR_LANES for (size_t n = 0; n < N; ++n)

enum { INIT, LEAF, UP, DOWN, LIST, MULTIPLY, ALIGN, INTERVAL };
enum { STAY, REVIVE, KEEP, TAIL };

#define ZERO_EXPONENT (-(1 << 30))
#define TAIL_BITS 15
#define WEIGHT_TAIL_BITS 4
#define MISSING (-1)

// A block's memory: everything has N entries side by side.
typedef struct {
  const pce_program *program;
  uint16_t *state;    // mantissas, by unit
  int32_t *exponents; // by slot
  int32_t *symbols;   // by variable
  uint32_t *narrow;   // accumulators
  uint64_t *wide;     // the same where 32 bits are too few
  uint32_t *pairs;    // mantissas of two units, less 2^15 each
  uint16_t *context;  // of an INTERVAL, by record: `room` units
  int room;           // units rounded up to whole vectors
  uint32_t reciprocals[256];
} block_t;

static inline int bits_of(uint64_t x) { return x ? 64 - __builtin_clzll(x) : 0; }

// The bits of N numbers, as compilers turn it into vectors: the exponent of a float, whose low bits
// are cleared so that it does not round up.
static inline void lengths_narrow(const uint32_t *restrict x, int32_t *restrict length) {
  FOR_LANES {
    const uint32_t half = x[n] >> 1, top = half & ~(half >> 1);
    const float value = (float)(int32_t)top;
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    const int32_t bits = (int32_t)(word >> 23) - 126;
    length[n] = (bits > 0 ? bits : 0) + (x[n] != 0);
  }
}

static inline void lengths_wide(const uint64_t *restrict x, int32_t *restrict length) {
  FOR_LANES length[n] = bits_of(x[n]);
}

static void *taken(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  return memory;
}

static void block_free(block_t *b) {
  free(b->state);
  free(b->exponents);
  free(b->symbols);
  free(b->narrow);
  free(b->wide);
  free(b->pairs);
  free(b->context);
}

static int block_make(block_t *b, const pce_program *p, const pce_schedule *s) {
  const size_t units = (size_t)p->units + 1;
  memset(b, 0, sizeof *b);
  b->program = p;
  b->room = (int)((units + 15) / 16 * 16);
  for (uint32_t i = 0; i < 256; ++i)
    b->reciprocals[i] = (1u << 25) / (2 * i + 513);
  b->state = taken(((size_t)s->words + 1) * N, sizeof *b->state);
  b->exponents = taken(((size_t)s->slots + 1) * N, sizeof *b->exponents);
  b->symbols = taken((size_t)p->variables * N, sizeof *b->symbols);
  b->narrow = taken(units * N, sizeof *b->narrow);
  b->wide = taken(units * N, sizeof *b->wide);
  b->pairs = taken((units / 2 + 1) * N, sizeof *b->pairs);
  b->context = taken((size_t)b->room * N, sizeof *b->context);
  if (b->state && b->exponents && b->symbols && b->narrow && b->wide && b->pairs && b->context)
    return PCE_OK;
  block_free(b);
  return PCE_MEMORY;
}

// What a mantissa weighs: in a likelihood with tails 1 weighs nothing.
static inline uint32_t live_of(uint32_t mantissa, int keep) {
  return mantissa - (uint32_t)(keep && mantissa == 1);
}

// Shift what was accumulated so that each record's largest entry has A bits.
#define NORMALISE(NAME, WORD, WIDTH, LENGTHS)                                                      \
  static void NAME(block_t *b, const pce_step *s, const WORD *restrict acc,                        \
                   const int32_t *restrict exponent, int scales) {                                 \
    const int A = b->program->state_bits, units = s->units;                                        \
    uint16_t *restrict state = b->state + (size_t)s->target * N;                                   \
    WORD top[N], up[N];                                                                            \
    FOR_LANES top[n] = 0;                                                                          \
    for (int k = 0; k < units; ++k)                                                                \
      FOR_LANES top[n] = acc[(size_t)k * N + n] > top[n] ? acc[(size_t)k * N + n] : top[n];        \
    int dead = 0, keeps = s->zeros >= KEEP;                                                        \
    int32_t length[N];                                                                             \
    LENGTHS(top, length);                                                                          \
    FOR_LANES {                                                                                    \
      dead |= length[n] == 0;                                                                      \
      up[n] = (WORD)(WIDTH - (length[n] ? length[n] : WIDTH));                                     \
    }                                                                                              \
    for (int k = 0; k < units; ++k)                                                                \
      FOR_LANES state[(size_t)k * N + n] =                                                         \
          (uint16_t)((acc[(size_t)k * N + n] << up[n]) >> (WIDTH - A));                            \
    if (keeps) {                                                                                   \
      for (int k = 0; k < units; ++k)                                                              \
        FOR_LANES {                                                                                \
          const WORD whole = acc[(size_t)k * N + n];                                               \
          uint16_t *m = state + (size_t)k * N + n;                                                 \
          if (whole && (!*m || (whole == 1 && length[n] > 1)))                                     \
            *m = 1;                                                                                \
        }                                                                                          \
    }                                                                                              \
    if (dead && s->zeros == REVIVE)                                                                \
      for (int k = 0; k < units; ++k)                                                              \
        FOR_LANES if (!length[n]) state[(size_t)k * N + n] = (uint16_t)(1u << (A - 1));            \
    if (!scales)                                                                                   \
      return;                                                                                      \
    int32_t *restrict own = b->exponents + (size_t)s->target_slot * N;                             \
    FOR_LANES {                                                                                    \
      int64_t moved = (int64_t)exponent[n] + (length[n] ? length[n] - A : 0);                      \
      if (moved < ZERO_EXPONENT || (!length[n] && s->zeros != REVIVE))                             \
        moved = ZERO_EXPONENT;                                                                     \
      own[n] = (int32_t)moved;                                                                     \
    }                                                                                              \
  }

NORMALISE(normalise_narrow, uint32_t, 32, lengths_narrow)
NORMALISE(normalise_wide, uint64_t, 64, lengths_wide)

static void normalise(block_t *b, const pce_step *s, const int32_t *exponent, int scales) {
  if (s->wide)
    normalise_wide(b, s, b->wide, exponent, scales);
  else
    normalise_narrow(b, s, b->narrow, exponent, scales);
}

static void run_init(block_t *b, const pce_step *s) {
  const int A = b->program->state_bits;
  for (size_t i = 0; i < (size_t)s->units * N; ++i)
    b->state[(size_t)s->target * N + i] = (uint16_t)(1u << (A - 1));
  FOR_LANES b->exponents[(size_t)s->target_slot * N + n] = 1 - A;
}

// Turn rows of 16-bit numbers by record into rows by unit: `units` of each record, padded to 16.
static void by_unit(const uint16_t *restrict rows, size_t room, uint16_t *restrict out, int units) {
  for (size_t first = 0; first < N; first += 8)
    for (int k = 0; k < units; k += 8)
      transpose(rows + first * room + (size_t)k, room, out + (size_t)k * N + first, N,
                units - k < 8 ? units - k : 8);
}

// The same from rows by unit to rows by record.
static void by_record(const uint16_t *restrict rows, uint16_t *restrict out, size_t room,
                      int units) {
  for (size_t first = 0; first < N; first += 8)
    for (int k = 0; k < units; k += 8)
      transpose(rows + (size_t)k * N + first, N, out + first * room + (size_t)k, room, 8);
}

// LEAF of 16-bit tables, record by record.
static void run_leaf_short(block_t *b, const pce_step *s, int scales) {
  const pce_program *p = b->program;
  const int A = p->state_bits, L = p->leaf_bits, padded = (s->units + 15) / 16 * 16;
  const int32_t *symbols = b->symbols + (size_t)s->variable * N;
  const uint16_t *tables = (const uint16_t *)(p->pairs + s->pairs);
  int32_t *exponents = b->exponents + (size_t)s->target_slot * N;
  FOR_LANES {
    const int32_t symbol = symbols[n];
    const uint16_t *low = tables + (size_t)(symbol < 0 ? 0 : symbol) * (size_t)padded;
    const uint16_t *high = low + (symbol < 0 ? (size_t)s->symbols : 1) * (size_t)padded;
    uint16_t *row = b->context + n * (size_t)b->room;
    uint32_t top = 0;
    for (int k = 0; k < padded; ++k) {
      row[k] = (uint16_t)(high[k] - low[k]);
      top |= row[k];
    }
    const int length = bits_of(top), move = length - A;
    if (!length) {
      if (s->zeros == REVIVE)
        for (int k = 0; k < padded; ++k)
          row[k] = (uint16_t)(1u << (A - 1));
    } else if (move < 0) {
      const int keeps = s->zeros >= KEEP && length > 1;
      for (int k = 0; k < padded; ++k)
        row[k] = keeps && row[k] == 1 ? 1 : (uint16_t)(row[k] << -move);
    } else {
      const int keeps = s->zeros >= KEEP;
      for (int k = 0; k < padded; ++k) {
        const uint16_t m = row[k] >> move;
        row[k] = keeps && row[k] && !m ? 1 : m;
      }
    }
    if (scales) {
      const int moved = -L + (length ? move : 0);
      exponents[n] = !length && s->zeros != REVIVE ? ZERO_EXPONENT : moved;
    }
  }
  by_unit(b->context, (size_t)b->room, b->state + (size_t)s->target * N, s->units);
}

static void run_leaf(block_t *b, const pce_step *s, int scales) {
  const pce_program *p = b->program;
  if (s->pairs >= 0) {
    run_leaf_short(b, s, scales);
    return;
  }
  const int L = p->leaf_bits, units = s->units, tailed = s->zeros == TAIL;
  const int32_t *symbols = b->symbols + (size_t)s->variable * N;
  const uint32_t *tables = p->tables + s->data;
  int32_t exponent[N];
  FOR_LANES {
    const int32_t symbol = symbols[n];
    const uint32_t *low = tables + (size_t)(symbol < 0 ? 0 : symbol) * (size_t)units;
    const uint32_t *high = low + (symbol < 0 ? (size_t)s->symbols : 1) * (size_t)units;
    const int tail = tailed && symbol >= 0 ? p->lists[s->list_b + symbol] : 0;
    exponent[n] = -L - (tailed ? TAIL_BITS : 0);
    for (int k = 0; k < units; ++k) {
      uint32_t count = high[k] - low[k];
      if (tailed)
        count = count ? count << TAIL_BITS : (1u << TAIL_BITS) >> tail;
      b->narrow[(size_t)k * N + n] = count;
    }
  }
  normalise_narrow(b, s, b->narrow, exponent, scales);
}

// Put two units' mantissas side by side, less 2^15, for multiplications of signed 16 bits.
static void interleave(block_t *b, const uint16_t *source, int units, int keep) {
  for (int p = 0; 2 * p < units; ++p) {
    const uint16_t *restrict first = source + (size_t)(2 * p) * N;
    const uint16_t *restrict second = first + (2 * p + 1 < units ? N : 0);
    uint32_t *restrict pairs = b->pairs + (size_t)p * N;
    if (keep)
      FOR_LANES pairs[n] = (live_of(first[n], 1) | live_of(second[n], 1) << 16) ^ 0x80008000u;
    else
      FOR_LANES pairs[n] = ((uint32_t)first[n] | (uint32_t)second[n] << 16) ^ 0x80008000u;
  }
}

#define ROWS 4
// Rows of a dense block times the pairs; what less 2^15 took is in `sums`.
static void dense_rows(block_t *b, const pce_step *s, int first, int rows) {
  const int count = (s->a_units + 1) / 2;
  const int16_t *weights = b->program->pairs + s->pairs;
  const uint32_t *sums = b->program->sums + s->sums;
  for (int lane = 0; lane < N; lane += 2 * LANES) {
    vec acc[ROWS][2];
    const uint32_t *word[ROWS];
    for (int r = 0; r < ROWS; ++r) {
      const int row = first + (r < rows ? r : 0);
      acc[r][0] = acc[r][1] = vec_set(sums[row]);
      word[r] = (const uint32_t *)(const void *)(weights + (size_t)row * (size_t)count * 2);
    }
    const uint32_t *source = b->pairs + lane;
    for (int p = 0; p < count; ++p, source += N) {
      const vec low = vec_load(source), high = vec_load(source + LANES);
      for (int r = 0; r < ROWS; ++r) {
        uint32_t both;
        memcpy(&both, word[r] + p, sizeof both);
        const vec w = vec_set(both);
        acc[r][0] = vec_multiply_add(acc[r][0], low, w);
        acc[r][1] = vec_multiply_add(acc[r][1], high, w);
      }
    }
    for (int r = 0; r < rows; ++r) {
      uint32_t *out = b->narrow + (size_t)(first + r) * N + lane;
      vec_store(out, acc[r][0]);
      vec_store(out + LANES, acc[r][1]);
    }
  }
}

// Make entries without a value, of a dense block, possible where some source that they weigh is.
static void possible_rows(block_t *b, const pce_step *s) {
  const uint16_t *source = b->state + (size_t)s->a * N;
  for (int k = 0; k < s->units; ++k) {
    uint32_t *restrict sum = b->narrow + (size_t)k * N;
    const uint32_t *weights = b->program->weights + s->data + (size_t)k * (size_t)s->a_units;
    int zero = 0;
    FOR_LANES zero |= sum[n] == 0;
    for (int i = 0; zero && i < s->a_units; ++i)
      if (weights[i])
        FOR_LANES sum[n] |= (uint32_t)(sum[n] == 0 && source[(size_t)i * N + n] != 0);
  }
}

// UP, DOWN and LIST without a kernel of their own: any width, any lists, tails.
#define MIX(NAME, WORD)                                                                            \
  static void NAME(block_t *b, const pce_step *s, WORD *restrict acc) {                            \
    const pce_program *p = b->program;                                                             \
    const int keep = s->zeros >= KEEP, tails = s->zeros == TAIL && s->op == UP;                    \
    const uint16_t *source = b->state + (size_t)s->a * N;                                          \
    const int32_t *starts = s->list >= 0 ? p->lists + s->list : NULL;                              \
    const int32_t *indices = s->list_b >= 0 ? p->lists + s->list_b : NULL;                         \
    for (int k = 0; k < s->units; ++k) {                                                           \
      WORD *restrict sum = acc + (size_t)k * N;                                                    \
      const int begin = starts ? starts[k] : 0, end = starts ? starts[k + 1] : s->a_units;         \
      const uint32_t *weights =                                                                    \
          s->data < 0 ? NULL                                                                       \
                      : p->weights + s->data + (starts ? 0 : (size_t)k * (size_t)s->a_units);      \
      FOR_LANES sum[n] = 0;                                                                        \
      for (int i = begin; i < end; ++i) {                                                          \
        const uint16_t *restrict m = source + (size_t)(indices ? indices[i] : i) * N;              \
        const WORD w = weights ? weights[i] : 1;                                                   \
        if (!keep)                                                                                 \
          FOR_LANES sum[n] += w * (WORD)m[n];                                                      \
        else if (w)                                                                                \
          FOR_LANES sum[n] += w * (WORD)live_of(m[n], 1);                                          \
        else if (tails)                                                                            \
          FOR_LANES sum[n] += (WORD)(live_of(m[n], 1) >> WEIGHT_TAIL_BITS);                        \
      }                                                                                            \
      if (!keep)                                                                                   \
        continue;                                                                                  \
      for (int i = begin; i < end; ++i) {                                                          \
        if (!tails && weights && !weights[i])                                                      \
          continue;                                                                                \
        const uint16_t *restrict m = source + (size_t)(indices ? indices[i] : i) * N;              \
        FOR_LANES sum[n] += (WORD)(sum[n] == 0 && m[n] != 0);                                      \
      }                                                                                            \
    }                                                                                              \
  }

MIX(mix_narrow, uint32_t)
MIX(mix_wide, uint64_t)

static void run_mix(block_t *b, const pce_step *s, int scales) {
  const int fall = s->op == LIST ? 0 : b->program->weight_bits;
  int32_t exponent[N];
  FOR_LANES exponent[n] = scales ? b->exponents[(size_t)s->a_slot * N + n] - fall : 0;
  if (s->wide) {
    mix_wide(b, s, b->wide);
  } else if (s->pairs >= 0) {
    const int keep = s->zeros >= KEEP;
    interleave(b, b->state + (size_t)s->a * N, s->a_units, keep);
    for (int k = 0; k < s->units; k += ROWS)
      dense_rows(b, s, k, s->units - k < ROWS ? s->units - k : ROWS);
    if (keep)
      possible_rows(b, s);
  } else {
    mix_narrow(b, s, b->narrow);
  }
  normalise(b, s, exponent, scales);
}

static void run_multiply(block_t *b, const pce_step *s, int scales) {
  const int keep = s->zeros >= KEEP;
  const int32_t *lists = b->program->lists;
  int32_t exponent[N];
  for (int k = 0; k < s->units; ++k) {
    const int i = s->list < 0 ? k : lists[s->list + k];
    const int j = s->list_b < 0 ? k : lists[s->list_b + k];
    const uint16_t *restrict first = b->state + (size_t)(s->a + i) * N;
    const uint16_t *restrict second = b->state + (size_t)(s->b + j) * N;
    uint32_t *restrict product = b->narrow + (size_t)k * N;
    if (!keep)
      FOR_LANES product[n] = (uint32_t)first[n] * second[n];
    else
      FOR_LANES {
        const uint32_t value = live_of(first[n], 1) * live_of(second[n], 1);
        product[n] = value ? value : (uint32_t)(first[n] && second[n]);
      }
  }
  FOR_LANES exponent[n] =
      scales ? b->exponents[(size_t)s->a_slot * N + n] + b->exponents[(size_t)s->b_slot * N + n]
             : 0;
  normalise_narrow(b, s, b->narrow, exponent, scales);
}

static void run_align(block_t *b, const pce_step *s) {
  const int keep = s->zeros >= KEEP;
  const int32_t *first = b->exponents + (size_t)s->a_slot * N;
  const int32_t *second = b->exponents + (size_t)s->b_slot * N;
  int32_t common[N];
  FOR_LANES common[n] = first[n] > second[n] ? first[n] : second[n];
  for (int k = 0; k < s->units; ++k) {
    const int front = k < s->a_units;
    const uint16_t *source = b->state + (size_t)(front ? s->a + k : s->b + k - s->a_units) * N;
    uint16_t *target = b->state + (size_t)(s->target + k) * N;
    FOR_LANES {
      const int64_t away = (int64_t)common[n] - (front ? first[n] : second[n]);
      const uint16_t m = away > 16 ? 0 : (uint16_t)(source[n] >> away);
      target[n] = keep && source[n] && !m ? 1 : m;
    }
  }
  FOR_LANES b->exponents[(size_t)s->target_slot * N + n] = common[n];
}

// All steps but INTERVAL.
static void run_step(block_t *b, const pce_schedule *schedule, const pce_step *s) {
  switch (s->op) {
  case INIT:
    run_init(b, s);
    break;
  case LEAF:
    run_leaf(b, s, schedule->scales);
    break;
  case MULTIPLY:
    run_multiply(b, s, schedule->scales);
    break;
  case ALIGN:
    run_align(b, s);
    break;
  default:
    run_mix(b, s, schedule->scales);
  }
}

#endif
