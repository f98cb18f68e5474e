// pc_writer: normalises vectors that come row by row, and asks for the row memory's write port
// (docs/arithmetic.md, State vectors and Tails).
//
// A vector's shift is known when its last row is there, so rows wait in a ring of PLACES rows, as many as a memory of
// look-up tables has at least, and as four of the longest vectors need. `reserve` takes a vector's rows when a unit
// begins a step, and keeps where it goes; `free` says that there is room for one more of the longest.
//
// Ports    reserve_rows, reserve_meta: of the vector that begins. lift: of vectors that are lifted, a 1 is 2^lift.
//          in_*: a row of accumulators, vectors in their order. write_*: a row of mantissas, PORT_LATENCY
//          cycles after `grant` answered `ask`: writers that are granted one at a time never write at once.
//          done, done_stream: a vector's last row is written 2 cycles later, and readable from the third one on.
// Bypass   rows of ALIGN are mantissas already: they pass as they are.
// Latency  5 from a vector's last row to the first `ask`, 3 from `grant` to `write`.
`include "pc_types.svh"
module pc_writer #(
    parameter  int WIDTH = 32,
    localparam int GROUPS = (WIDTH + 7) / 8,
    localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1,
    localparam int PLACES = 4 * PC_MOST_ROWS > 16 ? 2 ** $clog2(4 * PC_MOST_ROWS) : 16,
    localparam int PLACE_BITS = $clog2(PLACES),
    localparam int VECTORS = 15,  // at a time, one less than a memory of look-up tables has words
    localparam int COUNT_BITS = PC_MOST_ROWS > 1 ? $clog2(PC_MOST_ROWS) : 1
) (
    input logic clk,
    input logic rst,
    input logic reserve,
    input logic [LIFT_BITS-1:0] lift,
    input logic [ROW_COUNT_BITS-1:0] reserve_rows,
    input meta_t reserve_meta,
    output logic free,
    input logic in_valid,
    input logic in_last,
    input logic [PC_LANES*WIDTH-1:0] in_row,
    output logic ask,
    input logic grant,
    output logic write,
    output logic [PC_STREAM_BITS-1:0] write_stream,
    output logic [ROW_ADDRESS_BITS-1:0] write_row,
    output logic [PC_LANES*PC_STATE_BITS-1:0] write_data,
    output logic write_exponent,
    output logic [SLOT_BITS-1:0] write_slot,
    output logic [31:0] exponent,
    output logic done,
    output logic [PC_STREAM_BITS-1:0] done_stream
);
  // ---- room
  logic [PLACE_BITS:0] rows;  // that are reserved and not on their way out
  logic [3:0] vectors;
  logic end_row;  // the vector that asks leaves
  assign free = rows <= (PLACE_BITS + 1)'(PLACES - PC_MOST_ROWS) && vectors != 4'(VECTORS);
  // `reserve` and `grant` come late: they choose among sums, and no carry is behind them
  wire [PLACE_BITS:0] rows_less = rows - 1'b1;
  wire [PLACE_BITS:0] rows_more = rows + (PLACE_BITS + 1)'(reserve_rows);
  wire [PLACE_BITS:0] rows_both = rows_less + (PLACE_BITS + 1)'(reserve_rows);
  always_ff @(posedge clk) begin
    rows <= reserve ? (grant ? rows_both : rows_more) : (grant ? rows_less : rows);
    vectors <= vectors + 4'(reserve) - 4'(end_row);
    if (rst) begin
      rows <= '0;
      vectors <= '0;
    end
  end
  logic meta_take;
  meta_t meta;
  pc_metas metas (.clk(clk), .rst(rst), .push(reserve), .in(reserve_meta), .pop(meta_take), .out(meta));

  // ---- rows come in: stored, and their OR
  logic [PC_LANES*WIDTH-1:0] buffer[PLACES];
  logic [PLACE_BITS-1:0] in_place;
  logic [COUNT_BITS-1:0] in_count;
  logic [WIDTH-1:0] row_or;
  always_comb begin
    row_or = '0;
    for (int lane = 0; lane < PC_LANES; lane = lane + 1) row_or = row_or | in_row[lane*WIDTH+:WIDTH];
  end
  logic or_valid, or_last, or_first;
  logic [WIDTH-1:0] or_row, or_all;
  logic [COUNT_BITS-1:0] or_count;
  wire [WIDTH-1:0] or_now = or_row | (or_first ? '0 : or_all);
  always_ff @(posedge clk) begin
    if (in_valid) buffer[in_place] <= in_row;
    if (in_valid) in_place <= in_place + 1'b1;
    if (in_valid) in_count <= in_last ? '0 : in_count + 1'b1;
    or_valid <= in_valid && !rst;
    or_last  <= in_last;
    or_first <= in_count == '0;
    or_row   <= row_or;
    or_count <= in_count;
    if (or_valid) or_all <= or_now;
    if (rst) begin
      in_place <= '0;
      in_count <= '0;
    end
  end

  // ---- a whole vector: how far it is shifted. A queue and two stages behind each other, each holds until the next is
  // free.
  typedef struct packed {
    logic [COUNT_BITS-1:0] last;  // number of the last row
    logic [WIDTH-1:0] all;
  } whole_t;
  localparam int WHOLE_BITS = COUNT_BITS + WIDTH;
  logic [WHOLE_BITS-1:0] whole_out;
  whole_t w0, w1;
  logic [COUNT_BITS-1:0] last_2;
  meta_t meta_2;
  logic v0, v1, v2, whole_ready;
  wire go2 = !v2 || end_row;
  wire go1 = !v1 || go2;
  assign meta_take = v1 && go2;
  // two vectors are behind the queue when it is full
  pc_fifo #(.WIDTH(WHOLE_BITS), .DEPTH(VECTORS - 2)) wholes (
      .clk(clk), .rst(rst), .in_valid(or_valid && or_last), .in_ready(whole_ready), .in({or_count, or_now}),
      .out_valid(v0), .out_ready(go1), .out(whole_out)
  );
  assign w0 = whole_out;
`ifndef SYNTHESIS
  always_ff @(posedge clk)
    if (!rst) assert (!(or_valid && or_last) || whole_ready);
