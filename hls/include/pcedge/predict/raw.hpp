// The raw bits of a lane as bytes, high bits first (docs/predictor.md, section Coding): a packet of
// one beat a byte, that ends with TLAST. A lane without raw bits is one beat without data.
#ifndef PCEDGE_RAW_HPP
#define PCEDGE_RAW_HPP

#include "../arith/normalise.hpp"
#include "../program/port.hpp"

namespace pcedge {

/// A byte of raw bits.
using raw_port_t = beat_t<8>;

/// \brief Puts raw bits together to bytes; one byte waits until it is known whether it is the last.
template <class F> struct raw_writer_t {
  using length_t = uint_t<F, LENGTH_BITS>;
  uint_t<F, 8> byte, waiting;
  length_t filled;
  typename F::bit any;

  void begin() {
    byte = 0;
    waiting = 0;
    filled = 0;
    any = false;
  }

  /// \brief Write the lowest bits of a number, at most 63.
  void put(uint_t<F, 64> raw, length_t count, hls::stream<raw_port_t> &out) {
    length_t left = count;
  bits:
    while (left != 0) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 9
      const length_t room = length_t(length_t(8) - filled);
      const length_t some = F::select(left < room, left, room);
      left = length_t(left - some);
      const uint_t<F, 8> mask = uint_t<F, 8>((1u << unsigned(some)) - 1u);
      const uint_t<F, 8> piece = uint_t<F, 8>(uint_t<F, 64>(raw >> left) & uint_t<F, 64>(mask));
      byte = uint_t<F, 8>((uint_t<F, 16>(byte) << some) | uint_t<F, 16>(piece));
      filled = length_t(filled + some);
      if (filled == 8) {
        if (any)
          out.write(full_beat<8>(ap_uint<8>(waiting), false));
        waiting = byte;
        any = true;
        byte = 0;
        filled = 0;
      }
    }
  }

  /// \brief End the lane: the last byte ends in zeros.
  void end(hls::stream<raw_port_t> &out) {
    const typename F::bit more = filled != 0;
    if (any)
      out.write(full_beat<8>(ap_uint<8>(waiting), !more));
    const uint_t<F, 8> last =
        uint_t<F, 8>((uint_t<F, 16>(byte) << length_t(length_t(8) - filled)) & 255);
    if (more)
      out.write(full_beat<8>(ap_uint<8>(last), true));
    if (!any && !more) {
      raw_port_t beat = full_beat<8>(ap_uint<8>(0), true);
      beat.keep = 0;
      beat.strb = 0;
      out.write(beat);
    }
  }
};

/// \brief Takes raw bits from bytes, and tells at the end whether they were all and no more.
template <class F> struct raw_reader_t {
  using length_t = uint_t<F, LENGTH_BITS>;
  uint_t<F, 8> byte;
  length_t left;
  typename F::bit ended, few, many;

  void begin() {
    byte = 0;
    left = 0;
    ended = false;
    few = false;
    many = false;
  }

  /// \brief Read so many bits, the last 64 of them; zeros where the lane has ended.
  uint_t<F, 64> take(length_t count, hls::stream<raw_port_t> &in) {
    uint_t<F, 64> value = 0;
    length_t wanted = count;
  bits:
    while (wanted != 0) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 9
      if (left == 0) {
        few = few || !fetch(in);
        left = 8;
      }
      const length_t some = F::select(wanted < left, wanted, left);
      left = length_t(left - some);
      wanted = length_t(wanted - some);
      const uint_t<F, 8> mask = uint_t<F, 8>((1u << unsigned(some)) - 1u);
      const uint_t<F, 8> piece = uint_t<F, 8>(uint_t<F, 8>(byte >> left) & mask);
      value = uint_t<F, 64>(uint_t<F, 64>(value << some) | uint_t<F, 64>(piece));
    }
    return value;
  }

  /// \brief End the lane: take all of its packet.
  /// \return whether what was left of the last byte were zeros
  bool end(hls::stream<raw_port_t> &in) {
    const uint_t<F, 8> mask = uint_t<F, 8>((1u << unsigned(left)) - 1u);
    const bool zeros = uint_t<F, 8>(byte & mask) == 0;
  drain:
    while (!ended) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 1
      const bool one = fetch(in);
      many = many || one;
    }
    return zeros;
  }

private:
  /// \brief Take the next byte; zero where there is none.
  bool fetch(hls::stream<raw_port_t> &in) {
#pragma HLS INLINE
    byte = 0;
    if (ended)
      return false;
    const raw_port_t beat = in.read();
    ended = beat.last.to_bool();
    const bool data = beat.keep.or_reduce();
    byte = data ? uint_t<F, 8>(ap_uint<8>(beat.data).to_uint()) : uint_t<F, 8>(0);
    return data;
  }
};

} // namespace pcedge

#endif
