// What a payload of a fixed number of bytes says of a coder's interval, pure functions (docs/packets.md).
#ifndef PCEDGE_CELLS_HPP
#define PCEDGE_CELLS_HPP

#include "range_coder.hpp"

namespace pcedge {

/// \brief One less than the cells' size in a coder's window, of whose bytes `open` are not in the
/// payload: an encoder's beyond its end, a decoder's that it has not read.
/// \param open 0 .. B / 8
template <class F, int B> uint_t<F, B> cell_fill(unsigned open) {
#pragma HLS INLINE
  const uint_t<F, B + 1> size = uint_t<F, B + 1>(uint_t<F, B + 1>(1) << (8 * open));
  return uint_t<F, B>(size - 1);
}

/// \brief The whole cells inside an interval: `first` to `end` - 1, none where `end` is not above.
template <class F, int B> struct cells_t {
  uint_t<F, B + 1> first, end;
};

/// \brief Count the whole cells inside an encoder's interval.
template <class F, int B>
cells_t<F, B> range_cells(const range_state_t<F, B> &state, unsigned open) {
#pragma HLS INLINE
  cells_t<F, B> cells;
  cells.first = uint_t<F, B + 1>(uint_t<F, B + 2>(state.low + cell_fill<F, B>(open)) >> (8 * open));
  cells.end = uint_t<F, B + 1>(uint_t<F, B + 1>(state.low + state.range) >> (8 * open));
  return cells;
}

/// \brief Rule 1: whether a symbol of any probability would have two cells.
template <class F, int B, int P>
typename F::bit range_has_room(const range_state_t<F, B> &state, uint_t<F, P> floor,
                               unsigned open) {
#pragma HLS INLINE
  const uint_t<F, B - P> unit = uint_t<F, B - P>(state.range >> P);
  return uint_t<F, B>(uint_t<F, B>(unit * floor) >> (8 * open)) >= 2;
}

/// \brief Rule 0, for a decoder that has taken a symbol: whether all that may follow lies in it.
template <class F, int B>
typename F::bit range_is_certain(const range_state_t<F, B> &state, unsigned open) {
#pragma HLS INLINE
  return uint_t<F, B + 2>(state.low + cell_fill<F, B>(open)) < state.range;
}

} // namespace pcedge

#endif
