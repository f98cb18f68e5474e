// pc_stage_coder: tokens to the bytes of a lane, and back, given their classes (docs/predictor.md, Coding; docs/stream.md,
// Lane).
//
// Ports    start: a lane begins, decodes: its bytes come in. ready: for put, with chosen and token, or take, with chosen, both stable
//          until done, a pulse; found: the token that was taken. ends: the lane has ended; ended: an encoder's last byte
//          is out, a decoder's lane is taken to its end; damaged: no encoder wrote its bytes. in_*, out_*: bytes.
// Latency  an encoder's two bounds and 10; a decoder's one and one a bit of the token, and 20.
`include "stage.svh"
module pc_stage_coder #(
    localparam int P = STAGE_SCALE_BITS,
    localparam int BYTES = P / 8
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic decodes,
    output logic ready,
    input logic put,
    input logic take,
    input logic [STAGE_CLASS_BITS-1:0] chosen,
    input logic [STAGE_TOKEN_BITS-1:0] token,
    output logic done,
    output logic [STAGE_TOKEN_BITS-1:0] found,
    input logic ends,
    output logic ended,
    output logic damaged,
    output logic out_valid,
    input logic out_ready,
    output logic [7:0] out_byte,
    output logic out_last,
    input logic in_valid,
    output logic in_ready,
    input logic [7:0] in_byte,
    input logic in_data,
    input logic in_last
);
  typedef enum logic [3:0] {
    IDLE, LOAD, LOADS, REST, LOWER, UPPER, CODE, CODES, FLUSH, FLUSHES, LAST_END, SEEK, BOUND, PROBE, PROBED, TAKE
  } state_t;
  state_t state;
  logic bound_go, bound_fresh, bound_done;
  logic [STAGE_TOKEN_BITS-1:0] asked;
  logic [P:0] bound, lower, middle, upper;
  pc_stage_bounds bounds (
      .clk(clk), .rst(rst || start), .go(bound_go), .fresh(bound_fresh), .chosen(chosen), .token(asked),
      .done(bound_done), .bound(bound));

  // ---- intervals out
  logic step_ready, step_done, stream_unused, out_stream_unused, all_out;
  pc_lane_encoder #(.SCALE_BITS(P), .STREAMS(1)) encoder (
      .clk(clk), .rst(rst || start), .in_valid(state == CODE || state == FLUSH), .in_ready(step_ready),
      .in_stream(1'b0), .in_flush(state == FLUSH), .in_start(lower), .in_end(upper), .done_valid(step_done),
      .done_stream(stream_unused), .out_valid(out_valid), .out_ready(out_ready), .out_stream(out_stream_unused),
      .out_byte(out_byte), .out_last(out_last));

  // ---- bytes in: a window of those that are next, zeros behind the lane's end
  logic [P-1:0] window;
  logic [1:0] have;
  logic over, loaded_once, whole, open;
  logic [31:0] came, moved;
  assign whole = have == 2'(BYTES) || over;
  assign in_ready = open && !over && (have != 2'(BYTES) || ends);
  wire takes_byte = in_valid && in_ready && in_data && !ends;  // not with took: the window is full then
  logic decoder_ready, probe_valid, probe_stream_unused, probe_reached, took, took_stream_unused, took_left, left;
  logic [1:0] used;
  logic [P-1:0] unit_unused, first_unused;
  logic [2*P-1:0] offset_unused, out_offset_unused, out_range_unused;
  logic [P:0] second_unused;
  logic ask_unused, tried_unused, below_unused, above_unused;
  logic [STAGE_SEARCH_BITS-1:0] bit_now;  // that is found next, as a token has it
  logic [STAGE_TOKEN_BITS-1:0] symbol;
  logic taking;  // the token's interval is on its way through the decoder
  wire [STAGE_TOKEN_BITS-1:0] candidate = symbol | STAGE_TOKEN_BITS'(bit_now);
  wire operates = (state == LOAD && whole) || state == PROBE || (state == TAKE && whole && !taking);
  pc_range_decoder #(.SCALE_BITS(P), .STREAMS(1)) decoder (
      .clk(clk), .rst(rst || start), .in_valid(operates), .in_ready(decoder_ready), .in_stream(1'b0),
      .in_operation(state == LOAD ? 2'd2 : state == TAKE ? 2'd1 : 2'd0), .in_start(state == PROBE ? middle : lower),
      .in_end(upper), .in_bytes(window), .in_hold(1'b1), .in_top(1'b0), .probe_valid(probe_valid),
      .probe_stream(probe_stream_unused), .probe_reached(probe_reached), .tried_valid(tried_unused),
      .tried_below(below_unused), .tried_above(above_unused), .out_valid(took),
      .out_stream(took_stream_unused), .out_used(used), .out_left(took_left),
      .out_offset(out_offset_unused), .out_range(out_range_unused), .read_stream(1'b0),
      .read_unit(unit_unused), .read_offset(offset_unused), .ask(ask_unused), .ask_first(first_unused),
      .ask_second(second_unused), .product('0));
  assign ended = ends && state == REST && (decodes ? over : all_out);
  // an encoder writes one byte more than its tokens move
  assign damaged = left || came != moved + 1'b1;
  assign found = symbol;
  assign ready = state == REST;
  always_ff @(posedge clk) begin
    bound_go <= 1'b0;
    done <= 1'b0;
    if (out_valid && out_ready && out_last) all_out <= 1'b1;
    if (in_valid && in_ready) begin
      over <= in_last;
      if (in_data) came <= came + 1'b1;
    end
    if (took) begin
      window <= window << {used, 3'd0};
      have <= used > have ? 2'd0 : have - used;
    end else if (takes_byte) begin
      window <= window | P'(in_byte) << (P - 8) >> {have, 3'd0};
      have <= have + 1'b1;
    end
    case (state)
      LOAD: if (whole && decoder_ready) state <= LOADS;
      LOADS:
      if (took) begin
        loaded_once <= 1'b1;
        state <= loaded_once ? REST : LOAD;
      end
      REST:
      if (put || take) begin
        bound_go <= 1'b1;
        bound_fresh <= 1'b1;
        asked <= put ? token : STAGE_TOKEN_BITS'(STAGE_TOKENS);
        state <= put ? LOWER : LAST_END;
        symbol <= '0;
        lower <= '0;
        bit_now <= STAGE_SEARCH_BITS'(1) << (STAGE_SEARCH_BITS - 1);
      end else if (ends && !decodes && !all_out) state <= FLUSH;
      LOWER:
      if (bound_done) begin
        lower <= bound;
        bound_go <= 1'b1;
        bound_fresh <= 1'b0;
        asked <= token + 1'b1;
        state <= UPPER;
      end
      UPPER:
      if (bound_done) begin
        upper <= bound;
        state <= CODE;
      end
      CODE: if (step_ready) state <= CODES;
      CODES:
      if (step_done) begin
        done <= 1'b1;
        state <= REST;
      end
      FLUSH: if (step_ready) state <= FLUSHES;
      FLUSHES: if (all_out) state <= REST;
      LAST_END:
      if (bound_done) begin
        upper <= bound;
        state <= SEEK;
      end
      SEEK:
      if (bit_now == '0) state <= TAKE;
      else if (32'(candidate) >= STAGE_TOKENS) bit_now <= bit_now >> 1;
      else begin
        asked <= candidate;
        bound_go <= 1'b1;
        bound_fresh <= 1'b0;
        state <= BOUND;
      end
      BOUND:
      if (bound_done) begin
        middle <= bound;
        state <= PROBE;
      end
      PROBE: if (decoder_ready) state <= PROBED;
      PROBED:
      if (probe_valid) begin
        if (probe_reached) begin
          symbol <= candidate;
          lower <= middle;
        end else upper <= middle;
        bit_now <= bit_now >> 1;
        state <= SEEK;
      end
      TAKE: begin
        if (operates && decoder_ready) taking <= 1'b1;
        if (took) begin
          moved <= moved + 32'(used);
          left <= left || took_left;
          taking <= 1'b0;
          done <= 1'b1;
          state <= REST;
        end
      end
      default: ;
    endcase
    if (rst || start) begin
      state <= start && !rst ? (decodes ? LOAD : REST) : IDLE;
      open <= start && !rst && decodes;
      window <= '0;
      have <= '0;
      over <= 1'b0;
      all_out <= 1'b0;
      loaded_once <= 1'b0;
      taking <= 1'b0;
      came <= '0;
      moved <= '0;
      left <= 1'b0;
    end
  end
  wire unused = &{1'b0, stream_unused, out_stream_unused, probe_stream_unused, took_stream_unused, unit_unused,
                  offset_unused, out_offset_unused, out_range_unused, ask_unused, first_unused, second_unused};
endmodule
