// A harness around the native engine for bytes that nobody wrote: libFuzzer's entry, and a driver that mutates seeds
// where there is no libFuzzer. programs.h, which fuzz_native.py writes, has programs and stages.
//
// An input: its program, what is done, an instruction set, lanes, records, then lanes with their lengths. Most have few
// lanes: they run many times as often.
// Beside what sanitizers see, a run ends at once where damaged bytes are taken for others: what is accepted must be
// what the engine encodes the result to, and all instruction sets must agree.
#define _GNU_SOURCE
#include "programs.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEMAND(what)                                                                               \
  do                                                                                               \
    if (!(what)) {                                                                                 \
      fprintf(stderr, "silent error: %s must hold (%s:%d)\n", #what, __FILE__, __LINE__);          \
      abort();                                                                                     \
    }                                                                                              \
  while (0)

enum { HEAD = 5, MOST_LANES = 80, FEW_LANES = 6, MOST_RECORDS = 3, MOST_ROWS = 100 };

// How many lanes a byte says: one in eight says more than a few.
static int lanes_of(uint8_t byte) { return 1 + byte % (byte % 8 ? FEW_LANES : MOST_LANES); }

// Bytes in memory of exactly their size, so that reads outside are seen.
static void *copied(const void *bytes, size_t size) {
  void *memory = malloc(size ? size : 1);
  if (size)
    memcpy(memory, bytes, size);
  return memory;
}

// Share bytes out: the first `count` say how many each lane has, the last one takes what is left.
static const uint8_t *share(const uint8_t *bytes, size_t *size, int count, int64_t *ends) {
  const size_t table = (size_t)count < *size ? (size_t)count : *size;
  const uint8_t *lengths = bytes;
  *size -= table;
  size_t end = 0;
  for (int i = 0; i < count; ++i) {
    end += (size_t)i < table ? lengths[i] : 0;
    if (end > *size || i == count - 1)
      end = *size;
    ends[i] = (int64_t)end;
  }
  return bytes + table;
}

static const pce_engine *engine_of(int number) {
  static const char *names[] = {"base", "avx2", "avx512", "vnni", "sse41"};
  const pce_engine *engine = pce_engine_of(names[number % 5]);
  return engine ? engine : pce_engine_of("");
}

static void check_symbols(const fuzzed_t *f, const int64_t *symbols, int64_t records, int least) {
  for (int64_t i = 0; i < records * f->program->variables; ++i)
    DEMAND(symbols[i] >= least && symbols[i] < f->symbols[i % f->program->variables]);
}

static void decode(const fuzzed_t *f, const pce_engine *engine, int strict, const uint8_t *bytes,
                   size_t size, int lanes, int64_t count) {
  const pce_engine *base = pce_engine_of("base");
  int64_t ends[MOST_LANES], again_ends[MOST_LANES], fault[2];
  const uint8_t *payload = share(bytes, &size, lanes, ends);
  uint8_t *data = copied(payload, size);
  const size_t room = (size_t)(count * f->program->variables) * sizeof(int64_t);
  int64_t *first = calloc(1, room ? room : 1), *second = calloc(1, room ? room : 1);
  pce_records one = {first, count, 8, 0}, two = {second, count, 8, 0};
  const int status = base->decode(f->program, data, ends, lanes, 0, lanes, strict, &one, fault);
  const int other =
      engine == base ? status
                     : engine->decode(f->program, data, ends, lanes, 0, lanes, strict, &two, fault);
  DEMAND((status == PCE_OK) == (other == PCE_OK));
  if (status == PCE_OK) {
    DEMAND(engine == base || !memcmp(first, second, room));
    check_symbols(f, first, count, 0);
    pce_lanes out = {NULL, again_ends};
    DEMAND(engine->encode(f->program, &one, lanes, 0, lanes, &out) == PCE_OK);
    if (strict == 1) {
      DEMAND(!memcmp(ends, again_ends, (size_t)lanes * sizeof *ends));
      DEMAND(!memcmp(out.data, data, size));
    }
    // What was given stays in the records, of all others nothing may.
    if (!f->program->code.given)
      memset(second, 0, room);
    DEMAND(base->decode(f->program, out.data, again_ends, lanes, 0, lanes, 1, &two, fault) ==
           PCE_OK);
    DEMAND(!memcmp(first, second, room));
    pce_free(out.data);
  }
  free(data);
  free(first);
  free(second);
}

static void unpack(const fuzzed_t *f, const pce_engine *engine, const uint8_t *bytes, size_t size,
                   int packets, int64_t count) {
  const int variables = f->program->variables;
  const size_t head = (size_t)packets < size ? (size_t)packets : size;
  int64_t places[MOST_LANES];
  uint8_t rules[MOST_LANES];
  for (int i = 0; i < packets; ++i) {
    const uint8_t word = (size_t)i < head ? bytes[i] : 0;
    rules[i] = word & 1;
    places[i] = (word >> 1) % (count * variables + 1);
  }
  const size_t payload = (size - head) / (size_t)packets;
  uint8_t *data = copied(bytes + head, payload * (size_t)packets);
  const size_t room = (size_t)(count * variables) * sizeof(int64_t);
  int64_t *first = malloc(room ? room : 1), *second = malloc(room ? room : 1);
  memset(first, 0xff, room);
  memset(second, 0xff, room);
  pce_records one = {first, count, 8, 0}, two = {second, count, 8, 0};
  const int64_t length = (int64_t)payload;
  DEMAND(pce_engine_of("base")->unpack(f->program, data, length, places, rules, 0, packets, &one) ==
         PCE_OK);
  DEMAND(engine->unpack(f->program, data, length, places, rules, 0, packets, &two) == PCE_OK);
  DEMAND(!memcmp(first, second, room));
  check_symbols(f, first, count, -1);
  free(data);
  free(first);
  free(second);
}

// Records of any symbols come back; their likelihood and intervals are computed on the way.
static void encode(const fuzzed_t *f, const pce_engine *engine, const uint8_t *bytes, size_t size,
                   int lanes, int64_t count) {
  const pce_engine *base = pce_engine_of("base");
  const int variables = f->program->variables;
  const size_t places = (size_t)(count * variables), room = places * sizeof(int64_t);
  int64_t *symbols = malloc(room), *back = malloc(room), *results = malloc(4 * room);
  for (size_t i = 0; i < places; ++i)
    symbols[i] = size ? bytes[i % size] % f->symbols[i % (size_t)variables] : 0;
  pce_records records = {symbols, count, 8, 0}, decoded = {back, count, 8, 0};
  int64_t ends[MOST_LANES], other_ends[MOST_LANES], fault[2];
  pce_lanes out = {NULL, ends}, other = {NULL, other_ends};
  DEMAND(engine->encode(f->program, &records, lanes, 0, lanes, &out) == PCE_OK);
  DEMAND(base->encode(f->program, &records, lanes, 0, lanes, &other) == PCE_OK);
  DEMAND(!memcmp(ends, other_ends, (size_t)lanes * sizeof *ends));
  DEMAND(!memcmp(out.data, other.data, (size_t)ends[lanes - 1]));
  memcpy(back, symbols, room); // what is given
  DEMAND(engine->decode(f->program, out.data, ends, lanes, 0, lanes, 1, &decoded, fault) == PCE_OK);
  DEMAND(!memcmp(symbols, back, room));
  pce_free(out.data);
  pce_free(other.data);
  for (size_t i = 0; i < places; ++i)
    if (size && bytes[(i + 7) % size] & 1)
      symbols[i] = -1;
  memset(results, 0, 4 * room);
  DEMAND(engine->likelihood(f->program, &records, results, results + count) == PCE_OK);
  DEMAND(base->likelihood(f->program, &records, results + places, results + places + count) ==
         PCE_OK);
  DEMAND(!memcmp(results, results + places, (size_t)count * sizeof *results));
  DEMAND(engine->intervals(f->program, &records, results, results + places) == PCE_OK);
  DEMAND(base->intervals(f->program, &records, results + 2 * places, results + 3 * places) ==
         PCE_OK);
  DEMAND(!memcmp(results, results + 2 * places, 2 * room));
  free(symbols);
  free(back);
  free(results);
}

static void rows(const fuzzed_t *f, const pce_engine *engine, const uint8_t *bytes, size_t size,
                 int lanes, int64_t count) {
  int64_t ends[2 * MOST_LANES], coded_ends[MOST_LANES], raw_ends[MOST_LANES], counts[MOST_LANES];
  const uint8_t *payload = share(bytes, &size, 2 * lanes, ends);
  int64_t all = 0;
  for (int i = 0; i < lanes; ++i)
    all += counts[i] = count / lanes + (i < count % lanes);
  const size_t coded_size = (size_t)ends[lanes - 1];
  uint8_t *coded = copied(payload, coded_size);
  uint8_t *raw = copied(payload + coded_size, size - coded_size);
  for (int i = 0; i < lanes; ++i)
    ends[lanes + i] -= ends[lanes - 1];
  const size_t places = (size_t)(all * f->stage->columns);
  int64_t *numbers = calloc(places ? places : 1, sizeof *numbers);
  uint8_t *missing = calloc(places ? places : 1, 1);
  const int status = engine->decode_rows(f->program, f->stage, coded, ends, raw, ends + lanes,
                                         counts, 0, lanes, numbers, missing);
  if (status == PCE_OK) {
    pce_lanes first = {NULL, coded_ends}, second = {NULL, raw_ends};
    DEMAND(engine->encode_rows(f->program, f->stage, numbers, missing, counts, 0, lanes, &first,
                               &second) == PCE_OK);
    const size_t ends_size = (size_t)lanes * sizeof *ends;
    DEMAND(!memcmp(coded_ends, ends, ends_size) && !memcmp(raw_ends, ends + lanes, ends_size));
    DEMAND(!coded_size || !memcmp(first.data, coded, coded_size));
    DEMAND(size == coded_size || !memcmp(second.data, raw, size - coded_size));
    pce_free(first.data);
    pce_free(second.data);
  }
  free(coded);
  free(raw);
  free(numbers);
  free(missing);
}

// Packets of any bytes; then the numbers that came are packed, and what those packets hold must be them.
static void unpack_rows(const fuzzed_t *f, const pce_engine *engine, const uint8_t *bytes,
                        size_t size, int packets, int64_t count) {
  const int64_t all = count * f->stage->columns;
  const size_t head = (size_t)packets < size ? (size_t)packets : size, room = (size_t)all;
  int64_t places[MOST_LANES], held[MOST_LANES];
  uint8_t rules[MOST_LANES];
  for (int i = 0; i < packets; ++i) {
    const uint8_t word = (size_t)i < head ? bytes[i] : 0;
    rules[i] = word & 1;
    places[i] = (word >> 1) % all;
  }
  const size_t payload = (size - head) / (size_t)packets;
  uint8_t *data = copied(bytes + head, payload * (size_t)packets);
  int64_t *numbers = calloc(room, sizeof *numbers), *again = calloc(room, sizeof *again);
  uint8_t *missing = calloc(room, 1), *here = calloc(room, 1), *gone = calloc(room, 1);
  for (int64_t i = 0; i < all; ++i) // where nothing comes: numbers are in the range of their column
    numbers[i] = f->stage->group[f->stage->group_of[i % f->stage->columns]].low;
  DEMAND(engine->unpack_rows(f->program, f->stage, data, (int64_t)payload, places, rules, 0,
                             packets, all, all, numbers, missing, here) == PCE_OK);
  memset(here, 0, room);
  DEMAND(engine->pack_rows(f->program, f->stage, numbers, missing, all, places[0], all,
                           (int64_t)payload, packets, data, held, rules) == PCE_OK);
  for (int i = 0; i + 1 < packets; ++i) {
    places[i + 1] = places[i] + held[i];
    if (places[i + 1] < all && held[i] >= 4 * f->stage->columns) // it begins with a row
      places[i + 1] -= places[i + 1] % f->stage->columns;
  }
  while (packets && places[packets - 1] >= all)
    --packets;
  DEMAND(engine->unpack_rows(f->program, f->stage, data, (int64_t)payload, places, rules, 0,
                             packets, all, all, again, gone, here) == PCE_OK);
  for (int64_t i = 0; i < all; ++i)
    DEMAND(!here[i] || (missing[i] == gone[i] && (missing[i] || numbers[i] == again[i])));
  free(data);
  free(numbers);
  free(again);
  free(missing);
  free(here);
  free(gone);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size < HEAD)
    return 0;
  const fuzzed_t *f = fuzzed + bytes[0] % (sizeof fuzzed / sizeof *fuzzed);
  const pce_engine *engine = engine_of(bytes[2]);
  const int kind = bytes[1] % 8, lanes = lanes_of(bytes[3]);
  const int64_t count = lanes + bytes[4] % (f->stage ? MOST_ROWS : (MOST_RECORDS - 1) * lanes + 1);
  bytes += HEAD;
  size -= HEAD;
  if (f->stage && kind < 5)
    rows(f, engine, bytes, size, lanes, count);
  else if (f->stage)
    unpack_rows(f, engine, bytes, size, lanes, count);
  else if (kind < 5)
    decode(f, engine, kind < 3 ? 1 : kind == 3 ? 2 : 0, bytes, size, lanes, count);
  else if (kind < 7)
    unpack(f, engine, bytes, size, lanes, count);
  else
    encode(f, engine, bytes, size, lanes, count);
  return 0;
}

