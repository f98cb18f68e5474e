// Families of integer types: the kernels are templates over a family, so that one text runs on
// ap_uint in hardware and in csim, on plain 64-bit integers on a CPU, and on symbolic bit-vectors
// in a solver.
#ifndef PCEDGE_INTEGERS_HPP
#define PCEDGE_INTEGERS_HPP

// The vendor's numbers have no value before the first assignment, which an optimiser that inlines
// them reports here and not where it would mean something. Only this header is excused from it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <ap_int.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#include <cstdint>
#include <limits>

namespace pcedge {

/// \brief Exact widths: every signal is as wide as docs/arithmetic.md proves that it must be.
struct ap_integers {
  template <int N> using u = ap_uint<N>;
  template <int N> using s = ap_int<N>;
  using bit = bool;
  /// \brief A multiplexer; both inputs are computed.
  template <class T> static T select(bit condition, T yes, T no) { return condition ? yes : no; }
};

/// \brief 64-bit integers of the CPU; exact because no signal needs more than 53 bits.
struct plain_integers {
  template <int N> using u = std::uint64_t;
  template <int N> using s = std::int64_t;
  using bit = bool;
  template <class T> static T select(bit condition, T yes, T no) { return condition ? yes : no; }
};

template <class F, int N> using uint_t = typename F::template u<N>;
template <class F, int N> using sint_t = typename F::template s<N>;

// Sizes and addresses are `unsigned` and std::uint32_t, one for the other, modulo 2^32.
static_assert(std::numeric_limits<unsigned>::digits == 32, "unsigned must have 32 bits");

/// \brief 2^N in 64 bits, whatever `long` has: 32 on some machines, 64 on others.
template <int N> constexpr std::uint64_t power_of_two() {
  static_assert(N >= 0 && N < 64, "a power of two must fit 64 bits");
  return std::uint64_t(1) << N;
}
static_assert(power_of_two<48>() == 281474976710656, "2^48 must not be cut to 32 bits");

/// \brief The least b with 2^b >= n.
constexpr int ceil_log2(std::int64_t n) { return n <= 1 ? 0 : 1 + ceil_log2((n + 1) / 2); }

constexpr int max_of(int a, int b) { return a > b ? a : b; }

} // namespace pcedge

#endif
