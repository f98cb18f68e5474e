// A residual as a token and raw bits, and back, pure functions (docs/predictor.md, section Token).
#ifndef PCEDGE_TOKEN_HPP
#define PCEDGE_TOKEN_HPP

#include "../arith/normalise.hpp"

namespace pcedge {

/// Width of a token, of a class's bias, and of its shift.
constexpr int TOKEN_BITS = 16;
constexpr int BIAS_BITS = 41;
constexpr int SHIFT_BITS = 6;

/// \brief A token, and how many raw bits stand behind it.
template <class F> struct token_t {
  uint_t<F, TOKEN_BITS> token;
  uint_t<F, 64> raw;
  uint_t<F, LENGTH_BITS> count;
};

/// \brief The lowest bits of a number.
/// \param count 0..63
template <class F> uint_t<F, 64> low_bits(uint_t<F, 64> value, uint_t<F, LENGTH_BITS> count) {
#pragma HLS INLINE
  using whole = uint_t<F, 64>;
  return whole(value & whole(whole(whole(1) << count) - 1));
}

/// \brief Make the token of a residual; the residual less the bias wraps, modulo 2^64.
/// \param centre tokens without an escape are 2 `centre`, \param escapes those on either side
template <class F>
token_t<F> split_residual(sint_t<F, 64> residual, sint_t<F, BIAS_BITS> bias,
                          uint_t<F, SHIFT_BITS> shift, uint_t<F, TOKEN_BITS> centre,
                          uint_t<F, LENGTH_BITS> escapes) {
#pragma HLS INLINE
  using wide = sint_t<F, 64>;
  using whole = uint_t<F, 64>;
  using length_t = uint_t<F, LENGTH_BITS>;
  const whole rest = whole(whole(residual) - whole(wide(bias)));
  const wide shifted = wide(wide(rest) >> shift);
  const wide edge = wide(centre);
  const typename F::bit above = shifted >= edge, below = shifted < wide(-edge);
  // invariant: the distance beyond the centre is at least 1; 1 for what is within has no raw bits
  const whole over = whole(whole(shifted) - whole(edge) + whole(1));
  const whole under = whole(whole(0) - whole(edge) - whole(shifted));
  const whole beyond = F::select(above, over, F::select(below, under, whole(1)));
  const length_t level = bit_length<F, 64>(beyond);
  const length_t tail = length_t(level - length_t(1));
  const wide first = wide(escapes);
  const wide token =
      F::select(above, wide(first + wide(edge << 1) + wide(tail)),
                F::select(below, wide(first - wide(level)), wide(first + edge + shifted)));
  token_t<F> made;
  made.token = uint_t<F, TOKEN_BITS>(token);
  made.raw = whole(whole(low_bits<F>(beyond, tail) << shift) | low_bits<F>(rest, length_t(shift)));
  made.count = length_t(tail + length_t(shift));
  return made;
}

/// \brief A token's escape: how many bits its distance beyond the centre has, 0 without, and side.
template <class F> struct escape_t {
  uint_t<F, LENGTH_BITS> level;
  typename F::bit above;
};

/// \brief The escape of a token below 2 (centre + escapes).
template <class F>
escape_t<F> escape_of(uint_t<F, TOKEN_BITS> token, uint_t<F, TOKEN_BITS> centre,
                      uint_t<F, LENGTH_BITS> escapes) {
#pragma HLS INLINE
  using signed_t = sint_t<F, TOKEN_BITS + 2>;
  const signed_t first = signed_t(escapes),
                 last = signed_t(first + signed_t(signed_t(centre) << 1));
  const signed_t at = signed_t(token), none = 0;
  escape_t<F> escape;
  escape.above = at >= last;
  escape.level =
      uint_t<F, LENGTH_BITS>(F::select(at >= last, signed_t(at - last + signed_t(1)),
                                       F::select(at < first, signed_t(first - at), none)));
  return escape;
}

/// \brief How many raw bits stand behind a token.
template <class F>
uint_t<F, LENGTH_BITS> raw_bits_of(escape_t<F> escape, uint_t<F, SHIFT_BITS> shift) {
#pragma HLS INLINE
  using length_t = uint_t<F, LENGTH_BITS>;
  const length_t tail =
      F::select(escape.level == 0, length_t(0), length_t(escape.level - length_t(1)));
  return length_t(tail + length_t(shift));
}

/// \brief The residual of a token and its raw bits, modulo 2^64.
template <class F>
sint_t<F, 64> join_token(uint_t<F, TOKEN_BITS> token, uint_t<F, 64> raw, escape_t<F> escape,
                         sint_t<F, BIAS_BITS> bias, uint_t<F, SHIFT_BITS> shift,
                         uint_t<F, TOKEN_BITS> centre, uint_t<F, LENGTH_BITS> escapes) {
#pragma HLS INLINE
  using wide = sint_t<F, 64>;
  using whole = uint_t<F, 64>;
  using length_t = uint_t<F, LENGTH_BITS>;
  const typename F::bit plain = escape.level == 0;
  const length_t tail = F::select(plain, length_t(0), length_t(escape.level - length_t(1)));
  const whole beyond = whole(whole(raw >> shift) | whole(whole(1) << tail));
  const whole over = whole(beyond + whole(centre) - whole(1));
  const whole under = whole(whole(0) - whole(centre) - beyond);
  const whole within = whole(whole(token) - whole(centre) - whole(escapes));
  const whole shifted = F::select(plain, within, F::select(escape.above, over, under));
  return wide(
      whole(whole(shifted << shift) + low_bits<F>(raw, length_t(shift)) + whole(wide(bias))));
}

} // namespace pcedge

#endif
