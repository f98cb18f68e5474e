// pc_serial_product: the product of two numbers of up to 32 bits by one multiplier of 16 x 16, part by part.
//
// Ports    start, in_first, in_second: held until `done`. done: `out` is the product, until the next start.
// Latency  6 cycles from start to done.
module pc_serial_product (
    input  logic        clk,
    input  logic        rst,
    input  logic        start,
    input  logic [31:0] in_first,
    input  logic [31:0] in_second,
    output logic        done,
    output logic [63:0] out
);
  logic [2:0] step;
  logic busy;
  wire [15:0] first = step[0] ? in_first[31:16] : in_first[15:0];
  wire [15:0] second = step[1] ? in_second[31:16] : in_second[15:0];
  (* keep *) logic [31:0] part;  // kept out of the multiplier's cell, see pc_product
  logic [32:0] sum;
  logic [15:0] low, middle;
  // parts come in the order of their places: 0, 16, 16, 32
  wire moves = step == 3'd2 || step == 3'd4;
  wire [32:0] rest = moves ? 33'(sum[32:16]) : sum;
  always_ff @(posedge clk) begin
    part <= first * second;
    done <= 1'b0;
    if (busy) begin
      step <= step + 1'b1;
      sum <= step == 3'd1 ? 33'(part) : rest + 33'(part);
      if (step == 3'd2) low <= sum[15:0];
      if (step == 3'd4) begin
        middle <= sum[15:0];
        busy <= 1'b0;
        done <= 1'b1;
      end
    end
    if (start) begin
      busy <= 1'b1;
      step <= '0;
    end
    if (rst) begin
      busy <= 1'b0;
      done <= 1'b0;
    end
  end
  assign out = {sum[31:0], middle, low};
  wire unused = sum[32];
endmodule
