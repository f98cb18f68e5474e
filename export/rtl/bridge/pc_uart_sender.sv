// pc_uart_sender: bytes to a serial line, eight data bits, no parity, a stop bit (docs/board.md).
//
// Ports    in_valid, in_ready, in_data: a byte moves in a cycle in which both are one. line: 1 while it rests.
// Sizes    DIVISOR: cycles a bit, at least 4.
module pc_uart_sender #(
    parameter int DIVISOR = 16
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    output logic in_ready,
    input logic [7:0] in_data,
    output logic line
);
  localparam int TICK_BITS = $clog2(DIVISOR);
  localparam logic [TICK_BITS-1:0] LAST = TICK_BITS'(DIVISOR - 1);
  logic [8:0] bits;  // what is still to be sent behind the bit on the line
  logic [3:0] left;
  logic [TICK_BITS-1:0] count;
  assign in_ready = left == '0;
  always_ff @(posedge clk) begin
    count <= count - 1'b1;
    if (in_ready) begin
      if (in_valid) begin
        line <= 1'b0;
        bits <= {1'b1, in_data};
        left <= 4'd10;
        count <= LAST;
      end
    end else if (count == '0) begin
      line <= bits[0];
      bits <= {1'b1, bits[8:1]};
      left <= left - 1'b1;
      count <= LAST;
    end
    if (rst) begin
      line <= 1'b1;
      left <= '0;
    end
  end
endmodule
