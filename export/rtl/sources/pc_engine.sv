// pc_engine: one circuit's engine: cores beside each other, and the program and the weights that they read (docs/rtl.md).
//
// Ports    those of pc_core, of the streams of all cores: core k has streams k PC_STREAMS to (k + 1) PC_STREAMS - 1. A job
//          begins on all of them at once; status is that of any, cycles are those of the one that ends last.
`include "pc_types.svh"
module pc_engine (
    input logic clk,
    input logic rst,
    input logic start,
    input logic [3:0] job,
    input logic [ALL_STREAMS*32-1:0] records,
    input logic [ALL_STREAMS-1:0] in_valid,
    output logic [ALL_STREAMS-1:0] in_ready,
    input logic [ALL_STREAMS*32-1:0] in_data,
    input logic [ALL_STREAMS-1:0] in_last,
    output logic [ALL_STREAMS-1:0] out_valid,
    input logic [ALL_STREAMS-1:0] out_ready,
    output logic [ALL_STREAMS*32-1:0] out_data,
    output logic [ALL_STREAMS-1:0] out_last,
    output logic busy,
    output logic [31:0] status,
    output logic [63:0] cycles,
    input logic [5:0] info_place,
    output logic [31:0] info_word
);
  localparam int STREAMS = PC_STREAMS, TILE_WIDTH = MACS * (PC_WEIGHT_BITS + 1);
  logic [CORES-1:0] busies, last_busy, loads;
  logic [CORES*32-1:0] statuses, info_words, load_at;
  logic [CORES*64-1:0] counts;
  logic [CORES*STEP_BITS-1:0] step_address;
  logic [CORES*STEP_WIDTH-1:0] step_data;
  logic [CORES*TILE_BITS-1:0] tile_address;
  logic [CORES*TILE_WIDTH-1:0] tile_data;
  logic [CORES*SECTIONS-1:0] load_put;
  logic [CORES*SECTION_MOST-1:0] load_word;
  for (genvar k = 0; k < CORES; ++k) begin : g_core
    pc_core core (
        .clk(clk), .rst(rst), .start(start), .job(job), .records(records[k*STREAMS*32+:STREAMS*32]),
        .in_valid(in_valid[k*STREAMS+:STREAMS]), .in_ready(in_ready[k*STREAMS+:STREAMS]),
        .in_data(in_data[k*STREAMS*32+:STREAMS*32]), .in_last(in_last[k*STREAMS+:STREAMS]),
        .out_valid(out_valid[k*STREAMS+:STREAMS]), .out_ready(out_ready[k*STREAMS+:STREAMS]),
        .out_data(out_data[k*STREAMS*32+:STREAMS*32]), .out_last(out_last[k*STREAMS+:STREAMS]), .busy(busies[k]),
        .status(statuses[32*k+:32]), .cycles(counts[64*k+:64]), .info_place(info_place),
        .info_word(info_words[32*k+:32]), .step_address(step_address[k*STEP_BITS+:STEP_BITS]),
        .step_data(step_data[k*STEP_WIDTH+:STEP_WIDTH]), .tile_address(tile_address[k*TILE_BITS+:TILE_BITS]),
        .tile_data(tile_data[k*TILE_WIDTH+:TILE_WIDTH]), .loads(loads[k]), .load_at(load_at[32*k+:32]),
        .load_put(load_put[k*SECTIONS+:SECTIONS]), .load_word(load_word[k*SECTION_MOST+:SECTION_MOST]));
  end

  // ---- two cores read one memory, each with a port of its own
  for (genvar k = 0; k < CORES; k = k + 2) begin : g_memory
    if (k + 1 < CORES) begin : g_two
      pc_rom2 #(.WORDS(STEPS), .WIDTH(STEP_WIDTH), .FILE("steps.hex")) step_memory (
          .clk(clk), .address_0(step_address[k*STEP_BITS+:STEP_BITS]), .data_0(step_data[k*STEP_WIDTH+:STEP_WIDTH]),
          .address_1(step_address[(k+1)*STEP_BITS+:STEP_BITS]), .data_1(step_data[(k+1)*STEP_WIDTH+:STEP_WIDTH]));
      pc_rom2 #(
          .WORDS(TILES), .WIDTH(TILE_WIDTH), .FILE("weights.hex"), .BESIDE(TILES_BESIDE), .BESIDE_FILE("weights_beside.hex")
      ) weight_memory (
          .clk(clk), .address_0(tile_address[k*TILE_BITS+:TILE_BITS]), .data_0(tile_data[k*TILE_WIDTH+:TILE_WIDTH]),
          .address_1(tile_address[(k+1)*TILE_BITS+:TILE_BITS]), .data_1(tile_data[(k+1)*TILE_WIDTH+:TILE_WIDTH]));
    end else begin : g_one
      pc_memory #(.WORDS(STEPS), .WIDTH(STEP_WIDTH), .FILE("steps.hex")) step_memory (
          .clk(clk), .address(step_address[k*STEP_BITS+:STEP_BITS]), .data(step_data[k*STEP_WIDTH+:STEP_WIDTH]),
          .loads(loads[k]), .load_at(load_at[32*k+:32]), .load_put(load_put[k*SECTIONS+SECTION_STEPS]),
          .load_word(load_word[k*SECTION_MOST+:STEP_WIDTH]));
      pc_memory #(
          .WORDS(TILES), .WIDTH(TILE_WIDTH), .FILE("weights.hex"), .BESIDE(TILES_BESIDE), .BESIDE_FILE("weights_beside.hex")
      ) weight_memory (
          .clk(clk), .address(tile_address[k*TILE_BITS+:TILE_BITS]), .data(tile_data[k*TILE_WIDTH+:TILE_WIDTH]),
          .loads(loads[k]), .load_at(load_at[32*k+:32]), .load_put(load_put[k*SECTIONS+SECTION_WEIGHTS]),
          .load_word(load_word[k*SECTION_MOST+:TILE_WIDTH]));
    end
  end

  // ---- one of them all: which had work in the last cycle in which any had
  logic upset;
  pc_guard guard (.clk(clk), .rst(rst), .start(start), .busy(busy), .upset(upset));
  assign busy = busies != '0;
  assign info_word = info_words[31:0];
  always_comb begin
    status = {24'd0, upset, 7'd0};
    cycles = '0;
    for (int k = CORES - 1; k >= 0; k = k - 1) begin
      status = status | statuses[32*k+:32];
      if (last_busy[k] || CORES == 1) cycles = counts[64*k+:64];
    end
  end
  always_ff @(posedge clk) if (busy || rst) last_busy <= rst ? '0 : busies;
endmodule
