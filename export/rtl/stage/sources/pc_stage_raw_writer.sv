// pc_stage_raw_writer: raw bits as bytes, high bits first (docs/predictor.md, Coding): a packet that ends with `last`; that
// of a lane without raw bits is one beat without data.
//
// Ports    start: a lane begins. in_valid, in_ready, in_raw, in_count: the lowest bits of a number, at most 64; or in_end:
//          the lane ends, its last byte in zeros. out_*: a byte; out_data: there is one. busy: what was taken is not out.
// Latency  A byte of raw bits a cycle, and one.
module pc_stage_raw_writer (
    input  logic        clk,
    input  logic        rst,
    input  logic        start,
    input  logic        in_valid,
    output logic        in_ready,
    input  logic        in_end,
    input  logic [63:0] in_raw,
    input  logic [ 6:0] in_count,
    output logic        out_valid,
    input  logic        out_ready,
    output logic [ 7:0] out_byte,
    output logic        out_data,
    output logic        out_last,
    output logic        busy
);
  logic [63:0] raw;  // what is left of a number, in the highest bits
  logic [6:0] left;
  logic [7:0] byte_now, waiting;  // a byte waits until it is known whether it is the last
  logic [3:0] filled;
  logic any, ends;
  wire free = !out_valid || out_ready;
  wire [3:0] room = 4'd8 - filled;
  wire [3:0] some = left < 7'(room) ? left[3:0] : room;
  wire [7:0] added = byte_now | raw[63:56] >> filled;
  assign in_ready = left == '0 && !ends;
  assign busy = left != '0 || ends || out_valid;
  always_ff @(posedge clk) begin
    if (out_ready) out_valid <= 1'b0;
    if (in_valid && in_ready) begin
      raw <= in_count == '0 ? '0 : in_raw << (7'd64 - in_count);
      left <= in_end ? '0 : in_count;
      ends <= in_end;
    end else if (left != '0 && (free || filled + some != 4'd8)) begin
      left <= left - 7'(some);
      raw <= raw << some;
      filled <= filled + some;
      byte_now <= added;
      if (filled + some == 4'd8) begin
        filled <= '0;
        byte_now <= '0;
        waiting <= added;
        any <= 1'b1;
        if (any) {out_valid, out_byte, out_data, out_last} <= {1'b1, waiting, 1'b1, 1'b0};
      end
    end else if (ends && free) begin
      // a whole byte waits, the rest of one does, both do one after the other, or there was none
      out_valid <= 1'b1;
      out_data <= any || filled != '0;
      out_byte <= any ? waiting : byte_now;
      out_last <= !any || filled == '0;
      any <= 1'b0;
      if (!any || filled == '0) ends <= 1'b0;
    end
    if (rst || start) begin
      left <= '0;
      ends <= 1'b0;
      any <= 1'b0;
      filled <= '0;
      byte_now <= '0;
      out_valid <= 1'b0;
    end
  end
endmodule
