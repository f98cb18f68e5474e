// pc_engine: one circuit's engine: several records in flight, a stream each (docs/rtl.md).
//
// Ports    start, job, records: a job begins with so many records a stream; busy until its last word is out.
//          in_*, out_*: of every stream a word of 32 bits with valid, ready and last; what they hold is that of
//          docs/engine.md, section Streams. status: bits of docs/registers.md. cycles: of the last job.
`include "pc_types.svh"
module pc_engine #(
    localparam int STATE_ROWS = STREAMS * ROWS,
    localparam int ROW_WIDTH = LANES * STATE_BITS
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [3:0] job,
    input logic [STREAMS*32-1:0] records,
    input logic [STREAMS-1:0] in_valid,
    output logic [STREAMS-1:0] in_ready,
    input logic [STREAMS*32-1:0] in_data,
    input logic [STREAMS-1:0] in_last,
    output logic [STREAMS-1:0] out_valid,
    input logic [STREAMS-1:0] out_ready,
    output logic [STREAMS*32-1:0] out_data,
    output logic [STREAMS-1:0] out_last,
    output logic busy,
    output logic [31:0] status,
    output logic [63:0] cycles
);
  localparam logic [3:0] LIKELIHOOD = 4'd0, ENCODE = 4'd1, DECODE = 4'd2, SAMPLE = 4'd3, TELL = 4'd6;
  logic bad_symbol, bad_frame, bad_lane, bad_job;
  assign status = {25'd0, bad_symbol, bad_lane, bad_job, 3'd0, bad_frame};
  // a job without work tells, or is none of this engine's
  wire starts_likelihood = HAS_LIKELIHOOD != 0 && job == LIKELIHOOD;
  wire starts_encoding = HAS_ENCODE != 0 && job == ENCODE;
  wire starts_decoding = (HAS_DECODE != 0 && job == DECODE) || (HAS_SAMPLE != 0 && job == SAMPLE);
  wire works = start && (starts_likelihood || starts_encoding || starts_decoding);
  logic codes_now, decodes_now;
  wire codes = HAS_CODE != 0 && (HAS_LIKELIHOOD == 0 || codes_now);
  wire decodes = HAS_SEARCH != 0 && (HAS_ENCODE + HAS_LIKELIHOOD == 0 || decodes_now);
  logic [STREAMS-1:0] opens;
  always_comb for (int s = 0; s < STREAMS; s = s + 1) opens[s] = records[32*s+:32] != '0;

  // ---- scheduler and what it reads
  logic [STREAMS-1:0] ready, coded, room, done, side, lane_ends;
  logic [STEP_BITS-1:0] step_address;
  logic [STEP_WIDTH-1:0] step_data;
  pc_rom #(.WORDS(STEPS), .WIDTH(STEP_WIDTH), .FILE("steps.hex")) step_rom (
      .clk(clk), .address(step_address), .data(step_data));
  logic [STREAM_BITS+SLOT_BITS-1:0] a_slot, b_slot;
  logic signed [31:0] a_exponent, b_exponent;
  logic [2:0] task_valid, task_taken;
  task_t task_out;
  logic result_valid, record_done, scheduler_idle;
  logic [STREAM_BITS-1:0] result_stream, record_stream;
  logic [STATE_BITS-1:0] result_mantissa;
  logic [31:0] result_exponent;
  pc_scheduler scheduler (
      .clk(clk), .rst(rst), .start(works), .code(!starts_likelihood), .records(records), .opens(opens), .ready(ready), .coded(coded),
      .room(room), .step_address(step_address), .step_data(step_data), .a_slot(a_slot), .a_exponent(a_exponent),
      .b_slot(b_slot), .b_exponent(b_exponent), .task_valid(task_valid), .task_out(task_out), .task_taken(task_taken),
      .done(done), .result_valid(result_valid), .result_stream(result_stream), .record_done(record_done),
      .record_stream(record_stream), .lane_ends(lane_ends), .idle(scheduler_idle));

  // ---- a queue of steps before every unit
  task_t mix_task, vector_task, table_task;
  logic mix_some, vector_some, table_some, mix_take, vector_take, table_take;
  logic [2:0] queue_ready_unused;
  pc_fifo #(.WIDTH(TASK_T_BITS), .DEPTH(3)) mix_queue (
      .clk(clk), .rst(rst), .in_valid(task_valid[0]), .in_ready(queue_ready_unused[0]), .in(task_out),
      .out_valid(mix_some), .out_ready(mix_take), .out(mix_task));
  pc_fifo #(.WIDTH(TASK_T_BITS), .DEPTH(3)) vector_queue (
      .clk(clk), .rst(rst), .in_valid(task_valid[1]), .in_ready(queue_ready_unused[1]), .in(task_out),
      .out_valid(vector_some), .out_ready(vector_take), .out(vector_task));
  pc_fifo #(.WIDTH(TASK_T_BITS), .DEPTH(3)) table_queue (
      .clk(clk), .rst(rst), .in_valid(task_valid[2]), .in_ready(queue_ready_unused[2]), .in(task_out),
      .out_valid(table_some), .out_ready(table_take), .out(table_task));
  assign task_taken = {table_some && table_take, vector_some && vector_take, mix_some && mix_take};

  // ---- rows and exponents
  logic [STREAM_BITS-1:0] write_stream;
  logic [ROW_ADDRESS_BITS-1:0] mix_row, vector_row, table_row, write_row;
  logic [ROW_WIDTH-1:0] data_0, data_1, write_data;
  logic write, vector_ask, table_read;
  wire vector_grant = vector_ask && !table_read;
  pc_row_memory #(.ROWS(STATE_ROWS), .ROW_BITS(ROW_WIDTH)) row_memory (
      .clk(clk), .write(write), .write_row(write_row), .write_data(write_data), .read_0(mix_row), .data_0(data_0),
      .read_1(table_read ? table_row : vector_row), .data_1(data_1));
  logic write_exponent;
  logic [SLOT_BITS-1:0] write_slot;
  logic [31:0] exponent;
  pc_row_memory #(.ROWS(2 ** (STREAM_BITS + SLOT_BITS)), .ROW_BITS(32)) exponent_memory (
      .clk(clk), .write(write_exponent), .write_row({write_stream, write_slot}), .write_data(exponent),
      .read_0(a_slot), .data_0(a_exponent), .read_1(b_slot), .data_1(b_exponent));

  // ---- units
  logic [TILE_BITS-1:0] tile_address;
  logic [MACS*(WEIGHT_BITS+1)-1:0] tile_data;
  pc_rom #(.WORDS(TILES), .WIDTH(MACS * (WEIGHT_BITS + 1)), .FILE("weights.hex")) weight_rom (
      .clk(clk), .address(tile_address), .data(tile_data));
  logic [2:0] reserve, free, row_valid, row_last, ask, grant, written, written_exponent, writer_done;
  logic [LANES*MIX_BITS-1:0] mix_rows;
  meta_t mix_meta, vector_meta, table_meta;
  pc_mix_unit mix (
      .clk(clk), .rst(rst), .task_valid(mix_some), .task_ready(mix_take), .task_in(mix_task), .row_address(mix_row), .row_data(data_0), .tile_address(tile_address), .tile_data(tile_data),
      .reserve(reserve[0]), .free(free[0]), .out_valid(row_valid[0]), .out_last(row_last[0]), .out_row(mix_rows),
      .out_meta(mix_meta));
  logic [LIST_BITS-1:0] list_address;
  logic [LIST_WIDTH-1:0] list_data;
  pc_rom #(.WORDS(LISTS), .WIDTH(LIST_WIDTH), .FILE("lists.hex")) list_rom (
      .clk(clk), .address(list_address), .data(list_data));
  logic [LANES*VECTOR_BITS-1:0] vector_rows;
  pc_vector_unit vector (
      .clk(clk), .rst(rst), .task_valid(vector_some), .task_ready(vector_take), .task_in(vector_task),
      .row_ask(vector_ask), .row_grant(vector_grant), .row_address(vector_row),
      .row_data(data_1), .list_address(list_address), .list_data(list_data), .reserve(reserve[1]), .free(free[1]),
      .out_valid(row_valid[1]), .out_last(row_last[1]), .out_row(vector_rows), .out_meta(vector_meta),
      .result_valid(result_valid), .result_stream(result_stream), .result_mantissa(result_mantissa),
      .result_exponent(result_exponent));
  logic pass_valid, pass_ready, bad;
  pass_t pass;
  logic [STREAM_BITS-1:0] symbol_stream;
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
  logic [TABLE_LANES*(LEAF_BITS+1)-1:0] even_data, odd_data;
  logic [LANES*COUNT_BITS-1:0] table_rows;
  logic weighed_valid;
  weighed_t weighed;
  pc_table_unit tables (
      .clk(clk), .rst(rst), .pass_valid(pass_valid), .pass_ready(pass_ready), .pass_in(pass),
      .symbol_read(symbol_read), .symbol_stream(symbol_stream), .symbol_side(symbol_side),
      .symbol_variable(symbol_variable),
      .symbol_data(symbol_data), .variable_address(variable_address), .variable_data(variable_data),
      .tail_address(tail_address), .tail_data(tail_data), .leaf_address(leaf_address), .leaf_data(leaf_data),
      .even_address(even_address), .even_data(even_data), .odd_address(odd_address), .odd_data(odd_data),
      .row_read(table_read), .row_address(table_row), .row_data(data_1),
      .reserve(reserve[2]), .free(free[2]), .out_valid(row_valid[2]), .out_last(row_last[2]), .out_row(table_rows),
      .out_meta(table_meta), .weighed_valid(weighed_valid), .weighed(weighed), .bad(bad));
  pc_rom #(.WORDS(VARIABLES), .WIDTH(VARIABLE_WIDTH), .FILE("variables.hex")) variable_rom (
      .clk(clk), .address(variable_address), .data(variable_data));
  pc_rom #(.WORDS(TAILS), .WIDTH(4), .FILE("tails.hex")) tail_rom (
      .clk(clk), .address(tail_address), .data(tail_data));
  pc_rom #(.WORDS(LEAF_WORDS), .WIDTH(TABLE_LANES * (NUMBER_BITS + 1)), .FILE("leaves.hex")) leaf_rom (
      .clk(clk), .address(leaf_address), .data(leaf_data));
  pc_table_memory #(.WORDS(EVENS), .FILE("even.hex")) evens (
      .clk(clk), .address(even_address), .data(even_data));
  pc_table_memory #(.WORDS(ODDS), .FILE("odd.hex")) odds (
      .clk(clk), .address(odd_address), .data(odd_data));

  // ---- writers, one row a cycle
  logic [3*STREAM_BITS-1:0] writer_stream, done_stream;
  logic [3*ROW_ADDRESS_BITS-1:0] writer_row;
  logic [3*ROW_WIDTH-1:0] writer_data;
  logic [3*SLOT_BITS-1:0] writer_slot;
  logic [3*32-1:0] writer_exponent;
  assign grant = ask[0] ? 3'b001 : ask[2] ? 3'b100 : ask[1] ? 3'b010 : 3'b000;
  pc_writer #(.WIDTH(MIX_BITS)) mix_writer (
      .clk(clk), .rst(rst), .reserve(reserve[0]), .free(free[0]), .in_valid(row_valid[0]), .in_last(row_last[0]),
      .in_row(mix_rows), .in_meta(mix_meta), .ask(ask[0]), .grant(grant[0]), .write(written[0]),
      .write_stream(writer_stream[0+:STREAM_BITS]), .write_row(writer_row[0+:ROW_ADDRESS_BITS]),
      .write_data(writer_data[0+:ROW_WIDTH]), .write_exponent(written_exponent[0]),
      .write_slot(writer_slot[0+:SLOT_BITS]), .exponent(writer_exponent[0+:32]), .done(writer_done[0]),
      .done_stream(done_stream[0+:STREAM_BITS]));
  pc_writer #(.WIDTH(VECTOR_BITS)) vector_writer (
      .clk(clk), .rst(rst), .reserve(reserve[1]), .free(free[1]), .in_valid(row_valid[1]), .in_last(row_last[1]),
      .in_row(vector_rows), .in_meta(vector_meta), .ask(ask[1]), .grant(grant[1]), .write(written[1]),
      .write_stream(writer_stream[STREAM_BITS+:STREAM_BITS]),
      .write_row(writer_row[ROW_ADDRESS_BITS+:ROW_ADDRESS_BITS]), .write_data(writer_data[ROW_WIDTH+:ROW_WIDTH]),
      .write_exponent(written_exponent[1]), .write_slot(writer_slot[SLOT_BITS+:SLOT_BITS]),
      .exponent(writer_exponent[32+:32]), .done(writer_done[1]), .done_stream(done_stream[STREAM_BITS+:STREAM_BITS]));
  pc_writer #(.WIDTH(COUNT_BITS)) table_writer (
      .clk(clk), .rst(rst), .reserve(reserve[2]), .free(free[2]), .in_valid(row_valid[2]), .in_last(row_last[2]),
      .in_row(table_rows), .in_meta(table_meta), .ask(ask[2]), .grant(grant[2]), .write(written[2]),
      .write_stream(writer_stream[2*STREAM_BITS+:STREAM_BITS]),
      .write_row(writer_row[2*ROW_ADDRESS_BITS+:ROW_ADDRESS_BITS]), .write_data(writer_data[2*ROW_WIDTH+:ROW_WIDTH]),
      .write_exponent(written_exponent[2]), .write_slot(writer_slot[2*SLOT_BITS+:SLOT_BITS]),
      .exponent(writer_exponent[64+:32]), .done(writer_done[2]), .done_stream(done_stream[2*STREAM_BITS+:STREAM_BITS]));
  logic [1:0] writer;
  always_comb begin
    writer = written[0] ? 2'd0 : written[1] ? 2'd1 : 2'd2;
    write = written != '0;
    write_stream = writer_stream[writer*STREAM_BITS+:STREAM_BITS];
    write_row = writer_row[writer*ROW_ADDRESS_BITS+:ROW_ADDRESS_BITS];
    write_data = writer_data[writer*ROW_WIDTH+:ROW_WIDTH];
    write_exponent = written_exponent != '0;
    write_slot = writer_slot[writer*SLOT_BITS+:SLOT_BITS];
    exponent = writer_exponent[writer*32+:32];
  end
  logic interval_done;
  logic [STREAM_BITS-1:0] interval_stream;
  always_comb begin
    done = '0;
    for (int s = 0; s < STREAMS; s = s + 1) begin
      if (write && writer_done != '0 && STREAM_BITS'(s) == done_stream[writer*STREAM_BITS+:STREAM_BITS]) done[s] = 1'b1;
      if (interval_done && STREAM_BITS'(s) == interval_stream) done[s] = 1'b1;
    end
  end

  // ---- symbols
  logic [STREAMS-1:0] symbols_in_ready, symbols_ready, symbols_out_valid, symbols_out_last;
  logic [STREAMS*32-1:0] symbols_out;
  logic symbols_empty, frame, found;
  logic [STREAM_BITS-1:0] found_stream;
  logic [VARIABLE_BITS-1:0] found_variable;
  logic [SYMBOL_BITS-1:0] found_symbol;
  pc_symbols symbols (
      .clk(clk), .rst(rst), .start(works), .gives(starts_decoding), .in_valid(decodes ? '0 : in_valid),
      .in_ready(symbols_in_ready), .in_data(in_data), .in_last(in_last), .ready(symbols_ready), .side(side),
      .record_done(record_done), .record_stream(record_stream), .read(symbol_read),
      .read_stream(symbol_stream), .read_side(symbol_side), .read_variable(symbol_variable), .read_data(symbol_data),
      .write(found), .write_stream(found_stream), .write_variable(found_variable), .write_symbol(found_symbol),
      .out_valid(symbols_out_valid), .out_ready(decodes ? out_ready : '0), .out_data(symbols_out),
      .out_last(symbols_out_last), .bad_frame(frame), .empty(symbols_empty));

  // ---- the coder, and passes through the tables that a decoder asks for
  logic coder_asks, coder_takes;
  pass_t coder_pass, step_pass;
  logic [STREAMS-1:0] coder_in_ready, coder_out_valid, coder_out_last, coder_ready, coder_room;
  logic [STREAMS*8-1:0] coder_out;
  logic coder_idle, searches;
  wire [STREAM_BITS-1:0] step_stream = table_task.stream;
  logic step_side;
  always_comb begin
    step_side = 1'b0;
    for (int s = 0; s < STREAMS; s = s + 1) if (STREAM_BITS'(s) == step_stream) step_side = side[s];
  end
  wire is_interval = table_task.step.kind == KIND_INTERVAL;
  assign step_pass.probe = 1'b0;
  assign step_pass.weigh = is_interval;
  assign step_pass.leaf = !is_interval || table_task.step.flag;
  assign step_pass.given = 1'b0;
  assign step_pass.side = step_side;
  assign step_pass.symbol = '0;
  assign step_pass.work = table_task;
  assign searches = decodes && is_interval;  // a decoder finds the symbol first
  logic search_ready;
  assign pass = coder_asks ? coder_pass : step_pass;
  assign pass_valid = coder_asks || (table_some && !searches);
  assign coder_takes = coder_asks && pass_ready;
  assign table_take = searches ? search_ready : !coder_asks && pass_ready;
  assign interval_done = weighed_valid && !weighed.probe && !weighed.leaf;
  assign interval_stream = weighed.stream;
  if (HAS_CODE != 0) begin : g_code
    pc_coder coder (
        .clk(clk), .rst(rst), .start(works), .encodes(starts_encoding), .decodes(starts_decoding),
        .checks(job == DECODE), .opens(opens),
        .search_valid(table_some && searches), .search_ready(search_ready), .search(table_task), .asks(coder_asks),
        .takes(coder_takes), .pass(coder_pass), .weighed_valid(weighed_valid), .weighed(weighed), .found(found),
        .found_stream(found_stream), .found_variable(found_variable), .found_symbol(found_symbol),
        .issued(task_valid[2] && task_out.step.kind == KIND_INTERVAL), .issued_stream(task_out.stream),
        .lane_ends(codes ? lane_ends : '0), .coded(coded), .ready(coder_ready), .room(coder_room),
        .in_valid(decodes ? in_valid : '0), .in_ready(coder_in_ready), .in_data(in_data), .in_last(in_last),
        .out_valid(coder_out_valid), .out_ready(codes && !decodes ? out_ready : '0), .out_data(coder_out),
        .out_last(coder_out_last), .bad_lane(bad_lane), .idle(coder_idle));
  end else begin : g_no_code
    assign {search_ready, coder_asks, coder_pass, found, found_stream, found_variable, found_symbol} = '0;
    assign {coder_in_ready, coder_out_valid, coder_out, coder_out_last, bad_lane} = '0;
    assign {coded, coder_ready, coder_room, coder_idle} = '1;
    wire unused = &{1'b0, coder_takes, weighed, lane_ends, opens, in_last};
  end
  assign ready = symbols_ready & coder_ready;
  assign in_ready = decodes ? coder_in_ready : symbols_in_ready;

  // ---- likelihoods: two words a record
  logic [STREAMS-1:0] result_waits, result_half;
  logic [STREAMS*STATE_BITS-1:0] mantissas;
  logic [STREAMS*32-1:0] exponents;
  assign room = ~result_waits & coder_room;
  always_ff @(posedge clk) begin
    for (int s = 0; s < STREAMS; s = s + 1) begin
      if (HAS_LIKELIHOOD != 0 && result_valid && STREAM_BITS'(s) == result_stream) begin
        result_waits[s] <= 1'b1;
        mantissas[s*STATE_BITS+:STATE_BITS] <= result_mantissa;
        exponents[s*32+:32] <= result_exponent;
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
  for (genvar s = 0; s < STREAMS; ++s) begin : g_out
    assign out_valid[s] = decodes ? symbols_out_valid[s] : codes ? coder_out_valid[s] : result_waits[s];
    assign out_last[s] = decodes ? symbols_out_last[s] : codes ? coder_out_last[s] : result_half[s];
    assign out_data[s*32+:32] = decodes ? symbols_out[s*32+:32] : codes ? 32'(coder_out[s*8+:8])
        : result_half[s] ? exponents[s*32+:32] : 32'(mantissas[s*STATE_BITS+:STATE_BITS]);
  end

  // ---- the job
  always_ff @(posedge clk) begin
    if (bad) bad_symbol <= 1'b1;
    if (frame) bad_frame <= 1'b1;
    if (busy) cycles <= cycles + 1'b1;
    if (busy && scheduler_idle && coder_idle && result_waits == '0 && (!decodes || symbols_empty)) busy <= 1'b0;
    if (start) begin
      busy <= 1'b1;
      codes_now <= !starts_likelihood;
      decodes_now <= starts_decoding;
      cycles <= '0;
      bad_symbol <= 1'b0;
      bad_frame <= 1'b0;
      bad_job <= !works && job != TELL;
    end
    if (rst) busy <= 1'b0;
  end
endmodule
