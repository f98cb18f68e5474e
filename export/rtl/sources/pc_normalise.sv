// pc_normalise: vectors of exact entries to mantissas and an exponent (docs/arithmetic.md, State vectors, Normalise;
// with KEEP also Tails). A vector comes row by row, LANES entries a cycle, in_last with its last row; what it is shifted
// by is known then, and its rows leave one after the other.
//
// Ports    in_valid, in_last, in_tag, in_used, in_entries: a row. in_used has a one for each lane that is of the vector;
//          the entries of the others must be zero, and stay so.
//          in_exponent, in_revive, in_keep, in_lift: of the vector, read with its last row. in_lift: bits by which the
//          weights of the step are larger than the circuit's; 0 but in a reloadable engine.
//          out_valid, out_last, out_tag, out_mantissas: the rows, in their order, each with its tag. out_exponent: the
//          vector's, beside each of its rows.
// Widths   in_exponent EXPONENT_BITS + 1 with its sign, out_exponent EXPONENT_BITS; it saturates at
//          -2^(EXPONENT_BITS - 2).
// Latency  ROWS 1: 5 (KEEP 6). Else 7 (KEEP 8) from the last row of a vector to its first one; later where a vector
//          before it is still leaving. Never more than ROWS and a few rows are inside, so nothing ever waits at the
//          inputs. Initiation interval: a row a cycle.
module pc_normalise #(
    parameter int LANES         = 4,
    parameter int WIDTH         = 32,
    parameter int STATE_BITS    = 16,
    parameter int ROWS          = 1,
    parameter bit KEEP          = 0,
    parameter int EXPONENT_BITS = 32,
    parameter int TAG_BITS      = 1
) (
    input  logic                              clk,
    input  logic                              rst,
    input  logic                              in_valid,
    input  logic                              in_last,
    input  logic        [       TAG_BITS-1:0] in_tag,
    input  logic        [          LANES-1:0] in_used,
    input  logic        [    LANES*WIDTH-1:0] in_entries,
    input  logic signed [    EXPONENT_BITS:0] in_exponent,
    input  logic                              in_revive,
    input  logic                              in_keep,
    input  logic        [                3:0] in_lift,
    output logic                              out_valid,
    output logic                              out_last,
    output logic        [       TAG_BITS-1:0] out_tag,
    output logic        [LANES*STATE_BITS-1:0] out_mantissas,
    output logic signed [  EXPONENT_BITS-1:0] out_exponent
);
  localparam int GROUPS = (WIDTH + 7) / 8;
  localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int ROW_BITS = 1 + TAG_BITS + LANES + LANES * WIDTH;
  localparam int VECTOR_BITS = EXPONENT_BITS + 1 + 1 + (KEEP ? 5 : 0);
  localparam int LENGTH_BITS = GROUP_BITS + 3 + 1;
  localparam int WIDE = EXPONENT_BITS + 2;

  logic [VECTOR_BITS-1:0] in_vector;
  if (KEEP) begin : g_in_keep
    assign in_vector = {in_exponent, in_revive, in_keep, in_lift};
  end else begin : g_in_plain
    assign in_vector = {in_exponent, in_revive};
    wire unused_in = &{1'b0, in_keep, in_lift};
  end

  // the OR of all entries has as many bits as the largest
  logic [WIDTH-1:0] row_bits;
  always_comb begin
    row_bits = '0;
    for (int lane = 0; lane < LANES; lane = lane + 1) row_bits = row_bits | in_entries[WIDTH*lane+:WIDTH];
  end
  logic [WIDTH-1:0] any;
  always_ff @(posedge clk) any <= row_bits;

  // a row, its vector, and what the vector's leading zeros are, side by side
  logic row_valid, row_last;
  logic [TAG_BITS-1:0] row_tag;
  logic [LANES-1:0] row_used;
  logic [LANES*WIDTH-1:0] row_entries;
  logic [VECTOR_BITS-1:0] row_vector;
  logic [GROUP_BITS-1:0] row_groups;
  logic [2:0] row_rest;
  logic row_zero;

  if (ROWS == 1) begin : g_row
    pc_leading #(
        .WIDTH(WIDTH)
    ) leading (
        .clk(clk),
        .in(any),
        .out_groups(row_groups),
        .out_rest(row_rest),
        .out_zero(row_zero)
    );
    pc_valid #(
        .WIDTH (ROW_BITS + VECTOR_BITS),
        .CYCLES(3)
    ) row (
        .clk(clk),
        .rst(rst),
        .in_valid(in_valid),
        .in({in_last, in_tag, in_used, in_entries, in_vector}),
        .out_valid(row_valid),
        .out({row_last, row_tag, row_used, row_entries, row_vector})
    );
  end else begin : g_rows
    logic in_valid_1, in_last_1, in_valid_2, in_last_2, begins;
    logic [WIDTH-1:0] all;
    always_ff @(posedge clk) begin
      in_valid_1 <= in_valid && !rst;
      in_last_1 <= in_last;
      in_valid_2 <= in_valid_1 && !rst;
      in_last_2 <= in_last_1;
      if (in_valid_1) begin
        all <= begins ? any : all | any;
        begins <= in_last_1;
      end
      if (rst) begins <= 1'b1;
    end
    logic known;
    logic [GROUP_BITS-1:0] groups;
    logic [2:0] rest;
    logic zero;
    logic [VECTOR_BITS-1:0] vector;
    pc_leading #(
        .WIDTH(WIDTH)
    ) leading (
        .clk(clk),
        .in(all),
        .out_groups(groups),
        .out_rest(rest),
        .out_zero(zero)
    );
    logic [VECTOR_BITS-1:0] vector_2;
    pc_delay #(
        .WIDTH (VECTOR_BITS),
        .CYCLES(2)
    ) counts (
        .clk(clk),
        .in (in_vector),
        .out(vector_2)
    );
    pc_valid #(
        .WIDTH (VECTOR_BITS),
        .CYCLES(2)
    ) knows (
        .clk(clk),
        .rst(rst),
        .in_valid(in_valid_2 && in_last_2),
        .in(vector_2),
        .out_valid(known),
        .out(vector)
    );
    logic vector_ready, rows_ready, rows_valid, vector_valid;
    pc_fifo #(
        .WIDTH(LENGTH_BITS + VECTOR_BITS),
        .DEPTH(ROWS + 6)
    ) vectors (
        .clk(clk),
        .rst(rst),
        .in_valid(known),
        .in_ready(vector_ready),
        .in({groups, rest, zero, vector}),
        .out_valid(vector_valid),
        .out_ready(row_last),
        .out({row_groups, row_rest, row_zero, row_vector})
    );
    pc_fifo #(
        .WIDTH(ROW_BITS),
        .DEPTH(ROWS + 6)
    ) rows (
        .clk(clk),
        .rst(rst),
        .in_valid(in_valid),
        .in_ready(rows_ready),
        .in({in_last, in_tag, in_used, in_entries}),
        .out_valid(rows_valid),
        .out_ready(vector_valid),
        .out({row_last, row_tag, row_used, row_entries})
    );
    assign row_valid = vector_valid;
