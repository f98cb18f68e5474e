"""The coder of the serial engine against the conformance vectors, by its registers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import copy

import pytest
from helpers.nightly import cases
from helpers.paths import ROOT
from helpers.rtl_units import needs_verilator
from helpers.vector_files import Row, rows_of

from pcedge.toolchain.verilator import build

pytestmark = [pytest.mark.rtl, needs_verilator]

SOURCES, SHARED = ROOT / "export/rtl/serial/sources", ROOT / "export/rtl/sources"

#: as wide as the vectors are; FLOOR is no parameter here, for each of them has its own
PARAMS = """localparam int CONTEXT_BITS = 23;
localparam int PC_WEIGHTED_BITS = 39;
localparam int SYMBOL_BITS = 9;
localparam int PC_SCALE_BITS = {bits};
int FLOOR;
"""

#: L that the widths above stand for
LEAF_BITS = 16


@pytest.fixture(scope="module", params=cases([24], [16, 24]))
def coder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """Compile the coder of one P."""
    bits: int = request.param
    folder = tmp_path_factory.mktemp("coder")
    (folder / "params.svh").write_text(PARAMS.format(bits=bits))
    rooms = {SOURCES: ("pc_types.svh", "pc_serial_coder.sv", "pc_serial_carry.sv"), SHARED: ("pc_product.sv",)}
    for room, names in rooms.items():
        for name in names:
            copy(room / name, folder)
    sources = sorted(folder.glob("*.sv"))
    harness = ROOT / "tests/export/rtl/serial_coder.cpp"
    flags = ("--public-flat-rw", "-Wno-lint", "-CFLAGS", f"-DRANGE_BITS={2 * bits}")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        executable = build(sources, "pc_serial_coder", [harness], folder / "build", flags=flags, optimise="-O0")
    return bits, executable


def said(executable: Path, lines: list[str]) -> list[list[int]]:
    """Give the numbers that come back, a list a line."""
    done = subprocess.run([str(executable)], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    found = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert len(found) == len(lines)
    return found


def cases_of(name: str, bits: int) -> list[Row]:
    """Give the vectors of one P."""
    found = [row for row in rows_of(name) if row["scale_bits"] == bits]
    assert len(found) > 100
    return found


def test_intervals(coder: tuple[int, Path]) -> None:
    bits, executable = coder
    rows = cases_of("interval", bits)
    lines = [
        f"i {sum(case['context'])} {case['weighted'] << (LEAF_BITS - case['leaf_bits'])} {case['symbol']} "
        f"{case['cardinality']} {case['floor']}"
        for case in rows
    ]
    for case, got in zip(rows, said(executable, lines), strict=True):
        assert got == [case["scale"], case["bound"]], case


def test_encode(coder: tuple[int, Path]) -> None:
    bits, executable = coder
    rows = cases_of("encode", bits)
    lines = [f"e {case['low']} {case['range']} {case['start']} {case['end'] - case['start']}" for case in rows]
    for case, got in zip(rows, said(executable, lines), strict=True):
        assert got == [case["new_low"], case["new_range"], case["flush"], *case["digits"]], case


def test_decode(coder: tuple[int, Path]) -> None:
    bits, executable = coder
    rows = cases_of("decode", bits)
    lines = [
        f"d {case['offset']} {case['range']} {case['start']} {case['end'] - case['start']} "
        + " ".join(map(str, case["bytes"]))
        for case in rows
    ]
    for case, got in zip(rows, said(executable, lines), strict=True):
        quotient = case["new_offset"] // (case["new_range"] >> bits)
        assert got == [case["new_offset"], case["new_range"], case["used"], quotient], case


#: bits of an entry, as wide as the vectors have them, and rows of the longest one
WIDTH, ROWS = 53, 32


@pytest.mark.parametrize("state_bits", cases([16], [8, 13, 16]))
def test_normalise(state_bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PCEDGE_CXX", raising=False)
    sources = [SOURCES / "pc_serial_writer.sv", SHARED / "pc_leading.sv", SHARED / "pc_scale_entry.sv"]
    for source in sources:
        copy(source, tmp_path)
    executable = build(
        [tmp_path / source.name for source in sources], "pc_serial_writer",
        [ROOT / "tests/export/rtl/serial_writer.cpp"], tmp_path / "build", optimise="-O0",
        parameters={"WIDTH": WIDTH, "STATE_BITS": state_bits, "ROWS": ROWS, "MOST_ROWS": ROWS},
        flags=("-Wno-lint", "-CFLAGS", f"-DSTATE_BITS={state_bits}"),
    )  # fmt: skip
    rows = [row for row in rows_of("normalise") if row["state_bits"] == state_bits]
    assert len(rows) > 30
    lines = [
        f"{(len(row['accumulated']) - 1) % 4} {row['revive']} "
        + " ".join(map(str, row["accumulated"] + [0] * (-len(row["accumulated"]) % 4)))
        for row in rows
    ]
    for row, (none, zeros, *mantissas) in zip(rows, said(executable, lines), strict=True):
        units = len(row["accumulated"])
        assert mantissas == row["mantissa"] + [0] * (-units % 4), row
        assert none == int(not any(row["accumulated"])), row
        if not none:
            assert WIDTH - zeros == max(row["accumulated"]).bit_length(), row
