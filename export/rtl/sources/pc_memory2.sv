// pc_memory2: as pc_memory, with two ports that read; the loader has the first one.
//
// Ports    address_0, address_1; data_0 and data_1 are the words 2 cycles later. load_*: those of pc_memory.
`include "pc_types.svh"
module pc_memory2 #(
    parameter  int    WORDS = 2,
    parameter  int    WIDTH = 8,
    parameter         FILE  = "",
    localparam int    ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input logic clk,
    input logic [ADDRESS_BITS-1:0] address_0,
    output logic [WIDTH-1:0] data_0,
    input logic [ADDRESS_BITS-1:0] address_1,
    output logic [WIDTH-1:0] data_1,
    input logic loads,
    input logic [31:0] load_at,
    input logic load_put,
    input logic [WIDTH-1:0] load_word
);
  if (RELOAD != 0) begin : g_loaded
    logic [WIDTH-1:0] memory[WORDS];
    logic [WIDTH-1:0] out_0, out_1;
    wire [ADDRESS_BITS-1:0] at = loads ? load_at[ADDRESS_BITS-1:0] : address_0;
    always_ff @(posedge clk) begin
      if (load_put) memory[at] <= load_word;
      out_0 <= memory[at];
      data_0 <= out_0;
    end
    always_ff @(posedge clk) begin
      out_1 <= memory[address_1];
      data_1 <= out_1;
    end
  end else begin : g_baked
    pc_rom2 #(.WORDS(WORDS), .WIDTH(WIDTH), .FILE(FILE)) rom (
        .clk(clk), .address_0(address_0), .data_0(data_0), .address_1(address_1), .data_1(data_1));
  end
endmodule
