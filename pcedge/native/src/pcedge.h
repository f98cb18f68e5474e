// The native engine's interface: a program laid out in memory, and what an engine does with it.
// The arithmetic is docs/arithmetic.md, the steps are docs/program.md, lanes are docs/stream.md.
#ifndef PCEDGE_NATIVE_H
#define PCEDGE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Changes with every field and function below.
#define PCE_ABI 1

// Records side by side in a block.
#define PCE_BLOCK 64

// A step; what it has not is -1. Addresses count units of the state memory, slots exponents.
typedef struct {
  int32_t op, zeros, units;
  int32_t wide;   // whether what it accumulates may need more than 32 bits
  int32_t target, target_slot;
  int32_t a, a_slot, a_units;
  int32_t b, b_slot, b_units;
  int32_t variable, symbols;
  int32_t data;   // UP, DOWN: weights of the target's rows, or of lists' entries; LEAF, INTERVAL: tables
  int32_t pairs;  // the same in 16 bits: blocks as pairs of columns, tables padded to 16 units
  int32_t sums;   // of the rows in `pairs` 2^15 times their sums
  int32_t list;   // UP, DOWN, LIST: where rows begin, as places in the entries; MULTIPLY: gather list of a
  int32_t list_b; // UP, DOWN, LIST: entries; MULTIPLY: gather list of b; LEAF: exponents of tails
  int32_t place;  // INTERVAL: place in the coding order
} pce_step;

typedef struct {
  const pce_step *steps;
  int32_t count;
  int32_t keep;                // whether entries stay possible (section Tails)
  int32_t result, result_slot; // where the likelihood is left
  int32_t words, slots;        // units and exponents that the steps address
  int32_t scales;              // whether exponents are read
  int32_t spare;
} pce_schedule;

typedef struct {
  int32_t weight_bits, leaf_bits, state_bits, scale_bits, range_bits, floor;
  int32_t variables;
  int32_t units; // the most of a step's result and sources
  pce_schedule likelihood, code;
  const uint32_t *weights;
  const uint32_t *tables; // cumulative entries: symbol by symbol, those of all units
  const int32_t *lists;
  const int16_t *pairs;
  const uint32_t *sums;
} pce_program;

// Records: rows of `variables` integers of 1, 2, 4 or 8 bytes (those of 8 signed), -1 or all ones is missing.
typedef struct {
  void *data;
  int64_t count;
  int32_t bytes;
  int32_t spare;
} pce_records;

// Bytes of lanes, one lane after the other.
typedef struct {
  uint8_t *data;
  int64_t *ends;
} pce_lanes;

enum { PCE_OK = 0, PCE_MEMORY = 1, PCE_DAMAGED = 2, PCE_SHORT = 3, PCE_LONG = 4, PCE_FLUSH = 5 };

typedef struct {
  const char *isa;
  int (*likelihood)(const pce_program *, const pce_records *, int64_t *mantissa, int64_t *exponent);
  int (*intervals)(const pce_program *, const pce_records *, int64_t *lo, int64_t *hi);
  // Records first, first + 1, … of lanes begin..end - 1 of S; `lanes` gets memory that pce_free gives back.
  int (*encode)(const pce_program *, const pce_records *, int64_t lanes, int64_t begin, int64_t end,
                pce_lanes *out);
  // `fault` gets the lane and what it needs.
  int (*decode)(const pce_program *, const uint8_t *data, const int64_t *ends, int64_t lanes,
                int64_t begin, int64_t end, int32_t strict, pce_records *out, int64_t *fault);
} pce_engine;

int pce_abi(void);
// The engine of an instruction set, or NULL where the build or the machine has it not; "" is the best.
const pce_engine *pce_engine_of(const char *isa);
void pce_free(void *);

#ifdef __cplusplus
}
#endif

#endif
