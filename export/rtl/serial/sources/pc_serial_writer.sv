// pc_serial_writer: what a step accumulated, one entry after the other, becomes mantissas (docs/arithmetic.md, State
// vectors, Normalise) in the state memory.
//
// Ports    begins: a vector begins. push, entry: its entries; finish: all of them are in it, and what becomes of them is at
//          target, count (entries), revive, last (lane of the last unit), and, where rows are mantissas already (ALIGN):
//          bypass, and zeros_a and zeros_b, to the left, of the first `split` rows and of the others.
//          busy: until the last one is written. known: `none` and `zeros` say what the vector was shifted by.
// Cycles   entries and 6 from finish to the last write.
module pc_serial_writer #(
    parameter  int WIDTH = 32,
    parameter  int STATE_BITS = 16,
    parameter  int ROWS = 64,
    parameter  int MOST_ROWS = 4,
    localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1,
    localparam int PLACES = 4 * MOST_ROWS,
    localparam int PLACE_BITS = $clog2(PLACES),
    localparam int GROUPS = (WIDTH + 7) / 8,
    localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  begins,
    input  logic                  push,
    input  logic [     WIDTH-1:0] entry,
    input  logic                  finish,
    input  logic [  ROW_BITS-1:0] target,
    input  logic [PLACE_BITS-1:0] most,     // the number of entries less one
    input  logic                  revive,
    input  logic [           1:0] last,
    input  logic                  bypass,
    input  logic [PLACE_BITS-1:0] split,    // the last entry of the first source of an ALIGN
    input  logic [           5:0] zeros_a,
    input  logic [           5:0] zeros_b,
    output logic                  busy,
    output logic                  known,
    output logic                  none,
    output logic [           5:0] zeros,
    output logic                  write,
    output logic [  ROW_BITS-1:0] write_row,
    output logic [           1:0] write_lane,
    output logic [STATE_BITS-1:0] out
);
  logic [WIDTH-1:0] buffer[PLACES];
  logic [PLACE_BITS-1:0] place;
  logic [WIDTH-1:0] any;
  always_ff @(posedge clk) begin
    if (push) begin
      buffer[place] <= entry;
      place <= place + 1'b1;
      any <= any | entry;
    end
    if (begins) begin
      place <= '0;
      any   <= '0;
    end
  end

  // what the vector is shifted by: three cycles after the last entry
  logic [GROUP_BITS-1:0] groups, groups_now;
  logic [2:0] rest;
  logic zero;
  logic [3:0] waits;
  pc_leading #(.WIDTH(WIDTH)) leading (
      .clk(clk), .in(any), .out_groups(groups), .out_rest(rest), .out_zero(zero));
  logic [ROW_BITS-1:0] row;
  logic [PLACE_BITS-1:0] most_now, split_now;
  logic revives, passes;
  logic [1:0] last_now;
  logic [5:0] zeros_b_now;
  logic runs;  // entries are read
  logic [PLACE_BITS-1:0] at;
  always_ff @(posedge clk) begin
    waits <= {waits[2:0], finish};
    known <= waits[2] && !rst;
    if (finish) begin
      {row, most_now, split_now, revives, last_now, passes} <= {target, most, split, revive, last, bypass};
      zeros <= zeros_a;
      zeros_b_now <= zeros_b;
      busy <= 1'b1;
    end
    if (waits[2]) begin
      none <= zero && !passes;
      if (!passes) zeros <= 6'({groups, rest});
      runs <= 1'b1;
      at <= '0;
    end
    if (runs) begin
      at <= at + 1'b1;
      if (at == most_now) runs <= 1'b0;
      if (passes && at == split_now) zeros <= zeros_b_now;
    end
    if (write && wrote_last) busy <= 1'b0;
    if (rst) begin
      busy  <= 1'b0;
      runs  <= 1'b0;
      waits <= '0;
    end
  end

  // read, shift by eights, by ones
  logic [WIDTH-1:0] found;
  logic valid_1, valid_2, is_last_1, is_last_2, wrote_last;
  logic [5:0] zeros_1;
  logic [2:0] rest_2;
  logic [PLACE_BITS-1:0] at_1, at_2, at_3;
  logic [STATE_BITS-1:0] shifted;
  assign groups_now = GROUP_BITS'(zeros_1 >> 3);
  pc_scale_entry #(.WIDTH(WIDTH), .OUT_BITS(STATE_BITS)) scale (
      .clk(clk), .in(found), .groups(groups_now), .held_rest(rest_2), .out(shifted));
  always_ff @(posedge clk) begin
    found <= buffer[at];
    zeros_1 <= zeros;
    rest_2 <= zeros_1[2:0];
    valid_1 <= runs && !rst;
    valid_2 <= valid_1 && !rst;
    write <= valid_2 && !rst;
    {at_1, at_2, at_3} <= {at, at_1, at_2};
    is_last_1 <= at == most_now;
    is_last_2 <= is_last_1;
    wrote_last <= is_last_2;
  end
  // a lane behind the last unit of the last row is none, and stays zero
  wire is_unit = (at_3 | PLACE_BITS'(3)) != (most_now | PLACE_BITS'(3)) || at_3[1:0] <= last_now;
  assign write_row = row + ROW_BITS'(at_3 >> 2);
  assign write_lane = at_3[1:0];
  assign out = none ? {revives && is_unit, {(STATE_BITS - 1) {1'b0}}} : shifted;
endmodule
