// pc_stage_buffer: the last numbers of a lane, in their order, with zeros between the ends of an axis and its next
// beginning: every neighbour is a fixed distance before the number that comes next.
//
// Ports    clears: a zero is written, so PLACES cycles of it begin a lane. put: `in` is the next number.
//          distance; out is the number so many places before the next one, 2 cycles later.
// Latency  2, initiation interval 1. What is put is there for a distance that comes a cycle later.
module pc_stage_buffer #(
    parameter  int PLACES        = 2,
    parameter  int NUMBER_BITS   = 8,
    parameter  int DISTANCE_BITS = 1,
    localparam int PLACE_BITS    = PLACES > 1 ? $clog2(PLACES) : 1
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     clears,
    input  logic                     put,
    input  logic [  NUMBER_BITS-1:0] in,
    input  logic [DISTANCE_BITS-1:0] distance,
    output logic [  NUMBER_BITS-1:0] out
);
  logic [NUMBER_BITS-1:0] memory[PLACES];
  logic [PLACE_BITS-1:0] place, from;
  // a ring has no beginning: where it was cleared from does not matter
  wire [PLACE_BITS+1:0] back = (PLACE_BITS + 2)'(place) - (PLACE_BITS + 2)'(distance);
  always_ff @(posedge clk) begin
    if (put || clears) begin
      memory[place] <= clears ? '0 : in;
      place <= place == PLACE_BITS'(PLACES - 1) ? '0 : place + 1'b1;
    end
    from <= back[PLACE_BITS+1] ? PLACE_BITS'(back + (PLACE_BITS + 2)'(PLACES)) : back[PLACE_BITS-1:0];
    out <= memory[from];
    if (rst) place <= '0;
  end
endmodule
