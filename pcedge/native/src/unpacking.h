// Packets of equal size, each decodable alone (docs/packets.md).
#ifndef PCEDGE_UNPACKING_H
#define PCEDGE_UNPACKING_H

#include "decoding.h"

// Whether the bytes of a payload say that a symbol, whose interval may be `least` wide, is in the
// packet: by the cell, or by its room (docs/packets.md).
static inline int certain(decoder_t d, const pce_program *p, int sure, uint64_t least,
                          uint64_t end) {
  const uint64_t unit = d.range >> p->scale_bits;
  const int64_t most = p->range_bits / 8, over = d.read - d.size;
  const int unread = 8 * (int)(over < 0 ? 0 : over > most ? most : over);
  if (sure)
    return unit * least >> unread >= 2;
  return d.offset + ((UINT64_C(1) << unread) - 1) < unit * end;
}

static void unpack_round(block_t *b, decoders_t *decoders, const uint8_t *rules, int columns,
                         const int32_t *skipped, const int64_t *record, uint8_t *ended,
                         pce_records *out) {
  const pce_program *p = b->program;
  const pce_schedule *schedule = &p->code;
  for (int i = 0; i < schedule->count; ++i) {
    const pce_step *s = schedule->steps + i;
    if (s->op != INTERVAL) {
      run_step(b, schedule, s);
      continue;
    }
    uint32_t found[N], start[N], end[N];
    find_symbols(b, s, decoders, columns, found, start, end);
    for (int n = 0; n < columns; ++n) {
      int32_t *symbol = b->symbols + (size_t)s->variable * N + (size_t)n;
      *symbol = -1;
      if (ended[n] || s->place < skipped[n])
        continue;
      if (certain(decoder_of(decoders, (size_t)n), p, rules[n], (uint64_t)p->floor, end[n]) &&
          decoders_take(decoders, (size_t)n, p, start[n], end[n]))
        *symbol = (int32_t)found[n];
      else
        ended[n] = 1;
    }
  }
  for (int n = 0; n < columns; ++n)
    for (int v = 0; v < p->variables && record[n] < out->count; ++v) {
      const int32_t symbol = b->symbols[(size_t)v * N + (size_t)n];
      if (symbol >= 0)
        put_symbol(out, record[n] * p->variables + v, symbol);
    }
}

static int unpack_payloads(const pce_program *p, const uint8_t *payloads, int64_t size,
                           const int64_t *places, const uint8_t *rules, int64_t begin, int64_t end,
                           pce_records *out) {
  block_t b;
  if (block_make(&b, p, &p->code))
    return PCE_MEMORY;
  for (int64_t first = begin; first < end; first += N) {
    decoders_t decoders;
    int32_t skipped[N];
    int64_t record[N];
    uint8_t ended[N];
    const int columns = (int)(end - first < N ? end - first : N);
    int running = columns;
    FOR_LANES decoders_start(&decoders, n, p, payloads, 0);
    for (int n = 0; n < columns; ++n) {
      decoders_start(&decoders, (size_t)n, p, payloads + (first + n) * size, size);
      record[n] = places[first + n] / p->variables;
      skipped[n] = (int32_t)(places[first + n] % p->variables);
      ended[n] = record[n] >= out->count;
      running -= ended[n];
    }
    memset(b.symbols, 0, (size_t)p->variables * N * sizeof *b.symbols);
    while (running) {
      unpack_round(&b, &decoders, rules + first, columns, skipped, record, ended, out);
      running = 0;
      for (int n = 0; n < columns; ++n) {
        skipped[n] = 0;
        ended[n] |= ++record[n] >= out->count;
        running += !ended[n];
      }
    }
  }
  block_free(&b);
  return PCE_OK;
}

#endif
