// A pc_range_locate that has its products from outside, of a pc_product that gives 0 where it does not ask.
module tested_shared_locate #(
    parameter int SCALE_BITS = 24,
    parameter int TAG_BITS   = 1,
    localparam int P = SCALE_BITS,
    localparam int B = 2 * SCALE_BITS
) (
    input  logic                clk,
    input  logic                rst,
    input  logic                in_valid,
    output logic                in_ready,
    input  logic [TAG_BITS-1:0] in_tag,
    input  logic [         1:0] in_operation,
    input  logic [       B-1:0] in_offset,
    input  logic [       B-1:0] in_range,
    input  logic [         P:0] in_start,
    input  logic [         P:0] in_end,
    input  logic [       P-1:0] in_bytes,
    input  logic                in_hold,
    input  logic                in_top,
    output logic                probe_valid,
    output logic [TAG_BITS-1:0] probe_tag,
    output logic                probe_reached,
    output logic                out_valid,
    output logic [TAG_BITS-1:0] out_tag,
    output logic [       B-1:0] out_offset,
    output logic [       B-1:0] out_range,
    output logic [         1:0] out_used,
    output logic                out_left,
    output logic                tried_valid,
    output logic                tried_below,
    output logic                tried_above
);
  logic ask;
  logic [P-1:0] first;
  logic [P:0] second, end_1;
  logic [B:0] product;
  always_ff @(posedge clk) end_1 <= in_end;
  pc_range_locate #(
      .SCALE_BITS(SCALE_BITS),
      .TAG_BITS(TAG_BITS),
      .SHARED(1)
  ) unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in_ready(in_ready),
      .in_tag(in_tag),
      .in_operation(in_operation),
      .in_offset(in_offset),
      .in_range(in_range),
      .in_start(in_start),
      .in_end(end_1),
      .in_bytes(in_bytes),
      .in_hold(in_hold),
      .in_top(in_top),
      .probe_valid(probe_valid),
      .probe_tag(probe_tag),
      .probe_reached(probe_reached),
      .out_valid(out_valid),
      .out_tag(out_tag),
      .out_offset(out_offset),
      .out_range(out_range),
      .out_used(out_used),
      .out_left(out_left),
      .tried_valid(tried_valid),
      .tried_below(tried_below),
      .tried_above(tried_above),
      .ask(ask),
      .ask_first(first),
      .ask_second(second),
      .product(product)
  );
  pc_product #(
      .FIRST_BITS (P),
      .SECOND_BITS(P + 1)
  ) products (
      .clk(clk),
      .in_first(ask ? first : '0),
      .in_second(ask ? second : '0),
      .out(product)
  );
endmodule
