// The test program of a C99 project: does the jobs that it reads, and writes their results.
//
// A job is its kind and a number of records, 32 bits each, then their symbols; to be decoded, the
// number of bytes of a lane and these, and records where symbols of them are given. Of a circuit with a predictor stage a lane is one of rows: each
// is its numbers and a byte for each that says whether it is missing; what is written is the lane, its
// raw bits, and their number of bytes, and what is read is the lane and, in the same way, its raw bits.
// Of a circuit with a symbolizer numbers of so many rows give symbols, and symbols numbers.
// Packets: the bytes of a payload, 32 bits, and records give payloads, behind each how many symbols it
// holds and its rule; where one begins in its record, its rule, its bytes and these give records.
// Classes: a variable, 32 bits, and records give 32 bits each.
// A result is pieces, each its size and so many bytes, then a size of 0, the status, the instructions
// (64 bits), the bytes of stack, and those of pcedge_t.
#include "bench.h"
#include "pcedge.h"

// Bytes of a lane, at most.
#ifndef BENCH_BYTES
#define BENCH_BYTES 8192
#endif

enum {
  JOB_ENCODE,
  JOB_DECODE,
  JOB_LIKELIHOOD,
  JOB_SCORE,
  JOB_SYMBOLS,
  JOB_NUMBERS,
  JOB_PACK,
  JOB_UNPACK,
  JOB_CLASSIFY
};

static pcedge_t machine;
#if PCEDGE_CODES
static uint8_t lane[BENCH_BYTES];
#endif
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

#if PCEDGE_STAGE
static uint8_t raw[BENCH_BYTES];
static pcedge_number_t row[PCEDGE_COLUMNS];
static uint8_t missing[PCEDGE_COLUMNS];
static pcedge_symbol_t symbols[2 * PCEDGE_COLUMNS];

static int read_row(void) {
  return bench_read(row, sizeof row) && bench_read(missing, sizeof missing);
}

static int read_bytes(uint8_t *bytes, uint32_t *size) {
  return bench_read(size, sizeof *size) && *size <= BENCH_BYTES && bench_read(bytes, *size);
}

static pcedge_status_t encode(uint32_t count) {
  pcedge_status_t status = PCEDGE_OK;
  uint32_t raw_size = 0;
  size_t more;
  MEASURED(pcedge_encode_start(&machine, lane, sizeof lane, raw, sizeof raw));
  for (uint32_t i = 0; i < count && read_row(); ++i) {
    pcedge_status_t one;
    MEASURED(one = pcedge_encode(&machine, row, missing));
    status = status ? status : one;
  }
  if (status != PCEDGE_ROOM)
    status = pcedge_encode_finish(&machine) ? PCEDGE_ROOM : status;
  put(lane, (uint32_t)pcedge_encode_take(&machine, &more));
  raw_size = (uint32_t)more;
  put(raw, raw_size);
  put(&raw_size, sizeof raw_size);
  return status;
}

static pcedge_status_t decode(uint32_t count) {
  uint32_t size = 0, raw_size = 0;
  pcedge_status_t status = PCEDGE_OK;
  if (!read_bytes(lane, &size) || !read_bytes(raw, &raw_size))
    return PCEDGE_ROOM;
  MEASURED(pcedge_decode_start(&machine, lane, size, raw, raw_size));
  for (uint32_t i = 0; i < count && !status; ++i) {
    MEASURED(status = pcedge_decode(&machine, row, missing));
    if (!status) {
      for (uint32_t c = 0; c < PCEDGE_COLUMNS; ++c)
        row[c] = missing[c] ? 0 : row[c];
      put(row, sizeof row);
      put(missing, sizeof missing);
    }
  }
  return status ? status : pcedge_decode_finish(&machine);
}

