"""Properties of hardware units, proved by sby and yices; for each broken copy there is a counterexample."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers.formal import has_tools, prove
from helpers.nightly import cases
from helpers.units import SOURCES

pytestmark = [pytest.mark.rtl, pytest.mark.skipif(not has_tools(), reason="needs pcedge[rtl,formal]")]

FORMAL = Path(__file__).parent / "formal"


@dataclass(frozen=True)
class Case:
    """Name a proof, and changes of a source for each of which it must fail."""

    top: str
    sources: tuple[str, ...]
    #: prove: by induction, for runs of any length; bmc: for all runs of so many cycles from the reset
    mode: str
    depth: int
    parameters: dict[str, int] = field(default_factory=dict)
    #: source, what stands there, what stands in its place
    broken: tuple[tuple[str, str, str], ...] = ()
    #: cycles that a counterexample may take, where it takes more than the depth
    broken_depth: int = 0

    def files(self, folder: Path, change: tuple[str, str, str] | None = None) -> list[Path]:
        """List the sources, one of them changed."""
        found = []
        for name in self.sources:
            path = next(path for room in (FORMAL, SOURCES) for path in room.glob(f"{name}.sv*"))
            if change and name == change[0]:
                text = path.read_text()
                assert text.count(change[1]) == 1, f"{name} must have {change[1]!r} once"
                path = folder / f"{name}.sv"
                path.write_text(text.replace(change[1], change[2]))
            found.append(path)
        return found


PIPES = ("pc_delay", "pc_valid")

SCHEDULER = ("pc_types", *PIPES, "pc_pick", "pc_scheduler", "scheduler")

#: pc_product in the proofs of the coder is any word with what test_lemmas proves; its own proof reads the source
CASES = {
    "fifo": Case(
        "pc_fifo", ("pc_fifo",), "prove", 4, {"DEPTH": 6, "WIDTH": 4},
        (
            ("pc_fifo", "assign in_ready = count != COUNT_BITS'(PLACES);", "assign in_ready = 1'b1;"),
            ("pc_fifo", "wire push = take && (some || !give);", "wire push = take && !give;"),
            ("pc_fifo", "if (give) out <= some", "if (take || give) out <= some"),
            ("pc_fifo", "if (push != pull) count", "if (push || pull) count"),
        ),
        13,
    ),
    "fifo of two": Case("pc_fifo", ("pc_fifo",), "prove", 4, {"DEPTH": 2, "WIDTH": 2}),
    "coder": Case(
        "pc_range_encoder", (*PIPES, "pc_product", "pc_range_narrow", "pc_range_encoder"), "prove", 10,
        {"STREAMS": 2, "SCALE_BITS": 24},
    ),
    "small coder": Case(
        "pc_range_encoder", (*PIPES, "pc_product", "pc_range_narrow", "pc_range_encoder"), "prove", 10,
        {"STREAMS": 2, "SCALE_BITS": 16},
        (
            ("pc_range_narrow", "for (int k = 1; k <= P / 8;", "for (int k = 1; k < P / 8;"),
            ("pc_range_narrow", "count_6 == '0 ? low_6 : {1'b0, moved}", "{low_6[B], moved}"),
            ("pc_range_narrow", " + (P + 1)'(carry_5)", ""),
            ("pc_range_encoder", "fresh[out_stream] <= out_flush;", "fresh[out_stream] <= 1'b0;"),
        ),
        27,
    ),
    "decoder": Case(
        "locate", (*PIPES, "pc_product", "pc_range_locate", "locate"), "prove", 11, {},
        (
            ("pc_range_locate", "{range_7[B-1:P] - P'(range_7[P-1:0] == '0), last_7}", "{range_7[B-1:P], last_7}"),
            ("pc_range_locate", " - (P + 2)'(borrow_5)", ""),
            ("pc_range_locate", "offset_6[P-1:0] >= range_6[P-1:0]", "offset_6[P-1:0] > range_6[P-1:0]"),
        ),
        14,
    ),
    "carry": Case(
        "carry", ("pc_carry", "carry"), "bmc", 11, {},
        (
            ("pc_carry", "digit == 8'hff && !carry", "digit == 8'hff"),
            ("pc_carry", "carry ? 8'h00 : 8'hff", "8'hff"),
            ("pc_carry", "open ? {held, run + 32'd1, 1'b0, run_none}", "open ? {held, run, run_none, run_one}"),
            ("pc_carry", "if (state == RUN && free) begin", "if (state == RUN) begin"),
        ),
    ),
    "pick": Case(
        "pick", ("pc_pick", "pc_pick_held", "pick"), "bmc", 16, {},
        (
            ("pc_pick_held", "(held ? !go : some)", "some"),
            ("pc_pick_held", "wire take = some && !held;", "wire take = some;"),
            ("pc_pick", "behind <= round ? before_ask : before_first;", "behind <= '1;"),
        ),
    ),
    "rows": Case(
        "rows", (*PIPES, "pc_fifo", "pc_leading", "pc_scale_entry", "pc_normalise", "rows"), "bmc", 13, {},
        (
            ("pc_normalise", "(ROW_BITS),\n        .DEPTH(ROWS + 6)", "(ROW_BITS),\n        .DEPTH(ROWS + 1)"),
            ("pc_normalise", ".out_ready(row_last),", ".out_ready(1'b1),"),
        ),
    ),
    # One stream through all of a record and into the next one; two as far as their first steps.
    "scheduler": Case(
        "scheduler", SCHEDULER, "bmc", 38, {"USED": 1},
        (
            ("pc_scheduler", "may = have & ~busy & ~issued;", "may = have & ~busy;"),
            ("pc_scheduler", "& ~fetching & ~ended & ~fetched_now", "& ~fetching & ~ended"),
            ("pc_scheduler", "!= '0, opens[s]};", "!= '0, 1'b1};"),
            ("pc_scheduler", "        busy[s] <= 1'b1;\n        ended", "        ended"),
            ("pc_scheduler", "      if (done[s]) busy[s] <= 1'b0;\n", ""),
        ),
        42,
    ),
    "scheduler of two": Case("scheduler", SCHEDULER, "bmc", 18, {"USED": 2}),
}  # fmt: skip


#: what takes minutes: the proof of whole records, and copies whose counterexamples are as long
LONG = {"scheduler", ("scheduler", 3), ("scheduler", 4)}


@pytest.mark.parametrize("name", cases([name for name in CASES if name not in LONG], CASES))
def test_it_holds(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    proof = prove(tmp_path, case.top, case.files(tmp_path), case.mode, case.depth, case.parameters)
    assert proof.status == "PASS", proof.text


BROKEN = [(name, number) for name, case in CASES.items() for number in range(len(case.broken))]


@pytest.mark.parametrize(("name", "number"), cases([case for case in BROKEN if case not in LONG], BROKEN))
def test_it_fails_for_a_broken_copy(name: str, number: int, tmp_path: Path) -> None:
    case = CASES[name]
    files = case.files(tmp_path, case.broken[number])
    proof = prove(tmp_path / "run", case.top, files, "bmc", case.broken_depth or case.depth, case.parameters)
    assert proof.status == "FAIL", proof.text


@pytest.mark.parametrize(
    ("name", "depth"), cases([("carry", 14), ("rows", 14)], [("carry", 14), ("rows", 14), ("scheduler", 34)])
)
def test_what_is_proved_is_reached(name: str, depth: int, tmp_path: Path) -> None:
    """Assumptions leave what the proof is about: a carry through a run, five rows, whole records."""
    case = CASES[name]
    proof = prove(tmp_path, case.top, case.files(tmp_path), "cover", depth, case.parameters)
    assert proof.status == "PASS", proof.text


def test_product_is_a_product(tmp_path: Path) -> None:
    files = [SOURCES / "pc_product.sv", FORMAL / "product.sv"]
    proof = prove(tmp_path / "right", "product", files, "bmc", 6)
    assert proof.status == "PASS", proof.text
    wrong = tmp_path / "pc_product.sv"
    wrong.write_text(files[0].read_text().replace("middle <= middle_1 + middle_2", "middle <= middle_1 | middle_2"))
    assert prove(tmp_path / "wrong", "product", [wrong, files[1]], "bmc", 6).status == "FAIL"


@pytest.mark.skipif(not importlib.util.find_spec("z3"), reason="needs z3 (pcedge[proof])")
def test_lemmas() -> None:
    """What the proofs of the coders assume of products, for integers of any size."""
    import z3

    unit, start, end, scale, rest = z3.Ints("unit start end scale rest")
    width = unit * scale + rest  # the range; unit is its highest bits
    given = [0 <= start, start < end, end <= scale, 0 <= rest, rest < scale, 0 <= unit]
    for lemma in (unit * start + unit * (end - start) <= width, unit * (end - start) >= unit, unit * 0 == 0):
        solver = z3.Solver()
        solver.set(timeout=20_000)
        solver.add(*given, z3.Not(lemma))
        assert solver.check() == z3.unsat, lemma
    solver = z3.Solver()
    solver.add(*given, z3.Not(unit * start + unit * (end - start) < width))
    assert solver.check() == z3.sat
