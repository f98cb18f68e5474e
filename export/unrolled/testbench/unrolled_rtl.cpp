// The streams of an unrolled kernel in Verilator: records from a file, results into a file.
//
//   pcedge_top RECORDS RESULTS RECORD_BYTES STALLS SEED
//
// RECORDS holds beats of RECORD_BYTES each, RESULTS gets mantissa, exponent and score of every
// record, four bytes each. In STALLS of 256 cycles an end of a stream is not ready. The last record
// alone has TLAST. It prints the cycles from the first record to its result, and of the whole run.
#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <vector>

#include "Vpcedge_top.h"
#include "verilated.h"

namespace {

/// Bytes of a result that mean something.
constexpr std::size_t RESULT_BYTES = 12;

/// A stream that moves nothing for so many cycles never will.
constexpr std::uint64_t PATIENCE = 100000;

int fail(const char *text) {
  std::fprintf(stderr, "%s\n", text);
  return 2;
}

} // namespace

int main(int count, char **words) {
  if (count != 6)
    return fail("usage: pcedge_top RECORDS RESULTS RECORD_BYTES STALLS SEED");
  std::ifstream source(words[1], std::ios::binary);
  if (!source)
    return fail("RECORDS must be a file that can be read");
  const std::vector<char> records{std::istreambuf_iterator<char>(source), {}};
  const std::size_t size = std::strtoul(words[3], nullptr, 10);
  const auto context = std::make_unique<VerilatedContext>();
  const auto top = std::make_unique<Vpcedge_top>(context.get(), "top");
  if (size == 0 || size > sizeof(top->s_axis_tdata) || records.size() % size != 0)
    return fail("RECORDS must hold whole beats of RECORD_BYTES");
  const std::size_t total = records.size() / size;
  const unsigned stalls = unsigned(std::strtoul(words[4], nullptr, 10));
  std::mt19937 dice(std::uint32_t(std::strtoul(words[5], nullptr, 10)));
  const auto ready = [&] { return (dice() & 255u) >= stalls; };

  std::vector<char> results;
  std::uint64_t cycle = 0, moved = 0, first_in = 0, first_out = 0;
  std::size_t sent = 0, received = 0;
  top->rst = 1;
  top->s_axis_tvalid = 0;
  top->m_axis_tready = 0;
  for (int edge = 0; edge < 4; ++edge) {
    top->clk = edge & 1;
    top->eval();
  }
  top->rst = 0;
  bool offered = false;
  while (received < total) {
    if (cycle - moved > PATIENCE)
      return fail("the kernel must take a record or give a result, it does neither");
    // An offered record stays until it is taken, as AXI4-Stream asks.
    offered = sent < total && (offered || ready());
    top->s_axis_tvalid = offered;
    top->s_axis_tlast = sent + 1 == total;
    if (offered)
      std::memcpy(&top->s_axis_tdata, records.data() + sent * size, size);
    top->m_axis_tready = ready();
    top->clk = 0;
    top->eval();
    const bool into = offered && top->s_axis_tready, out = top->m_axis_tvalid && top->m_axis_tready;
    if (out) {
      const char *const bytes = reinterpret_cast<const char *>(&top->m_axis_tdata);
      results.insert(results.end(), bytes, bytes + RESULT_BYTES);
      if (bool(top->m_axis_tlast) != (received + 1 == total) || top->m_axis_tkeep != 0xffff)
        return fail("a result must have its record's TLAST and all of TKEEP");
      first_out = received == 0 ? cycle : first_out;
      ++received;
    }
    if (into) {
      first_in = sent == 0 ? cycle : first_in;
      ++sent;
      offered = false;
    }
    moved = into || out ? cycle : moved;
    top->clk = 1;
    top->eval();
    ++cycle;
  }
  std::ofstream sink(words[2], std::ios::binary);
  sink.write(results.data(), std::streamsize(results.size()));
  if (!sink.flush())
    return fail("RESULTS must be a file that can be written");
  std::printf("latency %" PRIu64 ", cycles %" PRIu64 "\n", first_out - first_in, cycle);
  return 0;
}
