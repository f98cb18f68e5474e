// The test program of a C99 project: does the jobs that it reads, and writes their results.
//
// A job is its kind and a number of records, 32 bits each, then their symbols; to be decoded, the
// number of bytes of a lane and these. A result is pieces, each its size and so many bytes, then a
// size of 0, the status, the instructions (64 bits), the bytes of stack, and those of pcedge_t.
#include "bench.h"
#include "pcedge.h"

// Bytes of a lane, at most.
#ifndef BENCH_BYTES
#define BENCH_BYTES 8192
#endif

enum { JOB_ENCODE, JOB_DECODE, JOB_LIKELIHOOD, JOB_SCORE };

static pcedge_t machine;
static uint8_t lane[BENCH_BYTES];
static pcedge_symbol_t record[PCEDGE_VARIABLES];

static void put(const void *bytes, uint32_t size) {
  if (size > 0) {
    bench_write(&size, sizeof size);
    bench_write(bytes, size);
  }
}

#define MEASURED(call)                                                                             \
  bench_begin();                                                                                   \
  call;                                                                                            \
  bench_end()

static pcedge_status_t encode(uint32_t count) {
  pcedge_status_t status = PCEDGE_OK;
  MEASURED(pcedge_encode_start(&machine, lane, sizeof lane));
  for (uint32_t i = 0; i < count && bench_read(record, sizeof record); ++i) {
    pcedge_status_t one;
    MEASURED(one = pcedge_encode(&machine, record));
    status = status ? status : one;
    put(lane, (uint32_t)pcedge_encode_take(&machine));
  }
  if (status != PCEDGE_ROOM)
    status = pcedge_encode_finish(&machine) ? PCEDGE_ROOM : status;
  put(lane, (uint32_t)pcedge_encode_take(&machine));
  return status;
}

static pcedge_status_t decode(uint32_t count) {
  uint32_t size = 0;
  pcedge_status_t status = PCEDGE_OK;
  if (!bench_read(&size, sizeof size) || size > sizeof lane || !bench_read(lane, size))
    return PCEDGE_ROOM;
  MEASURED(pcedge_decode_start(&machine, lane, size));
  for (uint32_t i = 0; i < count && !status; ++i) {
    MEASURED(status = pcedge_decode(&machine, record));
    if (!status)
      put(record, sizeof record);
  }
  return status ? status : pcedge_decode_finish(&machine);
}

static pcedge_status_t weigh(uint32_t count, uint32_t job) {
  pcedge_status_t status = PCEDGE_OK;
  for (uint32_t i = 0; i < count && bench_read(record, sizeof record); ++i) {
    uint16_t mantissa = 0;
    int32_t exponent = 0;
    uint32_t words[2] = {0, 0};
    pcedge_status_t one;
    if (job == JOB_LIKELIHOOD) {
      MEASURED(one = pcedge_likelihood(&machine, record, &mantissa, &exponent));
      words[0] = mantissa;
      words[1] = (uint32_t)exponent;
    } else {
      MEASURED(one = pcedge_score(&machine, record, words));
    }
    status = status ? status : one;
    put(words, sizeof words);
  }
  return status;
}

void bench(void) {
  uint32_t job[2];
  while (bench_read(job, sizeof job)) {
    uint32_t trailer[6] = {0, 0, 0, 0, 0, (uint32_t)sizeof machine};
    trailer[1] = (uint32_t)(job[0] == JOB_ENCODE   ? encode(job[1])
                            : job[0] == JOB_DECODE ? decode(job[1])
                                                   : weigh(job[1], job[0]));
    const uint64_t instructions = bench_instructions();
    trailer[2] = (uint32_t)instructions;
    trailer[3] = (uint32_t)(instructions >> 32);
    trailer[4] = bench_stack();
    bench_write(trailer, sizeof trailer);
  }
}
