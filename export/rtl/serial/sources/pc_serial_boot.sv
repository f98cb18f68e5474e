// pc_serial_boot: gives the engine its model out of a serial flash memory, once after configuration, and then steps aside:
// it stands between AXI4-Lite and stream 0 of a host and those of the engine's top.
//
// Ports    host_*, engine_*: AXI4-Lite without what neither side reads, and stream 0 into the engine. flash_*: the memory.
//          booted: what follows is the host's; until then it is not ready. A reset does not load again.
`include "pc_types.svh"
module pc_serial_boot #(
    parameter logic [23:0] OFFSET = 24'h100000
) (
    input  logic        clk,
    input  logic        rst,
    output logic        booted,
    output logic        flash_cs_n,
    output logic        flash_sck,
    output logic        flash_mosi,
    input  logic        flash_miso,
    input  logic [ 9:0] host_awaddr,
    input  logic        host_awvalid,
    output logic        host_awready,
    input  logic [31:0] host_wdata,
    input  logic        host_wvalid,
    output logic        host_wready,
    output logic        host_bvalid,
    input  logic        host_bready,
    input  logic        host_arvalid,
    output logic        host_arready,
    input  logic [ 9:0] host_araddr,
    output logic        host_rvalid,
    input  logic        host_rready,
    input  logic [31:0] host_tdata,
    input  logic        host_tlast,
    input  logic        host_tvalid,
    output logic        host_tready,
    output logic [ 9:0] engine_awaddr,
    output logic        engine_awvalid,
    input  logic        engine_awready,
    output logic [31:0] engine_wdata,
    output logic        engine_wvalid,
    input  logic        engine_wready,
    input  logic        engine_bvalid,
    output logic        engine_bready,
    output logic        engine_arvalid,
    input  logic        engine_arready,
    output logic [ 9:0] engine_araddr,
    input  logic        engine_rvalid,
    output logic        engine_rready,
    input  logic [31:0] engine_rdata,
    output logic [31:0] engine_tdata,
    output logic        engine_tlast,
    output logic        engine_tvalid,
    input  logic        engine_tready
);
  typedef enum logic [2:0] {JOB, STARTS, MOVES, ASKS, HEARS} state_t;
  state_t state;
  logic flash_valid, flash_last, cs_n;
  logic [31:0] flash_data;
  wire flash_ready = !booted && state == MOVES && engine_tready;
  pc_serial_flash #(.OFFSET(OFFSET), .WORDS(MODEL_WORDS)) flash (
      .clk(clk), .rst(rst || booted), .out_valid(flash_valid), .out_ready(flash_ready), .out_data(flash_data),
      .out_last(flash_last), .cs_n(cs_n), .sck(flash_sck), .mosi(flash_mosi), .miso(flash_miso));
  assign flash_cs_n = cs_n || booted;
  wire writes = state == JOB || state == STARTS;

  always_comb begin
    engine_awaddr = booted ? host_awaddr : state == JOB ? 10'(REGISTER_JOB) : 10'(REGISTER_CONTROL);
    engine_wdata = booted ? host_wdata : state == JOB ? 32'd4 : 32'd1;
    engine_awvalid = booted ? host_awvalid : writes;
    engine_wvalid = booted ? host_wvalid : writes;
    engine_bready = booted ? host_bready : 1'b1;
    engine_araddr = booted ? host_araddr : 10'(REGISTER_CONTROL);
    engine_arvalid = booted ? host_arvalid : state == ASKS;
    engine_rready = booted ? host_rready : 1'b1;
    engine_tdata = booted ? host_tdata : flash_data;
    engine_tlast = booted ? host_tlast : flash_last;
    engine_tvalid = booted ? host_tvalid : flash_valid && state == MOVES;
    host_awready = booted && engine_awready;
    host_wready = booted && engine_wready;
    host_bvalid = booted && engine_bvalid;
    host_arready = booted && engine_arready;
    host_rvalid = booted && engine_rvalid;
    host_tready = booted && engine_tready;
  end

  initial booted = 1'b0;
  always_ff @(posedge clk) begin
    case (state)
      JOB: if (engine_awready) state <= STARTS;
      STARTS: if (engine_awready) state <= MOVES;
      MOVES: if (flash_valid && flash_ready && flash_last) state <= ASKS;
      ASKS: if (engine_arready) state <= HEARS;
      HEARS:
      if (engine_rvalid) begin
        state <= ASKS;
        if (engine_rdata[1]) booted <= 1'b1;
      end
      default: state <= JOB;
    endcase
    if (rst) state <= JOB;
  end
endmodule