#ifndef PCE_LIBFUZZER
enum { MOST_SEEDS = 4096, MOST_BYTES = 4096 };

static uint64_t state;

static uint32_t drawn(uint32_t limit) { // splitmix64
  uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return (uint32_t)((z ^ z >> 31) >> 32) % limit;
}

static size_t mutate(uint8_t *bytes, size_t size) {
  static const uint8_t special[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
  for (uint32_t left = 1 + drawn(4); left; --left) {
    const uint32_t at = size ? drawn((uint32_t)size) : 0, span = 1 + drawn(8);
    switch (drawn(6)) {
    case 0:
      if (size)
        bytes[at] ^= (uint8_t)(1u << drawn(8));
      break;
    case 1:
      if (size)
        bytes[at] = drawn(2) ? special[drawn(sizeof special)] : (uint8_t)drawn(256);
      break;
    case 2: // some bytes less
      if (at + span < size) {
        memmove(bytes + at, bytes + at + span, size - at - span);
        size -= span;
      }
      break;
    case 3: // some bytes more
      if (size + span <= MOST_BYTES) {
        memmove(bytes + at + span, bytes + at, size - at);
        for (uint32_t i = 0; i < span; ++i)
          bytes[at + i] = (uint8_t)drawn(256);
        size += span;
      }
      break;
    case 4: // the end, where a lane's flush is
      if (size)
        bytes[size - 1] = (uint8_t)(bytes[size - 1] + 1 + drawn(3));
      break;
    default:
      size -= size && drawn(2) ? 1 : 0;
    }
  }
  return size;
}

static size_t read_file(const char *path, uint8_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    exit(2);
  }
  const size_t size = fread(bytes, 1, MOST_BYTES, file);
  fclose(file);
  return size;
}

