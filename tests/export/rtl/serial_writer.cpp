// pc_serial_writer, line by line from standard input: the lane of the last unit, whether it revives, and entries, those
// behind the last unit being 0, so that they are whole rows of four. It prints whether no entry was above 0, by how much
// they were moved to the left, and the mantissas.
#include "Vpc_serial_writer.h"
#include "verilated.h"

#include <cstdint>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

double sc_time_stamp() { return 0; }

namespace {

VerilatedContext context;
Vpc_serial_writer top{&context};

void tick() {
  top.clk = 1;
  top.eval();
  top.clk = 0;
  top.eval();
}

} // namespace

int main() {
  top.rst = 1;
  tick();
  top.rst = 0;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    unsigned last = 0, revive = 0;
    words >> last >> revive;
    std::vector<std::uint64_t> entries;
    for (std::uint64_t entry = 0; words >> entry;)
      entries.push_back(entry);
    top.begins = 1;
    tick();
    top.begins = 0;
    top.target = 0;
    top.most = static_cast<std::uint8_t>(entries.size() - 1);
    top.revive = static_cast<std::uint8_t>(revive);
    top.last = static_cast<std::uint8_t>(last);
    for (std::size_t n = 0; n < entries.size(); ++n) {
      top.push = 1;
      top.entry = entries[n];
      top.finish = n + 1 == entries.size();
      tick();
    }
    top.push = top.finish = 0;
    std::vector<std::uint64_t> mantissas(entries.size());
    unsigned none = 0, zeros = 0;
    for (int cycle = 0; top.busy; ++cycle) {
      if (cycle > 1000)
        return 2;
      if (top.known) {
        none = top.none;
        zeros = top.zeros;
      }
      if (top.write)
        for (unsigned lane = 0; lane < 2; ++lane)
          mantissas.at(4 * top.write_row + 2 * top.write_half + lane) =
              top.out >> (STATE_BITS * lane) & ((1u << STATE_BITS) - 1);
      tick();
    }
    std::cout << none << ' ' << zeros;
    for (const std::uint64_t mantissa : mantissas)
      std::cout << ' ' << mantissa;
    std::cout << '\n';
  }
  return 0;
}