`ifndef SYNTHESIS
    always_ff @(posedge clk)
      if (!rst) begin
        // rows leave as fast as they come, so what is inside never grows beyond one vector and the counting's latency
        assert (!in_valid || rows_ready);
        assert (!known || vector_ready);
        assert (!vector_valid || rows_valid);
      end
`endif
  end

  // shift by eights, by ones
  logic signed [EXPONENT_BITS:0] row_exponent;
  logic row_revive, row_keep;
  logic [3:0] row_lift;
  if (KEEP) begin : g_keep
    assign {row_exponent, row_revive, row_keep, row_lift} = row_vector;
  end else begin : g_plain
    assign {row_exponent, row_revive} = row_vector;
    assign row_keep = 1'b0;
    assign row_lift = '0;
  end

  logic [2:0] held_rest;
  logic held_zero, held_revive;
  logic [LANES-1:0] held_used, scaled_ones;
  logic signed [WIDE-1:0] sum, scaled_exponent;
  wire signed [WIDE-1:0] zeros = WIDE'({row_groups, row_rest});
  wire signed [WIDE-1:0] gain = WIDE'(WIDTH - STATE_BITS) - zeros;
  // below the least exponent: negative, and the bits above its own not all ones
  wire below = sum[WIDE-1] && !(&sum[WIDE-1:EXPONENT_BITS-2]);
  localparam logic signed [WIDE-1:0] LEAST = -(WIDE'(1) <<< (EXPONENT_BITS - 2));
  always_ff @(posedge clk) begin
    held_rest <= row_rest;
    held_zero <= row_zero;
    held_revive <= row_revive;
    held_used <= row_used;
    sum <= WIDE'(row_exponent) + (row_zero ? '0 : gain);
    scaled_ones <= held_zero && held_revive ? held_used : '0;
    scaled_exponent <= below || (held_zero && !held_revive) ? LEAST : sum;
  end

  wire unused = &{1'b0, scaled_exponent[WIDE-1:EXPONENT_BITS]};

  logic [LANES*STATE_BITS-1:0] scaled;
  for (genvar lane = 0; lane < LANES; ++lane) begin : g_lane
    logic [STATE_BITS-1:0] entry;
    pc_scale_entry #(
        .WIDTH(WIDTH),
        .OUT_BITS(STATE_BITS)
    ) shift (
        .clk(clk),
        .in(row_entries[WIDTH*lane+:WIDTH]),
        .groups(row_groups),
        .held_rest(held_rest),
        .out(entry)
    );
    assign scaled[STATE_BITS*lane+:STATE_BITS] = {entry[STATE_BITS-1] | scaled_ones[lane], entry[STATE_BITS-2:0]};
  end

  logic scaled_valid, scaled_last;
  logic [TAG_BITS-1:0] scaled_tag;
  pc_valid #(
      .WIDTH (1 + TAG_BITS),
      .CYCLES(2)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(row_valid),
      .in({row_last, row_tag}),
      .out_valid(scaled_valid),
      .out({scaled_last, scaled_tag})
  );

  if (KEEP) begin : g_kept
    // an entry that is not zero stays at least 1, and one that is only possible is 1 beside others
    logic [LANES-1:0] some, lone, held_some, held_lone;
    logic held_keep, held_beside, scaled_keep;
    logic [5:0] length;
    assign length = 6'(WIDTH) - 6'({row_groups, row_rest});
    always_comb
      for (int lane = 0; lane < LANES; lane = lane + 1) begin
        some[lane] = |row_entries[WIDTH*lane+:WIDTH];
        lone[lane] = row_entries[WIDTH*lane+:WIDTH] == WIDTH'(1) << row_lift;
      end
    logic [LANES-1:0] scaled_some, scaled_lone;
    logic [LANES*STATE_BITS-1:0] kept;
    always_comb
      for (int lane = 0; lane < LANES; lane = lane + 1) begin
        kept[STATE_BITS*lane+:STATE_BITS] = scaled[STATE_BITS*lane+:STATE_BITS];
        if (scaled_keep && (scaled_lone[lane] ||
            (scaled_some[lane] && scaled[STATE_BITS*lane+:STATE_BITS] == '0)))
          kept[STATE_BITS*lane+:STATE_BITS] = STATE_BITS'(1);
      end
    always_ff @(posedge clk) begin
      held_some <= some;
      held_lone <= lone;
      held_keep <= row_keep;
      held_beside <= length > 6'(row_lift) + 6'd1;
      scaled_some <= held_some;
      scaled_lone <= held_beside ? held_lone : '0;
      scaled_keep <= held_keep;
      out_mantissas <= kept;
      out_exponent <= EXPONENT_BITS'(scaled_exponent);
      out_valid <= scaled_valid && !rst;
      out_last <= scaled_last;
      out_tag <= scaled_tag;
    end
  end else begin : g_out
    assign out_mantissas = scaled;
    assign out_exponent = EXPONENT_BITS'(scaled_exponent);
    assign out_valid = scaled_valid;
    assign out_last = scaled_last;
    assign out_tag = scaled_tag;
    wire unused_row = &{1'b0, row_keep, row_lift};
  end
endmodule
