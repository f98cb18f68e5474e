// A predictor stage and its lanes (docs/predictor.md).
#ifndef PCEDGE_STAGE_H
#define PCEDGE_STAGE_H

#include "coder.h"

#define NARROW ((INT64_C(1) << 32) - 1)
#define SATURATION ((INT64_C(1) << 31) - 1)
#define COEFFICIENT_BITS 16
#define MAX_COEFFICIENT ((INT64_C(1) << 21) - 1)

enum { PART_VALUE, PART_RESIDUAL, PART_SIZE, PART_DIFFERENCE };
enum { FROM_ZERO, FROM_COLUMN, FROM_PREDICTION };

static inline int64_t within(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

static inline int64_t saturated(int64_t x) { return within(x, -SATURATION, SATURATION); }

static inline int64_t difference(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

// What is known of one lane; `places` numbers each, those around the rows are zero.
typedef struct {
  const pce_stage *stage;
  int64_t *values, *firsts, *residuals;
  int64_t *weights, *history, *features;
} lane_t;

static void lane_free(lane_t *l) {
  free(l->values);
  free(l->firsts);
  free(l->residuals);
  free(l->weights);
  free(l->history);
  free(l->features);
}

static int lane_make(lane_t *l, const pce_stage *stage) {
  const size_t places = (size_t)stage->places;
  l->stage = stage;
  l->values = taken(places, sizeof *l->values);
  l->firsts = taken(stage->inputs ? places : 1, sizeof *l->firsts);
  l->residuals = taken(places, sizeof *l->residuals);
  l->weights = taken((size_t)stage->groups * (size_t)stage->inputs, sizeof *l->weights);
  l->history = taken((size_t)stage->inputs, sizeof *l->history);
  l->features = taken((size_t)stage->features, sizeof *l->features);
  if (l->values && l->firsts && l->residuals && l->weights && l->history && l->features)
    return PCE_OK;
  lane_free(l);
  return PCE_MEMORY;
}

// A lane begins with nothing known.
static void lane_clear(lane_t *l) {
  const pce_stage *s = l->stage;
  const size_t places = (size_t)s->places;
  memset(l->values, 0, places * sizeof *l->values);
  memset(l->residuals, 0, places * sizeof *l->residuals);
  if (s->inputs) {
    memset(l->firsts, 0, places * sizeof *l->firsts);
    memset(l->weights, 0, (size_t)s->groups * (size_t)s->inputs * sizeof *l->weights);
  }
}

typedef struct {
  int64_t first, prediction;
  uint64_t sizes;
  int32_t group, chosen, adapts;
} outlook_t;

static inline int64_t rounded(int64_t sum) {
  return (sum + (INT64_C(1) << (COEFFICIENT_BITS - 1))) >> COEFFICIENT_BITS;
}

static int64_t feature_of(const lane_t *l, int f, int32_t column, int64_t place,
                          int64_t prediction) {
  const pce_stage *s = l->stage;
  const int32_t start = s->feature_starts[f];
  int64_t sum = start == FROM_PREDICTION ? saturated(prediction)
                : start == FROM_COLUMN   ? column
                                         : 0;
  for (int32_t p = s->first_parts[f]; p < s->first_parts[f + 1]; ++p) {
    const pce_part *part = s->parts + p;
    const int residual = part->kind == PART_RESIDUAL || part->kind == PART_SIZE;
    int64_t term = saturated((residual ? l->residuals : l->values)[place - part->distance]);
    if (part->kind == PART_DIFFERENCE)
      term -= saturated(l->values[place - part->other]);
    if (part->kind >= PART_SIZE)
      term = magnitude(term);
    sum += part->weight * term;
  }
  return sum;
}

// Predict a number and choose its class.
static outlook_t look(lane_t *l, int32_t column, int64_t place) {
  const pce_stage *s = l->stage;
  const int32_t group = s->group_of[column];
  const pce_group *g = s->group + group;
  outlook_t o;
  o.group = group;
  o.sizes = 0;
  o.adapts = s->inputs && !g->wide;
  if (g->wide) {
    uint64_t sum = 0;
    for (int32_t t = g->first; t < g->last; ++t)
      sum += (uint64_t)s->coefficients[t] * (uint64_t)l->values[place - s->distances[t]];
    o.first = (int64_t)sum;
  } else {
    int64_t sum = g->constant;
    for (int32_t t = g->first; t < g->last; ++t)
      sum += s->coefficients[t] * within(l->values[place - s->distances[t]], -NARROW, NARROW);
    o.first = within(rounded(sum), g->low, g->high);
  }
  o.prediction = o.first;
  if (o.adapts) {
    const int64_t *weights = l->weights + (size_t)group * (size_t)s->inputs;
    int64_t sum = 0;
    for (int32_t j = 0; j < s->inputs; ++j) {
      const int64_t input = saturated(l->firsts[place - s->input_distances[j]]);
      l->history[j] = input;
      o.sizes += (uint64_t)magnitude(input);
      sum += weights[j] * input;
    }
    o.prediction = within(o.first + rounded(sum), g->low, g->high);
  }
  for (int32_t f = 0; f < s->features; ++f)
    l->features[f] = feature_of(l, f, column, place, o.prediction);
  int32_t node = s->nodes ? 0 : -1;
  while (node >= 0) {
    const pce_node *n = s->node + node;
    node = l->features[n->feature] > n->threshold ? n->above : n->below;
  }
  o.chosen = -1 - node;
  return o;
}

// Learn from the number, whose residual is known.
static void learn(lane_t *l, const outlook_t *o, int64_t place, int64_t number, int64_t residual) {
  const pce_stage *s = l->stage;
  if (o->adapts && residual) {
    int64_t *weights = l->weights + (size_t)o->group * (size_t)s->inputs;
    const int length = bits_of(o->sizes);
    for (int32_t j = 0; j < s->inputs; ++j) {
      const int64_t input = l->history[j];
      const int64_t move = (int64_t)(((uint64_t)magnitude(input) << s->gain) >> length);
      const int64_t up = (residual < 0) == (input < 0) ? move : -move;
      weights[j] = within(weights[j] + up, -MAX_COEFFICIENT, MAX_COEFFICIENT);
    }
  }
  l->values[place] = number;
  l->residuals[place] = residual;
  if (s->inputs)
    l->firsts[place] = difference(number, o->first);
}

// A token, and the raw bits behind it.
typedef struct {
  int32_t token, count;
  uint64_t raw;
} token_t;

// The place of a residual among those that are listed, -1 if it is none.
static int32_t listed_place(const pce_stage *s, int64_t residual) {
  int32_t low = 0, high = s->listed_count;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (s->listed[middle] < residual)
      low = middle + 1;
    else
      high = middle;
  }
  return low < s->listed_count && s->listed[low] == residual ? low : -1;
}

static token_t token_of(const pce_stage *s, int32_t chosen, int64_t residual) {
  const int32_t shift = s->shifts[chosen], place = listed_place(s, residual);
  token_t t = {0, 0, 0};
  if (place >= 0) {
    t.token = 2 * (s->centre + s->escapes) + place;
    return t;
  }
  const int64_t rest = difference(residual, s->biases[chosen]), v = rest >> shift;
  const uint64_t low = (uint64_t)rest & ((UINT64_C(1) << shift) - 1);
  if (v >= -s->centre && v < s->centre) {
    t.token = (int32_t)(s->escapes + s->centre + v);
    t.raw = low;
    t.count = shift;
    return t;
  }
  const uint64_t g =
      v >= 0 ? (uint64_t)v - (uint64_t)s->centre + 1 : 0 - (uint64_t)s->centre - (uint64_t)v;
  const int n = bits_of(g);
  t.token = v >= 0 ? s->escapes + 2 * s->centre + n - 1 : s->escapes - n;
  t.raw = (g & ((UINT64_C(1) << (n - 1)) - 1)) << shift | low;
  t.count = n - 1 + shift;
  return t;
}

// How many raw bits stand behind a token that is neither of a listed residual nor a missing number.
static int raw_count(const pce_stage *s, int32_t chosen, int32_t token) {
  const int32_t last = s->escapes + 2 * s->centre;
  const int32_t level = token >= last        ? token - last + 1
                        : token < s->escapes ? s->escapes - token
                                             : 0;
  return (level ? level - 1 : 0) + s->shifts[chosen];
}

static int64_t residual_of(const pce_stage *s, int32_t chosen, int32_t token, uint64_t raw) {
  const int32_t last = s->escapes + 2 * s->centre, shift = s->shifts[chosen];
  const int32_t level = token >= last        ? token - last + 1
                        : token < s->escapes ? s->escapes - token
                                             : 0;
  uint64_t v = (uint64_t)(int64_t)(token - s->centre - s->escapes);
  if (level) {
    const uint64_t g = raw >> shift | UINT64_C(1) << (level - 1);
    v = token >= last ? g + (uint64_t)s->centre - 1 : 0 - (uint64_t)s->centre - g;
  }
  return (int64_t)((v << shift) + (raw & ((UINT64_C(1) << shift) - 1)) +
                   (uint64_t)s->biases[chosen]);
}

// Raw bits, high bits first.
typedef struct {
  uint8_t *bytes;
  size_t room;
  uint64_t bits; // written, or read
} raw_writer_t;

static int raw_put(raw_writer_t *w, uint64_t raw, int count) {
  if ((w->bits + (uint64_t)count) / 8 + 9 > w->room) {
    const size_t room = 2 * w->room + 64;
    uint8_t *bytes = realloc(w->bytes, room);
    if (!bytes)
      return PCE_MEMORY;
    memset(bytes + w->room, 0, room - w->room);
    w->bytes = bytes;
    w->room = room;
  }
  while (count > 0) {
    const int free_bits = 8 - (int)(w->bits & 7), some = count < free_bits ? count : free_bits;
    count -= some;
    w->bytes[w->bits >> 3] |= (uint8_t)((raw >> count & ((1u << some) - 1)) << (free_bits - some));
    w->bits += (uint64_t)some;
  }
  return PCE_OK;
}

typedef struct {
  const uint8_t *bytes;
  uint64_t size, bits; // both in bits
} raw_reader_t;

static int raw_take(raw_reader_t *r, int count, uint64_t *raw) {
  *raw = 0;
  if (r->bits + (uint64_t)count > r->size)
    return PCE_SHORT;
  while (count > 0) {
    const int left = 8 - (int)(r->bits & 7), some = count < left ? count : left;
    *raw = *raw << some | (r->bytes[r->bits >> 3] >> (left - some) & ((1u << some) - 1));
    r->bits += (uint64_t)some;
    count -= some;
  }
  return PCE_OK;
}

// Encode one lane; `coded` and `raw` get memory that the caller frees.
static int encode_lane(const pce_program *p, lane_t *l, const int64_t *numbers,
                       const uint8_t *missing, int64_t rows, encoder_t *coded, raw_writer_t *raw) {
  const pce_stage *s = l->stage;
  lane_clear(l);
  coded->range = (UINT64_C(1) << p->range_bits) - 1;
  for (int64_t i = 0; i < rows * s->columns; ++i) {
    const int32_t column = (int32_t)(i % s->columns);
    const int64_t place = s->cells[i];
    const outlook_t o = look(l, column, place);
    const int gone = missing && missing[i];
    const int64_t number = gone ? o.prediction : numbers[i],
                  residual = difference(number, o.prediction);
    token_t t = {s->tokens - 1, 0, 0};
    if (!gone)
      t = token_of(s, o.chosen, residual);
    const uint32_t *bounds =
        s->bounds + (size_t)o.chosen * ((size_t)s->tokens + 1) + (size_t)t.token;
    if (encoder_room(coded, (size_t)p->scale_bits / 8 + ENCODER_SLACK) ||
        raw_put(raw, t.raw, t.count))
      return PCE_MEMORY;
    encoder_narrow(coded, p, bounds[0], bounds[1]);
    learn(l, &o, place, number, residual);
  }
  if (encoder_room(coded, 1))
    return PCE_MEMORY;
  encoder_flush(coded, p);
  return PCE_OK;
}

// The token that the decoder stands in.
static int32_t find_token(const pce_program *p, const pce_stage *s, const decoder_t *d,
                          const uint32_t *bounds) {
  const uint64_t unit = d->range >> p->scale_bits;
  int32_t token = 0, high = s->tokens;
  while (high - token > 1) {
    const int32_t middle = token + (high - token) / 2;
    if (unit * bounds[middle] <= d->offset)
      token = middle;
    else
      high = middle;
  }
  return token;
}

// Decode one lane.
static int decode_lane(const pce_program *p, lane_t *l, decoder_t *d, raw_reader_t *raw,
                       int64_t rows, int64_t *numbers, uint8_t *missing) {
  const pce_stage *s = l->stage;
  const int32_t listed = 2 * (s->centre + s->escapes);
  lane_clear(l);
  for (int64_t i = 0; i < rows * s->columns; ++i) {
    const int32_t column = (int32_t)(i % s->columns);
    const int64_t place = s->cells[i];
    const outlook_t o = look(l, column, place);
    const uint32_t *bounds = s->bounds + (size_t)o.chosen * ((size_t)s->tokens + 1);
    const int32_t token = find_token(p, s, d, bounds);
    if (!decoder_take(d, p, bounds[token], bounds[token + 1]) || decoder_needed(d, p) > d->size)
      return PCE_DAMAGED;
    const int gone = s->marks && token == s->tokens - 1;
    int64_t residual = 0;
    if (!gone && token >= listed) {
      residual = s->listed[token - listed];
    } else if (!gone) {
      uint64_t bits;
      if (raw_take(raw, raw_count(s, o.chosen, token), &bits))
        return PCE_DAMAGED;
      residual = residual_of(s, o.chosen, token, bits);
      if (listed_place(s, residual) >= 0)
        return PCE_DAMAGED;
    }
    const int64_t number = (int64_t)((uint64_t)o.prediction + (uint64_t)residual);
    numbers[i] = number;
    if (missing)
      missing[i] = (uint8_t)gone;
    learn(l, &o, place, number, residual);
  }
  uint64_t rest;
  if (decoder_needed(d, p) != d->size || decoder_excess(d, p) || raw->size - raw->bits > 7 ||
      raw_take(raw, (int)(raw->size - raw->bits), &rest) || rest)
    return PCE_DAMAGED;
  return PCE_OK;
}

#endif
