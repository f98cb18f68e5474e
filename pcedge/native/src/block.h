// A block of records side by side, and how what was accumulated becomes mantissas again (docs/arithmetic.md).
#ifndef PCEDGE_BLOCK_H
#define PCEDGE_BLOCK_H

#include "pcedge.h"
#include "rows.h"
#include <stdlib.h>
#include <string.h>

// PCE_ONE compiles the engine for blocks of one record, whose vectors hold units.
#ifdef PCE_ONE
#define N 1
#else
#define N PCE_BLOCK
#endif
#if defined(PCE_FUSED) && defined(PCE_ONE)
#define PCE_UNITS
#elif defined(PCE_FUSED)
#define PCE_LANES
#endif
#define FOR_LANES for (size_t n = 0; n < N; ++n)

enum { INIT, LEAF, UP, DOWN, LIST, MULTIPLY, ALIGN, INTERVAL };
enum { STAY, REVIVE, KEEP, TAIL };

#define ZERO_EXPONENT (-(1 << 30))
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
  uint32_t *sources;  // mantissas of two units, less 2^15 each, for two vectors of records
  uint32_t *work;     // what is accumulated for them
  uint16_t *context;  // of an INTERVAL, by record: `room` units
  uint16_t lengths[N];
  float counting[16]; // 0, 1, 2, …
  int16_t *ones;      // `room` of them, and zeros behind
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

static void *taken(size_t count, size_t size) { return calloc(count ? count : 1, size); }

// Memory of zeros that begins with a line of the cache; what calloc gave stands before it.
#define LINE 64
static void *lined(size_t count, size_t size) {
  if (count > (SIZE_MAX - 2 * LINE) / size)
    return NULL;
  uint8_t *memory = calloc(count * size + 2 * LINE, 1);
  if (!memory)
    return NULL;
  uint8_t *line = memory + LINE + (LINE - (uintptr_t)memory % LINE) % LINE;
  memcpy(line - sizeof memory, &memory, sizeof memory);
  return line;
}

static void lined_free(void *line) {
  uint8_t *memory = NULL;
  if (line)
    memcpy(&memory, (uint8_t *)line - sizeof memory, sizeof memory);
  free(memory);
}

// Units rounded up to whole vectors.
static inline size_t vectors_of(size_t units) { return (units + 15) / 16 * 16; }

static void block_free(block_t *b) {
  lined_free(b->state);
  lined_free(b->exponents);
  lined_free(b->symbols);
  lined_free(b->narrow);
  lined_free(b->wide);
  lined_free(b->sources);
  lined_free(b->work);
  lined_free(b->context);
  lined_free(b->ones);
}

static int block_make(block_t *b, const pce_program *p, const pce_schedule *s) {
  const size_t units = (size_t)p->units + 1, room = vectors_of(units), vectors = N < 32 ? 32 : N;
  memset(b, 0, sizeof *b);
  b->program = p;
  b->room = (int)room;
  for (uint32_t i = 0; i < 256; ++i)
    b->reciprocals[i] = (1u << 25) / (2 * i + 513);
  for (uint32_t i = 0; i < 16; ++i)
    b->counting[i] = (float)i;
  // Contexts are read in vectors of 16 units, also the last one.
  b->state = lined(((size_t)s->words + 16) * N + 16, sizeof *b->state);
  b->exponents = lined(((size_t)s->slots + 1) * N, sizeof *b->exponents);
  b->symbols = lined((size_t)p->variables * N, sizeof *b->symbols);
  b->narrow = lined(room * N, sizeof *b->narrow);
  b->wide = lined(units * N, sizeof *b->wide);
  b->sources = lined(room / 2 * vectors, sizeof *b->sources);
  b->work = lined(room * vectors, sizeof *b->work);
  b->context = lined(room * N, sizeof *b->context);
  b->ones = lined(room + 16, sizeof *b->ones);
  if (b->state && b->exponents && b->symbols && b->narrow && b->wide && b->sources && b->work &&
      b->context && b->ones) {
    for (size_t k = 0; k < room; ++k)
      b->ones[k] = 1;
    return PCE_OK;
  }
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

#endif
