// pc_accumulate: sums that entries of a list are added to one by one, in any order (docs/arithmetic.md, State vectors,
// Accumulate: DOWN by sparse rows). pc_mix adds up what comes one after the other; this adds to any of LANES * ROWS sums.
//
// Ports    in_valid, in_lane, in_row, in_value: what is added to sum (row, lane). in_clear: all sums become zero, before
//          what is added in the same cycle; not in the cycle after a value (asserted), which would be lost.
//          read_row; read_sums: a row of sums, LANES of WIDTH bits, in the same cycle.
// Latency  2: a value is in the sums that are read two cycles later. Initiation interval 1, also for the same sum.
// Made of  a memory of ROWS places a lane, written and read in one cycle: look-up tables.
module pc_accumulate #(
    parameter  int LANES     = 4,
    parameter  int ROWS      = 8,
    parameter  int WIDTH     = 32,
    localparam int LANE_BITS = LANES > 1 ? $clog2(LANES) : 1,
    localparam int ROW_BITS  = ROWS > 1 ? $clog2(ROWS) : 1
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    input  logic [  LANE_BITS-1:0] in_lane,
    input  logic [   ROW_BITS-1:0] in_row,
    input  logic [      WIDTH-1:0] in_value,
    input  logic                   in_clear,
    input  logic [   ROW_BITS-1:0] read_row,
    output logic [LANES*WIDTH-1:0] read_sums
);
  logic valid;
  logic [LANE_BITS-1:0] lane;
  logic [ROW_BITS-1:0] row;
  logic [WIDTH-1:0] value;
  always_ff @(posedge clk) begin
    valid <= in_valid && !rst;
    {lane, row, value} <= {in_lane, in_row, in_value};
  end
  for (genvar k = 0; k < LANES; ++k) begin : g_lane
    logic [WIDTH-1:0] sum_of[ROWS];
    logic [ROWS-1:0] some;  // sums that are not zero only because nothing was added
    wire [WIDTH-1:0] sum = some[row] ? sum_of[row] : '0;
    wire adds = valid && lane == LANE_BITS'(k);
    always_ff @(posedge clk) begin
      if (adds) begin
        sum_of[row] <= sum + value;
        some[row] <= 1'b1;
      end
      if (rst || in_clear) some <= '0;
    end
    assign read_sums[WIDTH*k+:WIDTH] = some[read_row] ? sum_of[read_row] : '0;
  end
`ifndef SYNTHESIS
  always_ff @(posedge clk) if (!rst) assert (!in_clear || !valid);
`endif
endmodule
