// Testbench of a project's engine.
//
// engine golden DIR, or without arguments, DIR golden: every job on the golden vectors of DIR; exit 1
//   where a result differs
// engine serve STREAMS [SHARE SEED]: jobs from standard input to standard output, until it ends; the
//   engine has so many streams, and finds their ends not ready in SHARE of 256 cases
//
// serve reads, all numbers of 32 bits, lowest byte first: job; records of every stream; then for
// every stream a count and so many words, each followed by its TLAST. It writes: status; cycles, two
// numbers; the info registers; then the words of every stream in the same form. Exit 2: wrong usage,
// or a file that cannot be read.

#include "pcedge_engine.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr unsigned STREAMS = unsigned(config::streams);

#ifdef PCEDGE_STREAM_SHIM
using pcedge::stalls_t;
void set_stalls(const stalls_t &stalls) { pcedge::stalls() = stalls; }
#else
/// The vendor's streams stall in hardware only.
struct stalls_t {
  std::uint32_t share, state;
};
void set_stalls(const stalls_t &) {}
#endif

[[noreturn]] void fail(const std::string &text) {
  std::fprintf(stderr, "engine: %s\n", text.c_str());
  std::exit(2);
}

struct beat_t {
  std::uint32_t data, last;
};

/// \brief One call of the top.
struct call_t {
  std::uint32_t job, records[STREAMS];
  std::vector<beat_t> in[STREAMS], out[STREAMS];
  std::uint32_t status, info[pcedge::INFO_WORDS];
  pcedge::cycle_t cycles;

  void run(const stalls_t &stalls) {
    hls::stream<pcedge::port_t> from[STREAMS], to[STREAMS];
    for (unsigned n = 0; n < STREAMS; ++n) {
      for (const beat_t &beat : in[n]) {
        pcedge::port_t word;
        word.data = beat.data;
        word.keep = 15;
        word.strb = 15;
        word.last = beat.last != 0;
        from[n].write(word);
      }
      out[n].clear();
    }
    set_stalls(stalls);
    pc_engine(job, records, from, to, status, cycles, info);
    set_stalls({0, 1});
    for (unsigned n = 0; n < STREAMS; ++n) {
      if (!from[n].empty())
        fail("the engine must take all words of a job");
      while (!to[n].empty()) {
        const pcedge::port_t word = to[n].read();
        out[n].push_back({std::uint32_t(word.data), word.last ? 1u : 0u});
      }
    }
  }
};

bool read_words(std::uint32_t *words, std::size_t count) {
  return std::fread(words, 4, count, stdin) == count;
}

void write_words(const std::uint32_t *words, std::size_t count) {
  if (std::fwrite(words, 4, count, stdout) != count)
    fail("cannot write");
}

void serve(stalls_t stalls) {
  call_t call;
  while (read_words(&call.job, 1)) {
    bool whole = read_words(call.records, STREAMS);
    for (unsigned n = 0; whole && n < STREAMS; ++n) {
      std::uint32_t count = 0;
      whole = read_words(&count, 1);
      call.in[n].resize(count);
      for (std::uint32_t i = 0; whole && i < count; ++i)
        whole = read_words(&call.in[n][i].data, 2);
    }
    if (!whole)
      fail("a request must be whole");
    call.run(stalls);
    stalls.state += 1;
    const std::uint32_t said[3] = {call.status, std::uint32_t(call.cycles),
                                   std::uint32_t(call.cycles >> 32)};
    write_words(said, 3);
    write_words(call.info, pcedge::INFO_WORDS);
    for (unsigned n = 0; n < STREAMS; ++n) {
      const std::uint32_t count = std::uint32_t(call.out[n].size());
      write_words(&count, 1);
      for (const beat_t &beat : call.out[n])
        write_words(&beat.data, 2);
    }
    std::fflush(stdout);
  }
}

std::vector<std::uint32_t> read_file(const std::string &path, bool needed) {
  std::ifstream file(path, std::ios::binary);
  if (!file && needed)
    fail("cannot read " + path);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::uint32_t> words(bytes.size() / 4);
  if (!words.empty())
    std::memcpy(words.data(), bytes.data(), words.size() * 4);
  return words;
}

/// \brief Compare the jobs with the golden vectors of a folder; the lanes take turns.
struct golden_t {
  std::vector<std::uint32_t> image, symbols, likelihood, sizes, lanes;
  std::size_t variables, records;
  pcedge::cycle_t cycles[3];

  explicit golden_t(const std::string &folder)
      : image(read_file(folder + "/image.u32", false)),
        symbols(read_file(folder + "/symbols.i32", true)),
        likelihood(read_file(folder + "/likelihood.i64", true)),
        sizes(read_file(folder + "/lane_sizes.u32", true)),
        lanes(read_file(folder + "/lane_bytes.u32", true)), records(likelihood.size() / 4),
        cycles() {
    variables = records == 0 ? 0 : symbols.size() / records;
  }

