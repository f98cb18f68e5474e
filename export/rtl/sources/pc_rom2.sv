// pc_rom2: a memory that is only read, with the two ports of a block RAM and a register behind each.
//
// BESIDE: as in pc_rom.
//
// Ports    address_0, address_1; data_0 and data_1 are the words 2 cycles later. Initiation interval 1.
module pc_rom2 #(
    parameter  int    WORDS = 2,
    parameter  int    WIDTH = 8,
    parameter         FILE  = "",
    parameter  int    BESIDE = 0,
    parameter         BESIDE_FILE = "",
    localparam int    ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic                    clk,
    input  logic [ADDRESS_BITS-1:0] address_0,
    output logic [       WIDTH-1:0] data_0,
    input  logic [ADDRESS_BITS-1:0] address_1,
    output logic [       WIDTH-1:0] data_1
);
  localparam int MEMORY_BITS = WORDS - BESIDE > 1 ? $clog2(WORDS - BESIDE) : 1;
  logic [WIDTH-1:0] memory[WORDS-BESIDE];
  initial $readmemh(FILE, memory);
  logic [WIDTH-1:0] out_0, out_1;
  always_ff @(posedge clk) begin
    out_0 <= memory[address_0[MEMORY_BITS-1:0]];
    out_1 <= memory[address_1[MEMORY_BITS-1:0]];
  end
  if (BESIDE == 0) begin : g_all
    always_ff @(posedge clk) {data_1, data_0} <= {out_1, out_0};
  end else begin : g_beside
    localparam int BITS = BESIDE > 1 ? $clog2(BESIDE) : 1;
    (* rom_style = "logic" *) logic [WIDTH-1:0] beside[BESIDE];
    initial $readmemh(BESIDE_FILE, beside);
    logic is_beside_0, is_beside_1;
    logic [WIDTH-1:0] out_beside_0, out_beside_1;
    always_ff @(posedge clk) begin
      is_beside_0 <= address_0 >= ADDRESS_BITS'(WORDS - BESIDE);
      is_beside_1 <= address_1 >= ADDRESS_BITS'(WORDS - BESIDE);
      out_beside_0 <= beside[address_0[BITS-1:0]];
      out_beside_1 <= beside[address_1[BITS-1:0]];
      data_0 <= is_beside_0 ? out_beside_0 : out_0;
      data_1 <= is_beside_1 ? out_beside_1 : out_1;
    end
  end
endmodule
