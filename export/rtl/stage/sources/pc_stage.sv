// pc_stage: the codec of a lane of numbers (docs/predictor.md, section Kernel): predictor stage, raw bits, and the coder of
// tokens, or what it maps to and from without it.
//
// Ports    start, job, rows: a lane begins. busy; status: bits of the job, as the section says; cycles.
//          Packets, of which a beat has data where it is said: numbers, raw bits, and coded, which are bytes of a lane
//          (PACK, UNPACK), or class and token of a number, a packet (PREDICT), tokens in and classes out (RESTORE).
`include "stage.svh"
module pc_stage (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [3:0] job,
    input logic [31:0] rows,
    output logic busy,
    output logic [8:0] status,
    output logic [31:0] cycles,
    input logic numbers_in_valid,
    output logic numbers_in_ready,
    input logic [STAGE_DATA_BITS-1:0] numbers_in,
    input logic numbers_in_data,
    input logic numbers_in_last,
    output logic numbers_out_valid,
    input logic numbers_out_ready,
    output logic [STAGE_DATA_BITS-1:0] numbers_out,
    output logic numbers_out_data,
    output logic numbers_out_last,
    input logic raw_in_valid,
    output logic raw_in_ready,
    input logic [7:0] raw_in,
    input logic raw_in_data,
    input logic raw_in_last,
    output logic raw_out_valid,
    input logic raw_out_ready,
    output logic [7:0] raw_out,
    output logic raw_out_data,
    output logic raw_out_last,
    input logic coded_in_valid,
    output logic coded_in_ready,
    input logic [31:0] coded_in,
    input logic coded_in_data,
    input logic coded_in_last,
    output logic coded_out_valid,
    input logic coded_out_ready,
    output logic [31:0] coded_out,
    output logic coded_out_last
);
  localparam logic [3:0] PREDICT = 4'd0;
  localparam logic [3:0] RESTORE = 4'd1;
  localparam logic [3:0] PACK = 4'd2;
  localparam logic [3:0] UNPACK = 4'd3;
  // docs/predictor.md
  localparam int OUT_OF_RANGE = 0;
  localparam int NUMBERS_FRAME = 1;
  localparam int FEW_RAW_BITS = 2;
  localparam int MANY_RAW_BITS = 3;
  localparam int RAW_BITS_REST = 4;
  localparam int NO_TOKEN = 5;
  localparam int OTHER_TOKEN = 6;
  localparam int DAMAGED_LANE = 7;
  localparam int BAD_JOB = 8;
  localparam int PLAIN_TOKENS = 2 * (STAGE_CENTRE + STAGE_ESCAPES);

  typedef enum logic [3:0] {
    IDLE, NUMBER, LOOK, SPLIT, GIVE, DRAIN, CLASS, TOKEN, TAKE, HOLD, JOIN, CHECK, SEND, END, ENDS
  } state_t;
  state_t state;
  logic [3:0] now;  // the job at work
  logic [31:0] row, last_row;
  logic [STAGE_COLUMN_BITS-1:0] column;
  wire last_column = 32'(column) == STAGE_COLUMNS - 1;
  wire is_last = last_column && row == last_row;
  wire encodes = now == PREDICT || now == PACK;
  wire codes = now == PACK || now == UNPACK;
  assign busy = state != IDLE;

  // ---- what is known of the number
  logic known, observe;
  stage_groups_t group;
  stage_classes_t kind, kind_now;
  logic signed [63:0] prediction, number, residual;
  logic [STAGE_CLASS_BITS-1:0] chosen, chosen_now;
  logic begins;
  pc_stage_predictor predictor (
      .clk(clk), .rst(rst), .start(begins), .known(known), .group(group), .prediction(prediction), .chosen(chosen),
      .kind(kind), .observe(observe), .number(number));
  wire in_range = 64'(number - group.least) <= group.span;

  // ---- residual and token
  logic split_go, split_done, listed_go, listed_done, found, fetch;
  logic [STAGE_TOKEN_BITS-1:0] split_token, token, token_found;
  logic [63:0] split_raw, raw_value;
  logic [6:0] split_count, raw_count, join_count;
  logic [STAGE_PLACE_BITS-1:0] place;
  logic signed [63:0] listed, joined;
  pc_stage_split splits (
      .clk(clk), .rst(rst || begins), .go(split_go), .residual(residual), .kind(kind_now), .done(split_done),
      .token(split_token), .raw(split_raw), .count(split_count));
  pc_stage_listed lists (
      .clk(clk), .rst(rst || begins), .go(listed_go), .residual(residual), .done(listed_done), .found(found),
      .place(place), .fetch(fetch), .fetch_place(STAGE_PLACE_BITS'(token - STAGE_TOKEN_BITS'(PLAIN_TOKENS))),
      .out(listed));
  logic join_go, join_asks, join_done, raw_done;
  pc_stage_join joins (
      .clk(clk), .rst(rst || begins), .go(join_go), .token(token), .kind(kind_now), .asks(join_asks),
      .count(join_count), .raw_done(raw_done), .raw(raw_value), .done(join_done), .residual(joined));

  // ---- raw bits
  logic raw_put, raw_ready, raw_busy, raw_end, reader_ended, few, many, rest;
  pc_stage_raw_writer writer (
      .clk(clk), .rst(rst), .start(begins), .in_valid(raw_put || raw_end), .in_ready(raw_ready), .in_end(raw_end),
      .in_raw(split_raw), .in_count(raw_count), .out_valid(raw_out_valid), .out_ready(raw_out_ready),
      .out_byte(raw_out), .out_data(raw_out_data), .out_last(raw_out_last), .busy(raw_busy));
  wire reads_end = state == ENDS && !encodes;
  pc_stage_raw_reader reader (
      .clk(clk), .rst(rst), .start(begins), .go(join_asks), .count(join_count), .done(raw_done), .value(raw_value),
      .ends(reads_end), .ended(reader_ended), .few(few), .many(many), .rest(rest), .in_valid(raw_in_valid),
      .in_ready(raw_in_ready), .in_byte(raw_in), .in_data(raw_in_data), .in_last(raw_in_last));

  // ---- tokens coded
  logic put, take, coder_ready, coder_done, coder_ended, damaged, byte_valid, byte_last, byte_ready;
  logic [7:0] byte_out;
  pc_stage_coder coder (
      .clk(clk), .rst(rst), .start(begins && codes), .decodes(now == UNPACK), .ready(coder_ready),
      .put(put), .take(take),
      .chosen(chosen_now), .token(token), .done(coder_done), .found(token_found), .ends(state == ENDS && codes),
      .ended(coder_ended), .damaged(damaged), .out_valid(byte_valid), .out_ready(coded_out_ready && codes),
      .out_byte(byte_out), .out_last(byte_last), .in_valid(coded_in_valid && codes), .in_ready(byte_ready),
      .in_byte(coded_in[7:0]), .in_data(coded_in_data), .in_last(coded_in_last));
  logic second;  // the token's word, behind the class's
  logic given, raw_given, missing, listed_one;
  logic [2:0] wait_count;
  wire gives_words = (now == PREDICT && state == GIVE && !given) || (now == RESTORE && state == CLASS);
  assign coded_out_valid = codes ? byte_valid : gives_words;
  assign coded_out = codes ? 32'(byte_out) : second ? 32'(token) : 32'(chosen_now);
  assign coded_out_last = codes ? byte_last : second || now == RESTORE;
  assign coded_in_ready = codes ? byte_ready : now == RESTORE && state == TOKEN;

  // ---- numbers
  logic split_ready, listed_ready, ended;
  wire [63:0] extended = STAGE_DATA_SIGNED != 0 ? 64'($signed(numbers_in)) : 64'(numbers_in);
  wire [63:0] restored = number + group.origin;
  assign numbers_in_ready = state == DRAIN || (state == NUMBER && encodes && known && !begins);
  assign numbers_out_valid = state == SEND;
  assign numbers_out = missing ? '0 : restored[STAGE_DATA_BITS-1:0];
  assign numbers_out_data = !missing;
  assign numbers_out_last = is_last;
  assign raw_put = state == GIVE && !raw_given;
  assign raw_end = state == END && encodes;
  assign observe = (state == LOOK && !(is_last || ended)) || (state == SEND && numbers_out_ready && !is_last);
  wire [STAGE_TOKEN_BITS-1:0] symbol = codes ? token_found : coded_in[STAGE_TOKEN_BITS-1:0];
  wire beyond = codes ? 1'b0 : coded_in >= 32'(STAGE_TOKENS);
  always_ff @(posedge clk) begin
    begins <= 1'b0;
    split_go <= 1'b0;
    listed_go <= 1'b0;
    join_go <= 1'b0;
    fetch <= 1'b0;
    put <= 1'b0;
    take <= 1'b0;
    if (busy) cycles <= cycles + 1'b1;
    if (split_done) split_ready <= 1'b1;
    if (listed_done) listed_ready <= 1'b1;
    case (state)
      IDLE:
      if (start) begin
        status <= '0;
        cycles <= '0;
        now <= job;
        row <= '0;
        last_row <= rows - 1'b1;
        column <= '0;
        ended <= 1'b0;
        if (job > UNPACK) status[BAD_JOB] <= 1'b1;
        else if (rows != '0) begin
          begins <= 1'b1;
          state <= NUMBER;
        end
      end
      NUMBER:
      if (known && !begins) begin
        chosen_now <= chosen;
        kind_now <= kind;
        if (!encodes) state <= CLASS;
        else if (numbers_in_valid) begin
          missing <= STAGE_MISSING != 0 && !numbers_in_data;
          number <= STAGE_MISSING != 0 && !numbers_in_data ? prediction : extended - group.origin;
          ended <= numbers_in_last;
          state <= LOOK;
        end
      end
      // ---- encode
      LOOK: begin
        residual <= number - prediction;
        if (!missing && !in_range) status[OUT_OF_RANGE] <= 1'b1;
        if (ended && !is_last) status[NUMBERS_FRAME] <= 1'b1;
        split_go <= 1'b1;
        listed_go <= 1'b1;
        split_ready <= 1'b0;
        listed_ready <= 1'b0;
        state <= SPLIT;
      end
      SPLIT:
      if (split_ready && listed_ready) begin
        token <= missing ? STAGE_TOKEN_BITS'(STAGE_TOKENS - 1)
            : found ? STAGE_TOKEN_BITS'(PLAIN_TOKENS) + STAGE_TOKEN_BITS'(place) : split_token;
        raw_count <= missing || found ? '0 : split_count;
        raw_given <= 1'b0;
        given <= 1'b0;
        second <= 1'b0;
        put <= codes;
        state <= GIVE;
      end
      GIVE: begin
        if (raw_ready) raw_given <= 1'b1;
        if (codes ? coder_done : coded_out_ready && second) given <= 1'b1;
        if (!codes && coded_out_ready && !given) second <= 1'b1;
        if (given && raw_given) begin
          column <= last_column ? '0 : column + 1'b1;
          if (last_column) row <= row + 1'b1;
          state <= !(is_last || ended) ? NUMBER : ended ? END : DRAIN;
        end
      end
      DRAIN: begin
        if (numbers_in_valid) status[NUMBERS_FRAME] <= 1'b1;
        if (numbers_in_valid && numbers_in_last) state <= END;
      end
      // ---- decode
      CLASS: begin
        second <= 1'b0;
        if (codes) begin
          take <= coder_ready;
          if (coder_ready) state <= TAKE;
        end else if (coded_out_ready) state <= TOKEN;
      end
      TAKE: if (coder_done) state <= TOKEN;
      TOKEN:
      if (codes || coded_in_valid) begin
        if (beyond) status[NO_TOKEN] <= 1'b1;
        token <= beyond ? STAGE_TOKEN_BITS'(STAGE_TOKENS - 1) : symbol;
        state <= HOLD;
      end
      HOLD: begin
        missing <= STAGE_MISSING != 0 && 32'(token) == STAGE_TOKENS - 1;
        listed_one <= 32'(token) >= PLAIN_TOKENS;
        if (32'(token) < PLAIN_TOKENS) join_go <= 1'b1;
        fetch <= 1'b1;
        wait_count <= 3'd4;
        listed_ready <= 1'b0;
        state <= JOIN;
      end
      JOIN: begin
        wait_count <= wait_count - 1'b1;
        if (listed_one && wait_count == '0) begin
          residual <= missing ? '0 : listed;
          number <= prediction + (missing ? '0 : listed);
          state <= CHECK;
          listed_ready <= 1'b1;
        end
        if (!listed_one && join_done) begin
          residual <= joined;
          number <= prediction + joined;
          listed_go <= 1'b1;
          state <= CHECK;
        end
      end
      CHECK:
      if (listed_ready) begin
        if (!listed_one && found) status[OTHER_TOKEN] <= 1'b1;
        if (!missing && !in_range) status[OUT_OF_RANGE] <= 1'b1;
        state <= SEND;
      end
      SEND:
      if (numbers_out_ready) begin
        column <= last_column ? '0 : column + 1'b1;
        if (last_column) row <= row + 1'b1;
        state <= is_last ? END : NUMBER;
      end
      // ---- the lane has ended: what is held comes out, what is left over is taken
      END: if (!encodes || raw_ready) state <= ENDS;
      ENDS:
      if ((!codes || coder_ended) && (encodes ? !raw_busy : reader_ended)) begin
        if (!encodes) begin
          if (few) status[FEW_RAW_BITS] <= 1'b1;
          if (many) status[MANY_RAW_BITS] <= 1'b1;
          if (rest) status[RAW_BITS_REST] <= 1'b1;
          if (codes && damaged) status[DAMAGED_LANE] <= 1'b1;
        end
        state <= IDLE;
      end
      default: ;
    endcase
    if (rst) begin
      state <= IDLE;
      status <= '0;
      cycles <= '0;
      now <= '0;
      given <= 1'b0;
    end
  end
endmodule