static pcedge_status_t map(uint32_t count) {
  pcedge_status_t status = PCEDGE_OK;
  pcedge_symbols_start(&machine);
  for (uint32_t i = 0; i < count && read_row(); ++i) {
    pcedge_status_t one;
    MEASURED(one = pcedge_symbols(&machine, row, missing, symbols));
    status = status ? status : one;
    put(symbols, sizeof symbols);
  }
  return status;
}
#else
#if PCEDGE_ENCODES
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
#else
static pcedge_status_t encode(uint32_t count) { return count ? PCEDGE_ROOM : PCEDGE_OK; }
#endif

#if PCEDGE_DECODES
static pcedge_status_t decode(uint32_t count) {
  uint32_t size = 0;
  pcedge_status_t status = PCEDGE_OK;
  if (!bench_read(&size, sizeof size) || size > sizeof lane || !bench_read(lane, size))
    return PCEDGE_ROOM;
  MEASURED(pcedge_decode_start(&machine, lane, size));
  for (uint32_t i = 0; i < count && !status; ++i) {
#if PCEDGE_GIVEN
    if (!bench_read(record, sizeof record))
      return PCEDGE_ROOM;
#endif
    MEASURED(status = pcedge_decode(&machine, record));
    if (!status)
      put(record, sizeof record);
  }
  return status ? status : pcedge_decode_finish(&machine);
}
#else
static pcedge_status_t decode(uint32_t count) { return count ? PCEDGE_ROOM : PCEDGE_OK; }
#endif

#if PCEDGE_SYMBOLIZER
static pcedge_number_t rows[PCEDGE_ROWS * PCEDGE_COLUMNS];
static pcedge_symbol_t symbols[PCEDGE_RECORDS * PCEDGE_VARIABLES];

static uint32_t rows_of(uint32_t left) { return left < PCEDGE_ROWS ? left : PCEDGE_ROWS; }

static pcedge_status_t map(uint32_t count) {
  pcedge_status_t status = PCEDGE_OK;
  pcedge_symbols_start(&machine);
  for (uint32_t left = count; left > 0; left -= rows_of(left)) {
    pcedge_status_t one;
    if (!bench_read(rows, rows_of(left) * PCEDGE_COLUMNS * sizeof rows[0]))
      return PCEDGE_ROOM;
    MEASURED(one = pcedge_symbols(&machine, rows, rows_of(left), symbols));
    status = status ? status : one;
    put(symbols, sizeof symbols);
  }
  return status;
}

static pcedge_status_t map_back(uint32_t count) {
  pcedge_status_t status = PCEDGE_OK;
  pcedge_numbers_start(&machine);
  for (uint32_t left = count; left > 0; left -= rows_of(left)) {
    pcedge_status_t one;
    if (!bench_read(symbols, sizeof symbols))
      return PCEDGE_ROOM;
    MEASURED(one = pcedge_numbers(&machine, symbols, rows, rows_of(left)));
    status = status ? status : one;
    put(rows, rows_of(left) * PCEDGE_COLUMNS * (uint32_t)sizeof rows[0]);
  }
  return status;
}
#else
// No numbers, no symbols of them.
static pcedge_status_t map(uint32_t count) { return count ? PCEDGE_SYMBOL : PCEDGE_OK; }
#endif
#endif

#if PCEDGE_PACKETS
static union {
  pcedge_symbol_t symbols[1];
  uint8_t bytes[BENCH_BYTES];
} block;

static pcedge_status_t pack(uint32_t count) {
  uint32_t size = 0, place = 0, told[2];
  if (!bench_read(&size, sizeof size) || size > sizeof lane ||
      count > sizeof block / sizeof record ||
      !bench_read(block.bytes, count * (uint32_t)sizeof record))
    return PCEDGE_ROOM;
  while (place < count * PCEDGE_VARIABLES) {
    pcedge_status_t status;
    uint8_t rule;
    MEASURED(status =
                 pcedge_pack(&machine, block.symbols, count, place, lane, size, &told[0], &rule));
    if (status || !told[0])
      return status ? status : PCEDGE_ROOM;
    told[1] = rule;
    place += told[0];
    put(lane, size);
    put(told, sizeof told);
  }
  return PCEDGE_OK;
}

