#include "pcedge_parallel.hpp"

void pc_parallel(unsigned job, hls::stream<symbol_t> symbols[config::streams],
                 hls::stream<symbol_t> found[config::streams],
                 hls::stream<lane_byte> coded[config::streams],
                 hls::stream<lane_byte> bytes[config::streams],
                 hls::stream<probability_t> probabilities[config::streams],
                 const unsigned records[config::streams], pcedge::cycle_t &cycles) {
#pragma HLS INTERFACE s_axilite port = job
#pragma HLS INTERFACE axis port = symbols
#pragma HLS INTERFACE axis port = found
#pragma HLS INTERFACE axis port = coded
#pragma HLS INTERFACE axis port = bytes
#pragma HLS INTERFACE axis port = probabilities
#pragma HLS INTERFACE s_axilite port = records
#pragma HLS INTERFACE s_axilite port = cycles
#pragma HLS INTERFACE s_axilite port = return
  static parallel_engine engine;
#pragma HLS ARRAY_PARTITION variable = engine.streams complete dim = 1
  cycles = engine.run(pcedge::job_t(job), symbols, found, coded, bytes, probabilities, records);
}
