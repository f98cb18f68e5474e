// A pc_range_locate behind a reset, whose ranges have more than B - 8 bits and whose lanes may hold anything.
module locate (
    input logic        clk,
    input logic        in_valid,
    input logic [ 1:0] in_operation,
    input logic [47:0] in_offset,
    input logic [47:0] in_range,
    input logic [24:0] in_start,
    input logic [24:0] in_end,
    input logic [23:0] in_bytes,
    input logic        in_hold,
    input logic        in_top
);
  logic rst;
  initial rst = 1'b1;
  always_ff @(posedge clk) begin
    rst <= 1'b0;
    assume (in_range[47:40] != '0);
  end
  pc_range_locate unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in_tag(1'b0),
      .in_operation(in_operation),
      .in_offset(in_offset),
      .in_range(in_range),
      .in_start(in_start),
      .in_end(in_end),
      .in_bytes(in_bytes),
      .in_hold(in_hold),
      .in_top(in_top)
  );
endmodule
