// Reads the conformance vectors (tests/vectors/*.csv) and compares every primitive, for both
// families of integers: conformance FOLDER. Exit 1 at the first row that differs, 2 when a file
// cannot be read.

#include "pcedge/arith/interval.hpp"
#include "pcedge/arith/leaf.hpp"
#include "pcedge/arith/matvec.hpp"
#include "pcedge/arith/range_coder.hpp"
#include "pcedge/arith/unrolled.hpp"
#include "pcedge/predict/linear.hpp"
#include "pcedge/predict/token.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using namespace pcedge;
using number = std::int64_t;
using numbers = std::vector<number>;

/// \brief One case: fields by the names in the header.
struct row_t {
  std::map<std::string, numbers> fields;
  const numbers &list(const std::string &name) const { return fields.at(name); }
  number one(const std::string &name) const { return fields.at(name).at(0); }
  int small(const std::string &name) const { return static_cast<int>(one(name)); }
};

std::vector<std::string> split(const std::string &text, char mark) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, mark);)
    parts.push_back(part);
  return parts;
}

std::vector<row_t> read_rows(const std::string &path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) {
    std::fprintf(stderr, "conformance: cannot read %s\n", path.c_str());
    std::exit(2);
  }
  const std::vector<std::string> names = split(line, ',');
  std::vector<row_t> rows;
  while (std::getline(file, line)) {
    const std::vector<std::string> texts = split(line, ',');
    row_t row;
    for (std::size_t k = 0; k < names.size(); ++k) {
      numbers &field = row.fields[names[k]];
      if (k < texts.size())
        for (const std::string &word : split(texts[k], ' '))
          field.push_back(std::stoll(word));
    }
    rows.push_back(row);
  }
  return rows;
}

/// \brief Call `body` with the constant that equals `value`, one of Low..High.
template <int Low, int High, class Body> numbers with(int value, const Body &body) {
  if (value == Low)
    return body(std::integral_constant<int, Low>{});
  if (Low == High) {
    std::fprintf(stderr, "conformance: a width must be at most %d, got %d\n", High, value);
    std::exit(2);
  }
  return with<(Low < High ? Low + 1 : High), High>(value, body);
}

template <class T> number to_number(const T &value) {
  return static_cast<number>(std::uint64_t(value));
}

template <class F> numbers accumulate(const row_t &row) {
  const numbers &weights = row.list("weights"), &vector = row.list("vector");
  const auto rows = std::uint32_t(row.one("rows")), columns = std::uint32_t(row.one("columns"));
  const bool down = row.one("transposed") != 0;
  const std::uint32_t targets = down ? columns : rows, sources = down ? rows : columns;
  numbers result;
  auto address = dense_address_t<1, 1>::begin(0, targets, sources, down);
  for (std::uint32_t target = 0; target < targets; ++target) {
    uint_t<F, 53> sum = 0;
    for (std::uint32_t source = 0; source < sources; ++source) {
      sum = multiply_accumulate<F, 53, 17, 16>(sum, uint_t<F, 17>(weights[address.place]),
                                               uint_t<F, 16>(vector[source]));
      address.next_source(source);
    }
    address.next_target(target);
    result.push_back(to_number(sum));
  }
  return result;
}

template <class F, bool Keeps> numbers normalise(const row_t &row) {
  return with<8, 16>(row.small("state_bits"), [&](auto bits) {
    constexpr int A = decltype(bits)::value;
    const bool revive = !Keeps && row.one("revive") != 0;
    uint_t<F, 53> all = 0;
    for (const number value : row.list("accumulated"))
      all = uint_t<F, 53>(all | uint_t<F, 53>(value));
    const auto length = bit_length<F, 53>(all);
    numbers result;
    for (const number value : row.list("accumulated"))
      result.push_back(
          to_number(normalise_entry<F, 53, A>(uint_t<F, 53>(value), length, revive, Keeps)));
    result.push_back(number(normalise_exponent<F, A>(
        sint_t<F, EXPONENT_BITS + 2>(row.one("exponent")), length, revive)));
    return result;
  });
}

