// pc_probe: whether a decoder's position has reached a bound, unit * bound <= offset (docs/stream.md, Lane). For searches
// that try several bounds at a time, each with a pc_probe; a search of one at a time is pc_range_decoder's.
//
// Ports    in_valid, in_tag, in_unit: the highest P bits of the range; in_offset; in_bound: P + 1 bits, P = SCALE_BITS.
//          out_valid, out_tag, out_reached.
// Latency  6. Initiation interval 1.
// Made of  4 multipliers of 18 x 18 at P 24, 1 at P 16.
module pc_probe #(
    parameter int SCALE_BITS = 24,
    parameter int PART_BITS  = 18,
    parameter int TAG_BITS   = 1
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    in_valid,
    input  logic [    TAG_BITS-1:0] in_tag,
    input  logic [  SCALE_BITS-1:0] in_unit,
    input  logic [2*SCALE_BITS-1:0] in_offset,
    input  logic [    SCALE_BITS:0] in_bound,
    output logic                    out_valid,
    output logic [    TAG_BITS-1:0] out_tag,
    output logic                    out_reached
);
  localparam int P = SCALE_BITS;
  logic [2*P:0] product;
  logic [2*P-1:0] offset;
  pc_product #(
      .FIRST_BITS (P),
      .SECOND_BITS(P + 1),
      .PART_BITS  (PART_BITS)
  ) part (
      .clk(clk),
      .in_first(in_unit),
      .in_second(in_bound),
      .out(product)
  );
  pc_delay #(
      .WIDTH (2 * P),
      .CYCLES(4),
      .MEMORY(1)
  ) waits (
      .clk(clk),
      .in (in_offset),
      .out(offset)
  );
  logic below, greater, equal;
  always_ff @(posedge clk) begin
    below <= product[P-1:0] <= offset[P-1:0];
    greater <= {1'b0, offset[2*P-1:P]} > product[2*P:P];
    equal <= {1'b0, offset[2*P-1:P]} == product[2*P:P];
    out_reached <= greater || (equal && below);
  end
  pc_valid #(
      .WIDTH (TAG_BITS),
      .CYCLES(6)
  ) leaves (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in(in_tag),
      .out_valid(out_valid),
      .out(out_tag)
  );
endmodule
