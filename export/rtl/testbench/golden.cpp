// The engine behind its registers and streams, pc_axi, against the golden vectors of its project.
//
// golden [DIR]: likelihood, encode and decode of the vectors in DIR, or in golden. Prints what differs, or what was
//   compared; exit 1 where something differs, 2 where a file cannot be read or a job does not end. A job that the build
//   has not is left out, and an engine whose memories are loaded takes image.u32 of that folder first.
#include "Vpc_axi.h"
#include "ports.hpp"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

double sc_time_stamp() { return 0; }

namespace {

using pcedge::get_word, pcedge::put_word, pcedge::set;

using words_t = std::vector<std::uint32_t>;
using packets_t = std::vector<words_t>; // of one stream

// docs/registers.md
constexpr unsigned CONTROL = 0x00, JOB = 0x10, STATUS = 0x18, RECORDS = 0x100, INFO = 0x200;
constexpr unsigned LIKELIHOOD = 0, ENCODE = 1, DECODE = 2, LOAD = 4, BAD_JOB = 16;
constexpr std::uint32_t MAGIC = 0x31454350;

/// No job takes so many cycles without a word in or out.
constexpr unsigned PATIENCE = 4'000'000;

[[noreturn]] void fail(const std::string &what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(2);
}

std::vector<unsigned char> read_file(const std::string &name) {
  std::FILE *file = std::fopen(name.c_str(), "rb");
  if (!file)
    fail("cannot open " + name);
  std::vector<unsigned char> data;
  for (int byte; (byte = std::fgetc(file)) != EOF;)
    data.push_back(static_cast<unsigned char>(byte));
  std::fclose(file);
  return data;
}

std::uint32_t word_at(const std::vector<unsigned char> &data, std::size_t at) {
  if (at + 4 > data.size())
    fail("golden vectors must be whole");
  return data[at] | data[at + 1] << 8 | data[at + 2] << 16 |
         static_cast<std::uint32_t>(data[at + 3]) << 24;
}

class board_t {
public:
  board_t() : top(std::make_unique<Vpc_axi>(&context)) {
    top->rst = 1;
    top->s_axi_wstrb = 15;
    top->s_axi_bready = top->s_axi_rready = 1;
    for (int n = 0; n < 4; ++n)
      tick();
    top->rst = 0;
    tick();
  }

