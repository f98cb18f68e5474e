// pc_range_locate: a range decoder's steps (docs/arithmetic.md, Range coder; docs/stream.md, Lane). It has no state:
// pc_range_decoder keeps that of all streams.
//
// Ports    in_valid, in_ready, in_tag, in_operation, in_offset, in_range, and of
//            PROBE 0  in_start: a bound of 2^P
//            TAKE 1   in_start, in_end: the interval that was found; in_bytes: the next P / 8 bytes of the lane, first in
//                     the highest bits, zeros beyond its end; in_hold: an offset that has left the range becomes its last
//            TRY 3    as TAKE, of an interval that may be another symbol's: then nothing is taken, and it is told on which
//                     side the symbol lies. With in_top no symbol lies above, and what does is held or left, as of TAKE.
//            LOAD 2   in_bytes, as many; in_offset: what was loaded before. Two of them begin a lane of B / 8 bytes.
//          probe_valid, probe_tag, probe_reached: whether unit * start <= offset, so whether the symbol with this lower
//          end is at or below the one that was coded.
//          out_valid, out_tag, out_offset, out_range, out_used: bytes that were taken; out_left: no encoder wrote these
//          bytes. Of TAKE and LOAD, and of a TRY that found its symbol.
//          tried_valid, out_tag, tried_below, tried_above: what a TRY found, of a symbol neither, with out_valid then.
//          With SHARED in_end comes a cycle after in_start, and products are had from outside: of ask_first and ask_second
//          when ask, product 4 cycles later. A LOAD asks for none, but product must be 0 as for one that asks for 0.
// Widths   P = SCALE_BITS, 16 or 24; offset and range B = 2 P bits.
// Latency  a probe's 6, else 9. Initiation interval 1 for PROBE and LOAD, 2 for TAKE and TRY, whose start and size go
//          through one pc_product: in_ready is zero in the cycle after it.
// Made of  4 multipliers of 18 x 18 at P 24, 1 at P 16; with SHARED none. For several probes a cycle: pc_probe.
module pc_range_locate #(
    parameter  int SCALE_BITS = 24,
    parameter  int PART_BITS  = 18,
    parameter  int TAG_BITS   = 1,
    parameter  bit SHARED     = 0,
    localparam int P = SCALE_BITS,
    localparam int B = 2 * SCALE_BITS
) (
    input  logic                clk,
    input  logic                rst,
    input  logic                in_valid,
    output logic                in_ready,
    input  logic [TAG_BITS-1:0] in_tag,
    input  logic [         1:0] in_operation,
    input  logic [       B-1:0] in_offset,
    input  logic [       B-1:0] in_range,
    input  logic [         P:0] in_start,
    input  logic [         P:0] in_end,
    input  logic [       P-1:0] in_bytes,
    input  logic                in_hold,
    input  logic                in_top,
    output logic                probe_valid,
    output logic [TAG_BITS-1:0] probe_tag,
    output logic                probe_reached,
    output logic                out_valid,
    output logic [TAG_BITS-1:0] out_tag,
    output logic [       B-1:0] out_offset,
    output logic [       B-1:0] out_range,
    output logic [         1:0] out_used,
    output logic                out_left,
    output logic                tried_valid,
    output logic                tried_below,
    output logic                tried_above,
    output logic                ask,
    output logic [       P-1:0] ask_first,
    output logic [         P:0] ask_second,
    input  logic [         B:0] product
);
  localparam logic [1:0] PROBE = 2'd0;
  localparam logic [1:0] TAKE = 2'd1;
  localparam logic [1:0] LOAD = 2'd2;
  localparam logic [1:0] TRY = 2'd3;

  logic second;  // the size's cycle
  assign in_ready = !second;
  wire take = in_valid && in_ready;
  logic [P-1:0] unit_1;
  always_ff @(posedge clk) begin
    second <= take && (in_operation == TAKE || in_operation == TRY) && !rst;
    unit_1 <= in_range[B-1:P];
  end
  logic [B:0] located;
  if (SHARED) begin : g_shared
    logic [P:0] start_1;
    always_ff @(posedge clk) start_1 <= in_start;
    assign ask = second || (in_valid && in_operation != LOAD);
    assign ask_first = second ? unit_1 : in_range[B-1:P];
    assign ask_second = second ? in_end - start_1 : in_start;
    assign located = product;
  end else begin : g_own
    logic [P:0] size;
    always_ff @(posedge clk) size <= in_end - in_start;
    pc_product #(
        .FIRST_BITS (P),
        .SECOND_BITS(P + 1),
        .PART_BITS  (PART_BITS)
    ) part (
        .clk(clk),
        .in_first(second ? unit_1 : in_range[B-1:P]),
        .in_second(second ? size : in_operation == LOAD ? '0 : in_start),
        .out(located)
    );
    assign {ask, ask_first, ask_second} = '0;
    wire unused = &{1'b0, product};
  end

  // unit * start is there in cycle 4, unit * size in cycle 5
  logic [B-1:0] offset_4;
  pc_delay #(
      .WIDTH (B),
      .CYCLES(4),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (in_offset),
      .out(offset_4)
  );
  logic valid_6, hold_6, top_6;
  logic [1:0] operation_6;
  logic [TAG_BITS-1:0] tag_6;
  pc_valid #(
      .WIDTH (TAG_BITS + 4),
      .CYCLES(6)
  ) beside (
      .clk(clk),
      .rst(rst),
      .in_valid(take),
      .in({in_tag, in_operation, in_hold, in_top}),
      .out_valid(valid_6),
      .out({tag_6, operation_6, hold_6, top_6})
  );
  wire [P:0] less = {1'b0, offset_4[P-1:0]} - {1'b0, located[P-1:0]};
  logic [1:0] count;
  always_comb begin
    count = 2'd0;
    for (int k = 1; k <= P / 8; k = k + 1) if ((located[B-1:0] >> (B - 8 * k)) == '0) count = 2'(k);
  end
  logic [P-1:0] low_5, high_5;
  logic [P:0] product_5;
  logic borrow_5;
  wire [P+1:0] high_less = {2'b0, high_5} - {1'b0, product_5} - (P + 2)'(borrow_5);
  logic below_6;
  logic [B-1:0] offset_6, range_6;
  logic [1:0] count_6;
  always_ff @(posedge clk) begin
    {borrow_5, low_5} <= less;
    high_5 <= offset_4[B-1:P];
    product_5 <= located[B:P];
    {below_6, offset_6} <= {high_less[P+1], high_less[P-1:0], low_5};
    range_6 <= located[B-1:0];
    count_6 <= count;
  end
  assign probe_valid = valid_6 && operation_6 == PROBE;
  assign probe_tag = tag_6;
  assign probe_reached = !below_6;

  // whether the offset has left the range, and the last one in it, half by half
  logic valid_7, hold_7, load_7, greater_7, equal_7, reached_7;
  logic try_7, top_7, below_7, try_8, below_8, above_8;
  logic [TAG_BITS-1:0] tag_7;
  logic [B-1:0] offset_7, range_7;
  logic [P-1:0] last_7;
  logic [1:0] count_7;
  logic valid_8, load_8, left_8;
  logic [TAG_BITS-1:0] tag_8;
  logic [B-1:0] offset_8, range_8;
  logic [P-1:0] bytes_8;
  logic [1:0] count_8;
  wire left_now = !load_7 && (greater_7 || (equal_7 && reached_7));
  wire [B-1:0] last = {range_7[B-1:P] - P'(range_7[P-1:0] == '0), last_7};
  pc_delay #(
      .WIDTH (P),
      .CYCLES(8),
      .MEMORY(1)
  ) comes (
      .clk(clk),
      .in (in_bytes),
      .out(bytes_8)
  );
  logic [B+P-1:0] shifted;
  assign shifted = {offset_8, bytes_8} << {count_8, 3'd0};
  always_ff @(posedge clk) begin
    valid_7 <= valid_6 && operation_6 != PROBE && !rst;
    {tag_7, hold_7, load_7} <= {tag_6, hold_6, operation_6 == LOAD};
    {offset_7, range_7, count_7} <= {offset_6, range_6, count_6};
    {try_7, top_7, below_7} <= {operation_6 == TRY, top_6, below_6};
    greater_7 <= offset_6[B-1:P] > range_6[B-1:P];
    equal_7 <= offset_6[B-1:P] == range_6[B-1:P];
    reached_7 <= offset_6[P-1:0] >= range_6[P-1:0];
    last_7 <= range_6[P-1:0] - 1'b1;

    valid_8 <= valid_7 && !rst;
    {tag_8, load_8, left_8} <= {tag_7, load_7, left_now};
    {try_8, below_8} <= {try_7, try_7 && below_7};
    above_8 <= try_7 && !below_7 && left_now && !top_7;
    offset_8 <= hold_7 && left_now ? last : offset_7;
    range_8 <= range_7;
    count_8 <= load_7 ? 2'(P / 8) : count_7;

    out_valid <= valid_8 && !below_8 && !above_8 && !rst;
    tried_valid <= valid_8 && try_8 && !rst;
    {tried_below, tried_above} <= {below_8, above_8};
    out_tag <= tag_8;
    out_left <= left_8;
    out_used <= count_8;
    out_offset <= shifted[B+P-1:P];
    out_range <= load_8 ? '1 : range_8 << {count_8, 3'd0};
  end
  wire unused = &{1'b0, in_range[P-1:0], high_less[P], shifted[P-1:0]};

`ifdef FORMAL
  // The products are any words for which this holds, which tests/export/rtl/test_formal.py proves of products:
  // unit * size >= unit, and the interval that was found begins at or below the offset.
  logic valid_4, valid_5, held_9, load_9;
  logic [1:0] operation_4;
  logic [B-1:0] range_4, range_5, offset_5, offset_9;
  logic [B:0] start_5, start_9;
  logic [B-1:0] size_6, size_9;
  pc_valid #(
      .WIDTH (B + 2),
      .CYCLES(4)
  ) formal_range (
      .clk(clk),
      .rst(rst),
      .in_valid(take),
      .in({in_range, in_operation}),
      .out_valid(valid_4),
      .out({range_4, operation_4})
  );
  pc_delay #(
      .WIDTH (2 * B + 1),
      .CYCLES(4)
  ) formal_start (
      .clk(clk),
      .in ({offset_5, start_5}),
      .out({offset_9, start_9})
  );
  pc_delay #(
      .WIDTH (B),
      .CYCLES(3)
  ) formal_size (
      .clk(clk),
      .in (size_6),
      .out(size_9)
  );
  pc_delay #(
      .WIDTH (1),
      .CYCLES(3)
  ) formal_hold (
      .clk(clk),
      .in (hold_6),
      .out(held_9)
  );
  always_ff @(posedge clk) begin
    valid_5 <= valid_4 && (operation_4 == TAKE || operation_4 == TRY) && !rst;
    {range_5, offset_5, start_5} <= {range_4, offset_4, located};
    size_6 <= located[B-1:0];
    load_9 <= load_8;
    if (valid_4 && operation_4 == TAKE) assume (located <= {1'b0, offset_4});
    if (valid_5) assume (located >= {{(P + 1) {1'b0}}, range_5[B-1:P]} && located <= {1'b0, range_5});
    if (!rst && probe_valid) assert (probe_reached == (start_6 <= {1'b0, offset_6f}));
    if (!rst && out_valid && !load_9) begin
      assert (out_left == ({1'b0, offset_9} - start_9 >= {1'b0, size_9}));
      // docs/arithmetic.md, Range coder, 6: the offset stays below the range
      if (held_9 || !out_left) assert (out_offset < out_range);
    end
    if (!rst && tried_valid) begin
      assert (tried_below == ({1'b0, offset_9} < start_9));
      assert (tried_above == (!tried_below && !top_9 && {1'b0, offset_9} - start_9 >= {1'b0, size_9}));
      assert (out_valid == (!tried_below && !tried_above));
    end
  end
  logic top_9;
  pc_delay #(
      .WIDTH (1),
      .CYCLES(3)
  ) formal_top (
      .clk(clk),
      .in (top_6),
      .out(top_9)
  );
  logic [B:0] start_6;
  logic [B-1:0] offset_6f;
  always_ff @(posedge clk) {start_6, offset_6f} <= {start_5, offset_5};
`endif
endmodule
