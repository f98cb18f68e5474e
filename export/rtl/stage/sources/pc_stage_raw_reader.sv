// pc_stage_raw_reader: raw bits out of bytes, high bits first, and whether they are all and no more.
//
// Ports    start: a lane begins. go, count: so many bits are wanted, the last 64 of them count, zeros where the lane has
//          ended; done, a pulse: value. ends: the lane has ended; its packet is taken to its end, then ended, with few,
//          many: there were too few bits, or more; rest: what was left of the last byte were no zeros.
//          in_*: a byte; in_data: there is one.
// Latency  A byte of raw bits a cycle, two where one is taken.
module pc_stage_raw_reader (
    input  logic        clk,
    input  logic        rst,
    input  logic        start,
    input  logic        go,
    input  logic [ 6:0] count,
    output logic        done,
    output logic [63:0] value,
    input  logic        ends,
    output logic        ended,
    output logic        few,
    output logic        many,
    output logic        rest,
    input  logic        in_valid,
    output logic        in_ready,
    input  logic [ 7:0] in_byte,
    input  logic        in_data,
    input  logic        in_last
);
  logic [7:0] held;  // what is left of a byte, in the highest bits
  logic [3:0] left;
  logic [6:0] wanted;
  logic active, over;  // over: the packet's last byte is taken
  wire [3:0] some = wanted < 7'(left) ? wanted[3:0] : left;
  wire fetches = active && wanted != '0 && left == '0;
  assign in_ready = (fetches || ends) && !over;
  assign ended = ends && over;
  assign rest = left != 4'd0 && held != '0;
  wire take = in_valid && in_ready;
  always_ff @(posedge clk) begin
    done <= 1'b0;
    if (take) begin
      over <= in_last;
      if (ends && in_data) many <= 1'b1;
    end
    if (go) begin
      active <= 1'b1;
      wanted <= count;
      value <= '0;
    end else if (fetches) begin
      if (over || take) begin
        held <= !over && in_data ? in_byte : '0;
        left <= 4'd8;
        if (over || !in_data) few <= 1'b1;
      end
    end else if (active) begin
      wanted <= wanted - 7'(some);
      left <= left - some;
      held <= held << some;
      value <= value << some | 64'(held >> (4'd8 - some));
      if (wanted == 7'(some)) begin
        active <= 1'b0;
        done <= 1'b1;
      end
    end
    if (rst || start) begin
      active <= 1'b0;
      done <= 1'b0;
      over <= 1'b0;
      few <= 1'b0;
      many <= 1'b0;
      held <= '0;
      left <= '0;
    end
  end
endmodule
