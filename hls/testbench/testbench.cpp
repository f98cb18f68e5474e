// Testbench of an exported project.
//
// testbench golden DIR: compare every step with the golden vectors; exit 1 at the first mismatch
// testbench outputs DIR: compare what the tops give alone, for RTL, where no hook sees the steps
// testbench likelihood IN OUT: symbols to mantissa and exponent
// testbench intervals IN OUT: symbols to interval ends in coding order
// testbench encode IN OUT LANES: symbols to lanes
// testbench decode IN OUT RECORDS: lanes to symbols
// testbench trace IN OUT: symbols to every step's integers
//
// Files are little-endian: symbols int32 (-1 is missing), likelihoods int64, interval ends uint32;
// lanes are a uint32 count and, for each, a uint32 length and its bytes. Exit 2: wrong usage, or a
// file that cannot be read or written.

#include "pcedge/testbench/files.hpp"
#include "pcedge_top.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

using pcedge::fail;
using pcedge::read_words;

using bytes_t = std::vector<unsigned char>;

/// Records of a lane's bytes, and lanes, that an argument may ask for.
constexpr std::uint64_t MOST_RECORDS = (std::uint64_t(1) << 31) / config::variables;
constexpr std::uint64_t MOST_LANES = std::uint64_t(1) << 24;

class writer {
public:
  explicit writer(const std::string &path) : file(path, std::ios::binary), name(path) {
    if (!file)
      fail("cannot write " + path);
  }
  template <class T> void put(T word) {
    file.write(reinterpret_cast<const char *>(&word), sizeof(T));
  }
  void close() {
    file.close();
    if (!file)
      fail("cannot write " + name);
  }

private:
  std::ofstream file;
  std::string name;
};

/// \brief FNV-1a over 32-bit words, as in the golden vectors.
struct fnv {
  std::uint32_t state = 2166136261u;
  void add(std::uint32_t word) { state = (state ^ word) * 16777619u; }
};

std::uint32_t word_of(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

/// \brief Hangs in the tops while it lives: hashes every step's integers, keeps the ends of
/// intervals, and writes all to `trace` if there is one.
class watcher : public pcedge::step_hook {
public:
  explicit watcher(writer *file = nullptr) : trace(file) { pcedge::current_hook() = this; }
  ~watcher() { pcedge::current_hook() = nullptr; }
  watcher(const watcher &) = delete;
  watcher &operator=(const watcher &) = delete;

  std::vector<std::uint32_t> hashes;
  std::vector<std::uint32_t> ends;

  void step(const std::vector<std::int64_t> &words, std::int64_t exponent) override {
    fnv hash;
    for (const std::int64_t word : words)
      hash.add(word_of(std::uint64_t(word)));
    hash.add(word_of(std::uint64_t(exponent)));
    hashes.push_back(hash.state);
    write(words, exponent);
  }
  void interval(std::uint64_t start, std::uint64_t end) override {
    ends.push_back(word_of(start));
    ends.push_back(word_of(end));
    fnv hash;
    hash.add(word_of(start));
    hash.add(word_of(end));
    hashes.push_back(hash.state);
    write({std::int64_t(start), std::int64_t(end)}, 0);
  }

private:
  writer *trace;

  void write(const std::vector<std::int64_t> &words, std::int64_t exponent) {
    if (!trace)
      return;
    trace->put(std::int64_t(words.size()));
    for (const std::int64_t word : words)
      trace->put(word);
    trace->put(exponent);
  }
};

using records_t = std::vector<std::int32_t>;

// 64 bits: products of counts may be above 2^32 where std::size_t has 32.
std::uint64_t count_of(const records_t &symbols) { return symbols.size() / config::variables; }

/// \brief Read records; where they are golden ones, no symbol is missing.
records_t read_records(const std::string &path, bool missing) {
  const records_t symbols = read_words<std::int32_t>(path);
  if (symbols.size() % config::variables != 0)
    fail(path + " must hold whole records of " + std::to_string(config::variables) + " symbols");
  for (std::size_t k = 0; k < symbols.size(); ++k) {
    const std::size_t variable = k % config::variables;
    pcedge::check_symbol(path, k / config::variables, variable, symbols[k],
                         memories::variables::cardinality(std::uint32_t(variable)), missing);
  }
  return symbols;
}

/// \brief Feed record r of `symbols`.
void feed(const records_t &symbols, std::size_t r, hls::stream<symbol_t> &in) {
  for (unsigned v = 0; v < config::variables; ++v) {
    const std::int32_t symbol = symbols[r * config::variables + v];
    in.write(symbol_t(symbol < 0 ? engine::MISSING : std::uint32_t(symbol)));
  }
}

bytes_t collect(hls::stream<lane_byte> &out) {
  bytes_t lane;
  bool last = false;
  while (!last) {
    const lane_byte beat = out.read();
    lane.push_back(static_cast<unsigned char>(std::uint64_t(beat.data)));
    last = beat.last;
  }
  if (!out.empty())
    fail("a lane must end with its last byte");
  return lane;
}

std::vector<bytes_t> encode(const records_t &symbols, unsigned lanes) {
  std::vector<bytes_t> coded;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    hls::stream<symbol_t> in;
    hls::stream<lane_byte> out;
    unsigned records = 0;
    for (std::size_t r = lane; r < count_of(symbols); r += lanes, ++records)
      feed(symbols, r, in);
    pc_encode(in, out, records);
    coded.push_back(collect(out));
  }
  return coded;
}

