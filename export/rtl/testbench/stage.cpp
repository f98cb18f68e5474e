// The predictor stage of a circuit behind its registers and streams, pcedge_stage, in a simulation.
//
// pcedge_stage IN OUT [SHARE SEED]: lanes of the file IN, one after the other, to the file OUT; the ends of streams are not
//   ready in SHARE of 256 cases.
//
// All numbers have 64 bits, lowest byte first. Of every lane IN has: job; rows; then of numbers, raw bits and coded words a
// count and so many beats: the data, and 1 where there are some, 2 at a packet's end. OUT has: status; cycles; how many
// beats of each stream were left; the beats that came out in the same form. Images lie in the working folder. Exit 2:
// wrong usage, or a lane that does not end.
#include "Vpcedge_stage.h"
#include "verilated.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

double sc_time_stamp() { return 0; }

namespace {

using word_t = std::uint64_t;

// docs/rtl.md
constexpr unsigned CONTROL = 0x00, JOB = 0x10, STATUS = 0x18, CYCLES = 0x28, ROWS = 0x100;

/// No lane takes so many cycles without a beat in or out.
constexpr unsigned PATIENCE = 1'000'000;

[[noreturn]] void fail(const std::string &what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(2);
}

struct beat_t {
  word_t data, marks;
};

using beats_t = std::vector<beat_t>;
using streams_t = std::array<beats_t, 3>;

class input_t {
public:
  explicit input_t(const char *name) : file(std::fopen(name, "rb")) {
    if (!file)
      fail(std::string("cannot open ") + name);
  }
  ~input_t() { std::fclose(file); }
  input_t(const input_t &) = delete;
  input_t &operator=(const input_t &) = delete;

  bool next(word_t &word) {
    std::array<unsigned char, 8> bytes;
    const std::size_t count = std::fread(bytes.data(), 1, 8, file);
    if (count != 0 && count != 8)
      fail("a file must hold whole words of 8 bytes");
    word = 0;
    for (unsigned b = 0; b < 8; ++b)
      word |= static_cast<word_t>(bytes[b]) << (8 * b);
    return count == 8;
  }

  word_t word() {
    word_t found = 0;
    if (!next(found))
      fail("a lane must be whole");
    return found;
  }

private:
  std::FILE *file;
};

void give(std::FILE *file, word_t word) {
  for (unsigned b = 0; b < 8; ++b)
    if (std::fputc(static_cast<int>(word >> (8 * b) & 255), file) == EOF)
      fail("cannot write");
}

template <class T> void set(T &port, word_t value) { port = static_cast<T>(value); }

class board_t {
public:
  board_t(unsigned seldom, unsigned seed)
      : share(seldom), dice(seed), top(std::make_unique<Vpcedge_stage>(&context)) {
    top->rst = 1;
    top->s_axi_wstrb = 15;
    top->s_axi_bready = top->s_axi_rready = 1;
    for (int n = 0; n < 4; ++n)
      tick();
    top->rst = 0;
    tick();
  }

  void write(unsigned offset, word_t value) {
    set(top->s_axi_awaddr, offset);
    set(top->s_axi_wdata, value);
    top->s_axi_awvalid = top->s_axi_wvalid = 1;
    top->eval();
    while (!(top->s_axi_awready && top->s_axi_wready))
      tick();
    tick();
    top->s_axi_awvalid = top->s_axi_wvalid = 0;
    while (!top->s_axi_bvalid)
      tick();
    tick();
  }

  word_t read(unsigned offset) {
    set(top->s_axi_araddr, offset);
    top->s_axi_arvalid = 1;
    top->eval();
    while (!top->s_axi_arready)
      tick();
    tick();
    top->s_axi_arvalid = 0;
    while (!top->s_axi_rvalid)
      tick();
    const word_t value = top->s_axi_rdata;
    tick();
    return value;
  }

