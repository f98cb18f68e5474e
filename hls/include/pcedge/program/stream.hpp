// hls::stream: the vendor's own header, or for csim without a vendor tool this small FIFO of the
// same name.
#ifndef PCEDGE_STREAM_HPP
#define PCEDGE_STREAM_HPP

#ifdef PCEDGE_STREAM_SHIM

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>

namespace pcedge {

/// \brief Ends that are not ready at random, for testbenches: a stream then says that it is empty
/// or full in `share` of 256 cases.
struct stalls_t {
  std::uint32_t share, state;
  bool next() {
    if (share == 0)
      return false;
    state = state * 1664525u + 1013904223u;
    return (state >> 24) < share;
  }
};

inline stalls_t &stalls() {
  static stalls_t shared = {0, 1};
  return shared;
}

} // namespace pcedge

namespace hls {

/// \brief An unbounded FIFO. Reading an empty one is an error of the design: it would wait for ever
/// in hardware.
/// \tparam T type of an element
template <class T> class stream {
public:
  void write(const T &element) { fifo.push_back(element); }
  T read() {
    if (fifo.empty()) {
      std::fprintf(stderr, "read from an empty stream\n");
      std::abort();
    }
    T element = fifo.front();
    fifo.pop_front();
    return element;
  }
  bool empty() const { return fifo.empty() || pcedge::stalls().next(); }
  bool full() const { return pcedge::stalls().next(); }

private:
  std::deque<T> fifo;
};

} // namespace hls

#else
#include <hls_stream.h>
#endif

#endif
