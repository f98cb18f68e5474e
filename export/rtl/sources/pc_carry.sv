// pc_carry: bytes out of digits (docs/stream.md, Lane): a digit's carry goes into the bytes before it, so a byte, and a run
// of ff behind it, wait until the next digit makes them known. One unit for STREAMS lanes; what waits lies in a memory.
//
// Ports    in_valid, in_ready, in_stream, in_flush, in_count, in_carry, in_bytes: as pc_range_encoder gives them; with
//          in_flush the lane's last digit, behind which all that waits leaves. A count of 0 is taken and is nothing.
//          out_valid, out_ready, out_stream, out_byte, out_last: a byte of a lane, the last of it.
// Latency  An operation takes a cycle and one for each digit, a byte of a run one, the end of a lane one for each byte.
//          in_ready is zero until it is done: a pc_fifo in front holds what comes meanwhile, a symbol has at most P / 8
//          digits.
// Limit    A run is counted in 32 bits: a lane is shorter than 2^32 bytes (docs/stream.md), so it cannot wrap (asserted).
module pc_carry #(
    parameter  int SCALE_BITS  = 24,
    parameter  int STREAMS     = 8,
    localparam int STREAM_BITS = STREAMS > 1 ? $clog2(STREAMS) : 1
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  logic [STREAM_BITS-1:0] in_stream,
    input  logic                   in_flush,
    input  logic [            1:0] in_count,
    input  logic                   in_carry,
    input  logic [ SCALE_BITS-1:0] in_bytes,
    output logic                   out_valid,
    input  logic                   out_ready,
    output logic [STREAM_BITS-1:0] out_stream,
    output logic [            7:0] out_byte,
    output logic                   out_last
);
  typedef enum logic [1:0] {
    IDLE,
    DIGITS,
    RUN,
    REST
  } state_t;
  state_t state;

  logic [41:0] waiting[STREAMS];  // a byte, how many ff are behind it, and whether these are none, or one
  logic [STREAMS-1:0] fresh;  // the stream is at the beginning of a lane
  logic [STREAMS-1:0] filled_of;  // there is a byte

  logic [STREAM_BITS-1:0] stream;
  logic [SCALE_BITS-1:0] bytes;
  logic [1:0] count;
  logic flush, carry, filled;
  logic [7:0] held;
  logic [31:0] run;
  logic run_none, run_one;

  wire [7:0] digit = bytes[SCALE_BITS-1-:8];
  wire open = digit == 8'hff && !carry;  // a later carry may still run through it
  wire free = !out_valid || out_ready;
  wire last_digit = count == 2'd1;
  wire ends = state == REST && free && (filled ? run_none : run_one);

  // a digit that is not open makes what waits known, and waits itself
  logic settle;
  always_comb
    case (state)
      DIGITS: settle = !open && run_none && (!filled || free);
      RUN: settle = free && run_one;
      default: settle = 1'b0;
    endcase
  wire done = (state == DIGITS && open) || settle;

  assign in_ready = state == IDLE;
  always_ff @(posedge clk) begin
    if (free) out_valid <= 1'b0;
    if (state == IDLE && in_valid) begin
      stream <= in_stream;
      bytes <= in_bytes;
      count <= in_count;
      carry <= in_carry;
      flush <= in_flush;
      filled <= !fresh[in_stream] && filled_of[in_stream];
      {held, run, run_none, run_one} <= fresh[in_stream] ? 42'd2 : waiting[in_stream];
      if (in_count != '0) state <= DIGITS;
    end
    if (state == DIGITS && !open && filled && free) begin
      out_valid <= 1'b1;
      out_byte <= held + 8'(carry);
      out_last <= 1'b0;
      out_stream <= stream;
      filled <= 1'b0;
    end
    if (state == DIGITS && !open && !run_none && (!filled || free)) state <= RUN;
    if (state == RUN && free) begin
      out_valid <= 1'b1;
      out_byte <= carry ? 8'h00 : 8'hff;
      out_last <= 1'b0;
      out_stream <= stream;
      {run, run_none, run_one} <= {run - 1'b1, run_one, run == 32'd2};
    end
    if (done) begin
      if (open) {run, run_none, run_one} <= {run + 1'b1, 1'b0, run_none};
      else begin
        held <= digit;
        filled <= 1'b1;
        {run, run_none, run_one} <= 34'd2;
      end
      bytes <= bytes << 8;
      carry <= 1'b0;
      count <= count - 1'b1;
      state <= !last_digit ? DIGITS : flush ? REST : IDLE;
      if (last_digit && !flush) begin
        waiting[stream] <= open ? {held, run + 32'd1, 1'b0, run_none} : {digit, 34'd2};
        filled_of[stream] <= filled || !open;
        fresh[stream] <= 1'b0;
      end
    end
    if (state == REST && free) begin
      out_valid <= 1'b1;
      out_byte <= filled ? held : 8'hff;
      out_last <= ends;
      out_stream <= stream;
      filled <= 1'b0;
      if (!filled) {run, run_none, run_one} <= {run - 1'b1, run_one, run == 32'd2};
      if (ends) begin
        fresh[stream] <= 1'b1;
        state <= IDLE;
      end
    end
    if (rst) begin
      out_valid <= 1'b0;
      state <= IDLE;
      fresh <= '1;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk)
    if (!rst) begin
      assert (!(state == DIGITS && open) || run != '1);
      // a byte that took a carry takes no second one, and none leaves the first byte
      assert (!(state == DIGITS && carry) || (filled && held != 8'hff));
    end
`endif
endmodule
