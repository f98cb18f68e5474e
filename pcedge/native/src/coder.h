// The range coder over lanes (docs/stream.md, section Lane).
#ifndef PCEDGE_CODER_H
#define PCEDGE_CODER_H

#include "intervals.h"
#ifdef PCE_LANES
#include "quads.h"
#endif

typedef struct {
  uint64_t low, range;
  uint8_t *bytes;
  size_t size, room;
} encoder_t;

static int encoder_room(encoder_t *e, size_t more) {
  if (e->size + more <= e->room)
    return PCE_OK;
  const size_t room = 2 * (e->size + more) + 16;
  uint8_t *bytes = realloc(e->bytes, room);
  if (!bytes)
    return PCE_MEMORY;
  e->bytes = bytes;
  e->room = room;
  return PCE_OK;
}

// Bytes that narrowing writes beyond those that count.
#define ENCODER_SLACK 8

// Write eight bytes, the highest first.
static inline void put_bytes(uint8_t *at, uint64_t word) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  word = __builtin_bswap64(word);
  memcpy(at, &word, sizeof word);
#else
  for (int i = 0; i < 8; ++i, word <<= 8)
    at[i] = (uint8_t)(word >> 56);
#endif
}

// A carry into the bytes before.
static inline void encoder_carry(encoder_t *e) {
  for (size_t i = e->size; i-- > 0 && ++e->bytes[i] == 0;)
    ;
}

// invariant: there is room for P / 8 bytes and ENCODER_SLACK
static inline void encoder_narrow(encoder_t *e, const pce_program *p, uint64_t start,
                                  uint64_t end) {
  const int B = p->range_bits;
  const uint64_t unit = e->range >> p->scale_bits, mask = (UINT64_C(1) << B) - 1;
  uint64_t low = e->low + unit * start;
  const uint64_t range = unit * (end - start);
  if (low > mask) {
    encoder_carry(e);
    low &= mask;
  }
  // The highest bytes leave, by no branch: how many is as random as the data.
  const int moves = (B - bits_of(range)) >> 3;
  put_bytes(e->bytes + e->size, low << (64 - B));
  e->size += (size_t)moves;
  e->low = low << 8 * moves & mask;
  e->range = range << 8 * moves;
}

static inline void encoder_flush(encoder_t *e, const pce_program *p) {
  const int top = p->range_bits - 8;
  const uint64_t digit = (e->low + (UINT64_C(1) << top) - 1) >> top;
  if (digit >> 8)
    encoder_carry(e);
  e->bytes[e->size++] = (uint8_t)digit;
}

typedef struct {
  uint64_t offset, range;
  const uint8_t *bytes;
  int64_t size, read;
} decoder_t;

// Decoders of a block's columns, side by side.
typedef struct {
  uint64_t offset[N], range[N];
  const uint8_t *bytes[N];
  int64_t size[N], read[N];
} decoders_t;

static inline uint64_t byte_at(const uint8_t *bytes, int64_t size, int64_t at) {
  return at < size ? bytes[at] : 0;
}

static void decoder_start(decoder_t *d, const pce_program *p, const uint8_t *bytes, int64_t size) {
  d->bytes = bytes;
  d->size = size;
  d->range = (UINT64_C(1) << p->range_bits) - 1;
  d->offset = 0;
  for (d->read = 0; d->read < p->range_bits / 8; ++d->read)
    d->offset = d->offset << 8 | byte_at(bytes, size, d->read);
}

static void decoders_start(decoders_t *d, size_t n, const pce_program *p, const uint8_t *bytes,
                           int64_t size) {
  decoder_t one;
  decoder_start(&one, p, bytes, size);
  d->offset[n] = one.offset;
  d->range[n] = one.range;
  d->bytes[n] = one.bytes;
  d->size[n] = one.size;
  d->read[n] = one.read;
}

static inline decoder_t decoder_of(const decoders_t *d, size_t n) {
  const decoder_t one = {d->offset[n], d->range[n], d->bytes[n], d->size[n], d->read[n]};
  return one;
}

// Take an interval; tell whether an encoder wrote bytes that lie inside.
static inline int take(uint64_t *offset, uint64_t *range, const uint8_t *bytes, int64_t size,
                       int64_t *read, const pce_program *p, uint64_t start, uint64_t end) {
  const uint64_t unit = *range >> p->scale_bits;
  *offset -= unit * start;
  *range = unit * (end - start);
  const int inside = *offset < *range;
  if (!inside)
    *offset = *range - 1;
  for (int moves = (p->range_bits - bits_of(*range)) >> 3; moves > 0; --moves) {
    *offset = *offset << 8 | byte_at(bytes, size, (*read)++);
    *range <<= 8;
  }
  return inside;
}

static inline int decoder_take(decoder_t *d, const pce_program *p, uint64_t start, uint64_t end) {
  return take(&d->offset, &d->range, d->bytes, d->size, &d->read, p, start, end);
}

// The same of a column.
static inline int decoders_take(decoders_t *d, size_t n, const pce_program *p, uint64_t start,
                                uint64_t end) {
  return take(d->offset + n, d->range + n, d->bytes[n], d->size[n], d->read + n, p, start, end);
}

// Bytes that an encoder of what was read so far has written.
static inline int64_t decoder_needed(const decoder_t *d, const pce_program *p) {
  return d->read - p->range_bits / 8 + 1;
}

// How much the last byte is above what an encoder flushes.
static inline int64_t decoder_excess(const decoder_t *d, const pce_program *p) {
  return (int64_t)(d->offset >> (p->range_bits - 8));
}

#ifdef QUADS
// Whether vectors hold what range coders need.
static inline int has_quads(const pce_program *p) {
  return p->range_bits <= 52 && p->scale_bits < 32 && p->range_bits - p->scale_bits <= 32;
}
#endif

#endif
