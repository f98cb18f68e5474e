// Faults in the state of an engine during jobs, and what comes of each (docs/hardening.md).
//
// upsets STREAMS: reads jobs and faults from standard input, all numbers of 32 bits, lowest byte first: how many jobs;
//   of each job, records of every stream, then for every stream a count and so many words, each followed by its TLAST;
//   how many faults; of each the job, a cycle of it, a bit of `flips`, ones and 0, or a memory's number, a word and a
//   bit. Writes of each job cycles, status, and the words of every stream in the same form; then of each fault,
//   twice, how the job ended, status and whether all words were those of the job without it: of the job with the fault,
//   and of the same job once more. A job has ended (0) with all packets, stands still (1), or was not run (2).
//
// A job runs once for all of its faults: at the cycle of each the process forks, and the child has the fault. It ends
// early where its whole state, and all that went in and out, is what it was without the fault: then nothing differs any
// more. Exit 2: wrong usage, or a job that does not end without a fault.
#include "Vpc_axi.h"
#include "Vpc_axi___024root.h"
#include "ports.hpp"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <algorithm>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

double sc_time_stamp() { return 0; }

namespace {

using pcedge::beat_t, pcedge::get_word, pcedge::put_word, pcedge::set;

// docs/registers.md
constexpr unsigned CONTROL = 0x00, JOB = 0x10, STATUS = 0x18, RECORDS = 0x100;

/// The word of a fault that is in a register, or in what a memory gives.
constexpr std::uint32_t NO_WORD = 0xffffffff;

/// No job takes so many cycles.
constexpr std::uint64_t MOST_CYCLES = 40'000'000;

[[noreturn]] void fail(const std::string &what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(2);
}

std::uint32_t take() {
  std::uint32_t word;
  if (std::fread(&word, 4, 1, stdin) != 1)
    fail("a request must be whole");
  return word;
}

void give(std::uint32_t word) {
  if (std::fwrite(&word, 4, 1, stdout) != 1)
    fail("cannot write");
}

using beats_t = std::vector<std::vector<beat_t>>; // of every stream

struct job_t {
  std::uint32_t job = 0;
  std::vector<std::uint32_t> records;
  beats_t in, out;
  std::uint64_t cycles = 0;
  std::uint32_t status = 0;
};

struct fault_t {
  std::uint32_t job, cycle, number, word, bit;
};

struct end_t {
  std::uint32_t how, status, same;
};

/// Thrown where a run with a fault is again what it was without.
struct same_t {};

/// Cycles between comparisons with the job without a fault.
constexpr std::uint64_t STRIDE = 32;

/// \brief Memory that children share with their parent, zeros at first.
template <class T> class shared_t {
public:
  explicit shared_t(std::size_t count_)
      : count(count_ + 1),
        data(static_cast<T *>(mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    if (data == MAP_FAILED)
      fail("cannot share memory");
  }
  ~shared_t() { munmap(data, count * sizeof(T)); }
  shared_t(const shared_t &) = delete;
  shared_t &operator=(const shared_t &) = delete;
  T &operator[](std::size_t place) { return data[place < count ? place : count - 1]; }
  std::size_t size() const { return count - 1; }

private:
  std::size_t count;
  T *data;
};

/// \brief An engine behind its registers, with at most one fault in its life.
class engine_t {
public:
  engine_t() : top(std::make_unique<Vpc_axi>(&context)) {
    top->rst = 1;
    top->s_axi_wstrb = 15;
    top->s_axi_bready = top->s_axi_rready = 1;
    for (int n = 0; n < 4; ++n)
      tick();
    top->rst = 0;
    tick();
    cycle = 0;
  }

  /// \brief Run a job; `most` cycles are all that it has, `wanted` says what comes without a fault.
  bool run(const job_t &job, const beats_t *wanted, std::uint64_t most, beats_t &out,
           std::uint32_t &status) {
    cycle = 0;
    limit = most;
    now_out = &out;
    const unsigned streams = static_cast<unsigned>(job.in.size());
    out.assign(streams, {});
    at.assign(streams, 0);
    status = 0;
    for (unsigned n = 0; n < streams; ++n)
      write(RECORDS + 4 * n, job.records[n]);
    write(JOB, job.job);
    read(CONTROL);
    write(CONTROL, 1);
    std::vector<std::size_t> packets(streams, 0);
    set(top->m_axis_tready, ~0ull);
    for (bool done = false; cycle < limit;) {
      std::uint64_t valid = 0, last = 0;
      for (unsigned n = 0; n < streams; ++n)
        if (at[n] < job.in[n].size()) {
          valid |= 1ull << n;
          last |= static_cast<std::uint64_t>(job.in[n][at[n]].last != 0) << n;
          put_word(top->s_axis_tdata, n, job.in[n][at[n]].data);
        }
      set(top->s_axis_tvalid, valid);
      set(top->s_axis_tlast, last);
      settle();
      for (unsigned n = 0; n < streams; ++n) {
        at[n] += valid >> n & static_cast<std::uint64_t>(top->s_axis_tready) >> n & 1;
        if (static_cast<std::uint64_t>(top->m_axis_tvalid) >> n & 1) {
          const auto ends =
              static_cast<std::uint32_t>(static_cast<std::uint64_t>(top->m_axis_tlast) >> n & 1);
          out[n].push_back({get_word(top->m_axis_tdata, n), ends});
          packets[n] += ends;
        }
      }
      const bool irq = top->irq;
      edge();
      if (irq && !done) {
        status = read(STATUS); // as a driver does: at once, and then it waits for what is under way
        done = true;
      }
      bool whole = done;
      for (unsigned n = 0; n < streams; ++n)
        whole =
            whole && at[n] == job.in[n].size() && (!wanted || packets[n] >= ends_of((*wanted)[n]));
      if (whole) {
        set(top->s_axis_tvalid, 0);
        return cycle < limit;
      }
    }
    return false;
  }

  std::uint64_t cycles() const { return cycle; }
  const fault_t *fault_now() const { return fault; }

  /// \brief Hash all that is in the model, and what went in and out so far.
  std::uint64_t state() {
    const auto *words = reinterpret_cast<const unsigned char *>(top->rootp);
    std::uint64_t hash = 0x9e3779b97f4a7c15ull ^ cycle;
    const auto mix = [&](std::uint64_t word) {
      hash = (hash ^ word) * 0xff51afd7ed558ccdull, hash ^= hash >> 29;
    };
    for (std::size_t place = 0; place + 8 <= sizeof(*top->rootp); place += 8) {
      std::uint64_t word;
      std::memcpy(&word, words + place, 8);
      mix(word);
    }
    for (const std::size_t place : at)
      mix(place);
    for (const auto &beats : *now_out) {
      mix(beats.size());
      for (const beat_t &beat : beats)
        mix(static_cast<std::uint64_t>(beat.data) << 1 | beat.last);
    }
    return hash;
  }

  /// Faults of this run, by their cycles, of which each makes a child; in a child the one that it has.
  std::vector<const fault_t *> faults;
  /// What was without a fault, by cycle / STRIDE: filled by a run that `records`, compared by a child.
  shared_t<std::uint64_t> *states = nullptr;
  bool records = false;
  /// Whether this is a child.
  bool child = false;

private:
  static std::size_t ends_of(const std::vector<beat_t> &beats) {
    std::size_t count = 0;
    for (const beat_t &beat : beats)
      count += beat.last;
    return count;
  }

  void write(unsigned offset, std::uint32_t value) {
    top->s_axi_awaddr = static_cast<unsigned short>(offset);
    top->s_axi_wdata = value;
    top->s_axi_awvalid = top->s_axi_wvalid = 1;
    settle();
    while (!(top->s_axi_awready && top->s_axi_wready) && cycle < limit)
      tick();
    tick();
    top->s_axi_awvalid = top->s_axi_wvalid = 0;
    while (!top->s_axi_bvalid && cycle < limit)
      tick();
    tick();
  }

  std::uint32_t read(unsigned offset) {
    top->s_axi_araddr = static_cast<unsigned short>(offset);
    top->s_axi_arvalid = 1;
    settle();
    while (!top->s_axi_arready && cycle < limit)
      tick();
    tick();
    top->s_axi_arvalid = 0;
    while (!top->s_axi_rvalid && cycle < limit)
      tick();
    const std::uint32_t value = top->s_axi_rdata;
    tick();
    return value;
  }

  void settle() {
    top->clk = 0;
    top->eval();
  }

  void edge() {
    if (!child)
      while (next < faults.size() && faults[next]->cycle == cycle) {
        std::fflush(nullptr);
        const pid_t made = fork();
        if (made < 0)
          fail("cannot fork");
        if (made == 0) {
          child = true;
          fault = faults[next];
          put(true);
          break;
        }
        int ended = 0;
        if (waitpid(made, &ended, 0) != made || !WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
          fail("a run with a fault must end");
        ++next;
      }
    const bool now = child && fault->cycle == cycle && next < faults.size();
    top->clk = 1;
    top->eval();
    if (now) {
      put(false);
      next = faults.size();
    }
    ++cycle;
    if (states && cycle % STRIDE == 0 && (records || child)) {
      if (records)
        (*states)[cycle / STRIDE] = state();
      else if (cycle > fault->cycle + 2 && (*states)[cycle / STRIDE] == state())
        throw same_t{};
    }
  }

  void tick() {
    settle();
    edge();
  }

  void put(bool on) {
    if (fault->word != NO_WORD) {
      set(top->flip_memory, on);
      set(top->flip_number, fault->number);
      set(top->flip_word, fault->word);
      put_word(top->flip_mask, fault->bit / 32, on ? 1u << fault->bit % 32 : 0u);
    } else {
      put_word(top->flips, fault->number / 32, on ? 1u << fault->number % 32 : 0u);
    }
  }

  VerilatedContext context;
  std::unique_ptr<Vpc_axi> top;
  const fault_t *fault = nullptr;
  std::size_t next = 0;
  std::vector<std::size_t> at;
  beats_t *now_out = nullptr;
  std::uint64_t cycle = 0, limit = MOST_CYCLES;
};

job_t take_job(unsigned streams) {
  job_t job;
  job.job = take();
  for (unsigned n = 0; n < streams; ++n)
    job.records.push_back(take());
  job.in.resize(streams);
  for (auto &words : job.in)
    for (std::uint32_t left = take(); left; --left) {
      const std::uint32_t data = take();
      words.push_back({data, take()});
    }
  return job;
}

/// \brief Run a job with each of its faults; what became of fault n is in ends 2 n and 2 n + 1.
void with_faults(const job_t &job, std::uint32_t number, const std::vector<fault_t> &faults,
                 shared_t<end_t> &ends) {
  engine_t engine;
  shared_t<std::uint64_t> states(job.cycles / STRIDE + 1), at_end(1);
  engine.states = &states;
  beats_t out;
  std::uint32_t status = 0;
  const std::uint64_t most = 3 * job.cycles + 4096;
  std::fflush(nullptr);
  const pid_t recorder = fork(); // of this engine: the same addresses are in its state
  if (recorder < 0)
    fail("cannot fork");
  if (recorder == 0) {
    engine.records = true;
    engine.run(job, &job.out, most, out, status);
    at_end[0] = engine.state();
    _exit(0);
  }
  int ended = 0;
  if (waitpid(recorder, &ended, 0) != recorder || ended != 0)
    fail("a job without a fault must end");
  for (const fault_t &fault : faults)
    if (fault.job == number)
      engine.faults.push_back(&fault);
  std::sort(engine.faults.begin(), engine.faults.end(),
            [](const fault_t *a, const fault_t *b) { return a->cycle < b->cycle; });
  end_t first{0, 0, 1}, second{0, 0, 1};
  std::size_t place = 0;
  try {
    first.how = !engine.run(job, &job.out, most, out, first.status);
    if (!engine.child)
      return;
    first.same = !first.how && out == job.out;
    if (first.how || first.status != 0 || !first.same) {
      second = {2, 0, 0};
    } else if (engine.state() != at_end[0]) {
      engine.states = nullptr;
      second.how = !engine.run(job, &job.out, most, out, second.status);
      second.same = !second.how && out == job.out;
    }
  } catch (const same_t &) {
  }
  place = static_cast<std::size_t>(engine.fault_now() - faults.data());
  ends[2 * place] = first;
  ends[2 * place + 1] = second;
  std::fflush(nullptr);
  _exit(0);
}

} // namespace

int main(int count, char **arguments) {
  const unsigned long streams = count == 2 ? std::strtoul(arguments[1], nullptr, 10) : 0;
  if (streams < 1 || streams > 64)
    fail("usage: upsets STREAMS");
  std::vector<job_t> jobs;
  for (std::uint32_t left = take(); left; --left) {
    job_t job = take_job(static_cast<unsigned>(streams));
    engine_t engine;
    if (!engine.run(job, nullptr, MOST_CYCLES, job.out, job.status))
      fail("a job without a fault must end");
    job.cycles = engine.cycles();
    give(static_cast<std::uint32_t>(job.cycles));
    give(job.status);
    for (const auto &words : job.out) {
      give(static_cast<std::uint32_t>(words.size()));
      for (const beat_t &beat : words) {
        give(beat.data);
        give(beat.last);
      }
    }
    jobs.push_back(job);
  }
  std::vector<fault_t> faults(take());
  for (fault_t &fault : faults) {
    fault.job = take();
    fault.cycle = take();
    fault.number = take();
    fault.word = take();
    fault.bit = take();
    if (fault.job >= jobs.size() || fault.cycle >= jobs[fault.job].cycles)
      fail("a fault must be in a cycle of one of the jobs");
  }
  shared_t<end_t> ends(2 * faults.size());
  for (std::size_t place = 0; place < jobs.size(); ++place)
    with_faults(jobs[place], static_cast<std::uint32_t>(place), faults, ends);
  for (std::size_t place = 0; place < ends.size(); ++place) {
    give(ends[place].how);
    give(ends[place].status);
    give(ends[place].same);
  }
  return 0;
}
