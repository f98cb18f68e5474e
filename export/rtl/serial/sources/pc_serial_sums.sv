// pc_serial_sums: what was read, multiplied and added up: a step's entries, and what an interval is made of.
//
// A step that mixes takes four weights and a row a cycle. One that multiplies takes an entry of either source, a list an
// entry and its weight. A reading of tables weighs the entries of a symbol and of the next one with one mantissa of the
// context, and gives their difference as an entry.
//
// Ports    mixes, tables, multiplies, missing: of the step. in_valid, in_first, in_last, in_final: a beat; the first and
//          the last of its sum, and the last of its step. found: the model's word; out_a, out_b: rows; a_lane, b_lane,
//          pair: which of their entries; none: the entry counts as zero; weight: of what has neither.
//          valid, last, final_: of `entry`; weighed: total, low and high are those of all beats up to a final one.
// Latency  5 to an entry, 3 to weighed.
`include "pc_types.svh"
module pc_serial_sums #(
    localparam int PRODUCT = PC_STATE_BITS + 16
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     mixes,
    input  logic                     tables,
    input  logic                     multiplies,
    input  logic                     missing,
    input  logic                     in_valid,
    input  logic                     in_first,
    input  logic                     in_last,
    input  logic                     in_final,
    input  logic [             63:0] found,
    input  logic [ 4*PC_STATE_BITS-1:0] out_a,
    input  logic [ 4*PC_STATE_BITS-1:0] out_b,
    input  logic [              1:0] a_lane,
    input  logic [              1:0] b_lane,
    input  logic [              1:0] pair,
    input  logic                     none,
    input  logic [             15:0] weight,
    output logic                     valid,
    output logic                     last,
    output logic                     final_,
    output logic [     MIX_BITS-1:0] entry,
    output logic                     weighed,
    output logic [ CONTEXT_BITS-1:0] total,
    output logic [PC_WEIGHTED_BITS-1:0] low,
    output logic [PC_WEIGHTED_BITS-1:0] high
);
  wire [PC_STATE_BITS-1:0] a_value = none ? '0 : out_a[a_lane*PC_STATE_BITS+:PC_STATE_BITS];
  wire [PC_STATE_BITS-1:0] b_value = out_b[b_lane*PC_STATE_BITS+:PC_STATE_BITS];
  wire [1:0] pair_next = pair + 1'b1;
  wire [15:0] entry_low = found[16*pair+:16];
  wire [15:0] entry_high = found[16*pair_next+:16];

  // ---- stage 2: operands; 3: products; 4, 5: their sums; 6: the entry
  logic [15:0] y0, y1, y2, y3, x2;
  logic [PC_STATE_BITS-1:0] x0, x1, x3;
  (* keep *) logic [PRODUCT-1:0] p0, p1, p3;  // kept out of the multipliers' cells, see pc_product
  (* keep *) logic [31:0] p2;
  logic [PRODUCT:0] s01, s23;
  logic [PRODUCT+1:0] sum;
  logic [6:2] valids, firsts, lasts, finals;
  always_ff @(posedge clk) begin
    valids <= rst ? '0 : {valids[5:2], in_valid};
    firsts <= {firsts[5:2], in_first};
    lasts <= {lasts[5:2], in_last};
    finals <= rst ? '0 : {finals[5:2], in_final && in_valid};
    x0 <= mixes ? out_a[0+:PC_STATE_BITS] : a_value;
    x1 <= mixes ? out_a[PC_STATE_BITS+:PC_STATE_BITS] : a_value;
    x2 <= mixes ? 16'(out_a[2*PC_STATE_BITS+:PC_STATE_BITS]) : missing ? entry_low : entry_high - entry_low;
    x3 <= out_a[3*PC_STATE_BITS+:PC_STATE_BITS];
    y0 <= mixes ? found[15:0] : tables ? entry_low : multiplies ? 16'(b_value) : weight;
    y1 <= mixes ? found[31:16] : tables ? entry_high : '0;
    y2 <= mixes ? found[47:32] : 16'(tables);
    y3 <= mixes ? found[63:48] : '0;
    p0 <= x0 * y0;
    p1 <= x1 * y1;
    p2 <= x2 * y2;
    p3 <= x3 * y3;
    if (valids[2]) total <= (firsts[2] ? '0 : total) + CONTEXT_BITS'(x0);
    if (valids[3]) begin
      low  <= (firsts[3] ? '0 : low) + PC_WEIGHTED_BITS'(p0);
      high <= (firsts[3] ? '0 : high) + PC_WEIGHTED_BITS'(p1);
    end
    // of tables the first two weigh, and the third is the count
    s01 <= tables ? '0 : (PRODUCT + 1)'(p0) + (PRODUCT + 1)'(p1);
    s23 <= (PRODUCT + 1)'(p2) + (PRODUCT + 1)'(p3);
    sum <= (PRODUCT + 2)'(s01) + (PRODUCT + 2)'(s23);
    if (valids[5]) entry <= (firsts[5] || tables ? '0 : entry) + MIX_BITS'(sum);
  end
  assign weighed = finals[4];
  assign {valid, last, final_} = {valids[6], lasts[6], finals[6]};
endmodule
