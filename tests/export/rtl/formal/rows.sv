// Vectors of one to three rows in any order and with any gaps go through a pc_normalise: nothing overflows in it (its own
// assertions), and every row comes out once, in its order.
module rows (
    input logic clk,
    input logic in_valid,
    input logic in_last,
    input logic [1:0] in_entries,
    input logic in_revive
);
  localparam int ROWS = 3;
  logic rst, out_valid, out_last;
  logic [4:0] in_tag, out_tag, next_tag;
  logic [1:0] row;
  initial begin
    rst = 1'b1;
    in_tag = '0;
    next_tag = '0;
    row = '0;
  end
  pc_normalise #(
      .LANES(1),
      .WIDTH(2),
      .STATE_BITS(8),
      .ROWS(ROWS),
      .EXPONENT_BITS(4),
      .TAG_BITS(5)
  ) unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid && !rst),
      .in_last(in_last),
      .in_tag(in_tag),
      .in_used(1'b1),
      .in_entries(in_entries),
      .in_exponent('0),
      .in_revive(in_revive),
      .in_keep(1'b0),
      .in_lift('0),
      .out_valid(out_valid),
      .out_last(out_last),
      .out_tag(out_tag)
  );
  always_ff @(posedge clk) begin
    rst <= 1'b0;
    if (in_valid && !rst) begin
      in_tag <= in_tag + 1'b1;
      row <= in_last ? '0 : row + 1'b1;
      assume (in_last || row != 2'(ROWS - 1));
    end
    if (out_valid && !rst) begin
      next_tag <= next_tag + 1'b1;
      assert (out_tag == next_tag);
    end
    cover (out_valid && !rst && out_tag == 5'd4);
  end
endmodule