  void send(std::vector<beat_t> &to, const std::uint32_t *words, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i)
      to.push_back({words[i], i + 1 == count ? 1u : 0u});
  }

  bool equal(const std::vector<beat_t> &from, std::size_t place, const std::uint32_t *words,
             std::size_t count) const {
    bool same = place + count <= from.size();
    for (std::size_t i = 0; same && i < count; ++i)
      same = from[place + i].data == words[i] && (from[place + i].last != 0) == (i + 1 == count);
    return same;
  }

  int differs(const char *job, std::size_t number) const {
    std::printf("%s differs in number %zu\n", job, number);
    return 1;
  }

  int likelihoods() {
    call_t call = {};
    call.job = pcedge::LIKELIHOOD;
    for (std::size_t r = 0; r < records; ++r) {
      call.records[r % STREAMS] += 1;
      send(call.in[r % STREAMS], &symbols[r * variables], variables);
    }
    call.run({0, 1});
    cycles[0] = call.cycles;
    for (std::size_t r = 0; r < records; ++r) {
      const std::uint32_t expected[2] = {likelihood[4 * r], likelihood[4 * r + 2]};
      if (call.status != 0 || !equal(call.out[r % STREAMS], r / STREAMS * 2, expected, 2))
        return differs("likelihood", r);
    }
    return 0;
  }

  /// \brief Encode, or decode: lane l is of stream l modulo the streams.
  int code(bool encode) {
    std::size_t place = 0;
    for (std::size_t first = 0; first < sizes.size(); first += STREAMS) {
      call_t call = {};
      call.job = encode ? pcedge::ENCODE : pcedge::DECODE;
      std::size_t start = place;
      for (unsigned n = 0; n < STREAMS && first + n < sizes.size(); ++n) {
        for (std::size_t r = first + n; r < records; r += sizes.size()) {
          call.records[n] += 1;
          if (encode)
            send(call.in[n], &symbols[r * variables], variables);
        }
        if (!encode)
          send(call.in[n], &lanes[start], sizes[first + n]);
        start += sizes[first + n];
      }
      call.run({0, 1});
      cycles[encode ? 1 : 2] += call.cycles;
      for (unsigned n = 0; n < STREAMS && first + n < sizes.size(); ++n) {
        bool same = call.status == 0;
        if (encode)
          same = same && equal(call.out[n], 0, &lanes[place], sizes[first + n]);
        std::size_t turn = 0;
        for (std::size_t r = first + n; !encode && r < records; r += sizes.size(), ++turn)
          same = same && equal(call.out[n], turn * variables, &symbols[r * variables], variables);
        if (!same)
          return differs(encode ? "encode: lane" : "decode: lane", first + n);
        place += sizes[first + n];
      }
    }
    return 0;
  }

  int run() {
    if (!image.empty()) {
      call_t call = {};
      call.job = pcedge::LOAD;
      send(call.in[0], image.data(), image.size());
      call.run({0, 1});
      const std::uint32_t loaded = call.status;
      call.job = pcedge::READ;
      call.in[0].clear();
      call.run({0, 1});
      if (loaded != 0) {
        std::printf("golden/image.u32 must be an image of this build, status %u\n", loaded);
        return 1;
      }
      if (!equal(call.out[0], 0, image.data(), image.size()))
        return differs("read: stream", 0);
    }
    if (likelihoods() != 0 || code(true) != 0 || code(false) != 0)
      return 1;
    const std::size_t turns = (sizes.size() + STREAMS - 1) / STREAMS;
    std::printf("%zu records: likelihoods, bytes and symbols equal; cycles: likelihood %" PRIu64
                " with %u streams, encode %" PRIu64 " and decode %" PRIu64
                " with %zu lanes, in %zu turns\n",
                records, cycles[0], STREAMS, cycles[1], cycles[2], sizes.size(), turns);
    return 0;
  }
};

} // namespace

int main(int count, char **arguments) {
  const std::string mode = count > 1 ? arguments[1] : "golden";
  if (mode == "golden" && (count == 1 || count == 3))
    return golden_t(count == 3 ? arguments[2] : "golden").run();
  if (mode != "serve" || (count != 3 && count != 5))
    fail("usage: engine [golden DIR] | engine serve STREAMS [SHARE SEED]");
  if (arguments[2] != std::to_string(STREAMS))
    fail("this engine has " + std::to_string(STREAMS) + " streams, not " + arguments[2]);
  stalls_t stalls = {0, 1};
  if (count == 5) {
    stalls.share = std::uint32_t(std::strtoull(arguments[3], nullptr, 10));
    stalls.state = std::uint32_t(std::strtoull(arguments[4], nullptr, 10));
  }
  serve(stalls);
  return 0;
}
