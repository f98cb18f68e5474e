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
endmodule