template <class F, bool Keeps> numbers align(const row_t &row) {
  using exponent_t = sint_t<F, EXPONENT_BITS>;
  const exponent_t first = exponent_t(row.one("first_exponent")),
                   second = exponent_t(row.one("second_exponent"));
  const exponent_t common = first < second ? second : first;
  numbers result;
  for (const number value : row.list("first"))
    result.push_back(to_number(align_entry<F, 16>(uint_t<F, 16>(value), first, common, Keeps)));
  for (const number value : row.list("second"))
    result.push_back(to_number(align_entry<F, 16>(uint_t<F, 16>(value), second, common, Keeps)));
  result.push_back(number(common));
  return result;
}

template <class F> numbers tails(const row_t &row) {
  return with<8, 16>(row.small("leaf_bits"), [&](auto bits) {
    constexpr int L = decltype(bits)::value;
    return numbers{to_number(leaf_entry<F, 53, L, 15>(uint_t<F, L + 1>(row.one("count")), true,
                                                      std::uint32_t(row.one("tail"))))};
  });
}

template <class F> numbers kept_mix(const row_t &row) {
  const numbers &weights = row.list("weights"), &vector = row.list("vector");
  const bool tails = row.one("tails") != 0;
  numbers result;
  std::size_t place = 0;
  for (number r = 0; r < row.one("rows"); ++r) {
    uint_t<F, 53> sum = 0;
    bool some = false;
    for (const number value : vector) {
      const uint_t<F, 17> weight = uint_t<F, 17>(weights[place]);
      const uint_t<F, 16> mantissa = uint_t<F, 16>(value),
                          live = live_mantissa<F, 16>(mantissa, true);
      // As in a build whose W is larger by a bit: all terms grow alike.
      const uint_t<F, 53> term = tailed_entry<F, 53, 17, 16>(weight, live, tails, 0);
      const uint_t<F, 53> lifted =
          tailed_entry<F, 53, 18, 16>(uint_t<F, 18>(uint_t<F, 18>(weight) << 1), live, tails, 1);
      if (lifted != uint_t<F, 53>(term << 1))
        return {};
      sum = uint_t<F, 53>(sum + term);
      some = some || (mantissa != 0 && (tails || weight != 0));
      ++place;
    }
    result.push_back(to_number(with_possible<F, 53>(sum, some)));
  }
  return result;
}

template <class F> numbers kept_product(const row_t &row) {
  const uint_t<F, 16> a = uint_t<F, 16>(row.one("one")), b = uint_t<F, 16>(row.one("two"));
  const uint_t<F, 53> product =
      uint_t<F, 53>(live_mantissa<F, 16>(a, true) * live_mantissa<F, 16>(b, true));
  return {to_number(with_possible<F, 53>(product, a != 0 && b != 0))};
}

template <class F> numbers invert(const row_t &row) {
  return {to_number(reciprocal<F>(uint_t<F, 17>(row.one("divisor"))))};
}

template <class F> numbers score(const row_t &row) {
  return with<8, 16>(row.small("state_bits"), [&](auto bits) {
    constexpr int A = decltype(bits)::value;
    return numbers{to_number(score_of<F, A>(uint_t<F, A>(row.one("mantissa")),
                                            sint_t<F, EXPONENT_BITS>(row.one("exponent"))))};
  });
}

template <class F, int P> numbers interval_of(const row_t &row) {
  return with<8, 16>(row.small("leaf_bits"), [&](auto bits) {
    constexpr int L = decltype(bits)::value;
    uint_t<F, 23> total = 0; // 128 mantissas of 16 bits
    for (const number value : row.list("context"))
      total = uint_t<F, 23>(total + uint_t<F, 16>(value));
    const auto prepared =
        interval_scale<F, 23, L, P>(total, uint_t<F, P>(row.one("cardinality") * row.one("floor")));
    const auto bound =
        interval_bound<F, 39, P>(uint_t<F, 39>(row.one("weighted")),
                                 uint_t<F, P + 1>(row.one("symbol") * row.one("floor")), prepared);
    return numbers{to_number(prepared.length) - (P + 2), to_number(prepared.scale),
                   to_number(bound)};
  });
}

