// pc_drain: takes the packets of a job that was refused, a stream after the other (docs/rtl.md, Jobs).
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
  logic some, last;
  always_comb begin
    here = '0;
    some = 1'b0;
    last = 1'b0;
    in_ready = '0;
    for (int s = 0; s < PC_STREAMS; s = s + 1)
      if (PC_STREAM_BITS'(s) == stream) begin
        here = records[32*s+:32];
        some = in_valid[s];
        last = in_last[s];
        in_ready[s] = busy && !counts && left != '0;
      end
  end
  always_ff @(posedge clk) begin
    if (busy && counts) begin
      case (job_now)
        JOB_LIKELIHOOD, JOB_ENCODE, JOB_SCORE: left <= here;
        JOB_DECODE, JOB_SAMPLE, JOB_UNPACK: left <= 32'(here != '0);
        JOB_PACK: left <= here == '0 ? '0 : here + 1'b1;
        JOB_LOAD: left <= 32'(stream == '0);
        default: left <= '0;
      endcase
      counts <= 1'b0;
    end else if (busy && left != '0) begin
      if (some && last) left <= left - 1'b1;
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
