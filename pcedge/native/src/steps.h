// The steps of a schedule on a block of records (docs/arithmetic.md, docs/program.md).
#ifndef PCEDGE_STEPS_H
#define PCEDGE_STEPS_H

#include "kernels.h"
#include "units.h"

static void run_init(block_t *b, const pce_step *s) {
  const int A = b->program->state_bits;
  for (size_t i = 0; i < (size_t)s->units * N; ++i)
    b->state[(size_t)s->target * N + i] = (uint16_t)(1u << (A - 1));
  FOR_LANES b->exponents[(size_t)s->target_slot * N + n] = 1 - A;
}

#ifdef PCE_LANES
// Turn rows of 16-bit numbers by unit into rows by record, `units` rounded up to 16; bits are flipped.
static void by_record(const uint16_t *restrict rows, uint16_t *restrict out, size_t room, int units,
                      uint16_t flip) {
  for (size_t first = 0; first < N; first += 8)
    for (int k = 0; k < units; k += 16)
      transpose_columns(rows + (size_t)k * N + first, N, out + first * room + (size_t)k, room,
                        flip);
}
#endif

// LEAF: what the steps after it read of a symbol is known before (docs/arithmetic.md); missing is the last one.
static void run_leaf(block_t *b, const pce_step *s, int scales) {
  const int units = s->units, missing = s->symbols;
  const size_t padded = vectors_of((size_t)units);
  const int32_t *symbols = b->symbols + (size_t)s->variable * N;
  const uint16_t *rows = (const uint16_t *)(b->program->pairs + s->pairs);
  uint16_t *state = b->state + (size_t)s->target * N;
#ifdef PCE_ONE
  rows += (size_t)(*symbols < 0 ? missing : *symbols) * padded;
  if (units == 16)
    memcpy(state, rows, 16 * sizeof *state);
  else
    memcpy(state, rows, (size_t)units * sizeof *state);
#else
  for (size_t n = 0; n < N; n += 8) {
    const uint16_t *from[8];
    for (size_t i = 0; i < 8; ++i) {
      const int32_t symbol = symbols[n + i];
      from[i] = rows + (size_t)(symbol < 0 ? missing : symbol) * padded;
    }
    for (int k = 0;;) {
      transpose_rows(from, state + (size_t)k * N + n, N, units - k);
      if ((k += 16) >= units)
        break;
      for (size_t i = 0; i < 8; ++i)
        from[i] += 16;
    }
  }
#endif
  const int32_t *exponents = b->program->lists + s->list;
  int32_t *own = b->exponents + (size_t)s->target_slot * N;
  if (scales)
    FOR_LANES own[n] = exponents[symbols[n] < 0 ? missing : symbols[n]];
}

#ifdef PCE_LANES
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
#endif

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
#ifdef PCE_UNITS
  if (s->pairs >= 0 && s->zeros < KEEP) {
    if (s->units == ROW && s->a_units == ROW)
      mix_16_units(b, s, *exponent, scales);
    else
      mix_units(b, s, *exponent, scales);
    return;
  }
#endif
#ifdef PCE_LANES
  if (s->list >= 0 && !s->wide && s->zeros < KEEP) {
    mix_lists(b, s, exponent, scales);
    return;
  }
  if (s->pairs >= 0 && s->zeros < KEEP) {
    mix_lanes(b, s, exponent, scales);
    return;
  }
  if (s->pairs >= 0) {
    accumulate_lanes(b, s);
    possible_rows(b, s);
    normalise_narrow(b, s, b->narrow, exponent, scales);
    return;
  }
#endif
  if (s->wide)
    mix_wide(b, s, b->wide);
  else
    mix_narrow(b, s, b->narrow);
  normalise(b, s, exponent, scales);
}

