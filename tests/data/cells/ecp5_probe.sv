// Memories of every shape that yosys maps to DP16KD, and products that it maps to MULT18X18D.
// Images of memories are 1.hex, 2.hex, ..., by the bits of a word.

// One port to write and one to read; the output has a reset and an enable.
module simple #(parameter int WIDTH = 18, parameter int DEPTH = 1024, parameter IMAGE = "18.hex") (
  input logic clk, input logic reset, input logic write, input logic read,
  input logic [13:0] to, input logic [13:0] from, input logic [WIDTH-1:0] data, output logic [WIDTH-1:0] q);
  localparam int BITS = $clog2(DEPTH);
  (* ram_style = "block" *) logic [WIDTH-1:0] memory [DEPTH];
  initial $readmemh(IMAGE, memory);
  always_ff @(posedge clk) begin
    if (write) memory[to[BITS-1:0]] <= data;
    if (reset) q <= '0;
    else if (read) q <= memory[from[BITS-1:0]];
  end
endmodule

// Two ports that both read and write, one shows what it writes and one what was there.
module dual #(parameter int WIDTH = 9, parameter int DEPTH = 2048, parameter IMAGE = "9.hex") (
  input logic clk, input logic [1:0] write, input logic [13:0] a, input logic [13:0] b,
  input logic [WIDTH-1:0] data_a, input logic [WIDTH-1:0] data_b,
  output logic [WIDTH-1:0] q_a, output logic [WIDTH-1:0] q_b);
  localparam int BITS = $clog2(DEPTH);
  (* ram_style = "block" *) logic [WIDTH-1:0] memory [DEPTH];
  initial $readmemh(IMAGE, memory);
  always_ff @(posedge clk)
    if (write[0]) begin
      memory[a[BITS-1:0]] <= data_a;
      q_a <= data_a;
    end else q_a <= memory[a[BITS-1:0]];
  // Ports of one memory that meet at one address have no value that is fixed: the address differs in one bit.
  always_ff @(posedge clk) begin
    if (write[1]) memory[{~a[BITS-1], b[BITS-2:0]}] <= data_b;
    q_b <= memory[{~a[BITS-1], b[BITS-2:0]}];
  end
endmodule

// Words of 36 bits with an enable for each byte of nine.
module bytes (
  input logic clk, input logic [3:0] write, input logic [13:0] to, input logic [13:0] from,
  input logic [35:0] data, output logic [35:0] q);
  (* ram_style = "block" *) logic [35:0] memory [512];
  initial $readmemh("36.hex", memory);
  always_ff @(posedge clk) begin
    for (int i = 0; i < 4; i++) if (write[i]) memory[to[8:0]][9*i +: 9] <= data[9*i +: 9];
    q <= memory[from[8:0]];
  end
endmodule

// Written four bytes at a time, and read one at a time.
module narrowing (
  input logic clk, input logic write, input logic [13:0] to, input logic [13:0] from,
  input logic [35:0] data, output logic [8:0] q);
  (* ram_style = "block" *) logic [8:0] memory [2048];
  initial $readmemh("9.hex", memory);
  always_ff @(posedge clk) begin
    if (write) for (int i = 0; i < 4; i++) memory[{to[8:0], 2'(i)}] <= data[9*i +: 9];
    q <= memory[from[10:0]];
  end
endmodule

module probe (
  input logic clk, input logic reset, input logic [7:0] control, input logic [13:0] a, input logic [13:0] b,
  input logic [35:0] x, input logic [35:0] y, output logic [599:0] q);
  logic q1;
  logic [1:0] q2;
  logic [3:0] q4;
  logic [8:0] q9, qa, qb, qn;
  logic [17:0] q18, ra, rb;
  logic [35:0] q36, qy;
  simple #(1, 16384, "1.hex") s1 (
    .clk, .reset, .write(control[0]), .read(control[1]), .to(a), .from(b), .data(x[0]), .q(q1));
  simple #(2, 8192, "2.hex") s2 (
    .clk, .reset, .write(control[0]), .read(control[1]), .to(a), .from(b), .data(x[1:0]), .q(q2));
  simple #(4, 4096, "4.hex") s4 (
    .clk, .reset, .write(control[0]), .read(control[1]), .to(a), .from(b), .data(x[3:0]), .q(q4));
  simple #(9, 2048, "9.hex") s9 (
    .clk, .reset, .write(control[2]), .read(control[3]), .to(a), .from(b), .data(x[8:0]), .q(q9));
  simple #(18, 1024, "18.hex") s18 (
    .clk, .reset, .write(control[2]), .read(1'b1), .to(a), .from(b), .data(x[17:0]), .q(q18));
  simple #(36, 512, "36.hex") s36 (
    .clk, .reset(1'b0), .write(control[4]), .read(control[5]), .to(a), .from(b), .data(x), .q(q36));
  dual #(9, 2048, "9.hex") d9 (
    .clk, .write(control[7:6]), .a, .b, .data_a(x[8:0]), .data_b(y[8:0]), .q_a(qa), .q_b(qb));
  dual #(18, 1024, "18.hex") d18 (
    .clk, .write(control[7:6]), .a, .b, .data_a(x[17:0]), .data_b(y[17:0]), .q_a(ra), .q_b(rb));
  bytes b36 (.clk, .write(control[3:0]), .to(a), .from(b), .data(x), .q(qy));
  narrowing n9 (.clk, .write(control[4]), .to(a), .from(b), .data(y), .q(qn));

  logic [35:0] unsigned_product, signed_product, mixed;
  logic [51:0] wide;
  always_ff @(posedge clk) begin
    unsigned_product <= x[17:0] * y[17:0];
    signed_product <= $signed(x[17:0]) * $signed(y[17:0]);
    mixed <= 36'($signed(x[15:0]) * $signed({1'b0, y[15:0]}));
    wide <= 52'(x[25:0]) * 52'(y[25:0]);
  end
  assign q = 600'({q1, q2, q4, q9, q18, q36, qa, qb, ra, rb, qy, qn, unsigned_product, signed_product, mixed, wide});
endmodule
