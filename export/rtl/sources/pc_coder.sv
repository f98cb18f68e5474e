// pc_coder: intervals, the range coders of all streams, and a decoder's search for its symbols (docs/rtl.md, Coding).
//
// Encoding, what the tables weighed becomes an interval, the interval narrows the stream's range, and digits leave.
// Decoding, symbols are tried: each try is an encoder's pass, and its interval is taken out of the range if the position
// lies in it; else it is known on which side the symbol lies. Of both is built what a job needs.
//
// With SHARED_PRODUCT one multiplier does all: intervals begin in every eighth cycle, and modulo 8 no two products of a
// symbol are asked for in the same cycle (asserted). What was weighed waits for that cycle, in one place, so the next one
// comes at least 8 cycles later (asserted; pc_table_unit sees to it).
//
// Ports    search_*: an INTERVAL of a decoder; asks, takes, pass: a pass through the tables. weighed_*: what one found.
//          written_*: its counts are written. searching: streams whose symbol is not found; found_*: a symbol.
//          floors: f. packs, unpacks, closes, sure, room_*, says_*: of packets, as pc_packers and pc_decoders have it;
//          marked: what was not in a packet is marked so. issued, issued_stream: an INTERVAL went to the tables. opens: streams that have records.
//          lane_ends: a stream's last record is done. coded: a stream's symbols are all behind its coder. ready: the
//          stream may begin a record; room: it may code a symbol. in_*, out_*: bytes of lanes, in a word each.
`include "pc_types.svh"
module pc_coder #(
    localparam int P = PC_SCALE_BITS,
    localparam int FIRST_BITS = P + 2,
    localparam int SECOND_BITS = P + 1,
    localparam bit SHARED = SHARED_PRODUCT != 0,
    localparam int TAG_BITS = 1 + PC_STREAM_BITS
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic encodes,
    input logic decodes,
    input logic checks,
    input logic packs,
    input logic unpacks,
    input logic [PC_STREAMS-1:0] closes,
    input logic [PC_STREAMS-1:0] sure,
    input logic room_valid,
    input logic [PC_STREAM_BITS-1:0] room_stream,
    input logic [15:0] room_bytes,
    output logic says_valid,
    output logic [PC_STREAM_BITS-1:0] says_stream,
    output logic says_over,
    input logic [PC_STREAMS-1:0] marked,
    input logic [P-1:0] floors,
    input logic [PC_STREAMS-1:0] opens,
    input logic search_valid,
    output logic search_ready,
    input task_t search,
    output logic asks,
    input logic takes,
    output pass_t pass,
    input logic weighed_valid,
    input weighed_t weighed,
    input logic written_valid,
    input logic [PC_STREAM_BITS-1:0] written_stream,
    output logic [PC_STREAMS-1:0] searching,
    output logic found,
    output logic [PC_STREAM_BITS-1:0] found_stream,
    output logic [VARIABLE_BITS-1:0] found_variable,
    output logic [SYMBOL_BITS-1:0] found_symbol,
    input logic issued,
    input logic [PC_STREAM_BITS-1:0] issued_stream,
    input logic [PC_STREAMS-1:0] lane_ends,
    output logic [PC_STREAMS-1:0] coded,
    output logic [PC_STREAMS-1:0] ready,
    output logic [PC_STREAMS-1:0] room,
    input logic [PC_STREAMS-1:0] in_valid,
    output logic [PC_STREAMS-1:0] in_ready,
    input logic [PC_STREAMS*32-1:0] in_data,
    input logic [PC_STREAMS-1:0] in_last,
    output logic [PC_STREAMS-1:0] out_valid,
    input logic [PC_STREAMS-1:0] out_ready,
    output logic [PC_STREAMS*32-1:0] out_data,
    output logic [PC_STREAMS-1:0] out_last,
    output logic bad_lane,
    output logic idle
);
  logic encoding, decoding, checking, unpacking;
  always_ff @(posedge clk) unpacking <= rst ? 1'b0 : start ? HAS_UNPACK != 0 && unpacks : unpacking;
  always_ff @(posedge clk) begin
    if (start) {encoding, decoding, checking} <= {encodes, decodes, checks};
    if (rst) {encoding, decoding, checking} <= '0;
  end

  // ---- intervals: a missing symbol has none
  wire weighs = weighed_valid && !(HAS_PACKETS != 0 && weighed.missing);
  logic weighed_1, top_1;
  weighed_t of_1;
  logic [P:0] below_1;
  logic [P-1:0] floors_1;
  always_ff @(posedge clk) begin
    weighed_1 <= (weighs || (weighed_1 && !interval_ready)) && !rst;
    if (weighs) begin
      of_1 <= weighed;
      top_1 <= (SYMBOL_BITS + 1)'(weighed.symbol) + 1'b1 == weighed.cardinality;
      below_1 <= floors_of((P + 1)'(weighed.symbol));
      floors_1 <= P'(floors_of((P + 1)'(weighed.cardinality)));
    end
  end
`ifndef SYNTHESIS
  always_ff @(posedge clk) if (!rst) assert (!weighs || !weighed_1 || interval_ready);
