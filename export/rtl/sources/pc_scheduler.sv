// pc_scheduler: where every stream is in its program, and which step goes to which unit (docs/rtl.md, Scheduling).
//
// A stream has one step at work; the next one is fetched meanwhile. A step is issued when the one before is done, round
// robin, one a cycle. Two steps at most wait at a unit.
//
// Ports    start, code: a job begins, of the code's program or of the likelihood's; records: of every stream.
//          code_start: the first row of the code's. more: records that are not done, of each stream some, and more
//          than one. ready: the stream's next record may begin. coded: the coder has done with all symbols so far.
//          step_*: program rows, 2 cycles. exponent_*: slots, 2 cycles.
//          task_*: a step for unit 0 mix, 1 vector, 2 table. done_*: a step is done.
//          record_done, record_stream: a record's last step.
`include "pc_types.svh"
module pc_scheduler #(
    localparam int UNITS = 3,
    localparam int SLOT_ADDRESS_BITS = STREAM_BITS + SLOT_BITS
) (
    input logic clk,
    input logic rst,
    input logic start,
    input logic code,
    input logic [STEP_BITS-1:0] code_start,
    input logic [STREAMS*32-1:0] records,
    input logic [STREAMS-1:0] ready,
    input logic [STREAMS-1:0] coded,
    input logic [STREAMS-1:0] room,
    output logic [STEP_BITS-1:0] step_address,
    input logic [STEP_WIDTH-1:0] step_data,
    output logic [SLOT_ADDRESS_BITS-1:0] a_slot,
    input logic signed [31:0] a_exponent,
    output logic [SLOT_ADDRESS_BITS-1:0] b_slot,
    input logic signed [31:0] b_exponent,
    output logic [UNITS-1:0] task_valid,
    output task_t task_out,
    input logic [UNITS-1:0] task_taken,
    input logic [STREAMS-1:0] done,
    input logic result_valid,
    input logic [STREAM_BITS-1:0] result_stream,
    output logic record_done,
    output logic [STREAM_BITS-1:0] record_stream,
    output logic [2*STREAMS-1:0] more,
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
  logic [STREAMS-1:0] active, have, busy, fetching, ended;
  logic [STREAMS*2-1:0] unit;
  logic [STREAMS-1:0] codes;  // the step is an INTERVAL
  logic [STREAMS*STEP_BITS-1:0] place;
  logic [STREAMS*32-1:0] left;

  // ---- fetch
  logic fetch, fetch_some;
  logic [STREAM_BITS-1:0] fetch_stream, stream_3;
  pc_pick #(.COUNT(STREAMS)) fetch_pick (
      .clk(clk), .rst(rst), 
      .ask(active & ~have & ~fetching & ~ended), .take(fetch), .some(fetch_some), .place(fetch_stream)
  );
  assign fetch = fetch_some;
  logic [STEP_BITS-1:0] fetch_place;
  always_comb begin
    fetch_place = '0;
    for (int s = 0; s < STREAMS; s = s + 1)
      if (STREAM_BITS'(s) == fetch_stream) fetch_place = place[s*STEP_BITS+:STEP_BITS];
  end
  logic [STEP_BITS-1:0] place_1, place_3;
  logic valid_1, valid_3;
  logic [STREAM_BITS-1:0] stream_1;
  assign step_address = place_1;
  always_ff @(posedge clk) begin
    place_1 <= fetch_place;
    stream_1 <= fetch_stream;
    valid_1 <= fetch && !rst;
  end
  pc_valid #(.WIDTH(STREAM_BITS + STEP_BITS), .CYCLES(2)) fetched (
      .clk(clk), .rst(rst), .in_valid(valid_1), .in({stream_1, place_1}), .out_valid(valid_3), .out({stream_3, place_3})
  );
  step_t step_3, step_4;
  assign step_3 = step_of(step_data, place_3);
  logic valid_4;
  logic [STREAM_BITS-1:0] stream_4;
  always_ff @(posedge clk) begin
    valid_4 <= valid_3 && !rst;
    stream_4 <= stream_3;
    step_4 <= step_3;
  end
  logic [STEP_T_BITS-1:0] steps[STREAMS];
  always_ff @(posedge clk) if (valid_4) steps[stream_4] <= step_4;

  // ---- issue
  logic [1:0] credit[UNITS];
  logic [STREAMS-1:0] can;
  always_comb begin
    for (int s = 0; s < STREAMS; s = s + 1) begin
      can[s] = have[s] && !busy[s];
      case (unit[2*s+:2])
        MIX: can[s] = can[s] && credit[0] != 2'd0;
        VECTOR: can[s] = can[s] && credit[1] != 2'd0;
        TABLE: can[s] = can[s] && credit[2] != 2'd0 && (!codes[s] || (coded[s] && room[s]));
        default: can[s] = can[s] && (code_now ? coded[s] : room[s] && credit[1] != 2'd0);
      endcase
    end
  end
  logic issue;
  logic [STREAM_BITS-1:0] issue_stream;
  pc_pick #(.COUNT(STREAMS)) issue_pick (
      .clk(clk), .rst(rst), .ask(can), .take(issue), .some(issue), .place(issue_stream)
  );
  logic [1:0] issue_unit;
  always_comb begin
    issue_unit = '0;
    for (int s = 0; s < STREAMS; s = s + 1) if (STREAM_BITS'(s) == issue_stream) issue_unit = unit[2*s+:2];
  end
  wire ends = issue && issue_unit == END && code_now;
  wire goes = issue && !ends;
  wire [1:0] goes_unit = issue_unit == END ? VECTOR : issue_unit;
  logic goes_1, goes_2, goes_3, goes_4;
  logic [1:0] unit_1, unit_2, unit_3, unit_4;
  logic [STREAM_BITS-1:0] at_1, at_2, at_3, at_4;
  step_t do_2, do_3, do_4;
  assign a_slot = {at_2, do_2.a_slot};
  assign b_slot = {at_2, do_2.b_slot};
  always_ff @(posedge clk) begin
    goes_1 <= goes && !rst;
    unit_1 <= goes_unit;
    at_1   <= issue_stream;
    goes_2 <= goes_1 && !rst;
    unit_2 <= unit_1;
    at_2   <= at_1;
    do_2   <= steps[at_1];
    goes_3 <= goes_2 && !rst;
    unit_3 <= unit_2;
    at_3   <= at_2;
    do_3   <= do_2;
    goes_4 <= goes_3 && !rst;
    unit_4 <= unit_3;
    at_4   <= at_3;
    do_4   <= do_3;
  end
  assign task_out.stream = at_4;
  assign task_out.step = do_4;
  assign task_out.a_exponent = a_exponent;
  assign task_out.b_exponent = b_exponent;
  for (genvar u = 0; u < UNITS; ++u) begin : g_unit
    assign task_valid[u] = goes_4 && unit_4 == 2'(u);
    always_ff @(posedge clk) begin
      if (rst) credit[u] <= 2'd2;
      else credit[u] <= credit[u] - 2'(goes && goes_unit == 2'(u)) + 2'(task_taken[u]);
    end
  end

  // ---- streams
  assign record_done = ends || result_valid;
  assign record_stream = ends ? issue_stream : result_stream;
  assign idle = active == '0 && left == '0 && !start;
  for (genvar s = 0; s < STREAMS; ++s) begin : g_more
    assign more[2*s+:2] = {left[32*s+1+:31] != '0, left[32*s+:32] != '0};
  end
  always_ff @(posedge clk) begin
    if (start) code_now <= code;
    for (int s = 0; s < STREAMS; s = s + 1) begin
      if (start) left[32*s+:32] <= records[32*s+:32];
      else if (!active[s] && left[32*s+:32] != '0 && ready[s]) begin
        active[s] <= 1'b1;
        have[s] <= 1'b0;
        busy[s] <= 1'b0;
        ended[s] <= 1'b0;
        place[s*STEP_BITS+:STEP_BITS] <= code_now ? code_start : STEP_BITS'(LIKELIHOOD_START);
      end
      if (fetch && STREAM_BITS'(s) == fetch_stream) begin
        fetching[s] <= 1'b1;
        place[s*STEP_BITS+:STEP_BITS] <= place[s*STEP_BITS+:STEP_BITS] + 1'b1;
      end
      if (valid_4 && STREAM_BITS'(s) == stream_4) begin
        fetching[s] <= 1'b0;
        have[s] <= 1'b1;
        unit[2*s+:2] <= unit_of(step_4.kind);
        codes[s] <= step_4.kind == KIND_INTERVAL;
      end
      if (issue && STREAM_BITS'(s) == issue_stream) begin
        have[s] <= 1'b0;
        busy[s] <= 1'b1;
        ended[s] <= unit[2*s+:2] == END;
      end
      if (done[s]) busy[s] <= 1'b0;
      if (record_done && STREAM_BITS'(s) == record_stream) begin
        active[s] <= 1'b0;
        left[32*s+:32] <= left[32*s+:32] - 1'b1;
      end
    end
    if (rst) begin
      active <= '0;
      have <= '0;
      busy <= '0;
      fetching <= '0;
      left <= '0;
    end
  end
endmodule
