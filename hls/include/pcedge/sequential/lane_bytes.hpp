// The bytes of a lane, as the range coder's digits become them and back (docs/stream.md).
#ifndef PCEDGE_LANE_BYTES_HPP
#define PCEDGE_LANE_BYTES_HPP

#include "../arith/range_coder.hpp"
#include "../program/stream.hpp"

namespace pcedge {

/// \brief A byte of a lane; the last one carries `last`.
/// \tparam F family of integers
template <class F> struct lane_byte_t {
  uint_t<F, 8> data;
  typename F::bit last;
};

/// \brief Give a digit to the stream: hold back what a later carry could change.
template <class F>
carry_state_t<F> put_digit(carry_state_t<F> carry, uint_t<F, 9> digit,
                           hls::stream<lane_byte_t<F>> &out) {
  carried_t<F> next = carry_digit<F>(carry, digit);
  lane_byte_t<F> beat;
  beat.last = false;
  beat.data = next.byte;
  if (next.known)
    out.write(beat);
  beat.data = next.filler;
run:
  for (; next.run != 0; next.run = uint_t<F, 32>(next.run - 1)) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 2
    out.write(beat);
  }
  return next.carry;
}

/// \brief Send the digits that are held back; the last byte ends the lane.
template <class F> void end_lane(carry_state_t<F> carry, hls::stream<lane_byte_t<F>> &out) {
  lane_byte_t<F> beat;
  beat.data = carry.byte;
  beat.last = carry.run == 0;
  if (carry.filled)
    out.write(beat);
  beat.data = 255;
run:
  for (; carry.run != 0; carry.run = uint_t<F, 32>(carry.run - 1)) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 2
    beat.last = carry.run == 1;
    out.write(beat);
  }
}

/// \brief The next byte of a lane; zeros beyond its last.
template <class F> uint_t<F, 8> lane_next(hls::stream<lane_byte_t<F>> &in, bool &ended) {
#pragma HLS INLINE
  if (ended)
    return uint_t<F, 8>(0);
  const lane_byte_t<F> beat = in.read();
  ended = beat.last;
  return beat.data;
}

} // namespace pcedge

#endif
