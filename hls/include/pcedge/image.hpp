// A circuit's image: what the memories of a reloadable build hold, as words of a stream
// (docs/engine.md, section Image).
#ifndef PCEDGE_IMAGE_HPP
#define PCEDGE_IMAGE_HPP

#include "ends.hpp"

namespace pcedge {

/// First word of an image, the characters PCE1, and the version that follows it.
constexpr std::uint32_t IMAGE_MAGIC = 0x31454350u;
constexpr std::uint32_t IMAGE_VERSION = 1;

/// Words before the sizes of the sections, and of a digest.
constexpr unsigned HEADER_WORDS = 24, DIGEST_WORDS = 8;

/// \brief What an image says of its circuit beside the memories.
struct circuit_t {
  std::uint32_t record; ///< variables; 0: there is no circuit
  std::uint32_t likelihood_steps, code_steps;
  std::uint32_t likelihood_result, likelihood_result_exponent;
  std::uint32_t nested, max_units, state_words, exponent_slots;
  std::uint32_t digest[DIGEST_WORDS];
};

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
  std::uint32_t crc, count;
  bool ended;

  std::uint32_t next(hls::stream<word_t> &in) {
#pragma HLS INLINE
    if (ended)
      return 0;
    const word_t word = in.read();
    ended = word.last;
    count += 1;
    crc = crc_next(crc, word.data);
    return word.data;
  }
};

/// \brief The widths that an image must share with a build, as one word.
template <class C> constexpr std::uint32_t widths_word() {
  return std::uint32_t(C::state_bits) | std::uint32_t(C::leaf_bits) << 8 |
         std::uint32_t(C::scale_bits) << 16 | std::uint32_t(C::weight_bits) << 24;
}

/// \brief Word i of the header.
template <class C> std::uint32_t header_word(const circuit_t &c, unsigned sections, unsigned i) {
#pragma HLS INLINE
  const std::uint32_t words[16] = {IMAGE_MAGIC,
                                   IMAGE_VERSION,
                                   std::uint32_t(sections),
                                   widths_word<C>(),
                                   std::uint32_t(C::floor),
                                   c.record,
                                   c.likelihood_steps,
                                   c.code_steps,
                                   c.likelihood_result,
                                   c.likelihood_result_exponent,
                                   c.nested,
                                   c.max_units,
                                   c.state_words,
                                   c.exponent_slots,
                                   0,
                                   0};
  return i < 16 ? words[i] : c.digest[i - 16];
}

/// \brief Load an image into the memories; what was there is gone. A refused one leaves no circuit.
/// \return bits of `status_t`
template <class C, class M> std::uint32_t load_image(hls::stream<word_t> &in) {
  reader_t reader = {0xFFFFFFFFu, 0, false};
  std::uint32_t header[HEADER_WORDS];
  std::uint32_t status = FINE;
  M::circuit.record = 0;
header_loop:
  for (unsigned i = 0; i < HEADER_WORDS; ++i)
    header[i] = reader.next(in);
  circuit_t made;
  made.record = header[5];
  made.likelihood_steps = header[6];
  made.code_steps = header[7];
  made.likelihood_result = header[8];
  made.likelihood_result_exponent = header[9];
  made.nested = header[10];
  made.max_units = header[11];
  made.state_words = header[12];
  made.exponent_slots = header[13];
digest:
  for (unsigned i = 0; i < DIGEST_WORDS; ++i)
    made.digest[i] = header[16 + i];
same:
  for (unsigned i = 0; i < 5; ++i) {
    if (header[i] != header_word<C>(made, M::sections, i))
      status |= i < 3 ? BAD_IMAGE : TOO_LARGE;
  }
  if (made.record > unsigned(C::variables) || made.max_units > unsigned(C::max_units) ||
      made.state_words > unsigned(C::state_words) ||
      made.exponent_slots > unsigned(C::exponent_slots))
    status |= TOO_LARGE;
sizes:
  for (unsigned s = 0; s < M::sections; ++s) {
    M::counts[s] = reader.next(in);
    if (M::counts[s] > M::capacity(s))
      status |= TOO_LARGE;
  }
sections:
  for (unsigned s = 0; s < M::sections && status == FINE; ++s) {
  entries:
    for (std::uint32_t i = 0; i < M::counts[s] && !reader.ended; ++i) {
#pragma HLS PIPELINE II = 1
      M::put(s, i, reader.next(in));
    }
  }
  const std::uint32_t crc = ~reader.crc;
  if (status == FINE && (reader.ended || reader.next(in) != crc || !reader.ended))
    status |= BAD_IMAGE;
rest:
  while (!reader.ended)
    (void)reader.next(in);
  if (status == FINE)
    M::circuit = made;
  return status;
}

/// \brief Send the image that the memories hold.
template <class C, class M> void read_image(hls::stream<word_t> &out) {
  std::uint32_t crc = 0xFFFFFFFFu;
header_loop:
  for (unsigned i = 0; i < HEADER_WORDS; ++i) {
    const std::uint32_t word = header_word<C>(M::circuit, M::sections, i);
    crc = crc_next(crc, word);
    put(out, word, false);
  }
sizes:
  for (unsigned s = 0; s < M::sections; ++s) {
    crc = crc_next(crc, M::counts[s]);
    put(out, M::counts[s], false);
  }
sections:
  for (unsigned s = 0; s < M::sections; ++s) {
  entries:
    for (std::uint32_t i = 0; i < M::counts[s]; ++i) {
#pragma HLS PIPELINE II = 1
      const std::uint32_t word = M::get(s, i);
      crc = crc_next(crc, word);
      put(out, word, false);
    }
  }
  put(out, ~crc, true);
}

} // namespace pcedge

#endif