`endif
  // Times the floor. Where that is a number: sums of what is shifted, for yosys would take a multiplier.
  function automatic logic [P:0] floors_of(input logic [P:0] symbols);
    floors_of = RELOAD != 0 ? (P + 1)'(symbols * floors) : '0;
    for (int at = 0; at <= P; at = at + 1) if (RELOAD == 0 && ((FLOOR >> at) & 1) != 0) floors_of = floors_of + (symbols << at);
  endfunction
  logic interval_valid, interval_ready, interval_top, early_valid, early_top;
  logic [PC_STREAM_BITS-1:0] interval_stream, early_stream;
  logic [P:0] interval_start, interval_end;
  logic interval_ask, encoder_ask, decoder_ask;
  logic [FIRST_BITS-1:0] interval_first;
  logic [SECOND_BITS-1:0] interval_second;
  logic [P-1:0] encoder_first, decoder_first;
  logic [P:0] encoder_second, decoder_second;
  logic [FIRST_BITS+SECOND_BITS-1:0] product;
  pc_interval #(
      .SUM_BITS(CONTEXT_BITS), .WEIGHTED_BITS(PC_WEIGHTED_BITS), .SCALE_BITS(PC_SCALE_BITS), .TAG_BITS(TAG_BITS),
      .SHARED(SHARED)
  ) interval (
      .clk(clk), .rst(rst || start), .in_valid(weighed_1), .in_ready(interval_ready),
      .in_tag({top_1, of_1.stream}), .in_total(of_1.total), .in_lower(of_1.low), .in_upper(of_1.high),
      .in_below(below_1), .in_floors(floors_1), .in_floor(floors), .out_valid(interval_valid),
      .out_tag({interval_top, interval_stream}), .early_valid(early_valid),
      .early_tag({early_top, early_stream}), .out_start(interval_start),
      .out_end(interval_end), .ask(interval_ask), .ask_first(interval_first), .ask_second(interval_second),
      .product(product));
  if (SHARED) begin : g_shared
    // who does not ask, gives zeros
    wire [FIRST_BITS-1:0] first =
        interval_first | FIRST_BITS'(encoder_ask ? encoder_first : '0) | FIRST_BITS'(decoder_ask ? decoder_first : '0);
    wire [SECOND_BITS-1:0] second =
        interval_second | (encoder_ask ? encoder_second : '0) | (decoder_ask ? decoder_second : '0);
    pc_product #(
        .FIRST_BITS(FIRST_BITS), .SECOND_BITS(SECOND_BITS)
    ) products (.clk(clk), .in_first(first), .in_second(second), .out(product));
`ifndef SYNTHESIS
    always_ff @(posedge clk)
      if (!rst) assert (32'(interval_ask) + 32'(encoder_ask) + 32'(decoder_ask) <= 1);
`endif
  end else begin : g_own
    assign product = '0;
    wire unused = &{1'b0, interval_first, interval_second, encoder_first, encoder_second, decoder_first, decoder_second,
                    encoder_ask, decoder_ask};
  end

  // ---- encoders
  logic encoded, encoders_idle, packing, packed_symbol, packers_idle;
  logic [PC_STREAM_BITS-1:0] encoded_stream, packed_stream;
  logic [PC_STREAMS-1:0] lane_valid, lane_last, packet_valid, packet_last;
  logic [PC_STREAMS*8-1:0] lane_data;
  logic [PC_STREAMS*32-1:0] packet_data;
  always_ff @(posedge clk) packing <= rst ? 1'b0 : start ? HAS_PACK != 0 && packs : packing;
  always_comb begin
    for (int s = 0; s < PC_STREAMS; s = s + 1)
      out_data[32*s+:32] = packing ? packet_data[32*s+:32] : 32'(lane_data[8*s+:8]);
  end
  assign out_valid = packing ? packet_valid : lane_valid;
  assign out_last = packing ? packet_last : lane_last;
  if (HAS_PACK != 0) begin : g_pack
    pc_packers packers (
        .clk(clk), .rst(rst), .start(start), .packs(packs), .opens(opens), .room_valid(room_valid),
        .room_stream(room_stream), .room_bytes(room_bytes), .floors(floors), .lane_ends(packing ? lane_ends : '0),
        .interval_valid(interval_valid && packing), .interval_stream(interval_stream),
        .interval_start(interval_start), .interval_end(interval_end), .coded_valid(packed_symbol),
        .coded_stream(packed_stream), .out_valid(packet_valid), .out_ready(packing ? out_ready : '0),
        .out_data(packet_data), .out_last(packet_last), .idle(packers_idle));
  end else begin : g_no_pack
    assign {packed_symbol, packed_stream, packet_valid, packet_data, packet_last} = '0;
    assign packers_idle = 1'b1;
    wire unused = &{1'b0, room_valid, room_stream, room_bytes};
  end
  if (HAS_ENCODE != 0) begin : g_encode
    pc_encoders encoders (
        .clk(clk), .rst(rst), .start(start), .encodes(encodes), .opens(opens),
        .lane_ends(encoding ? lane_ends : '0), .interval_valid(interval_valid && encoding),
        .early_valid(early_valid), .early_stream(early_stream), .interval_start(interval_start),
        .interval_end(interval_end), .others_ask(interval_ask), .coded_valid(encoded), .coded_stream(encoded_stream), .out_valid(lane_valid),
        .out_ready(packing ? '0 : out_ready), .out_data(lane_data), .out_last(lane_last), .idle(encoders_idle), .ask(encoder_ask),
        .ask_first(encoder_first), .ask_second(encoder_second), .product(product[2*P:0]));
  end else begin : g_no_encode
    assign {encoded, encoded_stream, lane_valid, lane_data, lane_last} = '0;
    assign {encoder_ask, encoder_first, encoder_second} = '0;
    assign encoders_idle = 1'b1;
    wire unused = &{1'b0, encoding, encodes, out_ready};
  end

  // ---- decoders, and their search
  logic decoded, decoders_idle;
  logic [PC_STREAM_BITS-1:0] decoded_stream;
  logic [PC_STREAMS-1:0] loaded, filled;
  if (HAS_SEARCH != 0) begin : g_decode
    logic tried_valid, tried_below, tried_above;
    logic [PC_STREAM_BITS-1:0] tried_stream;
    pc_decoders decoders (
        .clk(clk), .rst(rst), .start(start), .decodes(decodes), .opens(opens), .checks(checking),
        .unpacks(unpacking), .closes(closes), .sure(sure), .floors(floors), .says_valid(says_valid),
        .says_stream(says_stream), .says_over(says_over),
        .lane_ends(decoding ? lane_ends : '0), .interval_valid(interval_valid && decoding),
        .interval_top(interval_top), .early_valid(early_valid), .early_stream(early_stream),
        .interval_start(interval_start),
        .interval_end(interval_end), .others_ask(interval_ask), .tried_valid(tried_valid), .tried_stream(tried_stream),
        .tried_below(tried_below), .tried_above(tried_above), .coded_valid(decoded), .coded_stream(decoded_stream),
        .ready(loaded),
        .room(filled), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data), .in_last(in_last),
        .bad_lane(bad_lane), .idle(decoders_idle), .ask(decoder_ask), .ask_first(decoder_first),
        .ask_second(decoder_second), .product(product[2*P:0]));
    pc_search finder (
        .clk(clk), .rst(rst || start), .search_valid(search_valid), .search_ready(search_ready), .search(search),
        .asks(asks), .takes(takes), .pass(pass), .weighed_valid(weighed_valid),
        .weighed_stream(weighed.stream), .weighed_symbol(weighed.symbol), .weighed_cardinality(weighed.cardinality),
        .tried_valid(tried_valid), .tried_stream(tried_stream), .tried_below(tried_below), .tried_above(tried_above),
        .written_valid(written_valid), .written_stream(written_stream), .searching(searching), .found(found),
        .found_stream(found_stream), .found_variable(found_variable), .found_symbol(found_symbol));
  end else begin : g_no_decode
    assign {decoded, decoded_stream, loaded, filled, in_ready, bad_lane, says_valid, says_stream, says_over} = '0;
    assign {decoder_ask, decoder_first, decoder_second} = '0;
    assign {asks, pass, search_ready, searching, found, found_stream, found_variable, found_symbol} = '0;
    assign decoders_idle = 1'b1;
    wire unused = &{1'b0, decodes, checking, search_valid, search, takes, in_valid, in_data, in_last, interval_top,
                    written_valid, written_stream};
  end
  wire unused_tags = &{1'b0, early_top, interval_stream, marked, closes, sure, unpacking};
  assign ready = decoding ? loaded : '1;
  assign room = decoding ? filled : '1;
  always_ff @(posedge clk) begin
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (issued && PC_STREAM_BITS'(s) == issued_stream) coded[s] <= 1'b0;
      if (encoded && PC_STREAM_BITS'(s) == encoded_stream) coded[s] <= 1'b1;
      if (decoded && PC_STREAM_BITS'(s) == decoded_stream) coded[s] <= 1'b1;
      if (HAS_PACKETS != 0) begin
        if (packed_symbol && PC_STREAM_BITS'(s) == packed_stream) coded[s] <= 1'b1;
        if (weighed_valid && weighed.missing && PC_STREAM_BITS'(s) == weighed.stream) coded[s] <= 1'b1;
        if (marked[s]) coded[s] <= 1'b1;
      end
    end
    if (rst || start) coded <= '1;
  end
  assign idle = encoders_idle && decoders_idle && packers_idle;
endmodule
