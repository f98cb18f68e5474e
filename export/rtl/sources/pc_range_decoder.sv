// pc_range_decoder: the range decoders of STREAMS lanes, which share one pc_range_locate and with it one multiplier.
// Their states lie in two memories of STREAMS places.
//
// Ports    in_valid, in_ready, in_stream, in_operation (PROBE 0, TAKE 1, LOAD 2, TRY 3), in_start, in_end, in_bytes, in_hold,
//          in_top;
//          probe_valid, probe_stream, probe_reached; out_valid, out_stream, out_used, out_left, out_offset,
//          out_range; tried_valid, tried_below, tried_above, of out_stream too: pc_range_locate's.
//          read_stream; read_unit, read_offset: a stream's state, in the same cycle, for pc_probe.
//          With AHEAD in_stream comes a cycle before all else of an operation, and out_valid of its last one before that.
// Latency  a probe's 6, else 9. Initiation interval 1, of TAKE and TRY 2. After a TAKE, TRY or LOAD a stream's next operation must
//          come when that is out, at the earliest in the cycle after (asserted); its bytes are taken then.
module pc_range_decoder #(
    parameter  int SCALE_BITS  = 24,
    parameter  int STREAMS     = 8,
    parameter  int PART_BITS   = 18,
    parameter  bit SHARED      = 0,
    parameter  bit AHEAD       = 0,
    localparam int STREAM_BITS = STREAMS > 1 ? $clog2(STREAMS) : 1
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    in_valid,
    output logic                    in_ready,
    input  logic [ STREAM_BITS-1:0] in_stream,
    input  logic [             1:0] in_operation,
    input  logic [    SCALE_BITS:0] in_start,
    input  logic [    SCALE_BITS:0] in_end,
    input  logic [  SCALE_BITS-1:0] in_bytes,
    input  logic                    in_hold,
    input  logic                    in_top,
    output logic                    probe_valid,
    output logic [ STREAM_BITS-1:0] probe_stream,
    output logic                    probe_reached,
    output logic                    out_valid,
    output logic [ STREAM_BITS-1:0] out_stream,
    output logic [             1:0] out_used,
    output logic                    out_left,
    output logic                    tried_valid,
    output logic                    tried_below,
    output logic                    tried_above,
    output logic [2*SCALE_BITS-1:0] out_offset,
    output logic [2*SCALE_BITS-1:0] out_range,
    input  logic [ STREAM_BITS-1:0] read_stream,
    output logic [  SCALE_BITS-1:0] read_unit,
    output logic [2*SCALE_BITS-1:0] read_offset,
    output logic                   ask,
    output logic [ SCALE_BITS-1:0] ask_first,
    output logic [   SCALE_BITS:0] ask_second,
    input  logic [ 2*SCALE_BITS:0] product
);
  localparam int B = 2 * SCALE_BITS;
  logic [B-1:0] range_of[STREAMS];
  logic [B-1:0] offset_of[STREAMS];
  logic [B-1:0] new_range, new_offset;

  // the stream's state, of a stream that is known a cycle ahead from a register
  logic [STREAM_BITS-1:0] at_stream;
  logic [B-1:0] found_range, at_range;
  logic [B-1:0] found_offset, at_offset;
  assign found_range = range_of[in_stream];
  assign found_offset = offset_of[in_stream];
  if (AHEAD) begin : g_ahead
    always_ff @(posedge clk) begin
      at_stream <= in_stream;
      at_range <= found_range;
      at_offset <= found_offset;
    end
  end else begin : g_now
    assign at_stream = in_stream;
    assign at_range = found_range;
    assign at_offset = found_offset;
  end

  pc_range_locate #(
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
      .in_operation(in_operation),
      .in_offset(at_offset),
      .in_range(at_range),
      .in_start(in_start),
      .in_end(in_end),
      .in_bytes(in_bytes),
      .in_hold(in_hold),
      .in_top(in_top),
      .probe_valid(probe_valid),
      .probe_tag(probe_stream),
      .probe_reached(probe_reached),
      .out_valid(out_valid),
      .out_tag(out_stream),
      .out_offset(new_offset),
      .out_range(new_range),
      .out_used(out_used),
      .out_left(out_left),
      .tried_valid(tried_valid),
      .tried_below(tried_below),
      .tried_above(tried_above),
      .ask(ask),
      .ask_first(ask_first),
      .ask_second(ask_second),
      .product(product)
  );
  always_ff @(posedge clk)
    if (out_valid) begin
      range_of[out_stream] <= new_range;
      offset_of[out_stream] <= new_offset;
    end
  assign out_offset = new_offset;
  assign out_range = new_range;
  assign read_unit = range_of[read_stream][B-1-:SCALE_BITS];
  assign read_offset = offset_of[read_stream];

`ifndef SYNTHESIS
  logic [STREAMS-1:0] busy;
  wire take = in_valid && in_ready;
  always_ff @(posedge clk) begin
    if (out_valid || tried_valid) busy[out_stream] <= 1'b0;
    if (take && in_operation != 2'd0) busy[at_stream] <= 1'b1;
    if (rst) busy <= '0;
    else begin
      assert (!take || !busy[at_stream]);
    end
  end
`endif
endmodule
