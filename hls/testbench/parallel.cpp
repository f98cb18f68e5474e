// Testbench of a project's parallel top; prints the clock cycles.
//
// parallel likelihood IN OUT: symbols to mantissa and exponent
// parallel encode IN OUT LANES: symbols to lanes
// parallel decode IN OUT RECORDS: lanes to symbols
//
// Files are those of testbench.cpp. Lane i is worked on by stream i modulo the streams; more lanes
// than streams take turns. Exit 2: wrong usage, or a file that cannot be read or written.

#include "pcedge_parallel.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using bytes_t = std::vector<unsigned char>;
constexpr unsigned STREAMS = config::streams;
constexpr std::size_t VARIABLES = std::size_t(config::variables);

[[noreturn]] void fail(const std::string &text) {
  std::fprintf(stderr, "parallel: %s\n", text.c_str());
  std::exit(2);
}

bytes_t read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    fail("cannot read " + path);
  return bytes_t(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

void put(bytes_t &out, std::uint64_t word, int size) {
  for (int k = 0; k < size; ++k)
    out.push_back((unsigned char)(word >> (8 * k)));
}

std::uint32_t word_at(const bytes_t &bytes, std::size_t place) {
  if (place + 4 > bytes.size())
    fail("the file is truncated");
  std::uint32_t word;
  std::memcpy(&word, bytes.data() + place, 4);
  return word;
}

/// \brief The streams of one call.
struct ends_t {
  hls::stream<symbol_t> symbols[STREAMS], found[STREAMS];
  hls::stream<lane_byte> coded[STREAMS], bytes[STREAMS];
  hls::stream<probability_t> probabilities[STREAMS];
  unsigned records[STREAMS];

  pcedge::cycle_t run(pcedge::job_t job) {
    pcedge::cycle_t cycles = 0;
    pc_parallel(job, symbols, found, coded, bytes, probabilities, records, cycles);
    return cycles;
  }
};

/// \brief Give a lane's records, first, first + lanes, ..., to a stream.
void feed(ends_t &ends, unsigned stream, const bytes_t &symbols, std::size_t first,
          std::size_t lanes) {
  const std::size_t count = symbols.size() / 4 / VARIABLES;
  for (std::size_t r = first; r < count; r += lanes) {
    ends.records[stream] += 1;
    for (std::size_t v = 0; v < VARIABLES; ++v) {
      const std::int32_t symbol = std::int32_t(word_at(symbols, 4 * (r * VARIABLES + v)));
      ends.symbols[stream].write(symbol < 0 ? symbol_t(engine::MISSING) : symbol_t(symbol));
    }
  }
}

pcedge::cycle_t likelihood(const bytes_t &symbols, bytes_t &out) {
  const std::size_t count = symbols.size() / 4 / VARIABLES;
  std::vector<std::pair<std::uint64_t, std::int64_t>> found(count);
  ends_t ends = {};
  for (unsigned k = 0; k < STREAMS; ++k)
    feed(ends, k, symbols, k, STREAMS);
  const pcedge::cycle_t cycles = ends.run(pcedge::LIKELIHOOD);
  for (unsigned k = 0; k < STREAMS; ++k) {
    for (std::size_t r = k; r < count; r += STREAMS) {
      const probability_t one = ends.probabilities[k].read();
      found[r] = {std::uint64_t(one.mantissa), std::int64_t(one.exponent)};
    }
  }
  for (const auto &one : found) {
    put(out, one.first, 8);
    put(out, std::uint64_t(one.second), 8);
  }
  return cycles;
}

pcedge::cycle_t encode(const bytes_t &symbols, bytes_t &out, std::size_t lanes) {
  std::vector<bytes_t> made(lanes);
  pcedge::cycle_t cycles = 0;
  for (std::size_t first = 0; first < lanes; first += STREAMS) {
    ends_t ends = {};
    for (unsigned k = 0; k < STREAMS && first + k < lanes; ++k)
      feed(ends, k, symbols, first + k, lanes);
    cycles += ends.run(pcedge::ENCODE);
    for (unsigned k = 0; k < STREAMS && first + k < lanes; ++k) {
      while (!ends.bytes[k].empty())
        made[first + k].push_back((unsigned char)(unsigned(ends.bytes[k].read().data)));
    }
  }
  put(out, lanes, 4);
  for (const bytes_t &lane : made) {
    put(out, lane.size(), 4);
    out.insert(out.end(), lane.begin(), lane.end());
  }
  return cycles;
}

pcedge::cycle_t decode(const bytes_t &file, bytes_t &out, std::size_t count) {
  const std::size_t lanes = word_at(file, 0);
  std::vector<std::int32_t> found(count * VARIABLES);
  pcedge::cycle_t cycles = 0;
  std::size_t place = 4;
  for (std::size_t first = 0; first < lanes; first += STREAMS) {
    ends_t ends = {};
    for (unsigned k = 0; k < STREAMS; ++k) {
      const bool used = first + k < lanes;
      const std::size_t size = used ? word_at(file, place) : 1;
      place += used ? 4 : 0;
      if (used && (size == 0 || place + size > file.size()))
        fail("a lane must have at least one byte, and all that it announces");
      for (std::size_t b = 0; b < size; ++b) {
        lane_byte beat;
        beat.data = used ? file[place + b] : 0;
        beat.last = b + 1 == size;
        ends.coded[k].write(beat);
      }
      place += used ? size : 0;
      for (std::size_t r = first + k; used && r < count; r += lanes)
        ends.records[k] += 1;
    }
    cycles += ends.run(pcedge::DECODE);
    for (unsigned k = 0; k < STREAMS && first + k < lanes; ++k) {
      for (std::size_t r = first + k; r < count; r += lanes) {
        for (std::size_t v = 0; v < VARIABLES; ++v)
          found[r * VARIABLES + v] = std::int32_t(unsigned(ends.found[k].read()));
      }
    }
  }
  for (const std::int32_t symbol : found)
    put(out, std::uint32_t(symbol), 4);
  return cycles;
}

} // namespace

int main(int count, char **arguments) {
  const std::string job = count > 1 ? arguments[1] : "";
  if (count != (job == "likelihood" ? 4 : 5))
    fail("usage: parallel likelihood IN OUT | encode IN OUT LANES | decode IN OUT RECORDS");
  const bytes_t in = read_file(arguments[2]);
  const std::size_t number = count == 5 ? std::size_t(std::atol(arguments[4])) : 0;
  bytes_t out;
  pcedge::cycle_t cycles = 0;
  if (job == "likelihood")
    cycles = likelihood(in, out);
  else if (job == "encode" && number > 0)
    cycles = encode(in, out, number);
  else if (job == "decode")
    cycles = decode(in, out, number);
  else
    fail("the job must be likelihood, encode (with at least one lane) or decode");
  std::ofstream file(arguments[3], std::ios::binary);
  file.write(reinterpret_cast<const char *>(out.data()), std::streamsize(out.size()));
  file.close();
  if (!file)
    fail(std::string("cannot write ") + arguments[3]);
  std::printf("%llu\n", (unsigned long long)cycles);
  return 0;
}
