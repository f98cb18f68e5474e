// pc_score: the anomaly score of a likelihood, -log2 in parts of 2^-8 bit (docs/unrolled.md, Score).
//
// Ports    in_valid, in_tag, in_mantissa: 0, or with A = STATE_BITS bits; in_exponent, signed; out_valid, out_tag,
//          out_score: 32 bits, all ones for an impossible record.
// Latency  4: table, its register, difference, limits. Initiation interval 1.
// Made of  a table of 128 x 8 bits.
module pc_score #(
    parameter int STATE_BITS    = 16,
    parameter int EXPONENT_BITS = 32,
    parameter int TAG_BITS      = 1
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic                            in_valid,
    input  logic        [     TAG_BITS-1:0] in_tag,
    input  logic        [   STATE_BITS-1:0] in_mantissa,
    input  logic signed [EXPONENT_BITS-1:0] in_exponent,
    output logic                            out_valid,
    output logic        [     TAG_BITS-1:0] out_tag,
    output logic        [             31:0] out_score
);
  // entry i, from the lowest byte: floor(2^8 log2(1 + (i + 1/2) / 2^7)); tests compare it with the reference
  localparam logic [1023:0] TABLE = {
    256'hfffdfcfaf9f7f6f5f3f2f0efedebeae8e7e5e4e2e1dfdedcdad9d7d6d4d2d1cf,
    256'hcdcccac8c7c5c3c2c0bebcbbb9b7b5b4b2b0aeadaba9a7a5a3a2a09e9c9a9896,
    256'h9492908e8c8b89878583807e7c7a78767472706e6c69676563615e5c5a585553,
    256'h514e4c4a474543403e3b393634312f2c2a2725221f1d1a1715120f0c09070401
  };
  localparam int WIDE = EXPONENT_BITS + 10;
  localparam logic signed [EXPONENT_BITS:0] FIRST = (EXPONENT_BITS + 1)'(1 - STATE_BITS);

  logic [7:0] table_of[128];
  initial for (int i = 0; i < 128; i = i + 1) table_of[i] = TABLE[8*i+:8];

  logic [7:0] entry_1, entry_2;
  logic signed [EXPONENT_BITS:0] whole_1, whole_2;
  logic signed [WIDE-1:0] bits;
  logic none_1, none_2, none_3;
  wire negative = bits[WIDE-1];
  wire beyond = |bits[WIDE-2:32] || &bits[31:0];  // 2^32 - 2 is the most
  always_ff @(posedge clk) begin
    entry_1 <= table_of[in_mantissa[STATE_BITS-2-:7]];
    whole_1 <= FIRST - (EXPONENT_BITS + 1)'(in_exponent);
    none_1 <= in_mantissa == '0;
    {entry_2, whole_2, none_2} <= {entry_1, whole_1, none_1};
    bits <= (WIDE'(whole_2) <<< 8) - WIDE'(entry_2);
    none_3 <= none_2;
    out_score <= none_3 ? '1 : negative ? '0 : beyond ? 32'hffff_fffe : bits[31:0];
  end
  pc_valid #(
      .WIDTH (TAG_BITS),
      .CYCLES(4)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(in_tag),
      .out_valid(out_valid),
      .out(out_tag)
  );
endmodule
