// pc_encoders: intervals narrow the ranges of all streams, and digits leave as bytes of lanes (docs/rtl.md, Coding).
//
// A stream's digits wait in a place of their own until its output has room, so a stream that is not read holds no other.
//
// Ports    start, encodes: a job begins, it encodes; opens: streams that have records. lane_ends: a stream's last symbol is
//          coded. early_*: of whom a symbol's interval comes in the next cycle. interval_*: it, with SHARED_PRODUCT
//          the end a cycle later. others_ask: another one asks for a
//          product in this cycle. coded_valid, coded_stream: a symbol's digits are on their way. out_*: bytes of lanes.
//          idle: all lanes are out. ask_*, product: pc_range_narrow's.
`include "pc_types.svh"
module pc_encoders #(
    localparam int P = PC_SCALE_BITS
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic encodes,
    input logic [PC_STREAMS-1:0] opens,
    input logic [PC_STREAMS-1:0] lane_ends,
    input logic interval_valid,
    input logic early_valid,
    input logic [PC_STREAM_BITS-1:0] early_stream,
    input logic [P:0] interval_start,
    input logic [P:0] interval_end,
    input logic others_ask,
    output logic coded_valid,
    output logic [PC_STREAM_BITS-1:0] coded_stream,
    output logic [PC_STREAMS-1:0] out_valid,
    input logic [PC_STREAMS-1:0] out_ready,
    output logic [PC_STREAMS*8-1:0] out_data,
    output logic [PC_STREAMS-1:0] out_last,
    output logic idle,
    output logic ask,
    output logic [P-1:0] ask_first,
    output logic [P:0] ask_second,
    input logic [2*P:0] product
);
  // ---- ranges: a flush goes where no interval does, and asks for no product
  logic [PC_STREAMS-1:0] flushes, digits, open_lanes, flush_chosen;
  logic flush, flush_held, flush_waits, narrow_ready;
  logic [PC_STREAM_BITS-1:0] flush_stream;
  pc_pick_held #(.COUNT(PC_STREAMS)) flush_pick (
      .clk(clk), .rst(rst), .clear(start), .ask(flushes), .go(flush), .held(flush_held), .chosen(flush_chosen),
      .place(flush_stream));
  // its stream is said a cycle ahead, as an interval's is; where it meets another's product then, it is said again
  always_ff @(posedge clk) flush_waits <= flush_held && !flush && !early_valid && !rst && !start;
  assign flush = flush_waits && narrow_ready && !others_ask;
  logic moved, moved_flush, moved_carry;
  logic [PC_STREAM_BITS-1:0] moved_stream;
  logic [1:0] moved_count;
  logic [P-1:0] moved_bytes;
  pc_range_encoder #(
      .SCALE_BITS(PC_SCALE_BITS), .STREAMS(PC_STREAMS), .SHARED(SHARED_PRODUCT != 0), .AHEAD(1)) encoder (
      .clk(clk), .rst(rst || start), .in_valid(interval_valid || flush), .in_ready(narrow_ready),
      .in_stream(early_valid ? early_stream : flush_stream), .in_flush(!interval_valid),
      .in_start(interval_start), .in_end(interval_end), .out_valid(moved), .out_stream(moved_stream),
      .out_flush(moved_flush), .out_count(moved_count), .out_carry(moved_carry), .out_bytes(moved_bytes), .ask(ask),
      .ask_first(ask_first), .ask_second(ask_second), .product(product));

  // ---- a stream's digits wait for room at its output
  localparam int DIGIT_BITS = 4 + P;
  logic [DIGIT_BITS-1:0] waiting[PC_STREAMS];
  always_ff @(posedge clk) if (moved) waiting[moved_stream] <= {moved_flush, moved_carry, moved_count, moved_bytes};
  logic carry_ready, carry_held, carry_take;
  logic [PC_STREAM_BITS-1:0] carry_stream;
  logic [PC_STREAMS-1:0] out_room, carry_chosen;
  pc_pick_held #(.COUNT(PC_STREAMS)) carry_pick (
      .clk(clk), .rst(rst), .clear(start), .ask(digits & out_room), .go(carry_take), .held(carry_held),
      .chosen(carry_chosen), .place(carry_stream));
  // one operation stands before pc_carry, a byte or two behind it
  logic front_valid, front_flush, front_carry;
  logic [PC_STREAM_BITS-1:0] front_stream;
  logic [1:0] front_count;
  logic [P-1:0] front_bytes;
  assign carry_take = carry_held && !front_valid;
  always_ff @(posedge clk) begin
    if (carry_take || carry_ready) front_valid <= carry_take;
    if (carry_take) begin
      {front_flush, front_carry, front_count, front_bytes} <= waiting[carry_stream];
      front_stream <= carry_stream;
    end
    if (rst || start) front_valid <= 1'b0;
  end
  logic back_valid, back_ready, back_last, byte_valid, byte_ready, byte_last;
  logic [PC_STREAM_BITS-1:0] back_stream, byte_stream;
  logic [7:0] back_out, byte_out;
  pc_carry #(.SCALE_BITS(PC_SCALE_BITS), .STREAMS(PC_STREAMS)) carries (
      .clk(clk), .rst(rst || start), .in_valid(front_valid), .in_ready(carry_ready), .in_stream(front_stream),
      .in_flush(front_flush), .in_count(front_count), .in_carry(front_carry), .in_bytes(front_bytes),
      .out_valid(back_valid), .out_ready(back_ready), .out_stream(back_stream), .out_byte(back_out),
      .out_last(back_last));
  pc_fifo #(.WIDTH(PC_STREAM_BITS + 9), .DEPTH(2)) back (
      .clk(clk), .rst(rst || start), .in_valid(back_valid), .in_ready(back_ready),
      .in({back_stream, back_last, back_out}), .out_valid(byte_valid), .out_ready(byte_ready),
      .out({byte_stream, byte_last, byte_out}));
  logic [PC_STREAMS-1:0] byte_readies;
  for (genvar s = 0; s < PC_STREAMS; ++s) begin : g_bytes
    logic byte_in;
    assign byte_in = byte_valid && byte_stream == PC_STREAM_BITS'(s);
    pc_fifo #(.WIDTH(9), .DEPTH(9)) bytes (
        .clk(clk), .rst(rst || start), .in_valid(byte_in), .in_ready(byte_readies[s]), .in({byte_last, byte_out}),
        .out_valid(out_valid[s]), .out_ready(out_ready[s]), .out({out_last[s], out_data[8*s+:8]}));
    // room for a symbol's digits and the one that waits; a long run waits byte by byte
    logic [3:0] bytes_there;
    always_ff @(posedge clk)
      bytes_there <= rst || start ? '0
          : bytes_there + 4'(byte_in && byte_readies[s]) - 4'(out_valid[s] && out_ready[s]);
    assign out_room[s] = bytes_there < 4'd4;
  end
  always_comb begin
    byte_ready = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (PC_STREAM_BITS'(s) == byte_stream) byte_ready = byte_readies[s];
  end

  // ---- what is under way
  assign coded_valid = carry_take;
  assign coded_stream = carry_stream;
  always_ff @(posedge clk) begin
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (carry_take && carry_chosen[s]) digits[s] <= 1'b0;
      if (moved && PC_STREAM_BITS'(s) == moved_stream) digits[s] <= 1'b1;
      if (lane_ends[s]) flushes[s] <= 1'b1;
      if (flush && flush_chosen[s]) flushes[s] <= 1'b0;
      if (out_valid[s] && out_ready[s] && out_last[s]) open_lanes[s] <= 1'b0;
      if (start) open_lanes[s] <= encodes && opens[s];
    end
    if (rst || start) begin
      digits  <= '0;
      flushes <= '0;
    end
    if (rst) open_lanes <= '0;
  end
  assign idle = open_lanes == '0;
endmodule
