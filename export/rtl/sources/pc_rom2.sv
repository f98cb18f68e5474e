// pc_rom2: a memory that is only read, with the two ports of a block RAM and a register behind each.
//
// Ports    address_0, address_1; data_0 and data_1 are the words 2 cycles later. Initiation interval 1.
module pc_rom2 #(
    parameter  int    WORDS = 2,
    parameter  int    WIDTH = 8,
    parameter         FILE  = "",
    localparam int    ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic                    clk,
    input  logic [ADDRESS_BITS-1:0] address_0,
    output logic [       WIDTH-1:0] data_0,
    input  logic [ADDRESS_BITS-1:0] address_1,
    output logic [       WIDTH-1:0] data_1
);
  logic [WIDTH-1:0] memory[WORDS];
  initial $readmemh(FILE, memory);
  logic [WIDTH-1:0] out_0, out_1;
  always_ff @(posedge clk) begin
    out_0  <= memory[address_0];
    out_1  <= memory[address_1];
    data_0 <= out_0;
    data_1 <= out_1;
  end
endmodule
