// The port of the leaf tables: what each lane reads in a cycle (docs/engine.md, Leaf tables).
#ifndef PCEDGE_TABLES_HPP
#define PCEDGE_TABLES_HPP

#include "machine.hpp"

namespace pcedge {

/// \brief The level of the words that a round of a search probes.
template <class K> unsigned probed_level(const typename K::stream_t &s) {
#pragma HLS INLINE
  const unsigned open = unsigned(s.open);
  return open > 0 ? (open - 1) / K::ROUND : 0;
}

/// \brief The symbol whose lower end a probe of this round computes.
template <class K> unsigned probe(const typename K::stream_t &s, unsigned p) {
#pragma HLS INLINE
  return unsigned(s.found) + ((p + 1) << (K::ROUND * probed_level<K>(s)));
}

/// \brief What all lanes ask for in a cycle.
struct request_t {
  leaf_t leaf;
  unsigned first, units; ///< of the variable's units those from `first` on
  bool probing;          ///< a round's probes, not the two ends of a symbol
  unsigned symbol;       ///< the symbol, or the first one that the search has not ruled out
  unsigned level;        ///< of the word of `upper`, or of the probes
  bool lowest;           ///< a word of level 0 is read
  std::uint32_t word;    ///< which
  bool higher;           ///< a word of another level is read
  std::uint32_t upper;   ///< which
};

/// \brief Name the two words, one of level 0 and one of another, in which all entries lie.
/// invariant: of two neighbours one at least is no multiple of 2^ROUND, and both that are not lie in
/// one word; all probes of a round lie in one word.
template <class K> void name_words(request_t &r) {
#pragma HLS INLINE
  constexpr unsigned B = K::ROUND;
  const unsigned cardinality = r.leaf.cardinality;
  r.word = r.symbol >> B;
  r.lowest = r.word < words_of<int(B)>(cardinality, 0);
  r.higher = false;
  r.upper = 0;
  if (r.probing) {
    r.lowest = r.lowest && r.level == 0;
    const std::uint32_t word = r.symbol >> (B * (r.level + 1));
    r.higher = r.level > 0 && word < words_of<int(B)>(cardinality, r.level);
    r.upper = words_before<int(B), K::E::LEVELS>(cardinality, r.level) + word;
    return;
  }
  const unsigned multiple = (r.symbol & K::PROBES) == 0 ? r.symbol : r.symbol + 1;
  if ((multiple & K::PROBES) != 0 || multiple == 0 || multiple >= cardinality)
    return;
  const entry_place_t place = entry_place<int(B), K::E::LEVELS>(cardinality, multiple);
  r.higher = true;
  r.level = place.level;
  r.upper = place.word;
}

/// \brief Say what the tables are read for: a LEAF, or an INTERVAL.
template <class K> request_t request(const K &k) {
#pragma HLS INLINE
  const bool leaf = leaf_reads(k);
  const unsigned stream = leaf ? k.vector.stream : k.interval.stream;
  const typename K::stream_t &s = k.streams[stream];
  request_t r;
  r.leaf = k.interval.leaf;
  if (leaf)
    r.leaf = k.vector.leaf;
  r.first = unsigned(leaf ? k.vector.target : k.interval.next);
  r.units = leaf ? k.vector.step.units : k.interval.step.a_units;
  r.probing = !leaf && k.decodes();
  r.symbol = r.probing ? unsigned(s.found) : bounded_symbol<K>(k.operands[stream].symbol, r.leaf);
  r.level = r.probing ? probed_level<K>(s) : 0;
  name_words<K>(r);
  return r;
}

/// \brief One cycle of the port: each lane reads one word of level 0 and one of another level.
template <class K> void look_up(K &k) {
#pragma HLS INLINE
  using M = typename K::M;
  using entry_t = uint_t<typename K::F, K::L + 1>;
  if (!leaf_reads(k) && !k.interval.busy)
    return;
  const request_t r = request(k);
  if (!r.probing &&
      is_beyond<K>(k.operands[leaf_reads(k) ? k.vector.stream : k.interval.stream].symbol, r.leaf))
    k.status |= BAD_SYMBOL;
  const unsigned own = words_of<int(K::ROUND)>(r.leaf.cardinality, 0);
  const unsigned above =
      words_before<int(K::ROUND), K::E::LEVELS>(r.leaf.cardinality, K::E::LEVELS);
  using F = typename K::F;
  constexpr int N = K::C::table_bits, S = K::C::symbol_bits, B = K::C::search_bits;
  const unsigned step = r.probing ? K::ROUND * r.level : 0;
lanes_loop:
  for (unsigned e = 0; e < K::LANES; ++e) {
#pragma HLS UNROLL
    if (r.first + e >= r.units)
      continue;
    const unsigned number = M::leaf_at(r.leaf.list + r.first, e);
    const unsigned part = r.leaf.nested + number;
    const unsigned table = M::nested_tables ? M::nested::master(part) : number;
    const unsigned tail = M::tail(r.leaf.tails + table);
    const std::uint32_t first = r.leaf.tables + table_start<F, N, S, B>(table, own) + r.word;
    const std::uint32_t second = r.leaf.uppers + table_start<F, N, S, B>(table, above) + r.upper;
    entry_t lowest[K::PROBES], upper[K::PROBES];
  words:
    for (unsigned i = 0; i < K::PROBES; ++i) {
#pragma HLS UNROLL
      lowest[i] = r.lowest ? entry_t(M::table(e, first, i)) : entry_t(0);
      upper[i] = r.higher ? entry_t(M::upper(e, second, i)) : entry_t(0);
    }
  points:
    for (unsigned p = 0; p < K::POINTS; ++p) {
#pragma HLS UNROLL
      const unsigned symbol = r.probing ? r.symbol + ((p + 1) << step) : r.symbol + p;
      const bool multiple = r.probing ? r.level > 0 : (symbol & K::PROBES) == 0;
      const unsigned slot =
          r.probing ? p : ((symbol >> (multiple ? K::ROUND * r.level : 0)) & K::PROBES) - 1;
      if (p >= (r.probing ? K::PROBES : 2u))
        continue;
      const bool whole = symbol + tail >= r.leaf.cardinality;
      const unsigned within = slot < K::PROBES ? slot : 0;
      entry_t entry = whole      ? entry_t(power_of_two<K::L>())
                      : multiple ? upper[within]
                                 : lowest[within];
      if (M::nested_tables)
        entry = nested_entry<typename K::F, K::L>(entry, entry_t(M::nested::shift(part)),
                                                  entry_t(M::nested::scale(part)));
      k.rows[e].at[p] = symbol == 0                    ? entry_t(0)
                        : symbol >= r.leaf.cardinality ? entry_t(power_of_two<K::L>())
                                                       : entry;
    }
  }
}

} // namespace pcedge

#endif
