// pc_interval_bound: the lower end of a symbol's interval (docs/arithmetic.md, Intervals: b(x)).
//
// Ports    in_valid, in_tag, in_weighted: q(x), WEIGHTED_BITS = SUM_BITS + L; in_zeros, from pc_interval_scale
//          of this context, and in_scale, two cycles later; in_floors: x f, P + 1 bits, P = SCALE_BITS. out_valid,
//          out_tag, out_bound: P + 1 bits. With SHARED the product is had from outside: of ask_first and ask_second when
//          ask, 4 cycles later.
// Latency  7: shift 2, product 4, floors 1. Initiation interval 1: an encoder sends both ends of its symbol, a decoder
//          the probes of its search.
// Made of  4 multipliers of 18 x 18 at P 24, 1 at P 16; with SHARED none.
module pc_interval_bound #(
    parameter int WEIGHTED_BITS = 32,
    parameter int SCALE_BITS    = 24,
    parameter int PART_BITS     = 18,
    parameter int TAG_BITS      = 1,
    parameter bit SHARED        = 0
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
    output logic [     SCALE_BITS:0] out_bound,
    output logic                     ask,
    output logic [   SCALE_BITS+1:0] ask_first,
    output logic [     SCALE_BITS:0] ask_second,
    input  logic [ 2*SCALE_BITS+2:0] product
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
  logic [SCALE_BITS:0] floors;
  pc_delay #(
      .WIDTH (SCALE_BITS + 1),
      .CYCLES(6),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (in_floors),
      .out(floors)
  );
  logic [INPUT_BITS+SCALE_BITS:0] scaled;
  if (SHARED) begin : g_shared
    logic same;
    pc_valid #(
        .CYCLES(2)
    ) asks (
        .clk(clk),
        .rst(rst),
        .in_valid(in_valid),
        .in(1'b0),
        .out_valid(ask),
        .out(same)
    );
    assign ask_first = moved;
    assign ask_second = in_scale;
    assign scaled = product;
    wire unused = same;
  end else begin : g_own
    pc_product #(
        .FIRST_BITS (INPUT_BITS),
        .SECOND_BITS(SCALE_BITS + 1),
        .PART_BITS  (PART_BITS)
    ) own (
        .clk(clk),
        .in_first(moved),
        .in_second(in_scale),
        .out(scaled)
    );
    assign {ask, ask_first, ask_second} = '0;
    wire unused = &{1'b0, product};
  end
  always_ff @(posedge clk) out_bound <= floors + scaled[INPUT_BITS+SCALE_BITS:INPUT_BITS];
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
  wire unused = &{1'b0, in_zeros, scaled[INPUT_BITS-1:0]};
endmodule
