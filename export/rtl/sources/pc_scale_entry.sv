// pc_scale_entry: a number shifted to the left by what pc_leading counted, of which the highest OUT_BITS bits are kept.
// With len(in) at most the length that was counted, this is docs/arithmetic.md's v >> s, truncation and all: a shift
// right by s, or left by -s.
//
// Ports    in: WIDTH bits; groups and rest, from pc_leading of a number as wide, with `in`; out: OUT_BITS bits.
//          held_rest belongs to the cycle after: the caller has it in a register for all lanes.
// Latency  2: by eights, by ones. Initiation interval 1.
module pc_scale_entry #(
    parameter  int WIDTH  = 32,
    parameter  int OUT_BITS = 16,
    localparam int GROUPS = (WIDTH + 7) / 8,
    localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1
) (
    input  logic                  clk,
    input  logic [     WIDTH-1:0] in,
    input  logic [GROUP_BITS-1:0] groups,
    input  logic [           2:0] held_rest,
    output logic [  OUT_BITS-1:0] out
);
  localparam int PADDED = 8 * GROUPS;
  localparam int KEPT = OUT_BITS + 7;  // what the second shift may still bring up
  localparam int WIDE = PADDED + KEPT;

  logic [WIDE-1:0] padded;
  assign padded = {in, {(WIDE - WIDTH) {1'b0}}};

  logic [KEPT-1:0] coarse, moved;
  always_comb begin
    moved = '0;
    for (int g = 0; g < GROUPS; g = g + 1) if (groups == GROUP_BITS'(g)) moved = padded[WIDE-1-8*g-:KEPT];
  end
  always_ff @(posedge clk) begin
    coarse <= moved;
    out <= OUT_BITS'((coarse << held_rest) >> 7);
  end
endmodule
