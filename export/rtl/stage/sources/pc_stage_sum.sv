// pc_stage_sum: what readings of line buffers add up to, one a cycle: a prediction, a correction by adaptive weights, or
// features (docs/predictor.md, sections Prediction, Adaptation and Class).
//
// Ports    go, go_first, go_count: so many readings begin, from this one on; go_start: what the sum begins with.
//          adapts: weights are the readings' factors; turn: which one is wanted, weight, a cycle later. parts:
//          sums are features, which begin with column or seen. busy, from the cycle after go, until all are in sum.
//          distance, values, firsts, residuals: the line buffers'. input_valid, input_place, input_number: an input of
//          the adaptation; feature_valid, feature_place, feature_sum: a feature. sum, wrapped: of a narrow group, and of
//          a wide one modulo 2^64.
// Latency  A reading is in the sum 8 cycles after it was asked for: its word 2, the line buffer 2, held 1, taken off 1,
//          multiplied 1, added 1.
`include "stage.svh"
module pc_stage_sum (
    input logic clk,
    input logic rst,
    input logic go,
    input logic [STAGE_READ_BITS-1:0] go_first,
    input logic [STAGE_READ_BITS-1:0] go_count,
    input logic signed [61:0] go_start,
    input logic adapts,
    input logic parts,
    output logic [STAGE_INPUT_BITS-1:0] turn,
    input logic signed [21:0] weight,
    input logic [STAGE_COLUMN_BITS-1:0] column,
    input logic signed [31:0] seen,
    output logic [STAGE_DISTANCE_BITS-1:0] distance,
    input logic [STAGE_NUMBER_BITS-1:0] values,
    input logic [STAGE_NUMBER_BITS-1:0] firsts,
    input logic [STAGE_NUMBER_BITS-1:0] residuals,
    output logic busy,
    output logic input_valid,
    output logic [STAGE_INPUT_BITS-1:0] input_place,
    output logic signed [31:0] input_number,
    output logic feature_valid,
    output logic [STAGE_FEATURE_ADDRESS_BITS-1:0] feature_place,
    output logic signed [STAGE_FEATURE_BITS-1:0] feature_sum,
    output logic signed [61:0] sum,
    output logic [63:0] wrapped
);
  localparam logic signed [63:0] MOST_NARROW = 64'sh0_ffff_ffff;
  localparam logic signed [63:0] MOST_SEEN = 64'sh0_7fff_ffff;

  logic [STAGE_READ_BITS-1:0] at, left;
  wire issues = left != '0;
  logic [7:1] valid;
  stage_reads_t read, read_3, read_4, read_5, read_6, read_7;
  logic [STAGE_READS_WIDTH-1:0] word;
  pc_rom #(.WORDS(STAGE_READS_WORDS), .WIDTH(STAGE_READS_WIDTH), .FILE("stage_reads.hex")) reads (
      .clk(clk), .address(at[(STAGE_READS_WORDS > 1 ? $clog2(STAGE_READS_WORDS) : 1)-1:0]), .data(word));
  assign read = word;
  assign distance = read.distance;
  logic starts;  // go was a cycle ago
  assign busy = starts || issues || valid != '0;

  // ---- cycle 4: the number is there; held, it is an input of the adaptation or of a product
  wire signed [63:0] found = read_4.buffer == 2'd0 ? 64'($signed(values))
      : read_4.buffer == 2'd1 ? 64'($signed(firsts)) : 64'($signed(residuals));
  wire signed [63:0] most = adapts || parts ? MOST_SEEN : MOST_NARROW;
  logic signed [32:0] number_5, held;
  logic [63:0] whole_5, whole_6;
  logic [STAGE_INPUT_BITS-1:0] turn_5;
  // ---- cycle 5: one of two is taken off, or only the size counts
  wire signed [33:0] gap = read_5.difference ? 34'(held) - 34'(number_5) : 34'(number_5);
  (* keep *) logic signed [33:0] operand_6;
  (* keep *) logic signed [21:0] factor_6;
  // ---- cycle 6: multiplied; of a wide group by at most 3
  (* keep *) logic signed [55:0] product_7;
  logic [63:0] product_wide_7;
  wire [1:0] times = factor_6[21] ? 2'(-factor_6[1:0]) : factor_6[1:0];
  wire [63:0] one_and_two = (times[0] ? whole_6 : '0) + (times[1] ? {whole_6[62:0], 1'b0} : '0);
  // ---- cycle 7: added
  wire signed [61:0] begins = !read_7.first || !parts ? sum : read_7.start == 2'd1 ? 62'($signed({1'b0, column}))
      : read_7.start == 2'd2 ? 62'(seen) : '0;
  wire signed [61:0] more = begins + 62'(product_7);
  logic [STAGE_FEATURE_ADDRESS_BITS-1:0] feature;

  assign input_valid = valid[5] && adapts;
  assign input_place = turn_5;
  assign input_number = number_5[31:0];
  assign feature_valid = valid[7] && parts && read_7.last;
  assign feature_place = feature;
  assign feature_sum = more[STAGE_FEATURE_BITS-1:0];
  always_ff @(posedge clk) begin
    starts <= go && !rst;
    if (go) begin
      at <= go_first;
      left <= go_count;
      sum <= go_start;
      wrapped <= '0;
      turn <= '0;
      feature <= '0;
    end else if (issues) begin
      at <= at + 1'b1;
      left <= left - 1'b1;
    end
    valid <= {valid[6:1], issues};
    read_3 <= read;
    read_4 <= read_3;
    read_5 <= read_4;
    read_6 <= read_5;
    read_7 <= read_6;
    number_5 <= found > most ? most[32:0] : found < -most ? 33'(-most) : found[32:0];
    whole_5 <= found;
    if (valid[4]) turn <= turn + 1'b1;
    turn_5 <= turn;
    if (valid[5]) held <= number_5;
    operand_6 <= read_5.size && gap < 0 ? -gap : gap;
    factor_6 <= adapts ? weight : read_5.factor;
    whole_6 <= whole_5;
    product_7 <= operand_6 * factor_6;
    product_wide_7 <= STAGE_WIDE != 0 ? (factor_6[21] ? -one_and_two : one_and_two) : '0;
    if (valid[7]) begin
      sum <= more;
      wrapped <= wrapped + product_wide_7;
      if (read_7.last) feature <= feature + 1'b1;
    end
    if (rst) begin
      left <= '0;
      valid <= '0;
    end
  end
endmodule
