// pc_reciprocal: 2^33 / d from below, by a table and one Newton step (docs/arithmetic.md, Reciprocal).
//
// Ports    in_divisor: 17 bits, 2^15 to 2^16; out_result: 18 bits. With SHARED a product is had from outside:
//          product_first and product_second are factors in the cycles 2 and 7, product is theirs 4 cycles later.
// Latency  6: table, its register, product, error, product, result; with SHARED 12. Initiation interval 1.
// Made of  256 x 16 bits of ROM, two multipliers of 18 x 18; with SHARED none.
module pc_reciprocal #(
    parameter bit SHARED = 0
) (
    input  logic        clk,
    input  logic [16:0] in_divisor,
    output logic [17:0] out_result,
    output logic [17:0] product_first_2,
    output logic [17:0] product_first_7,
    output logic [15:0] product_second_2,
    output logic [15:0] product_second_7,
    input  logic [33:0] product
);
  // 2^31 over the middle of the divisors that share an entry
  logic [15:0] start_of[256];
  initial for (int i = 0; i < 256; i = i + 1) start_of[i] = 16'(33554432 / (2 * i + 513));

  logic [15:0] read_start, start, start_late;
  logic [16:0] divisor_1, divisor;
  logic [32:0] error;
  always_ff @(posedge clk) begin
    read_start <= start_of[in_divisor[14:7]];
    divisor_1 <= in_divisor;
    start <= read_start;
    divisor <= divisor_1;
  end
  localparam int RESULT = SHARED ? 12 : 6;
  logic is_whole;  // 2^16 is no entry's: it has 2^17
  pc_delay #(
      .WIDTH (1),
      .CYCLES(RESULT - 1)
  ) whole (
      .clk(clk),
      .in (in_divisor[16]),
      .out(is_whole)
  );
  pc_delay #(
      .WIDTH (16),
      .CYCLES(SHARED ? 5 : 2),
      .MEMORY(SHARED)
  ) starts (
      .clk(clk),
      .in (start),
      .out(start_late)
  );
  assign product_first_2 = 18'(divisor);
  assign product_second_2 = start;
  assign product_first_7 = error[31:14];
  assign product_second_7 = start_late;
  if (SHARED) begin : g_shared
    always_ff @(posedge clk) begin
      error <= 33'h1_0000_0000 - product[32:0];  // d * t is off 2^31 by less than 2^-8 of it
      out_result <= is_whole ? 18'h20000 : product[32:15];
    end
    wire unused = &{1'b0, product};
  end else begin : g_own
    (* keep *) logic [32:0] first_product;  // see pc_product
    (* keep *) logic [33:0] result;
    always_ff @(posedge clk) begin
      first_product <= divisor * start;
      error <= 33'h1_0000_0000 - first_product;
      result <= start_late * error[31:14];
      out_result <= is_whole ? 18'h20000 : result[32:15];
    end
    wire unused = &{1'b0, product, result[33], result[14:0]};
  end
  wire unused_error = &{1'b0, error[32], error[13:0]};
endmodule
