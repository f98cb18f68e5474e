// pc_rom: a memory that is only read, with a register behind it: block RAM takes long to give a word.
//
// BESIDE words at its end lie in logic, of a file of their own: a few words more than a row of block RAM holds would take
// another row. The words before them are a multiple of a power of two that is no less than BESIDE.
//
// Ports    address; data is the word 2 cycles later. Initiation interval 1.
module pc_rom #(
    parameter  int    WORDS = 2,
    parameter  int    WIDTH = 8,
    parameter         FILE  = "",
    parameter  int    BESIDE = 0,
    parameter         BESIDE_FILE = "",
    localparam int    ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic                    clk,
    input  logic [ADDRESS_BITS-1:0] address,
    output logic [       WIDTH-1:0] data
);
  localparam int MEMORY_BITS = WORDS - BESIDE > 1 ? $clog2(WORDS - BESIDE) : 1;
  logic [WIDTH-1:0] memory[WORDS-BESIDE];
  initial $readmemh(FILE, memory);
  logic [WIDTH-1:0] out;
  always_ff @(posedge clk) out <= memory[address[MEMORY_BITS-1:0]];
  if (BESIDE == 0) begin : g_all
    always_ff @(posedge clk) data <= out;
  end else begin : g_beside
    localparam int BITS = BESIDE > 1 ? $clog2(BESIDE) : 1;
    (* rom_style = "logic" *) logic [WIDTH-1:0] beside[BESIDE];
    initial $readmemh(BESIDE_FILE, beside);
    logic is_beside;
    logic [WIDTH-1:0] out_beside;
    always_ff @(posedge clk) begin
      is_beside <= address >= ADDRESS_BITS'(WORDS - BESIDE);
      out_beside <= beside[address[BITS-1:0]];
      data <= is_beside ? out_beside : out;
    end
  end
endmodule
