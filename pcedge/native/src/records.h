// Records of any integers, in and out of a block's columns.
#ifndef PCEDGE_RECORDS_H
#define PCEDGE_RECORDS_H

#include "steps.h"

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
#define TILE 64
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

// Put records that follow each other into the block.
static void load_from(block_t *b, const pce_records *r, int64_t first, int count) {
  int64_t records[N];
  for (int n = 0; n < count; ++n)
    records[n] = first + n;
  load(b, r, records, count);
}

// Put the next records into the block, from the first on.
static int load_next(block_t *b, const pce_records *r, int64_t first) {
  const int count = (int)(r->count - first < N ? r->count - first : N);
  load_from(b, r, first, count);
  return count;
}

#endif
