"""The model of the serial engine, what it refuses, and its netlist for iCE40."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import MissingToolError, UsageError
from pcedge.export import load_zoo, write_serial
from pcedge.export.open_target import find_open_target
from pcedge.export.rtl.lowering import Kind
from pcedge.export.rtl.serial import image as serial
from pcedge.export.rtl.serial.image import LANES, STEP_WORDS, lower_serial
from pcedge.export.rtl.serial.params import model_words
from pcedge.export.rtl.serial.search import plan_searches, trials
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.netlist import NetlistProject
from pcedge.toolchain import open_tools
from pcedge.toolchain.building import check_fit, rtl_sources
from pcedge.toolchain.open_flow import synthesize


def drawn(**changes: object) -> IntegerCircuit:
    """Draw a small circuit."""
    config = replace(QuantizationConfig(6, 10, 12, "small", tails=False), **changes)
    return quantize(make_circuit(4, 7, 5, 9, "random", 0.3), config)


def has_yosys() -> bool:
    """Tell whether there is a yosys."""
    try:
        open_tools.command("yosys")
    except MissingToolError:
        return False
    return True


class TestModel:
    def test_parts_fill_it(self) -> None:
        image = lower_serial(load_zoo("digits"))
        assert image.parts["steps"] == STEP_WORDS * image.lowered.steps.rows
        # every word is of one part
        assert sum(image.parts.values()) == len(image.words) <= serial.MEMORY_WORDS
        words = model_words(image)
        assert len(words) == 1 + 2 * len(image.words)
        assert words[1] == image.words[0, 0] | int(image.words[0, 1]) << 16

    def test_down_is_up_transposed(self) -> None:
        image = lower_serial(load_zoo("digits"))
        kinds = image.lowered.columns["kind"].values
        weights: dict[int, set[bytes]] = {}
        for kind in (Kind.UP, Kind.DOWN):
            found = set()
            for index in np.flatnonzero(kinds == kind):
                if (
                    image.lowered.columns["a_rows"].values[index] != 4
                    or image.lowered.columns["rows"].values[index] != 4
                ):
                    continue
                place = int(image.words[STEP_WORDS * index, 3])
                matrix = image.words[place : place + 64].reshape(16, 16)
                found.add((matrix if kind == Kind.UP else np.ascontiguousarray(matrix.T)).tobytes())
            weights[kind] = found
        assert weights[Kind.DOWN] == weights[Kind.UP]

    def test_tables_end_with_everything(self) -> None:
        circuit = drawn()
        image = lower_serial(circuit)
        columns = image.lowered.columns
        entries = image.words.ravel()
        for index in np.flatnonzero(columns["kind"].values == Kind.LEAF):
            cardinality = int(image.words[STEP_WORDS * index + 1, 3])
            assert cardinality == circuit.cardinalities[columns["variable"].values[index]]
            place = int(image.words[STEP_WORDS * index, 3])
            starts = image.words[place : place + columns["a_rows"].values[index]].ravel().astype(int)
            assert set(entries[starts].tolist()) == {0}
            assert set(entries[starts + cardinality].tolist()) <= {0, 1 << circuit.leaf_bits}


class TestSearch:
    @pytest.mark.parametrize("symbols", [1, 2, 3, 17, 24, 300])
    def test_trials_are_those_of_the_engine(self, symbols: int) -> None:
        for first in {0, min(1, symbols - 1), symbols // 2, min(symbols - 1, 255)}:
            assert trials(symbols, first).tolist() == [_search(symbols, first, x) for x in range(symbols)]

    def test_the_first_one_makes_the_mean_least(self) -> None:
        engine = ReferenceEngine(load_zoo("digits"))
        searches = plan_searches(engine)
        plain = np.mean([trials(17, 0)[x] for x in engine.sample(200, seed=1).ravel()])
        chosen = np.mean([[trials(17, searches[v].first)[x] for v, x in enumerate(row)]
                          for row in engine.sample(200, seed=1)])  # fmt: skip
        assert chosen < plain - 1
        assert chosen == pytest.approx(np.mean([search.trials for search in searches]), abs=0.1)


def _search(symbols: int, first: int, x: int) -> int:
    """Count the trials as pc_engine's states do them."""
    top = 1 << (symbols.bit_length() - 1)
    found, span, half, opens, count = 0, symbols, first or top, first > 0, 0
    while True:
        if not opens and 2 * half > span:
            half >>= 1
            continue
        if half == 0:
            assert found == x
            return count
        count += 1
        if x >= found + half:
            found, span = found + half, span - half
        else:
            span, half = half, half >> 1
        half, opens = top if opens else half, False


