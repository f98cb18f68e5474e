// pc_range_encoder: the range coders of STREAMS lanes, which share one pc_range_narrow and with it one multiplier. Their
// states lie in two memories of STREAMS places. Carries are pc_carry's.
//
// Ports    in_valid, in_ready, in_stream; in_start, in_end: the interval of 2^P; or in_flush: the lane ends, its last
//          digit leaves, and the stream begins anew, as after a reset.
//          out_valid, out_stream, out_flush: the operation is done; out_count, out_carry, out_bytes: pc_range_narrow's.
//          With AHEAD in_stream comes a cycle before all else of an operation, and out_valid of its last one before that.
// Latency  7. Initiation interval 2. A stream's next operation must come when the last one is out, at the earliest in the
//          cycle after (asserted): a step in flight a stream keeps that by itself.
module pc_range_encoder #(
    parameter  int SCALE_BITS  = 24,
    parameter  int STREAMS     = 8,
    parameter  int PART_BITS   = 18,
    parameter  bit SHARED      = 0,
    parameter  bit AHEAD       = 0,
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
    output logic                   out_valid,
    output logic [STREAM_BITS-1:0] out_stream,
    output logic                   out_flush,
    output logic [            1:0] out_count,
    output logic                   out_carry,
    output logic [ SCALE_BITS-1:0] out_bytes,
    output logic                   ask,
    output logic [ SCALE_BITS-1:0] ask_first,
    output logic [   SCALE_BITS:0] ask_second,
    input  logic [ 2*SCALE_BITS:0] product
);
  localparam int B = 2 * SCALE_BITS;

  logic [B-1:0] range_of[STREAMS];
  logic [B:0] low_of[STREAMS];
  logic [STREAMS-1:0] fresh;  // the stream is at the beginning of a lane
  logic [B-1:0] new_range;
  logic [B:0] new_low;

  // the stream's state, of a stream that is known a cycle ahead from a register
  logic [STREAM_BITS-1:0] at_stream;
  logic [B-1:0] found_range, at_range;
  logic [B:0] found_low, at_low;
  assign found_range = fresh[in_stream] ? '1 : range_of[in_stream];
  assign found_low = fresh[in_stream] ? '0 : low_of[in_stream];
  if (AHEAD) begin : g_ahead
    always_ff @(posedge clk) begin
      at_stream <= in_stream;
      at_range <= found_range;
      at_low <= found_low;
    end
  end else begin : g_now
    assign at_stream = in_stream;
    assign at_range = found_range;
    assign at_low = found_low;
  end

  pc_range_narrow #(
      .SCALE_BITS(SCALE_BITS),
      .PART_BITS (PART_BITS),
      .TAG_BITS  (STREAM_BITS),
      .SHARED    (SHARED)
  ) step (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in_ready(in_ready),
      .in_tag(at_stream),
      .in_low(at_low),
      .in_range(at_range),
      .in_start(in_start),
      .in_end(in_end),
      .in_flush(in_flush),
      .out_valid(out_valid),
      .out_tag(out_stream),
      .out_low(new_low),
      .out_range(new_range),
      .out_flush(out_flush),
      .out_count(out_count),
      .out_carry(out_carry),
      .out_bytes(out_bytes),
      .ask(ask),
      .ask_first(ask_first),
      .ask_second(ask_second),
      .product(product)
  );
  always_ff @(posedge clk) begin
    if (out_valid) begin
      range_of[out_stream] <= new_range;
      low_of[out_stream] <= new_low;
      fresh[out_stream] <= out_flush;
    end
    if (rst) fresh <= '1;
  end

`ifndef SYNTHESIS
  logic [STREAMS-1:0] busy;
  wire take = in_valid && in_ready;
  always_ff @(posedge clk) begin
    if (out_valid) busy[out_stream] <= 1'b0;
    if (take) busy[at_stream] <= 1'b1;
    if (rst) busy <= '0;
  end
  wire known = 32'(at_stream) < STREAMS;
  // with SHARED the end comes a cycle after the start
  logic narrows_1;
  logic [SCALE_BITS:0] start_1;
  always_ff @(posedge clk) begin
    narrows_1 <= take && !in_flush && !rst;
    start_1 <= in_start;
  end
  wire [SCALE_BITS:0] start = SHARED ? start_1 : in_start;
  wire right = (SHARED ? !narrows_1 : !take || in_flush) || (start < in_end && in_end <= {1'b1, {SCALE_BITS{1'b0}}});
  // docs/arithmetic.md, Range coder, 1 and 2
  wire enough = new_range[B-1:B-8] != '0;
  wire bounded = {1'b0, new_low} + {2'b0, new_range} < {2'b10, {B{1'b0}}};
`ifdef FORMAL
  logic begun;
  initial begun = 1'b0;
  always_ff @(posedge clk) begin
    begun <= begun || rst;
    if (!begun) assume (rst);
    else if (!rst) begin
      assume (!take || (known && !busy[at_stream]));
      assume (right);
      assert (!out_valid || out_flush || (enough && bounded));
      for (int s = 0; s < STREAMS; s = s + 1)
        assert (fresh[s] || (range_of[s][B-1:B-8] != '0 &&
                {1'b0, low_of[s]} + {2'b0, range_of[s]} < {2'b10, {B{1'b0}}}));
    end
  end
`else
  always_ff @(posedge clk)
    if (!rst) begin
      assert (!take || (known && !busy[at_stream]));
      assert (right);
      assert (!out_valid || out_flush || (enough && bounded));
    end
`endif
`endif
endmodule
