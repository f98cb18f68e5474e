// A beat of the ports: the vendor's own type, or for csim without a vendor tool one of the same name.
#ifndef PCEDGE_PORT_HPP
#define PCEDGE_PORT_HPP

#include "../program/stream.hpp"

#ifdef PCEDGE_STREAM_SHIM

/// \brief A beat of AXI4-Stream with TKEEP, TSTRB and TLAST, named as the vendor's.
/// \tparam D bits of the data
template <int D, int, int, int> struct ap_axiu {
  std::uint32_t data;
  std::uint8_t keep, strb;
  bool last;
};

#else
#include <ap_axi_sdata.h>
#endif

namespace pcedge {

/// A beat of 32 bits with TKEEP, TSTRB and TLAST.
using port_t = ap_axiu<32, 0, 0, 0>;

} // namespace pcedge

#endif
