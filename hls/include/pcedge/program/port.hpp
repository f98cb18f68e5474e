// A beat of AXI4-Stream: the vendor's own type, or for csim without a vendor tool one of the same name.
#ifndef PCEDGE_PORT_HPP
#define PCEDGE_PORT_HPP

#include "../arith/integers.hpp"
#include "stream.hpp"

#ifdef PCEDGE_STREAM_SHIM

/// \brief A beat with TKEEP, TSTRB and TLAST, named as the vendor's.
/// \tparam D bits of the data
template <int D, int, int, int> struct ap_axiu {
  ap_uint<D> data;
  ap_uint<(D + 7) / 8> keep, strb;
  ap_uint<1> last;
};

#else
#include <ap_axi_sdata.h>
#endif

namespace pcedge {

/// A beat of D bits without TUSER, TID and TDEST.
template <int D> using beat_t = ap_axiu<D, 0, 0, 0>;

/// \brief A beat all of whose bytes are data.
template <int D> beat_t<D> full_beat(ap_uint<D> data, bool last) {
#pragma HLS INLINE
  beat_t<D> beat;
  beat.data = data;
  beat.keep = -1;
  beat.strb = -1;
  beat.last = last ? 1 : 0;
  return beat;
}

} // namespace pcedge

#endif
