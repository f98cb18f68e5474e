// pc_interval_bound: the lower end of a symbol's interval (docs/arithmetic.md, Intervals: b(x)).
//
// Ports    in_valid, in_tag, in_weighted: q(x), WEIGHTED_BITS = SUM_BITS + L; in_zeros, in_scale: from pc_interval_scale
//          of this context; in_floors: x f, P + 1 bits, P = SCALE_BITS. out_valid, out_tag, out_bound: P + 1 bits.
// Latency  7: shift 2, product 4, floors 1. Initiation interval 1: an encoder sends both ends of its symbol, a decoder
//          the probes of its search.
// Made of  4 multipliers of 18 x 18 at P 24, 1 at P 16.
module pc_interval_bound #(
    parameter int WEIGHTED_BITS = 32,
    parameter int SCALE_BITS    = 24,
    parameter int PART_BITS     = 18,
    parameter int TAG_BITS      = 1
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     in_valid,
    input  logic [     TAG_BITS-1:0] in_tag,
    input  logic [WEIGHTED_BITS-1:0] in_weighted,
    input  logic [              5:0] in_zeros,
    input  logic [     SCALE_BITS:0] in_scale,
    input  logic [     SCALE_BITS:0] in_floors,
    output logic                     out_valid,
    output logic [     TAG_BITS-1:0] out_tag,
    output logic [     SCALE_BITS:0] out_bound
);
  localparam int INPUT_BITS = SCALE_BITS + 2;  // X
  localparam int GROUPS = (WEIGHTED_BITS + 7) / 8;
  localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;

  logic [2:0] held_rest;
  always_ff @(posedge clk) held_rest <= in_zeros[2:0];
  logic [INPUT_BITS-1:0] moved;
  pc_scale_entry #(
      .WIDTH(WEIGHTED_BITS),
      .OUT_BITS(INPUT_BITS)
  ) shift (
      .clk(clk),
      .in(in_weighted),
      .groups(GROUP_BITS'(in_zeros[5:3])),
      .held_rest(held_rest),
      .out(moved)
  );
  logic [SCALE_BITS:0] scale, floors;
  pc_delay #(
      .WIDTH (SCALE_BITS + 1),
      .CYCLES(2)
  ) scales (
      .clk(clk),
      .in (in_scale),
      .out(scale)
  );
  pc_delay #(
      .WIDTH (SCALE_BITS + 1),
      .CYCLES(6),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (in_floors),
      .out(floors)
  );
  logic [INPUT_BITS+SCALE_BITS:0] product;
  pc_product #(
      .FIRST_BITS (INPUT_BITS),
      .SECOND_BITS(SCALE_BITS + 1),
      .PART_BITS  (PART_BITS)
  ) scaled (
      .clk(clk),
      .in_first(moved),
      .in_second(scale),
      .out(product)
  );
  always_ff @(posedge clk) out_bound <= floors + product[INPUT_BITS+SCALE_BITS:INPUT_BITS];
  pc_valid #(
      .WIDTH (TAG_BITS),
      .CYCLES(7)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(in_tag),
      .out_valid(out_valid),
      .out(out_tag)
  );
  wire unused = &{1'b0, in_zeros, product[INPUT_BITS-1:0]};
endmodule
