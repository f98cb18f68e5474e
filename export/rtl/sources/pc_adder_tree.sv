// pc_adder_tree: the sum of COUNT numbers without a sign, exactly.
//
// Ports    in: COUNT numbers of WIDTH bits, the first in the lowest bits; out: their sum.
// Widths   out has WIDTH + ceil(log2 COUNT) bits; level i of the tree i more than an input.
// Latency  ceil(log2 COUNT), one for each level; a single number is a wire. Initiation interval 1.
module pc_adder_tree #(
    parameter int COUNT = 4,
    parameter int WIDTH = 24,
    localparam int LEVELS = $clog2(COUNT),
    localparam int OUT_BITS = WIDTH + LEVELS
) (
    input  logic                   clk,
    input  logic [COUNT*WIDTH-1:0] in,
    output logic [   OUT_BITS-1:0] out
);
  localparam int LEAVES = 2 ** LEVELS;
  // nodes of level i, from the first, are in the places from 2^(LEVELS - i) on, as in a heap: node n adds 2n and 2n + 1
  logic [2*LEAVES-1:0][OUT_BITS-1:0] node;
  assign node[0] = '0;
  for (genvar leaf = 0; leaf < LEAVES; ++leaf) begin : g_leaf
    if (leaf < COUNT) begin : g_number
      assign node[LEAVES+leaf] = OUT_BITS'(in[leaf*WIDTH+:WIDTH]);
    end else begin : g_none
      assign node[LEAVES+leaf] = '0;
    end
  end
  for (genvar place = 1; place < LEAVES; ++place) begin : g_sum
    localparam int BITS = WIDTH + LEVELS - $clog2(place + 1) + 1;
    logic [BITS-1:0] sum;
    always_ff @(posedge clk) sum <= node[2*place][BITS-1:0] + node[2*place+1][BITS-1:0];
    assign node[place] = OUT_BITS'(sum);
  end
  assign out = node[1];
  wire unused = &{1'b0, clk, node[0]};
endmodule
