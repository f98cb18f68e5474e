// pcedge_stage: the predictor stage of a circuit behind AXI4-Lite registers and AXI4-Streams (docs/rtl.md, Predictor stage).
//
// Ports    s_axi_*: 0x00 control, as the engine's: bit 0 starts, bit 1 done until it is read, bit 2 idle; 0x10 the job;
//          0x18 status; 0x28 cycles; 0x100 rows of the lane. irq: a lane is done, until the control register is read.
//          s_numbers_*, m_numbers_*: a number of the data; s_raw_*, m_raw_*: a byte of raw bits; s_coded_*, m_coded_*:
//          bytes of a lane, or symbols, a word each. A beat with TKEEP 0 has no data.
`include "stage.svh"
module pcedge_stage (
    input logic clk,
    input logic rst,
    input logic [9:0] s_axi_awaddr,
    input logic [2:0] s_axi_awprot,
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
    input logic [2:0] s_axi_arprot,
    input logic s_axi_arvalid,
    output logic s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [1:0] s_axi_rresp,
    output logic s_axi_rvalid,
    input logic s_axi_rready,
    input logic [STAGE_DATA_BITS-1:0] s_numbers_tdata,
    input logic [STAGE_DATA_BITS/8-1:0] s_numbers_tkeep,
    input logic s_numbers_tlast,
    input logic s_numbers_tvalid,
    output logic s_numbers_tready,
    output logic [STAGE_DATA_BITS-1:0] m_numbers_tdata,
    output logic [STAGE_DATA_BITS/8-1:0] m_numbers_tkeep,
    output logic m_numbers_tlast,
    output logic m_numbers_tvalid,
    input logic m_numbers_tready,
    input logic [7:0] s_raw_tdata,
    input logic [0:0] s_raw_tkeep,
    input logic s_raw_tlast,
    input logic s_raw_tvalid,
    output logic s_raw_tready,
    output logic [7:0] m_raw_tdata,
    output logic [0:0] m_raw_tkeep,
    output logic m_raw_tlast,
    output logic m_raw_tvalid,
    input logic m_raw_tready,
    input logic [31:0] s_coded_tdata,
    input logic [3:0] s_coded_tkeep,
    input logic s_coded_tlast,
    input logic s_coded_tvalid,
    output logic s_coded_tready,
    output logic [31:0] m_coded_tdata,
    output logic [3:0] m_coded_tkeep,
    output logic m_coded_tlast,
    output logic m_coded_tvalid,
    input logic m_coded_tready,
    output logic irq
);
  localparam logic [9:0] CONTROL = 10'h000;
  localparam logic [9:0] JOB = 10'h010;
  localparam logic [9:0] STATUS = 10'h018;
  localparam logic [9:0] CYCLES = 10'h028;
  localparam logic [9:0] ROWS = 10'h100;
  logic start, busy, was_busy, done, numbers_data;
  logic [3:0] job;
  logic [8:0] status;
  logic [31:0] rows, cycles;
  pc_stage stage (
      .clk(clk), .rst(rst), .start(start), .job(job), .rows(rows), .busy(busy), .status(status), .cycles(cycles),
      .numbers_in_valid(s_numbers_tvalid), .numbers_in_ready(s_numbers_tready), .numbers_in(s_numbers_tdata),
      .numbers_in_data(s_numbers_tkeep != '0), .numbers_in_last(s_numbers_tlast),
      .numbers_out_valid(m_numbers_tvalid), .numbers_out_ready(m_numbers_tready), .numbers_out(m_numbers_tdata),
      .numbers_out_data(numbers_data), .numbers_out_last(m_numbers_tlast), .raw_in_valid(s_raw_tvalid),
      .raw_in_ready(s_raw_tready), .raw_in(s_raw_tdata), .raw_in_data(s_raw_tkeep[0]), .raw_in_last(s_raw_tlast),
      .raw_out_valid(m_raw_tvalid), .raw_out_ready(m_raw_tready), .raw_out(m_raw_tdata), .raw_out_data(m_raw_tkeep[0]),
      .raw_out_last(m_raw_tlast), .coded_in_valid(s_coded_tvalid), .coded_in_ready(s_coded_tready),
      .coded_in(s_coded_tdata), .coded_in_data(s_coded_tkeep[0]), .coded_in_last(s_coded_tlast),
      .coded_out_valid(m_coded_tvalid), .coded_out_ready(m_coded_tready), .coded_out(m_coded_tdata),
      .coded_out_last(m_coded_tlast));
  assign m_numbers_tkeep = {STAGE_DATA_BITS / 8{numbers_data}};
  assign m_coded_tkeep = 4'hf;

  // ---- registers, one transfer of either direction at a time
  wire write = s_axi_awvalid && s_axi_wvalid && !s_axi_bvalid;
  assign s_axi_awready = write;
  assign s_axi_wready = write;
  assign s_axi_bresp = 2'b00;
  wire [9:0] to = {s_axi_awaddr[9:2], 2'b00};
  wire read = s_axi_arvalid && s_axi_arready;
  assign s_axi_arready = !s_axi_rvalid;
  assign s_axi_rresp = 2'b00;
  wire [9:0] from = {s_axi_araddr[9:2], 2'b00};
  always_ff @(posedge clk) begin
    start <= 1'b0;
    was_busy <= busy || start;
    if (write) begin
      s_axi_bvalid <= 1'b1;
      if (to == CONTROL && s_axi_wstrb[0] && s_axi_wdata[0] && !busy && !start) start <= 1'b1;
      if (to == JOB && s_axi_wstrb[0]) job <= s_axi_wdata[31:4] == '0 ? s_axi_wdata[3:0] : 4'd15;
      for (int b = 0; b < 4; b = b + 1) if (to == ROWS && s_axi_wstrb[b]) rows[8*b+:8] <= s_axi_wdata[8*b+:8];
    end else if (s_axi_bready) s_axi_bvalid <= 1'b0;
    if (read) begin
      s_axi_rvalid <= 1'b1;
      s_axi_rdata <= from == CONTROL ? {29'd0, !busy && !start, done, busy || start} : from == JOB ? 32'(job)
          : from == STATUS ? 32'(status) : from == CYCLES ? cycles : from == ROWS ? rows : '0;
    end else if (s_axi_rready) s_axi_rvalid <= 1'b0;
    if (read && from == CONTROL) done <= 1'b0;
    if (was_busy && !busy && !start) done <= 1'b1;
    if (rst) begin
      start <= 1'b0;
      was_busy <= 1'b0;
      done <= 1'b0;
      job <= '0;
      rows <= '0;
      s_axi_bvalid <= 1'b0;
      s_axi_rvalid <= 1'b0;
    end
  end
  assign irq = done;
  wire unused = &{1'b0, s_axi_awprot, s_axi_arprot, s_axi_awaddr[1:0], s_axi_araddr[1:0]};
endmodule
