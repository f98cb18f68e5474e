// Testbench of an unrolled kernel.
//   testbench [golden DIR]   compares every result with the golden vectors, of the folder golden if
//                            none is named; prints mismatches, exits 1
//   testbench run IN OUT     int32 symbols, -1 is missing, to int64 mantissa, exponent and score
#include "pcedge/testbench/files.hpp"
#include "pcedge_unrolled.hpp"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr std::size_t VARIABLES = pcedge_unrolled::VARIABLES;
constexpr std::size_t OUTPUTS = 3;
const char *const NAMES[OUTPUTS] = {"mantissa", "exponent", "score"};
constexpr int SHOWN = 10;

/// \brief Read records; a missing symbol is -1.
std::vector<std::int32_t> read_records(const std::string &path) {
  const std::vector<std::int32_t> symbols = pcedge::read_words<std::int32_t>(path);
  if (symbols.size() % VARIABLES != 0)
    pcedge::fail(path + " must hold whole records of " + std::to_string(VARIABLES) + " symbols");
  for (std::size_t k = 0; k < symbols.size(); ++k) {
    const int cardinality = pcedge_unrolled::CARDINALITIES[k % VARIABLES];
    pcedge::check_symbol(path, k / VARIABLES, k % VARIABLES, symbols[k], unsigned(cardinality),
                         true);
  }
  return symbols;
}

/// \brief Put the symbols of a record side by side; a missing one is all ones.
record_t pack(const std::int32_t *symbols, bool last) {
  ap_uint<pcedge_unrolled::RECORD_BITS> word = 0;
  for (std::size_t v = 0; v < VARIABLES; ++v) {
    const int bits = pcedge_unrolled::WIDTHS[v], low = pcedge_unrolled::PLACES[v];
    const int missing = (1 << bits) - 1;
    word.range(low + bits - 1, low) = symbols[v] < 0 ? missing : symbols[v];
  }
  return pcedge::full_beat(word, last);
}

/// \brief What came out, and how many beats were not framed as their records.
struct results_t {
  std::vector<std::int64_t> values;
  int wrong;
};

/// \brief Tell whether a record is the last of a batch: the records are two batches.
bool ends_batch(std::size_t record, std::size_t records) {
  return record + 1 == records || record + 1 == records / 2;
}

/// \brief Run the kernel once a record; all records are in the stream before the first run. Of a
/// result all bytes must be kept, what is beyond the score must be 0, and TLAST must be the record's.
results_t run(const std::vector<std::int32_t> &symbols) {
  const std::size_t records = symbols.size() / VARIABLES;
  hls::stream<record_t> in;
  hls::stream<result_word_t> out;
  for (std::size_t r = 0; r < records; ++r)
    in.write(pack(symbols.data() + r * VARIABLES, ends_batch(r, records)));
  results_t results = {{}, 0};
  for (std::size_t r = 0; r < records; ++r) {
    pc_unrolled(in, out);
    const result_word_t beat = out.read();
    const ap_uint<pcedge_unrolled::RESULT_BITS> word = beat.data;
    results.values.push_back(std::int64_t(word.range(31, 0).to_uint64()));
    results.values.push_back(std::int32_t(word.range(63, 32).to_uint()));
    results.values.push_back(std::int64_t(word.range(95, 64).to_uint64()));
    const bool last = ends_batch(r, records), got = beat.last.to_bool();
    const bool whole = beat.keep.and_reduce() && beat.strb.and_reduce() &&
                       word.range(pcedge_unrolled::RESULT_BITS - 1, 96).to_uint() == 0;
    if ((last != got || !whole) && ++results.wrong <= SHOWN)
      std::printf("MISMATCH record %zu, beat: expected TLAST %d, whole bytes and zeros beyond the "
                  "score, got TLAST %d, %s\n",
                  r, int(last), int(got), whole ? "these" : "others");
  }
  return results;
}

int golden(const std::string &folder) {
  const std::vector<std::int32_t> symbols = read_records(folder + "/symbols.i32");
  const std::vector<std::int64_t> expected =
      pcedge::read_words<std::int64_t>(folder + "/results.i64");
  if (symbols.empty() || expected.size() != symbols.size() / VARIABLES * OUTPUTS)
    pcedge::fail(folder + " must hold the results of all its records, at least of one");
  const results_t results = run(symbols);
  const std::vector<std::int64_t> &got = results.values;
  int wrong = results.wrong;
  for (std::size_t k = 0; k < got.size(); ++k) {
    if (got[k] == expected[k])
      continue;
    if (++wrong <= SHOWN)
      std::printf("MISMATCH record %zu, %s: expected %" PRId64 ", got %" PRId64 "\n", k / OUTPUTS,
                  NAMES[k % OUTPUTS], expected[k], got[k]);
  }
  if (wrong > 0)
    return 1;
  std::printf("%zu records: mantissa, exponent and score equal the golden vectors\n",
              got.size() / OUTPUTS);
  pcedge::print_compared({{"records", got.size() / OUTPUTS}, {"results", got.size()}});
  return 0;
}

} // namespace

int main(int count, char **words) {
  const std::string command = count > 1 ? words[1] : "golden";
  if (command == "golden" && (count == 1 || count == 3))
    return golden(count == 3 ? words[2] : "golden");
  if (command != "run" || count != 4)
    pcedge::fail("usage: testbench [golden DIR] | testbench run IN OUT");
  const results_t found = run(read_records(words[2]));
  const std::vector<std::int64_t> &results = found.values;
  std::ofstream file(words[3], std::ios::binary);
  file.write(reinterpret_cast<const char *>(results.data()),
             std::streamsize(results.size() * sizeof(results[0])));
  file.close();
  if (!file)
    pcedge::fail(std::string("cannot write ") + words[3]);
  return found.wrong > 0 ? 1 : 0;
}
