// Every bit of state of tested_hardening flipped, at several cycles, in copies of it hardened by level.
//
// tested LEVEL FLIPS [WORDS WIDTH]…: of each bit of `flips` 1 where it is a memory's, - where it is nobody's, and the size of each memory. Prints
//   how many faults of registers, then of memories, were masked, detected, silent; then a hash of the outputs without a
//   fault, and whether one was told.
#include "Vlevels.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

double sc_time_stamp() { return 0; }

namespace {

constexpr unsigned CYCLES = 160;

struct fault_t {
  bool in_memory, stored;
  unsigned cycle, number, word, bit;
};

struct trace_t {
  std::uint64_t hash = 14695981039346656037ull;
  bool upset = false;
};

template <class T> void flip(T &port, unsigned bit, bool on) {
  port = static_cast<T>(on ? static_cast<std::uint64_t>(port) | 1ull << bit : 0);
}
template <std::size_t N> void flip(VlWide<N> &port, unsigned bit, bool on) {
  port[bit / 32] = on ? 1u << bit % 32 : 0u;
}

trace_t run(unsigned level, const fault_t *fault) {
  VerilatedContext context;
  const auto top = std::make_unique<Vlevels>(&context);
  top->level = level;
  trace_t trace;
  std::uint32_t dice = 1;
  unsigned busy = 0, before = 0, at = 0;
  for (unsigned cycle = 0; cycle < CYCLES; ++cycle) {
    dice = dice * 1664525u + 1013904223u;
    top->rst = cycle < 2;
    top->busy = cycle % 64 > 8; // a pause in which images are read
    top->start = cycle % 64 == 8;
    top->write = top->busy && (dice >> 28 & 1);
    top->write_at = dice >> 24 & 15;
    top->write_data = dice >> 16 & 255;
    top->at = dice >> 11 & 15;
    busy = top->busy ? busy + 1 : 0;
    if (fault && fault->cycle == cycle) {
      if (fault->stored) {
        top->flip_memory = 1;
        top->flip_number = fault->number;
        top->flip_word = fault->word;
        top->flip_mask = 1u << fault->bit;
      } else {
        flip(top->flips_none, fault->number, level == 0);
        flip(top->flips_parity, fault->number, level == 1);
        flip(top->flips_tmr, fault->number, level == 2);
      }
    }
    top->eval();
    // an image gives what the guard asks for while idle; what is read at a place without a word may be anything
    const std::uint32_t seen[4] = {busy > 3 && before < 11 ? top->image_data : 0u,
                                   busy > 2 ? top->row_data : 0u,
                                   busy > 2 && top->at % 8 < 6 ? top->queue_data : 0u, top->held};
    for (const std::uint32_t value : seen)
      trace.hash = (trace.hash ^ value) * 1099511628211ull;
    before = at;
    at = top->at;
    trace.upset = trace.upset || top->upset;
    top->clk = 1;
    top->eval();
    top->clk = 0;
    top->flip_memory = 0;
    if (fault && fault->cycle == cycle && !fault->stored) {
      flip(top->flips_none, fault->number, false);
      flip(top->flips_parity, fault->number, false);
      flip(top->flips_tmr, fault->number, false);
    }
    top->eval();
  }
  return trace;
}

} // namespace

int main(int count, char **arguments) {
  const auto number = [&](int place) {
    return static_cast<unsigned>(std::strtoul(arguments[place], nullptr, 10));
  };
  const unsigned level = number(1);
  const std::string flips = arguments[2];
  const trace_t golden = run(level, nullptr);
  unsigned found[2][3] = {};
  const auto judge = [&](const fault_t &fault) {
    const trace_t trace = run(level, &fault);
    ++found[fault.in_memory][trace.upset ? 1 : trace.hash == golden.hash ? 0 : 2];
  };
  for (const unsigned cycle : {20u, 41u, 67u, 90u}) {
    for (unsigned bit = 0; bit < flips.size(); ++bit)
      if (flips[bit] != '-')
        judge({flips[bit] == '1', false, cycle, bit, 0, 0});
    for (int memory = 0; 3 + 2 * memory < count; ++memory)
      for (unsigned word = 0; word < number(3 + 2 * memory); ++word)
        for (unsigned bit = 0; bit < number(4 + 2 * memory); ++bit)
          judge({true, true, cycle, static_cast<unsigned>(memory), word, bit});
  }
  for (const auto &kind : found)
    std::printf("%u %u %u ", kind[0], kind[1], kind[2]);
  std::printf("%llu %d\n", static_cast<unsigned long long>(golden.hash), golden.upset);
  return 0;
}
