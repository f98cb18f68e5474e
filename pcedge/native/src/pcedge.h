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
#define PCE_ABI 5

// Records side by side in a block.
#define PCE_BLOCK 64

// A step; what it has not is -1. Addresses count units of the state memory, slots exponents.
typedef struct {
  int32_t op, zeros, units;
  int32_t wide; // whether what it accumulates may need more than 32 bits
  int32_t target, target_slot;
  int32_t a, a_slot, a_units;
  int32_t b, b_slot, b_units;
  int32_t variable, symbols;
  // UP, DOWN: weights of the target's rows, or of lists' entries; INTERVAL: tables; LEAF: the tables in `pairs` of the
  // INTERVAL before it, if its mantissas are differences of their rows
  int32_t data;
  int32_t
      pairs;    // in 16 bits. UP, DOWN: weights, see pce_program; LEAF: mantissas; INTERVAL: tables
  int32_t sums; // 2^15 times the sums of rows in `pairs`: of UP, DOWN, and of an INTERVAL's marks
  int32_t list; // UP, DOWN, LIST: where rows begin, as places in the entries; MULTIPLY: gather list
  // of a; LEAF: exponents by symbol; INTERVAL: every list_b-th symbol's row in `pairs`
  int32_t list_b; // UP, DOWN, LIST: entries; MULTIPLY: gather list of b
  int32_t place;  // INTERVAL: place in the coding order
} pce_step;

typedef struct {
  const pce_step *steps;
  int32_t count;
  int32_t keep;                // whether entries stay possible (section Tails)
  int32_t result, result_slot; // where the likelihood is left
  int32_t words, slots;        // units and exponents that the steps address
  int32_t scales;              // whether exponents are read
  int32_t given;               // how many variables encoder and decoder know
} pce_schedule;

typedef struct {
  int32_t weight_bits, leaf_bits, state_bits, scale_bits, range_bits, floor;
  int32_t variables;
  int32_t units; // the most of a step's result and sources
  pce_schedule likelihood, code;
  const uint32_t *weights;
  const uint32_t *tables; // cumulative entries: symbol by symbol, those of all units
  const int32_t *lists;
  // Dense weights: pairs of columns, those of all rows, padded to 16, one after the other. Mantissas and tables: rows
  // of a symbol's units, padded to 16.
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

// Of a predictor stage (docs/predictor.md); all numbers are less their origin.
typedef struct {
  int64_t low, high; // of a wide group modulo 2^64
  int64_t constant;
  int32_t wide;
  int32_t first, last; // coefficients and their distances
  int32_t spare;
} pce_group;

typedef struct {
  int64_t threshold;
  int32_t feature, below, above, spare;
} pce_node;

typedef struct {
  int64_t distance, other, weight;
  int32_t kind, spare;
} pce_part;

typedef struct {
  int64_t places; // of a lane's buffer
  int32_t columns, groups, inputs, features, nodes, listed_count;
  int32_t centre, escapes, tokens, gain, marks, spare;
  const int64_t *cells; // the place of every number of the longest lane
  const int32_t *group_of;
  const pce_group *group;
  const int64_t *coefficients, *distances, *input_distances;
  const int32_t *feature_starts, *first_parts;
  const pce_part *parts;
  const pce_node *node;
  const int64_t *biases;
  const int32_t *shifts;
  const int64_t *listed;
  const uint32_t *bounds; // ends of the tokens' intervals, (classes, tokens + 1)
} pce_stage;

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
  // `fault` gets the lane and what it needs. `strict`: 1 checks lanes to their ends, 2 as far as the records go, 0 takes
  // any bytes.
  int (*decode)(const pce_program *, const uint8_t *data, const int64_t *ends, int64_t lanes,
                int64_t begin, int64_t end, int32_t strict, pce_records *out, int64_t *fault);
  // Lanes begin..end - 1 of a predictor stage; lane i has rows[i] rows, which follow those of the lanes before.
  // `missing` may be NULL.
  int (*encode_rows)(const pce_program *, const pce_stage *, const int64_t *numbers,
                     const uint8_t *missing, const int64_t *rows, int64_t begin, int64_t end,
                     pce_lanes *coded, pce_lanes *raw);
  int (*decode_rows)(const pce_program *, const pce_stage *, const uint8_t *coded,
                     const int64_t *coded_ends, const uint8_t *raw, const int64_t *raw_ends,
                     const int64_t *rows, int64_t begin, int64_t end, int64_t *numbers,
                     uint8_t *missing);
  // Packets begin..end - 1 with payloads of `size` bytes; only the symbols that they hold are written.
  int (*unpack)(const pce_program *, const uint8_t *payloads, int64_t size, const int64_t *places,
                const uint8_t *rules, int64_t begin, int64_t end, pce_records *out);
  // The next `packets` packets, from number `first` of `count` on, each of at most `most` numbers: payloads of `size`
  // bytes, how many numbers each holds, 0 behind the last, and its rule. `missing` may be NULL.
  int (*pack_rows)(const pce_program *, const pce_stage *, const int64_t *numbers,
                   const uint8_t *missing, int64_t count, int64_t first, int64_t most, int64_t size,
                   int64_t packets, uint8_t *payloads, int64_t *held, uint8_t *rules);
  // Packets begin..end - 1; only the numbers that they hold are written, and `here` that they came.
  int (*unpack_rows)(const pce_program *, const pce_stage *, const uint8_t *payloads, int64_t size,
                     const int64_t *places, const uint8_t *rules, int64_t begin, int64_t end,
                     int64_t count, int64_t most, int64_t *numbers, uint8_t *missing,
                     uint8_t *here);
} pce_engine;

#ifdef _WIN32
#define PCE_PUBLIC __declspec(dllexport)
#else
#define PCE_PUBLIC __attribute__((visibility("default")))
#endif

PCE_PUBLIC int pce_abi(void);
// The engine of an instruction set, or NULL where the build or the machine has it not; "" is the best.
PCE_PUBLIC const pce_engine *pce_engine_of(const char *isa);
PCE_PUBLIC void pce_free(void *);

#ifdef __cplusplus
}
#endif

#endif
