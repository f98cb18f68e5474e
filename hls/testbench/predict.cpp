// Testbench of a circuit's predictor stage.
//   testbench [golden DIR]                 compares with the golden vectors, of the folder golden if
//                                          none is named; prints mismatches, exits 1
//   testbench forward IN OUT RAW LANES     numbers to classes, tokens and raw bits
//   testbench pack IN OUT LANES            numbers to the bytes of lanes, and of their raw bits
//   testbench unpack CODED RAW OUT ROWS    and back
//   testbench back IN RAW OUT LANES ROWS   tokens and raw bits to classes and numbers
// Numbers are of the data's type in 64 bits; lanes are contiguous runs of rows. OUT has three int64
// a number: class, token, count of raw bits, or class, number, 0. RAW is a uint32 count of lanes
// and, for each, a uint32 length and its bytes. Exit 1: a lane's status; 2: wrong usage, or a file.
#include "pcedge/testbench/files.hpp"
#include "pcedge_predict.hpp"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace {

using words_t = std::vector<std::int64_t>;
using bytes_t = std::vector<std::uint8_t>;
using place_t = words_t::size_type;
using stage = pcedge_stage;

constexpr int SHOWN = 10;
constexpr std::uint64_t MOST_ROWS = std::uint64_t(1) << 24;
constexpr place_t COLUMNS = stage::columns;
const char *const STATUS[] = {"a number is out of the range of its column",
                              "TLAST is not at the last number",
                              "there are too few raw bits",
                              "there are too many raw bits",
                              "the raw bits do not end in zeros",
                              "a symbol is no token",
                              "a residual comes under another token than its own",
                              "no encoder wrote the bytes of the tokens"};

/// \brief What a direction gives of all lanes: three words a number, raw bits of the lanes.
struct result_t {
  words_t words;
  std::vector<bytes_t> raw;
  int wrong;
};

void mismatch(result_t &result, const std::string &where, const std::string &what) {
  if (++result.wrong <= SHOWN)
    std::printf("MISMATCH %s: %s\n", where.c_str(), what.c_str());
}

void say_status(result_t &result, place_t lane, std::uint32_t status) {
  for (unsigned bit = 0; bit < sizeof(STATUS) / sizeof(STATUS[0]); ++bit)
    if ((status >> bit & 1) != 0)
      mismatch(result, "lane " + std::to_string(lane), STATUS[bit]);
}

/// \brief Rows of a lane: the first ones have one more where they are not even.
place_t rows_of(place_t lane, place_t lanes, place_t rows) {
  return rows / lanes + (lane < rows % lanes ? 1 : 0);
}

template <class T> T next(hls::stream<T> &stream, const std::string &what) {
  if (stream.empty())
    pcedge::fail("a lane must give " + what + " for each of its numbers");
  return stream.read();
}

bool whole(const symbol_port &beat, bool last) {
  return beat.keep.and_reduce() && beat.strb.and_reduce() && beat.last.to_bool() == last;
}

/// \brief Take a packet of raw bits: its only beat without data is that of a lane without any.
bytes_t collect(hls::stream<pcedge::raw_port_t> &raw, const std::string &lane, result_t &result) {
  bytes_t bytes;
  bool last = false;
  while (!last) {
    const pcedge::raw_port_t beat = next(raw, "a packet of raw bits");
    last = beat.last.to_bool();
    if (beat.keep.or_reduce())
      bytes.push_back(std::uint8_t(beat.data.to_uint()));
    else if (!last || !bytes.empty())
      mismatch(result, lane, "a beat of raw bits has no data");
  }
  if (!raw.empty())
    mismatch(result, lane, "the raw bits go on behind TLAST");
  return bytes;
}

/// \brief A beat of a number, without data where it is missing.
number_port number_beat(const words_t &numbers, place_t place, bool last) {
  number_port beat = pcedge::full_beat<stage::data_bits>(
      ap_uint<stage::data_bits>(std::uint64_t(numbers[place])), last);
  if (numbers[numbers.size() / 2 + place] != 0) {
    beat.data = 0;
    beat.keep = 0;
    beat.strb = 0;
  }
  return beat;
}

/// \brief Give a lane's numbers, as one packet.
void give_numbers(const words_t &numbers, place_t first, place_t count,
                  hls::stream<number_port> &in) {
  for (place_t k = 0; k < count; ++k)
    in.write(number_beat(numbers, first + k, k + 1 == count));
}

/// \brief Give raw bits, as one beat without data where there are none.
void give_raw(const bytes_t &bytes, bool any, hls::stream<pcedge::raw_port_t> &raw) {
  for (place_t k = 0; k < bytes.size(); ++k)
    raw.write(pcedge::full_beat<8>(ap_uint<8>(bytes[k]), k + 1 == bytes.size()));
  if (bytes.empty() && any) {
    pcedge::raw_port_t beat = pcedge::full_beat<8>(ap_uint<8>(0), true);
    beat.keep = 0;
    beat.strb = 0;
    raw.write(beat);
  }
}

