// Packets of equal size in the parallel engine: which symbols a payload holds (docs/packets.md).
#ifndef PCEDGE_PACKING_HPP
#define PCEDGE_PACKING_HPP

#include "../arith/cells.hpp"
#include "machine.hpp"

namespace pcedge {

/// \brief Keep a digit or byte for later.
template <class K> void push_byte(typename K::stream_t &s, uint_t<typename K::F, 9> digit) {
#pragma HLS INLINE
  const unsigned held = unsigned(s.holds);
  s.held[held] = digit;
  s.holds = typename K::held_t(held + 1);
}

/// \brief Bytes of an encoder's window that lie beyond its payload.
template <class K> unsigned beyond(const typename K::stream_t &s) {
#pragma HLS INLINE
  constexpr unsigned WINDOW = unsigned(K::B / 8);
  return s.room < WINDOW ? WINDOW - s.room : 0u;
}

/// \brief All that is left of a payload, where `cell` is what the window gives it.
/// invariant: since a symbol of any probability had no room, at most P / 8 + 1 bytes
template <class K>
typename K::cell_t whole_cell(const typename K::stream_t &s, uint_t<typename K::F, K::B + 1> cell) {
#pragma HLS INLINE
  return typename K::cell_t(typename K::cell_t(s.passed << (8 * unsigned(s.room))) + cell);
}

/// \brief Let the window begin with what is left of the payload, to be sent digit by digit.
template <class K> void hand_over(typename K::stream_t &s, typename K::cell_t cell) {
#pragma HLS INLINE
  using low_t = uint_t<typename K::F, K::B + 1>;
  s.room = s.rest;
  s.coder.low = low_t(low_t(cell) << (K::B - 8 * int(s.rest)));
}

/// \brief The cell that ends a payload behind which no symbol is left: the first whole one.
template <class K> void pack_rest(typename K::stream_t &s) {
#pragma HLS INLINE
  using F = typename K::F;
  const unsigned open = beyond<K>(s);
  const cells_t<F, K::B> cells = range_cells<F, K::B>(s.coder, open);
  if (s.tight)
    hand_over<K>(s, whole_cell<K>(s, cells.first));
  else
    s.coder.low = uint_t<F, K::B + 1>(cells.first << (8 * open));
}

/// \brief Code a symbol if its interval has a whole cell; else end the packet.
///
/// Of the cells that an interval has in part, at its lower and at its upper end, one will be the
/// payload. So for both is kept how many symbols it says: how many there were when it was last whole.
template <class K>
void pack(typename K::stream_t &s, typename K::bound_t start, typename K::bound_t end) {
#pragma HLS INLINE
  using F = typename K::F;
  constexpr int B = K::B, P = K::P;
  const unsigned open = beyond<K>(s);
  const cells_t<F, B> before = range_cells<F, B>(s.coder, open);
  if (!s.tight && !range_has_room<F, B, P>(s.coder, uint_t<F, P>(unsigned(K::M::floor)), open)) {
    s.tight = true;
    s.rest = std::uint8_t(s.room);
    s.passed = 0;
    s.safe = s.count;
    s.safe_cell = typename K::cell_t(before.first);
    s.lower_says = s.upper_says = 0;
  }
  const range_state_t<F, B> next = range_encode<F, B, P>(s.coder, start, end);
  const cells_t<F, B> cells = range_cells<F, B>(next, open);
  if (cells.first >= cells.end) {
    using cell_t = uint_t<F, B + 1>;
    const cell_t lower = cell_t(next.low >> (8 * open));
    const cell_t upper = cell_t(cell_t(next.low + next.range - 1) >> (8 * open));
    const std::uint32_t below = lower < before.first ? s.lower_says
                                : lower < before.end ? s.count
                                                     : s.upper_says;
    const std::uint32_t above = upper < before.first ? s.lower_says
                                : upper < before.end ? s.count
                                                     : s.upper_says;
    const std::uint32_t most = above > below ? above : below;
    s.sure = most < s.safe;
    s.count = s.sure ? s.safe : most;
    s.over = true;
    hand_over<K>(s, s.sure ? s.safe_cell : whole_cell<K>(s, above > below ? upper : lower));
    return;
  }
  s.lower_says = cells.first > before.first ? s.count : s.lower_says;
  s.upper_says = cells.end < before.end ? s.count : s.upper_says;
  s.count += 1;
  s.coder = next;
bytes:
  for (unsigned i = 0; i < K::SHIFTS; ++i) {
#pragma HLS UNROLL
    if (range_low_on_bits<F, B>(s.coder)) {
      const uint_t<F, 9> digit = range_digit<F, B>(s.coder);
      // A carry into what has passed is added, no byte of which was sent.
      if (s.tight)
        s.passed = typename K::cell_t(typename K::cell_t(s.passed << 8) + digit);
      else
        push_byte<K>(s, digit);
      s.coder = range_shift<F, B>(s.coder, 0);
      s.room = std::uint16_t(s.room - 1);
    }
  }
}

/// \brief Tell whether a symbol that a search has found is in the packet; `next` is the coder behind
/// it. Those of the first record before the packet's place are missing, and so are all behind its end.
template <class K>
bool is_packed(typename K::stream_t &s, const range_state_t<typename K::F, K::B> &next) {
#pragma HLS INLINE
  using F = typename K::F;
  if (s.count > 0) {
    s.count -= 1;
    return false;
  }
  const unsigned open = unsigned(s.unread);
  const bool certain =
      s.sure ? range_has_room<F, K::B, K::P>(s.coder, uint_t<F, K::P>(unsigned(K::M::floor)), open)
             : range_is_certain<F, K::B>(next, open);
  s.over = s.over || !certain || range_left<F, K::B>(next);
  return !s.over;
}

} // namespace pcedge

#endif
