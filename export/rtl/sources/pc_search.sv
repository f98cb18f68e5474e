// pc_search: a decoder's search for its symbols, bit by bit (docs/rtl.md, Coding): a pass through the tables weighs what
// lies below a candidate, and a probe tells whether the position has reached that bound. The last pass is an encoder's.
//
// Ports    search_*: an INTERVAL that a decoder begins. asks, takes, pass: a pass through the tables. cardinality_*: of a
//          pass's variable. probe_*: what a probe said. found_*: a symbol.
`include "pc_types.svh"
module pc_search #(
    localparam int TOP = SYMBOLS > 1 ? $clog2(SYMBOLS) : 0,  // bits of a search
    localparam int BIT_BITS = TOP > 0 ? $clog2(TOP + 1) : 1
) (
    input logic clk,
    input logic rst,
    input logic search_valid,
    output logic search_ready,
    input task_t search,
    output logic asks,
    input logic takes,
    output pass_t pass,
    input logic cardinality_valid,
    input logic [PC_STREAM_BITS-1:0] cardinality_stream,
    input logic [SYMBOL_BITS:0] cardinality_in,
    input logic probe_valid,
    input logic [PC_STREAM_BITS-1:0] probe_stream,
    input logic probe_reached,
    output logic found,
    output logic [PC_STREAM_BITS-1:0] found_stream,
    output logic [VARIABLE_BITS-1:0] found_variable,
    output logic [SYMBOL_BITS-1:0] found_symbol
);
  // ---- events, at most one a stream
  logic [TASK_T_BITS-1:0] tasks[PC_STREAMS];
  logic [SYMBOL_BITS-1:0] symbols[PC_STREAMS];
  logic [BIT_BITS-1:0] bits[PC_STREAMS];
  logic [SYMBOL_BITS:0] cardinality[PC_STREAMS];
  logic event_valid, event_reached, event_begins, event_take, event_ready_unused;
  logic [PC_STREAM_BITS-1:0] event_stream;
  logic again;  // an event that goes round once more
  logic [PC_STREAM_BITS-1:0] again_stream;
  assign search_ready = !probe_valid && !again;
  wire [PC_STREAM_BITS-1:0] in_stream = probe_valid ? probe_stream : again ? again_stream : search.stream;
  pc_fifo #(.WIDTH(PC_STREAM_BITS + 2), .DEPTH(PC_STREAMS + 2)) events (
      .clk(clk), .rst(rst), .in_valid(probe_valid || again || search_valid), .in_ready(event_ready_unused),
      .in({!probe_valid && !again, probe_valid && probe_reached, in_stream}),
      .out_valid(event_valid), .out_ready(event_take), .out({event_begins, event_reached, event_stream}));
  logic pass_room;
  pass_t next;
  wire [BIT_BITS-1:0] bit_now = event_begins ? BIT_BITS'(TOP) : bits[event_stream];
  wire [SYMBOL_BITS-1:0] symbol_now =
      event_begins ? '0
      : symbols[event_stream] | (event_reached ? SYMBOL_BITS'(1) << bit_now : '0);
  wire is_last = bit_now == '0;
  wire [BIT_BITS-1:0] bit_next = bit_now - 1'b1;
  wire [SYMBOL_BITS-1:0] candidate = symbol_now | SYMBOL_BITS'(1) << bit_next;
  wire skips = !is_last && !event_begins && (SYMBOL_BITS + 1)'(candidate) >= cardinality[event_stream];
  assign event_take = event_valid && pass_room && !(skips && again);
  always_ff @(posedge clk) begin
    if (search_valid && search_ready) tasks[search.stream] <= search;
    if (cardinality_valid) cardinality[cardinality_stream] <= cardinality_in;
    if (event_take) begin
      symbols[event_stream] <= symbol_now;
      bits[event_stream] <= bit_next;
    end
    if (event_take && skips) again_stream <= event_stream;
    again <= (event_take && skips || again && probe_valid) && !rst;
  end
  wire [TASK_T_BITS-1:0] next_task = tasks[event_stream];
  task_t next_work;
  assign next_work = next_task;
  assign next.probe = !is_last;
  assign next.weigh = 1'b1;
  assign next.leaf = is_last && next_work.step.flag;
  assign next.given = 1'b1;
  assign next.symbol = is_last ? symbol_now : candidate;
  assign next.work = next_work;
  logic [PASS_T_BITS-1:0] pass_out;
  assign pass = pass_out;
  pc_fifo #(.WIDTH(PASS_T_BITS), .DEPTH(3)) passes (
      .clk(clk), .rst(rst), .in_valid(event_take && !skips), .in_ready(pass_room), .in(next),
      .out_valid(asks), .out_ready(takes), .out(pass_out));
  assign found = event_valid && pass_room && is_last;  // event_take, for a last pass is never skipped
  assign found_stream = event_stream;
  assign found_variable = next_work.step.variable;
  assign found_symbol = symbol_now;
endmodule
