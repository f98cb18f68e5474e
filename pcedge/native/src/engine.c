// The native engine, compiled once for every instruction set; PCE_ISA names it.
// PCE_ONE is the same for one record, which the other one hands on.
#include "decoding.h"
#include "encoding.h"
#include "stage_packets.h"

#define GLUE(a, b) a##b
#define NAMED(a, b) GLUE(a, b)
#define TEXT(a) #a
#define TEXT_OF(a) TEXT(a)

#ifdef PCE_ONE
#define NAME NAMED(pce_one_, PCE_ISA)
#define HAND_ON(count, call)
#else
#define NAME NAMED(pce_engine_, PCE_ISA)
#define ONE NAMED(pce_one_, PCE_ISA)
extern const pce_engine ONE;
// Columns up to which records one after the other cost less than a block.
#define FEW_COLUMNS 8
#define HAND_ON(count, call)                                                                       \
  if ((count) <= FEW_COLUMNS)                                                                      \
    return ONE.call;
#endif

static int likelihood(const pce_program *p, const pce_records *r, int64_t *mantissa,
                      int64_t *exponent) {
  HAND_ON(r->count, likelihood(p, r, mantissa, exponent))
  const pce_schedule *schedule = &p->likelihood;
  block_t b;
  if (block_make(&b, p, schedule))
    return PCE_MEMORY;
  for (int64_t first = 0; first < r->count; first += N) {
    const int count = load_next(&b, r, first);
    for (int i = 0; i < schedule->count; ++i) {
#ifdef PCE_ONE
      fetch_known(&b, schedule, i + AHEAD);
#endif
      run_step(&b, schedule, schedule->steps + i);
    }
    for (int n = 0; n < count; ++n) {
      mantissa[first + n] = b.state[(size_t)schedule->result * N + (size_t)n];
      exponent[first + n] = b.exponents[(size_t)schedule->result_slot * N + (size_t)n];
    }
  }
  block_free(&b);
  return PCE_OK;
}

static int intervals(const pce_program *p, const pce_records *r, int64_t *lo, int64_t *hi) {
  HAND_ON(r->count, intervals(p, r, lo, hi))
  return intervals_of(p, r, lo, hi);
}

static int encode(const pce_program *p, const pce_records *r, int64_t lanes, int64_t begin,
                  int64_t end, pce_lanes *out) {
  HAND_ON(r->count, encode(p, r, lanes, begin, end, out))
  return encode_lanes(p, r, lanes, begin, end, out);
}

static int decode(const pce_program *p, const uint8_t *data, const int64_t *ends, int64_t lanes,
                  int64_t begin, int64_t end, int32_t strict, pce_records *out, int64_t *fault) {
  HAND_ON(end - begin, decode(p, data, ends, lanes, begin, end, strict, out, fault))
  return decode_lanes(p, data, ends, lanes, begin, end, strict, out, fault);
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

static int unpack(const pce_program *p, const uint8_t *payloads, int64_t size,
                  const int64_t *places, const uint8_t *rules, int64_t begin, int64_t end,
                  pce_records *out) {
  HAND_ON(end - begin, unpack(p, payloads, size, places, rules, begin, end, out))
  return unpack_payloads(p, payloads, size, places, rules, begin, end, out);
}

const pce_engine NAME = {TEXT_OF(PCE_ISA), likelihood,  intervals, encode,        decode,
                         encode_rows,      decode_rows, unpack,    pack_payloads, unpack_rows_of};
