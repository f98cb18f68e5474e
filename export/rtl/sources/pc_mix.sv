// pc_mix: weights times mantissas, added up exactly (docs/arithmetic.md, State vectors, Accumulate; with KEEP also Tails,
// UP). A tile of ROWS x COLUMNS weights a cycle: up, its rows are targets; down, its columns are, and the same tile is
// read. A vector that is longer than a tile comes in several cycles, in_first with the first, in_last with the last one,
// and its sums wait in a register a lane. One multiplier and one list entry a cycle (LIST, sparse rows) is a tile of
// 1 x 1. What comes out goes to pc_normalise.
//
// Ports    in_valid, in_tag, in_first, in_last, in_down. in_weights: weight (r, c) in place r * COLUMNS + c, of
//          WEIGHT_BITS bits, W + 1, for a certain child weighs 2^W. in_vector: COLUMNS mantissas up, ROWS down.
//          in_keep, in_tails, in_lift (KEEP only): the step keeps, its layer has tails, and as in pc_normalise; the
//          first two must be those of all cycles of a sum.
//          out_valid, out_tag (of the last cycle), out_sums: LANES = COLUMNS sums, of which up ROWS are not zero.
//          Weights of places beyond the matrix must be zero, and with tails their mantissas too.
// Widths   ROWS is COLUMNS or COLUMNS / 2. A sum has SUM_BITS bits: the caller's accumulator, docs/arithmetic.md.
// Latency  4 + log2 ROWS (KEEP 6 + log2 ROWS) from the last cycle. Initiation interval 1.
// Made of  ROWS * COLUMNS multipliers of WEIGHT_BITS x STATE_BITS. For down the weights are transposed in front of them
//          and not the products behind, so that there is one set of trees.
module pc_mix #(
    parameter int ROWS        = 4,
    parameter int COLUMNS     = 4,
    parameter int WEIGHT_BITS = 9,
    parameter int STATE_BITS  = 16,
    parameter int SUM_BITS    = 32,
    parameter bit KEEP        = 0,
    parameter int TAG_BITS    = 1
) (
    input  logic                                clk,
    input  logic                                rst,
    input  logic                                in_valid,
    input  logic [                TAG_BITS-1:0] in_tag,
    input  logic                                in_first,
    input  logic                                in_last,
    input  logic                                in_down,
    input  logic [ROWS*COLUMNS*WEIGHT_BITS-1:0] in_weights,
    input  logic [      COLUMNS*STATE_BITS-1:0] in_vector,
    input  logic                                in_keep,
    input  logic                                in_tails,
    input  logic [                         3:0] in_lift,
    output logic                                out_valid,
    output logic [                TAG_BITS-1:0] out_tag,
    output logic [        COLUMNS*SUM_BITS-1:0] out_sums
);
  // a half is a square of ROWS x ROWS weights, which is transposed in itself
  localparam int HALVES = COLUMNS / ROWS;
  localparam int LEVELS = $clog2(ROWS);
  // no weight exceeds 2^W, so a product needs a bit less than its factors have; a lifted tail needs no more
  localparam int TERM_BITS = WEIGHT_BITS - 1 + STATE_BITS;
  localparam int PART_BITS = TERM_BITS + LEVELS;
  // cycles from the inputs to the parts: operands, products, with KEEP a choice, the tree
  localparam int PART_AT = 2 + (KEEP ? 1 : 0) + LEVELS;

  logic [COLUMNS*PART_BITS-1:0] parts;  // half h of tree k in place h * ROWS + k
  logic [COLUMNS-1:0] part_some;  // with KEEP: some term of the part is possible
  logic down, keep, tails;
  logic [3:0] lift;
  always_ff @(posedge clk) begin
    keep <= KEEP && in_keep;
    tails <= KEEP && in_tails;
    lift <= in_lift;
  end

  for (genvar half = 0; half < HALVES; ++half) begin : g_half
    for (genvar tree = 0; tree < ROWS; ++tree) begin : g_tree
      logic [ROWS*TERM_BITS-1:0] terms;
      logic [ROWS-1:0] some;
      for (genvar j = 0; j < ROWS; ++j) begin : g_term
        wire [WEIGHT_BITS-1:0] up_weight = in_weights[(tree*COLUMNS+half*ROWS+j)*WEIGHT_BITS+:WEIGHT_BITS];
        wire [WEIGHT_BITS-1:0] down_weight = in_weights[(j*COLUMNS+half*ROWS+tree)*WEIGHT_BITS+:WEIGHT_BITS];
        wire [STATE_BITS-1:0] up_mantissa = in_vector[(half*ROWS+j)*STATE_BITS+:STATE_BITS];
        wire [STATE_BITS-1:0] down_mantissa = in_vector[j*STATE_BITS+:STATE_BITS];
        wire [STATE_BITS-1:0] whole = in_down ? down_mantissa : up_mantissa;
        wire drop = KEEP && in_keep && whole == STATE_BITS'(1);  // only possible: it weighs nothing
        logic [WEIGHT_BITS-1:0] weight;
        logic [STATE_BITS-1:0] mantissa;
        logic [WEIGHT_BITS+STATE_BITS-1:0] product;
        always_ff @(posedge clk) begin
          weight <= in_down ? down_weight : up_weight;
          mantissa <= drop ? '0 : whole;
          product <= weight * mantissa;
        end
        wire unused = product[WEIGHT_BITS+STATE_BITS-1];
        if (KEEP) begin : g_keep
          logic seen, none, some_1;
          logic [TERM_BITS-1:0] tail, term;
          always_ff @(posedge clk) begin
            seen <= |whole;
            none <= weight == '0 && tails;
            some_1 <= seen && (weight != '0 || tails);
            tail <= TERM_BITS'(mantissa[STATE_BITS-1:4]) << lift;
            term <= none ? tail : product[TERM_BITS-1:0];
          end
          assign terms[j*TERM_BITS+:TERM_BITS] = term;
          assign some[j] = some_1;
        end else begin : g_plain
          assign terms[j*TERM_BITS+:TERM_BITS] = product[TERM_BITS-1:0];
          assign some[j] = 1'b0;
        end
      end
      pc_adder_tree #(
          .COUNT(ROWS),
          .WIDTH(TERM_BITS)
      ) adders (
          .clk(clk),
          .in (terms),
          .out(parts[(half*ROWS+tree)*PART_BITS+:PART_BITS])
      );
      pc_delay #(
          .CYCLES(KEEP ? LEVELS + 1 : 0)
      ) possible (
          .clk(clk),
          .in (|some),
          .out(part_some[half*ROWS+tree])
      );
    end
  end

  logic part_valid, part_first, part_last, part_keep;
  logic [3:0] part_lift;
  logic [TAG_BITS-1:0] part_tag;
  pc_valid #(
      .WIDTH (TAG_BITS + 3),
      .CYCLES(PART_AT)
  ) beside (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in({in_tag, in_first, in_last, in_down}),
      .out_valid(part_valid),
      .out({part_tag, part_first, part_last, down})
  );
  pc_delay #(
      .WIDTH (5),
      .CYCLES(PART_AT - 1)
  ) kept (
      .clk(clk),
      .in ({keep, lift}),
      .out({part_keep, part_lift})
  );

  // up, the halves of a row are one sum
  logic sum_valid, sum_first, sum_last, sum_keep;
  logic [3:0] sum_lift;
  logic [TAG_BITS-1:0] sum_tag;
  logic [COLUMNS*SUM_BITS-1:0] sums, totals;
  logic [COLUMNS-1:0] sum_some, total_some;
  logic total_keep;
  logic [3:0] total_lift;
  always_ff @(posedge clk) begin
    sum_valid <= part_valid && !rst;
    {sum_first, sum_last, sum_tag, sum_keep, sum_lift} <= {part_first, part_last, part_tag, part_keep, part_lift};
    total_keep <= sum_keep;
    total_lift <= sum_lift;
  end
  for (genvar lane = 0; lane < COLUMNS; ++lane) begin : g_lane
    wire [SUM_BITS-1:0] part = SUM_BITS'(parts[lane*PART_BITS+:PART_BITS]);
    if (lane < ROWS && HALVES == 2) begin : g_both
      localparam int OTHER = lane + ROWS;
      wire [SUM_BITS-1:0] other = SUM_BITS'(parts[OTHER*PART_BITS+:PART_BITS]);
      always_ff @(posedge clk) begin
        sums[lane*SUM_BITS+:SUM_BITS] <= part + (down ? '0 : other);
        sum_some[lane] <= part_some[lane] || (!down && part_some[OTHER]);
      end
    end else if (lane < ROWS) begin : g_one
      always_ff @(posedge clk) begin
        sums[lane*SUM_BITS+:SUM_BITS] <= part;
        sum_some[lane] <= part_some[lane];
      end
    end else begin : g_down
      always_ff @(posedge clk) begin
        sums[lane*SUM_BITS+:SUM_BITS] <= down ? part : '0;
        sum_some[lane] <= down && part_some[lane];
      end
    end
    wire [SUM_BITS-1:0] held = sum_first ? '0 : totals[lane*SUM_BITS+:SUM_BITS];
    wire some_held = !sum_first && total_some[lane];
    always_ff @(posedge clk)
      if (sum_valid) begin
        totals[lane*SUM_BITS+:SUM_BITS] <= held + sums[lane*SUM_BITS+:SUM_BITS];
        total_some[lane] <= some_held || sum_some[lane];
      end
  end

  logic total_valid;
  logic [TAG_BITS-1:0] total_tag;
  always_ff @(posedge clk) begin
    total_valid <= sum_valid && sum_last && !rst;
    total_tag <= sum_tag;
  end
  if (KEEP) begin : g_possible
    always_ff @(posedge clk) begin
      out_valid <= total_valid && !rst;
      out_tag <= total_tag;
      for (int lane = 0; lane < COLUMNS; lane = lane + 1)
        out_sums[lane*SUM_BITS+:SUM_BITS] <=
            total_keep && total_some[lane] && totals[lane*SUM_BITS+:SUM_BITS] == '0 ?
            SUM_BITS'(1) << total_lift : totals[lane*SUM_BITS+:SUM_BITS];
    end
  end else begin : g_exact
    assign out_valid = total_valid;
    assign out_tag = total_tag;
    assign out_sums = totals;
    wire unused = &{1'b0, total_some, total_keep, total_lift, down, tails};
  end
endmodule
