// The sizes of one engine, which the exporter writes, and what units hand to each other.
`ifndef PC_TYPES_SVH
`define PC_TYPES_SVH
`include "params.svh"

// steps that wait at a unit, and one more that is on its way when the scheduler hears of them
localparam int WAITING = 4;

// where a vector goes that a writer normalises, and how
typedef struct packed {
  logic [PC_STREAM_BITS-1:0] stream;
  logic [ROW_ADDRESS_BITS-1:0] target;
  logic [SLOT_BITS-1:0] target_slot;
  logic [1:0] zeros;
  logic bypass;  // rows are mantissas, the exponent is theirs
  logic lifted;  // entries are 2^lift times what the circuit's weights make
  logic masked;  // lanes behind `last` of the last row are no units
  logic [STATE_LANE_BITS-1:0] last;
  logic signed [32:0] exponent;
} meta_t;
localparam int META_T_BITS = PC_STREAM_BITS + ROW_ADDRESS_BITS + SLOT_BITS + 5 + STATE_LANE_BITS + 33;

// a step that a unit is to do
typedef struct packed {
  logic [PC_STREAM_BITS-1:0] stream;
  logic side;     // of the record's symbols
  logic signed [31:0] a_exponent;
  logic signed [31:0] b_exponent;
  step_t step;
} task_t;
localparam int TASK_T_BITS = PC_STREAM_BITS + 65 + STEP_T_BITS;
// one reading of a variable's leaf tables
typedef struct packed {
  logic weigh;    // with a context: what an interval is made of
  logic leaf;     // counts of the symbol, for a writer
  logic given;    // the symbol is `symbol`, or the variable's first; else that of the record
  logic opens;    // a decoder's first one
  logic [SYMBOL_BITS-1:0] symbol;
  task_t work;
} pass_t;
localparam int PASS_T_BITS = 4 + SYMBOL_BITS + TASK_T_BITS;

// what a reading with a context found
typedef struct packed {
  logic missing;  // the symbol is: it has no interval
  logic leaf;     // the pass has a LEAF too, which says when the step is done
  logic [PC_STREAM_BITS-1:0] stream;
  logic [SYMBOL_BITS-1:0] symbol;
  logic [SYMBOL_BITS:0] cardinality;
  logic [CONTEXT_BITS-1:0] total;     // of the context
  logic [PC_WEIGHTED_BITS-1:0] low;      // weighted entries of the symbol
  logic [PC_WEIGHTED_BITS-1:0] high;     // and of the next one
} weighed_t;

// entries that the vector unit accumulates: products of two mantissas, or sums like those of mixing
localparam int PC_VECTOR_BITS = HAS_LISTS != 0 && MIX_BITS > 2 * PC_STATE_BITS ? MIX_BITS : 2 * PC_STATE_BITS;
// a place in a list: last of its list, no entry, a position, and a second position or a weight
localparam int LIST_WIDTH = 2 + POSITION_BITS + LIST_B_BITS;
localparam int PC_COUNT_BITS = PC_LEAF_BITS + 1 + (HAS_TAILS != 0 ? PC_TAIL_BITS : 0);
`endif
