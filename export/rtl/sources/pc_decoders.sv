// pc_decoders: bytes of lanes come in, positions are compared with bounds, and intervals taken out of the ranges of all
// streams (docs/rtl.md, Coding).
//
// Ports    start, decodes: a job begins, it decodes; opens: streams that have records; checks: lanes must be an encoder's.
//          lane_ends: a stream's last symbol is coded. early_*: of whom an interval comes in the next cycle. interval_*: of a symbol that is tried, the highest one with top, with SHARED_PRODUCT the end a cycle later. others_ask: another one asks for a product in this cycle.
//          tried_*: where the symbol lies. coded_valid, coded_stream: an interval is taken. ready: the stream may begin a
//          record; room: it may code a symbol. in_*: bytes of lanes, a word each. ask_*, product: pc_range_locate's.
`include "pc_types.svh"
module pc_decoders #(
    localparam int P = PC_SCALE_BITS,
    localparam int BYTES = P / 8
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic decodes,
    input logic [PC_STREAMS-1:0] opens,
    input logic checks,
    input logic [PC_STREAMS-1:0] lane_ends,
    input logic interval_valid,
    input logic interval_top,
    input logic early_valid,
    input logic [PC_STREAM_BITS-1:0] early_stream,
    input logic [P:0] interval_start,
    input logic [P:0] interval_end,
    input logic others_ask,
    output logic tried_valid,
    output logic [PC_STREAM_BITS-1:0] tried_stream,
    output logic tried_below,
    output logic tried_above,
    output logic coded_valid,
    output logic [PC_STREAM_BITS-1:0] coded_stream,
    output logic [PC_STREAMS-1:0] ready,
    output logic [PC_STREAMS-1:0] room,
    input logic [PC_STREAMS-1:0] in_valid,
    output logic [PC_STREAMS-1:0] in_ready,
    input logic [PC_STREAMS*32-1:0] in_data,
    input logic [PC_STREAMS-1:0] in_last,
    output logic bad_lane,
    output logic idle,
    output logic ask,
    output logic [P-1:0] ask_first,
    output logic [P:0] ask_second,
    input logic [2*P:0] product
);
  // ---- a window of the bytes that are next
  logic [PC_STREAMS*P-1:0] window;
  logic [PC_STREAMS*2-1:0] have;
  logic [PC_STREAMS-1:0] begun, ended, loaded_once, loaded, loading, draining;
  logic [PC_STREAMS-1:0] whole;  // the window is full, or all that comes is zeros
  logic [PC_STREAMS*4-1:0] beyond;  // zeros that were taken behind the lane's end
  always_comb
    for (int s = 0; s < PC_STREAMS; s = s + 1) whole[s] = have[2*s+:2] == 2'(BYTES) || ended[s];
  logic load, load_some, load_next, load_waits;
  logic [PC_STREAMS-1:0] load_chosen, loadable;
  always_ff @(posedge clk) loadable <= rst || start ? '0 : begun & ~loaded & ~loading & whole;
  logic [PC_STREAM_BITS-1:0] load_stream;
  pc_pick #(.COUNT(PC_STREAMS)) load_pick (
      .clk(clk), .rst(rst), .ask(loadable & ~loading & ~load_now), .take(load_next), .some(load_some),
      .chosen(load_chosen), .place(load_stream));
  logic locate_ready;
  // a load goes where no interval does, and asks for no product; its stream is said a cycle ahead, as an interval's is
  logic [PC_STREAMS-1:0] load_now;
  wire [PC_STREAM_BITS-1:0] at_stream = early_valid ? early_stream : load_stream;
  logic [P-1:0] found_bytes, next_bytes;
  always_comb begin
    found_bytes = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (PC_STREAM_BITS'(s) == at_stream) found_bytes = window[s*P+:P];
  end
  assign load_next = load_some && !early_valid;
  always_ff @(posedge clk) begin
    next_bytes <= found_bytes;
    load_waits <= load_next && !rst && !start;
    load_now <= load_next && !rst && !start ? load_chosen : '0;
  end
  assign load = load_waits && locate_ready && !others_ask;
  logic took, took_left;
  logic [PC_STREAM_BITS-1:0] took_stream;
  logic [1:0] took_used;
  logic probe_valid_unused, probe_unused;
  logic [PC_STREAM_BITS-1:0] probe_stream_unused;
  logic [P-1:0] read_unit_unused;
  logic [2*P-1:0] read_offset_unused;
  pc_range_decoder #(
      .SCALE_BITS(PC_SCALE_BITS), .STREAMS(PC_STREAMS), .SHARED(SHARED_PRODUCT != 0), .AHEAD(1)) decoder (
      .clk(clk), .rst(rst || start), .in_valid(interval_valid || load), .in_ready(locate_ready), .in_stream(at_stream),
      .in_operation({1'b1, interval_valid}), .in_top(interval_top), .in_start(interval_start),
      .in_end(interval_end), .in_bytes(next_bytes), .in_hold(1'b1), .probe_valid(probe_valid_unused),
      .probe_stream(probe_stream_unused), .probe_reached(probe_unused), .tried_valid(tried_valid),
      .tried_below(tried_below), .tried_above(tried_above), .out_valid(took), .out_stream(took_stream),
      .out_used(took_used), .out_left(took_left), .read_stream('0), .read_unit(read_unit_unused),
      .read_offset(read_offset_unused), .ask(ask), .ask_first(ask_first), .ask_second(ask_second), .product(product));
  assign tried_stream = took_stream;
  logic took_symbol;
  always_comb begin
    took_symbol = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      in_ready[s] = draining[s] || (begun[s] && !ended[s] && have[2*s+:2] != 2'(BYTES));
      if (PC_STREAM_BITS'(s) == took_stream) took_symbol = took && loaded[s];
    end
  end
  assign coded_valid = took_symbol;
  assign coded_stream = took_stream;
  always_ff @(posedge clk) begin
    bad_lane <= start ? 1'b0 : bad_lane;
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (in_valid[s] && in_ready[s]) begin
        if (in_last[s]) begin
          ended[s] <= 1'b1;
          draining[s] <= 1'b0;
        end
        if (!draining[s]) begin
          window[s*P+:P] <= window[s*P+:P] | P'(in_data[32*s+:8]) << (P - 8 - 8 * 32'(have[2*s+:2]));
          have[2*s+:2] <= have[2*s+:2] + 1'b1;
        end
      end
      if (load && load_now[s]) loading[s] <= 1'b1;
      if (took && PC_STREAM_BITS'(s) == took_stream) begin
        window[s*P+:P] <= window[s*P+:P] << {took_used, 3'd0};
        if (took_used > have[2*s+:2]) begin
          have[2*s+:2] <= '0;
          if (beyond[4*s+:4] < 4'd12) beyond[4*s+:4] <= beyond[4*s+:4] + 4'(took_used - have[2*s+:2]);
        end else have[2*s+:2] <= have[2*s+:2] - took_used;
        if (!loaded[s]) begin
          loading[s] <= 1'b0;
          loaded_once[s] <= 1'b1;
          loaded[s] <= loaded_once[s];
        end else if (took_left && checks) bad_lane <= 1'b1;
      end
      if (lane_ends[s]) begin
        begun[s] <= 1'b0;
        draining[s] <= !ended[s];
        // an encoder leaves out the zeros that its reader sees behind the end: all bytes of the range but one
        if (checks && (!ended[s] || have[2*s+:2] != '0 || beyond[4*s+:4] != 4'(2 * BYTES - 1))) bad_lane <= 1'b1;
      end
      if (start) begin
        begun[s] <= opens[s] && decodes;
        window[s*P+:P] <= '0;
      end
    end
    if (rst || start) begin
      have <= '0;
      ended <= '0;
      loaded_once <= '0;
      loaded <= '0;
      loading <= '0;
      draining <= '0;
      beyond <= '0;
    end
    if (rst) begin
      begun <= '0;
      bad_lane <= 1'b0;
    end
  end
  assign ready = loaded;
  assign room = whole;
  assign idle = begun == '0 && draining == '0;
endmodule
