// pc_triple: a register three times, and what two of the copies say (docs/hardening.md).
//
// What holds its value reads it here, behind the vote, so a copy that was upset is right again after one cycle. `keep` is
// of the block, from which the cell has it: yosys merges registers that have the same input, whatever their signals say.
module pc_triple #(
    parameter int WIDTH = 1
) (
    input  logic             clk,
    input  logic [WIDTH-1:0] in,
    output logic [WIDTH-1:0] out
);
  logic [WIDTH-1:0] copy_0, copy_1, copy_2;
  (* keep *) always_ff @(posedge clk) copy_0 <= in;
  (* keep *) always_ff @(posedge clk) copy_1 <= in;
  (* keep *) always_ff @(posedge clk) copy_2 <= in;
  assign out = (copy_0 & copy_1) | (copy_0 & copy_2) | (copy_1 & copy_2);
endmodule