  /// \brief Run a lane until the interrupt.
  /// \param at how many beats of each stream were taken
  streams_t run(const streams_t &in, std::array<std::size_t, 3> &at) {
    streams_t out;
    std::array<bool, 3> offered{};
    at = {};
    write(CONTROL, 1);
    for (unsigned quiet = 0; !top->irq; ++quiet) {
      if (quiet > PATIENCE)
        fail("the lane stands still");
      std::array<bool, 3> ready{};
      for (unsigned n = 0; n < 3; ++n) {
        offered[n] = offered[n] || (at[n] < in[n].size() && moves());
        ready[n] = moves();
      }
      const auto beat = [&](unsigned n) { return offered[n] ? in[n][at[n]] : beat_t{0, 0}; };
      offer(top->s_numbers_tdata, top->s_numbers_tkeep, top->s_numbers_tlast, beat(0));
      offer(top->s_raw_tdata, top->s_raw_tkeep, top->s_raw_tlast, beat(1));
      offer(top->s_coded_tdata, top->s_coded_tkeep, top->s_coded_tlast, beat(2));
      top->s_numbers_tvalid = offered[0];
      top->s_raw_tvalid = offered[1];
      top->s_coded_tvalid = offered[2];
      top->m_numbers_tready = ready[0];
      top->m_raw_tready = ready[1];
      top->m_coded_tready = ready[2];
      top->eval();
      const std::array<bool, 3> takes = {top->s_numbers_tready != 0, top->s_raw_tready != 0,
                                         top->s_coded_tready != 0};
      const std::array<bool, 3> gives = {top->m_numbers_tvalid != 0, top->m_raw_tvalid != 0,
                                         top->m_coded_tvalid != 0};
      const std::array<beat_t, 3> beats = {
          beat_t{top->m_numbers_tdata, marks(top->m_numbers_tkeep, top->m_numbers_tlast)},
          beat_t{top->m_raw_tdata, marks(top->m_raw_tkeep, top->m_raw_tlast)},
          beat_t{top->m_coded_tdata, marks(top->m_coded_tkeep, top->m_coded_tlast)}};
      for (unsigned n = 0; n < 3; ++n) {
        if (gives[n] && ready[n])
          out[n].push_back(beats[n]);
        if (offered[n] && takes[n]) {
          offered[n] = false;
          ++at[n];
        }
        if ((gives[n] && ready[n]) || takes[n])
          quiet = 0;
      }
      tick();
    }
    // What nobody took is of no lane: streams are empty when the next one begins.
    top->s_numbers_tvalid = top->s_raw_tvalid = top->s_coded_tvalid = 0;
    (void)read(CONTROL);
    return out;
  }

private:
  bool moves() { return share == 0 || (dice() >> 8) % 256 >= share; }

  template <class D, class K, class L>
  static void offer(D &data, K &keep, L &last, const beat_t &beat) {
    set(data, beat.data);
    set(keep, beat.marks & 1 ? (word_t(1) << bytes_of(data)) - 1 : 0);
    set(last, beat.marks >> 1);
  }

  template <class D> static unsigned bytes_of(const D &) { return sizeof(D); }

  static word_t marks(word_t keep, word_t last) { return (keep != 0 ? 1u : 0u) | last << 1; }

  void tick() {
    top->clk = 1;
    top->eval();
    top->clk = 0;
    top->eval();
  }

  unsigned share;
  std::minstd_rand dice;
  VerilatedContext context;
  std::unique_ptr<Vpcedge_stage> top;
};

} // namespace

int main(int count, char **arguments) {
  if (count != 3 && count != 5)
    fail("usage: pcedge_stage IN OUT [SHARE SEED]");
  const auto number = [&](int place) {
    return static_cast<unsigned>(std::strtoul(arguments[place], nullptr, 10));
  };
  const unsigned share = count == 5 ? number(3) : 0;
  if (share > 255)
    fail("SHARE must be in 0..255");
  board_t board(share, count == 5 ? number(4) + 1 : 1);
  input_t in(arguments[1]);
  std::FILE *out = std::fopen(arguments[2], "wb");
  if (!out)
    fail(std::string("cannot open ") + arguments[2]);
  for (word_t job = 0; in.next(job);) {
    const word_t rows = in.word();
    streams_t given;
    for (beats_t &beats : given)
      for (word_t left = in.word(); left != 0; --left) {
        const word_t data = in.word();
        beats.push_back({data, in.word()});
      }
    board.write(JOB, job);
    board.write(ROWS, rows);
    std::array<std::size_t, 3> taken;
    const streams_t found = board.run(given, taken);
    give(out, board.read(STATUS));
    give(out, board.read(CYCLES));
    for (unsigned n = 0; n < 3; ++n)
      give(out, given[n].size() - taken[n]);
    for (const beats_t &beats : found) {
      give(out, beats.size());
      for (const beat_t &beat : beats) {
        give(out, beat.data);
        give(out, beat.marks);
      }
    }
  }
  if (std::fclose(out) != 0)
    fail("cannot write");
  return 0;
}
