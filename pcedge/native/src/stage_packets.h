// Packets of a predictor stage, which begins anew in each (docs/packets.md, section Predictor stages).
#ifndef PCEDGE_STAGE_PACKETS_H
#define PCEDGE_STAGE_PACKETS_H

#include "stage.h"
#include "unpacking.h"

// Raw bits behind a token at most.
#define MOST_RAW_BITS 64

// Forget the numbers at `first` to `last` of a lane, and what was learned from them.
static void lane_forget(lane_t *l, int64_t first, int64_t last) {
  const pce_stage *s = l->stage;
  if (first < last) {
    const size_t from = (size_t)s->cells[first];
    const size_t size = ((size_t)s->cells[last - 1] + 1 - from) * sizeof *l->values;
    memset(l->values + from, 0, size);
    memset(l->residuals + from, 0, size);
    if (s->inputs)
      memset(l->firsts + from, 0, size);
  }
  if (s->inputs)
    memset(l->weights, 0, (size_t)s->groups * (size_t)s->inputs * sizeof *l->weights);
}

// Whether a number is in the range of its column; also of a wide group, modulo 2^64.
static inline int in_range(const pce_group *g, int64_t number) {
  return (uint64_t)number - (uint64_t)g->low <= (uint64_t)g->high - (uint64_t)g->low;
}

// The interval of a token, or of raw bits; the least that it might be; whether a number ends with it.
typedef struct {
  uint32_t start, end, least, last;
} span_t;

typedef struct {
  span_t *spans;
  size_t count, room;
  encoder_t encoder;
  uint8_t *near; // two payloads
} packer_t;

static int put_span(packer_t *k, uint32_t start, uint32_t end, uint32_t least) {
  if (k->count == k->room) {
    const size_t room = 2 * k->room + 256;
    span_t *spans = realloc(k->spans, room * sizeof *spans);
    if (!spans)
      return PCE_MEMORY;
    k->spans = spans;
    k->room = room;
  }
  const span_t span = {start, end, least, 0};
  k->spans[k->count++] = span;
  return PCE_OK;
}

// The spans of a token and its raw bits, high bits first.
static int put_number(packer_t *k, const pce_program *p, const uint32_t *bounds, token_t t) {
  const int P = p->scale_bits;
  if (put_span(k, bounds[0], bounds[1], (uint32_t)p->floor))
    return PCE_MEMORY;
  while (t.count > 0) {
    const int bits = t.count < P ? t.count : P;
    t.count -= bits;
    const uint32_t width = UINT32_C(1) << (P - bits);
    const uint32_t start = (uint32_t)(t.raw >> t.count & ((UINT64_C(1) << bits) - 1)) * width;
    if (put_span(k, start, start + width, width))
      return PCE_MEMORY;
  }
  k->spans[k->count - 1].last = 1;
  return PCE_OK;
}

// Bits by which the encoder's position is finer than a cell; below 0 it is coarser.
static inline int64_t finer(const encoder_t *e, const pce_program *p, int64_t payload) {
  return 8 * ((int64_t)e->size - payload) + p->range_bits;
}

static int has_cell(const encoder_t *e, const pce_program *p, int64_t payload) {
  const int64_t cut = finer(e, p, payload);
  if (cut <= 0)
    return 1;
  if (cut >= p->range_bits)
    return 0;
  return (e->low + e->range) >> cut > (e->low + (UINT64_C(1) << cut) - 1) >> cut;
}

static void count_up(uint8_t *bytes, int64_t size) {
  while (size-- > 0 && ++bytes[size] == 0)
    ;
}

// The cell that the interval begins in.
static void cell_of(const encoder_t *e, const pce_program *p, int64_t payload, uint8_t *cell) {
  for (int64_t i = 0; i < payload; ++i) {
    const int64_t at = i - (int64_t)e->size, shift = p->range_bits - 8 - 8 * at;
    cell[i] = at < 0 ? e->bytes[i] : shift < 0 ? 0 : (uint8_t)(e->low >> shift);
  }
}

// The first cell that lies inside as a whole, where there is one.
static void first_cell(const encoder_t *e, const pce_program *p, int64_t payload, uint8_t *cell) {
  const int64_t cut = finer(e, p, payload);
  cell_of(e, p, payload, cell);
  if (cut > 0 && e->low & ((UINT64_C(1) << cut) - 1))
    count_up(cell, payload);
}

// Whether an interval that has no whole cell lies in two.
static int in_two(const encoder_t *e, const pce_program *p, int64_t payload) {
  const uint64_t last = e->low + e->range - 1;
  if ((int64_t)e->size < payload) {
    const int64_t cut = finer(e, p, payload);
    return last >> cut != e->low >> cut;
  }
  if (!(last >> p->range_bits))
    return 0;
  for (size_t i = (size_t)payload; i < e->size; ++i)
    if (e->bytes[i] != 255)
      return 0;
  return 1;
}

