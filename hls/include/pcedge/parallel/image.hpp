// A circuit's image: what the memories of a reloadable build hold, as words of a stream
// (docs/engine.md, section Image).
#ifndef PCEDGE_IMAGE_HPP
#define PCEDGE_IMAGE_HPP

#include "../program/circuit.hpp"
#include "ends.hpp"

namespace pcedge {

/// Words before the sizes of the sections.
constexpr unsigned HEADER_WORDS = IMAGE_WORDS + DIGEST_WORDS;

/// \brief CRC-32 of IEEE 802.3 over the bytes of words, the lowest first.
inline std::uint32_t crc_next(std::uint32_t crc, std::uint32_t word) {
#pragma HLS INLINE
  std::uint32_t state = crc ^ word;
bits:
  for (int bit = 0; bit < 32; ++bit) {
#pragma HLS UNROLL
    state = (state >> 1) ^ (0xEDB88320u & (0u - (state & 1u)));
  }
  return state;
}

/// \brief Words that come in, with their CRC; zeros behind the last one.
struct reader_t {
  std::uint32_t crc;
  bool ended;

  std::uint32_t next(hls::stream<word_t> &in) {
#pragma HLS INLINE
    if (ended)
      return 0;
    const word_t word = in.read();
    ended = word.last;
    crc = crc_next(crc, word.data);
    return word.data;
  }
};

/// \brief The widths that an image must share with a build, as one word.
template <class C> constexpr std::uint32_t widths_word() {
  return std::uint32_t(C::state_bits) | std::uint32_t(C::leaf_bits) << 8 |
         std::uint32_t(C::scale_bits) << 16 | std::uint32_t(C::weight_bits) << 24;
}

/// \brief The sizes that lay out the memories of a build, as one word.
template <class C> constexpr std::uint32_t shape_word() {
  return std::uint32_t(C::lanes) | std::uint32_t(C::search_bits) << 16;
}

/// \brief Word i of the header.
template <class C, class M> std::uint32_t header_word(const circuit_t &c, unsigned i) {
#pragma HLS INLINE
  std::uint32_t words[IMAGE_WORDS] = {};
  words[IMAGE_MAGIC] = MAGIC;
  words[IMAGE_VERSION] = IMAGE_FORMAT;
  words[IMAGE_SECTIONS] = M::sections;
  words[IMAGE_WIDTHS] = widths_word<C>();
  words[IMAGE_SHAPE] = shape_word<C>();
  words[IMAGE_RECORD] = c.record;
  words[IMAGE_LIKELIHOOD_STEPS] = c.likelihood_steps;
  words[IMAGE_CODE_STEPS] = c.code_steps;
  words[IMAGE_LIKELIHOOD_RESULT] = c.likelihood_result;
  words[IMAGE_LIKELIHOOD_RESULT_EXPONENT] = c.likelihood_result_exponent;
  words[IMAGE_NESTED] = c.nested;
  words[IMAGE_MAX_UNITS] = c.max_units;
  words[IMAGE_STATE_WORDS] = c.state_words;
  words[IMAGE_EXPONENT_SLOTS] = c.exponent_slots;
  words[IMAGE_CARDINALITY] = c.cardinality;
  words[IMAGE_TERMS] = c.terms;
  words[IMAGE_FLOOR] = c.floor;
  return i < IMAGE_WORDS ? words[i] : c.digest[i - IMAGE_WORDS];
}

/// \brief Load and read memories that can be written.
/// \tparam C configuration, \tparam M memories
template <class C, class M, bool RELOADABLE> struct image_t {
  /// \brief Load an image; what was there is gone. A refused one leaves no circuit.
  /// \return bits of `status_t`
  static std::uint32_t load(hls::stream<word_t> &in) {
    reader_t reader = {0xFFFFFFFFu, false};
    std::uint32_t header[HEADER_WORDS];
    std::uint32_t status = FINE;
    M::record = 0;
  header_loop:
    for (unsigned i = 0; i < HEADER_WORDS; ++i)
      header[i] = reader.next(in);
    const circuit_t made = circuit_of(header);
  same:
    for (unsigned i = 0; i < IMAGE_SAME; ++i) {
      if (header[i] != header_word<C, M>(made, i))
        status |= i < IMAGE_WIDTHS ? BAD_IMAGE : TOO_LARGE;
    }
    if (made.likelihood_result >= unsigned(C::state_words) ||
        made.likelihood_result_exponent >= unsigned(C::exponent_slots))
      status |= TOO_LARGE;
    if (made.record > unsigned(C::variables) || made.max_units > unsigned(C::max_units) ||
        made.state_words > unsigned(C::state_words) || made.record == 0 ||
        made.exponent_slots > unsigned(C::exponent_slots) ||
        made.cardinality > unsigned(C::cardinality) || made.terms > unsigned(C::terms))
      status |= TOO_LARGE;
  sizes:
    for (unsigned s = 0; s < M::sections; ++s) {
      M::counts[s] = reader.next(in);
      if (M::counts[s] > M::capacity(s))
        status |= TOO_LARGE;
    }
    // A program that has not all of its steps would run what an earlier image left.
    if (made.likelihood_steps == 0 || made.code_steps == 0 ||
        made.likelihood_steps != M::counts[M::likelihood_section] ||
        made.code_steps != M::counts[M::code_section] ||
        made.record != M::counts[M::variables_section])
      status |= BAD_IMAGE;
    bool beyond = false;
  sections:
    for (unsigned s = 0; s < M::sections && status == FINE; ++s) {
    entries:
      for (std::uint32_t i = 0; i < M::counts[s] && !reader.ended; ++i) {
#pragma HLS PIPELINE II = 1
        const std::uint32_t word = reader.next(in);
        // An address within its memory, whatever the CRC says; sums of two are the sender's to check.
        beyond = beyond || word > M::largest(s) || (word == 0 && s == M::variables_section);
        M::put(s, i, word);
      }
    }
    if (beyond)
      status |= TOO_LARGE;
    const std::uint32_t crc = ~reader.crc;
    if (status == FINE && (reader.ended || reader.next(in) != crc || !reader.ended))
      status |= BAD_IMAGE;
  rest:
    while (!reader.ended)
      (void)reader.next(in);
    if (status == FINE)
      M::set(made);
    return status;
  }

  /// \brief Send the image that the memories hold.
  static void read(hls::stream<word_t> &out) {
    std::uint32_t crc = 0xFFFFFFFFu;
    const circuit_t circuit = M::circuit();
  header_loop:
    for (unsigned i = 0; i < HEADER_WORDS; ++i)
      crc = send(out, header_word<C, M>(circuit, i), crc);
  sizes:
    for (unsigned s = 0; s < M::sections; ++s)
      crc = send(out, M::counts[s], crc);
  sections:
    for (unsigned s = 0; s < M::sections; ++s) {
    entries:
      for (std::uint32_t i = 0; i < M::counts[s]; ++i) {
#pragma HLS PIPELINE II = 1
        crc = send(out, M::get(s, i), crc);
      }
    }
    write_word(out, ~crc, true);
  }

  static std::uint32_t send(hls::stream<word_t> &out, std::uint32_t word, std::uint32_t crc) {
#pragma HLS INLINE
    write_word(out, word, false);
    return crc_next(crc, word);
  }

  static circuit_t circuit_of(const std::uint32_t *header) {
#pragma HLS INLINE
    circuit_t made;
    made.record = header[IMAGE_RECORD];
    made.likelihood_steps = header[IMAGE_LIKELIHOOD_STEPS];
    made.code_steps = header[IMAGE_CODE_STEPS];
    made.likelihood_result = header[IMAGE_LIKELIHOOD_RESULT];
    made.likelihood_result_exponent = header[IMAGE_LIKELIHOOD_RESULT_EXPONENT];
    made.nested = header[IMAGE_NESTED];
    made.max_units = header[IMAGE_MAX_UNITS];
    made.state_words = header[IMAGE_STATE_WORDS];
    made.exponent_slots = header[IMAGE_EXPONENT_SLOTS];
    made.cardinality = header[IMAGE_CARDINALITY];
    made.terms = header[IMAGE_TERMS];
    made.floor = header[IMAGE_FLOOR];
  digest:
    for (unsigned i = 0; i < DIGEST_WORDS; ++i)
      made.digest[i] = header[IMAGE_WORDS + i];
    return made;
  }
};

/// \brief Memories that hold one circuit for ever.
template <class C, class M> struct image_t<C, M, false> {
  static std::uint32_t load(hls::stream<word_t> &) { return BAD_JOB; }
  static void read(hls::stream<word_t> &) {}
};

} // namespace pcedge

#endif
