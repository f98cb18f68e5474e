// pc_large_memory: four memories of 16 bits side by side, each with an address of its own: a word has 64 bits, and an
// entry of 16 bits and the next one are read at once wherever they lie. One port each, as the large memories of iCE40
// (SB_SPRAM256KA) have, which cannot be initialised: what is in it is written first.
//
// Ports    address: of each bank; write: of one word of one bank; in: its 16 bits. out: the words 1 cycle later, of
//          cycles in which nothing is written.
module pc_large_memory #(
    parameter  int WORDS = 16384,
    localparam int ADDRESS_BITS = $clog2(WORDS)
) (
    input  logic                      clk,
    input  logic [4*ADDRESS_BITS-1:0] address,
    input  logic [               3:0] write,
    input  logic [              15:0] in,
    output logic [              63:0] out
);
  for (genvar bank = 0; bank < 4; ++bank) begin : g_bank
    (* ram_style = "huge" *) logic [15:0] memory[WORDS];
    logic [15:0] word;
    always_ff @(posedge clk)
      if (write[bank]) memory[address[bank*ADDRESS_BITS+:ADDRESS_BITS]] <= in;
      else word <= memory[address[bank*ADDRESS_BITS+:ADDRESS_BITS]];
    assign out[16*bank+:16] = word;
  end
endmodule
