// pc_serial_exponents: the exponents of all vectors, and that of the step at work (docs/arithmetic.md, State vectors).
//
// Ports    begins: the step with `kind`, `flag` and the slots begins; its sources are read in the two cycles after.
//          finish: its writer begins; target_slot and keeps_ones (what has no entry is ones) are read.
//          known, none, zeros: from pc_serial_writer. zeros_a, zeros_b: of ALIGN, how far its sources are moved.
//          found: of a_slot, 3 cycles after begins and later.
`include "pc_types.svh"
module pc_serial_exponents (
    input  logic                 clk,
    input  logic                 rst,
    input  logic                 begins,
    input  logic [          3:0] kind,
    input  logic                 flag,
    input  logic [SLOT_BITS-1:0] target_slot,
    input  logic [SLOT_BITS-1:0] a_slot,
    input  logic [SLOT_BITS-1:0] b_slot,
    input  logic                 finish,
    input  logic                 keeps_ones,
    input  logic                 known,
    input  logic                 none,
    input  logic [          5:0] zeros,
    output logic [          5:0] zeros_a,
    output logic [          5:0] zeros_b,
    output logic [         31:0] found
);
  localparam int GAIN = MIX_BITS - PC_STATE_BITS;
  logic [31:0] exponents[SLOTS];
  logic signed [33:0] exponent, apart;
  logic [SLOT_BITS-1:0] slot;
  logic [1:0] at;
  logic writes, ones, passes;
  wire aligns = HAS_ALIGN != 0 && kind == KIND_ALIGN;
  wire uses_a = kind != KIND_INIT && kind != KIND_LEAF && kind != KIND_INTERVAL;
  wire uses_b = kind == KIND_MULTIPLY || kind == KIND_GATHER;
  wire signed [33:0] value = 34'(signed'(found));
  wire signed [33:0] least = 34'(signed'(LEAST_EXPONENT));
  // a source whose exponent is the lesser one is moved to the right; beyond its bits nothing is left
  wire [33:0] away = apart < 0 ? 34'(-apart) : 34'(apart);
  wire [5:0] moved = 6'(GAIN) - (away > 34'(PC_STATE_BITS) ? 6'(PC_STATE_BITS) : 6'(away));
  assign zeros_a = apart < 0 ? moved : 6'(GAIN);
  assign zeros_b = apart < 0 ? 6'(GAIN) : moved;
  always_ff @(posedge clk) begin
    found <= exponents[at[0] ? b_slot : a_slot];
    at <= {at[0], begins};
    if (begins)
      case (kind)
        KIND_UP, KIND_DOWN: exponent <= 34'(-PC_WEIGHT_BITS);
        KIND_LIST: exponent <= flag ? 34'(-PC_WEIGHT_BITS) : '0;
        KIND_INIT: exponent <= 34'(1 - PC_STATE_BITS);
        KIND_LEAF, KIND_INTERVAL: exponent <= 34'(-PC_LEAF_BITS);
        default: exponent <= '0;
      endcase
    if ((at[0] && uses_a) || (at[1] && uses_b)) exponent <= exponent + value;
    if (at[1] && aligns) begin
      apart <= exponent - value;
      if (value > exponent) exponent <= value;
    end
    if (finish) {slot, ones, passes} <= {target_slot, keeps_ones, aligns};
    if (known)
      exponent <= none ? (ones ? exponent : least) : passes ? exponent : exponent + 34'(GAIN) - 34'(zeros);
    writes <= known && !rst;
    if (writes) exponents[slot] <= exponent < least ? LEAST_EXPONENT : exponent[31:0];
  end
endmodule
