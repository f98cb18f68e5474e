// pcedge_flash: pcedge_top of a serial engine, which takes its model out of a serial flash memory after configuration.
//
// Ports    those of pcedge_top, and flash_*: the memory's. booted: the model was read; until then no host is heard.
module pcedge_flash #(
    // where model.bin begins: behind the bitstream
    parameter logic [23:0] OFFSET = 24'h100000
) (
    input  logic        clk,
    input  logic        rst,
    output logic        booted,
    output logic        flash_cs_n,
    output logic        flash_sck,
    output logic        flash_mosi,
    input  logic        flash_miso,
    input  logic [ 9:0] s_axi_awaddr,
    input  logic [ 2:0] s_axi_awprot,
    input  logic        s_axi_awvalid,
    output logic        s_axi_awready,
    input  logic [31:0] s_axi_wdata,
    input  logic [ 3:0] s_axi_wstrb,
    input  logic        s_axi_wvalid,
    output logic        s_axi_wready,
    output logic [ 1:0] s_axi_bresp,
    output logic        s_axi_bvalid,
    input  logic        s_axi_bready,
    input  logic [ 9:0] s_axi_araddr,
    input  logic [ 2:0] s_axi_arprot,
    input  logic        s_axi_arvalid,
    output logic        s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [ 1:0] s_axi_rresp,
    output logic        s_axi_rvalid,
    input  logic        s_axi_rready,
    input  logic [31:0] s_axis_0_tdata,
    input  logic [ 3:0] s_axis_0_tkeep,
    input  logic        s_axis_0_tlast,
    input  logic        s_axis_0_tvalid,
    output logic        s_axis_0_tready,
    output logic [31:0] m_axis_0_tdata,
    output logic [ 3:0] m_axis_0_tkeep,
    output logic        m_axis_0_tlast,
    output logic        m_axis_0_tvalid,
    input  logic        m_axis_0_tready,
    output logic        irq
);
  logic [9:0] awaddr, araddr;
  logic [31:0] wdata, tdata;
  logic awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready, tlast, tvalid, tready;
  pc_serial_boot #(.OFFSET(OFFSET)) boot (
      .clk(clk), .rst(rst), .booted(booted), .flash_cs_n(flash_cs_n), .flash_sck(flash_sck), .flash_mosi(flash_mosi),
      .flash_miso(flash_miso), .host_awaddr(s_axi_awaddr), .host_awvalid(s_axi_awvalid),
      .host_awready(s_axi_awready), .host_wdata(s_axi_wdata), .host_wvalid(s_axi_wvalid),
      .host_wready(s_axi_wready), .host_bvalid(s_axi_bvalid), .host_bready(s_axi_bready),
      .host_arvalid(s_axi_arvalid), .host_arready(s_axi_arready), .host_araddr(s_axi_araddr),
      .host_rvalid(s_axi_rvalid), .host_rready(s_axi_rready), .host_tdata(s_axis_0_tdata),
      .host_tlast(s_axis_0_tlast), .host_tvalid(s_axis_0_tvalid), .host_tready(s_axis_0_tready),
      .engine_awaddr(awaddr), .engine_awvalid(awvalid), .engine_awready(awready), .engine_wdata(wdata),
      .engine_wvalid(wvalid), .engine_wready(wready), .engine_bvalid(bvalid), .engine_bready(bready),
      .engine_arvalid(arvalid), .engine_arready(arready), .engine_araddr(araddr), .engine_rvalid(rvalid),
      .engine_rready(rready), .engine_rdata(s_axi_rdata), .engine_tdata(tdata), .engine_tlast(tlast),
      .engine_tvalid(tvalid), .engine_tready(tready));
  pcedge_top top (
      .clk(clk), .rst(rst), .s_axi_awaddr(awaddr), .s_axi_awprot(s_axi_awprot), .s_axi_awvalid(awvalid),
      .s_axi_awready(awready), .s_axi_wdata(wdata), .s_axi_wstrb(booted ? s_axi_wstrb : 4'hf),
      .s_axi_wvalid(wvalid), .s_axi_wready(wready), .s_axi_bresp(s_axi_bresp), .s_axi_bvalid(bvalid),
      .s_axi_bready(bready), .s_axi_araddr(araddr), .s_axi_arprot(s_axi_arprot), .s_axi_arvalid(arvalid),
      .s_axi_arready(arready), .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rvalid(rvalid),
      .s_axi_rready(rready), .s_axis_0_tdata(tdata), .s_axis_0_tkeep(s_axis_0_tkeep), .s_axis_0_tlast(tlast),
      .s_axis_0_tvalid(tvalid), .s_axis_0_tready(tready), .m_axis_0_tdata(m_axis_0_tdata),
      .m_axis_0_tkeep(m_axis_0_tkeep), .m_axis_0_tlast(m_axis_0_tlast), .m_axis_0_tvalid(m_axis_0_tvalid),
      .m_axis_0_tready(m_axis_0_tready), .irq(irq));
endmodule
