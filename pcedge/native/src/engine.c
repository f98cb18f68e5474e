// The native engine, compiled once for every instruction set; PCE_ISA names it.
#include "stage.h"

#define GLUE(a, b) a##b
#define NAMED(a, b) GLUE(a, b)
#define TEXT(a) #a
#define TEXT_OF(a) TEXT(a)

static inline void put_symbol(pce_records *r, int64_t index, int32_t symbol) {
  switch (r->bytes) {
  case 1:
    ((uint8_t *)r->data)[index] = (uint8_t)symbol;
    break;
  case 2:
    ((uint16_t *)r->data)[index] = (uint16_t)symbol;
    break;
  case 4:
    ((int32_t *)r->data)[index] = symbol;
    break;
  default:
    ((int64_t *)r->data)[index] = symbol;
  }
}

// Put records into the columns of the block: some variables at a time, so that all lines that are
// written stay near.
#define TILE 16
#define LOAD(TYPE)                                                                                 \
  for (int v = first; v < last; ++v)                                                               \
    b->symbols[(size_t)v * N + (size_t)n] = (int32_t)((const TYPE *)r->data)[at + v];
static void load(block_t *b, const pce_records *r, const int64_t *records, int count) {
  const int variables = b->program->variables;
  for (int first = 0; first < variables; first += TILE) {
    const int last = first + TILE < variables ? first + TILE : variables;
    for (int n = 0; n < count; ++n) {
      const int64_t at = records[n] * variables;
      switch (r->bytes) {
      case 1:
        LOAD(uint8_t)
        break;
      case 2:
        LOAD(uint16_t)
        break;
      case 4:
        LOAD(int32_t)
        break;
      default:
        LOAD(int64_t)
      }
    }
  }
}

// Put the next records into the block, from the first on.
static int load_next(block_t *b, const pce_records *r, int64_t first) {
  int64_t records[N];
  const int count = (int)(r->count - first < N ? r->count - first : N);
  for (int n = 0; n < count; ++n)
    records[n] = first + n;
  load(b, r, records, count);
  return count;
}

static int likelihood(const pce_program *p, const pce_records *r, int64_t *mantissa,
                      int64_t *exponent) {
  const pce_schedule *schedule = &p->likelihood;
  block_t b;
  if (block_make(&b, p, schedule))
    return PCE_MEMORY;
  for (int64_t first = 0; first < r->count; first += N) {
    const int count = load_next(&b, r, first);
    for (int i = 0; i < schedule->count; ++i)
      run_step(&b, schedule, schedule->steps + i);
    for (int n = 0; n < count; ++n) {
      mantissa[first + n] = b.state[(size_t)schedule->result * N + (size_t)n];
      exponent[first + n] = b.exponents[(size_t)schedule->result_slot * N + (size_t)n];
    }
  }
  block_free(&b);
  return PCE_OK;
}

// Fetch the table rows of the next INTERVAL, whose symbols are known. Always inline: a compiler takes
// a function that only fetches for one without an effect, and drops its calls.
static inline __attribute__((always_inline)) void
fetch_ahead(const block_t *b, const pce_schedule *schedule, int i, int count) {
  for (++i; i < schedule->count; ++i) {
    const pce_step *s = schedule->steps + i;
    if (s->op != INTERVAL || s->pairs < 0)
      continue;
    const size_t padded = (size_t)(s->a_units + 15) / 16 * 16;
    for (int n = 0; n < count; ++n) {
      const int32_t symbol = b->symbols[(size_t)s->variable * N + (size_t)n];
      __builtin_prefetch(b->program->pairs + s->pairs + (size_t)(symbol < 0 ? 0 : symbol) * padded);
      __builtin_prefetch(b->program->pairs + s->pairs + (size_t)(symbol + 1) * padded);
    }
    return;
  }
}