/// \brief Map numbers, behind which it stands which of them are missing.
result_t forward(const words_t &numbers, place_t lanes) {
  result_t result = {{}, {}, 0};
  const place_t rows = numbers.size() / 2 / COLUMNS;
  place_t first = 0;
  for (place_t lane = 0; lane < lanes; ++lane) {
    const std::string name = "lane " + std::to_string(lane);
    const place_t count = rows_of(lane, lanes, rows) * COLUMNS;
    hls::stream<number_port> in;
    hls::stream<symbol_port> symbols;
    hls::stream<pcedge::raw_port_t> raw;
    give_numbers(numbers, first, count, in);
    std::uint32_t status = 0;
    pc_predict(in, symbols, raw, std::uint32_t(count / COLUMNS), status);
    say_status(result, lane, status);
    for (place_t k = 0; k < count; ++k) {
      const symbol_port chosen = next(symbols, "a class"), token = next(symbols, "a token");
      if (!whole(chosen, false) || !whole(token, true))
        mismatch(result, name, "a record is not framed");
      for (const std::int64_t word : {std::int64_t(chosen.data.to_uint64()),
                                      std::int64_t(token.data.to_uint64()), std::int64_t(0)})
        result.words.push_back(word);
      using F = pcedge::plain_integers;
      const auto escape =
          pcedge::escape_of<F>(token.data.to_uint64(), stage::centre, stage::escapes);
      const auto bits = pcedge::raw_bits_of<F>(escape, stage::shift(chosen.data.to_uint()));
      const bool plain = token.data.to_uint() < pcedge::plain_tokens<stage>();
      result.words.back() = plain ? std::int64_t(bits) : 0;
    }
    result.raw.push_back(collect(raw, name, result));
    first += count;
  }
  return result;
}

result_t back(const words_t &tokens, const std::vector<bytes_t> &raws, place_t rows) {
  result_t result = {{}, {}, 0};
  place_t first = 0;
  for (place_t lane = 0; lane < raws.size(); ++lane) {
    const std::string name = "lane " + std::to_string(lane);
    const place_t count = rows_of(lane, raws.size(), rows) * COLUMNS;
    hls::stream<symbol_port> symbols, classes;
    hls::stream<pcedge::raw_port_t> raw;
    hls::stream<number_port> numbers;
    for (place_t k = 0; k < count; ++k)
      symbols.write(pcedge::full_beat<32>(
          ap_uint<32>(static_cast<std::uint32_t>(tokens[first + k])), k % 2 == 0));
    give_raw(raws[lane], count != 0, raw);
    std::uint32_t status = 0;
    pc_restore(symbols, raw, classes, numbers, std::uint32_t(count / COLUMNS), status);
    say_status(result, lane, status);
    if (!raw.empty() || !symbols.empty())
      mismatch(result, name, "not all of its symbols and raw bits were taken");
    for (place_t k = 0; k < count; ++k) {
      const symbol_port chosen = next(classes, "a class");
      const number_port number = next(numbers, "a number");
      if (!whole(chosen, true) || number.last.to_bool() != (k + 1 == count))
        mismatch(result, name, "a class or a number is not framed");
      result.words.push_back(std::int64_t(chosen.data.to_uint64()));
      result.words.push_back(std::int64_t(pcedge::extended_number<stage>(number.data)));
      result.words.push_back(number.keep.or_reduce() ? 0 : 1);
    }
    first += count;
  }
  return result;
}

/// \brief Encode numbers: the lanes' bytes of tokens, and behind them those of raw bits.
result_t pack(const words_t &numbers, place_t lanes) {
  result_t result = {{}, {}, 0};
  const place_t rows = numbers.size() / 2 / COLUMNS;
  std::vector<bytes_t> raws;
  place_t first = 0;
  for (place_t lane = 0; lane < lanes; ++lane) {
    const std::string name = "packed lane " + std::to_string(lane);
    const place_t count = rows_of(lane, lanes, rows) * COLUMNS;
    hls::stream<number_port> in;
    hls::stream<token_byte> coded;
    hls::stream<pcedge::raw_port_t> raw;
    give_numbers(numbers, first, count, in);
    std::uint32_t status = 0;
    pc_pack(in, coded, raw, std::uint32_t(count / COLUMNS), status);
    say_status(result, lane, status);
    bytes_t bytes;
    for (bool last = count == 0; !last;) {
      const token_byte beat = next(coded, "the bytes of its tokens");
      bytes.push_back(std::uint8_t(unsigned(beat.data)));
      last = bool(beat.last);
    }
    result.raw.push_back(bytes);
    raws.push_back(collect(raw, name, result));
    first += count;
  }
  result.raw.insert(result.raw.end(), raws.begin(), raws.end());
  return result;
}

