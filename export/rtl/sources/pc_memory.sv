// pc_memory: a memory of the circuit: of a baked engine read only, of a reloadable one written by its loader too.
//
// Ports    address; data is the word 2 cycles later. loads: the loader's address counts instead, load_at; load_put
//          stores load_word there at the end of the cycle. Initiation interval 1. BESIDE: of a baked engine, as in pc_rom.
`include "pc_types.svh"
module pc_memory #(
    parameter  int    WORDS = 2,
    parameter  int    WIDTH = 8,
    parameter         FILE  = "",
    parameter  int    BESIDE = 0,
    parameter         BESIDE_FILE = "",
    localparam int    ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input logic clk,
    input logic [ADDRESS_BITS-1:0] address,
    output logic [WIDTH-1:0] data,
    input logic loads,
    input logic [31:0] load_at,
    input logic load_put,
    input logic [WIDTH-1:0] load_word
);
  if (RELOAD != 0) begin : g_loaded
    logic [WIDTH-1:0] memory[WORDS];
    logic [WIDTH-1:0] out;
    wire [ADDRESS_BITS-1:0] at = loads ? load_at[ADDRESS_BITS-1:0] : address;
    always_ff @(posedge clk) begin
      if (load_put) memory[at] <= load_word;
      out <= memory[at];
      data <= out;
    end
  end else begin : g_baked
    pc_rom #(
        .WORDS(WORDS), .WIDTH(WIDTH), .FILE(FILE), .BESIDE(BESIDE), .BESIDE_FILE(BESIDE_FILE)
    ) rom (.clk(clk), .address(address), .data(data));
  end
endmodule