// Both ends of the intervals of all records in a block: of each record by place in the coding order.
static void block_intervals(block_t *b, int count, uint32_t *lo, uint32_t *hi) {
  const pce_program *p = b->program;
  const pce_schedule *schedule = &p->code;
  for (int i = 0; i < schedule->count; ++i) {
    const pce_step *s = schedule->steps + i;
    if (s->op != INTERVAL) {
      run_step(b, schedule, s);
      continue;
    }
    uint64_t total[N];
    fetch_ahead(b, schedule, i, count);
    take_context(b, s, total);
    const size_t stride = (size_t)p->variables;
    uint32_t *start = lo + (size_t)s->place, *end = hi + (size_t)s->place;
    for (int n = 0; n < count; ++n, start += stride, end += stride) {
      const int32_t symbol = b->symbols[(size_t)s->variable * N + (size_t)n];
      if (symbol < 0) {
        *start = *end = 0;
        continue;
      }
      const scale_t scale = scale_of(b, total[n], s->symbols);
      *start = (uint32_t)bound_of(p, weighted_of(b, s, (size_t)n, symbol), symbol, scale);
      *end = (uint32_t)bound_of(p, weighted_of(b, s, (size_t)n, symbol + 1), symbol + 1, scale);
    }
  }
}

static int intervals(const pce_program *p, const pce_records *r, int64_t *lo, int64_t *hi) {
  const size_t size = (size_t)p->variables * N;
  block_t b;
  uint32_t *ends = taken(2 * size, sizeof *ends);
  int status = ends ? block_make(&b, p, &p->code) : PCE_MEMORY;
  if (status) {
    free(ends);
    return status;
  }
  for (int64_t first = 0; first < r->count; first += N) {
    const int count = load_next(&b, r, first);
    block_intervals(&b, count, ends, ends + size);
    for (int n = 0; n < count; ++n)
      for (int v = 0; v < p->variables; ++v) {
        const size_t at = (size_t)n * (size_t)p->variables + (size_t)v;
        lo[(first + n) * p->variables + v] = ends[at];
        hi[(first + n) * p->variables + v] = ends[size + at];
      }
  }
  block_free(&b);
  free(ends);
  return PCE_OK;
}

static int encode(const pce_program *p, const pce_records *r, int64_t lanes, int64_t begin,
                  int64_t end, pce_lanes *out) {
  const size_t size = (size_t)p->variables * N;
  const int64_t mine = end - begin;
  block_t b;
  out->data = NULL;
  uint32_t *ends = taken(2 * size, sizeof *ends);
  encoder_t *encoders = taken((size_t)mine, sizeof *encoders);
  int status = ends && encoders ? block_make(&b, p, &p->code) : PCE_MEMORY;
  if (status) {
    free(ends);
    free(encoders);
    return status;
  }
  for (int64_t lane = 0; lane < mine; ++lane)
    encoders[lane].range = (UINT64_C(1) << p->range_bits) - 1;
  // Rounds of one record of each lane, record by record; a block is whatever N come next.
  int64_t round = 0, lane = begin, more = 1;
  while (more && status == PCE_OK) {
    int64_t owner[N], records[N];
    int count = 0;
    while (count < N) {
      const int64_t record = round * lanes + lane;
      if (record >= r->count && (lane == begin || round * lanes + begin >= r->count)) {
        more = 0;
        break;
      }
      if (record < r->count) {
        records[count] = record;
        owner[count++] = lane - begin;
      }
      if (++lane == end) {
        lane = begin;
        ++round;
      }
    }
    if (!count)
      break;
    load(&b, r, records, count);
    block_intervals(&b, count, ends, ends + size);
    for (int n = 0; n < count && status == PCE_OK; ++n) {
      encoder_t *e = encoders + owner[n];
      status = encoder_room(e, (size_t)p->variables * (size_t)(p->scale_bits / 8) + 1);
      if (status)
        break;
      for (int v = 0; v < p->variables; ++v) {
        const size_t at = (size_t)n * (size_t)p->variables + (size_t)v;
        const uint32_t start = ends[at], stop = ends[size + at];
        if (start != stop)
          encoder_narrow(e, p, start, stop);
      }
    }
  }
  size_t total = 0;
  for (int64_t i = 0; i < mine && status == PCE_OK; ++i) {
    status = encoder_room(encoders + i, 1);
    if (status == PCE_OK)
      encoder_flush(encoders + i, p);
    total += encoders[i].size;
  }
  if (status == PCE_OK) {
    out->data = malloc(total ? total : 1);
    status = out->data ? PCE_OK : PCE_MEMORY;
  }
  size_t place = 0;
  for (int64_t i = 0; i < mine; ++i) {
    if (status == PCE_OK) {
      memcpy(out->data + place, encoders[i].bytes, encoders[i].size);
      out->ends[i] = (int64_t)(place += encoders[i].size);
    }
    free(encoders[i].bytes);
  }
  free(encoders);
  free(ends);
  block_free(&b);
  return status;
}

