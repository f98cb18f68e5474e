// pc_metas: where the vectors go that a unit is at work on, the oldest first; as many as a writer has slots.
//
// Ports    push, in: a step begins. out: of the oldest. pop: its last row is out.
`include "pc_types.svh"
module pc_metas (
    input logic clk,
    input logic rst,
    input logic push,
    input meta_t in,
    input logic pop,
    output meta_t out
);
  logic [META_T_BITS-1:0] memory[4];
  logic [1:0] first, last;
  always_ff @(posedge clk) begin
    if (push) memory[last] <= in;
    if (push) last <= last + 1'b1;
    if (pop) first <= first + 1'b1;
    if (rst) begin
      first <= '0;
      last <= '0;
    end
  end
  assign out = memory[first];
endmodule
