"""The header of a circuit's grid gives the symbols that the grid gives in Python, for values and for codes."""

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.cpp import break_source

from pcedge.circuit import Circuit, InputLayer, ProductLayer
from pcedge.data.axis import Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import DataError
from pcedge.export import write_c99
from pcedge.quantize import quantize

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")

GRID = ValueGrid(
    (
        Axis("t", 0, "bins", (-3.25, 0.5, 1.0, 1.25, 7.5)), Axis("n", 1, "integers", low=-2, count=5),
        Axis("s", 2, "integers", low=1, count=3, outside="refuse"),
        Axis("u", 3, "bins", (0.1, 0.2, 3.0), outside="refuse"), Axis("on", 4, "states", states=(3, -1, 7.5)),
        Axis("same", 5, "bins", (-3.25, 0.5, 1.0, 1.25, 7.5), outside="refuse"),
    )
)  # fmt: skip

#: reads a kind, a variable and a value, 13 bytes each; writes a status and a symbol
PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "pcedge_grid.h"
int main(void) {
  unsigned char job[13], answer[2];
  while (fread(job, 1, 13, stdin) == 13) {
    uint32_t variable; double value; pcedge_symbol_t symbol = 0; pcedge_status_t status;
    memcpy(&variable, job + 1, 4); memcpy(&value, job + 5, 8);
    status = job[0] ? pcedge_grid_code(variable, (int32_t)value, &symbol)
                    : pcedge_grid_symbol(variable, value, &symbol);
    answer[0] = (unsigned char)status; answer[1] = symbol;
    fwrite(answer, 1, 2, stdout);
  }
  return 0;
}
"""


def jobs() -> list[tuple[int, int, float]]:
    generator = np.random.default_rng(0)
    values = [*generator.normal(0, 4, 200).tolist(), *np.arange(-9, 10).tolist(), 0.1, 0.2, 3.0, -3.25, 7.5, 1.25]
    values += [np.nextafter(0.2, 0), np.nextafter(7.5, 9), np.inf, -np.inf, 1e300, -1e300, 2.0**40, np.nan]
    whole = [*range(-9, 12), 2**31 - 1, -(2**31)]
    return [(0, v, float(x)) for v in range(len(GRID.axes)) for x in values] + [
        (1, v, float(x)) for v in range(len(GRID.axes)) for x in whole
    ]


def built(folder: Path) -> Path:
    (folder / "main.c").write_text(PROGRAM)
    flags = [
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Wshadow",
        "-Werror",
        "-fsanitize=undefined,float-cast-overflow",
    ]
    subprocess.run(
        ["gcc", *flags, "-fno-sanitize-recover=all", f"-I{folder / 'src'}", folder / "main.c", "-o", folder / "main"],
        check=True,
    )
    return folder / "main"


def answers(program: Path) -> list[tuple[int, int]]:
    data = b"".join(struct.pack("<BId", *job) for job in jobs())
    out = subprocess.run([program], input=data, capture_output=True, check=True).stdout
    return list(zip(out[::2], out[1::2], strict=True))


def expected(job: tuple[int, int, float]) -> tuple[int, int] | None:
    """Give 0 and the symbol; None where the grid refuses the value."""
    axis = GRID.axes[job[1]]
    try:
        return 0, int(axis.find(np.array([job[2]]), allow_missing=True)[0]) % 256
    except DataError:
        return None


def test_the_header_equals_the_grid(tmp_path: Path) -> None:
    leaves = tuple(InputLayer(v, np.full((1, count), 1 / count)) for v, count in enumerate(GRID.cardinalities))
    circuit = Circuit(
        (*leaves, ProductLayer(tuple(range(len(leaves))), np.zeros((1, len(leaves)), dtype=int))), grid=GRID
    )
    folder = write_c99(quantize(circuit), tmp_path / "c")
    wanted = [expected(job) for job in jobs()]
    assert sum(answer is None for answer in wanted) > 300 and sum(answer is not None for answer in wanted) > 600

    def wrong() -> int:
        found = answers(built(folder))
        pairs = zip(found, wanted, strict=True)
        return sum(
            (status == 0) if answer is None else ((status, symbol) != answer) for (status, symbol), answer in pairs
        )

    assert wrong() == 0
    for old, new in (
        ("edges[middle] <= value", "edges[middle] < value"),
        ("codes[middle] <= code", "codes[middle] < code"),
    ):
        text = break_source(folder / "src/pcedge_grid.h", old, new)
        assert wrong() > 0
        (folder / "src/pcedge_grid.h").write_text(text)
    # Symbols that are data need no header.
    plain = ValueGrid(tuple(Axis(f"v{v}", v, "integers", count=2, outside="refuse") for v in range(2)))
    pair = Circuit(
        (*(InputLayer(v, np.array([[0.5, 0.5]])) for v in range(2)), ProductLayer((0, 1), [[0, 0]])), grid=plain
    )
    assert not (write_c99(quantize(pair), tmp_path / "d") / "src/pcedge_grid.h").exists()
