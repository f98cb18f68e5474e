// Memories of every shape that yosys maps to SB_RAM40_4K, and products and sums that it maps to SB_MAC16.
// Images of memories are 1.hex, 2.hex, ..., by the bits of a word.

// One port to write and one to read.
module simple #(parameter int WIDTH = 16, parameter int DEPTH = 256, parameter IMAGE = "16.hex") (
  input logic clk, input logic write, input logic read,
  input logic [13:0] to, input logic [13:0] from, input logic [WIDTH-1:0] data, output logic [WIDTH-1:0] q);
  localparam int BITS = $clog2(DEPTH);
  (* ram_style = "block" *) logic [WIDTH-1:0] memory [DEPTH];
  initial $readmemh(IMAGE, memory);
  always_ff @(posedge clk) begin
    if (write) memory[to[BITS-1:0]] <= data;
    if (read) q <= memory[from[BITS-1:0]];
  end
endmodule

// Words of 16 bits with an enable for each bit; they are read at the other edge of the clock.
module bits (
  input logic clk, input logic [15:0] write, input logic [13:0] to, input logic [13:0] from,
  input logic [15:0] data, output logic [15:0] q);
  (* ram_style = "block" *) logic [15:0] memory [256];
  initial $readmemh("16.hex", memory);
  always_ff @(posedge clk) for (int i = 0; i < 16; i++) if (write[i]) memory[to[7:0]][i] <= data[i];
  always_ff @(negedge clk) q <= memory[from[7:0]];
endmodule

// Written a word at a time, and read a quarter at a time.
module narrowing (
  input logic clk, input logic write, input logic [13:0] to, input logic [13:0] from,
  input logic [15:0] data, output logic [3:0] q);
  (* ram_style = "block" *) logic [3:0] memory [1024];
  initial $readmemh("4.hex", memory);
  always_ff @(posedge clk) begin
    if (write) for (int i = 0; i < 4; i++) memory[{to[7:0], 2'(i)}] <= data[4*i +: 4];
    q <= memory[from[9:0]];
  end
endmodule

// A product with registers before and behind it, two that are added up, one that is taken from a sum with registers.
module products (
  input logic clk, input logic reset, input logic enable, input logic [15:0] x, input logic [15:0] y,
  output logic [31:0] pipelined, output logic [31:0] total, output logic [31:0] running, output logic [31:0] rest);
  logic [15:0] x_held, y_held;
  logic [31:0] from;
  always_ff @(posedge clk) begin
    x_held <= x;
    y_held <= y;
    pipelined <= $signed(x_held) * $signed(y_held);
    running <= running + 32'(x) * 32'(x);
    from <= {y, x};
    rest <= from - 32'(y_held) * 32'(y_held);
    if (reset) total <= '0;
    else if (enable) total <= total + 32'(x) * 32'(y);
  end
endmodule

module probe (
  input logic clk, input logic reset, input logic [7:0] control, input logic [13:0] a, input logic [13:0] b,
  input logic [35:0] x, input logic [35:0] y, output logic [599:0] q);
  logic [1:0] q2;
  logic [3:0] q4, qn;
  logic [7:0] q8;
  logic [15:0] q16, qb;
  logic [31:0] pipelined, total, running, rest, unsigned_product, signed_product, mixed;
  simple #(2, 2048, "2.hex") s2 (
    .clk, .write(control[0]), .read(control[1]), .to(a), .from(b), .data(x[1:0]), .q(q2));
  simple #(4, 1024, "4.hex") s4 (
    .clk, .write(control[0]), .read(control[1]), .to(a), .from(b), .data(x[3:0]), .q(q4));
  simple #(8, 512, "8.hex") s8 (
    .clk, .write(control[2]), .read(control[3]), .to(a), .from(b), .data(x[7:0]), .q(q8));
  simple #(16, 256, "16.hex") s16 (
    .clk, .write(control[2]), .read(1'b1), .to(a), .from(b), .data(x[15:0]), .q(q16));
  bits b16 (.clk, .write(y[31:16]), .to(a), .from(b), .data(x[15:0]), .q(qb));
  narrowing n4 (.clk, .write(control[4]), .to(a), .from(b), .data(y[15:0]), .q(qn));
  products p (.clk, .reset, .enable(control[5]), .x(x[15:0]), .y(y[15:0]), .pipelined, .total, .running,
    .rest);
  always_ff @(posedge clk) begin
    unsigned_product <= x[15:0] * y[15:0];
    signed_product <= $signed(x[15:0]) * $signed(y[15:0]);
    mixed <= 32'($signed(x[14:0]) * $signed({1'b0, y[14:0]}));
  end
  assign q = 600'({q2, q4, q8, q16, qb, qn, pipelined, total, running, rest, unsigned_product, signed_product, mixed});
endmodule