template <class F, int P> numbers encode_of(const row_t &row) {
  constexpr int B = 2 * P;
  range_state_t<F, B> state;
  state.low = uint_t<F, B + 1>(row.one("low"));
  state.range = uint_t<F, B>(row.one("range"));
  state = range_encode<F, B, P>(state, uint_t<F, P + 1>(row.one("start")),
                                uint_t<F, P + 1>(row.one("end")));
  numbers digits;
  for (int k = 0; k < P / 8; ++k) {
    if (range_low_on_bits<F, B>(state)) {
      digits.push_back(to_number(range_digit<F, B>(state)));
      state = range_shift<F, B>(state, 0);
    }
  }
  numbers result = {to_number(state.low), to_number(state.range)};
  result.insert(result.end(), digits.begin(), digits.end());
  result.push_back(to_number(range_flush<F, B>(state)));
  return result;
}

template <class F, int P> numbers decode_of(const row_t &row) {
  constexpr int B = 2 * P;
  range_state_t<F, B> state;
  state.low = uint_t<F, B + 1>(row.one("offset"));
  state.range = uint_t<F, B>(row.one("range"));
  const number unit = to_number(uint_t<F, B>(state.range >> P));
  const uint_t<F, P + 1> start = uint_t<F, P + 1>(row.one("start"));
  const bool reached = range_reached<F, B, P>(state, start);
  state = range_decode<F, B, P>(state, start, uint_t<F, P + 1>(row.one("end")));
  number used = 0;
  for (int k = 0; k < P / 8; ++k)
    if (range_low_on_bits<F, B>(state))
      state = range_shift<F, B>(state, uint_t<F, 8>(row.list("bytes").at(std::size_t(used++))));
  return {reached ? unit : -1, to_number(state.low), to_number(state.range), used};
}

template <class F> sint_t<F, COEFFICIENT_BITS> coefficient(number value) {
  return sint_t<F, COEFFICIENT_BITS>(value);
}

template <class F> numbers predict(const row_t &row) {
  const numbers &coefficients = row.list("coefficients"), &values = row.list("numbers");
  sint_t<F, PREDICTION_BITS> sum = sint_t<F, PREDICTION_BITS>(row.one("constant"));
  uint_t<F, 64> wrapped = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const sint_t<F, 64> value = sint_t<F, 64>(values[k]);
    if (row.one("wide") != 0)
      wrapped = predict_wide<F>(wrapped, coefficient<F>(coefficients[k]), value);
    else
      sum = predict_narrow<F, 64>(sum, coefficient<F>(coefficients[k]), value);
  }
  if (row.one("wide") != 0)
    return {to_number(wrapped)};
  return {number(prediction_of<F>(sum, sint_t<F, NARROW_BITS>(row.one("low")),
                                  sint_t<F, NARROW_BITS>(row.one("high"))))};
}

template <class F> numbers adapt(const row_t &row) {
  using narrow_t = sint_t<F, NARROW_BITS>;
  using seen_t = sint_t<F, SEEN_BITS>;
  const numbers &inputs = row.list("inputs"), &weights = row.list("weights");
  const auto seen = [&](std::size_t k) {
    return seen_t(saturated<F, 64, SEEN_BITS>(sint_t<F, 64>(inputs[k])));
  };
  sint_t<F, PREDICTION_BITS> sum = 0;
  uint_t<F, INPUTS_BITS> sizes = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    sum = correct<F>(sum, coefficient<F>(weights[k]), seen(k));
    sizes =
        uint_t<F, INPUTS_BITS>(sizes + uint_t<F, INPUTS_BITS>(magnitude<F, SEEN_BITS>(seen(k))));
  }
  const narrow_t made = corrected<F>(narrow_t(row.one("prediction")), sum, narrow_t(row.one("low")),
                                     narrow_t(row.one("high")));
  const number residual = row.one("number") - number(made);
  const int gain = 16 - row.small("rate") + ceil_log2(std::int64_t(inputs.size()));
  numbers result = {number(made)};
  for (std::size_t k = 0; k < inputs.size(); ++k)
    result.push_back(number(
        moved_weight<F>(coefficient<F>(weights[k]), seen(k), uint_t<F, LENGTH_BITS>(unsigned(gain)),
                        bit_length<F, INPUTS_BITS>(sizes), sint_t<F, 64>(residual))));
  return result;
}

