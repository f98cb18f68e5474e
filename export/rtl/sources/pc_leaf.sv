// pc_leaf: what a LEAF accumulates (docs/arithmetic.md, State vectors, and Tails): counts out of cumulative entries. It
// goes to pc_normalise with the exponent -L, of a step with tails -L - t.
//
// Ports    in_valid, in_tag, in_missing: the symbol is, so the counts are 2^L; in_below, in_above: LANES entries of the
//          tables, C[x] and C[x + 1], L + 1 bits each, L = LEAF_BITS; in_tails: the step has some; in_exponent: e(x).
//          out_valid, out_tag, out_entries: L + 1 + TAIL_BITS bits each.
// Widths   TAIL_BITS: t, 15, or 0 where no circuit has tails; then in_tails and in_exponent are not read.
// Latency  2. Initiation interval 1.
module pc_leaf #(
    parameter  int LANES      = 4,
    parameter  int LEAF_BITS  = 12,
    parameter  int TAIL_BITS  = 0,
    parameter  int TAG_BITS   = 1,
    localparam int ENTRY_BITS = LEAF_BITS + 1,
    localparam int OUT_BITS   = LEAF_BITS + 1 + TAIL_BITS
) (
    input  logic                        clk,
    input  logic                        rst,
    input  logic                        in_valid,
    input  logic [        TAG_BITS-1:0] in_tag,
    input  logic                        in_missing,
    input  logic [LANES*ENTRY_BITS-1:0] in_below,
    input  logic [LANES*ENTRY_BITS-1:0] in_above,
    input  logic                        in_tails,
    input  logic [                 3:0] in_exponent,
    output logic                        out_valid,
    output logic [        TAG_BITS-1:0] out_tag,
    output logic [  LANES*OUT_BITS-1:0] out_entries
);
  logic tails;
  logic [TAIL_BITS:0] tail;
  always_ff @(posedge clk) begin
    tails <= TAIL_BITS != 0 && in_tails;
    tail <= {1'b1, {TAIL_BITS{1'b0}}} >> in_exponent;
  end
  for (genvar lane = 0; lane < LANES; ++lane) begin : g_lane
    wire [ENTRY_BITS-1:0] below = in_below[ENTRY_BITS*lane+:ENTRY_BITS];
    wire [ENTRY_BITS-1:0] above = in_above[ENTRY_BITS*lane+:ENTRY_BITS];
    logic [ENTRY_BITS-1:0] count;
    wire [OUT_BITS-1:0] scaled = OUT_BITS'(count) << TAIL_BITS;
    always_ff @(posedge clk) begin
      count <= in_missing ? {1'b1, {LEAF_BITS{1'b0}}} : above - below;
      out_entries[OUT_BITS*lane+:OUT_BITS] <=
          !tails ? OUT_BITS'(count) : count == '0 ? OUT_BITS'(tail) : scaled;
    end
  end
  pc_valid #(
      .WIDTH (TAG_BITS),
      .CYCLES(2)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(in_tag),
      .out_valid(out_valid),
      .out(out_tag)
  );
endmodule
