// A pc_interval that has its products from outside, of one pc_product; both ends come out together, a cycle later.
module tested_shared_interval #(
    parameter int SUM_BITS      = 20,
    parameter int WEIGHTED_BITS = 32,
    parameter int SCALE_BITS    = 24,
    parameter int TAG_BITS      = 1
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     in_valid,
    output logic                     in_ready,
    input  logic [     TAG_BITS-1:0] in_tag,
    input  logic [     SUM_BITS-1:0] in_total,
    input  logic [WEIGHTED_BITS-1:0] in_lower,
    input  logic [WEIGHTED_BITS-1:0] in_upper,
    input  logic [     SCALE_BITS:0] in_below,
    input  logic [   SCALE_BITS-1:0] in_floors,
    input  logic [   SCALE_BITS-1:0] in_floor,
    output logic                     out_valid,
    output logic [     TAG_BITS-1:0] out_tag,
    output logic [     SCALE_BITS:0] out_start,
    output logic [     SCALE_BITS:0] out_end
);
  logic valid, ask, early_valid;
  logic [TAG_BITS-1:0] early_tag;
  wire unused = &{1'b0, early_valid, early_tag};
  logic [TAG_BITS-1:0] tag;
  logic [SCALE_BITS:0] start, second;
  logic [SCALE_BITS+1:0] first;
  logic [2*SCALE_BITS+2:0] product;
  pc_interval #(
      .SUM_BITS(SUM_BITS),
      .WEIGHTED_BITS(WEIGHTED_BITS),
      .SCALE_BITS(SCALE_BITS),
      .TAG_BITS(TAG_BITS),
      .SHARED(1)
  ) unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in_ready(in_ready),
      .in_tag(in_tag),
      .in_total(in_total),
      .in_lower(in_lower),
      .in_upper(in_upper),
      .in_below(in_below),
      .in_floors(in_floors),
      .in_floor(in_floor),
      .out_valid(valid),
      .out_tag(tag),
      .out_start(start),
      .out_end(out_end),
      .early_valid(early_valid),
      .early_tag(early_tag),
      .ask(ask),
      .ask_first(first),
      .ask_second(second),
      .product(product)
  );
  pc_product #(
      .FIRST_BITS (SCALE_BITS + 2),
      .SECOND_BITS(SCALE_BITS + 1)
  ) products (
      .clk(clk),
      .in_first(ask ? first : '1),
      .in_second(ask ? second : '1),
      .out(product)
  );
  always_ff @(posedge clk) begin
    out_valid <= valid && !rst;
    out_tag   <= tag;
    out_start <= start;
  end
endmodule
