// A pc_accumulate that gives the row that is read in every cycle with an input.
module tested_accumulate #(
    parameter  int LANES     = 4,
    parameter  int ROWS      = 8,
    parameter  int WIDTH     = 32,
    localparam int LANE_BITS = LANES > 1 ? $clog2(LANES) : 1,
    localparam int ROW_BITS  = ROWS > 1 ? $clog2(ROWS) : 1
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    input  logic                   in_add,
    input  logic [  LANE_BITS-1:0] in_lane,
    input  logic [   ROW_BITS-1:0] in_row,
    input  logic [      WIDTH-1:0] in_value,
    input  logic                   in_clear,
    input  logic [   ROW_BITS-1:0] read_row,
    output logic                   out_valid,
    output logic [LANES*WIDTH-1:0] read_sums
);
  assign out_valid = in_valid;
  pc_accumulate #(
      .LANES(LANES),
      .ROWS (ROWS),
      .WIDTH(WIDTH)
  ) unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid && in_add),
      .in_lane(in_lane),
      .in_row(in_row),
      .in_value(in_value),
      .in_clear(in_valid && in_clear),
      .read_row(read_row),
      .read_sums(read_sums)
  );
endmodule
