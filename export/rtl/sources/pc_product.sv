// pc_product: the product of two numbers without a sign, wider than one multiplier of a device.
//
// Ports    in_first: FIRST_BITS, in_second: SECOND_BITS, at most 2 * PART_BITS each; out: their product.
// Latency  4: operands, parts, sums of parts of one place, product. Initiation interval 1.
// Made of  up to four multipliers of PART_BITS x PART_BITS: 18 is what ECP5 and Gowin have, 16 iCE40.
module pc_product #(
    parameter int FIRST_BITS  = 26,
    parameter int SECOND_BITS = 25,
    parameter int PART_BITS   = 18
) (
    input  logic                              clk,
    input  logic [            FIRST_BITS-1:0] in_first,
    input  logic [           SECOND_BITS-1:0] in_second,
    output logic [FIRST_BITS+SECOND_BITS-1:0] out
);
  localparam int WIDE = 2 * PART_BITS;
  localparam int OUT_BITS = FIRST_BITS + SECOND_BITS;

  logic [WIDE-1:0] first, second;
  logic [WIDE-1:0] low, middle_1, middle_2, high;
  logic [WIDE:0] middle;
  logic [2*WIDE-1:0] ends;
  logic [2*WIDE-PART_BITS-1:0] upper;
  logic [PART_BITS-1:0] lower;
  always_ff @(posedge clk) begin
    first <= WIDE'(in_first);
    second <= WIDE'(in_second);
    low <= first[PART_BITS-1:0] * second[PART_BITS-1:0];
    middle_1 <= first[WIDE-1:PART_BITS] * second[PART_BITS-1:0];
    middle_2 <= first[PART_BITS-1:0] * second[WIDE-1:PART_BITS];
    high <= first[WIDE-1:PART_BITS] * second[WIDE-1:PART_BITS];
    middle <= middle_1 + middle_2;
    ends <= {high, low};
    upper <= ends[2*WIDE-1:PART_BITS] + (2 * WIDE - PART_BITS)'(middle);
    lower <= ends[PART_BITS-1:0];
  end
  if (OUT_BITS > PART_BITS) begin : g_wide
    assign out = OUT_BITS'({upper, lower});
  end else begin : g_narrow
    assign out = lower[OUT_BITS-1:0];
  end
  wire unused = &{1'b0, upper, lower};
endmodule
