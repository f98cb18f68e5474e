// pc_pick_held: one of some that ask, round robin, held until it has gone.
//
// Ports    ask: a bit each; what asks goes on until it has gone. held: one was picked; chosen: which, a bit each; place: its
//          number. go: it goes in this cycle. clear: forget who was picked.
// Latency  1: what is chosen comes from registers, so no choice stands before what it leads to.
module pc_pick_held #(
    parameter  int COUNT = 4,
    localparam int PLACE_BITS = COUNT > 1 ? $clog2(COUNT) : 1
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  clear,
    input  logic [     COUNT-1:0] ask,
    input  logic                  go,
    output logic                  held,
    output logic [     COUNT-1:0] chosen,
    output logic [PLACE_BITS-1:0] place
);
  logic some;
  logic [COUNT-1:0] next;
  logic [PLACE_BITS-1:0] next_place;
  // no state machine, though constants of a round robin are written to it: yosys would list all its cases, 2^streams
  (* fsm_encoding = "none" *) logic [COUNT-1:0] chosen_now;
  (* fsm_encoding = "none" *) logic [PLACE_BITS-1:0] place_now;
  wire take = some && !held;
  pc_pick #(.COUNT(COUNT)) pick (
      .clk(clk), .rst(rst), .ask(ask), .take(take), .some(some), .chosen(next), .place(next_place));
  always_ff @(posedge clk) begin
    held <= (held ? !go : some) && !rst && !clear;
    if (take) begin
      chosen_now <= next;
      place_now  <= next_place;
    end
  end
  assign chosen = chosen_now;
  assign place  = place_now;
endmodule
