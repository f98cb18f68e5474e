// pc_search: a decoder's search for its symbols (docs/rtl.md, Coding). A try is a pass through the tables as an encoder has
// one, for the symbol's interval and for its counts. Where the position lies beside the interval, the symbol lies on that
// side, and the middle of what is left is tried next; the first try is the variable's own.
//
// Every try writes its counts over those of the one before, so the next one, and the stream's next step, wait until they
// are written; that takes less than the interval does, unless the port is held for long.
//
// Ports    search_*: an INTERVAL that a decoder begins. asks, takes, pass: a pass through the tables. weighed_*: of which
//          symbol a pass was, and of how many. tried_*: where the symbol lies. written_*: a stream's counts are written.
//          searching: streams whose symbol is not found. found_*: a symbol.
`include "pc_types.svh"
module pc_search (
    input logic clk,
    input logic rst,
    input logic search_valid,
    output logic search_ready,
    input task_t search,
    output logic asks,
    input logic takes,
    output pass_t pass,
    input logic weighed_valid,
    input logic [PC_STREAM_BITS-1:0] weighed_stream,
    input logic [SYMBOL_BITS-1:0] weighed_symbol,
    input logic [SYMBOL_BITS:0] weighed_cardinality,
    input logic tried_valid,
    input logic [PC_STREAM_BITS-1:0] tried_stream,
    input logic tried_below,
    input logic tried_above,
    input logic written_valid,
    input logic [PC_STREAM_BITS-1:0] written_stream,
    output logic [PC_STREAMS-1:0] searching,
    output logic found,
    output logic [PC_STREAM_BITS-1:0] found_stream,
    output logic [VARIABLE_BITS-1:0] found_variable,
    output logic [SYMBOL_BITS-1:0] found_symbol
);
  // ---- events, at most one a stream
  logic [TASK_T_BITS-1:0] tasks[PC_STREAMS];
  logic [SYMBOL_BITS-1:0] tried[PC_STREAMS];
  logic [SYMBOL_BITS:0] symbols[PC_STREAMS];
  // symbols that are left: from the first one on, to the end, which is the alphabet's unless it is closed
  logic [SYMBOL_BITS-1:0] firsts[PC_STREAMS];
  logic [SYMBOL_BITS+1:0] ends[PC_STREAMS];
  logic event_valid, event_begins, event_below, event_above, event_take, event_ready_unused;
  logic [PC_STREAM_BITS-1:0] event_stream;
  assign search_ready = !tried_valid;
  pc_fifo #(.WIDTH(PC_STREAM_BITS + 3), .DEPTH(PC_STREAMS + 2)) events (
      .clk(clk), .rst(rst), .in_valid(tried_valid || search_valid), .in_ready(event_ready_unused),
      .in({!tried_valid, tried_valid && tried_below, tried_valid && tried_above,
           tried_valid ? tried_stream : search.stream}),
      .out_valid(event_valid), .out_ready(event_take), .out({event_begins, event_below, event_above, event_stream}));

  // ---- one is at work: what is left of the symbols, and their middle
  logic at_valid, at_begins, at_below, at_above, at_leaves, at_closed;
  logic [PC_STREAM_BITS-1:0] at_stream;
  logic [SYMBOL_BITS-1:0] at_first, at_tried;
  logic [SYMBOL_BITS:0] at_end, at_symbols;
  logic [PC_STREAMS-1:0] pending;  // counts are not written
  logic pass_room, at_pending;
  wire at_found = !at_begins && !at_below && !at_above;
  wire [SYMBOL_BITS:0] end_now = at_closed ? at_end : at_symbols;
  wire [SYMBOL_BITS+1:0] twice = at_above
      ? (SYMBOL_BITS + 2)'(at_tried) + (SYMBOL_BITS + 2)'(end_now) + 1'b1
      : (SYMBOL_BITS + 2)'(at_first) + (SYMBOL_BITS + 2)'(at_tried);
  always_comb begin
    at_pending = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (PC_STREAM_BITS'(s) == at_stream) at_pending = pending[s];
  end
  assign at_leaves = at_valid && !at_pending && (at_found || pass_room);
  assign event_take = event_valid && (!at_valid || at_leaves);
  wire [TASK_T_BITS-1:0] at_task = tasks[at_stream];
  task_t at_work;
  assign at_work = at_task;
  always_ff @(posedge clk) begin
    if (search_valid && search_ready) tasks[search.stream] <= search;
    if (weighed_valid) begin
      tried[weighed_stream] <= weighed_symbol;
      symbols[weighed_stream] <= weighed_cardinality;
    end
    if (event_take || at_leaves) at_valid <= event_take;
    if (event_take) begin
      {at_begins, at_below, at_above, at_stream} <= {event_begins, event_below, event_above, event_stream};
      at_tried <= tried[event_stream];
      at_symbols <= symbols[event_stream];
      at_first <= firsts[event_stream];
      {at_closed, at_end} <= ends[event_stream];
    end
    if (at_leaves) begin
      firsts[at_stream] <= at_begins ? '0 : at_above ? at_tried + 1'b1 : at_first;
      ends[at_stream] <= at_begins ? '0 : at_below ? {1'b1, 1'b0, at_tried} : {at_closed, at_end};
    end
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (written_valid && PC_STREAM_BITS'(s) == written_stream) pending[s] <= 1'b0;
      if (at_leaves && PC_STREAM_BITS'(s) == at_stream) begin
        if (at_found) searching[s] <= 1'b0;
        else pending[s] <= at_work.step.flag;
      end
      if (search_valid && search_ready && PC_STREAM_BITS'(s) == search.stream) searching[s] <= 1'b1;
    end
    if (rst) begin
      at_valid <= 1'b0;
      pending <= '0;
      searching <= '0;
    end
  end
  pass_t next;
  assign next.weigh = 1'b1;
  assign next.leaf = at_work.step.flag;
  assign next.given = 1'b1;
  assign next.opens = at_begins;
  assign next.symbol = SYMBOL_BITS'(twice >> 1);
  assign next.work = at_work;
  logic [PASS_T_BITS-1:0] pass_out;
  assign pass = pass_out;
  pc_fifo #(.WIDTH(PASS_T_BITS), .DEPTH(3)) passes (
      .clk(clk), .rst(rst), .in_valid(at_leaves && !at_found), .in_ready(pass_room), .in(next),
      .out_valid(asks), .out_ready(takes), .out(pass_out));
  assign found = at_leaves && at_found;
  assign found_stream = at_stream;
  assign found_variable = at_work.step.variable;
  assign found_symbol = at_tried;
endmodule
