// SB_MAC16 beside yosys' model of it, which the test calls yosys_mac16: 18 sets of parameters, among them modes that the
// probe does not reach.
module both (
  input logic clk, input logic reset, input logic [7:0] control, input logic [13:0] a, input logic [13:0] b,
  input logic [35:0] x, input logic [35:0] y, output logic [599:0] q, output logic [599:0] netlist);
  assign q[599:576] = '0;
  assign netlist[599:576] = '0;
`define MAC(name, instance_name, out) \
    name #( \
      .A_REG(i % 2), .B_REG(i % 2), .C_REG(i / 2 % 2), .D_REG(i / 2 % 2), .NEG_TRIGGER(i == 17), \
      .TOP_8x8_MULT_REG(i / 3 % 2), .BOT_8x8_MULT_REG(i / 3 % 2), .PIPELINE_16x16_MULT_REG1(i / 3 % 2), \
      .PIPELINE_16x16_MULT_REG2(i / 4 % 2), .A_SIGNED(i / 5 % 2), .B_SIGNED(i / 7 % 2), \
      .TOPOUTPUT_SELECT(SELECT), .BOTOUTPUT_SELECT(SELECT), .TOPADDSUB_LOWERINPUT(2), .BOTADDSUB_LOWERINPUT(2), \
      .TOPADDSUB_UPPERINPUT(i % 4 < 2), .BOTADDSUB_UPPERINPUT(i % 4 < 2), .TOPADDSUB_CARRYSELECT(CARRY) \
    ) instance_name ( \
      .CLK(clk), .CE(control[6]), .A(x[15:0]), .B(y[15:0]), .C(x[31:16]), .D(y[31:16]), \
      .AHOLD(control[2]), .BHOLD(control[3]), .CHOLD(control[4]), .DHOLD(control[5]), \
      .IRSTTOP(reset), .IRSTBOT(reset), .ORSTTOP(reset), .ORSTBOT(reset), \
      .OLOADTOP(control[1]), .OLOADBOT(control[1]), \
      .ADDSUBTOP(control[0] && CARRY == 2), .ADDSUBBOT(control[0] && CARRY == 2), \
      .OHOLDTOP(control[7]), .OHOLDBOT(control[7]), .CI(1'b0), .ACCUMCI(1'b0), .SIGNEXTIN(1'b0), \
      .O(out), .CO(), .ACCUMCO(), .SIGNEXTOUT() \
    );
  for (genvar i = 0; i < 18; i++) begin : modes
    localparam int CARRY = i / 2 % 2 == 0 ? 2 : 3;
    localparam int SELECT = i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : 3;
    `MAC(SB_MAC16, ours, q[32*i +: 32])
    `MAC(yosys_mac16, theirs, netlist[32*i +: 32])
  end
endmodule
