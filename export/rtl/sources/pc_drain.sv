// pc_drain: takes the packets of a job that was refused, a stream after the other (docs/rtl.md, Jobs that are refused).
//
// Ports    start, job, records: the job. in_*: of every stream; a packet ends with in_last. busy: some are to come.
`include "pc_types.svh"
module pc_drain (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [3:0] job,
    input logic [PC_STREAMS*32-1:0] records,
    input logic [PC_STREAMS-1:0] in_valid,
    output logic [PC_STREAMS-1:0] in_ready,
    input logic [PC_STREAMS-1:0] in_last,
    output logic busy
);
  logic [3:0] job_now;
  logic [PC_STREAM_BITS-1:0] stream;
  logic [31:0] left, here;
  logic counts;  // how many packets the stream has is read now
  logic head;  // the next one is before those that are counted
  wire every = job_now == JOB_LIKELIHOOD || job_now == JOB_ENCODE || job_now == JOB_SCORE || job_now == JOB_PACK;
  wire one = job_now == JOB_DECODE || job_now == JOB_SAMPLE || job_now == JOB_UNPACK;
  wire ends = in_valid[stream] && in_last[stream];
  assign here = records[32*32'(stream)+:32];
  always_comb begin
    in_ready = '0;
    in_ready[stream] = busy && !counts && left != '0;
  end
  always_ff @(posedge clk) begin
    if (busy && counts) begin
      left <= every || one ? here : 32'(job_now == JOB_LOAD && stream == '0);
      head <= job_now == JOB_PACK;
      counts <= 1'b0;
    end else if (busy && left != '0) begin
      if (ends) begin
        head <= 1'b0;
        left <= one ? '0 : left - 32'(!head);
      end
    end else if (busy) begin
      counts <= 1'b1;
      stream <= stream + 1'b1;
      if (stream == PC_STREAM_BITS'(PC_STREAMS - 1)) busy <= 1'b0;
    end
    if (start) begin
      busy <= 1'b1;
      counts <= 1'b1;
      job_now <= job;
      stream <= '0;
    end
    if (rst) busy <= 1'b0;
  end
endmodule
