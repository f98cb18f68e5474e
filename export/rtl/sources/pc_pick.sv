// pc_pick: the next of some that ask, round robin: the first behind the one that was last.
//
// Ports    ask: a bit each. some: one asks; chosen: which, a bit each; place: its number. take: it was taken, and is last
//          from now on.
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
    output logic [     COUNT-1:0] chosen,
    output logic [PLACE_BITS-1:0] place
);
  logic [COUNT-1:0] behind;  // those behind the last one
  wire [COUNT-1:0] first = ask & behind;
  wire round = first == '0;
  // both answers at once, so that what chooses between them comes late: whether one before asks
  logic [COUNT-1:0] before_first, before_ask;
  always_comb begin
    before_first = '0;
    before_ask = '0;
    for (int at = 1; at < COUNT; at = at + 1) begin
      before_first[at] = before_first[at-1] || first[at-1];
      before_ask[at]   = before_ask[at-1] || ask[at-1];
    end
    place = '0;
    for (int at = 0; at < COUNT; at = at + 1) if (chosen[at]) place = place | PLACE_BITS'(at);
  end
  assign chosen = round ? ask & ~before_ask : first & ~before_first;
  assign some = ask != '0;
  always_ff @(posedge clk) begin
    if (take) behind <= round ? before_ask : before_first;
    if (rst) behind <= '0;
  end
endmodule
