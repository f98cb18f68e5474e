// pc_valid: the valid bit of a pipeline, which a reset clears, and what travels beside it.
//
// Ports    in_valid, in; out_valid, out: WIDTH bits each.
// Latency  CYCLES. Initiation interval 1.
module pc_valid #(
    parameter int WIDTH  = 1,
    parameter int CYCLES = 1
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             in_valid,
    input  logic [WIDTH-1:0] in,
    output logic             out_valid,
    output logic [WIDTH-1:0] out
);
  pc_delay #(
      .WIDTH (WIDTH),
      .CYCLES(CYCLES)
  ) beside (
      .clk(clk),
      .in (in),
      .out(out)
  );
  if (CYCLES == 0) begin : g_wire
    assign out_valid = in_valid;
    wire unused = rst;
  end else if (CYCLES == 1) begin : g_one
    always_ff @(posedge clk) out_valid <= in_valid && !rst;
  end else begin : g_more
    logic [CYCLES-1:0] stages;
    always_ff @(posedge clk) stages <= rst ? '0 : {stages[CYCLES-2:0], in_valid};
    assign out_valid = stages[CYCLES-1];
  end
endmodule