records_t decode(const std::vector<bytes_t> &lanes, std::uint64_t count) {
  records_t symbols;
  if (count > symbols.max_size() / config::variables)
    fail("so many records do not fit the memory: " + std::to_string(count));
  symbols.resize(std::size_t(count) * config::variables);
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    hls::stream<lane_byte> in;
    hls::stream<symbol_t> out;
    for (std::size_t k = 0; k < lanes[lane].size(); ++k) {
      lane_byte beat;
      beat.data = lanes[lane][k];
      beat.last = k + 1 == lanes[lane].size();
      in.write(beat);
    }
    const std::uint64_t records = (count - lane + lanes.size() - 1) / lanes.size();
    pc_decode(in, out, static_cast<unsigned>(records));
    for (std::size_t r = lane; r < count; r += lanes.size())
      for (unsigned v = 0; v < config::variables; ++v)
        symbols[r * config::variables + v] = static_cast<std::int32_t>(std::uint64_t(out.read()));
  }
  return symbols;
}

std::vector<bytes_t> read_lanes(const std::string &path) {
  const bytes_t bytes = read_words<unsigned char>(path);
  std::size_t place = 0;
  const auto word = [&]() {
    std::uint32_t value = 0;
    if (bytes.size() - place < 4)
      fail(path + " is truncated");
    std::memcpy(&value, bytes.data() + place, 4);
    place += 4;
    return std::size_t(value);
  };
  const std::size_t count = word();
  if (count == 0 || count > bytes.size())
    fail(path + " must hold all the lanes that it announces, at least one");
  std::vector<bytes_t> lanes(count);
  for (bytes_t &lane : lanes) {
    const std::size_t size = word();
    if (size == 0 || size > bytes.size() - place)
      fail(path + " must hold at least one byte a lane, and all that it announces");
    lane.assign(bytes.data() + place, bytes.data() + place + size);
    place += size;
  }
  if (place != bytes.size())
    fail(path + " must end behind its last lane");
  return lanes;
}

void write_lanes(const std::string &path, const std::vector<bytes_t> &lanes) {
  writer out(path);
  out.put(std::uint32_t(lanes.size()));
  for (const bytes_t &lane : lanes) {
    out.put(std::uint32_t(lane.size()));
    for (const unsigned char byte : lane)
      out.put(byte);
  }
  out.close();
}

