// Drives units, each by itself, with what a file says, and prints what they give.
//
// units FILE SEED GAP STALL: a line of FILE is the number of a unit and the hexadecimal digits of what goes in, or `idle` for a cycle without. An input
// waits GAP of 256 cycles, an output is not taken in STALL of 256. A line of the output is unit, cycle, and the digits of
// what came out, or `in` where the unit took its next input.
#include "Vunits.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr int UNITS = sizeof(Vunits::in_valid) / sizeof(Vunits::in_valid[0]);
constexpr int WORDS = sizeof(Vunits::in_data[0]) / sizeof(std::uint32_t);
/// A unit that gives nothing for so long has nothing more to give.
constexpr int PATIENCE = 400;

struct Random {
  std::uint64_t state;
  bool one_of_256(unsigned many) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return ((state >> 20) & 255) < many;
  }
};

template <class Wide> void fill(Wide &wide, const std::string &digits) {
  for (int word = 0; word < WORDS; ++word) {
    const int end = static_cast<int>(digits.size()) - 8 * word;
    const int begin = end > 8 ? end - 8 : 0;
    wide[word] =
        end > 0
            ? static_cast<std::uint32_t>(std::stoul(digits.substr(begin, end - begin), nullptr, 16))
            : 0;
  }
}

} // namespace

int main(int count, char **words) {
  if (count != 5)
    return 2;
  std::vector<std::deque<std::string>> inputs(UNITS);
  std::FILE *file = std::fopen(words[1], "r");
  if (!file)
    return 2;
  int unit = 0;
  static char line[WORDS * 8 + 2];
  while (std::fscanf(file, "%d %s", &unit, line) == 2)
    inputs.at(static_cast<std::size_t>(unit)).push_back(line);
  std::fclose(file);
  Random random{std::strtoull(words[2], nullptr, 10) * 2654435769u + 88172645463325252u};
  const unsigned gap = static_cast<unsigned>(std::atoi(words[3]));
  const unsigned stall = static_cast<unsigned>(std::atoi(words[4]));

  const auto context = std::make_unique<VerilatedContext>();
  const auto top = std::make_unique<Vunits>(context.get());
  const auto edge = [&] {
    top->clk = 1, top->eval(), context->timeInc(1);
    top->clk = 0, top->eval(), context->timeInc(1);
  };
  top->clk = 0, top->rst = 1;
  for (int cycle = 0; cycle < 4; ++cycle)
    edge();
  top->rst = 0;

  std::vector<bool> offered(UNITS, false);
  int idle = 0;
  for (long cycle = 0; idle < PATIENCE; ++cycle) {
    ++idle;
    for (int i = 0; i < UNITS; ++i) {
      if (!offered[i] && !inputs[i].empty() && inputs[i].front() == "idle") {
        inputs[i].pop_front();
      } else if (!offered[i] && !inputs[i].empty() && !random.one_of_256(gap)) {
        fill(top->in_data[i], inputs[i].front());
        offered[i] = true;
      }
      top->in_valid[i] = offered[i];
      top->out_ready[i] = !random.one_of_256(stall);
    }
    top->eval();
    for (int i = 0; i < UNITS; ++i) {
      if (offered[i] && top->in_ready[i]) {
        inputs[i].pop_front();
        offered[i] = false;
        std::printf("%d %ld in\n", i, cycle);
        idle = 0;
      }
      if (top->out_valid[i] && top->out_ready[i]) {
        std::printf("%d %ld ", i, cycle);
        for (int word = WORDS; word-- > 0;)
          std::printf("%08x", top->out_data[i][word]);
        std::printf("\n");
        idle = 0;
      }
    }
    edge();
  }
  for (int i = 0; i < UNITS; ++i)
    if (!inputs[i].empty()) {
      std::fprintf(stderr, "unit %d does not take %zu inputs\n", i, inputs[i].size());
      return 1;
    }
  top->final();
  return 0;
}
