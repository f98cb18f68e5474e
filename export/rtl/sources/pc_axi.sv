// pc_axi: the engine behind AXI4-Lite registers (docs/registers.md) and AXI4-Streams, those of all streams side by side.
//
// Ports    s_axi_*: AXI4-Lite, one transfer of either direction at a time. A write to what is read only, or to nothing,
//          changes nothing; nothing reads as 0. irq: a job is done, until the control register is read.
//          s_axis_*, m_axis_*: 32 bits a stream. A word is a whole one, so TKEEP and TSTRB are not read, and are ones.
`include "pc_types.svh"
module pc_axi (
    input logic clk,
    input logic rst,
    input logic [9:0] s_axi_awaddr,
    input logic s_axi_awvalid,
    output logic s_axi_awready,
    input logic [31:0] s_axi_wdata,
    input logic [3:0] s_axi_wstrb,
    input logic s_axi_wvalid,
    output logic s_axi_wready,
    output logic [1:0] s_axi_bresp,
    output logic s_axi_bvalid,
    input logic s_axi_bready,
    input logic [9:0] s_axi_araddr,
    input logic s_axi_arvalid,
    output logic s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [1:0] s_axi_rresp,
    output logic s_axi_rvalid,
    input logic s_axi_rready,
    output logic irq,
    input logic [ALL_STREAMS*32-1:0] s_axis_tdata,
    input logic [ALL_STREAMS-1:0] s_axis_tlast,
    input logic [ALL_STREAMS-1:0] s_axis_tvalid,
    output logic [ALL_STREAMS-1:0] s_axis_tready,
    output logic [ALL_STREAMS*32-1:0] m_axis_tdata,
    output logic [ALL_STREAMS-1:0] m_axis_tlast,
    output logic [ALL_STREAMS-1:0] m_axis_tvalid,
    input logic [ALL_STREAMS-1:0] m_axis_tready
);
  logic start, busy, was_busy, done;
  logic [3:0] job;
  logic [ALL_STREAMS*32-1:0] records;
  logic [31:0] status;
  logic [63:0] cycles;
  logic [5:0] info_place;
  logic [31:0] info_word;
  pc_engine engine (
      .clk(clk), .rst(rst), .start(start), .job(job), .records(records), .in_valid(s_axis_tvalid),
      .in_ready(s_axis_tready), .in_data(s_axis_tdata), .in_last(s_axis_tlast), .out_valid(m_axis_tvalid),
      .out_ready(m_axis_tready), .out_data(m_axis_tdata), .out_last(m_axis_tlast), .busy(busy), .status(status),
      .cycles(cycles), .info_place(info_place), .info_word(info_word));

  // ---- writes: address and data are taken together
  wire write = s_axi_awvalid && s_axi_wvalid && !s_axi_bvalid;
  assign s_axi_awready = write;
  assign s_axi_wready = write;
  assign s_axi_bresp = 2'b00;
  wire [9:0] to = {s_axi_awaddr[9:2], 2'b00};
  always_ff @(posedge clk) begin
    start <= 1'b0;
    if (write) begin
      s_axi_bvalid <= 1'b1;
      if (to == 10'(REGISTER_CONTROL) && s_axi_wstrb[0] && s_axi_wdata[0] && !busy && !start) start <= 1'b1;
      if (to == 10'(REGISTER_JOB) && s_axi_wstrb[0]) job <= s_axi_wdata[31:4] == '0 ? s_axi_wdata[3:0] : 4'd15;
      for (int s = 0; s < ALL_STREAMS; s = s + 1)
        if (to == 10'(REGISTER_RECORDS + 4 * s))
          for (int b = 0; b < 4; b = b + 1) if (s_axi_wstrb[b]) records[32*s+8*b+:8] <= s_axi_wdata[8*b+:8];
    end else if (s_axi_bready) s_axi_bvalid <= 1'b0;
    if (rst) begin
      start <= 1'b0;
      s_axi_bvalid <= 1'b0;
      job <= '0;
      records <= '0;
    end
  end

  // ---- reads
  wire read = s_axi_arvalid && s_axi_arready;
  assign s_axi_arready = !s_axi_rvalid;
  assign s_axi_rresp = 2'b00;
  wire [9:0] from = {s_axi_araddr[9:2], 2'b00};
  assign info_place = 6'((from - 10'(REGISTER_INFO)) >> 2);
  logic [31:0] found;
  always_comb begin
    found = '0;
    if (from == 10'(REGISTER_CONTROL)) found = {29'd0, !busy && !start, done, busy || start};
    if (from == 10'(REGISTER_JOB)) found = 32'(job);
    if (from == 10'(REGISTER_STATUS)) found = status;
    if (from == 10'(REGISTER_CYCLES)) found = cycles[31:0];
    if (from == 10'(REGISTER_CYCLES + 4)) found = cycles[63:32];
    for (int s = 0; s < ALL_STREAMS; s = s + 1) if (from == 10'(REGISTER_RECORDS + 4 * s)) found = records[32*s+:32];
    if (from >= 10'(REGISTER_INFO) && from < 10'(REGISTER_INFO + 4 * INFO_WORDS)) found = info_word;
  end
  always_ff @(posedge clk) begin
    was_busy <= busy;
    if (read) begin
      s_axi_rdata <= found;
      s_axi_rvalid <= 1'b1;
    end else if (s_axi_rready) s_axi_rvalid <= 1'b0;
    if (read && from == 10'(REGISTER_CONTROL)) done <= 1'b0;
    if (was_busy && !busy) done <= 1'b1;
    if (rst) begin
      was_busy <= 1'b0;
      done <= 1'b0;
      s_axi_rvalid <= 1'b0;
    end
  end
  assign irq = done;
endmodule
