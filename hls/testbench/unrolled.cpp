// Testbench of an unrolled kernel.
//   testbench [golden DIR]   compares every result with the golden vectors, of the folder golden if
//                            none is named; prints mismatches, exits 1
//   testbench run IN OUT     int32 symbols, -1 is missing, to int64 mantissa, exponent and score
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

template <class T> bool read_file(const std::string &path, std::vector<T> &out) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file)
    return false;
  const std::streamoff size = file.tellg();
  if (size % std::streamoff(sizeof(T)) != 0)
    return false;
  out.resize(std::size_t(size) / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char *>(out.data()), std::streamsize(out.size() * sizeof(T)));
  return bool(file);
}

/// \brief Put the symbols of a record side by side; a missing one is all ones.
record_t pack(const std::int32_t *symbols) {
  record_t word = 0;
  for (std::size_t v = 0; v < VARIABLES; ++v) {
    const int bits = pcedge_unrolled::WIDTHS[v], low = pcedge_unrolled::PLACES[v];
    const int missing = (1 << bits) - 1;
    word.range(low + bits - 1, low) = symbols[v] < 0 ? missing : symbols[v];
  }
  return word;
}

/// \brief Run the kernel once a record; all records are in the stream before the first run.
std::vector<std::int64_t> run(const std::vector<std::int32_t> &symbols) {
  const std::size_t records = symbols.size() / VARIABLES;
  hls::stream<record_t> in;
  hls::stream<result_word_t> out;
  for (std::size_t r = 0; r < records; ++r)
    in.write(pack(symbols.data() + r * VARIABLES));
  std::vector<std::int64_t> results;
  for (std::size_t r = 0; r < records; ++r) {
    pc_unrolled(in, out);
    const result_word_t word = out.read();
    results.push_back(std::int64_t(word.range(31, 0).to_uint64()));
    results.push_back(std::int32_t(word.range(63, 32).to_uint()));
    results.push_back(std::int64_t(word.range(95, 64).to_uint64()));
  }
  return results;
}

int golden(const std::string &folder) {
  std::vector<std::int32_t> symbols;
  std::vector<std::int64_t> expected;
  if (!read_file(folder + "/symbols.i32", symbols) ||
      !read_file(folder + "/results.i64", expected) || symbols.size() % VARIABLES != 0 ||
      symbols.empty() || expected.size() != symbols.size() / VARIABLES * OUTPUTS) {
    std::fprintf(stderr, "%s must hold the results of all its records\n", folder.c_str());
    return 2;
  }
  const std::vector<std::int64_t> got = run(symbols);
  int wrong = 0;
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
  return 0;
}

} // namespace

int main(int count, char **words) {
  const std::string command = count > 1 ? words[1] : "golden";
  if (command == "golden" && (count == 1 || count == 3))
    return golden(count == 3 ? words[2] : "golden");
  std::vector<std::int32_t> symbols;
  if (command != "run" || count != 4) {
    std::fprintf(stderr, "usage: testbench [golden DIR] | testbench run IN OUT\n");
    return 2;
  }
  if (!read_file(words[2], symbols) || symbols.size() % VARIABLES != 0) {
    std::fprintf(stderr, "%s must hold whole records\n", words[2]);
    return 2;
  }
  const std::vector<std::int64_t> results = run(symbols);
  std::ofstream file(words[3], std::ios::binary);
  file.write(reinterpret_cast<const char *>(results.data()),
             std::streamsize(results.size() * sizeof(results[0])));
  return file ? 0 : 2;
}
