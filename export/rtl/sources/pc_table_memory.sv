// pc_table_memory: entries of leaf tables, one a lane: a copy for every two lanes, each with both ports of its memory.
//
// Ports    address, data: of every lane; data 2 cycles later. load_*: those of pc_memory, for all copies.
`include "pc_types.svh"
module pc_table_memory #(
    parameter  int WORDS = 2,
    parameter      FILE  = "",
    parameter  int WIDTH = PC_LEAF_BITS + 1,
    localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input logic clk,
    input logic [TABLE_LANES*ADDRESS_BITS-1:0] address,
    output logic [TABLE_LANES*WIDTH-1:0] data,
    input logic loads,
    input logic [31:0] load_at,
    input logic load_put,
    input logic [WIDTH-1:0] load_word
);
  if (TABLE_LANES == 1) begin : g_one
    pc_memory #(.WORDS(WORDS), .WIDTH(WIDTH), .FILE(FILE)) entries (
        .clk(clk), .address(address), .data(data), .loads(loads), .load_at(load_at), .load_put(load_put),
        .load_word(load_word));
  end else begin : g_pairs
    for (genvar pair = 0; pair < TABLE_LANES / 2; ++pair) begin : g_pair
      pc_memory2 #(.WORDS(WORDS), .WIDTH(WIDTH), .FILE(FILE)) entries (
          .clk(clk), .address_0(address[2*pair*ADDRESS_BITS+:ADDRESS_BITS]), .data_0(data[2*pair*WIDTH+:WIDTH]),
          .address_1(address[(2*pair+1)*ADDRESS_BITS+:ADDRESS_BITS]), .data_1(data[(2*pair+1)*WIDTH+:WIDTH]),
          .loads(loads), .load_at(load_at), .load_put(load_put), .load_word(load_word));
    end
  end
endmodule
