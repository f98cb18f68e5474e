// pc_stage_predictor: what is known of a lane before a number is coded, its prediction and its class; and what is learned
// from the number (docs/predictor.md). Encoder and decoder share all of it.
//
// Ports    start: a lane begins, whatever came before. known: of the next number are known group, prediction, chosen: its
//          class, and kind: that class's bias and shift; they are stable until observe, with number, its origin taken
//          off, which begins the next number.
// Latency  a pass of a reading, an input, a part, a weight a cycle, of a node five, and some 40 cycles; a beginning takes
//          as many as the longest line buffer, or all adaptive weights, have entries.
`include "stage.svh"
module pc_stage_predictor (
    input logic clk,
    input logic rst,
    input logic start,
    output logic known,
    output stage_groups_t group,
    output logic signed [63:0] prediction,
    output logic [STAGE_CLASS_BITS-1:0] chosen,
    output stage_classes_t kind,
    input logic observe,
    input logic signed [63:0] number
);
  localparam int CLEAR_BITS = $clog2(STAGE_CLEAR + 1);
  typedef enum logic [3:0] {
    IDLE, CLEAR, GROUP, TERMS, FIRST, INPUTS, SECOND, PARTS, NODE, CLASS, KNOWN, LEARN, PUT
  } state_t;
  state_t state;
  logic [2:0] wait_count;  // cycles of a state that reads
  logic [CLEAR_BITS-1:0] clear_left;
  logic clears;
  assign clears = state == CLEAR;
  assign known = state == KNOWN;

  // ---- where the number is
  logic [STAGE_COLUMN_BITS-1:0] column;
  logic [STAGE_AXES*STAGE_INDEX_BITS-1:0] place, next_place;
  logic [STAGE_AXES:0] ends;  // axes that end with the number, the last ones of a row
  always_comb begin
    next_place = place;
    ends = '0;
    ends[0] = 1'b1;
    for (int a = STAGE_AXES - 1; a >= 0; a = a - 1) begin
      if (ends[STAGE_AXES-1-a]) begin
        if (place[a*STAGE_INDEX_BITS+:STAGE_INDEX_BITS] + 1'b1
            == STAGE_AXIS_SIZES[a*STAGE_INDEX_BITS+:STAGE_INDEX_BITS]) begin
          next_place[a*STAGE_INDEX_BITS+:STAGE_INDEX_BITS] = '0;
          ends[STAGE_AXES-a] = 1'b1;
        end else
          next_place[a*STAGE_INDEX_BITS+:STAGE_INDEX_BITS] = place[a*STAGE_INDEX_BITS+:STAGE_INDEX_BITS] + 1'b1;
      end
    end
  end
  logic [STAGE_COLUMNS_WIDTH-1:0] group_number;
  logic [STAGE_GROUPS_WIDTH-1:0] group_word;
  pc_rom #(.WORDS(STAGE_COLUMNS_WORDS), .WIDTH(STAGE_COLUMNS_WIDTH), .FILE("stage_columns.hex")) columns (
      .clk(clk), .address(column), .data(group_number));
  pc_rom #(.WORDS(STAGE_GROUPS_WORDS), .WIDTH(STAGE_GROUPS_WIDTH), .FILE("stage_groups.hex")) groups (
      .clk(clk), .address(group_number), .data(group_word));
  assign group = group_word;
  wire is_wide = STAGE_WIDE != 0 && group.wide;
  wire adapts = STAGE_INPUTS != 0 && !is_wide;

  // ---- what came before it
  logic put_values, put_firsts, put_residuals;
  logic [STAGE_ZEROS_BITS-1:0] left_values, left_firsts, left_residuals;
  logic put_first;  // the number itself; zeros follow it
  logic signed [63:0] seen_number, first, first_residual, residual;
  logic [STAGE_DISTANCE_BITS-1:0] distance;
  logic [STAGE_NUMBER_BITS-1:0] values, firsts, residuals;
  assign put_values = state == PUT && left_values != '0;
  assign put_firsts = state == PUT && left_firsts != '0;
  assign put_residuals = state == PUT && left_residuals != '0;
  if (STAGE_HAS_VALUES != 0) begin : g_values
    pc_stage_buffer #(
        .PLACES(STAGE_VALUES_PLACES), .NUMBER_BITS(STAGE_NUMBER_BITS), .DISTANCE_BITS(STAGE_DISTANCE_BITS)) line (
        .clk(clk), .rst(rst), .clears(clears), .put(put_values),
        .in(put_first ? seen_number[STAGE_NUMBER_BITS-1:0] : '0), .distance(distance), .out(values));
  end else begin : g_no_values
    assign values = '0;
  end
  if (STAGE_HAS_FIRSTS != 0) begin : g_firsts
    pc_stage_buffer #(
        .PLACES(STAGE_FIRSTS_PLACES), .NUMBER_BITS(STAGE_NUMBER_BITS), .DISTANCE_BITS(STAGE_DISTANCE_BITS)) line (
        .clk(clk), .rst(rst), .clears(clears), .put(put_firsts),
        .in(put_first ? first_residual[STAGE_NUMBER_BITS-1:0] : '0), .distance(distance), .out(firsts));
  end else begin : g_no_firsts
    assign firsts = '0;
  end
  if (STAGE_HAS_RESIDUALS != 0) begin : g_residuals
    pc_stage_buffer #(
        .PLACES(STAGE_RESIDUALS_PLACES), .NUMBER_BITS(STAGE_NUMBER_BITS), .DISTANCE_BITS(STAGE_DISTANCE_BITS)) line (
        .clk(clk), .rst(rst), .clears(clears), .put(put_residuals),
        .in(put_first ? residual[STAGE_NUMBER_BITS-1:0] : '0), .distance(distance), .out(residuals));
  end else begin : g_no_residuals
    assign residuals = '0;
  end

  // ---- sums over it
  logic go, sums_busy, input_valid, feature_valid, learns;
  logic [STAGE_READ_BITS-1:0] go_first, go_count;
  logic [STAGE_INPUT_BITS-1:0] turn, input_place;
  logic signed [31:0] input_number, seen;
  logic [STAGE_FEATURE_ADDRESS_BITS-1:0] feature_place;
  logic signed [STAGE_FEATURE_BITS-1:0] feature_sum;
  logic signed [61:0] sum;
  logic [63:0] wrapped;
  logic signed [21:0] weight;
  pc_stage_sum sums (
      .clk(clk), .rst(rst || start), .go(go), .go_first(go_first), .go_count(go_count),
      .go_start(state == TERMS ? 62'($signed(group.offset)) : '0), .adapts(state == INPUTS), .parts(state == PARTS),
      .turn(turn), .weight(weight), .column(column), .seen(seen), .distance(distance), .values(values),
      .firsts(firsts), .residuals(residuals), .busy(sums_busy), .input_valid(input_valid), .input_place(input_place),
      .input_number(input_number), .feature_valid(feature_valid), .feature_place(feature_place),
      .feature_sum(feature_sum), .sum(sum), .wrapped(wrapped));
  wire observes = observe && state == KNOWN;
  logic learn_go, learn_busy;
  if (STAGE_INPUTS != 0) begin : g_learn
    pc_stage_learn learn (
        .clk(clk), .rst(rst || start), .clears(clears), .forgets(state == FIRST), .input_valid(input_valid),
        .input_place(input_place), .input_number(input_number), .first(group.first_weight), .turn(turn),
        .weight(weight), .go(learn_go), .negative(residual < 0), .nothing(residual == '0), .busy(learn_busy));
  end else begin : g_fixed
    assign weight = '0;
    assign learn_busy = 1'b0;
  end

  // ---- a sum rounded, added to the first prediction in the second round, and held in the range of the group
  logic signed [61:0] rounded;
  logic above, below;
  wire signed [61:0] low = 62'($signed(group.low));
  wire signed [61:0] high = 62'($signed(group.high));
  wire signed [61:0] bounded = below ? low : above ? high : rounded;
  wire [63:0] now = is_wide ? wrapped : 64'(bounded);

  // ---- the tree
  logic signed [STAGE_FEATURE_BITS-1:0] features[2**STAGE_FEATURE_ADDRESS_BITS];
  logic signed [STAGE_FEATURE_BITS-1:0] feature;
  logic [STAGE_NODE_BITS-1:0] node;
  stage_nodes_t at_node;
  logic [STAGE_NODES_WIDTH-1:0] node_word;
  pc_rom #(.WORDS(STAGE_NODES_WORDS), .WIDTH(STAGE_NODES_WIDTH), .FILE("stage_nodes.hex")) nodes (
      .clk(clk), .address(node), .data(node_word));
  assign at_node = node_word;
  logic [STAGE_CLASSES_WIDTH-1:0] class_word;
  pc_rom #(.WORDS(STAGE_CLASSES_WORDS), .WIDTH(STAGE_CLASSES_WIDTH), .FILE("stage_classes.hex")) classes (
      .clk(clk), .address(chosen), .data(class_word));
  assign kind = class_word;
  logic feature_above;
  always_ff @(posedge clk) begin
    if (feature_valid) features[feature_place] <= feature_sum;
    feature <= features[at_node.feature];
    feature_above <= feature > $signed(at_node.threshold);
  end

  assign seen = prediction > 64'sh0_7fff_ffff ? 32'sh7fff_ffff
      : prediction < -64'sh0_7fff_ffff ? -32'sh7fff_ffff : prediction[31:0];
  always_ff @(posedge clk) begin
    go <= 1'b0;
    learn_go <= 1'b0;
    wait_count <= wait_count - 1'b1;
    case (state)
      CLEAR: begin
        clear_left <= clear_left - 1'b1;
        if (clear_left == CLEAR_BITS'(1)) begin
          state <= GROUP;
          wait_count <= 3'd5;
        end
      end
      GROUP:
      if (wait_count == '0) begin
        state <= TERMS;
        go <= 1'b1;
        go_first <= group.first_term;
        go_count <= STAGE_READ_BITS'(group.terms);
      end
      TERMS:
      if (!go && !sums_busy) begin
        state <= FIRST;
        wait_count <= 3'd2;
        rounded <= (sum + 62'sd32768) >>> 16;
      end
      FIRST: begin
        above <= rounded > high;
        below <= rounded < low;
        if (wait_count == '0) begin
          first <= now;
          prediction <= now;
          if (adapts) begin
            state <= INPUTS;
            go <= 1'b1;
            go_first <= STAGE_READ_BITS'(STAGE_FIRST_INPUT);
            go_count <= STAGE_READ_BITS'(STAGE_INPUTS);
          end else begin
            state <= PARTS;
            go <= 1'b1;
            go_first <= STAGE_READ_BITS'(STAGE_FIRST_PART);
            go_count <= STAGE_READ_BITS'(STAGE_PARTS);
          end
        end
      end
      INPUTS:
      if (!go && !sums_busy) begin
        state <= SECOND;
        wait_count <= 3'd2;
        rounded <= 62'(first) + ((sum + 62'sd32768) >>> 16);
      end
      SECOND: begin
        above <= rounded > high;
        below <= rounded < low;
        if (wait_count == '0) begin
          prediction <= now;
          state <= PARTS;
          go <= 1'b1;
          go_first <= STAGE_READ_BITS'(STAGE_FIRST_PART);
          go_count <= STAGE_READ_BITS'(STAGE_PARTS);
        end
      end
      PARTS:
      if (!go && !sums_busy) begin
        node <= '0;
        wait_count <= 3'd4;
        chosen <= '0;
        state <= STAGE_NODES != 0 ? NODE : CLASS;
      end
      NODE:
      if (wait_count == '0) begin
        wait_count <= 3'd4;
        if (feature_above ? at_node.above_ends : at_node.below_ends) begin
          chosen <= STAGE_CLASS_BITS'(feature_above ? at_node.above : at_node.below);
          state <= CLASS;
        end else node <= STAGE_NODE_BITS'(feature_above ? at_node.above : at_node.below);
      end
      CLASS: if (wait_count == '0) state <= KNOWN;
      KNOWN:
      if (observes) begin
        seen_number <= number;
        residual <= number - prediction;
        first_residual <= number - first;
        learn_go <= adapts;
        state <= LEARN;
      end
      LEARN:
      if (!learn_go && !learn_busy) begin
        state <= PUT;
        put_first <= 1'b1;
        left_values <= STAGE_ZEROS_BITS'(1);
        left_firsts <= STAGE_ZEROS_BITS'(1);
        left_residuals <= STAGE_ZEROS_BITS'(1);
        for (int k = 0; k <= STAGE_AXES; k = k + 1)
          if (ends[k]) begin
            left_values <= STAGE_VALUES_ZEROS[k*STAGE_ZEROS_BITS+:STAGE_ZEROS_BITS] + 1'b1;
            left_firsts <= STAGE_FIRSTS_ZEROS[k*STAGE_ZEROS_BITS+:STAGE_ZEROS_BITS] + 1'b1;
            left_residuals <= STAGE_RESIDUALS_ZEROS[k*STAGE_ZEROS_BITS+:STAGE_ZEROS_BITS] + 1'b1;
          end
      end
      PUT: begin
        put_first <= 1'b0;
        if (left_values != '0) left_values <= left_values - 1'b1;
        if (left_firsts != '0) left_firsts <= left_firsts - 1'b1;
        if (left_residuals != '0) left_residuals <= left_residuals - 1'b1;
        if (left_values == '0 && left_firsts == '0 && left_residuals == '0) begin
          place <= next_place;
          column <= ends[STAGE_AXES] ? '0 : column + 1'b1;
          state <= GROUP;
          wait_count <= 3'd5;
        end
      end
      default: ;
    endcase
    if (start) begin
      state <= CLEAR;
      clear_left <= CLEAR_BITS'(STAGE_CLEAR);
      column <= '0;
      place <= '0;
      go <= 1'b0;
      learn_go <= 1'b0;
    end
    if (rst) state <= IDLE;
  end
endmodule
