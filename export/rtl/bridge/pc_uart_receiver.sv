// pc_uart_receiver: bytes of a serial line, eight data bits, no parity, a stop bit (docs/board.md).
//
// Ports    line: of another clock, 1 while it rests. out_valid: out_data is the next byte, for one cycle. A byte without
//          a stop bit is none.
// Sizes    DIVISOR: cycles a bit, at least 4.
module pc_uart_receiver #(
    parameter int DIVISOR = 16
) (
    input logic clk,
    input logic rst,
    input logic line,
    output logic out_valid,
    output logic [7:0] out_data
);
  localparam int TICK_BITS = $clog2(DIVISOR);
  localparam logic [TICK_BITS-1:0] LAST = TICK_BITS'(DIVISOR - 1), HALF = TICK_BITS'(DIVISOR / 2 - 1);
  logic near, level;  // the line in this clock
  always_ff @(posedge clk) {level, near} <= {near, line};

  // bit 0 is the start bit, 9 the stop bit; each is read in its middle
  logic busy, broken;  // broken: the stop bit was 0
  logic [TICK_BITS-1:0] count;
  logic [3:0] place;
  always_ff @(posedge clk) begin
    out_valid <= 1'b0;
    count <= count - 1'b1;
    if (!busy) begin
      busy <= !level;
      count <= HALF;
      place <= '0;
    end else if (count == '0) begin
      count <= LAST;
      place <= place + 1'b1;
      if (place == 4'd0) busy <= !level;  // else it was a spike
      else if (place <= 4'd8) out_data <= {level, out_data[7:1]};
      else begin
        // a line that is held low is no start bit until it was high
        place <= 4'd9;
        count <= '0;
        busy <= !level;
        out_valid <= level && !broken;
      end
    end
    if (rst) begin
      busy <= 1'b0;
      out_valid <= 1'b0;
    end
  end
  always_ff @(posedge clk) begin
    if (!busy) broken <= 1'b0;
    else if (count == '0 && place == 4'd9 && !level) broken <= 1'b1;
  end
endmodule