// How many of the numbers that were coded a reader of the cell has for sure.
static int64_t numbers_in(const packer_t *k, const pce_program *p, const uint8_t *cell,
                          int64_t payload) {
  int64_t numbers = 0;
  decoder_t d;
  decoder_start(&d, p, cell, payload);
  for (size_t i = 0; i < k->count; ++i) {
    const span_t *span = k->spans + i;
    if (d.offset < (d.range >> p->scale_bits) * span->start ||
        !certain(d, p, 0, span->least, span->end) || !decoder_take(&d, p, span->start, span->end))
      break;
    numbers += (int64_t)span->last;
  }
  return numbers;
}

static void encoder_begin(encoder_t *e, const pce_program *p) {
  e->low = 0;
  e->size = 0;
  e->range = (UINT64_C(1) << p->range_bits) - 1;
}

static int narrow_span(encoder_t *e, const pce_program *p, const span_t *span) {
  if (encoder_room(e, (size_t)p->scale_bits / 8 + ENCODER_SLACK))
    return PCE_MEMORY;
  encoder_narrow(e, p, span->start, span->end);
  return PCE_OK;
}

// Fill the packet that begins at number `first` of `count` in rows; `out` gets its payload.
static int fill_packet(const pce_program *p, lane_t *l, packer_t *k, const int64_t *numbers,
                       const uint8_t *missing, int64_t first, int64_t count, int64_t most,
                       int64_t payload, uint8_t *out, int64_t *held, uint8_t *rule) {
  const pce_stage *s = l->stage;
  encoder_t *e = &k->encoder;
  const int64_t skipped = first % s->columns, base = first - skipped;
  const int64_t end = count - first < most ? count - base : skipped + most;
  int64_t i = skipped, sure = 0;
  int status = PCE_OK;
  k->count = 0;
  encoder_begin(e, p);
  for (int fits = 1; i < end && has_cell(e, p, payload); ++i) {
    const int32_t column = (int32_t)(i % s->columns);
    const int64_t place = s->cells[i];
    const outlook_t o = look(l, column, place);
    const int gone = missing && missing[base + i];
    const int64_t number = gone ? o.prediction : numbers[base + i],
                  residual = difference(number, o.prediction);
    token_t t = {s->tokens - 1, 0, 0};
    if (!gone)
      t = token_of(s, o.chosen, residual);
    const size_t before = k->count, row = (size_t)o.chosen * ((size_t)s->tokens + 1);
    status = put_number(k, p, s->bounds + row + (size_t)t.token, t);
    for (size_t j = before; j < k->count && status == PCE_OK; ++j) {
      const span_t *span = k->spans + j;
      const int64_t cut = finer(e, p, payload);
      const uint64_t room = (e->range >> p->scale_bits) * span->least;
      fits = fits && room >> (cut < 0 ? 0 : cut > 63 ? 63 : cut) >= 2;
      status = narrow_span(e, p, span);
    }
    if (status)
      return status;
    sure += fits;
    learn(l, &o, place, number, residual);
  }
  lane_forget(l, skipped, i);
  *held = i - skipped;
  *rule = 0;
  if (has_cell(e, p, payload)) {
    first_cell(e, p, payload, out);
    return PCE_OK;
  }
  int64_t best = -1;
  const int cells = 1 + in_two(e, p, payload);
  for (int side = 0; side < cells; ++side) {
    cell_of(e, p, payload, k->near);
    if (side)
      count_up(k->near, payload);
    const int64_t found = numbers_in(k, p, k->near, payload);
    if (found > best) {
      best = found;
      memcpy(out, k->near, (size_t)payload);
    }
  }
  if (best < sure) {
    best = 0;
    encoder_begin(e, p);
    for (size_t j = 0; best < sure; best += (int64_t)k->spans[j++].last)
      if (narrow_span(e, p, k->spans + j))
        return PCE_MEMORY;
    first_cell(e, p, payload, out);
    *rule = 1;
  }
  *held = best;
  return PCE_OK;
}

// Rows that a packet holds whose next one begins with a row.
#define ROWS_TO_ALIGN 4

// Where the next packet begins behind one that is not the last and holds so many numbers.
static int64_t next_first(const pce_stage *s, int64_t first, int64_t held) {
  const int64_t next = first + held;
  return held >= ROWS_TO_ALIGN * s->columns ? next - next % s->columns : next;
}