/// \brief Decode lanes; `result.words` are numbers, and which of them are missing.
result_t unpack(const std::vector<bytes_t> &coded, const std::vector<bytes_t> &raws, place_t rows) {
  result_t result = {{}, {}, 0};
  words_t missing;
  for (place_t lane = 0; lane < coded.size(); ++lane) {
    const place_t count = rows_of(lane, coded.size(), rows) * COLUMNS;
    hls::stream<token_byte> in;
    hls::stream<pcedge::raw_port_t> raw;
    hls::stream<number_port> numbers;
    for (place_t k = 0; k < coded[lane].size(); ++k) {
      token_byte beat;
      beat.data = coded[lane][k];
      beat.last = k + 1 == coded[lane].size();
      in.write(beat);
    }
    give_raw(raws[lane], count != 0, raw);
    std::uint32_t status = 0;
    pc_unpack(in, raw, numbers, std::uint32_t(count / COLUMNS), status);
    say_status(result, lane, status);
    for (place_t k = 0; k < count; ++k) {
      const number_port number = next(numbers, "a number");
      result.words.push_back(std::int64_t(pcedge::extended_number<stage>(number.data)));
      missing.push_back(number.keep.or_reduce() ? 0 : 1);
    }
  }
  result.words.insert(result.words.end(), missing.begin(), missing.end());
  return result;
}

/// \param times words of each number
words_t read_numbers(const std::string &path, place_t times) {
  const words_t numbers = pcedge::read_words<std::int64_t>(path);
  if (numbers.size() % (times * COLUMNS) != 0)
    pcedge::fail(path + " must hold whole rows of " + std::to_string(COLUMNS) + " numbers");
  return numbers;
}

std::vector<bytes_t> read_lanes(const std::string &path) {
  const bytes_t bytes = pcedge::read_words<std::uint8_t>(path);
  bytes_t::size_type at = 0;
  const auto word = [&] {
    if (bytes.size() - at < 4)
      pcedge::fail(path + " is truncated");
    std::uint32_t value = 0;
    for (unsigned k = 0; k < 4; ++k)
      value |= std::uint32_t(bytes[at++]) << (8 * k);
    return value;
  };
  const std::uint32_t count = word();
  if (count == 0 || count > bytes.size() / 4)
    pcedge::fail(path + " must hold all the lanes that it announces, at least one");
  std::vector<bytes_t> lanes;
  for (std::uint32_t lane = 0; lane < count; ++lane) {
    const std::uint32_t size = word();
    if (bytes.size() - at < size)
      pcedge::fail(path + " is truncated");
    const auto from = bytes.begin() + bytes_t::difference_type(at);
    lanes.emplace_back(from, from + bytes_t::difference_type(size));
    at += size;
  }
  if (at != bytes.size())
    pcedge::fail(path + " must end behind its last lane");
  return lanes;
}

template <class T> void write_file(const std::string &path, const std::vector<T> &words) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(words.data()),
             std::streamsize(words.size() * sizeof(T)));
  file.close();
  if (!file)
    pcedge::fail("cannot write " + path);
}

bytes_t packed(const std::vector<bytes_t> &lanes) {
  bytes_t bytes;
  const auto word = [&](place_t value) {
    for (unsigned k = 0; k < 4; ++k)
      bytes.push_back(std::uint8_t(std::uint64_t(value) >> (8 * k) & 255));
  };
  word(lanes.size());
  for (const bytes_t &lane : lanes) {
    word(lane.size());
    bytes.insert(bytes.end(), lane.begin(), lane.end());
  }
  return bytes;
}

