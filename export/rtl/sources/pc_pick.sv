// pc_pick: the next of some that ask, round robin: the first behind the one that was last.
//
// Ports    ask: a bit each. some: one asks; place: which. take: it was taken, and is last from now on.
// Latency  0.
module pc_pick #(
    parameter  int COUNT = 4,
    localparam int PLACE_BITS = COUNT > 1 ? $clog2(COUNT) : 1
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic [     COUNT-1:0] ask,
    input  logic                  take,
    output logic                  some,
    output logic [PLACE_BITS-1:0] place
);
  logic [COUNT-1:0] behind;  // those behind the last one
  wire [COUNT-1:0] first = ask & behind;
  wire [COUNT-1:0] chosen = first != '0 ? first : ask;
  always_comb begin
    place = '0;
    for (int at = COUNT - 1; at >= 0; at = at - 1) if (chosen[at]) place = PLACE_BITS'(at);
  end
  assign some = ask != '0;
  always_ff @(posedge clk) begin
    if (take) for (int at = 0; at < COUNT; at = at + 1) behind[at] <= at > 32'(place);
    if (rst) behind <= '0;
  end
endmodule