/// \brief The probability of record r, by the top.
probability_t likelihood(const records_t &symbols, std::size_t r) {
  hls::stream<symbol_t> in;
  hls::stream<probability_t> out;
  feed(symbols, r, in);
  pc_likelihood(in, out, 1);
  return out.read();
}

/// \brief Encode record r alone, for what a watcher sees of it.
void encode_one(const records_t &symbols, std::size_t r) {
  hls::stream<symbol_t> in;
  hls::stream<lane_byte> out;
  feed(symbols, r, in);
  pc_encode(in, out, 1);
  (void)collect(out);
}

/// \brief Names of the steps, a line each: likelihood steps first.
std::vector<std::string> step_names(const std::string &path) {
  std::ifstream file(path);
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);)
    names.push_back(line);
  if (names.size() != memories::likelihood_steps + memories::code_steps)
    fail(path + " must name every step");
  return names;
}

int mismatch(std::size_t record, const std::string &where, const std::string &expected,
             const std::string &got) {
  std::printf("MISMATCH record %zu, %s: expected %s, got %s\n", record, where.c_str(),
              expected.c_str(), got.c_str());
  return 1;
}

std::string text_of(std::int64_t value) { return std::to_string(value); }

int compare_steps(std::size_t record, const char *schedule,
                  const std::vector<std::uint32_t> &expected, const std::vector<std::uint32_t> &got,
                  const std::vector<std::string> &names, std::size_t first) {
  const std::size_t steps = got.size();
  for (std::size_t s = 0; s < steps; ++s)
    if (expected[record * steps + s] != got[s])
      return mismatch(
          record,
          std::string(schedule) + " step " + std::to_string(s) + " (" + names[first + s] + ")",
          "hash " + std::to_string(expected[record * steps + s]), "hash " + std::to_string(got[s]));
  return 0;
}

