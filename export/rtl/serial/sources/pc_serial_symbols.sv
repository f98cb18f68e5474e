// pc_serial_symbols: the symbols of one record (docs/engine.md, section Streams).
//
// Ports    take: a record comes in, until `done`; give: it goes out, until `done`. in_*, out_*: a word a symbol.
//          variable; symbol: 1 cycle later, all ones where it is missing. write, found: at `variable`.
//          bad_frame: a record was shorter or longer; its symbols are missing, or dropped.
`include "pc_types.svh"
module pc_serial_symbols (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     take,
    input  logic                     give,
    output logic                     done,
    input  logic                     in_valid,
    output logic                     in_ready,
    input  logic [             31:0] in_data,
    input  logic                     in_last,
    output logic                     out_valid,
    input  logic                     out_ready,
    output logic [  SYMBOL_BITS-1:0] out_data,
    output logic                     out_last,
    input  logic [VARIABLE_BITS-1:0] variable,
    output logic [  SYMBOL_BITS-1:0] symbol,
    input  logic                     write,
    input  logic [  SYMBOL_BITS-1:0] found,
    output logic                     bad_frame
);
  localparam logic [VARIABLE_BITS-1:0] LAST = VARIABLE_BITS'(VARIABLES - 1);
  // a word beyond the symbols is the last symbol but one of its width, which is beyond every alphabet
  localparam logic [SYMBOL_BITS-1:0] BEYOND = {{(SYMBOL_BITS - 1) {1'b1}}, 1'b0};
  logic [SYMBOL_BITS-1:0] memory[VARIABLES];
  logic [VARIABLE_BITS-1:0] count;
  logic filling, dropping, reads;
  wire whole = count == LAST;
  wire moves = take && !done && !dropping && (filling || in_valid);
  assign in_ready = take && !done && !filling;
  wire [SYMBOL_BITS-1:0] in_symbol = filling || in_data == '1 ? '1
      : in_data >= 32'((1 << SYMBOL_BITS) - 1) ? BEYOND : in_data[SYMBOL_BITS-1:0];
  wire given = out_valid && out_ready;
  assign out_data = symbol;
  always_ff @(posedge clk) begin
    if (write || moves) memory[moves ? count : variable] <= moves ? in_symbol : found;
    symbol <= memory[give ? count : variable];
    bad_frame <= moves && !filling && whole != in_last && !rst;
    done <= 1'b0;
    if (moves) begin
      count <= whole ? '0 : count + 1'b1;
      filling <= !whole && (filling || in_last);
      dropping <= whole && !filling && !in_last;
      done <= whole && (filling || in_last);
    end
    if (take && !done && dropping && in_valid && in_last) begin
      dropping <= 1'b0;
      done <= 1'b1;
    end
    // going out: a word is read in one cycle and there in the next
    reads <= give && !reads && !out_valid && !done;
    if (reads) begin
      out_valid <= 1'b1;
      out_last <= whole;
    end
    if (given) begin
      out_valid <= 1'b0;
      count <= whole ? '0 : count + 1'b1;
      done <= whole;
    end
    if (rst) begin
      count <= '0;
      filling <= 1'b0;
      dropping <= 1'b0;
      reads <= 1'b0;
      out_valid <= 1'b0;
      done <= 1'b0;
    end
  end
endmodule