static int pack_payloads(const pce_program *p, const pce_stage *stage, const int64_t *numbers,
                         const uint8_t *missing, int64_t count, int64_t first, int64_t most,
                         int64_t payload, int64_t packets, uint8_t *payloads, int64_t *held,
                         uint8_t *rules) {
  lane_t lane;
  packer_t packer = {NULL, 0, 0, {0, 0, NULL, 0, 0}, NULL};
  if (lane_make(&lane, stage))
    return PCE_MEMORY;
  packer.near = taken((size_t)payload, 1);
  int status = packer.near ? PCE_OK : PCE_MEMORY;
  for (int64_t i = 0; i < packets && status == PCE_OK; ++i) {
    held[i] = 0;
    if (first >= count)
      continue;
    status = fill_packet(p, &lane, &packer, numbers, missing, first, count, most, payload,
                         payloads + i * payload, held + i, rules + i);
    first = first + held[i] < count ? next_first(stage, first, held[i]) : count;
  }
  free(packer.near);
  free(packer.spans);
  free(packer.encoder.bytes);
  lane_free(&lane);
  return status;
}

// Read raw bits; 0 where the packet ends before them.
static int read_raw(decoder_t *d, const pce_program *p, int rule, int count, uint64_t *raw) {
  const int P = p->scale_bits;
  *raw = 0;
  while (count > 0) {
    const int bits = count < P ? count : P;
    const uint64_t width = UINT64_C(1) << (P - bits);
    uint64_t value = d->offset / (d->range >> P) / width;
    if (value >> bits)
      value = (UINT64_C(1) << bits) - 1;
    if (!certain(*d, p, rule, width, (value + 1) * width) ||
        !decoder_take(d, p, value * width, (value + 1) * width))
      return 0;
    *raw = *raw << bits | value;
    count -= bits;
  }
  return 1;
}

// Read a number's residual; 0 where the packet ends before it.
static int read_residual(const pce_program *p, const pce_stage *s, decoder_t *d, int rule,
                         int32_t chosen, int64_t *residual, int *gone) {
  const uint32_t *bounds = s->bounds + (size_t)chosen * ((size_t)s->tokens + 1);
  const int32_t listed = 2 * (s->centre + s->escapes), token = find_token(p, s, d, bounds);
  *residual = 0;
  *gone = s->marks && token == s->tokens - 1;
  if (!certain(*d, p, rule, (uint64_t)p->floor, bounds[token + 1]) ||
      !decoder_take(d, p, bounds[token], bounds[token + 1]))
    return 0;
  if (*gone)
    return 1;
  if (token >= listed) {
    *residual = s->listed[token - listed];
    return 1;
  }
  const int count = raw_count(s, chosen, token);
  uint64_t raw;
  if (count > MOST_RAW_BITS || !read_raw(d, p, rule, count, &raw))
    return 0;
  *residual = residual_of(s, chosen, token, raw);
  return listed_place(s, *residual) < 0;
}

static void unpack_numbers(const pce_program *p, lane_t *l, decoder_t *d, int rule, int64_t first,
                           int64_t count, int64_t most, int64_t *numbers, uint8_t *missing,
                           uint8_t *here) {
  const pce_stage *s = l->stage;
  const int64_t skipped = first % s->columns, base = first - skipped;
  const int64_t end = count - first < most ? count - base : skipped + most;
  int64_t i = skipped;
  for (; i < end; ++i) {
    const int32_t column = (int32_t)(i % s->columns);
    const int64_t place = s->cells[i];
    const outlook_t o = look(l, column, place);
    int64_t residual;
    int gone;
    if (!read_residual(p, s, d, rule, o.chosen, &residual, &gone))
      break;
    const int64_t number = (int64_t)((uint64_t)o.prediction + (uint64_t)residual);
    if (!gone && !in_range(s->group + o.group, number))
      break;
    numbers[base + i] = number;
    missing[base + i] = (uint8_t)gone;
    here[base + i] = 1;
    learn(l, &o, place, number, residual);
  }
  lane_forget(l, skipped, i);
}

static int unpack_rows_of(const pce_program *p, const pce_stage *stage, const uint8_t *payloads,
                          int64_t size, const int64_t *places, const uint8_t *rules, int64_t begin,
                          int64_t end, int64_t count, int64_t most, int64_t *numbers,
                          uint8_t *missing, uint8_t *here) {
  lane_t lane;
  if (lane_make(&lane, stage))
    return PCE_MEMORY;
  for (int64_t i = begin; i < end; ++i) {
    decoder_t d;
    decoder_start(&d, p, payloads + i * size, size);
    unpack_numbers(p, &lane, &d, rules[i], places[i], count, most, numbers, missing, here);
  }
  lane_free(&lane);
  return PCE_OK;
}

#endif
