// pc_coder: intervals, the range coders of all streams, and a decoder's search for its symbols (docs/rtl.md, Coding).
//
// Encoding, what the tables weighed becomes an interval, the interval narrows the stream's range, and digits leave. A
// stream's digits wait in a place of their own until its output has room, so a stream that is not read holds no other.
// Decoding, a symbol is found bit by bit: a probe through the tables tells whether the position has reached a bound.
// The last pass is an encoder's, and its interval is taken out of the range.
//
// Ports    search_*: an INTERVAL of a decoder; asks, takes, pass: a pass through the tables. weighed_*: what one found.
//          found_*: a symbol. issued, issued_stream: an INTERVAL went to the tables. coded: a stream's symbols are all
//          behind its coder. ready: the stream may begin a record; room: it may code a symbol.
//          in_*: bytes of lanes, a word each; out_*: bytes of lanes.
`include "pc_types.svh"
module pc_coder #(
    localparam int P = SCALE_BITS,
    localparam int BYTES = P / 8,
    localparam int TOP = SYMBOLS > 1 ? $clog2(SYMBOLS) : 0,  // bits of a search
    localparam int BIT_BITS = TOP > 0 ? $clog2(TOP + 1) : 1,
    localparam int TAG_BITS = 2 + STREAM_BITS
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic encodes,
    input logic decodes,
    input logic checks,
    input logic [P-1:0] floors,
    input logic [STREAMS*32-1:0] records,
    input logic search_valid,
    output logic search_ready,
    input task_t search,
    output logic asks,
    input logic takes,
    output pass_t pass,
    input logic weighed_valid,
    input weighed_t weighed,
    output logic found,
    output logic [STREAM_BITS-1:0] found_stream,
    output logic [VARIABLE_BITS-1:0] found_variable,
    output logic [SYMBOL_BITS-1:0] found_symbol,
    input logic issued,
    input logic [STREAM_BITS-1:0] issued_stream,
    input logic record_done,
    input logic [STREAM_BITS-1:0] record_stream,
    output logic [STREAMS-1:0] coded,
    output logic [STREAMS-1:0] ready,
    output logic [STREAMS-1:0] room,
    input logic [STREAMS-1:0] in_valid,
    output logic [STREAMS-1:0] in_ready,
    input logic [STREAMS*32-1:0] in_data,
    input logic [STREAMS-1:0] in_last,
    output logic [STREAMS-1:0] out_valid,
    input logic [STREAMS-1:0] out_ready,
    output logic [STREAMS*8-1:0] out_data,
    output logic [STREAMS-1:0] out_last,
    output logic bad_lane,
    output logic idle
);
  logic encoding, decoding, checking;
  always_ff @(posedge clk) begin
    if (start) {encoding, decoding, checking} <= {encodes, decodes, checks};
    if (rst) {encoding, decoding, checking} <= '0;
  end

  // ---- intervals
  logic weighed_1;
  weighed_t of_1;
  logic [P:0] below_1;
  logic [P-1:0] floors_1;
  always_ff @(posedge clk) begin
    weighed_1 <= weighed_valid && !rst;
    of_1 <= weighed;
    below_1 <= (P + 1)'(weighed.symbol * floors);
    floors_1 <= P'(weighed.cardinality * floors);
  end
  logic interval_valid, interval_ready_unused, interval_probe, interval_beyond;
  logic [STREAM_BITS-1:0] interval_stream;
  logic [P:0] interval_start, interval_end;
  pc_interval #(
      .SUM_BITS(CONTEXT_BITS), .WEIGHTED_BITS(WEIGHTED_BITS), .SCALE_BITS(SCALE_BITS), .TAG_BITS(TAG_BITS)
  ) interval (
      .clk(clk), .rst(rst), .in_valid(weighed_1), .in_ready(interval_ready_unused),
      .in_tag({of_1.beyond, of_1.probe, of_1.stream}), .in_total(of_1.total), .in_lower(of_1.low), .in_upper(of_1.high),
      .in_below(below_1), .in_floors(floors_1), .in_floor(floors), .out_valid(interval_valid),
      .out_tag({interval_beyond, interval_probe, interval_stream}), .out_start(interval_start),
      .out_end(interval_end));

  // ---- which records are a lane's last
  logic [STREAMS*32-1:0] left;
  logic [STREAMS-1:0] lane_ends;  // this cycle
  always_comb
    for (int s = 0; s < STREAMS; s = s + 1)
      lane_ends[s] = record_done && STREAM_BITS'(s) == record_stream && left[32*s+:32] == 32'd1;
  always_ff @(posedge clk)
    for (int s = 0; s < STREAMS; s = s + 1) begin
      if (start) left[32*s+:32] <= records[32*s+:32];
      else if (record_done && STREAM_BITS'(s) == record_stream) left[32*s+:32] <= left[32*s+:32] - 1'b1;
      if (rst) left[32*s+:32] <= '0;
    end

  // ---- encoders: a flush goes where no interval does
  logic [STREAMS-1:0] flushes, digits, open_lanes;
  logic flush, flush_some, encoder_ready;
  logic [STREAM_BITS-1:0] flush_stream;
  // an interval that meets a flush's second cycle waits one; the next interval is two away at the least
  logic late;
  logic [STREAM_BITS-1:0] late_stream;
  logic [P:0] late_start, late_end;
  wire encodes_now = encoding && (interval_valid || late);
  always_ff @(posedge clk) begin
    late <= encoding && interval_valid && !encoder_ready && !rst;
    {late_stream, late_start, late_end} <= {interval_stream, interval_start, interval_end};
  end
  pc_pick #(.COUNT(STREAMS)) flush_pick (
      .clk(clk), .rst(rst), .ask(flushes), .take(flush), .some(flush_some), .place(flush_stream));
  assign flush = flush_some && !encodes_now && encoder_ready;
  logic moved, moved_flush, moved_carry;
  logic [STREAM_BITS-1:0] moved_stream;
  logic [1:0] moved_count;
  logic [P-1:0] moved_bytes;
  pc_range_encoder #(.SCALE_BITS(SCALE_BITS), .STREAMS(STREAMS)) encoder (
      .clk(clk), .rst(rst || start), .in_valid(encodes_now || flush), .in_ready(encoder_ready),
      .in_stream(late ? late_stream : encodes_now ? interval_stream : flush_stream), .in_flush(!encodes_now),
      .in_start(late ? late_start : interval_start), .in_end(late ? late_end : interval_end), .out_valid(moved), .out_stream(moved_stream), .out_flush(moved_flush),
      .out_count(moved_count), .out_carry(moved_carry), .out_bytes(moved_bytes));

  // a stream's digits wait for room at its output
  localparam int DIGIT_BITS = 4 + P;
  logic [DIGIT_BITS-1:0] waiting[STREAMS];
  always_ff @(posedge clk) if (moved) waiting[moved_stream] <= {moved_flush, moved_carry, moved_count, moved_bytes};
  logic carry_ready, carry_some, carry_take;
  logic [STREAM_BITS-1:0] carry_stream;
  logic [STREAMS-1:0] out_room;
  pc_pick #(.COUNT(STREAMS)) carry_pick (
      .clk(clk), .rst(rst), .ask(digits & out_room), .take(carry_take), .some(carry_some), .place(carry_stream));
  assign carry_take = carry_some && carry_ready;
  logic carry_flush, carry_carry;
  logic [1:0] carry_count;
  logic [P-1:0] carry_bytes;
  assign {carry_flush, carry_carry, carry_count, carry_bytes} = waiting[carry_stream];
  logic byte_valid, byte_ready, byte_last;
  logic [STREAM_BITS-1:0] byte_stream;
  logic [7:0] byte_out;
  pc_carry #(.SCALE_BITS(SCALE_BITS), .STREAMS(STREAMS)) carry (
      .clk(clk), .rst(rst || start), .in_valid(carry_some), .in_ready(carry_ready), .in_stream(carry_stream),
      .in_flush(carry_flush), .in_count(carry_count), .in_carry(carry_carry), .in_bytes(carry_bytes),
      .out_valid(byte_valid), .out_ready(byte_ready), .out_stream(byte_stream), .out_byte(byte_out),
      .out_last(byte_last));
  logic [STREAMS-1:0] byte_readies;
  for (genvar s = 0; s < STREAMS; ++s) begin : g_bytes
    logic byte_in;
    assign byte_in = byte_valid && byte_stream == STREAM_BITS'(s);
    pc_fifo #(.WIDTH(9), .DEPTH(9)) bytes (
        .clk(clk), .rst(rst || start), .in_valid(byte_in), .in_ready(byte_readies[s]), .in({byte_last, byte_out}),
        .out_valid(out_valid[s]), .out_ready(out_ready[s]), .out({out_last[s], out_data[8*s+:8]}));
    // room for a symbol's digits and the one that waits; a long run waits byte by byte
    logic [3:0] bytes_there;
    always_ff @(posedge clk)
      bytes_there <= rst || start ? '0
          : bytes_there + 4'(byte_in && byte_readies[s]) - 4'(out_valid[s] && out_ready[s]);
    assign out_room[s] = bytes_there < 4'd4;
  end
  always_comb begin
    byte_ready = 1'b0;
    for (int s = 0; s < STREAMS; s = s + 1) if (STREAM_BITS'(s) == byte_stream) byte_ready = byte_readies[s];
  end

  // ---- decoders: a window of the bytes that are next
  logic [STREAMS*P-1:0] window;
  logic [STREAMS*2-1:0] have;
  logic [STREAMS-1:0] ended, loaded_once, loaded, loading, draining;
  logic [STREAMS-1:0] whole;  // the window is full, or all that comes is zeros
  logic [STREAMS*4-1:0] beyond;  // zeros that were taken behind the lane's end
  always_comb
    for (int s = 0; s < STREAMS; s = s + 1) whole[s] = have[2*s+:2] == 2'(BYTES) || ended[s];
  logic load, load_some;
  logic [STREAM_BITS-1:0] load_stream;
  logic [STREAMS-1:0] begun;
  pc_pick #(.COUNT(STREAMS)) load_pick (
      .clk(clk), .rst(rst), .ask(decoding ? begun & ~loaded & ~loading & whole : '0), .take(load), .some(load_some),
      .place(load_stream));
  logic decoder_ready;
  wire locates = interval_valid && decoding;
  assign load = load_some && !locates && decoder_ready;
  wire [STREAM_BITS-1:0] at_stream = locates ? interval_stream : load_stream;
  logic [P-1:0] next_bytes;
  always_comb begin
    next_bytes = '0;
    for (int s = 0; s < STREAMS; s = s + 1) if (STREAM_BITS'(s) == at_stream) next_bytes = window[s*P+:P];
  end
  logic probe_valid, probe_reached, took, took_left;
  logic [STREAM_BITS-1:0] probe_stream, took_stream;
  logic [1:0] took_used;
  logic [P-1:0] read_unit_unused;
  logic [2*P-1:0] read_offset_unused;
  pc_range_decoder #(.SCALE_BITS(SCALE_BITS), .STREAMS(STREAMS)) decoder (
      .clk(clk), .rst(rst || start), .in_valid(locates || load), .in_ready(decoder_ready), .in_stream(at_stream),
      .in_operation(!locates ? 2'd2 : interval_probe ? 2'd0 : 2'd1), .in_start(interval_start), .in_end(interval_end),
      .in_bytes(next_bytes), .in_hold(1'b1), .probe_valid(probe_valid), .probe_stream(probe_stream),
      .probe_reached(probe_reached), .out_valid(took), .out_stream(took_stream), .out_used(took_used),
      .out_left(took_left), .read_stream('0), .read_unit(read_unit_unused), .read_offset(read_offset_unused));
  always_comb
    for (int s = 0; s < STREAMS; s = s + 1)
      in_ready[s] = draining[s] || (decoding && begun[s] && !ended[s] && have[2*s+:2] != 2'(BYTES));
  always_ff @(posedge clk) begin
    bad_lane <= start ? 1'b0 : bad_lane;
    for (int s = 0; s < STREAMS; s = s + 1) begin
      if (in_valid[s] && in_ready[s]) begin
        if (in_last[s]) begin
          ended[s] <= 1'b1;
          draining[s] <= 1'b0;
        end
        if (!draining[s]) begin
          window[s*P+:P] <= window[s*P+:P] | P'(in_data[32*s+:8]) << (P - 8 - 8 * 32'(have[2*s+:2]));
          have[2*s+:2] <= have[2*s+:2] + 1'b1;
        end
      end
      if (load && STREAM_BITS'(s) == load_stream) loading[s] <= 1'b1;
      if (took && STREAM_BITS'(s) == took_stream) begin
        window[s*P+:P] <= window[s*P+:P] << {took_used, 3'd0};
        if (took_used > have[2*s+:2]) begin
          have[2*s+:2] <= '0;
          if (beyond[4*s+:4] < 4'd12) beyond[4*s+:4] <= beyond[4*s+:4] + 4'(took_used - have[2*s+:2]);
        end else have[2*s+:2] <= have[2*s+:2] - took_used;
        if (!loaded[s]) begin
          loading[s] <= 1'b0;
          loaded_once[s] <= 1'b1;
          loaded[s] <= loaded_once[s];
        end else if (took_left && checking) bad_lane <= 1'b1;
      end
      if (lane_ends[s] && decoding) begin
        begun[s] <= 1'b0;
        draining[s] <= !ended[s];
        // an encoder leaves out the zeros that its reader sees behind the end: all bytes of the range but one
        if (checking && (!ended[s] || have[2*s+:2] != '0 || beyond[4*s+:4] != 4'(2 * BYTES - 1))) bad_lane <= 1'b1;
      end
      if (start) begin
        begun[s] <= records[32*s+:32] != '0 && decodes;
        window[s*P+:P] <= '0;
      end
    end
    if (rst || start) begin
      have <= '0;
      ended <= '0;
      loaded_once <= '0;
      loaded <= '0;
      loading <= '0;
      draining <= '0;
      beyond <= '0;
    end
    if (rst) begin
      begun <= '0;
      bad_lane <= 1'b0;
    end
  end
  assign ready = decoding ? loaded : '1;
  assign room = decoding ? whole : '1;

  // ---- the search: events, at most one a stream
  logic [TASK_T_BITS-1:0] tasks[STREAMS];
  logic [SYMBOL_BITS-1:0] symbols[STREAMS];
  logic [BIT_BITS-1:0] bits[STREAMS];
  logic [SYMBOL_BITS:0] cardinality[STREAMS];
  logic event_valid, event_reached, event_begins, event_take, event_ready_unused;
  logic [STREAM_BITS-1:0] event_stream;
  // a bound beyond the variable's symbols is not reached
  logic probe_beyond;
  pc_delay #(.WIDTH(1), .CYCLES(6)) beyond_late (.clk(clk), .in(interval_beyond), .out(probe_beyond));
  logic again;  // an event that goes round once more
  logic [STREAM_BITS-1:0] again_stream;
  assign search_ready = !probe_valid && !again;
  wire [STREAM_BITS-1:0] in_stream = probe_valid ? probe_stream : again ? again_stream : search.stream;
  pc_fifo #(.WIDTH(STREAM_BITS + 2), .DEPTH(STREAMS + 2)) events (
      .clk(clk), .rst(rst || start), .in_valid(probe_valid || again || search_valid), .in_ready(event_ready_unused),
      .in({!probe_valid && !again, probe_valid && probe_reached && !probe_beyond, in_stream}),
      .out_valid(event_valid), .out_ready(event_take), .out({event_begins, event_reached, event_stream}));
  logic pass_room;
  pass_t next;
  wire [BIT_BITS-1:0] bit_now = event_begins ? BIT_BITS'(TOP) : bits[event_stream];
  wire [SYMBOL_BITS-1:0] symbol_now =
      event_begins ? '0
      : symbols[event_stream] | (event_reached ? SYMBOL_BITS'(1) << bit_now : '0);
  wire is_last = bit_now == '0;
  wire [BIT_BITS-1:0] bit_next = bit_now - 1'b1;
  wire [SYMBOL_BITS-1:0] candidate = symbol_now | SYMBOL_BITS'(1) << bit_next;
  wire skips = !is_last && !event_begins && (SYMBOL_BITS + 1)'(candidate) >= cardinality[event_stream];
  assign event_take = event_valid && pass_room && !(skips && again);
  always_ff @(posedge clk) begin
    if (search_valid && search_ready) tasks[search.stream] <= search;
    if (weighed_valid) cardinality[weighed.stream] <= weighed.cardinality;
    if (event_take) begin
      symbols[event_stream] <= symbol_now;
      bits[event_stream] <= bit_next;
    end
    if (event_take && skips) again_stream <= event_stream;
    again <= (event_take && skips || again && probe_valid) && !rst && !start;
  end
  wire [TASK_T_BITS-1:0] next_task = tasks[event_stream];
  task_t next_work;
  assign next_work = next_task;
  assign next.probe = !is_last;
  assign next.weigh = 1'b1;
  assign next.leaf = is_last && next_work.step.flag;
  assign next.given = 1'b1;
  assign next.side = 1'b0;
  assign next.symbol = is_last ? symbol_now : candidate;
  assign next.work = next_work;
  logic [PASS_T_BITS-1:0] pass_out;
  assign pass = pass_out;
  pc_fifo #(.WIDTH(PASS_T_BITS), .DEPTH(3)) passes (
      .clk(clk), .rst(rst || start), .in_valid(event_take && !skips), .in_ready(pass_room), .in(next),
      .out_valid(asks), .out_ready(takes), .out(pass_out));
  assign found = event_take && is_last;
  assign found_stream = event_stream;
  assign found_variable = next_work.step.variable;
  assign found_symbol = symbol_now;

  // ---- what is under way
  always_ff @(posedge clk) begin
    for (int s = 0; s < STREAMS; s = s + 1) begin
      if (issued && STREAM_BITS'(s) == issued_stream) coded[s] <= 1'b0;
      if (carry_take && STREAM_BITS'(s) == carry_stream) begin
        digits[s] <= 1'b0;
        coded[s] <= 1'b1;
      end
      if (moved && STREAM_BITS'(s) == moved_stream) digits[s] <= 1'b1;
      if (took && loaded[s] && STREAM_BITS'(s) == took_stream) coded[s] <= 1'b1;
      if (lane_ends[s] && encoding) flushes[s] <= 1'b1;
      if (flush && STREAM_BITS'(s) == flush_stream) flushes[s] <= 1'b0;
      if (out_valid[s] && out_ready[s] && out_last[s]) open_lanes[s] <= 1'b0;
      if (start) open_lanes[s] <= encodes && records[32*s+:32] != '0;
    end
    if (rst || start) begin
      coded <= '1;
      digits <= '0;
      flushes <= '0;
    end
    if (rst) open_lanes <= '0;
  end
  assign idle = open_lanes == '0 && begun == '0 && draining == '0;
endmodule