/// \brief Compare what both directions give with the reference.
int golden(const std::string &folder) {
  const words_t numbers = read_numbers(folder + "/numbers.i64", 2);
  const words_t expected = pcedge::read_words<std::int64_t>(folder + "/stage.i64");
  const std::vector<bytes_t> raw = read_lanes(folder + "/raw.bin");
  const place_t total = numbers.size() / 2;
  if (numbers.empty() || expected.size() != 3 * total)
    pcedge::fail(folder + " must hold the records of all its numbers, at least of one row");
  result_t there = forward(numbers, raw.size());
  const char *const names[] = {"class", "token", "raw bits"};
  for (place_t k = 0; k < expected.size(); ++k)
    if (there.words[k] != expected[k])
      mismatch(there, "number " + std::to_string(k / 3) + ", " + names[k % 3],
               "expected " + std::to_string(expected[k]) + ", got " +
                   std::to_string(there.words[k]));
  std::uint64_t bytes = 0;
  for (place_t lane = 0; lane < raw.size(); ++lane) {
    bytes += raw[lane].size();
    if (there.raw[lane] != raw[lane])
      mismatch(there, "lane " + std::to_string(lane), "expected other raw bits");
  }
  words_t tokens;
  for (place_t k = 1; k < expected.size(); k += 3)
    tokens.push_back(expected[k]);
  result_t here = back(tokens, raw, total / COLUMNS);
  for (place_t k = 0; k < total; ++k) {
    const std::string where = "number " + std::to_string(k) + " restored";
    if (here.words[3 * k] != expected[3 * k])
      mismatch(here, where,
               "expected class " + std::to_string(expected[3 * k]) + ", got " +
                   std::to_string(here.words[3 * k]));
    const bool missing = numbers[total + k] != 0;
    if (here.words[3 * k + 2] != numbers[total + k])
      mismatch(here, where, missing ? "must be missing" : "must not be missing");
    else if (!missing && here.words[3 * k + 1] != numbers[k])
      mismatch(here, where,
               "expected " + std::to_string(numbers[k]) + ", got " +
                   std::to_string(here.words[3 * k + 1]));
  }
  const std::vector<bytes_t> coded = read_lanes(folder + "/coded.bin");
  if (coded.size() != raw.size())
    pcedge::fail(folder + " must hold tokens and raw bits of the same lanes");
  result_t encoded = pack(numbers, raw.size());
  result_t decoded = unpack(coded, raw, total / COLUMNS);
  for (place_t lane = 0; lane < raw.size(); ++lane)
    if (encoded.raw[lane] != coded[lane] || encoded.raw[raw.size() + lane] != raw[lane])
      mismatch(encoded, "lane " + std::to_string(lane), "expected other bytes packed");
  for (place_t k = 0; k < total; ++k)
    if (decoded.words[total + k] != numbers[total + k] ||
        (numbers[total + k] == 0 && decoded.words[k] != numbers[k]))
      mismatch(decoded, "number " + std::to_string(k) + " unpacked",
               "expected " + std::to_string(numbers[k]) + ", got " +
                   std::to_string(decoded.words[k]));
  if (there.wrong + here.wrong + encoded.wrong + decoded.wrong > 0)
    return 1;
  std::printf("%zu records: classes, tokens, raw bits and restored numbers equal the golden "
              "vectors\n",
              total);
  pcedge::print_compared({{"records", total}, {"bytes", bytes}});
  return 0;
}

} // namespace

int main(int count, char **words) {
  const std::string command = count > 1 ? words[1] : "golden";
  if (command == "golden" && (count == 1 || count == 3))
    return golden(count == 3 ? words[2] : "golden");
  if (command == "forward" && count == 6) {
    const result_t result =
        forward(read_numbers(words[2], 2), place_t(pcedge::read_number(words[5], 1, MOST_ROWS)));
    write_file(words[3], result.words);
    write_file(words[4], packed(result.raw));
    return result.wrong > 0 ? 1 : 0;
  }
  if (command == "back" && count == 7) {
    const words_t tokens = read_numbers(words[2], 1);
    const std::vector<bytes_t> raw = read_lanes(words[3]);
    const place_t rows = place_t(pcedge::read_number(words[6], 0, MOST_ROWS));
    if (raw.size() != pcedge::read_number(words[5], 1, MOST_ROWS) ||
        rows * COLUMNS != tokens.size())
      pcedge::fail("tokens and raw bits must be of the rows and lanes that are named");
    const result_t result = back(tokens, raw, rows);
    write_file(words[4], result.words);
    return result.wrong > 0 ? 1 : 0;
  }
  if (command == "pack" && count == 5) {
    const result_t result =
        pack(read_numbers(words[2], 2), place_t(pcedge::read_number(words[4], 1, MOST_ROWS)));
    write_file(words[3], packed(result.raw));
    return result.wrong > 0 ? 1 : 0;
  }
  if (command == "unpack" && count == 6) {
    const std::vector<bytes_t> coded = read_lanes(words[2]), raw = read_lanes(words[3]);
    if (coded.size() != raw.size())
      pcedge::fail("tokens and raw bits must be of the same lanes");
    const result_t result =
        unpack(coded, raw, place_t(pcedge::read_number(words[5], 0, MOST_ROWS)));
    write_file(words[4], result.words);
    return result.wrong > 0 ? 1 : 0;
  }
  pcedge::fail("usage: testbench [golden DIR] | forward IN OUT RAW LANES | back IN RAW OUT LANES "
               "ROWS | pack IN OUT LANES | unpack CODED RAW OUT ROWS");
}
