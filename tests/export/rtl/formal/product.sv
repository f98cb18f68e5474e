// pc_product is a product, four cycles later: of narrow parts, for a solver's sake.
module product (
    input logic clk,
    input logic [6:0] in_first,
    input logic [5:0] in_second
);
  logic [12:0] out;
  logic [3:0][6:0] first;
  logic [3:0][5:0] second;
  logic [2:0] cycle;
  initial cycle = '0;
  pc_product #(
      .FIRST_BITS (7),
      .SECOND_BITS(6),
      .PART_BITS  (4)
  ) unit (
      .clk(clk),
      .in_first(in_first),
      .in_second(in_second),
      .out(out)
  );
  always_ff @(posedge clk) begin
    first <= {first[2:0], in_first};
    second <= {second[2:0], in_second};
    if (cycle != 3'd4) cycle <= cycle + 1'b1;
    if (cycle == 3'd4) assert (out == 13'(first[3]) * 13'(second[3]));
  end
endmodule