static pcedge_status_t unpack(uint32_t count) {
  uint32_t head[3];
  pcedge_status_t status = PCEDGE_OK;
  if (!bench_read(head, sizeof head) || head[2] > sizeof lane || !bench_read(lane, head[2]))
    return PCEDGE_ROOM;
  MEASURED(pcedge_unpack_start(&machine, lane, head[2], head[0], (uint8_t)head[1]));
  for (uint32_t i = 0; i < count && !status; ++i) {
    MEASURED(status = pcedge_unpack(&machine, record));
    put(record, sizeof record);
  }
  return status == PCEDGE_END ? PCEDGE_OK : status;
}
#else
static pcedge_status_t pack(uint32_t count) { return count ? PCEDGE_ROOM : PCEDGE_OK; }
static pcedge_status_t unpack(uint32_t count) { return pack(count); }
#endif

#if !PCEDGE_SYMBOLIZER
static pcedge_status_t map_back(uint32_t count) { return map(count); }
#endif

#if PCEDGE_CLASSIFIES
static pcedge_status_t classify(uint32_t count) {
  uint32_t variable = 0;
  pcedge_status_t status = PCEDGE_OK;
  if (!bench_read(&variable, sizeof variable))
    return PCEDGE_ROOM;
  for (uint32_t i = 0; i < count && bench_read(record, sizeof record); ++i) {
    pcedge_symbol_t found = 0;
    uint32_t word;
    pcedge_status_t one;
    MEASURED(one = pcedge_classify(&machine, record, variable, &found));
    status = status ? status : one;
    word = found;
    put(&word, sizeof word);
  }
  return status;
}
#else
static pcedge_status_t classify(uint32_t count) { return count ? PCEDGE_ROOM : PCEDGE_OK; }
#endif

#if PCEDGE_WEIGHS
static pcedge_status_t weigh(uint32_t count, uint32_t job) {
  pcedge_status_t status = PCEDGE_OK;
  for (uint32_t i = 0; i < count && bench_read(record, sizeof record); ++i) {
    uint16_t mantissa = 0;
    int32_t exponent = 0;
    uint32_t words[2] = {0, 0};
    pcedge_status_t one;
    (void)job;
#ifdef PCEDGE_ONLY_SCORE
    if (job == JOB_SCORE) {
      MEASURED(one = pcedge_score(&machine, record, words));
    } else
#endif
    {
      MEASURED(one = pcedge_likelihood(&machine, record, &mantissa, &exponent));
      words[0] = mantissa;
      words[1] = (uint32_t)exponent;
    }
    status = status ? status : one;
    put(words, sizeof words);
  }
  return status;
}
#else
static pcedge_status_t weigh(uint32_t count, uint32_t job) {
  return count + job ? PCEDGE_ROOM : PCEDGE_OK;
}
#endif

void bench(void) {
  uint32_t job[2];
  while (bench_read(job, sizeof job)) {
    uint32_t trailer[6] = {0, 0, 0, 0, 0, (uint32_t)sizeof machine};
    trailer[1] = (uint32_t)(job[0] == JOB_ENCODE     ? encode(job[1])
                            : job[0] == JOB_DECODE   ? decode(job[1])
                            : job[0] == JOB_SYMBOLS  ? map(job[1])
                            : job[0] == JOB_NUMBERS  ? map_back(job[1])
                            : job[0] == JOB_PACK     ? pack(job[1])
                            : job[0] == JOB_UNPACK   ? unpack(job[1])
                            : job[0] == JOB_CLASSIFY ? classify(job[1])
                                                     : weigh(job[1], job[0]));
    const uint64_t instructions = bench_instructions();
    trailer[2] = (uint32_t)instructions;
    trailer[3] = (uint32_t)(instructions >> 32);
    trailer[4] = bench_stack();
    bench_write(trailer, sizeof trailer);
  }
}
