// The codec of a lane of numbers: predictor stage, intervals of tokens given their class, range coder
// (docs/predictor.md, sections Coding and Kernel); the kernels behind pc_pack and pc_unpack.
#ifndef PCEDGE_PREDICT_CODER_HPP
#define PCEDGE_PREDICT_CODER_HPP

#include "../arith/interval.hpp"
#include "../sequential/lane_bytes.hpp"
#include "lane.hpp"

namespace pcedge {

/// \brief Intervals of tokens: of each class the context that the code schedule leaves, and the
/// tables of the token.
/// \tparam T widths, sizes and tables (generated)
template <class T> struct token_intervals_t {
  using F = typename T::integers;
  static constexpr int P = T::scale_bits;
  static constexpr int L = T::leaf_bits;
  static constexpr int SUM = T::context_sum_bits;
  static constexpr int MIX = T::weighted_bits;
  using scale_t = interval_scale_t<F, P>;
  using bound_t = uint_t<F, P + 1>;

  /// \brief What all tokens of a class share.
  static scale_t prepare(std::uint32_t chosen) {
    uint_t<F, SUM> total = 0;
  units:
    for (std::uint32_t k = 0; k != T::units; ++k) {
#pragma HLS PIPELINE II = 1
      total = uint_t<F, SUM>(total + uint_t<F, T::state_bits>(T::context(chosen * T::units + k)));
    }
    return interval_scale<F, SUM, L, P>(
        total, floors_of<F, TOKEN_BITS, P>(T::tokens, std::uint32_t(T::floor)));
  }

  /// \brief The lower end of a token's interval; that of the number of tokens is the last end.
  static bound_t bound(std::uint32_t chosen, std::uint32_t token, const scale_t &prepared) {
    uint_t<F, MIX> weighted = 0;
  units:
    for (std::uint32_t k = 0; k != T::units; ++k) {
#pragma HLS PIPELINE II = 1
      const uint_t<F, T::state_bits> weight =
          uint_t<F, T::state_bits>(T::context(chosen * T::units + k));
      const uint_t<F, L + 1> below = uint_t<F, L + 1>(T::table(token * T::units + k));
      weighted = uint_t<F, MIX>(weighted + uint_t<F, T::state_bits + L + 1>(weight * below));
    }
    return interval_bound<F, MIX, P>(
        weighted, floors_of<F, TOKEN_BITS, P>(token, std::uint32_t(T::floor)), prepared);
  }
};

/// \brief Takes classes and tokens, and gives the bytes of a lane.
template <class T> struct token_encoder_t {
  using F = typename T::integers;
  using intervals = token_intervals_t<T>;
  static constexpr int B = T::range_bits;
  static constexpr int P = T::scale_bits;
  range_state_t<F, B> coder;
  carry_state_t<F> carry;

  void begin() {
    coder = range_start<F, B>();
    carry = carry_start<F>();
  }

  void put(std::uint32_t chosen, std::uint32_t token, hls::stream<lane_byte_t<F>> &out) {
    const typename intervals::scale_t prepared = intervals::prepare(chosen);
    coder = range_encode<F, B, P>(coder, intervals::bound(chosen, token, prepared),
                                  intervals::bound(chosen, token + 1, prepared));
  bytes:
    for (int k = 0; k < P / 8; ++k) {
      if (range_low_on_bits<F, B>(coder)) {
        carry = put_digit<F>(carry, range_digit<F, B>(coder), out);
        coder = range_shift<F, B>(coder, 0);
      }
    }
  }

  void end(hls::stream<lane_byte_t<F>> &out) {
    carry = put_digit<F>(carry, range_flush<F, B>(coder), out);
    end_lane<F>(carry, out);
  }
};

/// \brief Takes the bytes of a lane, and gives the token of each class.
template <class T> struct token_decoder_t {
  using F = typename T::integers;
  using intervals = token_intervals_t<T>;
  using bound_t = typename intervals::bound_t;
  static constexpr int B = T::range_bits;
  static constexpr int P = T::scale_bits;
  range_state_t<F, B> coder;
  bool ended, damaged;
  std::uint32_t came, shifted;

  void begin(hls::stream<lane_byte_t<F>> &in) {
    coder = range_start<F, B>();
    ended = false;
    damaged = false;
    came = 0;
    shifted = 0;
  first_bytes:
    for (int k = 0; k < B / 8; ++k)
      coder.low = uint_t<F, B + 1>(uint_t<F, B>(coder.low << 8) | uint_t<F, B>(next(in)));
  }

  std::uint32_t take(std::uint32_t chosen, hls::stream<lane_byte_t<F>> &in) {
    const typename intervals::scale_t prepared = intervals::prepare(chosen);
    std::uint32_t token = 0;
    bound_t start = 0;
    bound_t end = intervals::bound(chosen, T::tokens, prepared);
  search:
    for (int k = ceil_log2(T::tokens) - 1; k >= 0; --k) {
      const std::uint32_t probe = token + (std::uint32_t(1) << k);
      const bool inside = probe < T::tokens;
      const bound_t lower = intervals::bound(chosen, inside ? probe : token, prepared);
      const bool taken = inside && range_reached<F, B, P>(coder, lower);
      end = F::select(inside && !taken, lower, end);
      token = taken ? probe : token;
      start = F::select(taken, lower, start);
    }
    coder = range_decode<F, B, P>(coder, start, end);
    damaged = damaged || range_left<F, B>(coder);
    coder = range_hold<F, B>(coder);
  bytes:
    for (int k = 0; k < P / 8; ++k) {
      if (range_low_on_bits<F, B>(coder)) {
        coder = range_shift<F, B>(coder, next(in));
        shifted += 1;
      }
    }
    return token;
  }

  /// \brief Take what is left of the lane.
  /// \return whether an encoder can have written it: one byte more than its tokens move
  bool end(hls::stream<lane_byte_t<F>> &in) {
  drain:
    while (!ended)
      (void)next(in);
    return !damaged && came == shifted + 1;
  }

private:
  uint_t<F, 8> next(hls::stream<lane_byte_t<F>> &in) {
#pragma HLS INLINE
    came += ended ? 0 : 1;
    return lane_next<F>(in, ended);
  }
};

/// \brief Encode the rows of one lane.
/// \tparam S the stage, \tparam T intervals of its tokens (both generated)
/// \return bits of `stage_status_t`
template <class S, class T>
std::uint32_t pack_kernel(hls::stream<typename stage_ports_t<S>::number_port> &numbers,
                          hls::stream<lane_byte_t<typename T::integers>> &bytes,
                          hls::stream<raw_port_t> &raw, std::uint32_t rows) {
  token_encoder_t<T> encoder;
  encoder.begin();
  const std::uint32_t status = predict_lane<S>(numbers, encoder, bytes, raw, rows);
  if (rows != 0)
    encoder.end(bytes);
  return status;
}

/// \brief Restore the rows of one lane.
template <class S, class T>
std::uint32_t
unpack_kernel(hls::stream<lane_byte_t<typename T::integers>> &bytes, hls::stream<raw_port_t> &raw,
              hls::stream<typename stage_ports_t<S>::number_port> &numbers, std::uint32_t rows) {
  token_decoder_t<T> decoder;
  if (rows == 0)
    return STAGE_FINE;
  decoder.begin(bytes);
  const std::uint32_t status = restore_lane<S>(decoder, bytes, raw, numbers, rows);
  return decoder.end(bytes) ? status : status | DAMAGED_LANE;
}

} // namespace pcedge

#endif
