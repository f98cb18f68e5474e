// pc_row_memory: the vectors of all streams, a row of LANES mantissas a word (docs/rtl.md, Rows).
//
// Two copies, so that mixing reads beside what the other units read, of THIRD another one for second operands; all are
// written at once.
//
// Ports    write, write_row, write_data: stored at the end of the cycle. read_0, read_1, of THIRD read_2: rows; data_0,
//          data_1 and data_2 are theirs 2 cycles later. A row that is written is readable from the next cycle on.
module pc_row_memory #(
    parameter  int ROWS     = 64,
    parameter  int ROW_BITS = 64,
    parameter  bit THIRD    = 0,
    localparam int ADDRESS_BITS = ROWS > 1 ? $clog2(ROWS) : 1
) (
    input  logic                    clk,
    input  logic                    write,
    input  logic [ADDRESS_BITS-1:0] write_row,
    input  logic [    ROW_BITS-1:0] write_data,
    input  logic [ADDRESS_BITS-1:0] read_0,
    output logic [    ROW_BITS-1:0] data_0,
    input  logic [ADDRESS_BITS-1:0] read_1,
    output logic [    ROW_BITS-1:0] data_1,
    input  logic [ADDRESS_BITS-1:0] read_2,
    output logic [    ROW_BITS-1:0] data_2
);
  logic [ROW_BITS-1:0] copy_0[ROWS];
  logic [ROW_BITS-1:0] copy_1[ROWS];
  logic [ROW_BITS-1:0] out_0, out_1;
  always_ff @(posedge clk) begin
    if (write) begin
      copy_0[write_row] <= write_data;
      copy_1[write_row] <= write_data;
    end
    out_0  <= copy_0[read_0];
    out_1  <= copy_1[read_1];
    data_0 <= out_0;
    data_1 <= out_1;
  end
  if (THIRD) begin : g_third
    logic [ROW_BITS-1:0] copy_2[ROWS];
    logic [ROW_BITS-1:0] out_2;
    always_ff @(posedge clk) begin
      if (write) copy_2[write_row] <= write_data;
      out_2  <= copy_2[read_2];
      data_2 <= out_2;
    end
  end else begin : g_two
    assign data_2 = '0;
    wire unused = &{1'b0, read_2};
  end
endmodule
