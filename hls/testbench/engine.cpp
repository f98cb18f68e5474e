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

#include "pcedge/testbench/files.hpp"
#include "pcedge_engine.hpp"

#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using memories = pcedge_memories;
using pcedge::fail;
using pcedge::read_words;

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
      for (const beat_t &beat : in[n])
        from[n].write(pcedge::full_beat(ap_uint<32>(beat.data), beat.last != 0));
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
        out[n].push_back({std::uint32_t(word.data), word.last.to_bool() ? 1u : 0u});
      }
    }
  }
};

bool take_words(std::uint32_t *words, std::size_t count) {
  return std::fread(words, 4, count, stdin) == count;
}

void write_words(const std::uint32_t *words, std::size_t count) {
  if (std::fwrite(words, 4, count, stdout) != count)
    fail("cannot write");
}

void serve(stalls_t stalls) {
  call_t call;
  while (take_words(&call.job, 1)) {
    bool whole = take_words(call.records, STREAMS);
    for (unsigned n = 0; whole && n < STREAMS; ++n) {
      std::uint32_t count = 0;
      whole = take_words(&count, 1);
      // One by one: what announces more than it has takes no more memory than it has.
      call.in[n].clear();
      for (std::uint32_t i = 0; whole && i < count; ++i) {
        beat_t beat;
        whole = take_words(&beat.data, 1) && take_words(&beat.last, 1);
        call.in[n].push_back(beat);
      }
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

/// \brief Compare the jobs with the golden vectors of a folder; the lanes take turns.
struct golden_t {
  std::string folder;
  std::vector<std::int32_t> given;
  std::vector<std::uint32_t> image, symbols, sizes, lanes;
  std::vector<std::int64_t> likelihood;
  std::size_t variables, records;
  pcedge::cycle_t cycles[3];

  explicit golden_t(const std::string &name)
      : folder(name), given(read_words<std::int32_t>(folder + "/symbols.i32")),
        symbols(given.begin(), given.end()),
        sizes(read_words<std::uint32_t>(folder + "/lane_sizes.u32")),
        lanes(read_words<std::uint32_t>(folder + "/lane_bytes.u32")),
        likelihood(read_words<std::int64_t>(folder + "/likelihood.i64")), variables(0),
        records(likelihood.size() / 2), cycles() {
    if (memories::reloadable)
      image = read_words<std::uint32_t>(folder + "/image.u32");
  }

  /// \brief Refuse files that do not belong together, as soon as there is a circuit.
  void check() {
    variables = memories::record;
    std::uint64_t bytes = 0;
    bool whole = records > 0 && likelihood.size() == 2 * records &&
                 symbols.size() == records * variables && !sizes.empty() && sizes.size() <= records;
    for (const std::uint32_t size : sizes) {
      whole = whole && size > 0;
      bytes += size;
    }
    if (!whole || bytes != lanes.size())
      fail(folder + " must hold the results of all its records, at least of one");
    for (std::size_t k = 0; k < given.size(); ++k)
      pcedge::check_symbol(folder + "/symbols.i32", k / variables, k % variables, given[k],
                           memories::variables::cardinality(std::uint32_t(k % variables)), false);
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
      const std::int64_t mantissa = likelihood[2 * r], exponent = likelihood[2 * r + 1];
      const std::uint32_t expected[2] = {std::uint32_t(mantissa), std::uint32_t(exponent)};
      // A word of the engine's cannot equal a number that has more bits.
      const bool fits = mantissa == std::int64_t(expected[0]) &&
                        exponent == std::int64_t(std::int32_t(expected[1]));
      if (call.status != 0 || !fits || !equal(call.out[r % STREAMS], r / STREAMS * 2, expected, 2))
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
    if (memories::reloadable) {
      call_t call = {};
      call.job = pcedge::LOAD;
      if (image.empty())
        fail(folder + "/image.u32 must hold an image");
      send(call.in[0], image.data(), image.size());
      call.run({0, 1});
      if (call.status != 0) {
        std::printf("golden/image.u32 must be an image of this build, status %u\n", call.status);
        return 1;
      }
      call.job = pcedge::READ;
      call.in[0].clear();
      call.run({0, 1});
      if (!equal(call.out[0], 0, image.data(), image.size()))
        return differs("read: stream", 0);
    }
    check();
    if (likelihoods() != 0 || code(true) != 0 || code(false) != 0)
      return 1;
    const std::size_t turns = (sizes.size() + STREAMS - 1) / STREAMS;
    std::printf("%zu records: likelihoods, bytes and symbols equal; cycles: likelihood %" PRIu64
                " with %u streams, encode %" PRIu64 " and decode %" PRIu64
                " with %zu lanes, in %zu turns\n",
                records, cycles[0], STREAMS, cycles[1], cycles[2], sizes.size(), turns);
    pcedge::print_compared(
        {{"records", records}, {"bytes", lanes.size()}, {"symbols", symbols.size()}});
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
  constexpr std::uint32_t MOST = 0xFFFFFFFFu;
  if (pcedge::read_number(arguments[2], 0, MOST) != STREAMS)
    fail("this engine has " + std::to_string(STREAMS) + " streams, not " + arguments[2]);
  stalls_t stalls = {0, 1};
  if (count == 5) {
    stalls.share = std::uint32_t(pcedge::read_number(arguments[3], 0, 255));
    stalls.state = std::uint32_t(pcedge::read_number(arguments[4], 0, MOST));
  }
  serve(stalls);
  return 0;
}
