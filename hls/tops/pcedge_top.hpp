// The three tops of the project. Types follow from pcedge_config.hpp.
#ifndef PCEDGE_TOP_HPP
#define PCEDGE_TOP_HPP

#include "pcedge/sequential/kernels.hpp"
#include "pcedge_config.hpp"
#include "pcedge_memories.hpp"

using config = pcedge_config;
using memories = pcedge_memories;
using engine = pcedge::engine_t<config, memories>;
using symbol_t = engine::symbol_t;
using probability_t = pcedge::likelihood_t<config>;
using lane_byte = pcedge::lane_byte_t<config::integers>;

/// \brief Probability of every record, mantissa * 2^exponent; a symbol of all ones is missing.
void pc_likelihood(hls::stream<symbol_t> &symbols, hls::stream<probability_t> &probabilities,
                   unsigned records);

/// \brief Encode the records of one lane. Every symbol must be there: nothing is coded for a missing
/// one, so a decoder could not find it. `last` of the bytes is a bit of the data, not TLAST.
void pc_encode(hls::stream<symbol_t> &symbols, hls::stream<lane_byte> &bytes, unsigned records);

/// \brief Decode the records of one lane.
void pc_decode(hls::stream<lane_byte> &bytes, hls::stream<symbol_t> &symbols, unsigned records);

#endif
