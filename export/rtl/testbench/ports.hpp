// For testbenches in Verilator: ports of a top, of which some hold a word of every stream, and what goes through them.
#ifndef PCEDGE_PORTS_HPP
#define PCEDGE_PORTS_HPP

#include "verilated.h"

#include <cstddef>
#include <cstdint>

namespace pcedge {

/// \brief Set a port of at most 64 bits.
template <class T> void set(T &port, std::uint64_t value) { port = static_cast<T>(value); }

/// \brief Set the word of a stream in a port that holds those of all; two of 32 bits are a number, more an array.
template <class T> void put_word(T &port, unsigned place, std::uint32_t word) {
  const unsigned shift = 32 * place;
  set(port, (static_cast<std::uint64_t>(port) & ~(0xffffffffull << shift)) |
                static_cast<std::uint64_t>(word) << shift);
}
template <std::size_t N> void put_word(VlWide<N> &port, unsigned place, std::uint32_t word) {
  port[place] = word;
}

/// \brief Get the word of a stream.
template <class T> std::uint32_t get_word(const T &port, unsigned place) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(port) >> (32 * place));
}
template <std::size_t N> std::uint32_t get_word(const VlWide<N> &port, unsigned place) {
  return port[place];
}

/// \brief A word on a stream, and its TLAST: as requests and replies have them, one behind the other.
struct beat_t {
  std::uint32_t data, last;
  bool operator==(const beat_t &other) const { return data == other.data && last == other.last; }
};
static_assert(sizeof(beat_t) == 8, "beats are read and written as pairs of numbers");

} // namespace pcedge

#endif
