// Random operations on a design and on its netlist; prints the first cycle in which they differ, and returns 1.
#include "Vboth.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

int main(int argc, char **argv) {
  VerilatedContext context;
  context.commandArgs(argc, argv);
  Vboth both{&context};
  const long cycles = std::atol(argv[1]);
  std::mt19937_64 random(1);
  std::uint32_t window = 0;
  long changes = 0;
  std::uint32_t before = 0;
  for (long cycle = 0; cycle < cycles; cycle++) {
    // Few addresses at a time, so that what is read was often written, and by which bits they differ changes.
    if (cycle % 512 == 0) window = (random() & random() & 0x3fff) | (1u << (random() % 14));
    both.reset = cycle < 4 || random() % 16 == 0;
    both.control = random();
    both.a = random() & window;
    both.b = random() & window;
    both.x = random() & 0xfffffffffULL;
    both.y = random() & 0xfffffffffULL;
    both.clk = 0;
    both.eval();
    both.clk = 1;
    both.eval();
    if (cycle < 8) continue;
    std::uint32_t sum = 0;
    for (int word = 0; word < 19; word++) {
      if (both.q[word] != both.netlist[word]) {
        std::printf("cycle %ld: bits %d to %d: design %08x, netlist %08x\n", cycle, 32 * word, 32 * word + 31,
                    both.q[word], both.netlist[word]);
        return 1;
      }
      sum = sum * 31 + both.q[word];
    }
    changes += sum != before;
    before = sum;
  }
  std::printf("compared: %ld cycles, %ld changes\n", cycles, changes);
  return 0;
}
