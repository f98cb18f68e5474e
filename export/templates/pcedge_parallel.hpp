// The parallel top of the project: all streams, every job.
#ifndef PCEDGE_PARALLEL_TOP_HPP
#define PCEDGE_PARALLEL_TOP_HPP

#include "pcedge/parallel.hpp"
#include "pcedge_top.hpp"

using parallel_engine = pcedge::parallel_engine_t<config, memories>;

/// \brief Work on the records of all streams.
/// \param job a `pcedge::job_t`: likelihood, encode or decode (which samples, from random bytes)
/// \param symbols for likelihood and encode, a stream's records one after the other; all ones is
/// missing
/// \param found what decode finds
/// \param coded for decode, a stream's lane
/// \param bytes what encode makes: a stream's lane
/// \param probabilities for likelihood
/// \param records of each stream
/// \param cycles clock cycles that the work took
void pc_parallel(unsigned job, hls::stream<symbol_t> symbols[config::streams],
                 hls::stream<symbol_t> found[config::streams],
                 hls::stream<lane_byte> coded[config::streams],
                 hls::stream<lane_byte> bytes[config::streams],
                 hls::stream<probability_t> probabilities[config::streams],
                 const unsigned records[config::streams], pcedge::cycle_t &cycles);

#endif
