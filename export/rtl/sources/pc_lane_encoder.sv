// pc_lane_encoder: the bytes of STREAMS lanes out of their symbols' intervals (docs/stream.md, Lane): pc_range_encoder, a
// queue, pc_carry.
//
// Ports    in_valid, in_ready, in_stream; in_start, in_end: the interval of 2^P; or in_flush: the lane ends. in_ready waits
//          until the stream's last operation is done and there is room for its digits; it depends on in_stream.
//          done_valid, done_stream: an operation has left the coder, so that the stream's next one may come.
//          out_valid, out_ready, out_stream, out_byte, out_last: a byte of a lane, the last of it.
// Latency  7 to done_valid, 10 to the first byte where nothing waits. Initiation interval 2, while a symbol has few
//          digits: pc_carry takes a cycle for a symbol that has some and one for each.
module pc_lane_encoder #(
    parameter  int SCALE_BITS  = 24,
    parameter  int STREAMS     = 8,
    parameter  int DEPTH       = 16,
    parameter  int PART_BITS   = 18,
    localparam int STREAM_BITS = STREAMS > 1 ? $clog2(STREAMS) : 1
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  logic [STREAM_BITS-1:0] in_stream,
    input  logic                   in_flush,
    input  logic [   SCALE_BITS:0] in_start,
    input  logic [   SCALE_BITS:0] in_end,
    output logic                   done_valid,
    output logic [STREAM_BITS-1:0] done_stream,
    output logic                   out_valid,
    input  logic                   out_ready,
    output logic [STREAM_BITS-1:0] out_stream,
    output logic [            7:0] out_byte,
    output logic                   out_last
);
  localparam int DIGIT_BITS = STREAM_BITS + 4 + SCALE_BITS;
  localparam int COUNT_BITS = $clog2(DEPTH + 1);

  logic [STREAMS-1:0] busy;
  logic [COUNT_BITS-1:0] under_way;  // operations that have, or may get, a place in the queue
  logic step_ready, flush, carry, room, digits_valid, digits_ready;
  logic [1:0] count;
  logic [SCALE_BITS-1:0] bytes;
  logic [DIGIT_BITS-1:0] digits;

  logic ask_unused;
  logic [SCALE_BITS-1:0] first_unused;
  logic [SCALE_BITS:0] second_unused;
  wire open = under_way != COUNT_BITS'(DEPTH) && !busy[in_stream];
  assign in_ready = step_ready && open;
  wire take = in_valid && in_ready;
  wire some = done_valid && count != '0;
  wire leaves = digits_valid && digits_ready;
  wire none = done_valid && count == '0;

  pc_range_encoder #(
      .SCALE_BITS(SCALE_BITS),
      .STREAMS(STREAMS),
      .PART_BITS(PART_BITS)
  ) coder (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid && open),
      .in_ready(step_ready),
      .in_stream(in_stream),
      .in_flush(in_flush),
      .in_start(in_start),
      .in_end(in_end),
      .out_valid(done_valid),
      .out_stream(done_stream),
      .out_flush(flush),
      .out_count(count),
      .out_carry(carry),
      .out_bytes(bytes),
      .ask(ask_unused),
      .ask_first(first_unused),
      .ask_second(second_unused),
      .product('0)
  );
  pc_fifo #(
      .WIDTH(DIGIT_BITS),
      .DEPTH(DEPTH)
  ) queue (
      .clk(clk),
      .rst(rst),
      .in_valid(some),
      .in_ready(room),
      .in({done_stream, flush, count, carry, bytes}),
      .out_valid(digits_valid),
      .out_ready(digits_ready),
      .out(digits)
  );
  pc_carry #(
      .SCALE_BITS(SCALE_BITS),
      .STREAMS(STREAMS)
  ) carries (
      .clk(clk),
      .rst(rst),
      .in_valid(digits_valid),
      .in_ready(digits_ready),
      .in_stream(digits[DIGIT_BITS-1-:STREAM_BITS]),
      .in_flush(digits[SCALE_BITS+3]),
      .in_count(digits[SCALE_BITS+2:SCALE_BITS+1]),
      .in_carry(digits[SCALE_BITS]),
      .in_bytes(digits[SCALE_BITS-1:0]),
      .out_valid(out_valid),
      .out_ready(out_ready),
      .out_stream(out_stream),
      .out_byte(out_byte),
      .out_last(out_last)
  );
  always_ff @(posedge clk) begin
    under_way <= under_way + COUNT_BITS'(take) - COUNT_BITS'(leaves) - COUNT_BITS'(none);
    if (done_valid) busy[done_stream] <= 1'b0;
    if (take) busy[in_stream] <= 1'b1;
    if (rst) begin
      busy <= '0;
      under_way <= '0;
    end
  end
`ifndef SYNTHESIS
  always_ff @(posedge clk) if (!rst) assert (!some || room);
`else
  wire unused = &{1'b0, room, ask_unused, first_unused, second_unused};
`endif
endmodule
