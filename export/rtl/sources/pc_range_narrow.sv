// pc_range_narrow: one step of a range coder (docs/arithmetic.md, Range coder; docs/stream.md, Lane): the interval is
// narrowed, and the digits that are known leave. It has no state: pc_range_encoder keeps that of all streams.
//
// Ports    in_valid, in_ready, in_tag, in_low, in_range; in_start, in_end: the interval of 2^P; in_flush: the lane ends,
//          and one last digit leaves instead.
//          out_valid, out_tag, out_low, out_range, out_flush; out_count digits left, 0 to P / 8, one at a flush: the first
//          is {out_carry, the highest byte of out_bytes}, the others are the bytes below it, without carries. At a flush
//          out_low and out_range mean nothing.
//          With SHARED in_end comes a cycle after in_start, and products are had from outside: of ask_first and ask_second
//          when ask, product 4 cycles later. A flush asks for none, but product must be 0 as for one that asks for 0.
// Widths   P = SCALE_BITS, 16 or 24; range B = 2 P bits, low B + 1.
// Latency  7: product 4, sum 2 (the bytes are counted beside it), shift 1. Initiation interval 2, for start and size go
//          through one pc_product: in_ready is zero in the cycle after an interval.
// Made of  4 multipliers of 18 x 18 at P 24, 1 at P 16; with SHARED none.
module pc_range_narrow #(
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
    input  logic [         B:0] in_low,
    input  logic [       B-1:0] in_range,
    input  logic [         P:0] in_start,
    input  logic [         P:0] in_end,
    input  logic                in_flush,
    output logic                out_valid,
    output logic [TAG_BITS-1:0] out_tag,
    output logic [         B:0] out_low,
    output logic [       B-1:0] out_range,
    output logic                out_flush,
    output logic [         1:0] out_count,
    output logic                out_carry,
    output logic [       P-1:0] out_bytes,
    output logic                ask,
    output logic [       P-1:0] ask_first,
    output logic [         P:0] ask_second,
    input  logic [         B:0] product
);
  logic second;  // the size's cycle
  assign in_ready = !second;
  wire take = in_valid && in_ready;
  logic [P-1:0] unit_1;
  always_ff @(posedge clk) begin
    second <= take && !in_flush && !rst;
    unit_1 <= in_range[B-1:P];
  end
  logic [B:0] narrowed;
  if (SHARED) begin : g_shared
    logic [P:0] start_1;
    always_ff @(posedge clk) start_1 <= in_start;
    assign ask = second || (in_valid && !in_flush);
    assign ask_first = second ? unit_1 : in_range[B-1:P];
    assign ask_second = second ? in_end - start_1 : in_start;
    assign narrowed = product;
  end else begin : g_own
    logic [P:0] size;
    always_ff @(posedge clk) size <= in_end - in_start;
    pc_product #(
        .FIRST_BITS (P),
        .SECOND_BITS(P + 1),
        .PART_BITS  (PART_BITS)
    ) narrow (
        .clk(clk),
        .in_first(second ? unit_1 : in_range[B-1:P]),
        .in_second(second ? size : in_flush ? '0 : in_start),
        .out(narrowed)
    );
    assign {ask, ask_first, ask_second} = '0;
    wire unused = &{1'b0, product};
  end

  // unit * start is there in cycle 4, unit * size in cycle 5
  logic [B:0] low_4;
  pc_delay #(
      .WIDTH (B + 1),
      .CYCLES(4),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (in_low),
      .out(low_4)
  );
  logic flush_6;
  logic [TAG_BITS-1:0] tag_6;
  logic valid_6;
  pc_valid #(
      .WIDTH (TAG_BITS + 1),
      .CYCLES(6)
  ) beside (
      .clk(clk),
      .rst(rst),
      .in_valid(take),
      .in({in_tag, in_flush}),
      .out_valid(valid_6),
      .out({tag_6, flush_6})
  );

  wire [P:0] sum = {1'b0, low_4[P-1:0]} + {1'b0, narrowed[P-1:0]};
  // as many bytes leave as the new range begins with zero ones; it has at least P bits
  logic [1:0] count;
  always_comb begin
    count = 2'd0;
    for (int k = 1; k <= P / 8; k = k + 1) if ((narrowed[B-1:0] >> (B - 8 * k)) == '0) count = 2'(k);
  end
  logic [P-1:0] sum_5, product_5;
  logic [B-P:0] high_5;
  logic carry_5;
  logic [B:0] low_6;
  logic [B-1:0] range_6;
  logic [1:0] count_6;
  always_ff @(posedge clk) begin
    {carry_5, sum_5} <= sum;
    high_5 <= low_4[B:P];
    product_5 <= narrowed[B-1:P];
    low_6 <= {high_5 + (P + 1)'(product_5) + (P + 1)'(carry_5), sum_5};
    range_6 <= narrowed[B-1:0];
    count_6 <= count;
  end

  logic [B-1:0] moved;
  assign moved = low_6[B-1:0] << {count_6, 3'd0};
  // the least digit that, with zeros behind it, is not below low
  wire [8:0] last = low_6[B:B-8] + 9'(|low_6[B-9:0]);
  always_ff @(posedge clk) begin
    out_valid <= valid_6 && !rst;
    {out_tag, out_flush} <= {tag_6, flush_6};
    out_count <= flush_6 ? 2'd1 : count_6;
    {out_carry, out_bytes[P-1:P-8]} <= flush_6 ? last : low_6[B:B-8];
    out_bytes[P-9:0] <= low_6[B-9:P];
    out_range <= range_6 << {count_6, 3'd0};
    out_low <= count_6 == '0 ? low_6 : {1'b0, moved};
  end
  wire unused = &{1'b0, in_range[P-1:0], narrowed[B]};

`ifdef FORMAL
  // The products are any words for which this holds, which tests/export/rtl/test_formal.py proves of products:
  // unit * start + unit * size <= range, unit * size >= unit, unit * 0 = 0.
  logic valid_4, valid_5;
  logic [B-1:0] range_4, range_5;
  logic [B:0] product_start, product_6, low_5f, low_6f;
  logic flush_4;
  pc_valid #(
      .WIDTH (B + 1),
      .CYCLES(4)
  ) formal_range (
      .clk(clk),
      .rst(rst),
      .in_valid(take),
      .in({in_range, in_flush}),
      .out_valid(valid_4),
      .out({range_4, flush_4})
  );
  // the number that all digits and low make is the one before, and unit * start
  logic [B:0] sum_6;
  wire [B:0] digits = {out_carry, out_bytes, {P{1'b0}}};
  wire [B:0] left = digits & ~({(B + 1) {1'b1}} >> ({out_count, 3'd0} + 7'd1));
  always_ff @(posedge clk) begin
    valid_5 <= valid_4 && !flush_4 && !rst;
    range_5 <= range_4;
    product_start <= narrowed;
    product_6 <= product_start;
    low_5f <= low_4;
    low_6f <= low_5f;
    if (valid_4 && flush_4) assume (narrowed == '0);
    if (valid_5) begin
      assume ({1'b0, product_start} + {1'b0, narrowed} <= {2'b0, range_5});
      assume (narrowed >= {{(P + 1) {1'b0}}, range_5[B-1:P]});
    end
    sum_6 <= low_6f + product_6;
    if (out_valid && !out_flush && !rst) begin
      assert (out_count <= 2'(P / 8));
      if (out_count == '0) assert (out_low == sum_6);
      else assert (left + (out_low >> {out_count, 3'd0}) == sum_6);
    end
  end
`endif
endmodule
