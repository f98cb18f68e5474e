// pc_stage_learn: the adaptive weights of all groups, and the inputs of the number that comes next (docs/predictor.md,
// Adaptation): every weight moves by its input's share in all of them, towards a smaller residual.
//
// Ports    clears: a weight becomes 0, so WEIGHTS cycles of it begin a lane. input_*: an input. first: the group's first
//          weight; turn; weight: the weight with this number in the group, a cycle later. forgets: no input is known.
//          go: the number's residual is known, negative or nothing (or neither); busy, from the cycle after it.
// Latency  INPUTS + 5. A weight's cycles: read 1, share 2, moved 1, written.
`include "stage.svh"
module pc_stage_learn (
    input logic clk,
    input logic rst,
    input logic clears,
    input logic forgets,
    input logic input_valid,
    input logic [STAGE_INPUT_BITS-1:0] input_place,
    input logic signed [31:0] input_number,
    input logic [STAGE_WEIGHT_ADDRESS_BITS-1:0] first,
    input logic [STAGE_INPUT_BITS-1:0] turn,
    output logic signed [21:0] weight,
    input logic go,
    input logic negative,
    input logic nothing,
    output logic busy
);
  localparam int SHARE_BITS = 53;  // an input's 31 bits and a gain of at most 21
  logic signed [21:0] weights[STAGE_WEIGHTS];
  logic signed [31:0] inputs[2**STAGE_INPUT_BITS];
  logic [37:0] sizes;  // of all inputs
  logic [5:0] bits, counted;
  always_comb begin
    counted = '0;
    for (int k = 0; k < 38; k = k + 1) if (sizes[k]) counted = 6'(k + 1);
  end
  wire [31:0] size = input_number < 0 ? 32'(-input_number) : 32'(input_number);

  logic active, is_negative, is_nothing;
  logic [4:1] valid;
  logic [STAGE_INPUT_BITS-1:0] at;
  logic [STAGE_WEIGHT_ADDRESS_BITS-1:0] clear_at, to_1, to_2, to_3, to_4;
  wire [STAGE_WEIGHT_ADDRESS_BITS-1:0] from = first + STAGE_WEIGHT_ADDRESS_BITS'(active ? at : turn);
  logic signed [31:0] input_1;
  logic [SHARE_BITS-1:0] grown_2, share_3;
  wire [31:0] size_1 = input_1 < 0 ? 32'(-input_1) : 32'(input_1);
  logic up_2, up_3;
  logic signed [21:0] weight_2, weight_3, weight_4;
  wire signed [23:0] move = 24'(share_3[22:0]);
  wire signed [23:0] next = is_nothing ? 24'(weight_3) : up_3 ? 24'(weight_3) + move : 24'(weight_3) - move;
  localparam logic signed [23:0] MOST = 24'sd2097151;
  assign busy = active || valid != '0;
  always_ff @(posedge clk) begin
    if (input_valid) begin
      inputs[input_place] <= input_number;
      sizes <= sizes + 38'(size);
    end
    if (forgets) sizes <= '0;
    bits <= counted;
    if (go) begin
      active <= 1'b1;
      at <= '0;
      is_negative <= negative;
      is_nothing <= nothing;
    end else if (active) begin
      at <= at + 1'b1;
      if (32'(at) == STAGE_INPUTS - 1) active <= 1'b0;
    end
    valid <= {valid[3:1], active};
    weight <= weights[from];
    input_1 <= inputs[at];
    to_1 <= from;
    grown_2 <= SHARE_BITS'(size_1) << STAGE_GAIN;
    up_2 <= is_negative == (input_1 < 0);
    weight_2 <= weight;
    to_2 <= to_1;
    share_3 <= grown_2 >> bits;
    up_3 <= up_2;
    weight_3 <= weight_2;
    to_3 <= to_2;
    weight_4 <= next > MOST ? MOST[21:0] : next < -MOST ? 22'(-MOST) : next[21:0];
    to_4 <= to_3;
    if (valid[4] || clears) weights[clears ? clear_at : to_4] <= clears ? '0 : weight_4;
    if (clears) clear_at <= 32'(clear_at) == STAGE_WEIGHTS - 1 ? '0 : clear_at + 1'b1;
    if (rst) begin
      active <= 1'b0;
      valid <= '0;
      clear_at <= '0;
    end
  end
endmodule
