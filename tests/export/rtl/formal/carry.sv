// The bytes of a lane are its digits with all carries added up, whatever digits, gaps and stalls, for lanes of up to three
// digits; and a byte stays until it is taken.
module carry (
    input logic clk,
    input logic in_valid,
    input logic in_flush,
    input logic [1:0] in_count,
    input logic in_carry,
    input logic [15:0] in_bytes,
    input logic out_ready
);
  logic rst, in_ready, out_valid, out_last, stalled, done;
  logic [7:0] out_byte, stalled_byte;
  logic [23:0] number, bytes;
  logic [2:0] digits, given;
  initial begin
    rst = 1'b1;
    stalled = 1'b0;
    done = 1'b0;
    full = 1'b0;
    digits = '0;
    given = '0;
    number = '0;
    bytes = '0;
  end
  pc_carry #(
      .SCALE_BITS(16),
      .STREAMS(1)
  ) unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in_ready(in_ready),
      .in_stream(1'b0),
      .in_flush(in_flush),
      .in_count(in_count),
      .in_carry(in_carry),
      .in_bytes(in_bytes),
      .out_valid(out_valid),
      .out_ready(out_ready),
      .out_byte(out_byte),
      .out_last(out_last)
  );
  // what an operation adds to the number: two digits, or the first of them
  wire [24:0] two = {7'd0, in_carry, in_bytes, 1'b0} >> 1;
  wire [24:0] next = in_count == 2'd2 ? {1'b0, number << 16} + two :
      in_count == 2'd1 ? {1'b0, number << 8} + (two >> 8) : {1'b0, number};
  // a byte of ff that took a carry, and more ff behind it: low + range < 2^(B+1) says that no carry comes then
  logic full;
  wire full_1 = in_bytes[15:8] == 8'hff && (in_carry || full);
  wire full_2 = in_bytes[7:0] == 8'hff && full_1;
  wire take = in_valid && in_ready && !rst;
  always_ff @(posedge clk) begin
    rst <= 1'b0;
    // no carry leaves the first byte (docs/arithmetic.md, Range coder, 4); a last digit comes alone
    assume (!in_valid || in_count != 2'd3);
    assume (!in_valid || !in_flush || in_count == 2'd1);
    if (take) begin
      assume (!(full && in_carry && in_count != '0));
      full <= in_count == 2'd2 ? full_2 : in_count == 2'd1 ? full_1 : full;
      assume (!done && digits + 3'(in_count) <= 3'd3);
      case (digits + 3'(in_count))
        3'd1: assume (next[24:8] == '0);
        3'd2: assume (next[24:16] == '0);
        default: assume (!next[24]);
      endcase
      number <= next[23:0];
      digits <= digits + 3'(in_count);
      done <= in_flush;
    end
    stalled <= out_valid && !out_ready && !rst;
    stalled_byte <= out_byte;
    if (!rst) begin
      if (stalled) assert (out_valid && out_byte == stalled_byte);
      if (out_valid && out_ready) begin
        bytes <= {bytes[15:0], out_byte};
        given <= given + 1'b1;
        assert (given < digits);
        assert (out_last == (done && given + 1'b1 == digits));
        if (out_last) assert ({bytes[15:0], out_byte} == number);
      end
      cover (out_valid && out_ready && out_last && digits == 3'd3 && number[23:8] == 16'h0100);
    end
  end
endmodule
