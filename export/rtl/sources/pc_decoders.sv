// pc_decoders: bytes of lanes come in, positions are compared with bounds, and intervals taken out of the ranges of all
// streams (docs/rtl.md, Coding).
//
// Ports    start, decodes: a job begins, it decodes; opens: streams that have records; checks: lanes must be an encoder's.
//          unpacks: they are packets' payloads: closes: one without bytes; sure: rule 1 says what is in it; floors: f;
//          says_*, in the place of coded_*: whether the packet holds no such symbol.
//          lane_ends: a stream's last symbol is coded. early_*: of whom an interval comes in the next cycle. interval_*: of a
//          symbol that is tried, the highest one with top, with SHARED_PRODUCT the end a cycle later. others_ask: another one asks for a product in this cycle.
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
    input logic unpacks,
    input logic [PC_STREAMS-1:0] closes,
    input logic [PC_STREAMS-1:0] sure,
    input logic [P-1:0] floors,
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
    output logic says_valid,
    output logic [PC_STREAM_BITS-1:0] says_stream,
    output logic says_over,
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
  // Moves bytes up. A choice and not a shift, for of all streams' shifts yosys makes one, with a row of selectors before it.
  function automatic logic [P-1:0] moved(input logic [P-1:0] bytes, input logic [1:0] used);
    case (used)
      2'd0: moved = bytes;
      2'd1: moved = bytes << 8;
      2'd2: moved = bytes << 16;
      default: moved = bytes << 24;
    endcase
  endfunction
  logic load, load_held, load_waits;
  logic [PC_STREAMS-1:0] load_chosen, loadable;
  always_ff @(posedge clk) loadable <= rst || start ? '0 : begun & ~loaded & ~loading & whole;
  logic [PC_STREAM_BITS-1:0] load_stream;
  pc_pick_held #(.COUNT(PC_STREAMS)) load_pick (
      .clk(clk), .rst(rst), .clear(start), .ask(loadable & ~loading), .go(load), .held(load_held), .chosen(load_chosen),
      .place(load_stream));
  logic locate_ready;
  // a load goes where no interval does, and asks for no product; its stream is said a cycle ahead, as an interval's is
  wire [PC_STREAM_BITS-1:0] at_stream = early_valid ? early_stream : load_stream;
  logic [P-1:0] found_bytes, next_bytes;
  always_comb begin
    found_bytes = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (PC_STREAM_BITS'(s) == at_stream) found_bytes = window[s*P+:P];
  end
  always_ff @(posedge clk) begin
    next_bytes <= found_bytes;
    load_waits <= load_held && !load && !early_valid && !rst && !start;
  end
  assign load = load_waits && locate_ready && !others_ask;
  logic took, took_left, out_took, out_left;
  logic [PC_STREAM_BITS-1:0] took_stream, out_stream;
  logic [1:0] took_used, out_used;
  logic probe_valid_unused, probe_unused;
  logic [PC_STREAM_BITS-1:0] probe_stream_unused;
  logic [P-1:0] take_unit;
  logic [PC_STREAM_BITS-1:0] take_stream;
  logic [2*P-1:0] read_offset_unused, took_offset, took_range, out_offset, out_range;
  pc_range_decoder #(
      .SCALE_BITS(PC_SCALE_BITS), .STREAMS(PC_STREAMS), .SHARED(SHARED_PRODUCT != 0), .AHEAD(1)) decoder (
      .clk(clk), .rst(rst || start), .in_valid(interval_valid || load), .in_ready(locate_ready), .in_stream(at_stream),
      .in_operation({1'b1, interval_valid}), .in_top(interval_top), .in_start(interval_start),
      .in_end(interval_end), .in_bytes(next_bytes), .in_hold(1'b1), .probe_valid(probe_valid_unused),
      .probe_stream(probe_stream_unused), .probe_reached(probe_unused), .tried_valid(tried_valid),
      .tried_below(tried_below), .tried_above(tried_above), .out_valid(out_took), .out_stream(out_stream),
      .out_used(out_used), .out_left(out_left), .out_offset(out_offset), .out_range(out_range),
      .read_stream(take_stream), .read_unit(take_unit),
      .read_offset(read_offset_unused), .ask(ask), .ask_first(ask_first), .ask_second(ask_second), .product(product));
  assign tried_stream = out_stream;
  // the window that moves is chosen among all streams' in the next cycle
  always_ff @(posedge clk) begin
    took <= out_took && !rst && !start;
    {took_stream, took_used, took_left} <= {out_stream, out_used, out_left};
    {took_offset, took_range} <= {out_offset, out_range};
  end
  logic took_symbol;
  always_comb begin
    took_symbol = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      in_ready[s] = draining[s] || (begun[s] && !ended[s] && have[2*s+:2] != 2'(BYTES));
      if (PC_STREAM_BITS'(s) == took_stream) took_symbol = took && loaded[s];
    end
  end
  assign coded_valid = took_symbol && !unpacks;

  // ---- what a packet holds (docs/packets.md): a symbol is in it if all that may follow lies in its interval, or if one
  // of any probability would have two cells before it
  always_ff @(posedge clk) take_stream <= at_stream;
  if (HAS_UNPACK != 0) begin : g_unpack
    logic take_1, take_2;
    logic [PC_STREAM_BITS-1:0] stream_1, stream_2;
    logic [P-1:0] unit_1;
    logic [2*P-1:0] share_2;
    logic [PC_STREAMS-1:0] had_room;
    // bits of the window that are behind the payload's end, at most all of it
    function automatic logic [5:0] open_of(input logic [3:0] bytes);
      open_of = bytes > 4'(2 * BYTES) ? 6'(16 * BYTES) : {bytes[2:0], 3'd0};
    endfunction
    // Times the floor. Where that is a number: sums of what is shifted, for yosys would take a multiplier.
    function automatic logic [2*P-1:0] share_of(input logic [P-1:0] unit);
      share_of = RELOAD != 0 ? (2 * P)'(unit) * (2 * P)'(floors) : '0;
      for (int at = 0; at < P; at = at + 1)
        if (RELOAD == 0 && ((FLOOR >> at) & 1) != 0) share_of = share_of + ((2 * P)'(unit) << at);
    endfunction
    logic took_1, left_1, inner_1, fits_2, says_2;
    logic [PC_STREAM_BITS-1:0] took_stream_1, took_stream_2;
    logic [2*P-1:0] offset_1, range_1;
    logic [3:0] beyond_1, beyond_2;
    always_comb begin
      beyond_1 = '0;
      beyond_2 = '0;
      for (int s = 0; s < PC_STREAMS; s = s + 1) begin
        if (PC_STREAM_BITS'(s) == took_stream_1) beyond_1 = beyond[4*s+:4];
        if (PC_STREAM_BITS'(s) == stream_2) beyond_2 = beyond[4*s+:4];
      end
    end
    wire [2*P:0] after = {1'b0, offset_1} + (2 * P + 1)'(~({(2 * P + 1) {1'b1}} << open_of(beyond_1)));
    always_ff @(posedge clk) begin
      take_1 <= interval_valid && !rst;
      stream_1 <= take_stream;
      unit_1 <= take_unit;
      take_2 <= take_1 && !rst;
      stream_2 <= stream_1;
      share_2 <= share_of(unit_1);
      if (take_2) had_room[stream_2] <= (share_2 >> open_of(beyond_2)) >= (2 * P)'(2);
      // what the window had of zeros behind the end before this symbol; they are shifted with it
      took_1 <= took_symbol && !rst && !start;
      left_1 <= took_left;
      inner_1 <= 1'b0;
      for (int s = 0; s < PC_STREAMS; s = s + 1)
        if (PC_STREAM_BITS'(s) == took_stream) inner_1 <= beyond[4*s+:4] == '0;
      took_stream_1 <= took_stream;
      {offset_1, range_1} <= {took_offset, took_range};
      says_2 <= took_1 && unpacks && !rst && !start;
      took_stream_2 <= took_stream_1;
      fits_2 <= !left_1 && (sure[took_stream_1] ? had_room[took_stream_1] : inner_1 || after < {1'b0, range_1});
    end
    assign says_valid = says_2;
    assign says_stream = took_stream_2;
    assign says_over = !fits_2;
  end else begin : g_no_unpack
    assign {says_valid, says_stream, says_over} = '0;
    wire unused = &{1'b0, unpacks, closes, sure, floors, take_unit, took_offset, took_range};
  end
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
      if (load && load_chosen[s]) loading[s] <= 1'b1;
      if (took && PC_STREAM_BITS'(s) == took_stream) begin
        window[s*P+:P] <= moved(window[s*P+:P], took_used);
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
        draining[s] <= !(ended[s] || (in_valid[s] && in_ready[s] && in_last[s]));
        // an encoder leaves out the zeros that its reader sees behind the end: all bytes of the range but one
        if (checks && (!ended[s] || have[2*s+:2] != '0 || beyond[4*s+:4] != 4'(2 * BYTES - 1))) bad_lane <= 1'b1;
      end
      if (HAS_UNPACK != 0 && closes[s]) ended[s] <= 1'b1;
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
