// pc_interval: both ends of an encoder's symbol (docs/arithmetic.md, Intervals), from what the leaf tables' pass over the
// context gave: its sum, and its products with the tables' columns at x and at x + 1.
//
// Ports    in_valid, in_ready, in_tag, in_total, in_lower: q(x), in_upper: q(x + 1); in_below: x f, in_floors: V f,
//          in_floor: f. out_valid, out_tag, out_start: b(x), out_end: b(x + 1).
// Widths   in_total SUM_BITS; in_lower, in_upper WEIGHTED_BITS = SUM_BITS + L; in_floor and in_floors P = SCALE_BITS;
//          in_below, out_start, out_end P + 1.
// Latency  23. Initiation interval 2, for both ends go through one pc_interval_bound: in_ready is zero in the cycle after
//          an input.
// Made of  8 multipliers of 18 x 18 at P 24.
module pc_interval #(
    parameter int SUM_BITS      = 20,
    parameter int WEIGHTED_BITS = 32,
    parameter int SCALE_BITS    = 24,
    parameter int PART_BITS     = 18,
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
  wire take = in_valid && in_ready;
  logic second;  // the upper end's cycle
  assign in_ready = !second;
  logic [WEIGHTED_BITS-1:0] upper;
  logic [SCALE_BITS:0] above;
  always_ff @(posedge clk) begin
    second <= take && !rst;
    upper <= in_upper;
    above <= in_below + (SCALE_BITS + 1)'(in_floor);
  end

  logic scale_valid;
  logic [TAG_BITS-1:0] scale_tag;
  logic [5:0] zeros, zeros_16;
  logic [SCALE_BITS:0] scale, scale_16;
  pc_interval_scale #(
      .SUM_BITS(SUM_BITS),
      .SCALE_BITS(SCALE_BITS),
      .PART_BITS(PART_BITS),
      .TAG_BITS(TAG_BITS)
  ) prepare (
      .clk(clk),
      .rst(rst),
      .in_valid(take),
      .in_tag(in_tag),
      .in_total(in_total),
      .in_floors(in_floors),
      .out_valid(scale_valid),
      .out_tag(scale_tag),
      .out_zeros(zeros),
      .out_scale(scale)
  );
  logic [WEIGHTED_BITS-1:0] weighted;
  logic [SCALE_BITS:0] floors;
  pc_delay #(
      .WIDTH (WEIGHTED_BITS + SCALE_BITS + 1),
      .CYCLES(15),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (second ? {upper, above} : {in_lower, in_below}),
      .out({weighted, floors})
  );
  logic second_16;
  logic [TAG_BITS-1:0] tag_16;
  always_ff @(posedge clk) begin
    second_16 <= scale_valid && !rst;
    tag_16 <= scale_tag;
    zeros_16 <= zeros;
    scale_16 <= scale;
  end
  logic bound_valid, bound_second;
  logic [TAG_BITS-1:0] bound_tag;
  logic [SCALE_BITS:0] bound;
  pc_interval_bound #(
      .WEIGHTED_BITS(WEIGHTED_BITS),
      .SCALE_BITS(SCALE_BITS),
      .PART_BITS(PART_BITS),
      .TAG_BITS(TAG_BITS + 1)
  ) ends (
      .clk(clk),
      .rst(rst),
      .in_valid(scale_valid || second_16),
      .in_tag({second_16 ? tag_16 : scale_tag, second_16}),
      .in_weighted(weighted),
      .in_zeros(second_16 ? zeros_16 : zeros),
      .in_scale(second_16 ? scale_16 : scale),
      .in_floors(floors),
      .out_valid(bound_valid),
      .out_tag({bound_tag, bound_second}),
      .out_bound(bound)
  );
  always_ff @(posedge clk) out_start <= bound;
  assign out_valid = bound_valid && bound_second;
  assign out_tag = bound_tag;
  assign out_end = bound;
endmodule
