// pc_table_unit: readings of leaf tables, TABLE_LANES tables a cycle (docs/rtl.md, Tables).
//
// A pass goes through the leaves of one variable. It reads of every table the entries of a symbol and of the next one:
// even symbols' entries are in one memory, odd ones' in another, so neighbours come at once. Their difference is a
// LEAF's count; weighted with the context, both ends of an interval. A decoder tries a symbol so: the first one is the
// variable's own.
//
// Passes with a context end at least 8 cycles after each other where their products are shared (pc_coder): one begins
// PASS_GAP cycles after the last one's end at the earliest, which is 8 less the beats of the shortest.
//
// Ports    skips: of a job with packets: a missing symbol has no interval. pass_*: a pass. symbol_*: of the record, 2 cycles later; variable_*, leaf_*, even_*, odd_*, tail_*: memories,
//          2 cycles each. row_*: a row of the context, always granted. out_*: rows of counts for the writer.
//          weighed_*: what a pass with a context found. bad: a symbol was beyond its variable's.
// Latency  4 from a pass to its first beat, hidden behind the beats of the pass before; 10 + log2 TABLE_LANES from a
//          beat to what was weighed.
`include "pc_types.svh"
module pc_table_unit #(
    localparam int GROUPS = PC_LANES / TABLE_LANES,
    localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1,
    localparam int LANE_LEVELS = $clog2(TABLE_LANES),
    localparam int ENTRY = PC_LEAF_BITS + 1,
    localparam int NUMBER = NUMBER_BITS + 1
) (
    input logic clk,
    input logic rst,
    input logic skips,
    input logic pass_valid,
    output logic pass_ready,
    input pass_t pass_in,
    output logic symbol_read,
    output logic [PC_STREAM_BITS-1:0] symbol_stream,
    output logic symbol_side,
    output logic [VARIABLE_BITS-1:0] symbol_variable,
    input logic [SYMBOL_BITS-1:0] symbol_data,
    output logic [VARIABLE_BITS-1:0] variable_address,
    input logic [VARIABLE_WIDTH-1:0] variable_data,
    output logic [TAIL_ADDRESS_BITS-1:0] tail_address,
    input logic [3:0] tail_data,
    output logic [LEAF_ADDRESS_BITS-1:0] leaf_address,
    input logic [TABLE_LANES*NUMBER-1:0] leaf_data,
    output logic [TABLE_LANES*EVEN_BITS-1:0] even_address,
    input logic [TABLE_LANES*ENTRY-1:0] even_data,
    output logic [TABLE_LANES*ODD_BITS-1:0] odd_address,
    input logic [TABLE_LANES*ENTRY-1:0] odd_data,
    output logic row_read,
    output logic [ROW_ADDRESS_BITS-1:0] row_address,
    input logic [PC_LANES*PC_STATE_BITS-1:0] row_data,
    output logic reserve,
    output logic [ROW_COUNT_BITS-1:0] reserve_rows,
    output meta_t reserve_meta,
    input logic free,
    output logic out_valid,
    output logic out_last,
    output logic [PC_LANES*PC_COUNT_BITS-1:0] out_row,
    output logic weighed_valid,
    output weighed_t weighed,
    output logic bad
);
  localparam logic [SYMBOL_BITS-1:0] MISSING = '1;

  // ---- set-up: the variable's record and the symbol. The next pass waits here while one is at work
  pass_t next;
  logic next_valid, next_reads;  // its symbol is read in this cycle
  logic [2:0] ready_in;  // one bit a cycle until all of it is known
  logic begins;
  variable_t next_record;
  logic [SYMBOL_BITS-1:0] next_symbol;
  logic next_missing;
  assign pass_ready = (!next_valid || begins) && free;
  wire accept = pass_valid && pass_ready;
  assign reserve = accept && pass_in.leaf;
  assign symbol_read = next_reads;
  assign symbol_stream = next.work.stream;
  assign symbol_side = next.work.side;
  assign symbol_variable = next.work.step.variable;
  assign variable_address = next.work.step.variable;
  variable_t record;
  assign record = variable_of(variable_data, next.work.step.variable);
  wire [SYMBOL_BITS-1:0] found =
      !next.given ? symbol_data : HAS_SEARCH != 0 && next.opens ? SYMBOL_BITS'(record.first) : next.symbol;
  wire missing = found == MISSING && ((!next.given && !next.weigh) || (HAS_PACKETS != 0 && skips));
  wire beyond = !missing && (SYMBOL_BITS + 1)'(found) >= (SYMBOL_BITS + 1)'(record.cardinality);
  always_ff @(posedge clk) begin
    bad <= 1'b0;
    ready_in <= {1'b0, ready_in[2:1]};
    if (ready_in[0]) begin
      next_record <= record;
      next_missing <= missing;
      next_symbol <= missing ? '0 : beyond ? SYMBOL_BITS'(record.cardinality - 1'b1) : found;
      bad <= beyond && !next.given;
    end
    if (begins) next_valid <= 1'b0;
    next_reads <= accept && !pass_in.given && !rst;
    if (accept) begin
      next <= pass_in;
      next_valid <= 1'b1;
      ready_in <= 3'b100;
    end
    if (rst) begin
      next_valid <= 1'b0;
      ready_in <= '0;
      bad <= 1'b0;
    end
  end

  // ---- beats
  pass_t now;
  logic busy, missing_now;
  variable_t record_now;
  logic [SYMBOL_BITS-1:0] symbol_now;
  logic [ROW_COUNT_BITS-1:0] row;
  logic [GROUP_BITS-1:0] group;
  logic [LEAF_ADDRESS_BITS-1:0] leaf;
  logic [2:0] gap;  // cycles that a pass with a context waits still
  logic last_row, last_beat;
  wire last_group = group == GROUP_BITS'(GROUPS - 1);
  assign begins = next_valid && ready_in == '0 && (!busy || (last_beat && PASS_GAP == 0)) && gap == '0;
  assign leaf_address = leaf;
  assign row_address = now.work.step.a + ROW_ADDRESS_BITS'(row);
  assign tail_address = now.work.step.tails + TAIL_ADDRESS_BITS'(symbol_now);
  always_ff @(posedge clk) begin
    if (busy) begin
      leaf <= leaf + 1'b1;
      group <= last_group ? '0 : group + 1'b1;
      if (last_group) row <= row + 1'b1;
      if (last_group) last_row <= row + ROW_COUNT_BITS'(2) == now.work.step.a_rows;
      // of the next beat: the last group is one ahead of its first
      last_beat <= GROUPS > 1 ? last_row && group == GROUP_BITS'(GROUPS - 2)
          : row + ROW_COUNT_BITS'(2) == now.work.step.a_rows;
      if (last_beat) busy <= 1'b0;
    end
    row_read <= begins ? next.weigh : busy && !last_beat && last_group && now.weigh;
    gap <= busy && last_beat && now.weigh && PASS_GAP != 0 ? 3'(PASS_GAP - 1) : gap - 3'(gap != '0);
    if (begins) begin
      now <= next;
      record_now <= next_record;
      symbol_now <= next_symbol;
      missing_now <= next_missing;
      busy <= 1'b1;
      row <= '0;
      last_row <= next.work.step.a_rows == ROW_COUNT_BITS'(1);
      last_beat <= GROUPS == 1 && next.work.step.a_rows == ROW_COUNT_BITS'(1);
      group <= '0;
      leaf <= next.work.step.leaves;
    end
    if (rst) begin
      busy <= 1'b0;
      row_read <= 1'b0;
      gap <= '0;
    end
  end

  // ---- what belongs to a beat on its way
  typedef struct packed {
    logic weigh;
    logic leaf;
    logic missing;
    logic first;
    logic last;
    logic row_last;
    logic tail;
    logic [GROUP_BITS-1:0] group;
    logic [PC_STREAM_BITS-1:0] stream;
    logic [SYMBOL_BITS-1:0] symbol;
    logic [SYMBOL_BITS:0] cardinality;
  } beat_t;
  localparam int BEAT_BITS = 8 + GROUP_BITS + PC_STREAM_BITS + 2 * SYMBOL_BITS;
  beat_t b0, b2, b3, b5, b7, b8, b9, bs;
  assign b0.weigh = now.weigh;
  assign b0.leaf = now.leaf;
  assign b0.missing = missing_now;
  assign b0.first = group == '0 && row == '0;
  assign b0.last = last_beat;
  assign b0.row_last = last_group;
  assign b0.tail = HAS_TAILS != 0 && now.work.step.zeros == ZEROS_TAIL;
  assign b0.group = group;
  assign b0.stream = now.work.stream;
  assign b0.symbol = symbol_now;
  assign b0.cardinality = (SYMBOL_BITS + 1)'(record_now.cardinality);
  logic v2, v3, v5, v7, v8, v9, vs;
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(2)) d2 (
      .clk(clk), .rst(rst), .in_valid(busy), .in(b0), .out_valid(v2), .out(b2));
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(1)) d3 (
      .clk(clk), .rst(rst), .in_valid(v2), .in(b2), .out_valid(v3), .out(b3));
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(2)) d5 (
      .clk(clk), .rst(rst), .in_valid(v3), .in(b3), .out_valid(v5), .out(b5));
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(2)) d7 (
      .clk(clk), .rst(rst), .in_valid(v5), .in(b5), .out_valid(v7), .out(b7));
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(1)) d8 (
      .clk(clk), .rst(rst), .in_valid(v7), .in(b7), .out_valid(v8), .out(b8));
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(1)) d9 (
      .clk(clk), .rst(rst), .in_valid(v8), .in(b8), .out_valid(v9), .out(b9));
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(LANE_LEVELS)) ds (
      .clk(clk), .rst(rst), .in_valid(v9), .in(b9), .out_valid(vs), .out(bs));

  // Entries of a symbol lie side by side, a table each: where they begin is the tables times half of the symbol. That is
  // a sum of two halves of what is shifted, for a multiplier would be idle but in one cycle of a pass.
  localparam int PAIR_BITS = SYMBOL_BITS > 1 ? SYMBOL_BITS - 1 : 1;
  localparam int BASE_BITS = EVEN_BITS > ODD_BITS ? EVEN_BITS : ODD_BITS;
  function automatic logic [BASE_BITS-1:0] times(
      input logic [TABLES_BITS-1:0] factor, input logic [PAIR_BITS-1:0] pair, input logic upper);
    times = '0;
    for (int at = 0; at < PAIR_BITS; at = at + 1)
      if (pair[at] && (at >= PAIR_BITS / 2) == upper) times = times + (BASE_BITS'(factor) << at);
  endfunction
  logic [BASE_BITS-1:0] lower_1, upper_1, pairs_2;
  logic [EVEN_BITS-1:0] even_start_2, even_base_3;
  logic [ODD_BITS-1:0] odd_start_2, odd_base_3;
  variable_t r1;
  logic [SYMBOL_BITS-1:0] s1;
  logic ends_2, ends_3, ends_7;  // the next symbol's entry is 2^L
  always_ff @(posedge clk) begin
    r1 <= record_now;
    s1 <= symbol_now;
    lower_1 <= times(record_now.tables, PAIR_BITS'(symbol_now >> 1), 1'b0);
    upper_1 <= times(record_now.tables, PAIR_BITS'(symbol_now >> 1), 1'b1);
    pairs_2 <= lower_1 + upper_1;
    even_start_2 <= r1.even + (s1[0] ? EVEN_BITS'(r1.tables) : '0);
    odd_start_2 <= r1.odd;
    ends_2 <= (SYMBOL_BITS + 1)'(s1) + 1'b1 == (SYMBOL_BITS + 1)'(r1.cardinality);
    even_base_3 <= even_start_2 + EVEN_BITS'(pairs_2);
    odd_base_3 <= odd_start_2 + ODD_BITS'(pairs_2);
    ends_3 <= ends_2;
  end
  pc_delay #(.WIDTH(1), .CYCLES(4)) ends_late (.clk(clk), .in(ends_3), .out(ends_7));
  logic [TABLE_LANES-1:0] unit_3, unit_8;
  logic [TABLE_LANES*EVEN_BITS-1:0] even_at;
  logic [TABLE_LANES*ODD_BITS-1:0] odd_at;
  logic [PC_LANES*PC_STATE_BITS-1:0] held_row;
  logic [TABLE_LANES*PC_STATE_BITS-1:0] context_3, context_8;
  wire [PC_LANES*PC_STATE_BITS-1:0] row_now = b2.group == '0 ? row_data : held_row;
  always_ff @(posedge clk) begin
    if (v2 && b2.group == '0) held_row <= row_data;
    context_3 <=
        (TABLE_LANES * PC_STATE_BITS)'(row_now >> (GROUPS > 1 ? 32'(b2.group) * (TABLE_LANES * PC_STATE_BITS) : 0));
  end
  pc_delay #(.WIDTH(TABLE_LANES*PC_STATE_BITS), .CYCLES(5)) context_late (.clk(clk), .in(context_3), .out(context_8));
  pc_delay #(.WIDTH(TABLE_LANES), .CYCLES(5)) unit_late (.clk(clk), .in(unit_3), .out(unit_8));
  logic [3:0] tail_3, tail_8;
  always_ff @(posedge clk) begin
    tail_3 <= tail_data;
  end
  pc_delay #(.WIDTH(4), .CYCLES(5)) tail_late (.clk(clk), .in(tail_3), .out(tail_8));

  // ---- entries, products, sums
  localparam int PRODUCT_BITS = PC_STATE_BITS + ENTRY;
  logic [TABLE_LANES*PRODUCT_BITS-1:0] low_9, high_9;
  logic [TABLE_LANES*PC_STATE_BITS-1:0] context_9;
  logic [TABLE_LANES*PC_COUNT_BITS-1:0] count_9;
  for (genvar l = 0; l < TABLE_LANES; ++l) begin : g_lane
    logic [NUMBER_BITS-1:0] number_3;
    logic [EVEN_BITS-1:0] even_4;
    logic [ODD_BITS-1:0] odd_4;
    always_ff @(posedge clk) begin
      unit_3[l] <= !leaf_data[l*NUMBER+NUMBER_BITS];
      number_3 <= leaf_data[l*NUMBER+:NUMBER_BITS];
      even_4 <= even_base_3 + EVEN_BITS'(number_3);
      odd_4 <= odd_base_3 + ODD_BITS'(number_3);
      even_at[l*EVEN_BITS+:EVEN_BITS] <= even_4;  // block RAMs lie far apart
      odd_at[l*ODD_BITS+:ODD_BITS] <= odd_4;
    end
    wire [ENTRY-1:0] even_entry = even_data[l*ENTRY+:ENTRY];
    wire [ENTRY-1:0] odd_entry = odd_data[l*ENTRY+:ENTRY];
    logic [ENTRY-1:0] low_8, high_8;
    wire [ENTRY-1:0] count = b8.missing ? ENTRY'(1) << PC_LEAF_BITS : high_8 - low_8;
    always_ff @(posedge clk) begin
      low_8 <= b7.symbol[0] ? odd_entry : even_entry;
      high_8 <= ends_7 ? ENTRY'(1) << PC_LEAF_BITS : b7.symbol[0] ? even_entry : odd_entry;
      // lanes without a unit have a context of 0
      low_9[l*PRODUCT_BITS+:PRODUCT_BITS] <=
          PRODUCT_BITS'(context_8[l*PC_STATE_BITS+:PC_STATE_BITS]) * PRODUCT_BITS'(low_8);
      high_9[l*PRODUCT_BITS+:PRODUCT_BITS] <=
          PRODUCT_BITS'(context_8[l*PC_STATE_BITS+:PC_STATE_BITS]) * PRODUCT_BITS'(high_8);
      if (!unit_8[l]) count_9[l*PC_COUNT_BITS+:PC_COUNT_BITS] <= '0;
      else if (HAS_TAILS != 0 && b8.tail)
        count_9[l*PC_COUNT_BITS+:PC_COUNT_BITS] <=
            count == '0 ? PC_COUNT_BITS'(1) << (PC_TAIL_BITS - 32'(tail_8)) : PC_COUNT_BITS'(count) << PC_TAIL_BITS;
      else count_9[l*PC_COUNT_BITS+:PC_COUNT_BITS] <= PC_COUNT_BITS'(count);
    end
  end
  always_ff @(posedge clk) context_9 <= context_8;
  assign even_address = even_at;
  assign odd_address = odd_at;
  localparam int SUM_BITS = PRODUCT_BITS + LANE_LEVELS;
  logic [SUM_BITS-1:0] low_s, high_s;
  logic [PC_STATE_BITS+LANE_LEVELS-1:0] context_s;
  pc_adder_tree #(.COUNT(TABLE_LANES), .WIDTH(PRODUCT_BITS)) low_tree (.clk(clk), .in(low_9), .out(low_s));
  pc_adder_tree #(.COUNT(TABLE_LANES), .WIDTH(PRODUCT_BITS)) high_tree (.clk(clk), .in(high_9), .out(high_s));
  pc_adder_tree #(.COUNT(TABLE_LANES), .WIDTH(PC_STATE_BITS)) context_tree (.clk(clk), .in(context_9), .out(context_s));
  always_ff @(posedge clk) begin
    weighed_valid <= vs && bs.weigh && bs.last && !rst;
    if (vs) begin
      weighed.low <= (bs.first ? '0 : weighed.low) + PC_WEIGHTED_BITS'(low_s);
      weighed.high <= (bs.first ? '0 : weighed.high) + PC_WEIGHTED_BITS'(high_s);
      weighed.total <= (bs.first ? '0 : weighed.total) + CONTEXT_BITS'(context_s);
    end
    weighed.leaf <= bs.leaf;
    weighed.missing <= HAS_PACKETS != 0 && bs.missing;
    weighed.stream <= bs.stream;
    weighed.symbol <= bs.symbol;
    weighed.cardinality <= bs.cardinality;
  end

  // ---- rows of counts
  localparam int GROUP_WIDTH = TABLE_LANES * PC_COUNT_BITS;
  always_ff @(posedge clk) begin
    out_valid <= v9 && b9.leaf && b9.row_last && !rst;
    out_last <= b9.last;
    if (v9)
      for (int g = 0; g < GROUPS; g = g + 1)
        if (GROUP_BITS'(g) == b9.group) out_row[g*GROUP_WIDTH+:GROUP_WIDTH] <= count_9;
  end
  wire tail_in = HAS_TAILS != 0 && pass_in.work.step.zeros == ZEROS_TAIL;
  assign reserve_rows = pass_in.work.step.rows;
  assign reserve_meta.stream = pass_in.work.stream;
  assign reserve_meta.target = pass_in.work.step.target;
  assign reserve_meta.target_slot = pass_in.work.step.target_slot;
  assign reserve_meta.zeros = pass_in.work.step.zeros;
  assign reserve_meta.bypass = 1'b0;
  assign reserve_meta.lifted = 1'b0;
  assign reserve_meta.masked = pass_in.work.step.zeros == ZEROS_REVIVE;
  assign reserve_meta.last = pass_in.work.step.last;
  assign reserve_meta.exponent = 33'(-PC_LEAF_BITS) - (tail_in ? 33'(PC_TAIL_BITS) : 33'd0);
endmodule
