// pc_stage_join: the residual of a token and its raw bits, modulo 2^64 (docs/predictor.md, Token).
//
// Ports    go, token, kind: the class's bias and shift, both stable until done. asks, count: so many raw bits are wanted,
//          stable until raw_done, a pulse, with raw, from then on stable. done, a pulse: residual.
// Latency  3 until it asks, 4 from the raw bits on.
`include "stage.svh"
module pc_stage_join (
    input logic clk,
    input logic rst,
    input logic go,
    input logic [STAGE_TOKEN_BITS-1:0] token,
    input stage_classes_t kind,
    output logic asks,
    output logic [6:0] count,
    input logic raw_done,
    input logic [63:0] raw,
    output logic done,
    output logic signed [63:0] residual
);
  localparam int LAST = STAGE_ESCAPES + 2 * STAGE_CENTRE;
  logic [2:1] valid;
  logic [3:1] raw_came;
  logic above, plain;
  logic [6:0] tail;
  logic [63:0] beyond, shifted, low;
  always_ff @(posedge clk) begin
    valid <= {valid[1], go};
    asks <= valid[2];
    above <= token >= 16'(LAST);
    plain <= token >= 16'(STAGE_ESCAPES) && token < 16'(LAST);
    tail <= plain ? '0 : above ? 7'(token - 16'(LAST)) : 7'(16'(STAGE_ESCAPES - 1) - token);
    count <= tail + 7'(kind.shift);
    raw_came <= {raw_came[2:1], raw_done};
    done <= raw_came[3];
    beyond <= raw >> kind.shift | 64'd1 << tail;
    shifted <= plain ? 64'(token) - 64'(STAGE_CENTRE + STAGE_ESCAPES)
        : above ? beyond + 64'(STAGE_CENTRE - 1) : 64'(-STAGE_CENTRE) - beyond;
    low <= (raw & ~({64{1'b1}} << kind.shift)) + 64'($signed(kind.bias));
    residual <= (shifted << kind.shift) + low;
    if (rst) {valid, asks, raw_came, done} <= '0;
  end
endmodule
