// The likelihood as a layer of an hls4ml model: symbols in, mantissa and exponent out
// (docs/hls4ml.md).
#ifndef PCEDGE_HLS4ML_HPP
#define PCEDGE_HLS4ML_HPP

#include "interpreter.hpp"
#include <ap_fixed.h>
#include <type_traits>

namespace pcedge {

/// \brief The symbol that a number of a network stands for: the nearest integer, halves upwards.
/// \tparam E engine
/// \tparam MISSING what negative integers stand for: true, a missing symbol; false, symbol 0
/// \param value ap_int, ap_uint, ap_fixed or ap_ufixed of any width
/// \param last the last symbol; what is above stands for it
template <class E, bool MISSING, class T>
typename std::enable_if<!std::is_floating_point<T>::value, typename E::symbol_t>::type
nearest_symbol(const T &value, unsigned last) {
#pragma HLS INLINE
  using symbol_t = typename E::symbol_t;
  const ap_fixed<32, 32, AP_RND, AP_SAT> nearest = value;
  const ap_int<32> integer = nearest.to_ap_int_base();
  // invariant: the code of all ones is above every symbol, so only a negative integer becomes it
  if (integer < 0)
    return symbol_t(MISSING ? E::MISSING : 0);
  return integer > ap_int<33>(last) ? symbol_t(last) : symbol_t(integer);
}

/// \brief The same for a number of a network of floats; NaN, which is no number, is a missing symbol.
template <class E, bool MISSING, class T>
typename std::enable_if<std::is_floating_point<T>::value, typename E::symbol_t>::type
nearest_symbol(const T &value, unsigned last) {
#pragma HLS INLINE
  if (value != value)
    return typename E::symbol_t(E::MISSING);
  // invariant: within 2^30 either way, where the conversion to fixed point is exact or rounds;
  // an infinity would be no number to it
  const T bound = T(1 << 30);
  const T near = value > bound ? bound : value < -bound ? -bound : value;
  return nearest_symbol<E, MISSING>(ap_fixed<64, 32>(near), last);
}

/// \brief Replay the likelihood program on the symbols of the engine.
/// \param mantissa, exponent the probability is mantissa * 2^exponent
template <class M, class E, class R> void replay_likelihood(E &engine, R &mantissa, R &exponent) {
  static_assert(std::is_same<R, ap_int<EXPONENT_BITS>>::value, "the result must hold exponents");
steps:
  for (unsigned s = 0; M::likelihood_program::more(s) != 0; s = M::likelihood_program::next(s))
    engine.run(decode_step<typename M::likelihood_program>(s));
  mantissa = R(engine.state[M::likelihood_result]);
  exponent = R(engine.exponents[M::likelihood_result_exponent]);
}

/// \brief The layer for io_parallel.
/// \tparam T type of an input, \tparam R type of an output
/// \tparam CONFIG the layer's configuration: `config`, `memories` and `missing` (generated)
template <class T, class R, class CONFIG>
void likelihood_layer(T symbols[CONFIG::config::variables], R likelihood[2]) {
  using C = typename CONFIG::config;
  using M = typename CONFIG::memories;
  using E = engine_t<C, M>;
  static E engine;
read_symbols:
  for (unsigned v = 0; v < C::variables; ++v) {
#pragma HLS PIPELINE II = 1
    engine.symbols[v] =
        nearest_symbol<E, CONFIG::missing>(symbols[v], M::variables::cardinality(v) - 1);
  }
  replay_likelihood<M>(engine, likelihood[0], likelihood[1]);
}

/// \brief The layer for io_stream: T and R are hls4ml's arrays, with `size` entries each.
template <class T, class R, class CONFIG>
void likelihood_layer(hls::stream<T> &symbols, hls::stream<R> &likelihood) {
  using C = typename CONFIG::config;
  using M = typename CONFIG::memories;
  using E = engine_t<C, M>;
  static_assert(C::variables % T::size == 0, "a record must be whole beats");
  static_assert(R::size == 2, "the result is one beat: mantissa and exponent");
  static E engine;
read_beats:
  for (unsigned first = 0; first < C::variables; first += T::size) {
    const T beat = symbols.read();
  read_symbols:
    for (unsigned k = 0; k < T::size; ++k) {
#pragma HLS PIPELINE II = 1
      engine.symbols[first + k] =
          nearest_symbol<E, CONFIG::missing>(beat[k], M::variables::cardinality(first + k) - 1);
    }
  }
  R result;
  replay_likelihood<M>(engine, result[0], result[1]);
  likelihood.write(result);
}

} // namespace pcedge

#endif
