// The ends of the parallel engine's streams: one word in and one word out a cycle.
#ifndef PCEDGE_ENDS_HPP
#define PCEDGE_ENDS_HPP

#include "search.hpp"

namespace pcedge {

/// \brief Write a word.
inline void write_word(hls::stream<word_t> &out, std::uint32_t data, bool last) {
#pragma HLS INLINE
  word_t word;
  word.data = data;
  word.last = last;
  word.end = false;
  out.write(word);
  PCEDGE_WORD_MOVED();
}

/// \brief Take a symbol of the next record. TLAST belongs to its last symbol: what a short record
/// lacks is missing, and what a long one has too much is dropped; the status says so.
/// \return whether one came, at place `moved` - 1
template <class K>
bool read_symbol(K &k, typename K::stream_t &s, hls::stream<word_t> &in,
                 typename K::symbol_t &symbol) {
#pragma HLS INLINE
  using symbol_t = typename K::symbol_t;
  if (!s.headed) {
    if (!in.empty()) {
      const word_t word = in.read();
      PCEDGE_WORD_MOVED();
      s.headed = true;
      s.room = std::uint16_t(word.data);
      s.skipping = !word.last;
      if (s.skipping)
        k.status |= BAD_FRAME;
    }
    return false;
  }
  if (s.skipping) {
    if (!in.empty()) {
      s.skipping = !in.read().last;
      PCEDGE_WORD_MOVED();
    }
    return false;
  }
  if (s.loaded || s.left == 0 || (!s.padding && in.empty()))
    return false;
  std::uint32_t data = MISSING_WORD;
  bool last = true;
  if (!s.padding) {
    const word_t word = in.read();
    PCEDGE_WORD_MOVED();
    data = word.data;
    last = word.last;
  }
  const std::uint32_t most = std::uint32_t(K::C::cardinality - 1);
  const symbol_t held = symbol_t(data > most ? most : data);
  symbol = data == MISSING_WORD ? symbol_t(K::E::MISSING) : held;
  const unsigned moved = unsigned(s.moved) + 1;
  s.moved = typename K::moved_t(moved);
  s.loaded = moved == K::M::record;
  s.skipping = s.loaded && !last;
  s.padding = !s.loaded && last;
  if (s.skipping || s.padding)
    k.status |= BAD_FRAME;
  if (data != MISSING_WORD && data > most)
    k.status |= BAD_SYMBOL;
  return true;
}

/// \brief Take a byte of a decoder's lane: the first ones fill its coder, later ones wait. Behind
/// the last byte there are zeros, and behind the last record the rest is dropped.
template <class K> void read_byte(K &, typename K::stream_t &s, hls::stream<word_t> &in) {
#pragma HLS INLINE
  using F = typename K::F;
  const bool room = s.loaded ? unsigned(s.holds) < K::HELD || s.records == 0 : true;
  uint_t<F, 9> byte = NO_BYTE;
  if (!s.ended) {
    if (!room || in.empty())
      return;
    const word_t word = in.read();
    PCEDGE_WORD_MOVED();
    s.ended = word.last;
    if (!s.headed) {
      s.headed = true;
      s.sure = (word.data & 1u) != 0;
      s.count = word.data >> 1;
      return;
    }
    byte = uint_t<F, 9>(word.data & 255u);
    s.came += 1;
  }
  if (!s.loaded) {
    const uint_t<F, K::B> kept = uint_t<F, K::B>(s.coder.low << 8);
    s.coder.low = uint_t<F, K::B + 1>(kept | uint_t<F, K::B>(next_byte<K>(s, byte)));
    const unsigned moved = unsigned(s.moved) + 1;
    s.moved = typename K::moved_t(moved);
    s.loaded = moved == unsigned(K::B / 8);
    return;
  }
  if (unsigned(s.holds) < K::HELD)
    push_byte<K>(s, byte);
}

/// \brief Tell whether no encoder wrote a lane: it writes one byte more than its symbols move.
template <class K> bool is_damaged(const typename K::stream_t &s) {
#pragma HLS INLINE
  return s.damaged || s.came != s.shifted + 1;
}

/// \brief Send what an encoder's digits make known, a byte a cycle; then the end of the lane, or of a
/// payload and how many symbols it holds.
template <class K> void send_byte(const K &k, typename K::stream_t &s, hls::stream<word_t> &out) {
#pragma HLS INLINE
  using F = typename K::F;
  carried_t<F> &owed = s.owed;
  const bool packs = k.job == PACK;
  const bool waits =
      s.tail == K::RECORDS && s.records > 0 && !s.over && unsigned(s.holds) == 0 && owed.run == 0;
  if (waits || s.tail == K::FINISHED || out.full())
    return;
  if (owed.run != 0) {
    owed.run = uint_t<F, 32>(owed.run - 1);
    write_word(out, std::uint32_t(owed.filler), false);
  } else if (unsigned(s.holds) > 0) {
    owed = carry_digit<F>(s.carry, pop_byte<K>(s));
    s.carry = owed.carry;
    if (owed.known)
      write_word(out, std::uint32_t(owed.byte), false);
  } else if (s.tail == K::RECORDS) {
    if (!packs)
      push_byte<K>(s, range_flush<F, K::B>(s.coder));
    else if (!s.over)
      pack_rest<K>(s);
    s.tail = packs ? K::PAYLOAD : K::DIGITS;
  } else if (s.tail == K::PAYLOAD) {
    if (s.room == 0) {
      s.tail = K::DIGITS;
      return;
    }
    push_byte<K>(s, range_digit<F, K::B>(s.coder));
    s.coder = range_shift<F, K::B>(s.coder, 0);
    s.room = std::uint16_t(s.room - 1);
  } else if (s.tail == K::DIGITS) {
    s.tail = s.carry.run != 0 ? K::LAST_RUN : packs ? K::COUNT : K::FINISHED;
    if (s.carry.filled)
      write_word(out, std::uint32_t(s.carry.byte), s.tail == K::FINISHED);
  } else if (s.tail == K::LAST_RUN) {
    s.carry.run = uint_t<F, 32>(s.carry.run - 1);
    s.tail = s.carry.run != 0 ? K::LAST_RUN : packs ? K::COUNT : K::FINISHED;
    write_word(out, 255, s.tail == K::FINISHED);
  } else {
    s.tail = K::FINISHED;
    write_word(out, (s.count << 1) | (s.sure ? 1u : 0u), true);
  }
}

/// \brief Send a decoder's symbols, or a mantissa and its exponent. What a packet holds is one packet,
/// however many records it is of.
template <class K>
void send_result(const K &k, typename K::stream_t &s, typename K::symbol_t symbol,
                 hls::stream<word_t> &out) {
#pragma HLS INLINE
  if (!s.storing || out.full())
    return;
  const std::uint32_t first = std::uint32_t(s.result);
  const std::uint32_t second = std::uint32_t(std::int32_t(s.result_exponent));
  const std::uint32_t words = k.decodes() ? std::uint32_t(K::M::record) : 2u;
  const unsigned place = unsigned(s.sent);
  s.sent = typename K::moved_t(place + 1);
  s.storing = place + 1 < words;
  const std::uint32_t found =
      symbol == typename K::symbol_t(K::E::MISSING) ? MISSING_WORD : std::uint32_t(symbol);
  write_word(out,
             k.decodes()  ? found
             : place == 0 ? first
                          : second,
             !s.storing && (k.job != UNPACK || s.records == 0));
}

/// \brief Tell whether a stream is within a record, and nothing can move at its ends in this cycle.
template <class K> bool is_quiet(const K &k, const typename K::stream_t &s) {
#pragma HLS INLINE
  if (!s.working || !(s.wanted || s.valid || s.reading) || s.storing || s.keeps)
    return false;
  if (k.decodes())
    return s.loaded && unsigned(s.holds) == K::HELD;
  return (s.loaded || s.left == 0) && !s.skipping &&
         (!k.encodes() || (unsigned(s.holds) == 0 && s.owed.run == 0 && !s.over));
}

/// \brief Write what came in, and what a search has found: each symbol memory has one port to write.
template <class K>
void store_symbols(K &k, unsigned stream, bool came, typename K::symbol_t symbol) {
#pragma HLS INLINE
  typename K::stream_t &s = k.streams[stream];
sides:
  for (unsigned side = 0; side < 2; ++side) {
#pragma HLS UNROLL
    const bool found = s.keeps && side == (s.side ? 1u : 0u);
    if (found || (came && side != (s.side ? 1u : 0u)))
      k.symbols[stream][side][found ? unsigned(s.variable) : unsigned(s.moved) - 1] =
          found ? s.kept : symbol;
  }
  s.keeps = false;
}

/// \brief One cycle of a stream's ends: a word in, a word out, a record begun or done.
/// \return whether the stream has nothing left to compute
template <class K>
bool move(K &k, unsigned stream, hls::stream<word_t> &in, hls::stream<word_t> &out) {
#pragma HLS INLINE
  typename K::stream_t &s = k.streams[stream];
  const typename K::operands_t &o = k.operands[stream];
  typename K::symbol_t symbol = 0;
  bool came = false;
  if (k.decodes())
    read_byte(k, s, in);
  else
    came = read_symbol(k, s, in, symbol);
  if (came || s.keeps)
    store_symbols(k, stream, came, symbol);
  if (k.encodes())
    send_byte(k, s, out);
  else
    send_result(k, s, o.leaving, out);
  const bool complete = s.working && s.walked && !s.reading && s.pending == 0 && s.after == 0;
  // A result goes out while the next one is found.
  if (complete && !s.storing) {
    s.working = false;
    s.records = s.over ? 0 : s.records - 1;
    s.sent = 0;
    s.storing = !k.encodes();
    if (k.job == LIKELIHOOD) {
      s.result = o.a[0];
      s.result_exponent = o.a_exponent;
    }
    s.side = k.decodes() ? !s.side : s.side;
  }
  if (!s.working && s.loaded && s.records > 0) {
    s.working = true;
    s.wanted = true;
    k.wanting += 1;
    s.place = 0;
    s.walked = false;
    if (!k.decodes()) {
      s.side = !s.side;
      s.loaded = false;
      s.moved = 0;
      s.left -= 1;
    }
  } else if (s.over && s.loaded && k.encodes()) {
    // A record that came in vain.
    s.loaded = false;
    s.moved = 0;
    s.left -= 1;
  }
  return s.records == 0 && !s.storing;
}

/// \brief Tell whether a stream has neither words to send nor words to take.
template <class K> bool is_empty(const K &k, const typename K::stream_t &s) {
#pragma HLS INLINE
  if (k.decodes())
    return s.ended;
  return !s.skipping && (!k.encodes() || (s.tail == K::FINISHED && s.left == 0));
}

} // namespace pcedge

#endif
