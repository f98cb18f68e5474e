// pc_engine: the serial engine: one record, one step at a time, four multipliers (docs/rtl.md, Serial engine).
//
// Ports    start, job, records: a job begins with so many records; busy until its last word is out. A job LOAD takes the
//          model, before which there is none; rst does not take it away.
//          in_*, out_*: a word of 32 bits with valid, ready and last; what they hold is that of docs/engine.md, section
//          Streams. status: bits of docs/registers.md. cycles: of the last job, modulo 2^32. info_word: the info register info_place.
`include "pc_types.svh"
module pc_engine (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [3:0] job,
    input logic [31:0] records,
    input logic in_valid,
    output logic in_ready,
    input logic [31:0] in_data,
    input logic in_last,
    output logic out_valid,
    input logic out_ready,
    output logic [31:0] out_data,
    output logic out_last,
    output logic busy,
    output logic [31:0] status,
    output logic [63:0] cycles,
    input logic [5:0] info_place,
    output logic [31:0] info_word
);
  assign info_word = info_place < 6'(INFO_WORDS) ? INFO[32*info_place+:32] : '0;
  localparam logic [3:0] LIKELIHOOD = 4'd0, ENCODE = 4'd1, DECODE = 4'd2, SAMPLE = 4'd3, LOAD = 4'd4, TELL = 4'd6;
  localparam logic [2:0] CODE = 3'd0, FLUSH = 3'd1, PROBE = 3'd2, TAKE = 3'd3, OPEN = 3'd4, CLOSE = 3'd5;
  typedef enum logic [4:0] {
    IDLE, LOADS, OPENS, TAKES, FETCH_A, FETCH_B, FETCH_C, SETTLE, SEARCH, BEATS, DRAIN, HAND, ANSWER, RESULT, GIVES,
    NEXT, CLOSES, ENDS, DROPS
  } state_t;
  state_t state;
  logic [3:0] job_now;
  logic loaded, bad_symbol, bad_frame, bad_job, bad_lane, bad_image, not_loaded;
  assign status = {25'd0, bad_symbol, bad_lane, bad_job, 1'b0, bad_image, not_loaded, bad_frame};
  wire decodes = job_now == DECODE || job_now == SAMPLE;
  logic [31:0] left;

  // ---- the step: two words of the model
  logic [3:0] kind;
  logic revive, flag;
  logic [1:0] last_lane;
  logic [ROW_COUNT_BITS-1:0] rows, a_rows;  // less one
  logic [ROW_ADDRESS_BITS-1:0] target, a, b;
  logic [SLOT_BITS-1:0] target_slot, a_slot, b_slot;
  logic [VARIABLE_BITS-1:0] variable;
  logic [SYMBOL_BITS:0] cardinality;
  wire mixes = kind == KIND_UP || kind == KIND_DOWN;
  wire is_interval = kind == KIND_INTERVAL;
  wire tables = kind == KIND_LEAF || is_interval;
  wire multiplies = kind == KIND_MULTIPLY || kind == KIND_GATHER;
  wire aligns = HAS_ALIGN != 0 && kind == KIND_ALIGN;
  wire listed = HAS_LISTS != 0 && (kind == KIND_LIST || kind == KIND_GATHER);
  logic probes;  // this reading of the tables is a decoder's probe
  wire pushes = !is_interval || (flag && !probes);

  // ---- the model
  logic [MEMORY_BITS-1:0] place;  // of the next step
  logic [MEMORY_BITS-1:0] word;   // of what the step reads
  logic [MEMORY_BITS-1:0] leaves;  // where its places of tables begin
  logic [4*MEMORY_BITS-1:0] addresses;
  logic [63:0] found;
  logic [3:0] write_bank;
  logic [15:0] load_at;
  logic second_half, signed_on;
  wire [15:0] load_half = second_half ? in_data[31:16] : in_data[15:0];
  pc_large_memory #(.WORDS(MEMORY_WORDS)) model (
      .clk(clk), .address(addresses), .write(write_bank), .in(load_half), .out(found));

  // ---- beats of a step
  localparam int PLACE_BITS = ROW_COUNT_BITS + 2;
  logic [PLACE_BITS-1:0] entry;
  logic [ROW_COUNT_BITS-1:0] column;
  logic [ROW_ADDRESS_BITS-1:0] row_a, row_b;
  logic [2:0] phase;
  logic [47:0] held;  // places of tables
  logic [SYMBOL_BITS:0] x;
  logic missing;
  wire [PLACE_BITS-1:0] most = {tables ? a_rows : rows, 2'b11};
  wire [PLACE_BITS-1:0] split = {a_rows, 2'b11};
  wire row_ends = column == a_rows;
  wire beat = state == BEATS && !listed && (!tables || phase != '0);
  wire beat_first = mixes ? column == '0 : !tables || entry == '0;
  wire beat_last = !mixes || row_ends;
  wire beat_final = beat_last && entry == most;
  // a table's first entry and the symbol: bank 0 may have the entry behind it, in the next word
  wire [15:0] table_start = phase == 3'd1 ? found[15:0] : held[15:0];
  wire [15:0] table_place = table_start + 16'(x);
  wire [15:0] place_behind = table_start + 16'(x) + 16'd1;
  wire reads_table = state == BEATS && tables && phase != '0;

  // places of lists come one cycle after their address
  logic list_valid, list_open;
  wire list_none = found[1];
  wire list_final = list_valid && found[0] && entry == most;
  wire [15:0] a_at = found[31:16], b_at = found[47:32];

  always_comb begin
    addresses = {4{word}};
    write_bank = '0;
    if (state == FETCH_A) addresses = {4{place}};
    if (state == FETCH_B) addresses = {4{place | MEMORY_BITS'(1)}};
    if (reads_table) begin
      addresses = {{3{table_place[MEMORY_BITS+1:2]}}, place_behind[MEMORY_BITS+1:2]};
    end
    if (state == LOADS) begin
      addresses = {4{load_at[MEMORY_BITS+1:2]}};
      write_bank[load_at[1:0]] = in_valid && signed_on;
    end
  end

  // ---- stage 1: words of the model and rows are there
  logic v1, first1, last1, final1, none1;
  logic [1:0] a_lane1, b_lane1, pair1;
  logic [15:0] weight1;
  logic [4*PC_STATE_BITS-1:0] out_a, out_b;
  logic write;
  logic [ROW_ADDRESS_BITS-1:0] write_row;
  logic write_half;
  logic [2*PC_STATE_BITS-1:0] mantissas;
  wire [ROW_ADDRESS_BITS-1:0] read_a = listed ? a + ROW_ADDRESS_BITS'(a_at >> 2) : row_a;
  wire [ROW_ADDRESS_BITS-1:0] read_b = listed ? b + ROW_ADDRESS_BITS'(b_at >> 2) : row_b;
  pc_serial_state #(.ROWS(PC_ROWS), .STATE_BITS(PC_STATE_BITS)) vectors (
      .clk(clk), .row_a(read_a), .row_b(read_b), .out_a(out_a), .out_b(out_b), .write(write), .write_row(write_row),
      .write_half(write_half), .in(mantissas));
  always_ff @(posedge clk) begin
    if (listed) begin
      v1 <= list_valid && state == BEATS;
      first1 <= kind == KIND_GATHER || !list_open;
      last1 <= found[0];
      final1 <= list_final;
      {a_lane1, b_lane1} <= {a_at[1:0], b_at[1:0]};
      none1 <= list_none;
      weight1 <= kind == KIND_LIST && !flag ? 16'd1 : b_at;
    end else begin
      v1 <= beat;
      first1 <= beat_first;
      last1 <= beat_last;
      final1 <= beat_final;
      {a_lane1, b_lane1} <= {entry[1:0], entry[1:0]};
      none1 <= 1'b0;
      weight1 <= 16'd1;
    end
    pair1 <= table_place[1:0];
    if (rst) v1 <= 1'b0;
  end

  // ---- products and sums
  logic valid, last, final_, weighed;
  logic [MIX_BITS-1:0] sum;
  logic [CONTEXT_BITS-1:0] total;
  logic [PC_WEIGHTED_BITS-1:0] low_sum, high_sum;
  pc_serial_sums sums (
      .clk(clk), .rst(rst), .mixes(mixes), .tables(tables), .multiplies(multiplies), .missing(missing),
      .in_valid(v1), .in_first(first1), .in_last(last1), .in_final(final1), .found(found), .out_a(out_a),
      .out_b(out_b), .a_lane(a_lane1), .b_lane(b_lane1), .pair(pair1), .none(none1), .weight(weight1),
      .valid(valid), .last(last), .final_(final_), .entry(sum), .weighed(weighed), .total(total), .low(low_sum),
      .high(high_sum));
  wire passed = pushes ? valid && final_ : weighed;  // all that the step reads

  // ---- the writer, and exponents
  logic writer_busy, known, none;
  logic [5:0] zeros, zeros_a, zeros_b;
  wire begins = state == SETTLE || state == SEARCH;
  wire finish = (passed && pushes) || (state == BEATS && kind == KIND_INIT);
  pc_serial_writer #(.WIDTH(MIX_BITS), .STATE_BITS(PC_STATE_BITS), .ROWS(PC_ROWS), .MOST_ROWS(PC_MOST_ROWS)) writer (
      .clk(clk), .rst(rst), .begins(begins && !writer_busy), .push(valid && last && pushes), .entry(sum),
      .finish(finish), .target(target), .most(most), .revive(revive || kind == KIND_INIT), .last(last_lane),
      .bypass(aligns), .split(split), .zeros_a(zeros_a), .zeros_b(zeros_b), .busy(writer_busy), .known(known),
      .none(none), .zeros(zeros), .write(write), .write_row(write_row), .write_half(write_half), .out(mantissas));
  logic [31:0] exponent_found;
  pc_serial_exponents exponent_memory (
      .clk(clk), .rst(rst), .begins(state == SETTLE && !writer_busy), .kind(kind), .flag(flag),
      .target_slot(target_slot), .a_slot(a_slot), .b_slot(b_slot), .finish(finish),
      .keeps_ones(revive || kind == KIND_INIT), .known(known), .none(none), .zeros(zeros), .zeros_a(zeros_a),
      .zeros_b(zeros_b), .found(exponent_found));

  // ---- symbols
  logic record_done, symbols_ready, symbols_valid, symbols_last, frame;
  logic [SYMBOL_BITS-1:0] symbol, symbols_data, symbol_found;
  // a decoder's search: the symbol is one of `span` from symbol_found on, and `half` of them is what is tried
  logic [SYMBOL_BITS:0] span, half;
  localparam logic [SYMBOL_BITS:0] TOP = (SYMBOL_BITS + 1)'(1) << (SYMBOL_BITS - 1);
  logic [SYMBOL_BITS-1:0] first_tried;  // of the step; 0 for none
  logic opens;  // it is tried now
  wire [SYMBOL_BITS:0] candidate = (SYMBOL_BITS + 1)'(symbol_found) + half;
  wire halves = {half, 1'b0} > {1'b0, span};
  pc_serial_symbols symbols (
      .clk(clk), .rst(rst || start), .take(state == TAKES), .give(state == GIVES), .done(record_done),
      .in_valid(in_valid), .in_ready(symbols_ready), .in_data(in_data), .in_last(in_last), .out_valid(symbols_valid),
      .out_ready(out_ready), .out_data(symbols_data), .out_last(symbols_last), .variable(variable), .symbol(symbol),
      .write(state == SEARCH && half == '0), .found(symbol_found), .bad_frame(frame));
  wire is_missing = !is_interval && symbol == '1;
  wire beyond = !is_missing && (SYMBOL_BITS + 1)'(symbol) >= cardinality;

  // ---- the coder
  logic coder_ready, reached, fresh, byte_ready, coder_valid, coder_last;
  logic [7:0] coder_byte;
  wire hands = state == HAND || state == OPENS || state == CLOSES;
  pc_serial_coder coder (
      .clk(clk), .rst(rst || start), .checks(job_now == DECODE), .in_valid(hands), .in_ready(coder_ready),
      .in_operation(state == OPENS ? OPEN : state == CLOSES ? (decodes ? CLOSE : FLUSH)
                    : !decodes ? CODE : probes ? PROBE : TAKE),
      .in_fresh(!decodes || fresh), .in_total(total), .in_low(low_sum), .in_high(high_sum),
      .in_symbol(x[SYMBOL_BITS-1:0]), .in_cardinality(cardinality), .reached(reached),
      .byte_valid(decodes && in_valid), .byte_ready(byte_ready), .byte_in(in_data[7:0]), .byte_last(in_last),
      .out_valid(coder_valid), .out_ready(job_now == ENCODE && out_ready), .out_byte(coder_byte),
      .out_last(coder_last), .bad_lane(bad_lane));

  // ---- words in and out
  logic result_valid, result_half, result_there;
  assign in_ready = state == LOADS ? second_half : state == DROPS || (decodes ? byte_ready : symbols_ready);
  assign out_valid = decodes ? symbols_valid : job_now == ENCODE ? coder_valid : result_valid;
  assign out_last = decodes ? symbols_last : job_now == ENCODE ? coder_last : result_half;
  assign out_data = decodes ? 32'(symbols_data) : job_now == ENCODE ? 32'(coder_byte)
      : result_half ? exponent_found : 32'(out_a[PC_STATE_BITS-1:0]);
  assign result_valid = state == RESULT && result_there;

  // ---- the order of things
  wire works = job <= SAMPLE;
  wire more = left != 32'd1;
  logic [31:0] counted;
  assign cycles = 64'(counted);
  // a reset leaves the memory as it is; what is configured begins without a model
  initial loaded = 1'b0;
  always_ff @(posedge clk) begin
    if (busy) counted <= counted + 1'b1;
    if (frame) bad_frame <= 1'b1;
    case (state)
      IDLE: busy <= 1'b0;
      LOADS:
      if (in_valid) begin
        second_half <= !second_half;
        if (signed_on) load_at <= load_at + 1'b1;
        if (second_half) begin
          signed_on <= 1'b1;
          // the first word says for which sizes the model is
          if (!signed_on && in_data != SIGNATURE) bad_image <= 1'b1;
          if (in_last) begin
            loaded <= signed_on && !bad_image;
            state <= IDLE;
          end
        end
      end
      DROPS:  // without a model: what belongs to the job is taken all the same
      if (in_valid && in_last) begin
        left <= left - 1'b1;
        if (!more) state <= IDLE;
      end
      OPENS: if (coder_ready) state <= FETCH_A;
      TAKES: if (record_done) state <= FETCH_A;
      FETCH_A: state <= FETCH_B;
      FETCH_B: begin
        {rows, last_lane, flag, revive, kind} <= {found[8+:ROW_COUNT_BITS], found[7:0]};
        {target, a} <= {found[24+:ROW_ADDRESS_BITS], found[16+:ROW_ADDRESS_BITS]};
        {a_rows, b} <= {found[40+:ROW_COUNT_BITS], found[32+:ROW_ADDRESS_BITS]};
        word <= found[48+:MEMORY_BITS];
        state <= FETCH_C;
      end
      FETCH_C: begin
        {a_slot, target_slot} <= {found[8+:SLOT_BITS], found[0+:SLOT_BITS]};
        b_slot <= found[16+:SLOT_BITS];
        first_tried <= SYMBOL_BITS'(found[31:24]);
        variable <= found[32+:VARIABLE_BITS];
        cardinality <= found[48+:SYMBOL_BITS+1];
        place <= place + MEMORY_BITS'(2);
        state <= SETTLE;
      end
      SETTLE: begin
        entry <= '0;
        column <= '0;
        phase <= '0;
        row_a <= a;
        row_b <= b;
        probes <= 1'b0;
        fresh <= 1'b1;
        symbol_found <= '0;
        span <= cardinality;
        half <= first_tried != '0 ? (SYMBOL_BITS + 1)'(first_tried) : TOP;
        opens <= first_tried != '0;
        if (!writer_busy)
          state <= kind == KIND_END ? (job_now == LIKELIHOOD ? RESULT : decodes ? GIVES : NEXT)
              : is_interval && decodes ? SEARCH : BEATS;
      end
      SEARCH: begin
        entry  <= '0;
        phase  <= '0;
        row_a  <= a;
        word   <= leaves;
        x      <= candidate;
        probes <= half != '0;
        if (halves && !opens) half <= half >> 1;
        else state <= BEATS;
      end
      BEATS: begin
        if (!listed && (mixes || (tables && phase == '0))) word <= word + 1'b1;
        if (mixes) begin
          column <= row_ends ? '0 : column + 1'b1;
          row_a  <= row_ends ? a : row_a + 1'b1;
          if (row_ends) entry <= entry + 1'b1;
        end else if (tables) begin
          phase <= phase == 3'd4 ? '0 : phase + 1'b1;
          held <= phase == 3'd1 ? found[63:16] : held >> 16;
          if (phase != '0) entry <= entry + 1'b1;
          if (phase == 3'd4) row_a <= row_a + 1'b1;
          if (phase == '0) begin
            missing <= is_missing;
            if (!is_interval || !decodes) begin
              // a missing symbol's count is the table's last entry
              x <= is_missing ? cardinality : beyond ? cardinality - 1'b1 : (SYMBOL_BITS + 1)'(symbol);
              if (beyond) bad_symbol <= 1'b1;
            end
          end
        end else if (listed) begin
          word <= word + 1'b1;
          if (list_valid) list_open <= !found[0];
          if (list_valid && found[0]) entry <= entry + 1'b1;
        end else begin
          entry <= entry + 1'b1;
          if (entry[1:0] == 2'd3) begin
            row_a <= aligns && entry == split ? b : row_a + 1'b1;
            row_b <= row_b + 1'b1;
          end
        end
        list_valid <= 1'b1;
        if (kind == KIND_INIT) state <= FETCH_A;
        else if (listed ? list_final : beat && beat_final) state <= DRAIN;
      end
      DRAIN: if (passed) state <= is_interval ? HAND : FETCH_A;
      HAND:
      if (coder_ready) begin
        fresh <= 1'b0;
        state <= probes ? ANSWER : FETCH_A;
      end
      ANSWER:
      if (coder_ready) begin
        if (reached) begin
          symbol_found <= SYMBOL_BITS'(candidate);
          span <= span - half;
        end else begin
          span <= half;
          half <= half >> 1;
        end
        opens <= 1'b0;
        if (opens) half <= TOP;
        state <= SEARCH;
      end
      RESULT: if (result_valid && out_ready && result_half) state <= NEXT;
      GIVES: if (record_done) state <= NEXT;
      NEXT: begin
        left  <= left - 1'b1;
        place <= MEMORY_BITS'(job_now == LIKELIHOOD ? LIKELIHOOD_START : CODE_START);
        state <= more ? (decodes ? FETCH_A : TAKES) : job_now == LIKELIHOOD ? IDLE : CLOSES;
      end
      CLOSES: if (coder_ready) state <= ENDS;
      ENDS: if (decodes ? coder_ready : coder_valid && out_ready && coder_last) state <= IDLE;
      default: state <= IDLE;
    endcase
    if (state != BEATS) list_valid <= 1'b0;
    if (state == SETTLE) list_open <= 1'b0;
    if (state == SETTLE) leaves <= word;
    if (state != RESULT) result_half <= 1'b0;
    else if (result_valid && out_ready) result_half <= !result_half;
    result_there <= state == RESULT;  // row and slot were read
    if (start && !busy) begin
      busy <= 1'b1;
      job_now <= job;
      left <= records;
      counted <= '0;
      bad_symbol <= 1'b0;
      bad_frame <= 1'b0;
      bad_image <= 1'b0;
      bad_job <= !works && job != LOAD && job != TELL;
      not_loaded <= works && !loaded;
      second_half <= 1'b0;
      signed_on <= 1'b0;
      load_at <= '0;
      place <= MEMORY_BITS'(job == LIKELIHOOD ? LIKELIHOOD_START : CODE_START);
      state <= IDLE;
      if (job == LOAD) begin
        loaded <= 1'b0;
        state  <= LOADS;
      end else if (works && records != '0) begin
        state <= !loaded ? DROPS : job == DECODE || job == SAMPLE ? OPENS : TAKES;
        if (!loaded && (job == DECODE || job == SAMPLE)) left <= 32'd1;
      end
    end
    if (rst) begin
      state <= IDLE;
      busy <= 1'b0;
    end
  end
endmodule
