// What pc_pick_held owes to those that ask: one of them is held until it has gone, and all have their turn.
module pick #(
    parameter int COUNT = 3
) (
    input logic clk,
    input logic rst,
    input logic [COUNT-1:0] asks,
    input logic goes
);
  logic held;
  logic [COUNT-1:0] chosen, ask;
  logic [1:0] place;
  wire go = goes && held;
  pc_pick_held #(.COUNT(COUNT)) dut (
      .clk(clk), .rst(rst), .clear(1'b0), .ask(ask), .go(go), .held(held), .chosen(chosen), .place(place));
  (* anyconst *) logic [1:0] one;
  logic begun, went, had;
  logic [COUNT-1:0] was;
  logic [3:0] others;  // that went since that one asks
  initial begun = 1'b0;
  always_ff @(posedge clk) begin
    begun <= 1'b1;
    // what asks goes on until it has gone
    ask <= rst ? '0 : (ask & ~(go ? chosen : '0)) | asks;
    others <= rst || !ask[one] || (go && chosen[one]) ? '0 : others + 4'(go);
    went <= go;
    had <= held && !rst;
    was <= chosen;
    if (!begun) assume (rst);
    else begin
      assume (!rst);
      assume (one < 2'(COUNT));
      if (held) begin
        assert ((chosen & ask) != '0);
        assert (chosen == COUNT'(1) << place);
        if (had && !went) assert (chosen == was);
      end
      if (had && !went) assert (held);
      assert (others <= 4'(COUNT));
    end
  end
endmodule
