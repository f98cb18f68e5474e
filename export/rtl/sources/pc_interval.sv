// pc_interval: both ends of an encoder's symbol (docs/arithmetic.md, Intervals), from what the leaf tables' pass over the
// context gave: its sum, and its products with the tables' columns at x and at x + 1.
//
// Ports    in_valid, in_ready, in_tag, in_total, in_lower: q(x), in_upper: q(x + 1); in_below: x f, in_floors: V f,
//          in_floor: f. out_valid, out_tag, out_start: b(x), out_end: b(x + 1); with SHARED out_end is a cycle later.
//          early_valid, early_tag: a cycle before. With SHARED products are had from outside: of ask_first and ask_second when ask, product 4 cycles later.
// Widths   in_total SUM_BITS; in_lower, in_upper WEIGHTED_BITS = SUM_BITS + L; in_floor and in_floors P = SCALE_BITS;
//          in_below, out_start, out_end P + 1.
// Latency  21. Initiation interval 2, for both ends go through one pc_interval_bound: in_ready is zero in the cycle after
//          an input. With SHARED 26, and it asks in the cycles 7, 12, 17, 21 and 22. Modulo 8 these are 7, 4, 1, 5 and 6,
//          and 2 and 3 are left for a coder that asks with both ends, so in_ready is one in every eighth cycle: inputs
//          any other number of cycles apart would ask in the same cycle (asserted).
// Made of  8 multipliers of 18 x 18 at P 24; with SHARED none.
module pc_interval #(
    parameter  int SUM_BITS      = 20,
    parameter  int WEIGHTED_BITS = 32,
    parameter  int SCALE_BITS    = 24,
    parameter  int PART_BITS     = 18,
    parameter  int TAG_BITS      = 1,
    parameter  bit SHARED        = 0,
    localparam int FIRST_BITS    = SCALE_BITS + 2,
    localparam int SECOND_BITS   = SCALE_BITS + 1
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
    output logic                     early_valid,
    output logic [     TAG_BITS-1:0] early_tag,
    output logic [     SCALE_BITS:0] out_start,
    output logic [     SCALE_BITS:0] out_end,
    output logic                     ask,
    output logic [   FIRST_BITS-1:0] ask_first,
    output logic [  SECOND_BITS-1:0] ask_second,
    input  logic [ FIRST_BITS+SECOND_BITS-1:0] product
);
  localparam int SCALE_LATENCY = SHARED ? 21 : 15;
  wire take = in_valid && in_ready;
  logic second;  // the upper end's cycle
  logic [WEIGHTED_BITS-1:0] upper;
  logic [SCALE_BITS:0] above;
  always_ff @(posedge clk) begin
    second <= take && !rst;
    upper <= in_upper;
    above <= in_below + (SCALE_BITS + 1)'(in_floor);
  end

  logic scale_valid;
  logic [TAG_BITS-1:0] scale_tag;
  logic [5:0] zeros, zeros_late, zeros_unused;
  logic [SCALE_BITS:0] scale, scale_late;
  logic [2:0] scale_ask;
  logic [53:0] scale_first;
  logic [3*SCALE_BITS-1:0] scale_second;
  logic bound_ask;
  logic [FIRST_BITS-1:0] bound_first;
  logic [SECOND_BITS-1:0] bound_operand;
  pc_interval_scale #(
      .SUM_BITS(SUM_BITS),
      .SCALE_BITS(SCALE_BITS),
      .PART_BITS(PART_BITS),
      .TAG_BITS(TAG_BITS),
      .SHARED(SHARED)
  ) prepare (
      .clk(clk),
      .rst(rst),
      .in_valid(take),
      .in_tag(in_tag),
      .in_total(in_total),
      .in_floors(in_floors),
      .out_valid(scale_valid),
      .out_tag(scale_tag),
      .out_zeros(zeros_unused),
      .early_zeros(zeros),
      .out_scale(scale),
      .ask(scale_ask),
      .ask_first(scale_first),
      .ask_second(scale_second),
      .product(product[SCALE_BITS+17:0])
  );
  logic [WEIGHTED_BITS-1:0] weighted;
  logic [SCALE_BITS:0] floors;
  pc_delay #(
      .WIDTH (WEIGHTED_BITS + SCALE_BITS + 1),
      .CYCLES(SCALE_LATENCY - 2),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (second ? {upper, above} : {in_lower, in_below}),
      .out({weighted, floors})
  );
  // two cycles before the scale is there: a weighted entry takes as long to be moved
  logic early, early_second, scale_second_end;
  logic same;
  pc_valid #(
      .CYCLES(SCALE_LATENCY - 2)
  ) earlier (
      .clk(clk),
      .rst(rst),
      .in_valid(take),
      .in(1'b0),
      .out_valid(early),
      .out(same)
  );
  always_ff @(posedge clk) begin
    early_second <= early && !rst;
    zeros_late <= zeros;
    scale_second_end <= scale_valid && !rst;
    scale_late <= scale;
  end
  logic bound_valid, bound_second;
  logic [SCALE_BITS:0] bound;
  pc_interval_bound #(
      .WEIGHTED_BITS(WEIGHTED_BITS),
      .SCALE_BITS(SCALE_BITS),
      .PART_BITS(PART_BITS),
      .TAG_BITS(1),
      .SHARED(SHARED)
  ) ends (
      .clk(clk),
      .rst(rst),
      .in_valid(early || early_second),
      .in_tag(early_second),
      .in_weighted(weighted),
      .in_zeros(early_second ? zeros_late : zeros),
      .in_scale(scale_second_end ? scale_late : scale),
      .in_floors(floors),
      .out_valid(bound_valid),
      .out_tag(bound_second),
      .out_bound(bound),
      .ask(bound_ask),
      .ask_first(bound_first),
      .ask_second(bound_operand),
      .product(product)
  );
  assign out_end = bound;
  pc_valid #(
      .WIDTH (TAG_BITS),
      .CYCLES(SHARED ? 4 : 5)
  ) tags (
      .clk(clk),
      .rst(rst),
      .in_valid(scale_valid),
      .in(scale_tag),
      .out_valid(early_valid),
      .out(early_tag)
  );
  always_ff @(posedge clk) out_tag <= early_tag;
  if (SHARED) begin : g_shared
    logic [2:0] phase;
    logic phase_0;
    always_ff @(posedge clk) begin
      phase   <= rst ? '0 : phase + 1'b1;
      phase_0 <= phase == '0 && !rst;
    end
    assign in_ready = phase_0;
    assign out_start = bound;
    assign out_valid = bound_valid && !bound_second;
    assign ask = bound_ask || scale_ask != '0;
    assign ask_first = (bound_ask ? bound_first : '0)
        | (scale_ask[0] ? FIRST_BITS'(scale_first[17:0]) : '0)
        | (scale_ask[1] ? FIRST_BITS'(scale_first[35:18]) : '0)
        | (scale_ask[2] ? FIRST_BITS'(scale_first[53:36]) : '0);
    assign ask_second = (bound_ask ? bound_operand : '0)
        | (scale_ask[0] ? SECOND_BITS'(scale_second[SCALE_BITS-1:0]) : '0)
        | (scale_ask[1] ? SECOND_BITS'(scale_second[2*SCALE_BITS-1:SCALE_BITS]) : '0)
        | (scale_ask[2] ? SECOND_BITS'(scale_second[3*SCALE_BITS-1:2*SCALE_BITS]) : '0);
`ifndef SYNTHESIS
    always_ff @(posedge clk)
      if (!rst) assert (32'(bound_ask) + 32'(scale_ask[0]) + 32'(scale_ask[1]) + 32'(scale_ask[2]) <= 1);
`endif
  end else begin : g_own
    assign in_ready = !second;
    always_ff @(posedge clk) out_start <= bound;
    assign out_valid = bound_valid && bound_second;
    assign {ask, ask_first, ask_second} = '0;
    wire unused = &{1'b0, scale_ask, scale_first, scale_second, bound_ask, bound_first, bound_operand};
  end
  wire unused = &{1'b0, zeros_unused, same};
endmodule
