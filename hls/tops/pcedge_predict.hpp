// The tops of a circuit's predictor stage. Types follow from pcedge_stage.hpp.
#ifndef PCEDGE_PREDICT_TOP_HPP
#define PCEDGE_PREDICT_TOP_HPP

#include "pcedge/predict/coder.hpp"
#include "pcedge_tokens.hpp"

using stage_ports = pcedge::stage_ports_t<pcedge_stage>;
using number_port = stage_ports::number_port;
using symbol_port = stage_ports::symbol_port;

/// \brief Map the rows of one lane to records of class and token, which an engine codes, and raw
/// bits.
/// \param status bits of `pcedge::stage_status_t`
void pc_predict(hls::stream<number_port> &numbers, hls::stream<symbol_port> &symbols,
                hls::stream<pcedge::raw_port_t> &raw, std::uint32_t rows, std::uint32_t &status);

/// \brief Restore the rows of one lane. Each number's class goes out first: who decodes its token
/// needs it.
void pc_restore(hls::stream<symbol_port> &symbols, hls::stream<pcedge::raw_port_t> &raw,
                hls::stream<symbol_port> &classes, hls::stream<number_port> &numbers,
                std::uint32_t rows, std::uint32_t &status);

/// A byte of a lane.
using token_byte = pcedge::lane_byte_t<pcedge_tokens::integers>;

/// \brief Encode the rows of one lane: the bytes of its tokens, and its raw bits.
void pc_pack(hls::stream<number_port> &numbers, hls::stream<token_byte> &bytes,
             hls::stream<pcedge::raw_port_t> &raw, std::uint32_t rows, std::uint32_t &status);

/// \brief Restore the rows of one lane.
void pc_unpack(hls::stream<token_byte> &bytes, hls::stream<pcedge::raw_port_t> &raw,
               hls::stream<number_port> &numbers, std::uint32_t rows, std::uint32_t &status);

#endif
