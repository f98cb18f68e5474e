// pc_packers: packets of equal size out of symbols' intervals, one of every stream (docs/packets.md, On the engine).
//
// A symbol is coded if its interval has a whole cell of the payload. As long as a symbol of any probability has room, any
// payload has them all, and digits leave as an encoder's. From then on the stream is tight: what passes is kept, and of
// both cells in which the interval ends how many symbols there were when each was last whole. One symbol or digit of one
// stream is at work at a time, for links are slow.
//
// Ports    start: a job begins, packs: it is this one; opens: streams that have records. room_valid, room_stream,
//          room_bytes: how many bytes a stream's payload has. lane_ends: its last symbol is coded. interval_*: a symbol's,
//          with SHARED_PRODUCT the end a cycle later. floors: f. coded_valid, coded_stream: a symbol is done with.
//          out_*: of every stream the payload, a byte a word, then 2 times its symbols, and whether rule 1 says so.
`include "pc_types.svh"
module pc_packers #(
    localparam int P = PC_SCALE_BITS,
    localparam int B = 2 * P,
    localparam int CELL_BITS = P + 9
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic packs,
    input logic [PC_STREAMS-1:0] opens,
    input logic room_valid,
    input logic [PC_STREAM_BITS-1:0] room_stream,
    input logic [15:0] room_bytes,
    input logic [P-1:0] floors,
    input logic [PC_STREAMS-1:0] lane_ends,
    input logic interval_valid,
    input logic [PC_STREAM_BITS-1:0] interval_stream,
    input logic [P:0] interval_start,
    input logic [P:0] interval_end,
    output logic coded_valid,
    output logic [PC_STREAM_BITS-1:0] coded_stream,
    output logic [PC_STREAMS-1:0] out_valid,
    input logic [PC_STREAMS-1:0] out_ready,
    output logic [PC_STREAMS*32-1:0] out_data,
    output logic [PC_STREAMS-1:0] out_last,
    output logic idle
);
  typedef struct packed {
    logic over;   // it holds no further symbol
    logic sure;   // it holds what rule 1 says
    logic tight;  // a symbol of any probability has no room any more: since then
    logic [2:0] rest;  // how many bytes of the payload are left,
    logic [CELL_BITS-1:0] passed;  // which of them the window has passed,
    logic [31:0] safe;  // how many symbols the first whole cell of then says,
    logic [CELL_BITS-1:0] safe_cell;  // which cell that is,
    logic [31:0] lower_says;  // and what both cells say in which the interval ends
    logic [31:0] upper_says;
    logic [31:0] count;
    logic [B:0] low;
    logic [B-1:0] range;
  } packet_t;
  localparam int PACKET_BITS = 134 + 2 * CELL_BITS + 2 * B + 1;
  logic [PACKET_BITS-1:0] packets[PC_STREAMS];
  logic [15:0] rooms[PC_STREAMS];  // bytes of the payload that the window has not passed
  logic [2*P+1:0] intervals[PC_STREAMS];
  logic [PC_STREAMS-1:0] fresh, symbols, ends, tails, closed, out_room;

  // ---- which stream is next
  typedef enum logic [3:0] {
    IDLE, LOADED, PRODUCTS, BEFORE, NARROWED, SAYS, AFTER, CHOOSE, OVER, SHIFT, FINISH, REST, DIGIT, STORE
  } state_t;
  state_t state;
  logic pick, some;
  logic [PC_STREAMS-1:0] chosen_unused;
  logic [PC_STREAM_BITS-1:0] picked, stream;
  pc_pick #(.COUNT(PC_STREAMS)) picks (
      .clk(clk), .rst(rst), .ask((symbols | ends | tails) & out_room), .take(pick), .some(some),
      .chosen(chosen_unused), .place(picked));
  logic packs_now;
  logic [PC_STREAMS-1:0] open_lanes, ended;
  logic waits;  // an interval's end comes in this cycle
  logic [PC_STREAM_BITS-1:0] waits_stream;
  logic [P:0] start_1;
  assign pick = some && state == IDLE && !waits;

  // ---- the symbol at work
  packet_t now, fresh_packet;
  always_comb begin
    fresh_packet = '0;
    fresh_packet.range = '1;
  end
  logic [15:0] room;
  logic [P:0] first_bound, last_bound;
  logic is_symbol, is_end;
  logic [2:0] wait_count;
  wire [2:0] open_bytes = 32'(room) < B / 8 ? 3'(B / 8) - room[2:0] : 3'd0;  // of the window beyond the payload
  logic [5:0] open;  // the same in bits
  wire [B:0] fill = ~({(B + 1) {1'b1}} << open);
  logic [P-1:0] factor;
  logic [P:0] other;
  logic [B:0] product;
  pc_product #(.FIRST_BITS(P), .SECOND_BITS(P + 1)) products (
      .clk(clk), .in_first(factor), .in_second(other), .out(product));
  logic [B:0] next_low, before_first, before_end, first, last, lower, upper;
  logic [B-1:0] next_range;
  logic has_room;
  wire [B+1:0] low_and_fill = (B + 2)'(now.low) + (B + 2)'(fill);
  wire [B:0] low_and_range = now.low + (B + 1)'(now.range);
  wire [B+1:0] next_and_fill = (B + 2)'(next_low) + (B + 2)'(fill);
  wire [B:0] next_and_range = next_low + (B + 1)'(next_range);
  wire [B:0] next_end = next_and_range - 1'b1;
  logic [31:0] below, above, most;  // what the cells say in which the symbol's interval ends, and the one that says more
  logic [CELL_BITS-1:0] chosen_cell;
  wire [CELL_BITS-1:0] passed_cells = now.passed << {room[2:0], 3'd0};
  logic [CELL_BITS-1:0] cell_now;  // that the rest of the payload is
  logic emits, emit_flush, emit_ready;
  wire [8:0] digit = now.low[B:B-8];
  wire [B:0] shifted_low = {1'b0, now.low[B-9:0], 8'd0};
  logic [1:0] left;  // digits that a symbol may move still
  assign emits = (state == SHIFT && left != '0 && now.range[B-1:B-8] == '0 && !now.tight) || (state == DIGIT && room != '0);
  assign emit_flush = state == DIGIT && room == 16'd1;
  always_ff @(posedge clk) begin
    coded_valid <= 1'b0;
    wait_count <= wait_count - 1'b1;
    waits <= SHARED_PRODUCT != 0 && interval_valid && packs_now && !rst && !start;
    waits_stream <= interval_stream;
    if (interval_valid && packs_now) begin
      intervals[interval_stream] <= {interval_start, interval_end};
      symbols[interval_stream] <= 1'b1;
    end
    if (waits) intervals[waits_stream] <= {start_1, interval_end};
    start_1 <= interval_start;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (lane_ends[s] && packs_now) ends[s] <= 1'b1;
    case (state)
      IDLE:
      if (pick) begin
        stream <= picked;
        state <= LOADED;
      end
      LOADED: begin
        now <= fresh[stream] ? fresh_packet : packets[stream];
        fresh[stream] <= 1'b0;
        room <= rooms[stream];
        {first_bound, last_bound} <= intervals[stream];
        is_symbol <= symbols[stream];
        is_end <= ends[stream];
        symbols[stream] <= 1'b0;
        // a symbol comes before the end of its lane
        if (!symbols[stream] && ends[stream]) begin
          ends[stream] <= 1'b0;
          tails[stream] <= 1'b1;
        end
        state <= PRODUCTS;
        wait_count <= 3'd7;
      end
      PRODUCTS: begin
        open <= {open_bytes, 3'd0};
        factor <= now.range[B-1:P];
        other <= wait_count == 3'd7 ? first_bound : wait_count == 3'd6 ? last_bound - first_bound : {1'b0, floors};
        if (!is_symbol) state <= is_end ? FINISH : DIGIT;
        else if (now.over) state <= STORE;
        // the first product is there when five cycles are over, the others behind it
        if (wait_count == 3'd2) next_low <= now.low + product;
        if (wait_count == 3'd1) next_range <= product[B-1:0];
        if (wait_count == 3'd0) begin
          has_room <= (product >> open) >= (B + 1)'(2);
          state <= BEFORE;
        end
      end
      BEFORE: begin
        before_first <= (B + 1)'(low_and_fill >> open);
        before_end <= low_and_range >> open;
        state <= NARROWED;
      end
      NARROWED: begin
        if (!now.tight && !has_room) begin
          now.tight <= 1'b1;
          now.rest <= room[2:0];
          now.passed <= '0;
          now.safe <= now.count;
          now.safe_cell <= CELL_BITS'(before_first);
          now.lower_says <= '0;
          now.upper_says <= '0;
        end
        first <= (B + 1)'(next_and_fill >> open);
        last <= next_and_range >> open;
        lower <= next_low >> open;
        upper <= next_end >> open;
        state <= SAYS;
      end
      SAYS: begin
        below <= lower < before_first ? now.lower_says : lower < before_end ? now.count : now.upper_says;
        above <= upper < before_first ? now.lower_says : upper < before_end ? now.count : now.upper_says;
        state <= AFTER;
      end
      AFTER: begin
        if (first >= last) state <= CHOOSE;
        else begin
          if (first > before_first) now.lower_says <= now.count;
          if (last < before_end) now.upper_says <= now.count;
          now.count <= now.count + 1'b1;
          now.low <= next_low;
          now.range <= next_range;
          left <= 2'(P / 8);
          state <= SHIFT;
        end
      end
      CHOOSE: begin
        most <= above > below ? above : below;
        chosen_cell <= CELL_BITS'(above > below ? upper : lower);
        state <= OVER;
      end
      OVER: begin
        now.sure <= most < now.safe;
        now.count <= most < now.safe ? now.safe : most;
        now.over <= 1'b1;
        cell_now <= most < now.safe ? now.safe_cell : passed_cells + chosen_cell;
        state <= REST;
      end
      SHIFT:
      if (left == '0 || now.range[B-1:B-8] != '0) state <= STORE;
      else if (now.tight || emit_ready) begin
        left <= left - 1'b1;
        if (now.tight) now.passed <= {now.passed[CELL_BITS-9:0], 8'd0} + CELL_BITS'(digit);
        now.low <= shifted_low;
        now.range <= now.range << 8;
        room <= room - 1'b1;
      end
      // behind the last symbol: the first whole cell
      FINISH: begin
        cell_now <= passed_cells + CELL_BITS'(low_and_fill >> open);
        if (now.over) state <= STORE;
        else if (now.tight) state <= REST;
        else begin
          now.low <= (B + 1)'(low_and_fill >> open) << open;
          state <= STORE;
        end
      end
      // the window begins with what is left of the payload
      REST: begin
        room <= 16'(now.rest);
        now.low <= (B + 1)'({{B{1'b0}}, cell_now} << (7'(B) - {1'b0, now.rest, 3'd0}));
        state <= STORE;
      end
      DIGIT:
      if (room == '0 || emit_ready) begin
        now.low <= shifted_low;
        room <= room == '0 ? '0 : room - 1'b1;
        if (room <= 16'd1) tails[stream] <= 1'b0;
        if (room == '0) closed[stream] <= 1'b1;
        state <= STORE;
      end
      default: begin  // STORE
        packets[stream] <= now;
        rooms[stream] <= room;
        coded_valid <= is_symbol;
        coded_stream <= stream;
        state <= IDLE;
      end
    endcase
    if (room_valid) rooms[room_stream] <= room_bytes;
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (ended[s]) closed[s] <= 1'b1;
      if (out_valid[s] && out_ready[s] && out_last[s]) closed[s] <= 1'b0;
      if (out_valid[s] && out_ready[s] && out_last[s]) open_lanes[s] <= 1'b0;
    end
    if (start) begin
      packs_now <= packs;
      open_lanes <= packs ? opens : '0;
    end
    if (rst || start) begin
      state <= IDLE;
      fresh <= '1;
      symbols <= '0;
      ends <= '0;
      tails <= '0;
      closed <= '0;
    end
    if (rst) begin
      packs_now <= 1'b0;
      open_lanes <= '0;
    end
  end
  assign idle = open_lanes == '0;

  // ---- digits to bytes
  logic back_valid, back_ready, back_last;
  logic [PC_STREAM_BITS-1:0] back_stream;
  logic [7:0] back_byte;
  pc_carry #(.SCALE_BITS(P), .STREAMS(PC_STREAMS)) carries (
      .clk(clk), .rst(rst || start), .in_valid(emits), .in_ready(emit_ready), .in_stream(stream),
      .in_flush(emit_flush), .in_count(2'd1), .in_carry(digit[8]), .in_bytes({digit[7:0], {(P - 8) {1'b0}}}),
      .out_valid(back_valid), .out_ready(back_ready), .out_stream(back_stream), .out_byte(back_byte),
      .out_last(back_last));
  logic [PC_STREAMS-1:0] readies;
  for (genvar s = 0; s < PC_STREAMS; ++s) begin : g_bytes
    logic in_valid, byte_valid, byte_last;
    logic [7:0] byte_out;
    assign in_valid = back_valid && back_stream == PC_STREAM_BITS'(s);
    pc_fifo #(.WIDTH(9), .DEPTH(9)) bytes (
        .clk(clk), .rst(rst || start), .in_valid(in_valid), .in_ready(readies[s]), .in({back_last, back_byte}),
        .out_valid(byte_valid), .out_ready(out_ready[s]), .out({byte_last, byte_out}));
    logic [3:0] there;
    always_ff @(posedge clk)
      there <= rst || start ? '0
          : there + 4'(in_valid && readies[s]) - 4'(byte_valid && out_ready[s]);
    assign out_room[s] = there < 4'd4;
    assign ended[s] = byte_valid && out_ready[s] && byte_last;
    // the count comes when the last byte has left
    logic [31:0] counts;
    always_ff @(posedge clk)
      if (state == STORE && stream == PC_STREAM_BITS'(s)) counts <= {now.count[30:0], now.sure};
    logic closed_1;
    always_ff @(posedge clk) closed_1 <= closed[s] && !(out_valid[s] && out_ready[s] && out_last[s]) && !rst && !start;
    assign out_valid[s] = byte_valid || closed_1;
    assign out_last[s] = !byte_valid;
    assign out_data[32*s+:32] = byte_valid ? 32'(byte_out) : counts;
  end
  always_comb begin
    back_ready = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (PC_STREAM_BITS'(s) == back_stream) back_ready = readies[s];
  end
  wire unused = &{1'b0, chosen_unused};
endmodule
