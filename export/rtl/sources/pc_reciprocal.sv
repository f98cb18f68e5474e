// pc_reciprocal: 2^33 / d from below, by a table and one Newton step (docs/arithmetic.md, Reciprocal).
//
// Ports    in_divisor: 17 bits, 2^15 to 2^16; out_result: 18 bits.
// Latency  6: table, its register, product, error, product, result. Initiation interval 1.
// Made of  256 x 16 bits of ROM, two multipliers of 18 x 18.
module pc_reciprocal (
    input  logic        clk,
    input  logic [16:0] in_divisor,
    output logic [17:0] out_result
);
  // 2^31 over the middle of the divisors that share an entry
  logic [15:0] start_of[256];
  initial for (int i = 0; i < 256; i = i + 1) start_of[i] = 16'(33554432 / (2 * i + 513));

  logic [15:0] read_start, start, start_3, start_4;
  logic [16:0] divisor_1, divisor;
  logic [32:0] product, error;
  logic [33:0] result;
  logic [4:0] whole;  // 2^16 is no entry's: it has 2^17
  always_ff @(posedge clk) begin
    read_start <= start_of[in_divisor[14:7]];
    divisor_1 <= in_divisor;
    start <= read_start;
    divisor <= divisor_1;
    product <= divisor * start;
    start_3 <= start;
    error <= 33'h1_0000_0000 - product;  // d * t is off 2^31 by less than 2^-8 of it
    start_4 <= start_3;
    result <= start_4 * error[31:14];
    whole <= {whole[3:0], in_divisor[16]};
    out_result <= whole[4] ? 18'h20000 : result[32:15];
  end
  wire unused = &{1'b0, error[32], error[13:0], result[33], result[14:0]};
endmodule
