// The engine's top: all jobs, all streams. Types follow from pcedge_config.hpp.
#ifndef PCEDGE_ENGINE_TOP_HPP
#define PCEDGE_ENGINE_TOP_HPP

#include "pcedge_config.hpp"
#include "pcedge_memories.hpp"

#include "pcedge/parallel/service.hpp"

using config = pcedge_config;
using machine = pcedge::machine_t<config, pcedge_memories>;

/// \brief Do one job (docs/engine.md, sections Registers and Streams).
/// \param job a `pcedge::job_t`
/// \param records of each stream
/// \param s_axis, m_axis packets in and out, of each stream
/// \param status bits of `pcedge::status_t`
/// \param cycles clock cycles that the records took
/// \param info sizes, widths and version of the build, and which circuit it has
void pc_engine(std::uint32_t job, const std::uint32_t records[config::streams],
               hls::stream<pcedge::port_t> s_axis[config::streams],
               hls::stream<pcedge::port_t> m_axis[config::streams], std::uint32_t &status,
               pcedge::cycle_t &cycles, std::uint32_t info[pcedge::INFO_WORDS]);

#endif
