// pc_fifo: a queue with valid and ready at both ends, first word falls through.
//
// Ports    in_valid, in_ready, in; out_valid, out_ready, out: WIDTH bits each. A word moves in a cycle in which valid
//          and ready are one. `out` is stable while out_valid waits for out_ready.
// Latency  1: a word that comes in while nothing waits is at `out` in the next cycle. Initiation interval 1.
// Holds    DEPTH words, DEPTH - 1 of them in a memory and one in a register, so that `out` is a register's output.
module pc_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 16
) (
    input  logic             clk,
    input  logic             rst,
    input  logic             in_valid,
    output logic             in_ready,
    input  logic [WIDTH-1:0] in,
    output logic             out_valid,
    input  logic             out_ready,
    output logic [WIDTH-1:0] out
);
  localparam int PLACES = DEPTH - 1;
  localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
  localparam int COUNT_BITS = $clog2(DEPTH);
  localparam logic [PLACE_BITS-1:0] TOP = PLACE_BITS'(PLACES - 1);

  logic [WIDTH-1:0] memory[PLACES];
  logic [PLACE_BITS-1:0] first, last;
  logic [COUNT_BITS-1:0] count;  // words in the memory

  wire take = in_valid && in_ready;
  wire give = !out_valid || out_ready;  // the register is free at the end of the cycle
  wire some = count != '0;
  wire push = take && (some || !give);
  wire pull = some && give;

  assign in_ready = count != COUNT_BITS'(PLACES);

  always_ff @(posedge clk) begin
    if (push) memory[last] <= in;
    if (give) out <= some ? memory[first] : in;
    if (push) last <= last == TOP ? '0 : last + 1'b1;
    if (pull) first <= first == TOP ? '0 : first + 1'b1;
    if (push != pull) count <= push ? count + 1'b1 : count - 1'b1;
    if (give) out_valid <= some || take;
    if (rst) begin
      first <= '0;
      last <= '0;
      count <= '0;
      out_valid <= 1'b0;
    end
  end

`ifdef FORMAL
  // Any word may be watched: it comes out once, after as many as were inside before it. All by induction, so that what
  // holds between the registers is said too.
  (* anyseq *) logic marks;
  logic watched, stalled, begun;
  logic [WIDTH-1:0] word, stalled_out;
  logic [COUNT_BITS:0] words, ahead;  // words inside; those of them that come out before the one that is watched
  wire [COUNT_BITS:0] place = (COUNT_BITS + 1)'(first) + ahead - 1'b1;
  wire [COUNT_BITS:0] where = place >= (COUNT_BITS + 1)'(PLACES) ? place - (COUNT_BITS + 1)'(PLACES) : place;
  wire [COUNT_BITS:0] behind = (COUNT_BITS + 1)'(first) + (COUNT_BITS + 1)'(count);
  wire leaves = out_valid && out_ready;
  initial begun = 1'b0;
  always_ff @(posedge clk) begin
    begun <= begun || rst;
    words <= words + (COUNT_BITS + 1)'(take) - (COUNT_BITS + 1)'(leaves);
    if (watched && leaves) begin
      ahead <= ahead - 1'b1;
      if (ahead == '0) watched <= 1'b0;
    end
    if (take && marks && !watched) begin
      watched <= 1'b1;
      word <= in;
      ahead <= words - (COUNT_BITS + 1)'(leaves);
    end
    stalled <= out_valid && !out_ready;
    stalled_out <= out;
    if (rst) begin
      words <= '0;
      watched <= 1'b0;
      stalled <= 1'b0;
    end
    if (!begun) assume (rst);
    else if (!rst) begin
      assert (words == (COUNT_BITS + 1)'(count) + (COUNT_BITS + 1)'(out_valid));  // none is lost, none is doubled
      assert (out_valid == (words != '0));
      assert (in_ready == (count != COUNT_BITS'(PLACES)));
      assert (!watched || ahead < words);
      assert (!watched || ahead != '0 || out == word);
      assert (!watched || ahead == '0 || memory[PLACE_BITS'(where)] == word);
      assert (!stalled || (out_valid && out == stalled_out));
      assert (count <= COUNT_BITS'(PLACES) && first <= TOP && last <= TOP);
      assert (last == PLACE_BITS'(behind >= (COUNT_BITS + 1)'(PLACES) ? behind - (COUNT_BITS + 1)'(PLACES) : behind));
    end
  end
`endif
endmodule