// FOLDER COUNT SEED LAST: run all seeds of a folder, then so many mutated ones; LAST holds the one that runs.
// FILE: run it.
int main(int count, char **words) {
  static uint8_t seeds[MOST_SEEDS][MOST_BYTES], one[MOST_BYTES];
  static size_t sizes[MOST_SEEDS];
  uint32_t found = 0;
  if (count == 2) {
    LLVMFuzzerTestOneInput(one, read_file(words[1], one));
    return 0;
  }
  struct dirent **names = NULL;
  const int entries = count == 5 ? scandir(words[1], &names, NULL, alphasort) : -1;
  const int last = count == 5 ? open(words[4], O_CREAT | O_RDWR, 0644) : -1;
  if (entries < 0 || last < 0) {
    fprintf(stderr, "usage: %s FOLDER COUNT SEED LAST | FILE\n", words[0]);
    return 2;
  }
  for (int i = 0; i < entries; free(names[i++])) {
    char path[4096];
    if (*names[i]->d_name == '.' || found == MOST_SEEDS)
      continue;
    snprintf(path, sizeof path, "%s/%s", words[1], names[i]->d_name);
    sizes[found] = read_file(path, seeds[found]);
    LLVMFuzzerTestOneInput(seeds[found], sizes[found]);
    ++found;
  }
  free(names);
  state = strtoull(words[3], NULL, 10);
  const long long cases = found ? atoll(words[2]) : 0;
  for (long long i = 0; i < cases; ++i) {
    const uint32_t seed = drawn(found);
    memcpy(one, seeds[seed], sizes[seed]);
    const size_t size = mutate(one, sizes[seed]);
    if (pwrite(last, one, size, 0) != (ssize_t)size || ftruncate(last, (off_t)size))
      return 2;
    LLVMFuzzerTestOneInput(one, size);
  }
  close(last);
  printf("%u seeds, %lld mutated cases\n", found, cases);
  return found ? 0 : 2;
}
#endif
