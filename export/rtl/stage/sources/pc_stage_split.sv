// pc_stage_split: a residual as a token and raw bits (docs/predictor.md, Token), without what is listed or missing.
//
// Ports    go, residual, kind: the class's bias and shift, both stable until done, a pulse: token, raw, count.
// Latency  7.
`include "stage.svh"
module pc_stage_split (
    input logic clk,
    input logic rst,
    input logic go,
    input logic signed [63:0] residual,
    input stage_classes_t kind,
    output logic done,
    output logic [STAGE_TOKEN_BITS-1:0] token,
    output logic [63:0] raw,
    output logic [6:0] count
);
  localparam logic signed [63:0] EDGE = 64'(STAGE_CENTRE);
  logic [6:1] valid;
  logic signed [63:0] rest, shifted;
  logic above, below, above_4, below_4;
  logic [63:0] over, under, beyond, kept, high;
  logic [6:0] level, counted;
  logic [15:0] central, central_4, central_5;
  always_comb begin
    counted = '0;
    for (int k = 0; k < 64; k = k + 1) if (beyond[k]) counted = 7'(k + 1);
  end
  wire [6:0] tail = level - 1'b1;
  always_ff @(posedge clk) begin
    valid <= {valid[5:1], go};
    done <= valid[6];
    rest <= residual - 64'($signed(kind.bias));
    shifted <= rest >>> kind.shift;
    above <= shifted >= EDGE;
    below <= shifted < -EDGE;
    over <= shifted - EDGE + 64'd1;
    under <= -EDGE - shifted;
    central <= 16'(STAGE_ESCAPES + STAGE_CENTRE) + shifted[15:0];
    // the distance beyond the centre is at least 1; 1 for what is within has no raw bits
    beyond <= above ? over : below ? under : 64'd1;
    {above_4, below_4, central_4} <= {above, below, central};
    level <= counted;
    kept <= rest & ~({64{1'b1}} << kind.shift);
    high <= beyond;
    central_5 <= central_4;
    token <= above_4 ? 16'(STAGE_ESCAPES + 2 * STAGE_CENTRE) + 16'(tail)
        : below_4 ? 16'(STAGE_ESCAPES) - 16'(level) : central_5;
    count <= tail + 7'(kind.shift);
    raw <= (high & ~(64'd1 << tail)) << kind.shift | kept;
    if (rst) {valid, done} <= '0;
  end
endmodule
