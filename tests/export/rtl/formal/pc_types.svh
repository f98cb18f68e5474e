// Sizes of a tiny engine, and steps that say which row of the program they are, for proofs about the scheduler.
`ifndef PC_TYPES_SVH
`define PC_TYPES_SVH
localparam int PC_STREAMS = 2;
localparam int WAITING = 4;
localparam int PC_STREAM_BITS = 1;
localparam int STEP_BITS = 3;
localparam int STEP_WIDTH = 4;
localparam int SLOT_BITS = 1;
localparam int PC_ROWS = 1;
localparam int HAS_LIKELIHOOD = 1;
localparam int ROW_ADDRESS_BITS = 1;
localparam int LIKELIHOOD_START = 0;
localparam logic [3:0] KIND_INIT = 4'd0;
localparam logic [3:0] KIND_LEAF = 4'd1;
localparam logic [3:0] KIND_UP = 4'd2;
localparam logic [3:0] KIND_DOWN = 4'd3;
localparam logic [3:0] KIND_INTERVAL = 4'd7;
localparam logic [3:0] KIND_END = 4'd9;
typedef struct packed {
  logic [3:0] kind;
  logic [0:0] target;
  logic [0:0] a;
  logic [0:0] b;
  logic [0:0] a_slot;
  logic [0:0] b_slot;
  logic [2:0] row;
} step_t;
localparam int STEP_T_BITS = 12;
function automatic logic [STEP_T_BITS-1:0] step_of(input logic [STEP_WIDTH-1:0] row, input logic [STEP_BITS-1:0] place);
  step_of = {row, 5'd0, place};
endfunction
typedef struct packed {
  logic [PC_STREAM_BITS-1:0] stream;
  logic side;
  logic signed [31:0] a_exponent;
  logic signed [31:0] b_exponent;
  step_t step;
} task_t;
`endif
