#include "pcedge_top.hpp"

void pc_likelihood(hls::stream<symbol_t> &symbols, hls::stream<probability_t> &probabilities,
                   unsigned records) {
#pragma HLS INTERFACE axis port = symbols
#pragma HLS INTERFACE axis port = probabilities
#pragma HLS INTERFACE s_axilite port = records
#pragma HLS INTERFACE s_axilite port = return
  pcedge::likelihood_kernel<config, memories>(symbols, probabilities, records);
}

void pc_encode(hls::stream<symbol_t> &symbols, hls::stream<lane_byte> &bytes, unsigned records) {
#pragma HLS INTERFACE axis port = symbols
#pragma HLS INTERFACE axis port = bytes
#pragma HLS INTERFACE s_axilite port = records
#pragma HLS INTERFACE s_axilite port = return
  pcedge::encode_kernel<config, memories>(symbols, bytes, records);
}

void pc_decode(hls::stream<lane_byte> &bytes, hls::stream<symbol_t> &symbols, unsigned records) {
#pragma HLS INTERFACE axis port = bytes
#pragma HLS INTERFACE axis port = symbols
#pragma HLS INTERFACE s_axilite port = records
#pragma HLS INTERFACE s_axilite port = return
  pcedge::decode_kernel<config, memories>(bytes, symbols, records);
}
