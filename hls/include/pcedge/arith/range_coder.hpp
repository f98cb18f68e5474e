// The range coder's steps, pure functions (docs/stream.md, section Lane).
#ifndef PCEDGE_RANGE_CODER_HPP
#define PCEDGE_RANGE_CODER_HPP

#include "normalise.hpp"

namespace pcedge {

/// \brief State of a coder: an encoder's low end, or a decoder's position within the range; and the
/// range.
/// \tparam F family of integers
/// \tparam B range_bits
/// invariant between symbols: range has more than B - 8 bits; low + range < 2^(B+1)
template <class F, int B> struct range_state_t {
  static_assert(B >= 16 && B + 2 <= 53, "the low end and its flush must fit 53 bits");
  uint_t<F, B + 1> low;
  uint_t<F, B> range;
};

/// \brief The state before the first symbol.
template <class F, int B> range_state_t<F, B> range_start() {
#pragma HLS INLINE
  range_state_t<F, B> state;
  state.low = 0;
  state.range = uint_t<F, B>(power_of_two<B>() - 1);
  return state;
}

/// \brief Narrow an encoder's interval to the part [start, end) of 2^P.
template <class F, int B, int P>
range_state_t<F, B> range_encode(range_state_t<F, B> state, uint_t<F, P + 1> start,
                                 uint_t<F, P + 1> end) {
#pragma HLS INLINE
  static_assert(B == 2 * P, "the range must be twice as wide as the scale");
  const uint_t<F, B - P> unit = uint_t<F, B - P>(state.range >> P);
  state.low = uint_t<F, B + 1>(state.low + uint_t<F, B>(unit * start));
  state.range = uint_t<F, B>(unit * uint_t<F, P + 1>(end - start));
  return state;
}

/// \brief Tell whether a symbol's lower end lies at or below a decoder's position.
template <class F, int B, int P>
typename F::bit range_reached(const range_state_t<F, B> &state, uint_t<F, P + 1> start) {
#pragma HLS INLINE
  const uint_t<F, B - P> unit = uint_t<F, B - P>(state.range >> P);
  return uint_t<F, B + 1>(unit * start) <= state.low;
}

/// \brief Take the interval [start, end) out of a decoder's state.
template <class F, int B, int P>
range_state_t<F, B> range_decode(range_state_t<F, B> state, uint_t<F, P + 1> start,
                                 uint_t<F, P + 1> end) {
#pragma HLS INLINE
  const uint_t<F, B - P> unit = uint_t<F, B - P>(state.range >> P);
  state.low = uint_t<F, B + 1>(state.low - uint_t<F, B>(unit * start));
  state.range = uint_t<F, B>(unit * uint_t<F, P + 1>(end - start));
  return state;
}

/// \brief Tell whether a decoder's position has left the intervals: no encoder wrote these bytes.
template <class F, int B> typename F::bit range_left(const range_state_t<F, B> &state) {
#pragma HLS INLINE
  return state.low >= state.range;
}

/// \brief Hold a position that has left the intervals at the end of the range, so that any bytes
/// decode to symbols: random ones to a sample.
template <class F, int B> range_state_t<F, B> range_hold(range_state_t<F, B> state) {
#pragma HLS INLINE
  const uint_t<F, B + 1> most = uint_t<F, B + 1>(state.range - 1);
  state.low = F::select(range_left<F, B>(state), most, state.low);
  return state;
}

/// \brief Tell whether a byte must move so that the range has more than B - 8 bits again.
/// True at most P / 8 times after a symbol.
template <class F, int B> typename F::bit range_low_on_bits(const range_state_t<F, B> &state) {
#pragma HLS INLINE
  return uint_t<F, B>(state.range >> (B - 8)) == 0;
}

/// \brief The digit that leaves the top of an encoder's low: a byte and, as bit 8, a carry.
template <class F, int B> uint_t<F, 9> range_digit(const range_state_t<F, B> &state) {
#pragma HLS INLINE
  return uint_t<F, 9>(state.low >> (B - 8));
}

/// \brief Shift one byte through; `byte` comes in at the bottom (zero for an encoder).
template <class F, int B>
range_state_t<F, B> range_shift(range_state_t<F, B> state, uint_t<F, 8> byte) {
#pragma HLS INLINE
  const uint_t<F, B> kept = uint_t<F, B>(state.low & uint_t<F, B + 1>(power_of_two<B - 8>() - 1));
  state.low = uint_t<F, B + 1>(uint_t<F, B>(kept << 8) | uint_t<F, B>(byte));
  state.range = uint_t<F, B>(state.range << 8);
  return state;
}

/// \brief The last digit: the least byte that, with zeros behind it, is inside the range.
template <class F, int B> uint_t<F, 9> range_flush(const range_state_t<F, B> &state) {
#pragma HLS INLINE
  return uint_t<F, 9>(uint_t<F, B + 2>(state.low + uint_t<F, B + 1>(power_of_two<B - 8>() - 1)) >>
                      (B - 8));
}

/// \brief Digits whose carry is not known yet: one byte, and a run of 0xFF behind it.
/// A lane has less than 2^32 bytes (docs/stream.md), so the counter of the run cannot wrap.
template <class F> struct carry_state_t {
  typename F::bit filled;
  uint_t<F, 8> byte;
  uint_t<F, 32> run;
};

/// \brief The state before the first digit.
template <class F> carry_state_t<F> carry_start() {
#pragma HLS INLINE
  carry_state_t<F> state;
  state.filled = false;
  state.byte = 0;
  state.run = 0;
  return state;
}

/// \brief What one digit makes known: perhaps a byte, and behind it a run of equal ones.
template <class F> struct carried_t {
  carry_state_t<F> carry;
  typename F::bit known;
  uint_t<F, 8> byte;
  uint_t<F, 32> run;
  uint_t<F, 8> filler;
};

/// \brief Take a digit: what a later carry could change is held back.
template <class F> carried_t<F> carry_digit(carry_state_t<F> carry, uint_t<F, 9> digit) {
#pragma HLS INLINE
  const uint_t<F, 8> byte = uint_t<F, 8>(digit & 255);
  const uint_t<F, 1> up = uint_t<F, 1>(digit >> 8);
  const typename F::bit open = byte == 255 && up == 0;
  carried_t<F> next;
  // invariant: a byte that took a carry can take no second one, so byte + up <= 255 where up is 1
  next.known = !open && carry.filled;
  next.byte = uint_t<F, 8>(carry.byte + up);
  next.run = open ? uint_t<F, 32>(0) : carry.run;
  next.filler = uint_t<F, 8>((255 + up) & 255);
  next.carry.filled = open ? carry.filled : true;
  next.carry.byte = open ? carry.byte : byte;
  next.carry.run = open ? uint_t<F, 32>(carry.run + 1) : uint_t<F, 32>(0);
  return next;
}

} // namespace pcedge

#endif
