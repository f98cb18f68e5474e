// A design and its netlist, side by side.
module both (
  input logic clk, input logic reset, input logic [7:0] control, input logic [13:0] a, input logic [13:0] b,
  input logic [35:0] x, input logic [35:0] y, output logic [599:0] q, output logic [599:0] netlist);
  probe design_probe (.clk, .reset, .control, .a, .b, .x, .y, .q);
  probe_netlist netlist_probe (.clk, .reset, .control, .a, .b, .x, .y, .q(netlist));
endmodule
