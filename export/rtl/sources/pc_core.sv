// pc_core: what codes in an engine: several records in flight, a stream each (docs/rtl.md). Cores beside each other read the
// same program and weights.
//
// Ports    start, job, records: a job begins with so many records a stream; busy until its last word is out.
//          in_*, out_*: of every stream a word of 32 bits with valid, ready and last; what they hold is that of
//          docs/engine.md, section Streams. status: bits of docs/registers.md. cycles: of the last job.
//          info_place: a word of the info registers; info_word: what it says. step_*, tile_*: the program and the weights,
//          which are read two cycles behind an address. loads, load_*: what a reloadable engine writes to them.
`include "pc_types.svh"
module pc_core #(
    localparam int STATE_ROWS = PC_STREAMS * PC_ROWS,
    localparam int ROW_WIDTH = PC_LANES * PC_STATE_BITS
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [3:0] job,
    input logic [PC_STREAMS*32-1:0] records,
    input logic [PC_STREAMS-1:0] in_valid,
    output logic [PC_STREAMS-1:0] in_ready,
    input logic [PC_STREAMS*32-1:0] in_data,
    input logic [PC_STREAMS-1:0] in_last,
    output logic [PC_STREAMS-1:0] out_valid,
    input logic [PC_STREAMS-1:0] out_ready,
    output logic [PC_STREAMS*32-1:0] out_data,
    output logic [PC_STREAMS-1:0] out_last,
    output logic busy,
    output logic [31:0] status,
    output logic [63:0] cycles,
    input logic [5:0] info_place,
    output logic [31:0] info_word,
    output logic [STEP_BITS-1:0] step_address,
    input logic [STEP_WIDTH-1:0] step_data,
    output logic [TILE_BITS-1:0] tile_address,
    input logic [MACS*(PC_WEIGHT_BITS+1)-1:0] tile_data,
    output logic loads,
    output logic [31:0] load_at,
    output logic [SECTIONS-1:0] load_put,
    output logic [SECTION_MOST-1:0] load_word
);
  localparam logic [3:0] LIKELIHOOD = JOB_LIKELIHOOD, ENCODE = JOB_ENCODE, DECODE = JOB_DECODE, SAMPLE = JOB_SAMPLE;
  logic [3:0] job_now;
  logic bad_symbol, bad_frame, bad_lane, bad_job, not_loaded, bad_image, too_large, loaded;
  assign status = {25'd0, bad_symbol, bad_lane, bad_job, too_large, bad_image, not_loaded, bad_frame};
  // a job without work tells, or is none of this engine's
  wire starts_likelihood = HAS_LIKELIHOOD != 0 && (job == LIKELIHOOD || (HAS_SCORE != 0 && job == JOB_SCORE));
  wire starts_encoding = HAS_ENCODE != 0 && job == ENCODE;
  wire starts_decoding = (HAS_DECODE != 0 && job == DECODE) || (HAS_SAMPLE != 0 && job == SAMPLE);
  wire starts_packing = HAS_PACK != 0 && job == JOB_PACK;
  wire starts_unpacking = HAS_UNPACK != 0 && job == JOB_UNPACK;
  wire has_work = starts_likelihood || starts_encoding || starts_decoding || starts_packing || starts_unpacking;
  wire has_job = has_work || job == JOB_TELL || (RELOAD != 0 && (job == JOB_LOAD || job == JOB_READ));
  wire works = start && has_work && loaded;
  logic codes_now, decodes_now, packets_now;
  wire codes = HAS_CODE != 0 && (HAS_LIKELIHOOD == 0 || codes_now);
  wire decodes = HAS_SEARCH != 0 && (HAS_ENCODE + HAS_LIKELIHOOD == 0 || decodes_now);
  logic [PC_STREAMS-1:0] opens;
  always_comb for (int s = 0; s < PC_STREAMS; s = s + 1) opens[s] = records[32*s+:32] != '0;

  // ---- the circuit, which a reloadable engine takes on stream 0
  logic load_busy, load_in_ready, load_out_valid, load_out_last, drain_busy;
  logic [31:0] load_out, circuit_word;
  logic [SECTIONS*SECTION_MOST-1:0] load_got;
  logic [STEP_BITS-1:0] code_start;
  logic [VARIABLE_BITS-1:0] last_variable;
  logic [PC_SCALE_BITS-1:0] floors;
  logic [LIFT_BITS-1:0] lift;  // bits by which weights are larger than the circuit's
  logic [PC_STREAMS-1:0] drain_ready;
  if (RELOAD != 0) begin : g_reload
    pc_loader loader (
        .clk(clk), .rst(rst), .load(start && job == JOB_LOAD), .read(start && job == JOB_READ && loaded),
        .busy(load_busy), .in_valid(in_valid[0] && job_now == JOB_LOAD), .in_ready(load_in_ready),
        .in_data(in_data[31:0]), .in_last(in_last[0]), .out_valid(load_out_valid), .out_ready(out_ready[0]),
        .out_data(load_out), .out_last(load_out_last), .loads(loads), .at(load_at), .put(load_put), .word(load_word),
        .got(load_got), .bad_image(bad_image), .too_large(too_large), .loaded(loaded), .code_start(code_start),
        .last_variable(last_variable), .floors(floors), .lift(lift), .info_place(info_place), .info_word(circuit_word));
  end else begin : g_baked
    assign {loads, load_busy, load_in_ready, load_out_valid, load_out_last} = '0;
    assign {bad_image, too_large} = '0;
    assign {load_at, load_out, circuit_word} = '0;
    assign load_put = '0;
    assign load_word = '0;
    assign loaded = 1'b1;
    assign code_start = STEP_BITS'(CODE_START);
    assign last_variable = VARIABLE_BITS'(VARIABLES - 1);
    assign floors = PC_SCALE_BITS'(FLOOR);
    assign lift = '0;
  end
  // what a refused job has sent would be the next one's
  pc_drain drain (
      .clk(clk), .rst(rst), .start(start && (!has_job || (job != JOB_LOAD && job != JOB_TELL && !loaded))), .job(job),
      .records(records), .in_valid(in_valid), .in_ready(drain_ready), .in_last(in_last), .busy(drain_busy));
  always_comb begin
    info_word = '0;
    for (int n = 0; n < INFO_WORDS; n = n + 1) if (info_place == 6'(n)) info_word = INFO[32*n+:32];
    if (RELOAD != 0 && INFO_LOADED[info_place]) info_word = circuit_word;
  end

  // ---- scheduler
  logic [PC_STREAMS-1:0] ready, coded, room, done, side, lane_ends;
  logic [2*PC_STREAMS-1:0] more;  // records that are not done: of each stream, some; more than one
  logic [PC_STREAM_BITS+SLOT_BITS-1:0] a_slot, b_slot;
  logic signed [31:0] a_exponent, b_exponent;
  logic [2:0] task_valid, task_taken;
  task_t task_out;
  logic result_valid, scheduler_idle;
  logic [PC_STREAM_BITS-1:0] result_stream;
  logic [PC_STREAMS-1:0] record_done;
  logic [PC_STATE_BITS-1:0] result_mantissa;
  logic [31:0] result_exponent;
  pc_scheduler scheduler (
      .clk(clk), .rst(rst), .start(works), .code(!starts_likelihood), .code_start(code_start), .records(records),
      .opens(opens), .side(side), .ready(ready), .coded(coded),
      .room(room), .step_address(step_address), .step_data(step_data), .a_slot(a_slot), .a_exponent(a_exponent),
      .b_slot(b_slot), .b_exponent(b_exponent), .task_valid(task_valid), .task_out(task_out), .task_taken(task_taken), .more(more),
      .done(done), .result_valid(result_valid), .result_stream(result_stream), .record_done(record_done), .lane_ends(lane_ends), .idle(scheduler_idle));

  // ---- a queue of steps before every unit
  task_t mix_task, vector_task, table_task;
  logic mix_some, vector_some, table_some, mix_take, vector_take, table_take;
  logic [2:0] queue_ready_unused;
  pc_fifo #(.WIDTH(TASK_T_BITS), .DEPTH(WAITING + 1)) mix_queue (
      .clk(clk), .rst(rst), .in_valid(task_valid[0]), .in_ready(queue_ready_unused[0]), .in(task_out),
      .out_valid(mix_some), .out_ready(mix_take), .out(mix_task));
  pc_fifo #(.WIDTH(TASK_T_BITS), .DEPTH(WAITING + 1)) vector_queue (
      .clk(clk), .rst(rst), .in_valid(task_valid[1]), .in_ready(queue_ready_unused[1]), .in(task_out),
      .out_valid(vector_some), .out_ready(vector_take), .out(vector_task));
  pc_fifo #(.WIDTH(TASK_T_BITS), .DEPTH(WAITING + 1)) table_queue (
      .clk(clk), .rst(rst), .in_valid(task_valid[2]), .in_ready(queue_ready_unused[2]), .in(task_out),
      .out_valid(table_some), .out_ready(table_take), .out(table_task));
  always_ff @(posedge clk)
    task_taken <= rst ? '0 : {table_some && table_take, vector_some && vector_take, mix_some && mix_take};

  // ---- rows and exponents
  logic [PC_STREAM_BITS-1:0] write_stream;
  logic [ROW_ADDRESS_BITS-1:0] mix_row, vector_row, second_row, table_row, write_row;
  logic [ROW_WIDTH-1:0] data_0, data_1, data_2, write_data;
  logic write, vector_ask, table_read;
  wire vector_grant = vector_ask && !table_read;
  pc_row_memory #(.ROWS(STATE_ROWS), .ROW_BITS(ROW_WIDTH), .THIRD(PAIR_COPY != 0)) row_memory (
      .clk(clk), .write(write), .write_row(write_row), .write_data(write_data), .read_0(mix_row), .data_0(data_0),
      .read_1(table_read ? table_row : vector_row), .data_1(data_1), .read_2(second_row),
      .data_2(data_2));
  logic write_exponent;
  logic [SLOT_BITS-1:0] write_slot;
  logic [31:0] exponent, exponent_unused;
  pc_row_memory #(.ROWS(2 ** (PC_STREAM_BITS + SLOT_BITS)), .ROW_BITS(32)) exponent_memory (
      .clk(clk), .write(write_exponent), .write_row({write_stream, write_slot}), .write_data(exponent),
      .read_0(a_slot), .data_0(a_exponent), .read_1(b_slot), .data_1(b_exponent), .read_2('0),
      .data_2(exponent_unused));

  // ---- units
  logic [2:0] reserve, free, row_valid, row_last, ask, grant, written, written_exponent, writer_done;
  logic [PC_LANES*MIX_BITS-1:0] mix_rows;
  meta_t mix_meta, vector_meta, table_meta;
  logic [3*ROW_COUNT_BITS-1:0] reserve_rows;
  pc_mix_unit mix (
      .clk(clk), .rst(rst), .task_valid(mix_some), .task_ready(mix_take), .task_in(mix_task), .row_address(mix_row),
      .row_data(data_0), .tile_address(tile_address), .tile_data(tile_data), .lift(lift),
      .reserve(reserve[0]), .reserve_rows(reserve_rows[0+:ROW_COUNT_BITS]), .reserve_meta(mix_meta),
      .free(free[0]), .out_valid(row_valid[0]), .out_last(row_last[0]), .out_row(mix_rows));
  logic [LIST_BITS-1:0] list_address;
  logic [LIST_WIDTH-1:0] list_data;
  pc_memory #(.WORDS(LISTS), .WIDTH(LIST_WIDTH), .FILE("lists.hex")) list_memory (
      .clk(clk), .address(list_address), .data(list_data), .loads(loads), .load_at(load_at),
      .load_put(load_put[SECTION_LISTS]), .load_word(load_word[LIST_WIDTH-1:0]));
  logic [PC_LANES*PC_VECTOR_BITS-1:0] vector_rows;
  pc_vector_unit vector (
      .clk(clk), .rst(rst), .task_valid(vector_some), .task_ready(vector_take), .task_in(vector_task),
      .row_ask(vector_ask), .row_grant(vector_grant), .row_address(vector_row), .row_data(data_1),
      .second_address(second_row), .second_data(data_2),
      .list_address(list_address), .list_data(list_data), .lift(lift), .reserve(reserve[1]),
      .reserve_rows(reserve_rows[ROW_COUNT_BITS+:ROW_COUNT_BITS]), .reserve_meta(vector_meta), .free(free[1]),
      .out_valid(row_valid[1]), .out_last(row_last[1]), .out_row(vector_rows),
      .result_valid(result_valid), .result_stream(result_stream), .result_mantissa(result_mantissa),
      .result_exponent(result_exponent));
  logic pass_valid, pass_ready, bad;
  pass_t pass;
  logic [PC_STREAM_BITS-1:0] symbol_stream;
  logic symbol_read, symbol_side;
  logic [VARIABLE_BITS-1:0] symbol_variable, variable_address;
  logic [SYMBOL_BITS-1:0] symbol_data;
  logic [VARIABLE_WIDTH-1:0] variable_data;
  logic [TAIL_ADDRESS_BITS-1:0] tail_address;
  logic [3:0] tail_data;
  logic [LEAF_ADDRESS_BITS-1:0] leaf_address;
  logic [TABLE_LANES*(NUMBER_BITS+1)-1:0] leaf_data;
  logic [TABLE_LANES*EVEN_BITS-1:0] even_address;
  logic [TABLE_LANES*ODD_BITS-1:0] odd_address;
  logic [TABLE_LANES*(PC_LEAF_BITS+1)-1:0] even_data, odd_data;
  logic [PC_LANES*PC_COUNT_BITS-1:0] table_rows;
  logic weighed_valid;
  weighed_t weighed;
  pc_table_unit tables (
      .clk(clk), .rst(rst), .skips(packets_now), .pass_valid(pass_valid), .pass_ready(pass_ready), .pass_in(pass),
      .symbol_read(symbol_read), .symbol_stream(symbol_stream), .symbol_side(symbol_side),
      .symbol_variable(symbol_variable),
      .symbol_data(symbol_data), .variable_address(variable_address), .variable_data(variable_data),
      .tail_address(tail_address), .tail_data(tail_data), .leaf_address(leaf_address), .leaf_data(leaf_data),
      .even_address(even_address), .even_data(even_data), .odd_address(odd_address), .odd_data(odd_data),
      .row_read(table_read), .row_address(table_row), .row_data(data_1),
      .reserve(reserve[2]), .reserve_rows(reserve_rows[2*ROW_COUNT_BITS+:ROW_COUNT_BITS]), .reserve_meta(table_meta),
      .free(free[2]), .out_valid(row_valid[2]), .out_last(row_last[2]), .out_row(table_rows),
      .weighed_valid(weighed_valid), .weighed(weighed), .bad(bad));
  pc_memory #(.WORDS(VARIABLES), .WIDTH(VARIABLE_WIDTH), .FILE("variables.hex")) variable_memory (
      .clk(clk), .address(variable_address), .data(variable_data), .loads(loads), .load_at(load_at),
      .load_put(load_put[SECTION_VARIABLES]), .load_word(load_word[VARIABLE_WIDTH-1:0]));
  pc_memory #(.WORDS(TAILS), .WIDTH(4), .FILE("tails.hex")) tail_memory (
      .clk(clk), .address(tail_address), .data(tail_data), .loads(loads), .load_at(load_at),
      .load_put(load_put[SECTION_TAILS]), .load_word(load_word[4-1:0]));
  pc_memory #(.WORDS(LEAF_WORDS), .WIDTH(TABLE_LANES * (NUMBER_BITS + 1)), .FILE("leaves.hex")) leaf_memory (
      .clk(clk), .address(leaf_address), .data(leaf_data), .loads(loads), .load_at(load_at),
      .load_put(load_put[SECTION_LEAVES]), .load_word(load_word[TABLE_LANES * (NUMBER_BITS + 1)-1:0]));
  pc_table_memory #(.WORDS(EVENS), .FILE("even.hex")) evens (
      .clk(clk), .address(even_address), .data(even_data), .loads(loads), .load_at(load_at),
      .load_put(load_put[SECTION_EVEN]), .load_word(load_word[PC_LEAF_BITS:0]));
  pc_table_memory #(.WORDS(ODDS), .FILE("odd.hex")) odds (
      .clk(clk), .address(odd_address), .data(odd_data), .loads(loads), .load_at(load_at),
      .load_put(load_put[SECTION_ODD]), .load_word(load_word[PC_LEAF_BITS:0]));

  // what a loader reads
  localparam int MOST = SECTION_MOST;
  assign load_got[SECTION_STEPS*MOST+:MOST] = MOST'(step_data);
  assign load_got[SECTION_WEIGHTS*MOST+:MOST] = MOST'(tile_data);
  assign load_got[SECTION_LISTS*MOST+:MOST] = MOST'(list_data);
  assign load_got[SECTION_LEAVES*MOST+:MOST] = MOST'(leaf_data);
  assign load_got[SECTION_EVEN*MOST+:MOST] = MOST'(even_data[PC_LEAF_BITS:0]);
  assign load_got[SECTION_ODD*MOST+:MOST] = MOST'(odd_data[PC_LEAF_BITS:0]);
  assign load_got[SECTION_VARIABLES*MOST+:MOST] = MOST'(variable_data);
  assign load_got[SECTION_TAILS*MOST+:MOST] = MOST'(tail_data);

  // ---- writers, one row a cycle
  logic [3*PC_STREAM_BITS-1:0] writer_stream, done_stream;
  logic [3*ROW_ADDRESS_BITS-1:0] writer_row;
  logic [3*ROW_WIDTH-1:0] writer_data;
  logic [3*SLOT_BITS-1:0] writer_slot;
  logic [3*32-1:0] writer_exponent;
  assign grant = ask[0] ? 3'b001 : ask[2] ? 3'b100 : ask[1] ? 3'b010 : 3'b000;
  pc_writer #(.WIDTH(MIX_BITS)) mix_writer (
      .clk(clk), .rst(rst), .lift(lift), .reserve(reserve[0]), .reserve_rows(reserve_rows[0+:ROW_COUNT_BITS]),
      .reserve_meta(mix_meta), .free(free[0]), .in_valid(row_valid[0]), .in_last(row_last[0]),
      .in_row(mix_rows), .ask(ask[0]), .grant(grant[0]), .write(written[0]),
      .write_stream(writer_stream[0+:PC_STREAM_BITS]), .write_row(writer_row[0+:ROW_ADDRESS_BITS]),
      .write_data(writer_data[0+:ROW_WIDTH]), .write_exponent(written_exponent[0]),
      .write_slot(writer_slot[0+:SLOT_BITS]), .exponent(writer_exponent[0+:32]), .done(writer_done[0]),
      .done_stream(done_stream[0+:PC_STREAM_BITS]));
  pc_writer #(.WIDTH(PC_VECTOR_BITS)) vector_writer (
      .clk(clk), .rst(rst), .lift(lift), .reserve(reserve[1]), .reserve_rows(reserve_rows[ROW_COUNT_BITS+:ROW_COUNT_BITS]),
      .reserve_meta(vector_meta), .free(free[1]), .in_valid(row_valid[1]), .in_last(row_last[1]),
      .in_row(vector_rows), .ask(ask[1]), .grant(grant[1]), .write(written[1]),
      .write_stream(writer_stream[PC_STREAM_BITS+:PC_STREAM_BITS]),
      .write_row(writer_row[ROW_ADDRESS_BITS+:ROW_ADDRESS_BITS]), .write_data(writer_data[ROW_WIDTH+:ROW_WIDTH]),
      .write_exponent(written_exponent[1]), .write_slot(writer_slot[SLOT_BITS+:SLOT_BITS]),
      .exponent(writer_exponent[32+:32]), .done(writer_done[1]),
      .done_stream(done_stream[PC_STREAM_BITS+:PC_STREAM_BITS]));
  pc_writer #(.WIDTH(PC_COUNT_BITS)) table_writer (
      .clk(clk), .rst(rst), .lift(lift), .reserve(reserve[2]), .reserve_rows(reserve_rows[2*ROW_COUNT_BITS+:ROW_COUNT_BITS]),
      .reserve_meta(table_meta), .free(free[2]), .in_valid(row_valid[2]), .in_last(row_last[2]),
      .in_row(table_rows), .ask(ask[2]), .grant(grant[2]), .write(written[2]),
      .write_stream(writer_stream[2*PC_STREAM_BITS+:PC_STREAM_BITS]),
      .write_row(writer_row[2*ROW_ADDRESS_BITS+:ROW_ADDRESS_BITS]), .write_data(writer_data[2*ROW_WIDTH+:ROW_WIDTH]),
      .write_exponent(written_exponent[2]), .write_slot(writer_slot[2*SLOT_BITS+:SLOT_BITS]),
      .exponent(writer_exponent[64+:32]), .done(writer_done[2]),
      .done_stream(done_stream[2*PC_STREAM_BITS+:PC_STREAM_BITS]));
  logic [1:0] writer;
  always_comb begin
    writer = written[0] ? 2'd0 : written[1] ? 2'd1 : 2'd2;
    write = written != '0;
    write_stream = writer_stream[writer*PC_STREAM_BITS+:PC_STREAM_BITS];
    write_row = writer_row[writer*ROW_ADDRESS_BITS+:ROW_ADDRESS_BITS];
    write_data = writer_data[writer*ROW_WIDTH+:ROW_WIDTH];
    write_exponent = written_exponent != '0;
    write_slot = writer_slot[writer*SLOT_BITS+:SLOT_BITS];
    exponent = writer_exponent[writer*32+:32];
  end
  logic interval_done, found;
  logic [PC_STREAMS-1:0] searching;  // a decoder looks for the stream's symbol
  logic [PC_STREAM_BITS-1:0] found_stream;
  logic [PC_STREAM_BITS-1:0] interval_stream;
  always_comb begin
    done = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      for (int u = 0; u < 3; u = u + 1)
        if (writer_done[u] && PC_STREAM_BITS'(s) == done_stream[u*PC_STREAM_BITS+:PC_STREAM_BITS])
          done[s] = u != 2 || !searching[s];
      if (found && PC_STREAM_BITS'(s) == found_stream) done[s] = 1'b1;
      if (interval_done && PC_STREAM_BITS'(s) == interval_stream) done[s] = 1'b1;
    end
  end

  // ---- symbols
  logic [PC_STREAMS-1:0] symbols_in_ready, symbols_ready, symbols_out_valid, symbols_out_last;
  logic [PC_STREAMS*32-1:0] symbols_out;
  logic symbols_empty, frame, finds;
  logic [PC_STREAMS-1:0] dropping;
  // words that come when no job takes them are the next one's
  logic takes_now;
  always_ff @(posedge clk)
    if (start) takes_now <= works && (starts_likelihood || starts_encoding || starts_packing);
  wire takes_records = busy && takes_now;
  logic [VARIABLE_BITS-1:0] found_variable;
  logic [SYMBOL_BITS-1:0] found_symbol;
  logic [PC_STREAM_BITS-1:0] finds_stream;
  logic [VARIABLE_BITS-1:0] finds_variable;
  logic [SYMBOL_BITS-1:0] finds_symbol;
  always_ff @(posedge clk) begin  // nobody reads it so soon
    found <= finds && !rst;
    found_stream <= finds_stream;
    found_variable <= finds_variable;
    found_symbol <= finds_symbol;
  end

  // ---- packets of equal size: the word before one, and what is not in it
  wire is_interval = table_task.step.kind == KIND_INTERVAL;
  logic [PC_STREAMS-1:0] heads, head_ready, closes, sure, over, marked;
  logic room_valid, packet_frame, skip, says_valid, says_over, mark_valid;
  logic [PC_STREAM_BITS-1:0] room_stream, says_stream, mark_stream;
  logic [15:0] room_bytes;
  logic [VARIABLE_BITS-1:0] mark_variable;
  wire skips_now = skip && is_interval && table_some;
  wire skip_take = skips_now && table_take;
  if (HAS_PACKETS != 0) begin : g_packets
    logic was_now;
    always_ff @(posedge clk) was_now <= rst ? 1'b0 : start ? starts_packing || starts_unpacking : was_now;
    assign packets_now = was_now;
    pc_packets packets (
        .clk(clk), .rst(rst), .start(start), .packs(works && starts_packing), .unpacks(works && starts_unpacking),
        .opens(opens), .in_valid(busy ? in_valid : '0), .in_data(in_data), .in_last(in_last), .heads(heads),
        .head_ready(head_ready), .room_valid(room_valid), .room_stream(room_stream), .room_bytes(room_bytes), .closes(closes), .sure(sure),
        .over(over), .bad_frame(packet_frame), .found(found), .found_stream(found_stream),
        .found_variable(found_variable), .skip_stream(table_task.stream), .skip(skip), .skip_take(skip_take),
        .says_valid(says_valid), .says_stream(says_stream), .says_over(says_over), .mark_valid(mark_valid),
        .mark_stream(mark_stream), .mark_variable(mark_variable), .mark_ready(!found && !skips_now), .marked(marked));
  end else begin : g_no_packets
    assign packets_now = 1'b0;
    assign {heads, head_ready, closes, sure, over, marked, room_valid, room_stream, room_bytes, packet_frame, skip} = '0;
    assign {mark_valid, mark_stream, mark_variable} = '0;
    wire unused = &{1'b0, says_valid, says_stream, says_over, skip_take};
  end
  pc_symbols symbols (
      .clk(clk), .rst(rst), .start(works), .gives(starts_decoding || starts_unpacking),
      .joins(starts_unpacking), .over(over), .lane_ends(lane_ends), .last_variable(last_variable), .more(more),
      .in_valid(takes_records ? in_valid & ~heads : '0),
      .in_ready(symbols_in_ready), .in_data(in_data), .in_last(in_last), .ready(symbols_ready), .side(side),
      .record_done(record_done), .read(symbol_read),
      .read_stream(symbol_stream), .read_side(symbol_side), .read_variable(symbol_variable), .read_data(symbol_data),
      .write(found || skip_take || mark_valid && !skips_now),
      .write_stream(found ? found_stream : skips_now ? table_task.stream : mark_stream),
      .write_variable(found ? found_variable : skips_now ? table_task.step.variable : mark_variable),
      .write_symbol(found ? found_symbol : '1),
      .out_valid(symbols_out_valid), .out_ready(decodes ? out_ready : '0), .out_data(symbols_out),
      .out_last(symbols_out_last), .bad_frame(frame), .dropping(dropping), .empty(symbols_empty));

  // ---- the coder, and passes through the tables that a decoder asks for
  logic coder_asks, coder_takes;
  pass_t coder_pass, step_pass;
  logic [PC_STREAMS-1:0] coder_in_ready, coder_out_valid, coder_out_last, coder_ready, coder_room;
  logic [PC_STREAMS*32-1:0] coder_out;
  logic coder_idle, searches;
  assign step_pass.weigh = is_interval;
  assign step_pass.leaf = !is_interval || table_task.step.flag;
  assign step_pass.given = skips_now;
  assign step_pass.symbol = skips_now ? '1 : '0;
  assign step_pass.opens = 1'b0;
  assign step_pass.work = table_task;
  assign searches = decodes && is_interval && !skips_now;  // a decoder finds the symbol first
  logic search_ready;
  assign pass = coder_asks ? coder_pass : step_pass;
  // a symbol that is not in a packet is written as one that was found
  assign pass_valid = coder_asks || (table_some && !searches && !(skips_now && found));
  assign coder_takes = coder_asks && pass_ready;
  assign table_take = searches ? search_ready : !coder_asks && pass_ready && !(skips_now && found);
  assign interval_done = weighed_valid && !weighed.leaf && (!decodes || weighed.missing);
  assign interval_stream = weighed.stream;
  if (HAS_CODE != 0) begin : g_code
    pc_coder coder (
        .clk(clk), .rst(rst), .start(works), .encodes(starts_encoding), .decodes(starts_decoding || starts_unpacking),
        .checks(job == DECODE), .packs(starts_packing), .unpacks(starts_unpacking), .closes(closes), .sure(sure),
        .room_valid(room_valid), .room_stream(room_stream), .room_bytes(room_bytes), .says_valid(says_valid),
        .says_stream(says_stream), .says_over(says_over), .marked(marked), .floors(floors), .opens(opens),
        .search_valid(table_some && searches), .search_ready(search_ready), .search(table_task), .asks(coder_asks),
        .takes(coder_takes), .pass(coder_pass), .weighed_valid(weighed_valid), .weighed(weighed),
        .written_valid(writer_done[2]), .written_stream(done_stream[2*PC_STREAM_BITS+:PC_STREAM_BITS]),
        .searching(searching), .found(finds),
        .found_stream(finds_stream), .found_variable(finds_variable), .found_symbol(finds_symbol),
        .issued(task_valid[2] && task_out.step.kind == KIND_INTERVAL), .issued_stream(task_out.stream),
        .lane_ends(codes ? lane_ends : '0), .coded(coded), .ready(coder_ready), .room(coder_room),
        .in_valid(decodes ? in_valid & ~heads : '0), .in_ready(coder_in_ready), .in_data(in_data), .in_last(in_last),
        .out_valid(coder_out_valid), .out_ready(codes && !decodes ? out_ready : '0), .out_data(coder_out),
        .out_last(coder_out_last), .bad_lane(bad_lane), .idle(coder_idle));
  end else begin : g_no_code
    wire unused_floors = |floors;
    assign {says_valid, says_stream, says_over} = '0;
    wire unused_packets = &{1'b0, closes, sure, room_valid, room_stream, room_bytes, marked};
    assign {search_ready, coder_asks, coder_pass, searching, finds, finds_stream, finds_variable, finds_symbol} = '0;
    assign {coder_in_ready, coder_out_valid, coder_out, coder_out_last, bad_lane} = '0;
    assign {coded, coder_ready, coder_room, coder_idle} = '1;
    wire unused = &{1'b0, coder_takes, weighed, lane_ends, opens, in_last};
  end
  assign ready = symbols_ready & coder_ready;
  assign in_ready = packets_now ? (heads & head_ready) | (~heads & (decodes ? coder_in_ready : symbols_in_ready)) | drain_ready
      : decodes ? coder_in_ready | drain_ready
      : takes_records ? symbols_in_ready | drain_ready : PC_STREAMS'(load_in_ready) | drain_ready;

  // ---- likelihoods: two words a record; scores: one, which takes the second one's place
  logic [PC_STREAMS-1:0] result_waits, result_half, result_ready;
  logic scored;
  logic [PC_STREAM_BITS-1:0] score_stream;
  logic [31:0] score;
  wire scores = HAS_SCORE != 0 && job_now == JOB_SCORE;
  if (HAS_SCORE != 0) begin : g_score
    pc_score #(.STATE_BITS(PC_STATE_BITS), .TAG_BITS(PC_STREAM_BITS)) scorer (
        .clk(clk), .rst(rst || start), .in_valid(result_valid && scores), .in_tag(result_stream),
        .in_mantissa(result_mantissa), .in_exponent(result_exponent), .out_valid(scored), .out_tag(score_stream),
        .out_score(score));
  end else begin : g_no_score
    assign scored = 1'b0;
    assign score_stream = '0;
    assign score = '0;
  end
  logic [PC_STREAMS*PC_STATE_BITS-1:0] mantissas;
  logic [PC_STREAMS*32-1:0] exponents;
  assign room = ~result_waits & coder_room;
  always_ff @(posedge clk) begin
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (HAS_LIKELIHOOD != 0 && result_valid && PC_STREAM_BITS'(s) == result_stream) begin
        result_waits[s] <= 1'b1;
        result_ready[s] <= 1'b0;
        mantissas[s*PC_STATE_BITS+:PC_STATE_BITS] <= result_mantissa;
        exponents[s*32+:32] <= result_exponent;
      end
      if (scored && PC_STREAM_BITS'(s) == score_stream) begin
        result_ready[s] <= 1'b1;
        result_half[s] <= 1'b1;
        exponents[s*32+:32] <= score;
      end
      if (!codes && out_valid[s] && out_ready[s]) begin
        result_half[s] <= !result_half[s];
        if (result_half[s]) result_waits[s] <= 1'b0;
      end
    end
    if (rst || start) begin
      result_waits <= '0;
      result_half <= '0;
    end
  end
  for (genvar s = 0; s < PC_STREAMS; ++s) begin : g_out
    wire image = RELOAD != 0 && s == 0 && load_out_valid;
    assign out_valid[s] = image || (decodes ? symbols_out_valid[s] : codes ? coder_out_valid[s]
        : result_waits[s] && (!scores || result_ready[s]));
    assign out_last[s] = image ? load_out_last
        : decodes ? symbols_out_last[s] : codes ? coder_out_last[s] : result_half[s];
    assign out_data[s*32+:32] = image ? load_out : decodes ? symbols_out[s*32+:32] : codes ? coder_out[s*32+:32]
        : result_half[s] ? exponents[s*32+:32] : 32'(mantissas[s*PC_STATE_BITS+:PC_STATE_BITS]);
  end

  // ---- the job
  always_ff @(posedge clk) begin
    if (bad) bad_symbol <= 1'b1;
    if (frame || packet_frame) bad_frame <= 1'b1;
    if (busy && (job_now <= SAMPLE || scores || packets_now) && !not_loaded && !bad_job) cycles <= cycles + 1'b1;
    if (busy && scheduler_idle && coder_idle && result_waits == '0 && (!decodes || symbols_empty) && dropping == '0 &&
        !load_busy && !drain_busy)
      busy <= 1'b0;
    if (start) begin
      busy <= 1'b1;
      job_now <= job;
      codes_now <= !starts_likelihood;
      decodes_now <= starts_decoding || starts_unpacking;
      cycles <= '0;
      bad_symbol <= 1'b0;
      bad_frame <= 1'b0;
      bad_job <= !has_job;
      not_loaded <= has_job && job != JOB_LOAD && job != JOB_TELL && !loaded;
    end
    if (rst) busy <= 1'b0;
  end
endmodule
