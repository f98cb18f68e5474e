// Every register of a netlist of yosys becomes a pc_triple.
(* techmap_celltype = "$dff" *)
module triple_register (CLK, D, Q);
  parameter WIDTH = 1;
  parameter CLK_POLARITY = 1;
  input CLK;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  pc_triple #(.WIDTH(WIDTH)) _TECHMAP_REPLACE_ (.clk(CLK), .in(D), .out(Q));
endmodule