template <class F> numbers tokenise(const row_t &row) {
  const auto bias = sint_t<F, BIAS_BITS>(row.one("bias"));
  const auto shift = uint_t<F, SHIFT_BITS>(row.one("shift"));
  const auto centre = uint_t<F, TOKEN_BITS>(row.one("centre"));
  const auto escapes = uint_t<F, LENGTH_BITS>(row.one("escapes"));
  const token_t<F> made =
      split_residual<F>(sint_t<F, 64>(row.one("residual")), bias, shift, centre, escapes);
  const escape_t<F> escape = escape_of<F>(made.token, centre, escapes);
  // What comes back must be the residual, and from as many bits.
  const number back =
      number(join_token<F>(made.token, made.raw, escape, bias, shift, centre, escapes));
  const bool same = back == row.one("residual") &&
                    to_number(raw_bits_of<F>(escape, shift)) == to_number(made.count);
  return {to_number(made.token), to_number(made.raw), same ? to_number(made.count) : -1};
}

/// \brief Choose the kernel of the row's scale.
template <numbers (*Small)(const row_t &), numbers (*Wide)(const row_t &)>
numbers by_scale(const row_t &row) {
  return row.one("scale_bits") == 16 ? Small(row) : Wide(row);
}

int compare(const std::string &folder, const char *file, const char *family,
            numbers (*compute)(const row_t &), const std::vector<std::string> &results) {
  const std::vector<row_t> rows = read_rows(folder + "/" + file);
  for (std::size_t k = 0; k < rows.size(); ++k) {
    numbers expected;
    for (const std::string &name : results)
      expected.insert(expected.end(), rows[k].list(name).begin(), rows[k].list(name).end());
    const numbers got = compute(rows[k]);
    if (got != expected) {
      std::printf("MISMATCH %s line %zu (%s):", file, k + 2, family);
      for (std::size_t i = 0; i < got.size() || i < expected.size(); ++i)
        std::printf(" %" PRId64 "/%" PRId64, i < expected.size() ? expected[i] : -1,
                    i < got.size() ? got[i] : -1);
      std::printf(" (expected/got)\n");
      return 1;
    }
  }
  std::printf("%s %s: %zu rows equal\n", family, file, rows.size());
  return 0;
}

template <class F> int family(const std::string &folder, const char *name) {
  return compare(folder, "accumulate.csv", name, accumulate<F>, {"result"}) ||
         compare(folder, "normalise.csv", name, normalise<F, false>,
                 {"mantissa", "new_exponent"}) ||
         compare(folder, "align.csv", name, align<F, false>, {"mantissa", "exponent"}) ||
         compare(folder, "tails.csv", name, tails<F>, {"entry"}) ||
         compare(folder, "kept_mix.csv", name, kept_mix<F>, {"result"}) ||
         compare(folder, "kept_product.csv", name, kept_product<F>, {"product"}) ||
         compare(folder, "kept_normalise.csv", name, normalise<F, true>,
                 {"mantissa", "new_exponent"}) ||
         compare(folder, "kept_align.csv", name, align<F, true>, {"mantissa", "exponent"}) ||
         compare(folder, "reciprocal.csv", name, invert<F>, {"result"}) ||
         compare(folder, "score.csv", name, score<F>, {"score"}) ||
         compare(folder, "interval.csv", name, by_scale<interval_of<F, 16>, interval_of<F, 24>>,
                 {"amount", "scale", "bound"}) ||
         compare(folder, "encode.csv", name, by_scale<encode_of<F, 16>, encode_of<F, 24>>,
                 {"new_low", "new_range", "digits", "flush"}) ||
         compare(folder, "decode.csv", name, by_scale<decode_of<F, 16>, decode_of<F, 24>>,
                 {"unit", "new_offset", "new_range", "used"}) ||
         compare(folder, "prediction.csv", name, predict<F>, {"result"}) ||
         compare(folder, "adaptation.csv", name, adapt<F>, {"corrected", "new_weights"}) ||
         compare(folder, "token.csv", name, tokenise<F>, {"token", "raw", "count"});
}

} // namespace

int main(int argc, char **argv) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  return family<ap_integers>(folder, "ap_integers") ||
         family<plain_integers>(folder, "plain_integers");
}