`else
  wire unused = whole_ready;
`endif
  // zeros before the first one of WIDTH bits: in every group of 8, then of the first group that has a one
  logic [GROUPS-1:0] group_1;
  logic [3*GROUPS-1:0] rest_1;
  logic [7:0] zeros, zeros_2;
  logic [8*GROUPS-1:0] padded;
  assign padded = {w0.all, {(8 * GROUPS - WIDTH) {1'b0}}};
  function automatic logic [2:0] zeros_of(input logic [7:0] group);
    zeros_of = 3'd7;
    for (int at = 0; at < 8; at = at + 1) if (group[at]) zeros_of = 3'(7 - at);
  endfunction
  always_comb begin
    zeros = 8'(WIDTH);
    for (int g = 0; g < GROUPS; g = g + 1)  // group 0 is the lowest
      if (group_1[g]) zeros = 8'(8 * (GROUPS - 1 - g)) + 8'(rest_1[3*g+:3]);
  end
  logic none_2, alone_2;
  always_ff @(posedge clk) begin
    if (go1) begin
      v1 <= v0;
      w1 <= w0;
      for (int g = 0; g < GROUPS; g = g + 1) begin
        group_1[g] <= padded[8*g+:8] != '0;
        rest_1[3*g+:3] <= zeros_of(padded[8*g+:8]);
      end
    end
    if (go2) begin
      v2 <= v1;
      last_2 <= w1.last;
      meta_2 <= meta;
      zeros_2 <= zeros;
      none_2 <= w1.all == '0;
      alone_2 <= w1.all == WIDTH'(1) << (meta.lifted ? lift : '0);
    end
    if (rst) {v1, v2} <= '0;
  end
  function automatic logic [31:0] floored(input logic signed [33:0] value);
    floored = value < -34'sd1073741824 ? LEAST_EXPONENT : value[31:0];
  endfunction

  // ---- rows go out
  logic [PLACE_BITS-1:0] out_place;
  logic [COUNT_BITS-1:0] out_count;
  assign ask = v2;
  assign end_row = grant && out_count == last_2;
  always_ff @(posedge clk) begin
    if (grant) out_place <= out_place + 1'b1;
    if (grant) out_count <= end_row ? '0 : out_count + 1'b1;
    if (rst) begin
      out_place <= '0;
      out_count <= '0;
    end
  end

  typedef struct packed {
    meta_t meta;
    logic [COUNT_BITS-1:0] count;
    logic last;
    logic none;
    logic alone;
    logic [7:0] zeros;
  } out_t;
  out_t o0, o1, o2;
  logic e0, e1, e2;
  logic [PC_LANES*WIDTH-1:0] row_0;
  always_ff @(posedge clk) begin
    row_0 <= buffer[out_place];
    o0.meta <= meta_2;
    o0.count <= out_count;
    o0.last <= end_row;
    o0.none <= none_2;
    o0.alone <= alone_2;
    o0.zeros <= zeros_2;
    o1 <= o0;
    o2 <= o1;
    e0 <= grant && !rst;
    e1 <= e0 && !rst;
    e2 <= e1 && !rst;
  end

  // what of a shifted row is kept: v >> s with the greatest entry's first one in the highest bit
  logic [PC_LANES*PC_STATE_BITS-1:0] shifted;
  logic [PC_LANES-1:0] some_1, some_2, one_1, one_2;
  logic [PC_LANES*PC_STATE_BITS-1:0] low_1, low_2;
  for (genvar lane = 0; lane < PC_LANES; ++lane) begin : g_lane
    wire [WIDTH-1:0] entry = row_0[lane*WIDTH+:WIDTH];
    pc_scale_entry #(
        .WIDTH(WIDTH),
        .OUT_BITS(PC_STATE_BITS)
    ) scale (
        .clk(clk),
        .in(entry),
        .groups(GROUP_BITS'(o0.zeros >> 3)),
        .held_rest(o1.zeros[2:0]),
        .out(shifted[lane*PC_STATE_BITS+:PC_STATE_BITS])
    );
    always_ff @(posedge clk) begin
      some_1[lane] <= entry != '0;
      one_1[lane]  <= entry == WIDTH'(1) << (o0.meta.lifted ? lift : '0);
      low_1[lane*PC_STATE_BITS+:PC_STATE_BITS] <= PC_STATE_BITS'(entry);
    end
    wire is_unit = !(o2.last && o2.meta.masked) || STATE_LANE_BITS'(lane) <= o2.meta.last;
    wire [PC_STATE_BITS-1:0] plain = shifted[lane*PC_STATE_BITS+:PC_STATE_BITS];
    // a mantissa of 1 says that an entry is possible, and nothing of how much it is
    wire possible = KEEPS != 0 && o2.meta.zeros[1] && some_2[lane] && (plain == '0 || (one_2[lane] && !o2.alone));
    assign write_data[lane*PC_STATE_BITS+:PC_STATE_BITS] =
        o2.meta.bypass ? low_2[lane*PC_STATE_BITS+:PC_STATE_BITS]
        : !is_unit ? '0
        : o2.none ? (o2.meta.zeros == ZEROS_REVIVE ? {1'b1, {(PC_STATE_BITS - 1) {1'b0}}} : '0)
        : possible ? PC_STATE_BITS'(1) : plain;
  end
  always_ff @(posedge clk) begin
    some_2 <= some_1;
    one_2  <= one_1;
    low_2  <= low_1;
  end
  assign write = e2;
  assign write_stream = o2.meta.stream;
  assign write_row = o2.meta.target + ROW_ADDRESS_BITS'(o2.count);
  assign write_exponent = e2 && o2.last;
  assign write_slot = o2.meta.target_slot;
  // s = len - A; the new exponent is max(e + s, -2^30)
  logic signed [33:0] moved_1;
  logic [31:0] exponent_2;
  always_ff @(posedge clk) begin
    moved_1 <= 34'(signed'(o0.meta.exponent)) + (o0.none ? '0
        : 34'(signed'(10'(WIDTH - PC_STATE_BITS))) - 34'(signed'({2'b0, o0.zeros})));
    exponent_2 <= o1.meta.bypass ? o1.meta.exponent[31:0]
        : o1.none && o1.meta.zeros != ZEROS_REVIVE ? LEAST_EXPONENT : floored(moved_1);
  end
  assign exponent = exponent_2;
  assign done = e0 && o0.last;
  assign done_stream = o0.meta.stream;
endmodule