// Find a record's symbol: the greatest one whose interval begins at or below the position.
static int32_t find(const block_t *b, const pce_step *s, size_t n, scale_t scale,
                    const decoder_t *d, uint64_t *start, uint64_t *end) {
  const pce_program *p = b->program;
  const uint64_t unit = d->range >> p->scale_bits;
  int32_t low = 0, high = s->symbols;
  *start = 0;
  *end = bound_of(p, weighted_of(b, s, n, high), high, scale);
  // First among every `stride`-th symbol, whose rows lie side by side, for all records to read.
  if (s->list >= 0) {
    const int stride = s->list_b, padded = (s->a_units + 15) / 16 * 16;
    const int16_t *c = (const int16_t *)(b->context + n * (size_t)b->room);
    int32_t left = 0, right = (high + stride - 1) / stride;
    while (right - left > 1) {
      const int32_t middle = left + (right - left) / 2, symbol = middle * stride;
      const uint64_t weighted =
          dot(c, p->pairs + s->list + (size_t)middle * (size_t)padded, padded) +
          p->sums[s->sums + symbol];
      const uint64_t bound = bound_of(p, (uint32_t)weighted, symbol, scale);
      if (unit * bound <= d->offset) {
        left = middle;
        *start = bound;
      } else {
        right = middle;
        *end = bound;
      }
    }
    low = left * stride;
    high = right * stride < high ? right * stride : high;
  }
  while (high - low > 1) {
    const int32_t middle = low + (high - low) / 2;
    const uint64_t bound = bound_of(p, weighted_of(b, s, n, middle), middle, scale);
    if (unit * bound <= d->offset) {
      low = middle;
      *start = bound;
    } else {
      high = middle;
      *end = bound;
    }
  }
  return low;
}

static int decode_block(block_t *b, decoder_t *decoders, int64_t lanes, int64_t first, int columns,
                        int32_t strict, pce_records *out, int64_t *fault) {
  const pce_program *p = b->program;
  const pce_schedule *schedule = &p->code;
  for (int64_t base = first; base < out->count; base += lanes) {
    const int count = (int)(out->count - base < columns ? out->count - base : columns);
    for (int i = 0; i < schedule->count; ++i) {
      const pce_step *s = schedule->steps + i;
      if (s->op != INTERVAL) {
        run_step(b, schedule, s);
        continue;
      }
      uint64_t total[N];
      take_context(b, s, total);
      for (int n = 0; n < count; ++n) {
        uint64_t start, end;
        const scale_t scale = scale_of(b, total[n], s->symbols);
        const int32_t symbol = find(b, s, (size_t)n, scale, decoders + n, &start, &end);
        b->symbols[(size_t)s->variable * N + (size_t)n] = symbol;
        if (!decoder_take(decoders + n, p, start, end) && strict) {
          fault[0] = first + n;
          return PCE_DAMAGED;
        }
      }
    }
    for (int n = 0; n < count; ++n) {
      if (strict && decoder_needed(decoders + n, p) > decoders[n].size) {
        fault[0] = first + n;
        fault[1] = decoder_needed(decoders + n, p);
        return PCE_SHORT;
      }
      for (int v = 0; v < p->variables; ++v)
        put_symbol(out, (base + n) * p->variables + v, b->symbols[(size_t)v * N + (size_t)n]);
    }
  }
  for (int n = 0; n < columns && strict == 1; ++n) {
    fault[0] = first + n;
    if (decoder_needed(decoders + n, p) != decoders[n].size) {
      fault[1] = decoder_needed(decoders + n, p);
      return PCE_LONG;
    }
    if (decoder_excess(decoders + n, p)) {
      fault[1] = decoder_excess(decoders + n, p);
      return PCE_FLUSH;
    }
  }
  return PCE_OK;
}

