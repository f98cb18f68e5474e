// Runs a native engine of another machine under an emulator: reads a program and records, writes what every job gives.
#include "pcedge.h"
#include <stdio.h>
#include <stdlib.h>

static void *taken(FILE *file, int64_t size) {
  void *memory = aligned_alloc(64, ((size_t)size + 127) / 64 * 64);
  if (!memory || fread(memory, 1, (size_t)size, file) != (size_t)size)
    exit(2);
  return memory;
}

static void put(const void *data, int64_t size) {
  if (fwrite(data, 1, (size_t)size, stdout) != (size_t)size)
    exit(3);
}

// runner FILE: sizes of what follows, the program, its arrays, records of 8 bytes, their number, lanes
int main(int count, char **arguments) {
  FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
  int64_t sizes[10];
  pce_program p;
  if (!file || fread(sizes, sizeof sizes, 1, file) != 1 || fread(&p, sizeof p, 1, file) != 1)
    return 2;
  p.likelihood.steps = taken(file, sizes[0]);
  p.code.steps = taken(file, sizes[1]);
  p.weights = taken(file, sizes[2]);
  p.tables = taken(file, sizes[3]);
  p.lists = taken(file, sizes[4]);
  p.pairs = taken(file, sizes[5]);
  p.sums = taken(file, sizes[6]);
  const int64_t records = sizes[8], lanes = sizes[9], values = records * p.variables;
  pce_records given = {taken(file, sizes[7]), records, 8, 0};
  const pce_engine *engine = pce_engine_of("");
  int64_t *first = calloc((size_t)values + 1, 8), *second = calloc((size_t)values + 1, 8);
  int64_t *ends = calloc((size_t)lanes, 8);
  if (!engine || !first || !second || !ends)
    return 4;
  if (engine->likelihood(&p, &given, first, second))
    return 5;
  put(first, 8 * records);
  put(second, 8 * records);
  if (engine->intervals(&p, &given, first, second))
    return 6;
  put(first, 8 * values);
  put(second, 8 * values);
  pce_lanes coded = {NULL, ends};
  if (engine->encode(&p, &given, lanes, 0, lanes, &coded))
    return 7;
  put(ends, 8 * lanes);
  put(coded.data, ends[lanes - 1]);
  int64_t fault[2];
  pce_records out = {first, records, 8, 0};
  if (engine->decode(&p, coded.data, ends, lanes, 0, lanes, 1, &out, fault))
    return 8;
  put(first, 8 * values);
  return 0;
}
