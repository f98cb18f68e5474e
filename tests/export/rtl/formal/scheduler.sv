// The scheduler issues every step of every record once, in its order, and one at a time of a stream, whatever programs,
// units, coder and records do; no queue overflows; it ends when all records are done; and where nothing stalls any more,
// something happens within PATIENCE cycles.
`include "pc_types.svh"
module scheduler #(
    parameter int PATIENCE = 14,
    parameter int USED = 2  // streams that have records
) (
    input logic clk,
    input logic begin_,
    input logic code,
    input logic [1:0] records_0,
    input logic [1:0] records_1,
    input logic [3:0] kind,
    input logic [PC_STREAMS-1:0] ready,
    input logic [PC_STREAMS-1:0] coded,
    input logic [PC_STREAMS-1:0] room,
    input logic [2:0] takes,
    input logic second,  // which of two that wait is taken
    input logic [PC_STREAMS-1:0] finishes
);
  localparam logic [STEP_BITS-1:0] LIKELIHOOD_END = 3'd1, CODE_START = 3'd2, CODE_END = 3'd4;
  logic rst, idle, code_now, result_valid, result_stream;
  logic [PC_STREAMS-1:0] done, record_done, lane_ends;
  logic [2*PC_STREAMS-1:0] more;
  logic [STEP_BITS-1:0] step_address, address_1, address_2;
  logic [2:0] task_valid;
  task_t task_out;
  logic [PC_STREAM_BITS+SLOT_BITS-1:0] a_slot, b_slot;
  logic resting;  // it was idle, and no job has begun since
  wire start = begin_ && resting && !rst;
  wire is_end = address_2 == LIKELIHOOD_END || address_2 == CODE_END;
  always_ff @(posedge clk) begin
    address_1 <= step_address;
    address_2 <= address_1;
    assume (kind == KIND_INIT || kind == KIND_LEAF || kind == KIND_UP || kind == KIND_INTERVAL);
  end
  pc_scheduler unit (
      .clk(clk), .rst(rst), .start(start), .code(code), .code_start(CODE_START),
      .records({30'd0, records_1, 30'd0, records_0}), .opens({records_1 != '0, records_0 != '0}), .side('0), .ready(ready),
      .coded(coded), .room(room), .step_address(step_address), .step_data(is_end ? KIND_END : kind), .a_slot(a_slot),
      .a_exponent('0), .b_slot(b_slot), .b_exponent('0), .task_valid(task_valid), .task_out(task_out),
      .task_taken(takes), .done(done), .result_valid(result_valid), .result_stream(result_stream),
      .record_done(record_done), .lane_ends(lane_ends), .more(more), .idle(idle));

  // ---- what streams' steps do: none, waits at a unit, is at work
  logic [PC_STREAMS-1:0] waits, works, last;  // last: it is an END
  logic [1:0] at_0, at_1;  // the unit that a stream's step waits at
  logic [STEP_BITS-1:0] next_0, next_1;  // the row that must be issued next
  logic [1:0] left_0, left_1;
  logic [4:0] calm, quiet;
  wire [2:0] waits_0 = waits[0] ? 3'b001 << at_0 : 3'b000;
  wire [2:0] waits_1 = waits[1] ? 3'b001 << at_1 : 3'b000;
  wire [2:0] both = waits_0 & waits_1;
  wire take_0 = |(takes & waits_0 & (second ? ~both : 3'b111));
  wire take_1 = |(takes & waits_1 & (second ? 3'b111 : ~both));
  assign done = finishes & ~last;
  assign result_valid = |(finishes & last);
  assign result_stream = finishes[1] & last[1];
  wire some = task_valid != '0 && !rst;
  wire of_0 = some && !task_out.stream;
  wire of_1 = some && task_out.stream;
  wire [1:0] to = task_valid[2] ? 2'd2 : task_valid[1] ? 2'd1 : 2'd0;
  wire ended_0 = record_done[0] && !rst;
  wire ended_1 = record_done[1] && !rst;
  wire ends = task_out.step.kind == KIND_END;
  initial begin
    rst = 1'b1;
    resting = 1'b0;
    waits = '0;
    works = '0;
    last = '0;
    left_0 = '0;
    left_1 = '0;
    calm = '0;
    quiet = '0;
  end
  always_ff @(posedge clk) begin
    rst <= 1'b0;
    resting <= idle && !rst;
    assume ((takes & ~(waits_0 | waits_1)) == '0);
    assume ((finishes & ~works) == '0);
    assume ((finishes & last) != 2'b11);
    if (USED == 1) assume (records_1 == '0);
    if (start) begin
      code_now <= code;
      next_0 <= code ? CODE_START : 3'd0;
      next_1 <= code ? CODE_START : 3'd0;
      left_0 <= records_0;
      left_1 <= records_1;
    end
    waits <= (waits & ~{take_1, take_0}) | {of_1, of_0};
    works <= (works & ~finishes) | {take_1, take_0};
    if (of_0) begin
      at_0 <= to;
      last[0] <= ends;
      next_0 <= ends ? 3'd0 : task_out.step.row + 1'b1;
    end
    if (of_1) begin
      at_1 <= to;
      last[1] <= ends;
      next_1 <= ends ? 3'd0 : task_out.step.row + 1'b1;
    end
    if (ended_0) begin
      left_0 <= left_0 - 1'b1;
      if (code_now) next_0 <= CODE_START;
    end
    if (ended_1) begin
      left_1 <= left_1 - 1'b1;
      if (code_now) next_1 <= CODE_START;
    end
    calm <= ready != '1 || coded != '1 || room != '1 || takes != (waits_0 | waits_1) ||
        (finishes != works && !(works == 2'b11 && last == 2'b11 && finishes != '0)) ? '0 : calm == '1 ? calm : calm + 1'b1;
    quiet <= some || record_done != '0 || start || idle ? '0 : quiet == '1 ? quiet : quiet + 1'b1;
    if (!rst) begin
      assert (task_valid == '0 || task_valid == 3'd1 || task_valid == 3'd2 || task_valid == 3'd4);
      if (of_0) begin
        assert (task_out.step.row == next_0);
        assert (!waits[0] && !works[0] && left_0 != '0);
        assert (ends == (task_out.step.row == LIKELIHOOD_END));
      end
      if (of_1) begin
        assert (task_out.step.row == next_1);
        assert (!waits[1] && !works[1] && left_1 != '0);
        assert (ends == (task_out.step.row == LIKELIHOOD_END));
      end
      if (ended_0) assert (left_0 != '0 && (!code_now || (next_0 == CODE_END && !waits[0] && !works[0])));
      if (ended_1) assert (left_1 != '0 && (!code_now || (next_1 == CODE_END && !waits[1] && !works[1])));
      if (ended_0) assert (lane_ends[0] == (left_0 == 2'd1));
      if (idle && !start) assert (left_0 == '0 && left_1 == '0 && waits == '0 && works == '0);
      assert (more == {left_1[1], left_1 != '0, left_0[1], left_0 != '0});
      if (32'(calm) >= PATIENCE) assert (32'(quiet) < PATIENCE);
    end
    cover (ended_0 && left_0 == 2'd1 && left_1 == '0 && code_now);
    cover (ended_0 && left_0 == 2'd2 && !code_now);
  end
endmodule
