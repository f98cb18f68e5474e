#include "pcedge_engine.hpp"

namespace {

using port = hls::stream<pcedge::port_t>;
using words = hls::stream<pcedge::word_t>;

void compute(std::uint32_t job, const std::uint32_t records[config::streams],
             words in[config::streams], words out[config::streams], std::uint32_t &status,
             pcedge::cycle_t &cycles, std::uint32_t info[pcedge::INFO_WORDS]) {
  static machine engine;
#pragma HLS DISAGGREGATE variable = engine
  // Registers, but for three memories of each stream, and the accumulators of both units; their
  // banks and sides are memories too.
#pragma HLS ARRAY_PARTITION variable = engine.streams complete dim = 1
#pragma HLS ARRAY_PARTITION variable = engine.state complete dim = 1
#pragma HLS ARRAY_PARTITION variable = engine.state complete dim = 3
#pragma HLS ARRAY_PARTITION variable = engine.exponents complete dim = 1
#pragma HLS ARRAY_PARTITION variable = engine.symbols complete dim = 1
#pragma HLS ARRAY_PARTITION variable = engine.symbols complete dim = 2
#pragma HLS ARRAY_PARTITION variable = engine.ready complete dim = 0
#pragma HLS ARRAY_PARTITION variable = engine.operands complete dim = 0
#pragma HLS ARRAY_PARTITION variable = engine.rows complete dim = 0
#pragma HLS ARRAY_PARTITION variable = engine.mix_accumulators complete dim = 2
#pragma HLS ARRAY_PARTITION variable = engine.vector_accumulators complete dim = 2
#pragma HLS ARRAY_PARTITION variable = engine.mix.sums complete
#pragma HLS ARRAY_PARTITION variable = engine.mix_writer.lanes complete
#pragma HLS ARRAY_PARTITION variable = engine.vector_writer.lanes complete
#pragma HLS ARRAY_PARTITION variable = engine.mix_landings complete
#pragma HLS ARRAY_PARTITION variable = engine.vector_landings complete
#pragma HLS ARRAY_PARTITION variable = engine.interval.weighted complete
  // One port writes, two read.
#if PCEDGE_STATE_IN_LUTS
#pragma HLS BIND_STORAGE variable = engine.state type = ram_1wnr impl = lutram
#else
#pragma HLS BIND_STORAGE variable = engine.state type = ram_1wnr impl = bram
#endif
#pragma HLS BIND_STORAGE variable = engine.exponents type = ram_1wnr
  // DOWN by lists reads an entry and writes it in one cycle, so these are read without a clock.
#pragma HLS BIND_STORAGE variable = engine.mix_accumulators type = ram_1wnr impl = lutram
#pragma HLS BIND_STORAGE variable = engine.vector_accumulators type = ram_s2p impl = lutram
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
               hls::stream<pcedge::port_t> s_axis[config::streams],
               hls::stream<pcedge::port_t> m_axis[config::streams], std::uint32_t &status,
               pcedge::cycle_t &cycles, std::uint32_t info[pcedge::INFO_WORDS]) {
#pragma HLS INTERFACE axis port = s_axis
#pragma HLS INTERFACE axis port = m_axis
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
  flow(job, own, s_axis, m_axis, status, cycles, info);
}