static void run_multiply(block_t *b, const pce_step *s, int scales) {
  const int keep = s->zeros >= KEEP;
  const int32_t *lists = b->program->lists;
  const int32_t *a_scale = b->exponents + (size_t)s->a_slot * N;
  const int32_t *b_scale = b->exponents + (size_t)s->b_slot * N;
  int32_t exponent[N];
  FOR_LANES exponent[n] = scales ? a_scale[n] + b_scale[n] : 0;
#ifdef PCE_UNITS
  if (!keep) {
    multiply_units(b, s, *exponent, scales);
    return;
  }
#endif
#ifdef PCE_LANES
  if (!keep) {
    multiply_lanes(b, s, exponent, scales);
    return;
  }
#endif
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

#ifdef PCE_ONE
// Steps ahead of that which runs, whose tables are fetched: one record waits longer for memory than it works.
#define AHEAD 6

// Fetch the first lines of so many bytes. Always inline: a compiler takes a function that only fetches for one without
// an effect, and drops its calls.
static inline __attribute__((always_inline)) void fetch_bytes(const void *at, size_t size) {
  const uint8_t *line = at;
  if (size >= 8 * LINE) {
    for (size_t k = 0; k < 8; ++k)
      __builtin_prefetch(line + k * LINE);
    return;
  }
  for (size_t k = 0; k < size; k += LINE)
    __builtin_prefetch(line + k);
}

// Fetch the rows that LEAF or INTERVAL reads of a known symbol.
static inline __attribute__((always_inline)) void fetch_known(const block_t *b,
                                                              const pce_schedule *schedule, int i) {
  const pce_step *s = schedule->steps + i;
  if (i >= schedule->count || s->pairs < 0 || (s->op != LEAF && s->op != INTERVAL))
    return;
  const size_t padded = vectors_of((size_t)(s->op == LEAF ? s->units : s->a_units));
  const int32_t symbol = b->symbols[s->variable];
  const int16_t *rows = b->program->pairs + s->pairs + (size_t)(symbol < 0 ? 0 : symbol) * padded;
  fetch_bytes(rows, (s->op == LEAF ? 1 : 2) * padded * sizeof *rows);
}

// Fetch the weights of a step, or what the search for a symbol begins with.
static inline __attribute__((always_inline)) void
fetch_unknown(const block_t *b, const pce_schedule *schedule, int i) {
  const pce_program *p = b->program;
  const pce_step *s = schedule->steps + i;
  if (i >= schedule->count || s->pairs < 0)
    return;
  const size_t pairs = (size_t)(s->a_units + 1) / 2 * sizeof *p->sums;
  if (s->op == UP || s->op == DOWN) {
    const size_t units = vectors_of((size_t)s->units);
    fetch_bytes(p->pairs + s->pairs, units * pairs);
    fetch_bytes(p->sums + s->sums, units * sizeof *p->sums);
  } else if (s->op == INTERVAL && s->list >= 0) {
    const size_t marks = vectors_of((size_t)((s->symbols + s->list_b - 1) / s->list_b));
    const size_t padded = vectors_of((size_t)s->a_units);
    fetch_bytes(p->pairs + s->list, marks * pairs);
    fetch_bytes(p->sums + s->sums, marks * sizeof *p->sums);
    // Records resemble each other: this one's symbol may be near the last one's, which is still there.
    const int32_t mark = b->symbols[s->variable] & -s->list_b;
    const int16_t *rows = p->pairs + s->pairs + (size_t)mark * padded;
    fetch_bytes(rows, (size_t)s->list_b * padded * sizeof *rows);
  }
}
#endif

static void run_any(block_t *b, const pce_schedule *schedule, const pce_step *s) {
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

// All steps but INTERVAL. Those of one record that most circuits have most of are not called.
static inline __attribute__((always_inline)) void run_step(block_t *b, const pce_schedule *schedule,
                                                           const pce_step *s) {
#if defined(PCE_UNITS) && LANES == 16
  const int scales = schedule->scales;
  const int whole = s->units == ROW && s->zeros < KEEP;
  if (whole && (s->op == UP || s->op == DOWN) && s->a_units == ROW && s->pairs >= 0) {
    mix_16_units(b, s, scales ? b->exponents[s->a_slot] - b->program->weight_bits : 0, scales);
    return;
  }
  if (whole && s->op == MULTIPLY && s->list < 0 && s->list_b < 0) {
    multiply_16_units(b, s, scales ? b->exponents[s->a_slot] + b->exponents[s->b_slot] : 0, scales);
    return;
  }
#endif
  run_any(b, schedule, s);
}

#endif
