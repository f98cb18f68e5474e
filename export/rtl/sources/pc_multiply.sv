// pc_multiply: two rows of mantissas entry by entry, and their exponents' sum (docs/arithmetic.md, State vectors,
// Accumulate; with KEEP also Tails, MULTIPLY). What comes out goes to pc_normalise.
//
// Ports    in_valid, in_tag, in_first, in_second: LANES mantissas of STATE_BITS bits each; the exponents of their
//          vectors; in_keep, in_lift as in pc_normalise. out_valid, out_tag, out_entries: 2 * STATE_BITS bits each;
//          out_exponent with one bit more.
// Latency  2 (KEEP 3). Initiation interval 1.
module pc_multiply #(
    parameter int LANES         = 4,
    parameter int STATE_BITS    = 16,
    parameter bit KEEP          = 0,
    parameter int EXPONENT_BITS = 32,
    parameter int TAG_BITS      = 1
) (
    input  logic                                clk,
    input  logic                                rst,
    input  logic                                in_valid,
    input  logic        [         TAG_BITS-1:0] in_tag,
    input  logic        [ LANES*STATE_BITS-1:0] in_first,
    input  logic        [ LANES*STATE_BITS-1:0] in_second,
    input  logic signed [    EXPONENT_BITS-1:0] in_first_exponent,
    input  logic signed [    EXPONENT_BITS-1:0] in_second_exponent,
    input  logic                                in_keep,
    input  logic        [                  3:0] in_lift,
    output logic                                out_valid,
    output logic        [         TAG_BITS-1:0] out_tag,
    output logic        [2*LANES*STATE_BITS-1:0] out_entries,
    output logic signed [      EXPONENT_BITS:0] out_exponent
);
  localparam int WIDTH = 2 * STATE_BITS;
  localparam logic [STATE_BITS-1:0] POSSIBLE = STATE_BITS'(1);

  logic [LANES*STATE_BITS-1:0] first, second;
  logic [LANES*WIDTH-1:0] product;
  logic signed [EXPONENT_BITS-1:0] first_exponent, second_exponent;
  logic signed [EXPONENT_BITS:0] exponent;

  always_ff @(posedge clk) begin
    first_exponent <= in_first_exponent;
    second_exponent <= in_second_exponent;
    exponent <= first_exponent + second_exponent;
  end
  for (genvar lane = 0; lane < LANES; ++lane) begin : g_lane
    wire [STATE_BITS-1:0] one = in_first[STATE_BITS*lane+:STATE_BITS];
    wire [STATE_BITS-1:0] two = in_second[STATE_BITS*lane+:STATE_BITS];
    wire drop_one = KEEP && in_keep && one == POSSIBLE;  // only possible: it weighs nothing
    wire drop_two = KEEP && in_keep && two == POSSIBLE;
    always_ff @(posedge clk) begin
      first[STATE_BITS*lane+:STATE_BITS] <= drop_one ? '0 : one;
      second[STATE_BITS*lane+:STATE_BITS] <= drop_two ? '0 : two;
      product[WIDTH*lane+:WIDTH] <= first[STATE_BITS*lane+:STATE_BITS] * second[STATE_BITS*lane+:STATE_BITS];
    end
  end

  localparam int LATENCY = KEEP ? 3 : 2;
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
    logic [LANES-1:0] possible, held_possible;
    logic held_keep, product_keep;
    logic [3:0] held_lift, product_lift;
    always_ff @(posedge clk) begin
      for (int lane = 0; lane < LANES; lane = lane + 1) begin
        possible[lane] <= |in_first[STATE_BITS*lane+:STATE_BITS] && |in_second[STATE_BITS*lane+:STATE_BITS];
        out_entries[WIDTH*lane+:WIDTH] <= product_keep && held_possible[lane] && product[WIDTH*lane+:WIDTH] == '0 ?
            WIDTH'(1) << product_lift : product[WIDTH*lane+:WIDTH];
      end
      held_possible <= possible;
      held_keep <= in_keep;
      product_keep <= held_keep;
      held_lift <= in_lift;
      product_lift <= held_lift;
      out_exponent <= exponent;
    end
  end else begin : g_plain
    assign out_entries = product;
    assign out_exponent = exponent;
    wire unused = &{1'b0, in_keep, in_lift};
  end
endmodule
