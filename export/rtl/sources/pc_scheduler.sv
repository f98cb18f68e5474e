// pc_scheduler: where every stream is in its program, and which step goes to which unit (docs/rtl.md, Scheduling).
//
// A stream has one step at work; the next one is fetched meanwhile. A step is issued when the one before is done, round
// robin, one a cycle, while fewer than WAITING wait at its unit; the one that was chosen last is counted a cycle later,
// so one more at most waits there. Rows of a step get their stream's place in the row memory.
//
// Ports    start, code: a job begins, of the code's program or of the likelihood's; records: of every stream; opens: that it
//          has some. code_start: the first row of the code's. more: records that are not done, of each stream some, and
//          more than one. side: of its symbols. ready: the stream's next record may begin. coded: the coder has done with all symbols so far.
//          step_*: program rows, 2 cycles. exponent_*: slots, 2 cycles.
//          task_*: a step for unit 0 mix, 1 vector, 2 table. done_*: a step is done.
//          record_done: of every stream, a record's last step; lane_ends: it was the last record of its stream.
`include "pc_types.svh"
module pc_scheduler #(
    localparam int UNITS = 3,
    localparam int SLOT_ADDRESS_BITS = PC_STREAM_BITS + SLOT_BITS
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic code,
    input logic [STEP_BITS-1:0] code_start,
    input logic [PC_STREAMS*32-1:0] records,
    input logic [PC_STREAMS-1:0] opens,
    input logic [PC_STREAMS-1:0] side,
    input logic [PC_STREAMS-1:0] ready,
    input logic [PC_STREAMS-1:0] coded,
    input logic [PC_STREAMS-1:0] room,
    output logic [STEP_BITS-1:0] step_address,
    input logic [STEP_WIDTH-1:0] step_data,
    output logic [SLOT_ADDRESS_BITS-1:0] a_slot,
    input logic signed [31:0] a_exponent,
    output logic [SLOT_ADDRESS_BITS-1:0] b_slot,
    input logic signed [31:0] b_exponent,
    output logic [UNITS-1:0] task_valid,
    output task_t task_out,
    input logic [UNITS-1:0] task_taken,
    input logic [PC_STREAMS-1:0] done,
    input logic result_valid,
    input logic [PC_STREAM_BITS-1:0] result_stream,
    output logic [PC_STREAMS-1:0] record_done,
    output logic [PC_STREAMS-1:0] lane_ends,
    output logic [2*PC_STREAMS-1:0] more,
    output logic idle
);
  localparam logic [1:0] MIX = 2'd0, VECTOR = 2'd1, TABLE = 2'd2, END = 2'd3;
  function automatic logic [1:0] unit_of(input logic [3:0] kind);
    case (kind)
      KIND_UP, KIND_DOWN: unit_of = MIX;
      KIND_LEAF, KIND_INTERVAL: unit_of = TABLE;
      KIND_END: unit_of = END;
      default: unit_of = VECTOR;
    endcase
  endfunction

  logic code_now;
  logic [PC_STREAMS-1:0] active, have, busy, fetching, ended;
  logic [PC_STREAMS*2-1:0] unit;
  logic [PC_STREAMS-1:0] codes;  // the step is an INTERVAL
  logic [PC_STREAMS*STEP_BITS-1:0] place;
  logic [PC_STREAMS*32-1:0] left;
  logic [PC_STREAMS-1:0] pending;  // some are left

  // ---- fetch: one is picked, its place is read in the next cycle
  logic pick, fetch;
  logic [PC_STREAMS-1:0] picked, fetched_now;
  logic [PC_STREAM_BITS-1:0] pick_unused, fetch_stream, stream_3;
  pc_pick #(.COUNT(PC_STREAMS)) fetch_pick (
      .clk(clk), .rst(rst), .ask(active & ~have & ~fetching & ~ended & ~fetched_now), .take(pick), .some(pick),
      .chosen(picked), .place(pick_unused)
  );
  always_ff @(posedge clk) begin
    fetch <= pick && !rst;
    fetched_now <= rst ? '0 : picked;
  end
  logic [STEP_BITS-1:0] fetch_place;
  always_comb begin
    fetch_place = '0;
    fetch_stream = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1)
      if (fetched_now[s]) begin
        fetch_place = fetch_place | place[s*STEP_BITS+:STEP_BITS];
        fetch_stream = fetch_stream | PC_STREAM_BITS'(s);
      end
  end
  logic [STEP_BITS-1:0] place_1, place_3;
  logic valid_1, valid_3;
  logic [PC_STREAM_BITS-1:0] stream_1;
  assign step_address = place_1;
  always_ff @(posedge clk) begin
    place_1 <= fetch_place;
    stream_1 <= fetch_stream;
    valid_1 <= fetch && !rst;
  end
  pc_valid #(.WIDTH(PC_STREAM_BITS + STEP_BITS), .CYCLES(2)) fetched (
      .clk(clk), .rst(rst), .in_valid(valid_1), .in({stream_1, place_1}), .out_valid(valid_3), .out({stream_3, place_3})
  );
  step_t step_3, step_4;
  assign step_3 = step_of(step_data, place_3);
  logic valid_4;
  logic [PC_STREAM_BITS-1:0] stream_4;
  always_ff @(posedge clk) begin
    valid_4 <= valid_3 && !rst;
    stream_4 <= stream_3;
    step_4 <= step_3;
  end
  logic [STEP_T_BITS-1:0] steps[PC_STREAMS];
  always_ff @(posedge clk) if (valid_4) steps[stream_4] <= step_4;

  // ---- issue: what may be issued but for the units' queues is known a cycle ahead, and stays so until it is issued
  logic [UNITS-1:0] free;
  logic [PC_STREAMS-1:0] can, issued;
  logic [PC_STREAMS-1:0] can_mix, can_vector, can_table, can_end;
  wire [PC_STREAMS-1:0] may = have & ~busy & ~issued;
  always_ff @(posedge clk) begin
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      can_mix[s] <= may[s] && unit[2*s+:2] == MIX;
      can_vector[s] <= may[s] && (unit[2*s+:2] == VECTOR || (unit[2*s+:2] == END && !code_now && room[s]));
      can_table[s] <= may[s] && unit[2*s+:2] == TABLE && (!codes[s] || (coded[s] && room[s]));
      can_end[s] <= may[s] && unit[2*s+:2] == END && code_now && coded[s];
    end
    if (rst) {can_mix, can_vector, can_table, can_end} <= '0;
  end
  assign can = ~issued & (can_end | (free[0] ? can_mix : '0) | (free[1] ? can_vector : '0) | (free[2] ? can_table : '0));
  logic issue_some, issue;
  logic [PC_STREAMS-1:0] issue_chosen;
  logic [PC_STREAM_BITS-1:0] place_unused, issue_stream;
  pc_pick #(.COUNT(PC_STREAMS)) issue_pick (
      .clk(clk), .rst(rst), .ask(can), .take(issue_some), .some(issue_some), .chosen(issue_chosen),
      .place(place_unused)
  );
  always_ff @(posedge clk) begin
    issue <= issue_some && !rst;
    issued <= rst ? '0 : issue_chosen;
  end
  always_comb begin
    issue_stream = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (issued[s]) issue_stream = issue_stream | PC_STREAM_BITS'(s);
  end
  logic [1:0] issue_unit;
  always_comb begin
    issue_unit = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (issued[s]) issue_unit = issue_unit | unit[2*s+:2];
  end
  wire ends = issue && issue_unit == END && code_now;
  wire goes = issue && !ends;
  wire [1:0] goes_unit = issue_unit == END ? VECTOR : issue_unit;
  logic goes_2, goes_3, goes_4, side_4;
  logic [1:0] unit_2, unit_3, unit_4;
  logic [PC_STREAM_BITS-1:0] at_2, at_3, at_4;
  step_t do_2, do_3, do_4;
  logic [ROW_ADDRESS_BITS-1:0] base_3;
  assign a_slot = {at_2, do_2.a_slot};
  assign b_slot = {at_2, do_2.b_slot};
  always_ff @(posedge clk) begin
    goes_2 <= goes && !rst;
    unit_2 <= goes_unit;
    at_2   <= issue_stream;
    do_2   <= steps[issue_stream];
    goes_3 <= goes_2 && !rst;
    unit_3 <= unit_2;
    at_3   <= at_2;
    do_3   <= do_2;
    base_3 <= base_of(at_2);
    goes_4 <= goes_3 && !rst;
    unit_4 <= unit_3;
    at_4   <= at_3;
    side_4 <= side[at_3];
    do_4   <= do_3;
    do_4.target <= do_3.target + base_3;
    do_4.a <= do_3.a + base_3;
    do_4.b <= do_3.b + base_3;
  end
  // a constant for every stream, for yosys would take a multiplier
  function automatic logic [ROW_ADDRESS_BITS-1:0] base_of(input logic [PC_STREAM_BITS-1:0] stream);
    base_of = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1)
      if (PC_STREAM_BITS'(s) == stream) base_of = base_of | ROW_ADDRESS_BITS'(s * PC_ROWS);
  endfunction
  assign task_out.stream = at_4;
  assign task_out.side = side_4;
  assign task_out.step = do_4;
  assign task_out.a_exponent = a_exponent;
  assign task_out.b_exponent = b_exponent;
  localparam int WAIT_BITS = $clog2(WAITING + 2);
  logic [WAIT_BITS-1:0] waits[UNITS];
  for (genvar u = 0; u < UNITS; ++u) begin : g_unit
    assign task_valid[u] = goes_4 && unit_4 == 2'(u);
    wire [WAIT_BITS-1:0] waiting =
        waits[u] + WAIT_BITS'(goes && goes_unit == 2'(u)) - WAIT_BITS'(task_taken[u]);
    always_ff @(posedge clk) begin
      waits[u] <= rst ? '0 : waiting;
      free[u] <= rst || waiting < WAIT_BITS'(WAITING);
    end
  end

  // ---- streams
  // what is known of a stream's count is a cycle late, and a record takes more
  logic [PC_STREAMS-1:0] last, three, many;  // the count is 1; is at least 3; more than one are not done
  always_comb
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      record_done[s] = (issued[s] && code_now && unit[2*s+:2] == END)
          || (HAS_LIKELIHOOD != 0 && result_valid && PC_STREAM_BITS'(s) == result_stream);
      lane_ends[s] = record_done[s] && last[s];
      more[2*s+:2] = {many[s], pending[s]};
    end
  assign idle = active == '0 && pending == '0 && !start;
  always_ff @(posedge clk) begin
    if (start) code_now <= code;
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      if (start) left[32*s+:32] <= records[32*s+:32];
      else if (!active[s] && pending[s] && ready[s]) begin
        active[s] <= 1'b1;
        have[s] <= 1'b0;
        busy[s] <= 1'b0;
        ended[s] <= 1'b0;
        place[s*STEP_BITS+:STEP_BITS] <= code_now ? code_start : STEP_BITS'(LIKELIHOOD_START);
      end
      if (fetched_now[s]) begin
        fetching[s] <= 1'b1;
        place[s*STEP_BITS+:STEP_BITS] <= place[s*STEP_BITS+:STEP_BITS] + 1'b1;
      end
      if (valid_4 && PC_STREAM_BITS'(s) == stream_4) begin
        fetching[s] <= 1'b0;
        have[s] <= 1'b1;
        unit[2*s+:2] <= unit_of(step_4.kind);
        codes[s] <= step_4.kind == KIND_INTERVAL;
      end
      if (issued[s]) begin
        have[s] <= 1'b0;
        busy[s] <= 1'b1;
        ended[s] <= unit[2*s+:2] == END;
      end
      if (done[s]) busy[s] <= 1'b0;
      if (record_done[s]) begin
        active[s] <= 1'b0;
        left[32*s+:32] <= left[32*s+:32] - 1'b1;
        if (last[s]) pending[s] <= 1'b0;
        many[s] <= three[s];
      end
      if (start) {many[s], pending[s]} <= {records[32*s+1+:31] != '0, opens[s]};
      last[s] <= left[32*s+:32] == 32'd1;
      three[s] <= left[32*s+:32] > 32'd2;
    end
    if (rst) begin
      active <= '0;
      have <= '0;
      busy <= '0;
      fetching <= '0;
      left <= '0;
      pending <= '0;
      many <= '0;
    end
  end
endmodule
