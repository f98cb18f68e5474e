// pc_serial_state: the vectors of one record: rows of four mantissas, of which two rows are read at once.
//
// Ports    row_a, row_b; out_a, out_b: the rows 1 cycle later. write, write_row, write_half, in: two mantissas,
//          lanes 0 and 1, or 2 and 3.
module pc_serial_state #(
    parameter  int ROWS = 64,
    parameter  int STATE_BITS = 16,
    localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1
) (
    input  logic                    clk,
    input  logic [    ROW_BITS-1:0] row_a,
    input  logic [    ROW_BITS-1:0] row_b,
    output logic [4*STATE_BITS-1:0] out_a,
    output logic [4*STATE_BITS-1:0] out_b,
    input  logic                    write,
    input  logic [    ROW_BITS-1:0] write_row,
    input  logic                    write_half,
    input  logic [2*STATE_BITS-1:0] in
);
  for (genvar lane = 0; lane < 4; ++lane) begin : g_lane
    logic [STATE_BITS-1:0] first[ROWS], second[ROWS];
    wire here = write && write_half == 1'(lane / 2);
    always_ff @(posedge clk) begin
      if (here) begin
        first[write_row]  <= in[(lane%2)*STATE_BITS+:STATE_BITS];
        second[write_row] <= in[(lane%2)*STATE_BITS+:STATE_BITS];
      end
      out_a[lane*STATE_BITS+:STATE_BITS] <= first[row_a];
      out_b[lane*STATE_BITS+:STATE_BITS] <= second[row_b];
    end
  end
endmodule
