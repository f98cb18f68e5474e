// The three kernels behind the tops pc_likelihood, pc_encode and pc_decode.
#ifndef PCEDGE_KERNELS_HPP
#define PCEDGE_KERNELS_HPP

#include "interpreter.hpp"
#include "lane_bytes.hpp"
#include "observer.hpp"

namespace pcedge {

/// \brief Compute the probability of every record; missing symbols are summed out.
/// \tparam C configuration, \tparam M memories
template <class C, class M>
void likelihood_kernel(hls::stream<typename engine_t<C, M>::symbol_t> &in,
                       hls::stream<likelihood_t<C>> &out, unsigned records) {
  using E = engine_t<C, M>;
  static E engine;
  step_observer observer;
records_loop:
  for (unsigned r = 0; r < records; ++r) {
    engine.read(in);
  steps:
    for (unsigned s = 0; M::likelihood_program::more(s) != 0; s = M::likelihood_program::next(s)) {
      const step_t step = decode_step<typename M::likelihood_program>(s);
      engine.run(step);
      observer.step(engine, step);
    }
    likelihood_t<C> result;
    result.mantissa = engine.state[M::likelihood_result];
    result.exponent = engine.exponents[M::likelihood_result_exponent];
    out.write(result);
  }
}

/// \brief Encode the records of one lane.
/// \tparam C configuration, \tparam M memories
template <class C, class M>
void encode_kernel(hls::stream<typename engine_t<C, M>::symbol_t> &in,
                   hls::stream<lane_byte_t<typename C::integers>> &out, unsigned records) {
  using E = engine_t<C, M>;
  using F = typename C::integers;
  using bound_t = typename E::bound_t;
  static E engine;
  step_observer observer;
  range_state_t<F, C::range_bits> coder = range_start<F, C::range_bits>();
  carry_state_t<F> carry = carry_start<F>();
records_loop:
  for (unsigned r = 0; r < records; ++r) {
    engine.read(in);
  steps:
    for (unsigned s = 0; M::code_program::more(s) != 0; s = M::code_program::next(s)) {
      const step_t step = decode_step<typename M::code_program>(s);
      if (step.kind != INTERVAL) {
        engine.run(step);
        observer.step(engine, step);
        continue;
      }
      // A missing symbol has the interval [0, 0): nothing is coded.
      const leaf_t leaf = E::leaf_of(step);
      const bool missing = engine.symbols[step.variable] == typename E::symbol_t(E::MISSING);
      const unsigned symbol = engine.bounded_symbol(step, leaf);
      const interval_scale_t<F, C::scale_bits> prepared = engine.prepare(step, leaf);
      const bound_t none = 0;
      const bound_t start = F::select(missing, none, engine.bound(step, leaf, symbol, prepared));
      const bound_t end = F::select(missing, none, engine.bound(step, leaf, symbol + 1, prepared));
      observer.interval(start, end);
      if (missing)
        continue;
      coder = range_encode<F, C::range_bits, C::scale_bits>(coder, start, end);
    bytes:
      for (int k = 0; k < C::scale_bits / 8; ++k) {
        if (range_low_on_bits<F, C::range_bits>(coder)) {
          carry = put_digit<F>(carry, range_digit<F, C::range_bits>(coder), out);
          coder = range_shift<F, C::range_bits>(coder, 0);
        }
      }
    }
  }
  carry = put_digit<F>(carry, range_flush<F, C::range_bits>(coder), out);
  end_lane<F>(carry, out);
}

/// \brief Decode the records of one lane; the whole lane is read, also where it is longer than the
/// records need.
/// \tparam C configuration, \tparam M memories
template <class C, class M>
void decode_kernel(hls::stream<lane_byte_t<typename C::integers>> &in,
                   hls::stream<typename engine_t<C, M>::symbol_t> &out, unsigned records) {
  using E = engine_t<C, M>;
  using F = typename C::integers;
  using bound_t = typename E::bound_t;
  constexpr int B = C::range_bits;
  constexpr int P = C::scale_bits;
  static E engine;
  step_observer observer;
  bool ended = false;
  range_state_t<F, B> coder = range_start<F, B>();
first_bytes:
  for (int k = 0; k < B / 8; ++k)
    coder.low =
        uint_t<F, B + 1>(uint_t<F, B>(coder.low << 8) | uint_t<F, B>(lane_next<F>(in, ended)));
records_loop:
  for (unsigned r = 0; r < records; ++r) {
  steps:
    for (unsigned s = 0; M::code_program::more(s) != 0; s = M::code_program::next(s)) {
      const step_t step = decode_step<typename M::code_program>(s);
      if (step.kind != INTERVAL) {
        engine.run(step);
        observer.step(engine, step);
        continue;
      }
      const leaf_t leaf = E::leaf_of(step);
      const interval_scale_t<F, P> prepared = engine.prepare(step, leaf);
      unsigned symbol = 0;
      bound_t start = 0;
    search:
      for (int k = ceil_log2(C::cardinality) - 1; k >= 0; --k) {
        // invariant: the position is at or above `start`, the lower end of `symbol`
        const unsigned probe = symbol + (1u << k);
        const bool inside = probe < leaf.cardinality;
        const unsigned safe = inside ? probe : symbol;
        const bound_t lower = engine.bound(step, leaf, safe, prepared);
        const bool taken = inside && range_reached<F, B, P>(coder, lower);
        symbol = taken ? probe : symbol;
        start = F::select(taken, lower, start);
      }
      const bound_t end = engine.bound(step, leaf, symbol + 1, prepared);
      observer.interval(start, end);
      engine.symbols[step.variable] = typename E::symbol_t(symbol);
      coder = range_hold<F, B>(range_decode<F, B, P>(coder, start, end));
    bytes:
      for (int k = 0; k < P / 8; ++k) {
        if (range_low_on_bits<F, B>(coder))
          coder = range_shift<F, B>(coder, lane_next<F>(in, ended));
      }
    }
    engine.write(out);
  }
drain:
  while (!ended)
    (void)lane_next<F>(in, ended);
}

} // namespace pcedge

#endif
