// pc_interval_scale: what the bounds of one context share (docs/arithmetic.md, Intervals: n and R).
//
// Ports    in_valid, in_tag, in_total: the sum of the context's mantissas, not zero; in_floors: V f of the variable, so
//          that each may have its own number of symbols. out_valid, out_tag, out_scale: R;
//          out_zeros: SUM_BITS - len(total), which stands for n = len + L - X, whatever L is: a weighted entry is moved
//          so far to the left, and its highest X bits are kept. early_zeros: the same, two cycles before. With SHARED
//          products are had from outside: ask says which of three pairs of factors counts in this cycle, product is
//          their product 4 cycles later.
// Widths   in_total SUM_BITS, at most 46; in_floors P = SCALE_BITS; out_scale P + 1.
// Latency  15: leading zeros 2, shift 2, divisor 1, reciprocal 6, product 4; with SHARED 21, for the reciprocal takes 12:
//          it asks in the cycles 7, 12 and 17. Initiation interval 1; with SHARED one that lets a cycle ask once.
// Made of  4 multipliers of 18 x 18 at P 24, 3 at P 16, and the ROM of pc_reciprocal; with SHARED only that.
module pc_interval_scale #(
    parameter int SUM_BITS   = 20,
    parameter int SCALE_BITS = 24,
    parameter int PART_BITS  = 18,
    parameter int TAG_BITS   = 1,
    parameter bit SHARED     = 0
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  in_valid,
    input  logic [  TAG_BITS-1:0] in_tag,
    input  logic [  SUM_BITS-1:0] in_total,
    input  logic [SCALE_BITS-1:0] in_floors,
    output logic                  out_valid,
    output logic [  TAG_BITS-1:0] out_tag,
    output logic [           5:0] out_zeros,
    output logic [           5:0] early_zeros,
    output logic [  SCALE_BITS:0] out_scale,
    output logic [           2:0] ask,
    output logic [          53:0] ask_first,
    output logic [3*SCALE_BITS-1:0] ask_second,
    input  logic [SCALE_BITS+17:0] product
);
  localparam int GROUPS = (SUM_BITS + 7) / 8;
  localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int LATENCY = SHARED ? 21 : 15;
  localparam int KEPT = SUM_BITS > 17 ? SUM_BITS : 17;

  logic [GROUP_BITS-1:0] groups;
  logic [2:0] rest, held_rest;
  logic none;
  pc_leading #(
      .WIDTH(SUM_BITS)
  ) leading (
      .clk(clk),
      .in(in_total),
      .out_groups(groups),
      .out_rest(rest),
      .out_zero(none)
  );
  logic [SUM_BITS-1:0] total_2;
  pc_delay #(
      .WIDTH (SUM_BITS),
      .CYCLES(2)
  ) counts (
      .clk(clk),
      .in (in_total),
      .out(total_2)
  );
  logic [KEPT-1:0] scaled;
  pc_scale_entry #(
      .WIDTH(SUM_BITS),
      .OUT_BITS(KEPT)
  ) shift (
      .clk(clk),
      .in(total_2),
      .groups(groups),
      .held_rest(held_rest),
      .out(scaled)
  );
  // rounded up, so that the reciprocal stays below the truth; up to 2^16
  logic [16:0] divisor;
  always_ff @(posedge clk) begin
    held_rest <= rest;
    divisor <= 17'(scaled[KEPT-1-:16]) + 17'(|scaled[KEPT-17:0]);
  end
  logic [17:0] reciprocal;
  logic [17:0] first_7, first_12;
  logic [15:0] second_7, second_12;
  logic [SCALE_BITS+17:0] scaled_room;
  pc_reciprocal #(
      .SHARED(SHARED)
  ) inverse (
      .clk(clk),
      .in_divisor(divisor),
      .out_result(reciprocal),
      .product_first_2(first_7),
      .product_first_7(first_12),
      .product_second_2(second_7),
      .product_second_7(second_12),
      .product(product[33:0])
  );
  // 2^P less the floors, which are at least 1
  logic [SCALE_BITS-1:0] room, room_late;
  always_ff @(posedge clk) room <= -in_floors;
  pc_delay #(
      .WIDTH (SCALE_BITS),
      .CYCLES(LATENCY - 5),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (room),
      .out(room_late)
  );
  logic same;
  if (SHARED) begin : g_shared
    logic [17:0] stages;  // where totals are: the cycles in which a product is asked for
    always_ff @(posedge clk) stages <= rst ? '0 : {stages[16:0], in_valid};
    assign ask = {stages[16], stages[11], stages[6]};
    assign ask_first = {reciprocal, first_12, first_7};
    assign ask_second = {room_late, SCALE_BITS'(second_12), SCALE_BITS'(second_7)};
    assign scaled_room = product;
    wire unused = stages[17];
  end else begin : g_own
    pc_product #(
        .FIRST_BITS (18),
        .SECOND_BITS(SCALE_BITS),
        .PART_BITS  (PART_BITS)
    ) scale (
        .clk(clk),
        .in_first(reciprocal),
        .in_second(room_late),
        .out(scaled_room)
    );
    assign {ask, ask_first, ask_second} = '0;
    wire unused = &{1'b0, first_7, first_12, second_7, second_12, product};
  end
  assign out_scale = scaled_room[SCALE_BITS+17:17];
  pc_delay #(
      .WIDTH (6),
      .CYCLES(LATENCY - 4),
      .MEMORY(1)
  ) zeros (
      .clk(clk),
      .in (6'({groups, rest})),
      .out(early_zeros)
  );
  pc_delay #(
      .WIDTH (6),
      .CYCLES(2)
  ) zeros_late (
      .clk(clk),
      .in (early_zeros),
      .out(out_zeros)
  );
  pc_delay #(
      .WIDTH (TAG_BITS),
      .CYCLES(LATENCY),
      .MEMORY(1)
  ) tags (
      .clk(clk),
      .in (in_tag),
      .out(out_tag)
  );
  pc_valid #(
      .CYCLES(LATENCY)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(1'b0),
      .out_valid(out_valid),
      .out(same)
  );
  wire unused = &{1'b0, none, same, scaled_room[16:0]};
`ifndef SYNTHESIS
  always_ff @(posedge clk) if (in_valid && !rst) assert (in_total != '0);
`endif
endmodule