class TestRefusals:
    def test_tails(self) -> None:
        circuit = next(made for seed in range(40) if (made := _tailed(seed)).tails)
        with pytest.raises(UsageError, match=r"^a circuit of the serial engine must have no tails"):
            lower_serial(circuit)

    def test_wide_tables(self) -> None:
        with pytest.raises(
            UsageError,
            match=r"^leaf_bits of a circuit must be at most 15 for .*, got 16; --engine parallel has no such limit$",
        ):
            lower_serial(drawn(leaf_bits=16))

    def test_a_model_that_is_too_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serial, "MEMORY_WORDS", 64)
        with pytest.raises(
            UsageError, match=r"^the model must fit 64 words of 4 entries for the serial engine, got \d+: steps \d+, "
        ):
            lower_serial(drawn())

    def test_too_many_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serial, "_MOST_ROWS", 2)
        with pytest.raises(UsageError, match=r"^vectors of the serial engine must take at most 2 rows, got "):
            lower_serial(drawn())


def _tailed(seed: int) -> IntegerCircuit:
    from strategies import steep

    circuit = steep(make_circuit(seed, 6, 4, 6, "random", 0.25), 12)
    return quantize(circuit, QuantizationConfig(8, 11, 12, "small", tails=True))


@pytest.mark.rtl
@pytest.mark.nightly
@pytest.mark.skipif(not has_yosys(), reason="needs yosys (pcedge[rtl])")
def test_fits_ice40(tmp_path: Path) -> None:
    target = find_open_target("ice40-up5k")
    folder = write_serial(drawn(coder="wide"), tmp_path / "project")
    netlist = synthesize(rtl_sources(folder), "pcedge_top", target, tmp_path / "out")
    check_fit(netlist, target)
    log = (tmp_path / "out" / "synthesis.log").read_text(encoding="utf-8")
    assert "Latch inferred" not in log
    assert netlist.cells["SB_SPRAM256KA"] == 4
    # four for a step, four for the coder's products of 26 x 25 bits: yosys folds no register into them and loses none
    assert netlist.totals["dsp"] == 2 * LANES


@pytest.mark.rtl
@pytest.mark.nightly
@needs_verilator
@pytest.mark.skipif(not has_yosys(), reason="needs yosys (pcedge[rtl])")
def test_the_netlist_does_what_the_sources_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All jobs on what yosys makes of it for iCE40: it reads SystemVerilog in its own way, and maps memories."""
    monkeypatch.delenv("PCEDGE_CXX", raising=False)
    circuit = drawn(coder="wide")
    engine = ReferenceEngine(circuit)
    folder = write_serial(circuit, tmp_path / "project")
    records = engine.sample(6, seed=3)
    hidden = np.where(np.random.default_rng(0).random(records.shape) < 0.3, -1, records)
    with NetlistProject(folder, "ice40").device() as device:
        assert_array_equal(device.likelihood(hidden), engine.likelihood(hidden))
        lanes = encode_lanes(engine, records, 1)
        assert device.encode_lanes(records, 1) == lanes
        assert_array_equal(device.decode_lanes(lanes, len(records)), records)
