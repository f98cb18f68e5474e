// pc_serial_coder by its registers, line by line from standard input:
//   i TOTAL WEIGHTED SYMBOL CARDINALITY FLOOR   prints R and the bound
//   e LOW RANGE START SIZE                      prints low, range, the flush, and the digits that left
//   d OFFSET RANGE START SIZE BYTE...           prints offset, range, how many bytes were taken, and the quotient
#include "Vpc_serial_coder.h"
#include "Vpc_serial_coder___024root.h"
#include "Vpc_serial_coder___024unit.h"
#include "verilated.h"

#include <cstdint>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

double sc_time_stamp() { return 0; }

namespace {

/// Values of `stage` in pc_serial_coder.
enum stage_t { IDLE = 0, START = 9, BYTES = 12, ENDS = 15 };
/// Operations.
enum operation_t { ENCODE = 0, FLUSH = 1, TAKE = 3 };

VerilatedContext context;
Vpc_serial_coder top{&context};
auto &inside = *top.rootp;

#define REGISTER(name) inside.pc_serial_coder__DOT__##name

void tick() {
  top.clk = 1;
  top.eval();
  top.clk = 0;
  top.eval();
}

void reset() {
  top.in_valid = top.byte_valid = 0;
  top.rst = 1;
  tick();
  top.rst = 0;
  top.eval();
}

/// \brief Go on until nothing is at work; collect digits that leave, and feed bytes.
std::vector<unsigned> run(const std::vector<unsigned> &bytes, std::size_t &taken) {
  std::vector<unsigned> digits;
  for (int cycle = 0; REGISTER(stage) != IDLE || cycle == 0; ++cycle) {
    if (cycle > 1000)
      std::exit(2);
    top.byte_valid = taken < bytes.size();
    top.byte_in = top.byte_valid ? bytes[taken] : 0;
    top.eval();
    if (REGISTER(digit) && REGISTER(carry_ready))
      digits.push_back(REGISTER(stage) == ENDS
                           ? REGISTER(last_digit)
                           : static_cast<unsigned>(REGISTER(low) >> (RANGE_BITS - 8)));
    if (top.byte_valid && top.byte_ready)
      ++taken;
    tick();
    top.in_valid = 0;
  }
  return digits;
}

} // namespace

int main() {
  // A state of its own may have a carry where no byte has left yet, which no lane has.
  context.assertOn(false);
  top.checks = top.out_ready = 1;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    char kind = 0;
    std::vector<std::uint64_t> n;
    std::uint64_t number = 0;
    words >> kind;
    while (words >> number)
      n.push_back(number);
    reset();
    std::size_t taken = 0;
    if (kind == 'i') {
      top.in_total = static_cast<std::uint32_t>(n[0]);
      top.in_low = top.in_high = n[1];
      top.in_symbol = static_cast<std::uint16_t>(n[2]);
      top.in_cardinality = static_cast<std::uint16_t>(n[3]);
      inside.__PVT____024unit->FLOOR = static_cast<std::uint32_t>(n[4]);
      top.in_operation = ENCODE;
      top.in_fresh = top.in_valid = 1;
      run({}, taken);
      std::cout << REGISTER(scale) << ' ' << REGISTER(start) << '\n';
      continue;
    }
    REGISTER(low) = n[0];
    REGISTER(range) = n[1];
    REGISTER(start) = static_cast<std::uint32_t>(n[2]);
    REGISTER(ends) = static_cast<std::uint32_t>(n[3]);
    REGISTER(operation) = kind == 'e' ? ENCODE : TAKE;
    REGISTER(ended) = 0;
    REGISTER(stage) = START;
    top.eval();
    if (kind == 'd') {
      run({n.begin() + 4, n.end()}, taken);
      std::cout << REGISTER(low) << ' ' << REGISTER(range) << ' ' << taken << ' '
                << REGISTER(quotient) << '\n';
      continue;
    }
    const std::vector<unsigned> digits = run({}, taken);
    std::cout << REGISTER(low) << ' ' << REGISTER(range);
    top.in_operation = FLUSH;
    top.in_valid = 1;
    std::cout << ' ' << run({}, taken).at(0);
    for (const unsigned digit : digits)
      std::cout << ' ' << digit;
    std::cout << '\n';
  }
  return 0;
}
