// pc_metas: where the vectors go that a unit or its writer is at work on, the oldest first.
//
// Ports    push, in: a step begins. out: of the oldest. pop: its rows are about to leave. At most 16 are inside.
`include "pc_types.svh"
module pc_metas (
    input logic clk,
    input logic rst,
    input logic push,
    input meta_t in,
    input logic pop,
    output meta_t out
);
  logic [META_T_BITS-1:0] memory[16];
  logic [3:0] first, last;
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