int golden(const std::string &folder, bool every_step) {
  const records_t symbols = read_records(folder + "/symbols.i32", false);
  const std::vector<std::int64_t> likelihoods =
      read_words<std::int64_t>(folder + "/likelihood.i64");
  const std::vector<std::uint32_t> intervals = read_words<std::uint32_t>(folder + "/intervals.u32");
  const std::vector<std::uint32_t> up_hashes =
      read_words<std::uint32_t>(folder + "/likelihood_hashes.u32");
  const std::vector<std::uint32_t> walk_hashes =
      read_words<std::uint32_t>(folder + "/code_hashes.u32");
  const std::vector<bytes_t> lanes = read_lanes(folder + "/lanes.bin");
  const std::vector<std::string> names = step_names(folder + "/steps.txt");
  const std::uint64_t count = count_of(symbols);
  if (count == 0 || likelihoods.size() != 2 * count || intervals.size() != 2 * symbols.size() ||
      up_hashes.size() != count * memories::likelihood_steps ||
      walk_hashes.size() != count * memories::code_steps || lanes.size() > count)
    fail(folder + " must hold the results of all its records, at least of one");
  for (std::size_t r = 0; r < count; ++r) {
    std::vector<std::uint32_t> up, walk, ends;
    probability_t p;
    {
      watcher seen;
      p = likelihood(symbols, r);
      up = seen.hashes;
    }
    {
      watcher seen;
      encode_one(symbols, r);
      walk = seen.hashes;
      ends = seen.ends;
    }
    if (every_step && (up.size() != memories::likelihood_steps ||
                       walk.size() != memories::code_steps || ends.size() != 2 * config::variables))
      fail("the kernels must show every step");
    if (every_step && compare_steps(r, "likelihood", up_hashes, up, names, 0))
      return 1;
    // Intervals first: their ends say more than a hash does.
    using code = memories::code_program;
    std::uint32_t place = 0;
    for (unsigned k = 0, s = 0; every_step && k < config::variables;
         ++k, ++s, place = code::next(place)) {
      for (; s + 1 < memories::code_steps && code::kind(place) != unsigned(pcedge::INTERVAL); ++s)
        place = code::next(place);
      for (unsigned end = 0; end < 2; ++end) {
        const std::uint32_t expected = intervals[(r * config::variables + k) * 2 + end];
        if (expected != ends[2 * k + end]) {
          if (compare_steps(r, "code", walk_hashes, walk, names, memories::likelihood_steps))
            return 1;
          return mismatch(r,
                          "code step " + std::to_string(s) + " (" +
                              names[memories::likelihood_steps + s] + ")",
                          (end ? "hi " : "lo ") + text_of(expected), text_of(ends[2 * k + end]));
        }
      }
    }
    if (every_step &&
        compare_steps(r, "code", walk_hashes, walk, names, memories::likelihood_steps))
      return 1;
    const std::int64_t mantissa = std::int64_t(std::uint64_t(p.mantissa)),
                       exponent = std::int64_t(p.exponent);
    if (mantissa != likelihoods[2 * r] || exponent != likelihoods[2 * r + 1])
      return mismatch(r, "likelihood",
                      text_of(likelihoods[2 * r]) + " * 2^" + text_of(likelihoods[2 * r + 1]),
                      text_of(mantissa) + " * 2^" + text_of(exponent));
  }
  const std::vector<bytes_t> coded = encode(symbols, static_cast<unsigned>(lanes.size()));
  for (std::size_t lane = 0; lane < lanes.size(); ++lane)
    if (coded[lane] != lanes[lane])
      return mismatch(lane, "pc_encode (first record of lane " + std::to_string(lane) + ")",
                      std::to_string(lanes[lane].size()) + " golden bytes", "other bytes");
  const records_t decoded = decode(lanes, count);
  for (std::size_t k = 0; k < symbols.size(); ++k)
    if (decoded[k] != symbols[k])
      return mismatch(k / config::variables,
                      "pc_decode variable " + std::to_string(k % config::variables),
                      text_of(symbols[k]), text_of(decoded[k]));
  std::printf("%" PRIu64 " records: likelihood, encode and decode equal the golden vectors%s\n",
              count, every_step ? ", every step of them" : "");
  std::size_t bytes = 0;
  for (const bytes_t &lane : lanes)
    bytes += lane.size();
  pcedge::print_compared(
      {{"records", count},
       {"steps", every_step ? count * (memories::likelihood_steps + memories::code_steps) : 0},
       {"bytes", bytes},
       {"symbols", symbols.size()}});
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || (words.size() == 2 && (words[0] == "golden" || words[0] == "outputs")))
    return golden(words.empty() ? "golden" : words[1], words.empty() || words[0] == "golden");
  if (words.size() < 3)
    fail("usage: testbench golden|outputs DIR | likelihood|intervals|trace IN OUT | encode IN OUT "
         "LANES | "
         "decode IN OUT RECORDS");
  if (words[0] == "decode" && words.size() == 4) {
    writer out(words[2]);
    const std::uint64_t count = pcedge::read_number(words[3], 0, MOST_RECORDS);
    for (const std::int32_t symbol : decode(read_lanes(words[1]), count))
      out.put(symbol);
    out.close();
    return 0;
  }
  const records_t symbols = read_records(words[1], true);
  if (words[0] == "encode" && words.size() == 4) {
    write_lanes(words[2], encode(symbols, unsigned(pcedge::read_number(words[3], 1, MOST_LANES))));
    return 0;
  }
  writer out(words[2]);
  for (std::size_t r = 0; r < count_of(symbols); ++r) {
    if (words[0] == "likelihood") {
      const probability_t p = likelihood(symbols, r);
      out.put(std::int64_t(std::uint64_t(p.mantissa)));
      out.put(std::int64_t(p.exponent));
    } else if (words[0] == "intervals") {
      watcher seen;
      encode_one(symbols, r);
      for (const std::uint32_t end : seen.ends)
        out.put(end);
    } else if (words[0] == "trace") {
      watcher seen(&out);
      (void)likelihood(symbols, r);
      encode_one(symbols, r);
    } else {
      fail("unknown command " + words[0]);
    }
  }
  out.close();
  return 0;
}
