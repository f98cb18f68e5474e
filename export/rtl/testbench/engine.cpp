// Run jobs through the Verilated engine: engine JOBS RESULTS [STALLS SEED].
//
// JOBS holds one job after the other, 32-bit little-endian words: the job, the records of every stream, and for every
// stream its number of words and then the words, each with one behind it that is 1 where a packet ends. RESULTS gets for
// every job its status bits, its cycles, and for every stream the number of words that came out and the words likewise.
// STALLS of 256: how often a side that could move a word does not, drawn from SEED.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <vector>

#include "Vpc_engine.h"
#include "verilated.h"

namespace {

constexpr unsigned STREAMS = PC_STREAMS;
constexpr std::uint64_t MOST_CYCLES = 20'000'000'000ull;

template <class T> void set(T &port, std::uint64_t value) { port = static_cast<T>(value); }
template <class T> void put_word(T &port, unsigned place, std::uint32_t word) {
  const unsigned shift = 32 * place;
  port = static_cast<T>((static_cast<std::uint64_t>(port) & ~(0xffffffffull << shift)) |
                        static_cast<std::uint64_t>(word) << shift);
}
template <std::size_t N> void put_word(VlWide<N> &port, unsigned place, std::uint32_t word) {
  port[place] = word;
}
template <class T> std::uint32_t get_word(const T &port, unsigned place) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(port) >> (32 * place));
}
template <std::size_t N> std::uint32_t get_word(const VlWide<N> &port, unsigned place) {
  return port[place];
}

struct word_t {
  std::uint32_t word;
  bool last;
};

struct reader_t {
  std::ifstream file;
  bool more() { return file.peek() != std::ifstream::traits_type::eof(); }
  std::uint32_t next() {
    std::uint32_t word = 0;
    if (!file.read(reinterpret_cast<char *>(&word), sizeof word)) {
      std::cerr << "JOBS ends within a job\n";
      std::exit(2);
    }
    return word;
  }
};

} // namespace

int main(int count, char **arguments) {
  if (count != 3 && count != 5) {
    std::cerr << "usage: engine JOBS RESULTS [STALLS SEED]\n";
    return 2;
  }
  reader_t jobs{std::ifstream(arguments[1], std::ios::binary)};
  std::ofstream results(arguments[2], std::ios::binary);
  if (!jobs.file || !results) {
    std::cerr << "cannot open " << arguments[1] << " or " << arguments[2] << "\n";
    return 2;
  }
  const unsigned stalls = count == 5 ? static_cast<unsigned>(std::atoi(arguments[3])) : 0;
  std::minstd_rand dice(count == 5 ? static_cast<unsigned>(std::atoi(arguments[4])) + 1u : 1u);
  const auto moves = [&] { return stalls == 0 || (dice() >> 8) % 256 >= stalls; };
  const auto put = [&](std::uint32_t word) {
    results.write(reinterpret_cast<const char *>(&word), sizeof word);
  };

  const auto context = std::make_unique<VerilatedContext>();
  const auto top = std::make_unique<Vpc_engine>(context.get());
  std::uint64_t cycle = 0;
  const auto tick = [&] {
    top->clk = 1;
    top->eval();
    top->clk = 0;
    top->eval();
    ++cycle;
  };
  top->clk = 0;
  top->start = 0;
  top->in_valid = 0;
  top->out_ready = 0;
  top->rst = 1;
  top->eval();
  for (int i = 0; i < 4; ++i) tick();
  top->rst = 0;
  while (jobs.more()) {
    set(top->job, jobs.next());
    for (unsigned s = 0; s < STREAMS; ++s) put_word(top->records, s, jobs.next());
    std::vector<std::vector<word_t>> in(STREAMS), out(STREAMS);
    for (auto &words : in) {
      const std::uint32_t number = jobs.next();
      for (std::uint32_t i = 0; i < number; ++i) {
        const std::uint32_t word = jobs.next();
        words.push_back({word, jobs.next() != 0});
      }
    }
    std::vector<std::size_t> at(STREAMS, 0);
    top->start = 1;
    tick();
    top->start = 0;
    const std::uint64_t begin = cycle;
    std::uint64_t valid = 0;
    while (true) {
      std::uint64_t ready = 0;
      for (unsigned s = 0; s < STREAMS; ++s) {
        // a word that is offered stays until it is taken
        if (!(valid >> s & 1) && at[s] < in[s].size() && moves()) valid |= 1ull << s;
        if (valid >> s & 1) {
          put_word(top->in_data, s, in[s][at[s]].word);
          set(top->in_last, (top->in_last & ~(1ull << s)) | static_cast<std::uint64_t>(in[s][at[s]].last) << s);
        }
        if (moves()) ready |= 1ull << s;
      }
      set(top->in_valid, valid);
      set(top->out_ready, ready);
      top->eval();
      for (unsigned s = 0; s < STREAMS; ++s) {
        if (static_cast<std::uint64_t>(top->out_valid) >> s & 1 && ready >> s & 1)
          out[s].push_back({get_word(top->out_data, s), (static_cast<std::uint64_t>(top->out_last) >> s & 1) != 0});
        if (valid >> s & 1 && static_cast<std::uint64_t>(top->in_ready) >> s & 1) {
          valid &= ~(1ull << s);
          ++at[s];
        }
      }
      tick();
      if (!top->busy) break;
      if (cycle - begin > MOST_CYCLES || (cycle - begin > 2'000'000 && std::getenv("PC_SHORT"))) {
        std::cerr << "the job is not done after " << cycle - begin << " cycles\n";
        return 1;
      }
    }
    put(static_cast<std::uint32_t>(top->bad_symbol | top->bad_frame << 1 | top->bad_lane << 2));
    put(top->cycles);
    for (const auto &words : out) {
      put(static_cast<std::uint32_t>(words.size()));
      for (const auto &word : words) {
        put(word.word);
        put(word.last);
      }
    }
  }
  return 0;
}
