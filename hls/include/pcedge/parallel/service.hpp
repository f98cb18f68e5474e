// What stands around the parallel engine: registers, jobs, ports (docs/engine.md).
#ifndef PCEDGE_SERVICE_HPP
#define PCEDGE_SERVICE_HPP

#include "../program/port.hpp"
#include "image.hpp"
#include "scheduler.hpp"

namespace pcedge {

/// A beat of the ports: 32 bits with TKEEP, TSTRB and TLAST.
using port_t = beat_t<32>;

/// Words between a port and the engine.
constexpr int PORT_DEPTH = 16;

/// \brief Say what the build is, and which circuit it has (docs/engine.md, section Registers).
template <class C, class M> void tell(std::uint32_t *info) {
  constexpr unsigned PLACE = INFO_WORDS - DIGEST_WORDS;
  const circuit_t circuit = M::circuit();
  std::uint32_t words[PLACE] = {};
  words[INFO_MAGIC] = MAGIC;
  words[INFO_VERSION] = ENGINE_VERSION;
  words[INFO_RELOAD] = std::uint32_t(M::reloadable);
  words[INFO_STREAMS] = C::streams;
  words[INFO_MACS] = C::tile_rows * C::tile_columns;
  words[INFO_SEARCH_BITS] = C::search_bits;
  words[INFO_STATE_BITS] = C::state_bits;
  words[INFO_WEIGHT_BITS] = C::weight_bits;
  words[INFO_LEAF_BITS] = C::leaf_bits;
  words[INFO_SCALE_BITS] = C::scale_bits;
  words[INFO_RANGE_BITS] = C::range_bits;
  words[INFO_FLOOR] = circuit.floor;
  words[INFO_CARDINALITY] = C::cardinality;
  words[INFO_TILE_COLUMNS] = C::tile_columns;
  words[INFO_VARIABLES] = C::variables;
  words[INFO_STATE_WORDS] = C::state_words;
  words[INFO_EXPONENT_SLOTS] = C::exponent_slots;
  words[INFO_MAX_UNITS] = C::max_units;
  words[INFO_SECTIONS] = M::sections;
  words[INFO_RECORD] = circuit.record;
  words[INFO_LIKELIHOOD_STEPS] = circuit.likelihood_steps;
  words[INFO_CODE_STEPS] = circuit.code_steps;
info_loop:
  for (unsigned i = 0; i < INFO_WORDS; ++i)
    info[i] = i < PLACE ? words[i] : circuit.digest[i - PLACE];
}

/// \brief Packets, each ended by TLAST, that a job takes from a stream.
inline std::uint32_t packets_of(std::uint32_t job, std::uint32_t records, unsigned stream) {
#pragma HLS INLINE
  if (job == LOAD)
    return stream == 0 ? 1 : 0;
  if (job == DECODE || job == SAMPLE || job == UNPACK)
    return records > 0 ? 1 : 0;
  if (job == PACK)
    return records > 0 ? records + 1 : 0;
  return job == LIKELIHOOD || job == ENCODE || job == SCORE ? records : 0;
}

/// \brief Take a stream's packets from its port. A flushing pipeline: a word goes on to the engine,
/// whether or not the next one has come.
inline void receive(std::uint32_t packets, hls::stream<port_t> &port, hls::stream<word_t> &out) {
packets_loop:
  for (std::uint32_t done = 0; done < packets;) {
#pragma HLS PIPELINE II = 1 style = flp
    const port_t beat = port.read();
    write_word(out, std::uint32_t(beat.data), beat.last.to_bool());
    done += beat.last.to_bool() ? 1u : 0u;
  }
}

/// \brief Give a stream's words to its port, none of which waits for the next one: a flushing
/// pipeline, as above.
inline void send(hls::stream<word_t> &in, hls::stream<port_t> &port) {
  bool ended = false;
words:
  while (!ended) {
#pragma HLS PIPELINE II = 1 style = flp
    const word_t word = in.read();
    ended = word.end;
    if (!ended)
      port.write(full_beat(ap_uint<32>(word.data), word.last));
  }
}

/// \brief All receivers, and all senders, each a process of its own: a port that waits must not
/// hold up others.
/// \tparam N streams
template <unsigned N> struct ports_t {
  static void receive_all(std::uint32_t job, const std::uint32_t *records,
                          hls::stream<port_t> *ports, hls::stream<word_t> *out) {
#pragma HLS INLINE
    ports_t<N - 1>::receive_all(job, records, ports, out);
    receive(packets_of(job, records[N - 1], N - 1), ports[N - 1], out[N - 1]);
  }
  static void send_all(hls::stream<word_t> *in, hls::stream<port_t> *ports) {
#pragma HLS INLINE
    ports_t<N - 1>::send_all(in, ports);
    send(in[N - 1], ports[N - 1]);
  }
};

template <> struct ports_t<0> {
  static void receive_all(std::uint32_t, const std::uint32_t *, hls::stream<port_t> *,
                          hls::stream<word_t> *) {}
  static void send_all(hls::stream<word_t> *, hls::stream<port_t> *) {}
};

/// \brief Do a job. Whatever happens, all packets of the job are taken and every stream ends.
template <class K>
void serve(K &k, std::uint32_t job, const std::uint32_t *records, hls::stream<word_t> *in,
           hls::stream<word_t> *out, std::uint32_t &status, cycle_t &cycles, std::uint32_t *info) {
  using M = typename K::M;
  using image = image_t<typename K::C, M, M::reloadable>;
  k.status = FINE;
  cycles = 0;
  if (job >= JOBS || job == SCORE || (!M::reloadable && (job == LOAD || job == READ)))
    k.status = BAD_JOB;
  else if (job != LOAD && job != TELL && M::record == 0)
    k.status = NOT_LOADED;
  if (k.status == FINE) {
    if (job == LOAD)
      k.status = image::load(in[0]);
    else if (job == READ)
      image::read(out[0]);
    else if (job != TELL)
      cycles = work_on(k, job_t(job), in, out, records);
  } else {
  refused:
    for (unsigned n = 0; n < K::S; ++n) {
      std::uint32_t packets = packets_of(job, records[n], n);
    drop:
      while (packets > 0)
        packets -= in[n].read().last ? 1u : 0u;
    }
  }
ends:
  for (unsigned n = 0; n < K::S; ++n) {
    word_t word;
    word.data = 0;
    word.last = false;
    word.end = true;
    out[n].write(word);
  }
  status = k.status;
  tell<typename K::C, M>(info);
}

} // namespace pcedge

#endif
