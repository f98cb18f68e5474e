// The engine in a simulation of its registers and streams: what EngineCsim's testbench does, for RTL.
//
// engine serve STREAMS [SHARE SEED]: jobs from standard input to standard output, until it ends; the ends of streams
//   are not ready in SHARE of 256 cases.
//
// It reads, all numbers of 32 bits, lowest byte first: job; records of every stream; then for every stream a count and
// so many words, each followed by its TLAST. It writes: status; cycles, two numbers; the info registers; then the words
// of every stream in the same form. Images of memories that are only read lie in the working folder. Exit 2: wrong
// usage, or a job that does not end.
#include "Vpc_engine.h"
#include "ports.hpp"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

double sc_time_stamp() { return 0; }

namespace {

using pcedge::beat_t, pcedge::get_word, pcedge::put_word, pcedge::set;

/// No job takes so many cycles without a word in or out.
constexpr std::uint64_t PATIENCE = 4'000'000;

/// Words of the info registers.
constexpr unsigned INFO_WORDS = 40;

[[noreturn]] void fail(const std::string &what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(2);
}

bool take(void *words, std::size_t count) { return std::fread(words, 4, count, stdin) == count; }

void give(const void *words, std::size_t count) {
  if (std::fwrite(words, 4, count, stdout) != count)
    fail("cannot write");
}

/// \brief One job: what goes in, what comes out.
struct call_t {
  std::uint32_t job = 0;
  std::vector<std::uint32_t> records;
  std::vector<std::vector<beat_t>> in, out;

  explicit call_t(unsigned streams) : records(streams), in(streams), out(streams) {}

  bool read() {
    if (!take(&job, 1))
      return false;
    bool whole = take(records.data(), records.size());
    for (auto &words : in) {
      std::uint32_t count = 0;
      whole = whole && take(&count, 1);
      words.clear();
      // One by one: what announces more than it has takes no more memory than it has.
      for (std::uint32_t i = 0; whole && i < count; ++i) {
        beat_t beat;
        whole = take(&beat, 2);
        words.push_back(beat);
      }
    }
    if (!whole)
      fail("a request must be whole");
    for (auto &words : out)
      words.clear();
    return true;
  }
};

class engine_t {
public:
  engine_t() : top(std::make_unique<Vpc_engine>(&context)) {
    top->clk = 0;
    top->start = 0;
    top->in_valid = 0;
    top->out_ready = 0;
    top->rst = 1;
    top->eval();
    for (int i = 0; i < 4; ++i)
      tick();
    top->rst = 0;
    tick();
  }

  std::uint64_t cycles() const { return top->cycles; }
  std::uint32_t status() const { return top->status; }

  std::vector<std::uint32_t> info() {
    std::vector<std::uint32_t> words;
    for (unsigned place = 0; place < INFO_WORDS; ++place) {
      set(top->info_place, place);
      top->eval();
      words.push_back(top->info_word);
    }
    return words;
  }

  void run(call_t &call, unsigned share, std::minstd_rand &dice) {
    const unsigned streams = static_cast<unsigned>(call.in.size());
    const auto moves = [&] { return share == 0 || (dice() >> 8) % 256 >= share; };
    set(top->job, call.job);
    for (unsigned n = 0; n < streams; ++n)
      put_word(top->records, n, call.records[n]);
    top->start = 1;
    tick();
    top->start = 0;
    std::vector<std::size_t> at(streams, 0);
    std::uint64_t offered = 0, quiet = 0;
    counted = 0;
    while (top->busy) {
      std::uint64_t ready = 0;
      for (unsigned n = 0; n < streams; ++n) {
        // A word that is offered stays until it is taken.
        if (!(offered >> n & 1) && at[n] < call.in[n].size() && moves()) {
          offered |= 1ull << n;
          const beat_t &beat = call.in[n][at[n]];
          put_word(top->in_data, n, beat.data);
          set(top->in_last, (top->in_last & ~(1ull << n)) | static_cast<std::uint64_t>(beat.last != 0) << n);
        }
        if (moves())
          ready |= 1ull << n;
      }
      set(top->in_valid, offered);
      set(top->out_ready, ready);
      top->eval();
      ++quiet;
      for (unsigned n = 0; n < streams; ++n) {
        if (static_cast<std::uint64_t>(top->out_valid) >> n & ready >> n & 1) {
          call.out[n].push_back({get_word(top->out_data, n),
                                 static_cast<std::uint32_t>(static_cast<std::uint64_t>(top->out_last) >> n & 1)});
          quiet = 0;
        }
        if (offered >> n & static_cast<std::uint64_t>(top->in_ready) >> n & 1) {
          offered &= ~(1ull << n);
          ++at[n];
          quiet = 0;
        }
      }
      tick();
      ++counted;
      if (quiet > PATIENCE)
        fail("the job stands still after " + std::to_string(counted) + " cycles");
    }
    for (unsigned n = 0; n < streams; ++n)
      if (at[n] < call.in[n].size())
        fail("the engine must take all words of a job");
    set(top->in_valid, 0);
  }

private:
  void tick() {
    top->clk = 1;
    top->eval();
    top->clk = 0;
    top->eval();
  }

  VerilatedContext context;
  std::unique_ptr<Vpc_engine> top;
  std::uint64_t counted = 0;
};

} // namespace

int main(int count, char **arguments) {
  if ((count != 3 && count != 5) || std::string(arguments[1]) != "serve")
    fail("usage: engine serve STREAMS [SHARE SEED]");
  const auto number = [&](int place) { return static_cast<unsigned>(std::strtoul(arguments[place], nullptr, 10)); };
  const unsigned streams = number(2), share = count == 5 ? number(3) : 0;
  if (streams < 1 || streams > 64 || share > 255)
    fail("STREAMS must be in 1..64, SHARE in 0..255");
  std::minstd_rand dice(count == 5 ? number(4) + 1 : 1);
  engine_t engine;
  call_t call(streams);
  while (call.read()) {
    engine.run(call, share, dice);
    const std::uint32_t said[3] = {engine.status(), static_cast<std::uint32_t>(engine.cycles()),
                                   static_cast<std::uint32_t>(engine.cycles() >> 32)};
    give(said, 3);
    const std::vector<std::uint32_t> info = engine.info();
    give(info.data(), info.size());
    for (const auto &words : call.out) {
      const std::uint32_t size = static_cast<std::uint32_t>(words.size());
      give(&size, 1);
      give(words.data(), 2 * words.size());
    }
    std::fflush(stdout);
  }
  return 0;
}
