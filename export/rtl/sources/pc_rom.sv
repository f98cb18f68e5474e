// pc_rom: a memory that is only read, with a register behind it: block RAM takes long to give a word.
//
// Ports    address; data is the word 2 cycles later. Initiation interval 1.
module pc_rom #(
    parameter  int    WORDS = 2,
    parameter  int    WIDTH = 8,
    parameter         FILE  = "",
    localparam int    ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic                    clk,
    input  logic [ADDRESS_BITS-1:0] address,
    output logic [       WIDTH-1:0] data
);
  logic [WIDTH-1:0] memory[WORDS];
  initial $readmemh(FILE, memory);
  logic [WIDTH-1:0] out;
  always_ff @(posedge clk) begin
    out  <= memory[address];
    data <= out;
  end
endmodule
