// For testbenches: files of words, which are read whole or not at all, and what was compared.
#ifndef PCEDGE_FILES_HPP
#define PCEDGE_FILES_HPP

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace pcedge {

/// Bytes of a file, at most: what a vector holds where addresses have 32 bits too.
constexpr std::uint64_t MOST_FILE_BYTES = std::uint64_t(1) << (sizeof(void *) < 8 ? 30 : 32);

/// \brief End a testbench: wrong usage, or a file that cannot be read, is not whole, or cannot be
/// written.
[[noreturn]] inline void fail(const std::string &text) {
  std::fprintf(stderr, "testbench: %s\n", text.c_str());
  std::exit(2);
}

/// \brief Read a file of words, lowest byte first; one that ends within a word is refused.
template <class T> std::vector<T> read_words(const std::string &path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff end = file ? std::streamoff(file.tellg()) : std::streamoff(-1);
  const std::uint64_t size = std::uint64_t(end);
  if (end < 0 || size > MOST_FILE_BYTES) // a folder says that it is endless
    fail("cannot read " + path);
  if (size % sizeof(T) != 0)
    fail(path + " must hold whole words of " + std::to_string(sizeof(T)) + " bytes, got " +
         std::to_string(size) + " bytes");
  std::vector<T> words(typename std::vector<T>::size_type(size / sizeof(T)));
  file.seekg(0);
  if (!words.empty())
    file.read(reinterpret_cast<char *>(words.data()), std::streamsize(size));
  if (!file)
    fail("cannot read " + path);
  return words;
}

/// \brief Read a whole number of an argument, `least` to `most`.
inline std::uint64_t read_number(const std::string &text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  bool whole = !text.empty();
  for (const char letter : text) {
    whole = whole && letter >= '0' && letter <= '9' && number <= most / 10;
    number = whole ? number * 10 + std::uint64_t(letter - '0') : 0;
  }
  if (!whole || number < least || number > most)
    fail("a number must be in " + std::to_string(least) + ".." + std::to_string(most) + ", got '" +
         text + "'");
  return number;
}

/// \brief Refuse a symbol that a variable has not; -1, a missing one, is good where `missing` is.
inline void check_symbol(const std::string &path, std::uint64_t record, std::uint64_t variable,
                         std::int32_t symbol, std::uint32_t cardinality, bool missing) {
  if (symbol < 0 ? missing && symbol == -1 : std::uint32_t(symbol) < cardinality)
    return;
  fail(path + ": record " + std::to_string(record) + ", variable " + std::to_string(variable) +
       ": a symbol must be in " + (missing ? "-1.." : "0..") + std::to_string(cardinality - 1) +
       ", got " + std::to_string(symbol));
}

/// \brief A number of things that a testbench compared.
struct compared_t {
  const char *name;
  std::uint64_t count;
};

/// \brief Say how much was compared; `pcedge simulate` reads this line.
inline void print_compared(const std::vector<compared_t> &all) {
  const char *before = "compared: ";
  for (const compared_t &one : all) {
    std::printf("%s%" PRIu64 " %s", before, one.count, one.name);
    before = ", ";
  }
  std::printf("\n");
}

} // namespace pcedge

#endif
