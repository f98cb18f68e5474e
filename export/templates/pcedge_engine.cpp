#include "pcedge_engine.hpp"

namespace {

using port = hls::stream<pcedge::port_t>;
using words = hls::stream<pcedge::word_t>;

void compute(std::uint32_t job, const std::uint32_t records[config::streams],
             words in[config::streams], words out[config::streams], std::uint32_t &status,
             pcedge::cycle_t &cycles, std::uint32_t info[pcedge::INFO_WORDS]) {
  static machine engine;
#pragma HLS ARRAY_PARTITION variable = engine.streams complete dim = 1
  pcedge::serve(engine, job, records, in, out, status, cycles, info);
}

// The ports wait for their partners, the engine never does.
void flow(std::uint32_t job, const std::uint32_t records[config::streams], port in[config::streams],
          port out[config::streams], std::uint32_t &status, pcedge::cycle_t &cycles,
          std::uint32_t info[pcedge::INFO_WORDS]) {
#pragma HLS DATAFLOW
  words arriving[config::streams], leaving[config::streams];
#pragma HLS STREAM variable = arriving depth = pcedge::PORT_DEPTH
#pragma HLS STREAM variable = leaving depth = pcedge::PORT_DEPTH
  pcedge::ports_t<config::streams>::receive_all(job, records, in, arriving);
  compute(job, records, arriving, leaving, status, cycles, info);
  pcedge::ports_t<config::streams>::send_all(leaving, out);
}

} // namespace

void pc_engine(std::uint32_t job, const std::uint32_t records[config::streams],
               hls::stream<pcedge::port_t> in[config::streams],
               hls::stream<pcedge::port_t> out[config::streams], std::uint32_t &status,
               pcedge::cycle_t &cycles, std::uint32_t info[pcedge::INFO_WORDS]) {
#pragma HLS INTERFACE axis port = in
#pragma HLS INTERFACE axis port = out
#pragma HLS INTERFACE s_axilite port = job offset = 0x10
#pragma HLS INTERFACE s_axilite port = status offset = 0x18
#pragma HLS INTERFACE s_axilite port = cycles offset = 0x28
#pragma HLS INTERFACE s_axilite port = records offset = 0x100
#pragma HLS INTERFACE s_axilite port = info offset = 0x200
#pragma HLS INTERFACE s_axilite port = return
  std::uint32_t own[config::streams];
#pragma HLS ARRAY_PARTITION variable = own complete
copy:
  for (unsigned n = 0; n < unsigned(config::streams); ++n)
    own[n] = records[n];
  flow(job, own, in, out, status, cycles, info);
}
