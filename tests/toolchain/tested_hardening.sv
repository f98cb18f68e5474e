// tested_hardening: memories of every kind, a register that holds, and the guard: what a hardened engine is made of.
module tested_hardening (
    input  logic       clk,
    input  logic       rst,
    input  logic       start,
    input  logic       busy,
    input  logic       write,
    input  logic [3:0] write_at,
    input  logic [7:0] write_data,
    input  logic [3:0] at,
    output logic [7:0] image_data,
    output logic [7:0] row_data,
    output logic [7:0] queue_data,
    output logic [7:0] held,
    output logic       upset
);
  logic [7:0] image[11];  // no power of two, as most are
  initial for (int n = 0; n < 11; n = n + 1) image[n] = 8'(37 * n + 5);
  logic [7:0] rows[16];
  logic [7:0] queue[6];
  logic [7:0] out;
  assign queue_data = queue[at[2:0]];
  always_ff @(posedge clk) begin
    out <= image[at];
    image_data <= out;
    if (write) rows[write_at] <= write_data;
    row_data <= rows[at];
    if (write && write_at < 4'd6) queue[write_at[2:0]] <= write_data;
    if (write && write_at == 4'd9) held <= write_data;
    if (rst) held <= '0;
  end
  pc_guard guard (.clk(clk), .rst(rst), .start(start), .busy(busy), .upset(upset));
endmodule
