// A pc_reciprocal with the valid bits that the units have in which it is.
module tested_reciprocal (
    input  logic        clk,
    input  logic        rst,
    input  logic        in_valid,
    input  logic [16:0] in_divisor,
    output logic        out_valid,
    output logic [17:0] out_result
);
  logic same;
  wire unused = same;
  pc_reciprocal unit (
      .clk(clk),
      .in_divisor(in_divisor),
      .out_result(out_result)
  );
  pc_valid #(
      .CYCLES(6)
  ) beside (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(1'b0),
      .out_valid(out_valid),
      .out(same)
  );
endmodule
