"""Flags of strict compilations, sources that are broken on purpose, and the text of a layer of hls4ml."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pcedge.toolchain import tools

#: clang's -Wconversion has -Wsign-conversion in it, gcc's has not
STRICT = (*tools.CXX_FLAGS, "-Werror", "-Wconversion", "-Wsign-conversion")


#: the other family of integers; without it, all signals have exact widths
PLAIN = ("-DPCEDGE_PLAIN_INTEGERS",)


def compile_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what a test compiles take the other family, in half the time."""
    monkeypatch.setenv("PCEDGE_CXX", shlex.join([*tools.compiler(), *PLAIN]))


#: a layer of an hls4ml model as its sources have it (`export/hls4ml/layer.py`), with an array as hls4ml's
LAYER = """\
#include "pcedge/sequential/hls4ml.hpp"
namespace pcedge_head {
#include "pcedge_config.hpp"
#include "pcedge_memories.cpp"
}
struct config2 {
  using config = pcedge_head::pcedge_config;
  using memories = pcedge_head::pcedge_memories;
  static const bool missing = true;
};
template <class T, unsigned N> struct array {
  static const unsigned size = N;
  T data[N];
  T &operator[](std::size_t k) { return data[k]; }
  const T &operator[](std::size_t k) const { return data[k]; }
};
using symbol_t = ap_fixed<4, 4, AP_RND, AP_SAT>;
using symbols_t = array<symbol_t, config2::config::variables>;
using result_t = array<ap_int<32>, 2>;
void io_parallel(symbol_t symbols[config2::config::variables], ap_int<32> likelihood[2]) {
  pcedge::likelihood_layer<symbol_t, ap_int<32>, config2>(symbols, likelihood);
}
void io_stream(hls::stream<symbols_t> &symbols, hls::stream<result_t> &likelihood) {
  pcedge::likelihood_layer<symbols_t, result_t, config2>(symbols, likelihood);
}
"""


def break_source(source: Path, right: str, wrong: str) -> str:
    """Break a source file in one place, and give the text that it had."""
    text = source.read_text()
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    return text
