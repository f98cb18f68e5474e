// pcedge_top: the engine with its sizes as they are in the project.
`include "pc_types.svh"
module pcedge_top (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [3:0] job,
    input logic [STREAMS*32-1:0] records,
    input logic [STREAMS-1:0] in_valid,
    output logic [STREAMS-1:0] in_ready,
    input logic [STREAMS*32-1:0] in_data,
    input logic [STREAMS-1:0] in_last,
    output logic [STREAMS-1:0] out_valid,
    input logic [STREAMS-1:0] out_ready,
    output logic [STREAMS*32-1:0] out_data,
    output logic [STREAMS-1:0] out_last,
    output logic busy,
    output logic [31:0] status,
    output logic [63:0] cycles
);
  pc_engine engine (
      .clk(clk), .rst(rst), .start(start), .job(job), .records(records), .in_valid(in_valid), .in_ready(in_ready),
      .in_data(in_data), .in_last(in_last), .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data),
      .out_last(out_last), .busy(busy), .status(status), .cycles(cycles));
endmodule
