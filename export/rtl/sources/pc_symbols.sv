// pc_symbols: the symbols of every stream's records, two sides each: one is at work, one comes in or goes out
// (docs/engine.md, Streams).
//
// Ports    start, gives: a job begins; it takes records, or gives them (a decoder's).
//          joins: the records of a stream are one packet, up to the one in which over is set, or the last one, which
//          lane_ends says. last_variable: the record's; more: records that are not done, as pc_scheduler says it.
//          in_*: a word a symbol, of every stream; a record ends with in_last. One that ends early has missing symbols
//          in its place, what comes behind its last one is dropped; both set bad_frame. dropping: the rest of a record is
//          dropped.
//          ready: the stream's next record may begin. record_done: its work is done, the sides change places.
//          read_*: a symbol of the record at work, 2 cycles later. write_*: a symbol that a decoder found.
//          out_*: the records of a decoder, a word a symbol.
`include "pc_types.svh"
module pc_symbols #(
    localparam int PLACES = 2 * PC_STREAMS * VARIABLES,
    localparam int PLACE_BITS = $clog2(PLACES)
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic gives,
    input logic joins,
    input logic [PC_STREAMS-1:0] over,
    input logic [PC_STREAMS-1:0] lane_ends,
    input logic [VARIABLE_BITS-1:0] last_variable,
    input logic [2*PC_STREAMS-1:0] more,
    input logic [PC_STREAMS-1:0] in_valid,
    output logic [PC_STREAMS-1:0] in_ready,
    input logic [PC_STREAMS*32-1:0] in_data,
    input logic [PC_STREAMS-1:0] in_last,
    output logic [PC_STREAMS-1:0] ready,
    output logic [PC_STREAMS-1:0] side,
    input logic [PC_STREAMS-1:0] record_done,
    input logic read,
    input logic [PC_STREAM_BITS-1:0] read_stream,
    input logic read_side,
    input logic [VARIABLE_BITS-1:0] read_variable,
    output logic [SYMBOL_BITS-1:0] read_data,
    input logic write,
    input logic [PC_STREAM_BITS-1:0] write_stream,
    input logic [VARIABLE_BITS-1:0] write_variable,
    input logic [SYMBOL_BITS-1:0] write_symbol,
    output logic [PC_STREAMS-1:0] out_valid,
    input logic [PC_STREAMS-1:0] out_ready,
    output logic [PC_STREAMS*32-1:0] out_data,
    output logic [PC_STREAMS-1:0] out_last,
    output logic bad_frame,
    output logic [PC_STREAMS-1:0] dropping,
    output logic empty
);
  function automatic logic [PLACE_BITS-1:0] place_of(
      input logic [PC_STREAM_BITS-1:0] stream, input logic side_, input logic [VARIABLE_BITS-1:0] variable);
    place_of = '0;  // a constant for every side, for yosys would take a multiplier
    for (int s = 0; s < 2 * PC_STREAMS; s = s + 1)
      if ((PC_STREAM_BITS + 1)'(s) == {stream, side_}) place_of = place_of | PLACE_BITS'(s * VARIABLES);
    place_of = place_of + PLACE_BITS'(variable);
  endfunction
  logic gives_later;
  wire gives_now = HAS_SEARCH != 0 && gives_later;
  logic [PC_STREAMS-1:0] closed, final_0, final_1;  // of a packet: its last record is done; which side that is
  logic joins_now;
  logic [PC_STREAMS-1:0] full_0, full_1;  // by side: symbols are in it that are not done with
  logic [PC_STREAMS-1:0] other;  // the side that comes in or goes out
  logic [PC_STREAMS*VARIABLE_BITS-1:0] count;
  logic [PC_STREAMS-1:0] filling;
  wire [PC_STREAMS-1:0] full_here = (side & full_1) | (~side & full_0);
  wire [PC_STREAMS-1:0] full_other = (other & full_1) | (~other & full_0);
  assign ready = gives_now ? ~full_here : full_here;
  assign empty = full_0 == '0 && full_1 == '0 && out_valid == '0;

  // ---- records come in: one word a cycle, of one stream
  logic take;
  logic [PC_STREAM_BITS-1:0] in_stream;
  // a record that has begun is one of those that are not done; the next one is too if none is at work, or there are more
  logic [PC_STREAMS-1:0] due, in_chosen, out_chosen;
  always_comb for (int s = 0; s < PC_STREAMS; s = s + 1) due[s] = more[2*s+1] || (more[2*s] && !full_here[s]);
  localparam bit TAKES = HAS_LIKELIHOOD != 0 || HAS_ENCODE != 0;  // a decoder alone takes no records
  wire [PC_STREAMS-1:0] wants =
      gives_now || !TAKES ? '0 : dropping & in_valid | ~dropping & ~full_other & due & (in_valid | filling);
  // one is picked, its word is taken in the next cycle and stored in the one behind
  logic in_some;
  logic [PC_STREAM_BITS-1:0] in_place;
  logic [PC_STREAMS-1:0] turn;
  pc_pick #(.COUNT(PC_STREAMS)) in_pick (
      .clk(clk), .rst(rst), .ask(wants & ~turn), .take(in_some), .some(in_some), .chosen(in_chosen), .place(in_place));
  always_ff @(posedge clk) begin
    turn <= rst || start ? '0 : in_chosen;
    in_stream <= in_place;
  end
  assign take = (turn & (in_valid | filling)) != '0;
  logic [31:0] word;
  logic word_last, is_filling, is_dropping;
  logic [VARIABLE_BITS-1:0] in_variable;
  always_comb begin
    word = '0;
    word_last = 1'b0;
    is_filling = 1'b0;
    is_dropping = 1'b0;
    in_variable = '0;
    in_ready = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1)
      if (turn[s]) begin
        word = word | in_data[32*s+:32];
        word_last = word_last || in_last[s];
        is_filling = is_filling || filling[s];
        is_dropping = is_dropping || dropping[s];
        in_variable = in_variable | count[s*VARIABLE_BITS+:VARIABLE_BITS];
        in_ready[s] = !filling[s];
      end
  end
  // a word beyond the symbols is the last symbol but one of its width, which is beyond every alphabet
  localparam logic [SYMBOL_BITS-1:0] BEYOND = {{(SYMBOL_BITS - 1) {1'b1}}, 1'b0};
  logic fill_1;
  logic [31:0] word_1;
  wire is_beyond = (word_1 >> SYMBOL_BITS) != '0 || word_1[SYMBOL_BITS-1:0] == '1;
  wire [SYMBOL_BITS-1:0] in_symbol = fill_1 || word_1 == '1 ? '1 : is_beyond ? BEYOND : word_1[SYMBOL_BITS-1:0];
  wire whole = take && !is_dropping && in_variable == last_variable;

  // ---- records go out: at most one word of a stream under way. One is picked, and waits until the tables read nothing
  logic [PC_STREAM_BITS-1:0] out_place, out_stream, out_stream_2;
  logic [PC_STREAMS-1:0] under_way, out_turn;
  logic out_some, out_waits;
  wire read_out = out_waits && !read;
  wire out_free = !out_waits || !read;
  wire [PC_STREAMS-1:0] gives_out = gives_now ? full_other & ~under_way & ~out_valid & ~out_turn : '0;
  pc_pick #(.COUNT(PC_STREAMS)) out_pick (
      .clk(clk), .rst(rst), .ask(gives_out), .take(out_some && out_free), .some(out_some), .chosen(out_chosen),
      .place(out_place));
  always_ff @(posedge clk) begin
    if (out_free) begin
      out_waits <= out_some;
      out_turn <= out_chosen;
      out_stream <= out_place;
    end
    if (rst || start) begin
      out_waits <= 1'b0;
      out_turn <= '0;
    end
  end
  logic [VARIABLE_BITS-1:0] out_variable;
  logic out_side;
  always_comb begin
    out_variable = '0;
    out_side = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1)
      if (PC_STREAM_BITS'(s) == out_stream) begin
        out_variable = count[s*VARIABLE_BITS+:VARIABLE_BITS];
        out_side = other[s];
      end
  end
  logic out_come, out_end_2;
  pc_valid #(.WIDTH(PC_STREAM_BITS + 1), .CYCLES(2)) out_late (
      .clk(clk), .rst(rst), .in_valid(read_out), .in({out_stream, out_variable == last_variable}), .out_valid(out_come),
      .out({out_stream_2, out_end_2}));

  // ---- the memory
  logic [SYMBOL_BITS-1:0] memory[PLACES];
  logic write_side;
  always_comb begin
    write_side = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1)
      if (write ? PC_STREAM_BITS'(s) == write_stream : turn[s]) write_side = write ? side[s] : other[s];
  end
  // a record is read long after its last symbol came
  logic put_1, write_1;
  logic [SYMBOL_BITS-1:0] write_symbol_1;
  logic [PLACE_BITS-1:0] put_place_1;
  wire [PLACE_BITS-1:0] read_place = place_of(read_stream, read_side, read_variable);
  wire [PLACE_BITS-1:0] get_place =
      read || HAS_SEARCH == 0 ? read_place : place_of(out_stream, out_side, out_variable);
  logic [SYMBOL_BITS-1:0] got;
  always_ff @(posedge clk) begin
    put_1 <= write || (take && !is_dropping);
    write_1 <= write;
    write_symbol_1 <= write_symbol;
    fill_1 <= is_filling;
    word_1 <= word;
    put_place_1 <= place_of(write ? write_stream : in_stream, write_side, write ? write_variable : in_variable);
    if (put_1) memory[put_place_1] <= HAS_SEARCH != 0 && write_1 ? write_symbol_1 : in_symbol;
    got <= memory[get_place];
    read_data <= got;
  end

  always_ff @(posedge clk) begin
    if (start) begin
      gives_later <= gives;
      joins_now <= HAS_UNPACK != 0 && joins;
    end
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (take && turn[s]) begin
        if (is_dropping) dropping[s] <= !word_last;
        else begin
          count[s*VARIABLE_BITS+:VARIABLE_BITS] <= whole ? '0 : in_variable + 1'b1;
          filling[s] <= !whole && (is_filling || word_last);
          dropping[s] <= whole && !is_filling && !word_last;
          if (whole) begin
            other[s] <= !other[s];
            if (other[s]) full_1[s] <= 1'b1;
            else full_0[s] <= 1'b1;
          end
        end
      end
      if (record_done[s]) begin
        side[s] <= !side[s];
        if (side[s]) full_1[s] <= gives_now && !closed[s];
        else full_0[s] <= gives_now && !closed[s];
        if (joins_now && (over[s] || lane_ends[s])) closed[s] <= 1'b1;
        if (side[s]) final_1[s] <= over[s] || lane_ends[s];
        else final_0[s] <= over[s] || lane_ends[s];
      end
      if (read_out && out_turn[s]) under_way[s] <= 1'b1;
      if (out_come && PC_STREAM_BITS'(s) == out_stream_2) begin
        under_way[s] <= 1'b0;
        out_valid[s] <= 1'b1;
        out_data[32*s+:32] <= joins_now && read_data == '1 ? '1 : 32'(read_data);
        out_last[s] <= out_end_2 && (!joins_now || (other[s] ? final_1[s] : final_0[s]));
        count[s*VARIABLE_BITS+:VARIABLE_BITS] <= out_end_2 ? '0 : count[s*VARIABLE_BITS+:VARIABLE_BITS] + 1'b1;
        if (out_end_2) begin
          other[s] <= !other[s];
          if (other[s]) full_1[s] <= 1'b0;
          else full_0[s] <= 1'b0;
        end
      end
      if (out_valid[s] && out_ready[s]) out_valid[s] <= 1'b0;
    end
    bad_frame <= take && !is_dropping && !is_filling && (whole != word_last);
    if (rst || start) begin
      full_0 <= '0;
      full_1 <= '0;
      side <= '0;
      other <= '0;
      count <= '0;
      filling <= '0;
      dropping <= '0;
      closed <= '0;
      under_way <= '0;
      out_valid <= '0;
      bad_frame <= 1'b0;
    end
  end
endmodule
