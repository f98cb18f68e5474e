// pc_nested: entries of nested leaf tables (docs/arithmetic.md, Nested leaf tables): b + ((a C_m[x]) >> L).
//
// Ports    in_valid, in_tag, in_first: x is 0, in_last: x is V; LANES of in_master: C_m[x], in_shift: b, in_scale: a,
//          L + 1 bits each, L = LEAF_BITS. out_valid, out_tag, out_entries: C[x].
// Latency  3. Initiation interval 1.
// Made of  a multiplier a lane.
module pc_nested #(
    parameter  int LANES      = 4,
    parameter  int LEAF_BITS  = 12,
    parameter  int TAG_BITS   = 1,
    localparam int ENTRY_BITS = LEAF_BITS + 1
) (
    input  logic                        clk,
    input  logic                        rst,
    input  logic                        in_valid,
    input  logic [        TAG_BITS-1:0] in_tag,
    input  logic                        in_first,
    input  logic                        in_last,
    input  logic [LANES*ENTRY_BITS-1:0] in_master,
    input  logic [LANES*ENTRY_BITS-1:0] in_shift,
    input  logic [LANES*ENTRY_BITS-1:0] in_scale,
    output logic                        out_valid,
    output logic [        TAG_BITS-1:0] out_tag,
    output logic [LANES*ENTRY_BITS-1:0] out_entries
);
  logic first_1, last_1, first_2, last_2;
  always_ff @(posedge clk) begin
    {first_1, last_1} <= {in_first, in_last};
    {first_2, last_2} <= {first_1, last_1};
  end
  for (genvar lane = 0; lane < LANES; ++lane) begin : g_lane
    logic [ENTRY_BITS-1:0] master, scale, shift_1, shift_2;
    logic [2*ENTRY_BITS-1:0] product;
    always_ff @(posedge clk) begin
      master <= in_master[ENTRY_BITS*lane+:ENTRY_BITS];
      scale <= in_scale[ENTRY_BITS*lane+:ENTRY_BITS];
      shift_1 <= in_shift[ENTRY_BITS*lane+:ENTRY_BITS];
      product <= master * scale;
      shift_2 <= shift_1;
      out_entries[ENTRY_BITS*lane+:ENTRY_BITS] <=
          first_2 ? '0 : last_2 ? {1'b1, {LEAF_BITS{1'b0}}} : shift_2 + product[LEAF_BITS+:ENTRY_BITS];
    end
    wire unused = &{1'b0, product[2*ENTRY_BITS-1], product[LEAF_BITS-1:0]};
  end
  pc_valid #(
      .WIDTH (TAG_BITS),
      .CYCLES(3)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(in_tag),
      .out_valid(out_valid),
      .out(out_tag)
  );
endmodule