  void write(unsigned offset, std::uint32_t value) {
    top->s_axi_awaddr = static_cast<unsigned short>(offset);
    top->s_axi_wdata = value;
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

  std::uint32_t read(unsigned offset) {
    top->s_axi_araddr = static_cast<unsigned short>(offset);
    top->s_axi_arvalid = 1;
    top->eval();
    while (!top->s_axi_arready)
      tick();
    tick();
    top->s_axi_arvalid = 0;
    while (!top->s_axi_rvalid)
      tick();
    const std::uint32_t value = top->s_axi_rdata;
    tick();
    return value;
  }

  /// \brief Whether the last job is one that the build has.
  bool has() const { return known; }

  /// \brief One job: packets of every stream in and out, until the interrupt.
  std::vector<packets_t> run(unsigned job, const words_t &records,
                             const std::vector<packets_t> &in) {
    const unsigned streams = static_cast<unsigned>(in.size());
    std::vector<packets_t> out(streams);
    std::vector<std::size_t> packet(streams), place(streams);
    std::vector<bool> begun(streams);
    for (unsigned n = 0; n < streams; ++n)
      write(RECORDS + 4 * n, records[n]);
    write(JOB, job);
    write(CONTROL, 1);
    set(top->m_axis_tready, ~0ull);
    for (unsigned quiet = 0; !top->irq; ++quiet) {
      std::uint64_t valid = 0, last = 0;
      for (unsigned n = 0; n < streams; ++n) {
        if (packet[n] == in[n].size())
          continue;
        const words_t &words = in[n][packet[n]];
        valid |= 1ull << n;
        last |= static_cast<std::uint64_t>(place[n] + 1 == words.size()) << n;
        put_word(top->s_axis_tdata, n, words[place[n]]);
      }
      set(top->s_axis_tvalid, valid);
      set(top->s_axis_tlast, last);
      top->eval();
      for (unsigned n = 0; n < streams; ++n) {
        if (valid >> n & static_cast<std::uint64_t>(top->s_axis_tready) >> n & 1) {
          quiet = 0;
          if (++place[n] == in[n][packet[n]].size()) {
            ++packet[n];
            place[n] = 0;
          }
        }
        if (static_cast<std::uint64_t>(top->m_axis_tvalid) >> n & 1) {
          quiet = 0;
          if (!begun[n])
            out[n].emplace_back();
          out[n].back().push_back(get_word(top->m_axis_tdata, n));
          begun[n] = !(static_cast<std::uint64_t>(top->m_axis_tlast) >> n & 1);
        }
      }
      tick();
      if (quiet > PATIENCE)
        fail("a job stands still");
    }
    set(top->s_axis_tvalid, 0);
    const std::uint32_t status = read(STATUS);
    known = status != BAD_JOB;
    if ((known && status != 0) || (read(CONTROL) & 2) == 0)
      fail("a job must end with status 0");
    return out;
  }

private:
  void tick() {
    top->clk = 1;
    top->eval();
    top->clk = 0;
    top->eval();
  }

  VerilatedContext context;
  std::unique_ptr<Vpc_axi> top;
  bool known = true;
};

} // namespace

int main(int count, char **arguments) {
  const std::string folder = count == 2 ? arguments[1] : "golden";
  if (count > 2)
    fail("usage: golden [DIR]");
  const auto symbols = read_file(folder + "/symbols.i32"),
             likelihood = read_file(folder + "/likelihood.i64"),
             lanes = read_file(folder + "/lanes.bin");
  const unsigned records = static_cast<unsigned>(likelihood.size() / 16),
                 streams = word_at(lanes, 0);
  if (records == 0 || streams == 0 || streams > 64 || symbols.size() % (4 * records) != 0)
    fail("golden vectors must be records of one size");
  const std::size_t variables = symbols.size() / 4 / records;
  std::vector<packets_t> rows(streams), coded(streams), results(streams);
  words_t counts(streams);
  for (unsigned record = 0; record < records; ++record) {
    const unsigned n = record % streams;
    ++counts[n];
    words_t row;
    for (std::size_t variable = 0; variable < variables; ++variable)
      row.push_back(word_at(symbols, 4 * (record * variables + variable)));
    rows[n].push_back(row);
    results[n].push_back({word_at(likelihood, 16 * record), word_at(likelihood, 16 * record + 8)});
  }
  std::size_t at = 4, bytes = 0;
  for (unsigned n = 0; n < streams; ++n) {
    const std::size_t size = word_at(lanes, at);
    at += 4;
    if (at + size > lanes.size())
      fail("golden vectors must be whole");
    if (counts[n]) // a lane without a record is not coded by a job
      coded[n].emplace_back(lanes.begin() + static_cast<long>(at),
                            lanes.begin() + static_cast<long>(at + size));
    at += size;
    bytes += size;
  }
  board_t board;
  int differences = 0;
  const auto same = [&](const char *what, const std::vector<packets_t> &found,
                        const std::vector<packets_t> &wanted) {
    if (!board.has())
      std::printf("%s: the build has no such job\n", what);
    for (unsigned n = 0; n < streams && board.has(); ++n)
      if (found[n] != wanted[n]) {
        std::printf("%s: stream %u differs\n", what, n);
        ++differences;
      }
  };
  if (std::FILE *image = std::fopen((folder + "/image.u32").c_str(), "rb")) {
    std::fclose(image);
    const auto data = read_file(folder + "/image.u32");
    std::vector<packets_t> words(streams);
    words[0].emplace_back();
    for (std::size_t place = 0; place < data.size(); place += 4)
      words[0][0].push_back(word_at(data, place));
    board.run(LOAD, words_t(streams), words);
  }
  if (board.read(INFO) != MAGIC)
    fail("info must begin with the characters PCE1");
  same("likelihood", board.run(LIKELIHOOD, counts, rows), results);
  same("encode", board.run(ENCODE, counts, rows), coded);
  same("decode", board.run(DECODE, counts, coded), rows);
  if (differences)
    return 1;
  std::printf("compared: %u records, %zu symbols, %zu bytes\n", records, records * variables,
              bytes);
  return 0;
}
