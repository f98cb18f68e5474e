// pc_serial_writer: what a step accumulated, one entry after the other, becomes mantissas (docs/arithmetic.md, State
// vectors, Normalise) in the state memory.
//
// Ports    begins: a vector begins. push, entry: its entries; finish: all of them are in it, and what becomes of them is at
//          target, count (entries), revive, last (lane of the last unit), and, where rows are mantissas already (ALIGN):
//          bypass, and zeros_a and zeros_b, to the left, of the first `split` rows and of the others.
//          busy: until the last one is written. known: `none` and `zeros` say what the vector was shifted by.
//          write, write_row, write_half, out: two mantissas, lanes 0 and 1, or 2 and 3 of a row.
// Cycles   half as many as entries, and 6, from finish to the last write.
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
    output logic                  write_half,
    output logic [2*STATE_BITS-1:0] out
);
  // two entries are written a cycle: those in even places and those in odd ones
  logic [WIDTH-1:0] even[PLACES/2], odd[PLACES/2];
  logic [PLACE_BITS-1:0] place;
  logic [WIDTH-1:0] any;
  always_ff @(posedge clk) begin
    if (push) begin
      if (place[0]) odd[place[PLACE_BITS-1:1]] <= entry;
      else even[place[PLACE_BITS-1:1]] <= entry;
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
  localparam int PAIR_BITS = PLACE_BITS - 1;
  logic [PAIR_BITS-1:0] most_now, split_now;
  logic revives, passes;
  logic [1:0] last_now;
  logic [5:0] zeros_b_now;
  logic runs;  // entries are read
  logic [PAIR_BITS-1:0] at;
  always_ff @(posedge clk) begin
    waits <= {waits[2:0], finish};
    known <= waits[2] && !rst;
    if (finish) begin
      {row, most_now, split_now, revives, last_now, passes} <= {target, PAIR_BITS'(most >> 1), PAIR_BITS'(split >> 1), revive, last, bypass};
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
  logic [WIDTH-1:0] even_found, odd_found;
  logic valid_1, valid_2, is_last_1, is_last_2, wrote_last;
  logic [5:0] zeros_1;
  logic [2:0] rest_2;
  logic [PAIR_BITS-1:0] at_1, at_2, at_3;
  logic [2*STATE_BITS-1:0] shifted;
  assign groups_now = GROUP_BITS'(zeros_1 >> 3);
  pc_scale_entry #(.WIDTH(WIDTH), .OUT_BITS(STATE_BITS)) even_scale (
      .clk(clk), .in(even_found), .groups(groups_now), .held_rest(rest_2), .out(shifted[0+:STATE_BITS]));
  pc_scale_entry #(.WIDTH(WIDTH), .OUT_BITS(STATE_BITS)) odd_scale (
      .clk(clk), .in(odd_found), .groups(groups_now), .held_rest(rest_2), .out(shifted[STATE_BITS+:STATE_BITS]));
  always_ff @(posedge clk) begin
    even_found <= even[at];
    odd_found <= odd[at];
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
  assign write_row = row + ROW_BITS'(at_3 >> 1);
  assign write_half = at_3[0];
  // a lane behind the last unit of the last row is none, and stays zero
  wire last_row = (at_3 | PAIR_BITS'(1)) == most_now;
  always_comb
    for (int lane = 0; lane < 2; lane = lane + 1)
      out[lane*STATE_BITS+:STATE_BITS] = !none ? shifted[lane*STATE_BITS+:STATE_BITS]
          : {revives && (!last_row || {at_3[0], 1'(lane)} <= last_now), {(STATE_BITS - 1) {1'b0}}};
endmodule
