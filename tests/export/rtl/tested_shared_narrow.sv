// A pc_range_narrow that has its products from outside, of a pc_product that gives 0 where it does not ask.
module tested_shared_narrow #(
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
    input  logic [         B:0] in_low,
    input  logic [       B-1:0] in_range,
    input  logic [         P:0] in_start,
    input  logic [         P:0] in_end,
    input  logic                in_flush,
    output logic                out_valid,
    output logic [TAG_BITS-1:0] out_tag,
    output logic [         B:0] out_low,
    output logic [       B-1:0] out_range,
    output logic                out_flush,
    output logic [         1:0] out_count,
    output logic                out_carry,
    output logic [       P-1:0] out_bytes
);
  logic ask;
  logic [P-1:0] first;
  logic [P:0] second, end_1;
  logic [B:0] product;
  always_ff @(posedge clk) end_1 <= in_end;
  pc_range_narrow #(
      .SCALE_BITS(SCALE_BITS),
      .TAG_BITS(TAG_BITS),
      .SHARED(1)
  ) unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in_ready(in_ready),
      .in_tag(in_tag),
      .in_low(in_low),
      .in_range(in_range),
      .in_start(in_start),
      .in_end(end_1),
      .in_flush(in_flush),
      .out_valid(out_valid),
      .out_tag(out_tag),
      .out_low(out_low),
      .out_range(out_range),
      .out_flush(out_flush),
      .out_count(out_count),
      .out_carry(out_carry),
      .out_bytes(out_bytes),
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
