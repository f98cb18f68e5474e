// pc_serial_carry: bytes out of digits (docs/stream.md, Lane), one digit after the other: a byte and the run of ff behind it
// wait until the next digit says whether a carry goes through them.
//
// Ports    in_valid, in_ready, in_digit: 9 bits, the highest one a carry; in_flush: it is the lane's last.
//          out_valid, out_ready, out_byte, out_last: a byte of the lane.
// Cycles   3 a digit, and 3 a byte of a run.
// Limit    A run is counted in 32 bits: a lane is shorter than 2^32 bytes (docs/stream.md), so it cannot wrap (asserted).
module pc_serial_carry (
    input  logic       clk,
    input  logic       rst,
    input  logic       in_valid,
    output logic       in_ready,
    input  logic [8:0] in_digit,
    input  logic       in_flush,
    output logic       out_valid,
    input  logic       out_ready,
    output logic [7:0] out_byte,
    output logic       out_last
);
  typedef enum logic [2:0] {IDLE, TURN, HELD, RUN, COUNT, REST} state_t;
  state_t state;
  logic [7:0] held, digit;
  logic filled, carry, flush, rests;
  logic [31:0] run;
  logic none, one;  // a cycle behind the run: states that change it are followed by one that does not look
  wire open = digit == 8'hff && !carry;  // a later carry may still run through it
  wire free = !out_valid || out_ready;
  assign in_ready = state == IDLE;
  always_ff @(posedge clk) begin
    none <= run == '0;
    one  <= run == 32'd1;
    if (free) out_valid <= 1'b0;
    case (state)
      IDLE:
      if (in_valid) begin
        {carry, digit} <= in_digit;
        flush <= in_flush;
        rests <= 1'b0;
        state <= TURN;
      end
      TURN:
      if (open) begin
        run   <= run + 1'b1;
        rests <= 1'b1;
        state <= flush ? COUNT : IDLE;
      end else state <= HELD;
      HELD:
      if (!filled) state <= RUN;
      else if (free) begin
        out_valid <= 1'b1;
        out_byte <= held + 8'(carry);
        out_last <= 1'b0;
        filled <= 1'b0;
        state <= RUN;
      end
      RUN:
      if (none) begin
        held   <= digit;
        filled <= 1'b1;
        state  <= flush ? REST : IDLE;
      end else if (free) begin
        out_valid <= 1'b1;
        out_byte <= carry ? 8'h00 : 8'hff;
        out_last <= 1'b0;
        run   <= run - 1'b1;
        state <= COUNT;
      end
      COUNT: state <= rests ? REST : RUN;
      REST:
      if (free) begin
        out_valid <= 1'b1;
        out_byte <= filled ? held : 8'hff;
        out_last <= filled ? none : one;
        filled <= 1'b0;
        if (!filled) run <= run - 1'b1;
        rests <= 1'b1;
        state <= (filled ? none : one) ? IDLE : COUNT;
      end
      default: state <= IDLE;
    endcase
    if (rst) begin
      state <= IDLE;
      out_valid <= 1'b0;
      filled <= 1'b0;
      run <= '0;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk)
    if (!rst) begin
      assert (!(state == TURN && open) || run != '1);
      // a byte that took a carry takes no second one, and none leaves the first byte
      assert (!(state == HELD && carry) || (filled && held != 8'hff));
    end
`endif
endmodule
