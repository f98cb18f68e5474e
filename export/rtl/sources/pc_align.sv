// pc_align: a row of a vector's mantissas under the greater of two exponents, with truncation (docs/arithmetic.md, State
// vectors, Align; with KEEP also Tails). ALIGN sends the rows of its first source, then those of the second.
//
// Ports    in_valid, in_tag, in_mantissas: LANES of STATE_BITS bits; in_exponent: their own; in_other: the other
//          source's; in_keep. out_valid, out_tag, out_mantissas; out_exponent: the greater one.
// Latency  3 (KEEP 4). Initiation interval 1.
module pc_align #(
    parameter int LANES         = 4,
    parameter int STATE_BITS    = 16,
    parameter bit KEEP          = 0,
    parameter int EXPONENT_BITS = 32,
    parameter int TAG_BITS      = 1
) (
    input  logic                               clk,
    input  logic                               rst,
    input  logic                               in_valid,
    input  logic        [        TAG_BITS-1:0] in_tag,
    input  logic        [LANES*STATE_BITS-1:0] in_mantissas,
    input  logic signed [   EXPONENT_BITS-1:0] in_exponent,
    input  logic signed [   EXPONENT_BITS-1:0] in_other,
    input  logic                               in_keep,
    output logic                               out_valid,
    output logic        [        TAG_BITS-1:0] out_tag,
    output logic        [LANES*STATE_BITS-1:0] out_mantissas,
    output logic signed [   EXPONENT_BITS-1:0] out_exponent
);
  localparam int SHIFT_BITS = $clog2(STATE_BITS + 1);

  logic signed [EXPONENT_BITS-1:0] own, other, greater, greater_1, greater_2;
  logic signed [EXPONENT_BITS:0] gap;
  logic [LANES*STATE_BITS-1:0] mantissas_1, shifted;
  logic [SHIFT_BITS-1:0] amount;
  logic keep_1, keep_2;

  // the gap is below zero where the own exponent is the greater one; a shift by all bits leaves nothing
  wire own_is_greater = gap[EXPONENT_BITS];
  wire far = gap[EXPONENT_BITS-1:0] > EXPONENT_BITS'(STATE_BITS);
  assign greater = own_is_greater ? own : other;
  always_ff @(posedge clk) begin
    gap <= in_other - in_exponent;
    own <= in_exponent;
    other <= in_other;
    mantissas_1 <= in_mantissas;
    keep_1 <= in_keep;
    amount <= own_is_greater ? '0 : far ? SHIFT_BITS'(STATE_BITS) : gap[SHIFT_BITS-1:0];
    greater_1 <= greater;
    greater_2 <= greater_1;
    keep_2 <= keep_1;
  end
  logic [LANES*STATE_BITS-1:0] mantissas_2;
  always_ff @(posedge clk) begin
    mantissas_2 <= mantissas_1;
    for (int lane = 0; lane < LANES; lane = lane + 1)
      shifted[STATE_BITS*lane+:STATE_BITS] <= mantissas_2[STATE_BITS*lane+:STATE_BITS] >> amount;
  end

  localparam int LATENCY = KEEP ? 4 : 3;
  pc_valid #(
      .WIDTH (TAG_BITS),
      .CYCLES(LATENCY)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(in_tag),
      .out_valid(out_valid),
      .out(out_tag)
  );

  if (KEEP) begin : g_keep
    logic [LANES-1:0] some;
    logic keep_3;
    always_ff @(posedge clk) begin
      keep_3 <= keep_2;
      for (int lane = 0; lane < LANES; lane = lane + 1) begin
        some[lane] <= |mantissas_2[STATE_BITS*lane+:STATE_BITS];
        out_mantissas[STATE_BITS*lane+:STATE_BITS] <=
            keep_3 && some[lane] && shifted[STATE_BITS*lane+:STATE_BITS] == '0 ?
            STATE_BITS'(1) : shifted[STATE_BITS*lane+:STATE_BITS];
      end
      out_exponent <= greater_2;
    end
  end else begin : g_plain
    assign out_mantissas = shifted;
    assign out_exponent = greater_2;
    wire unused = &{1'b0, keep_2};
  end
endmodule