static int decode(const pce_program *p, const uint8_t *data, const int64_t *ends, int64_t lanes,
                  int64_t begin, int64_t end, int32_t strict, pce_records *out, int64_t *fault) {
  block_t b;
  if (block_make(&b, p, &p->code))
    return PCE_MEMORY;
  int status = PCE_OK;
  for (int64_t first = begin; first < end && status == PCE_OK; first += N) {
    decoder_t decoders[N];
    const int columns = (int)(end - first < N ? end - first : N);
    for (int n = 0; n < columns; ++n) {
      const int64_t from = first + n ? ends[first + n - 1] : 0;
      decoder_start(decoders + n, p, data + from, ends[first + n] - from);
    }
    memset(b.symbols, 0, (size_t)p->variables * N * sizeof *b.symbols);
    status = decode_block(&b, decoders, lanes, first, columns, strict, out, fault);
  }
  block_free(&b);
  return status;
}

// Bytes of lanes while they grow.
typedef struct {
  uint8_t *bytes;
  size_t size, room;
} bytes_t;

static int append(bytes_t *all, const uint8_t *bytes, size_t size) {
  if (all->size + size > all->room) {
    const size_t room = 2 * (all->size + size) + 64;
    uint8_t *larger = realloc(all->bytes, room);
    if (!larger)
      return PCE_MEMORY;
    all->bytes = larger;
    all->room = room;
  }
  if (size)
    memcpy(all->bytes + all->size, bytes, size);
  all->size += size;
  return PCE_OK;
}

static int encode_rows(const pce_program *p, const pce_stage *stage, const int64_t *numbers,
                       const uint8_t *missing, const int64_t *rows, int64_t begin, int64_t end,
                       pce_lanes *coded, pce_lanes *raw) {
  lane_t lane;
  bytes_t tokens = {NULL, 0, 0}, bits = {NULL, 0, 0};
  if (lane_make(&lane, stage))
    return PCE_MEMORY;
  int64_t first = 0;
  for (int64_t i = 0; i < begin; ++i)
    first += rows[i] * stage->columns;
  int status = PCE_OK;
  for (int64_t i = begin; i < end && status == PCE_OK; ++i) {
    encoder_t encoder = {0, 0, NULL, 0, 0};
    raw_writer_t writer = {NULL, 0, 0};
    status = encode_lane(p, &lane, numbers + first, missing ? missing + first : NULL, rows[i],
                         &encoder, &writer);
    if (status == PCE_OK)
      status = append(&tokens, encoder.bytes, encoder.size);
    if (status == PCE_OK)
      status = append(&bits, writer.bytes, (size_t)(writer.bits + 7) / 8);
    free(encoder.bytes);
    free(writer.bytes);
    coded->ends[i - begin] = (int64_t)tokens.size;
    raw->ends[i - begin] = (int64_t)bits.size;
    first += rows[i] * stage->columns;
  }
  lane_free(&lane);
  if (status) {
    free(tokens.bytes);
    free(bits.bytes);
    return status;
  }
  coded->data = tokens.bytes;
  raw->data = bits.bytes;
  return PCE_OK;
}

static int decode_rows(const pce_program *p, const pce_stage *stage, const uint8_t *coded,
                       const int64_t *coded_ends, const uint8_t *raw, const int64_t *raw_ends,
                       const int64_t *rows, int64_t begin, int64_t end, int64_t *numbers,
                       uint8_t *missing) {
  lane_t lane;
  if (lane_make(&lane, stage))
    return PCE_MEMORY;
  int64_t first = 0;
  for (int64_t i = 0; i < begin; ++i)
    first += rows[i] * stage->columns;
  int status = PCE_OK;
  for (int64_t i = begin; i < end && status == PCE_OK; ++i) {
    const int64_t from = i ? coded_ends[i - 1] : 0, at = i ? raw_ends[i - 1] : 0;
    decoder_t decoder;
    raw_reader_t reader = {raw + at, 8 * (uint64_t)(raw_ends[i] - at), 0};
    decoder_start(&decoder, p, coded + from, coded_ends[i] - from);
    status = decode_lane(p, &lane, &decoder, &reader, rows[i], numbers + first,
                         missing ? missing + first : NULL);
    first += rows[i] * stage->columns;
  }
  lane_free(&lane);
  return status;
}

const pce_engine NAMED(pce_engine_, PCE_ISA) = {TEXT_OF(PCE_ISA), likelihood,  intervals,  encode,
                                                decode,           encode_rows, decode_rows};
