"""Proofs of the arithmetic: the quick ones, and that a broken rule is refuted. All are in make nightly."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.nightly import cases

from pcedge import arithmetic

pytest.importorskip("z3", reason="needs the extra proof: pip install 'pcedge[proof]'")
pytest.importorskip("pycparser", reason="needs the extra proof: pip install 'pcedge[proof]'")

from benchmarks import proofs, proofs_c, prove, symbolic
from benchmarks.symbolic import Refuted, explore

#: for one claim: a machine that does much else is slow
SECONDS = 120


def test_quick_proofs() -> None:
    for name, run in prove.quick().items():
        outcome = explore(name, run, SECONDS)
        assert outcome.claims and outcome.paths and not outcome.open


@pytest.mark.nightly
def test_narrowing_without_a_shift_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def narrow(low: Any, width: Any, start: Any, end: Any, widths: Any) -> Any:
        unit = width >> (widths.scale_bits - 1)
        return low + unit * start, unit * (end - start)

    monkeypatch.setattr(arithmetic, "range_narrow", narrow)
    with pytest.raises(Refuted, match=r"^coder: .*: false"):
        explore("coder", partial(proofs.coder, scale_bits=16), SECONDS)


def test_intervals_without_a_floor_are_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def bound(weighted: Any, symbol: Any, amount: Any, scale: Any, widths: Any) -> Any:
        return (arithmetic.shift(weighted, amount) * scale) >> widths.bound_input

    monkeypatch.setattr(arithmetic, "interval_bound", bound)
    with pytest.raises(Refuted, match="an interval is never empty"):
        explore("intervals", partial(proofs.intervals, scale_bits=16, sum_bits=20), SECONDS)


def test_a_flush_that_rounds_down_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "range_flush", lambda low, widths: low >> (widths.range_bits - 8))
    with pytest.raises(Refuted, match="the flush is not below low"):
        explore("coder", partial(proofs.coder, scale_bits=16), SECONDS)


def test_an_operation_that_leaves_its_width_is_refuted() -> None:
    def run(path: symbolic.Path) -> None:
        with proofs.symbolic_arithmetic(path):
            path.number("a", 0, 2**40) * path.number("b", 0, 2**13 + 1)

    with pytest.raises(Refuted, match="no operation leaves its width"):
        explore("width", run, SECONDS)


BROKEN = [
    ("low << 8 * moves & mask", "low << 8 * moves", "low has B bits"),
    ("encoder_carry(e);\n    low &= mask", "low &= mask", "bytes and low are equal"),
    ("*offset -= unit * start", "*offset -= unit * end", "the decoder is inside"),
]


@pytest.mark.parametrize(("right", "wrong", "claim"), cases(BROKEN[1:2], BROKEN))
def test_a_broken_coder_in_c_is_refuted(
    right: str, wrong: str, claim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (proofs_c.HEADERS / "coder.h").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "coder.h").write_text(text.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr(proofs_c, "HEADERS", tmp_path)
    with pytest.raises(Refuted, match=claim):
        explore("coder in C", partial(proofs_c.kernel_coder, scale_bits=16), SECONDS)
