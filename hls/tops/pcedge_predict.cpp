#include "pcedge_predict.hpp"

void pc_predict(hls::stream<number_port> &numbers, hls::stream<symbol_port> &symbols,
                hls::stream<pcedge::raw_port_t> &raw, std::uint32_t rows, std::uint32_t &status) {
#pragma HLS INTERFACE axis port = numbers
#pragma HLS INTERFACE axis port = symbols
#pragma HLS INTERFACE axis port = raw
#pragma HLS INTERFACE s_axilite port = rows
#pragma HLS INTERFACE s_axilite port = status
#pragma HLS INTERFACE s_axilite port = return
  status = pcedge::predict_kernel<pcedge_stage>(numbers, symbols, raw, rows);
}

void pc_restore(hls::stream<symbol_port> &symbols, hls::stream<pcedge::raw_port_t> &raw,
                hls::stream<symbol_port> &classes, hls::stream<number_port> &numbers,
                std::uint32_t rows, std::uint32_t &status) {
#pragma HLS INTERFACE axis port = symbols
#pragma HLS INTERFACE axis port = raw
#pragma HLS INTERFACE axis port = classes
#pragma HLS INTERFACE axis port = numbers
#pragma HLS INTERFACE s_axilite port = rows
#pragma HLS INTERFACE s_axilite port = status
#pragma HLS INTERFACE s_axilite port = return
  status = pcedge::restore_kernel<pcedge_stage>(symbols, raw, classes, numbers, rows);
}

void pc_pack(hls::stream<number_port> &numbers, hls::stream<token_byte> &bytes,
             hls::stream<pcedge::raw_port_t> &raw, std::uint32_t rows, std::uint32_t &status) {
#pragma HLS INTERFACE axis port = numbers
#pragma HLS INTERFACE axis port = bytes
#pragma HLS INTERFACE axis port = raw
#pragma HLS INTERFACE s_axilite port = rows
#pragma HLS INTERFACE s_axilite port = status
#pragma HLS INTERFACE s_axilite port = return
  status = pcedge::pack_kernel<pcedge_stage, pcedge_tokens>(numbers, bytes, raw, rows);
}

void pc_unpack(hls::stream<token_byte> &bytes, hls::stream<pcedge::raw_port_t> &raw,
               hls::stream<number_port> &numbers, std::uint32_t rows, std::uint32_t &status) {
#pragma HLS INTERFACE axis port = bytes
#pragma HLS INTERFACE axis port = raw
#pragma HLS INTERFACE axis port = numbers
#pragma HLS INTERFACE s_axilite port = rows
#pragma HLS INTERFACE s_axilite port = status
#pragma HLS INTERFACE s_axilite port = return
  status = pcedge::unpack_kernel<pcedge_stage, pcedge_tokens>(bytes, raw, numbers, rows);
}
