// A lane of numbers to classes, tokens and raw bits, and back, whoever takes or gives the tokens; and
// the kernels behind the tops pc_predict and pc_restore (docs/predictor.md, section Kernel).
#ifndef PCEDGE_PREDICT_LANE_HPP
#define PCEDGE_PREDICT_LANE_HPP

#include "raw.hpp"
#include "stage.hpp"
#include "token.hpp"

namespace pcedge {

/// What was wrong with a lane; then nothing of it must be used.
enum stage_status_t : std::uint32_t {
  STAGE_FINE = 0,
  OUT_OF_RANGE = 1,   ///< a number is out of the range of its column
  NUMBERS_FRAME = 2,  ///< TLAST was not at the last number
  FEW_RAW_BITS = 4,   ///< there are fewer raw bits than the tokens have
  MANY_RAW_BITS = 8,  ///< there are more
  RAW_BITS_REST = 16, ///< the last byte does not end in zeros
  NO_TOKEN = 32,      ///< a symbol is no token
  OTHER_TOKEN = 64,   ///< a residual has a token of its own, and came under another
  DAMAGED_LANE = 128  ///< no encoder wrote the bytes of the tokens
};

/// \brief Types of the stage's ports.
/// \tparam S the stage (generated)
template <class S> struct stage_ports_t {
  static constexpr int DATA_BITS = S::data_bits;
  /// A number, as the data's type has it.
  using number_port = beat_t<DATA_BITS>;
  /// A symbol, as the engine takes it.
  using symbol_port = beat_t<32>;
};

/// \brief A number of the data in 64 bits, modulo 2^64.
template <class S> std::uint64_t extended_number(ap_uint<S::data_bits> data) {
#pragma HLS INLINE
  constexpr int BITS = S::data_bits;
  constexpr std::uint64_t ABOVE = BITS < 64 ? ~std::uint64_t(0) << (BITS < 64 ? BITS : 0) : 0;
  const std::uint64_t bits = data.to_uint64();
  const bool negative = S::data_signed && (bits >> (BITS - 1) & 1) != 0;
  return negative ? bits | ABOVE : bits;
}

/// \brief A number of the data, its group's origin taken off, modulo 2^64.
template <class S>
sint_t<typename S::integers, 64> centred_number(ap_uint<S::data_bits> data, std::uint32_t group) {
#pragma HLS INLINE
  using F = typename S::integers;
  using whole = uint_t<F, 64>;
  return sint_t<F, 64>(whole(whole(extended_number<S>(data)) - whole(S::origin(group))));
}

/// \brief A number of the data from one without its origin.
template <class S>
ap_uint<S::data_bits> restored_number(sint_t<typename S::integers, 64> number,
                                      std::uint32_t group) {
#pragma HLS INLINE
  using whole = uint_t<typename S::integers, 64>;
  const whole sum = whole(whole(number) + whole(S::origin(group)));
  return ap_uint<S::data_bits>(std::uint64_t(sum));
}

/// Tokens that a residual has by its size; those of listed residuals come behind them.
template <class S> constexpr std::uint32_t plain_tokens() { return 2 * (S::centre + S::escapes); }

/// \brief The place of a residual among those that are listed, which ascend; their number if it is
/// none of them.
template <class S> std::uint32_t listed_place(sint_t<typename S::integers, 64> residual) {
  using wide = sint_t<typename S::integers, 64>;
  std::uint32_t low = 0, high = S::listed_residuals;
search:
  while (low < high) {
#pragma HLS PIPELINE
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 13
    const std::uint32_t middle = (low + high) / 2;
    const bool below = wide(S::listed(middle)) < residual;
    low = below ? middle + 1 : low;
    high = below ? high : middle;
  }
  const bool found = low < S::listed_residuals && wide(S::listed(low)) == residual;
  return found ? low : S::listed_residuals;
}

/// \brief The token of a residual, and its raw bits.
template <class S>
token_t<typename S::integers> token_of(sint_t<typename S::integers, 64> residual,
                                       std::uint32_t chosen) {
  using F = typename S::integers;
  const std::uint32_t place = listed_place<S>(residual);
  token_t<F> made = split_residual<F>(
      residual, sint_t<F, BIAS_BITS>(S::bias(chosen)), uint_t<F, SHIFT_BITS>(S::shift(chosen)),
      uint_t<F, TOKEN_BITS>(S::centre), uint_t<F, LENGTH_BITS>(S::escapes));
  if (place != S::listed_residuals) {
    made.token = uint_t<F, TOKEN_BITS>(plain_tokens<S>() + place);
    made.count = 0;
  }
  return made;
}

/// \brief Map a lane of rows: to each number's class and token, and all raw bits.
/// \param numbers one packet, in which a missing number is a beat without data
/// \param sink takes class and token of each number: `put(class, token, out)`
/// \param raw one packet of bytes
/// \return bits of `stage_status_t`
template <class S, class SINK, class OUT>
std::uint32_t predict_lane(hls::stream<typename stage_ports_t<S>::number_port> &numbers, SINK &sink,
                           OUT &out, hls::stream<raw_port_t> &raw, std::uint32_t rows) {
  using F = typename S::integers;
  static stage_t<S> stage;
  raw_writer_t<F> writer;
  std::uint32_t status = STAGE_FINE;
  bool ended = rows == 0;
  if (rows == 0)
    return status;
  stage.begin();
  writer.begin();
rows_loop:
  for (std::uint32_t r = 0; r != rows; ++r) {
  columns:
    for (std::uint32_t c = 0; c != S::columns; ++c) {
      if (ended)
        break;
      const outlook_t<F> outlook = stage.predict();
      const typename stage_ports_t<S>::number_port beat = numbers.read();
      ended = beat.last.to_bool();
      // A missing number counts as its prediction, and its token is the last one.
      const bool missing = S::marks_missing && !beat.keep.or_reduce();
      const sint_t<F, 64> number =
          missing ? outlook.prediction : centred_number<S>(beat.data, outlook.group);
      status |= missing || stage_t<S>::inside(outlook.group, number) ? STAGE_FINE : OUT_OF_RANGE;
      if (ended && (r + 1 != rows || c + 1 != S::columns))
        status |= NUMBERS_FRAME;
      token_t<F> made =
          token_of<S>(stage_t<S>::difference(number, outlook.prediction), outlook.chosen);
      if (missing) {
        made.token = uint_t<F, TOKEN_BITS>(S::tokens - 1);
        made.count = 0;
      }
      sink.put(outlook.chosen, std::uint32_t(made.token), out);
      writer.put(made.raw, made.count, raw);
      stage.observe(outlook, number);
    }
  }
drain:
  while (!ended) {
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 1
    status |= NUMBERS_FRAME;
    ended = numbers.read().last.to_bool();
  }
  writer.end(raw);
  return status;
}

/// \brief Restore a lane of rows: each class is known before its token.
/// \param source gives the token of each number: `take(class, in)`
/// \param raw one packet of bytes; \param numbers one packet
/// \return bits of `stage_status_t`
template <class S, class SOURCE, class IN>
std::uint32_t restore_lane(SOURCE &source, IN &in, hls::stream<raw_port_t> &raw,
                           hls::stream<typename stage_ports_t<S>::number_port> &numbers,
                           std::uint32_t rows) {
  using F = typename S::integers;
  using bias_t = sint_t<F, BIAS_BITS>;
  using shift_t = uint_t<F, SHIFT_BITS>;
  using token_bits_t = uint_t<F, TOKEN_BITS>;
  using length_t = uint_t<F, LENGTH_BITS>;
  static stage_t<S> stage;
  raw_reader_t<F> reader;
  std::uint32_t status = STAGE_FINE;
  if (rows == 0)
    return status;
  stage.begin();
  reader.begin();
rows_loop:
  for (std::uint32_t r = 0; r != rows; ++r) {
  columns:
    for (std::uint32_t c = 0; c != S::columns; ++c) {
      const outlook_t<F> outlook = stage.predict();
      const std::uint32_t symbol = source.take(outlook.chosen, in);
      status |= symbol < S::tokens ? STAGE_FINE : NO_TOKEN;
      const std::uint32_t held = symbol < S::tokens ? symbol : S::tokens - 1;
      const bool missing = S::marks_missing && held == S::tokens - 1;
      const bool listed = !missing && held >= plain_tokens<S>();
      const token_bits_t token = token_bits_t(listed || missing ? plain_tokens<S>() - 1 : held);
      const bias_t bias = bias_t(S::bias(outlook.chosen));
      const shift_t shift = shift_t(S::shift(outlook.chosen));
      const escape_t<F> escape = escape_of<F>(token, token_bits_t(S::centre), length_t(S::escapes));
      const length_t count =
          listed || missing ? length_t(0) : length_t(raw_bits_of<F>(escape, shift));
      const uint_t<F, 64> bits = reader.take(count, raw);
      sint_t<F, 64> residual = join_token<F>(token, bits, escape, bias, shift,
                                             token_bits_t(S::centre), length_t(S::escapes));
      if (!listed && !missing && listed_place<S>(residual) != S::listed_residuals)
        status |= OTHER_TOKEN;
      if (listed)
        residual = sint_t<F, 64>(S::listed(held - plain_tokens<S>()));
      if (missing)
        residual = 0;
      const sint_t<F, 64> number =
          sint_t<F, 64>(uint_t<F, 64>(uint_t<F, 64>(outlook.prediction) + uint_t<F, 64>(residual)));
      status |= missing || stage_t<S>::inside(outlook.group, number) ? STAGE_FINE : OUT_OF_RANGE;
      const bool last = r + 1 == rows && c + 1 == S::columns;
      typename stage_ports_t<S>::number_port out =
          full_beat<S::data_bits>(restored_number<S>(number, outlook.group), last);
      if (missing) {
        out.data = 0;
        out.keep = 0;
        out.strb = 0;
      }
      numbers.write(out);
      stage.observe(outlook, number);
    }
  }
  status |= reader.end(raw) ? STAGE_FINE : RAW_BITS_REST;
  status |= reader.few ? FEW_RAW_BITS : STAGE_FINE;
  status |= reader.many ? MANY_RAW_BITS : STAGE_FINE;
  return status;
}

/// \brief Gives class and token of a number as a packet, as an engine takes it.
struct record_sink_t {
  template <class PORT>
  void put(std::uint32_t chosen, std::uint32_t token, hls::stream<PORT> &symbols) {
#pragma HLS INLINE
    symbols.write(full_beat<32>(ap_uint<32>(chosen), false));
    symbols.write(full_beat<32>(ap_uint<32>(token), true));
  }
};

/// \brief Gives a number's class, a packet, to who then gives its token, whatever its TLAST.
template <class PORT> struct asking_source_t {
  hls::stream<PORT> &classes;
  std::uint32_t take(std::uint32_t chosen, hls::stream<PORT> &symbols) {
#pragma HLS INLINE
    classes.write(full_beat<32>(ap_uint<32>(chosen), true));
    return symbols.read().data.to_uint();
  }
};

/// \brief Map a lane of rows to records of class and token, and raw bits.
template <class S>
std::uint32_t predict_kernel(hls::stream<typename stage_ports_t<S>::number_port> &numbers,
                             hls::stream<typename stage_ports_t<S>::symbol_port> &symbols,
                             hls::stream<raw_port_t> &raw, std::uint32_t rows) {
  record_sink_t sink;
  return predict_lane<S>(numbers, sink, symbols, raw, rows);
}

/// \brief Restore a lane of rows: each class goes out before its token comes in.
template <class S>
std::uint32_t restore_kernel(hls::stream<typename stage_ports_t<S>::symbol_port> &symbols,
                             hls::stream<raw_port_t> &raw,
                             hls::stream<typename stage_ports_t<S>::symbol_port> &classes,
                             hls::stream<typename stage_ports_t<S>::number_port> &numbers,
                             std::uint32_t rows) {
  asking_source_t<typename stage_ports_t<S>::symbol_port> source = {classes};
  return restore_lane<S>(source, symbols, raw, numbers, rows);
}

} // namespace pcedge

#endif
