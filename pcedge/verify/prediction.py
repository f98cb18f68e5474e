"""A predictor stage that is simulated against its reference: classes, tokens, raw bits, restored numbers."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.codec.predicted import encode_mapped, map_lanes
from pcedge.data.prediction import centred
from pcedge.data.predictor import Predictor
from pcedge.errors import MismatchError
from pcedge.integer.circuit import IntegerCircuit

#: what was compared: its name, how many vectors, how many of them differ, and the first
Compared = tuple[str, int, int, str | None]


class Stage(Protocol):
    """Run a circuit's predictor stage: `StageCsim` by C simulation, `StageRtl` by Verilator."""

    def forward(self, x: NDArray[Any], lanes: int) -> tuple[IntArray, list[bytes]]:
        """Give class, token and count of raw bits of every number, (numbers, 3), and every lane's raw bits."""

    def back(self, tokens: IntArray, raw: list[bytes], rows: int) -> tuple[IntArray, IntArray, IntArray]:
        """Give classes, numbers, and which are missing."""

    def pack(self, cells: NDArray[Any], lanes: int) -> tuple[list[bytes], list[bytes]]:
        """Give every lane's bytes, and its raw bits."""

    def unpack(self, coded: list[bytes], raw: list[bytes], rows: int) -> tuple[IntArray, IntArray]:
        """Give numbers, and which are missing."""


def compare_stage(circuit: IntegerCircuit, csim: Stage, cells: NDArray[Any], lanes: int) -> list[Compared]:
    """Run all tops on rows of numbers (`Predictor.cells`) shared out to lanes.

    Raises:
        DataError: the rows do not fit.
        ToolError: the testbench cannot run.
    """
    predictor = circuit.symbolizer
    assert isinstance(predictor, Predictor)
    numbers = centred(predictor, cells)
    mapped = map_lanes(predictor, numbers, lanes)
    expected = np.stack([mapped.classes, mapped.tokens, mapped.sizes], axis=-1)
    expected = np.concatenate([lane[:n].reshape(-1, 3) for lane, n in zip(expected, mapped.rows, strict=True)])
    packed = mapped.packed()
    flat, gone = unmasked(cells)
    missing = np.zeros(flat.size, dtype=np.int64) if gone is None else gone.ravel().astype(np.int64)
    given = np.where(missing, 0, flat.astype(np.uint64).view(np.int64).ravel())

    def forward() -> list[Compared]:
        got, raw = csim.forward(cells, lanes)
        differs = [lane for lane in range(lanes) if packed[lane] != raw[lane]]
        first = f"lane {differs[0]}: other bytes" if differs else None
        return [
            *(
                _numbers(f"pc_predict {name}", expected[:, place], got[:, place], predictor.columns)
                for place, name in enumerate(("classes", "tokens", "counts of raw bits"))
            ),
            ("pc_predict raw bits (lanes)", lanes, len(differs), first),
        ]

    def back() -> list[Compared]:
        classes, values, absent = csim.back(expected[:, 1], packed, len(cells))
        return [
            _numbers("pc_restore classes", expected[:, 0], classes, predictor.columns),
            _numbers("pc_restore numbers", given, values, predictor.columns),
            *([_numbers("pc_restore missing numbers", missing, absent, predictor.columns)] if gone is not None else []),
        ]

    coded = encode_mapped(circuit, mapped)

    def pack() -> list[Compared]:
        got, raw = csim.pack(cells, lanes)
        differs = [lane for lane in range(lanes) if (got[lane], raw[lane]) != (coded[lane], packed[lane])]
        first = f"lane {differs[0]}: other bytes" if differs else None
        return [("pc_pack lanes", lanes, len(differs), first)]

    def unpack() -> list[Compared]:
        values, absent = csim.unpack(coded, packed, len(cells))
        return [_numbers("pc_unpack numbers", given, np.where(absent == missing, values, ~given), predictor.columns)]

    out = []
    tops = (("pc_predict", forward), ("pc_restore", back), ("pc_pack", pack), ("pc_unpack", unpack))
    for top, run in tops:
        try:
            out += run()
        except MismatchError as error:
            out.append((f"{top} takes all lanes", lanes, lanes, str(error)))
    return out


def _numbers(name: str, expected: IntArray, got: IntArray, columns: int) -> Compared:
    differs = np.flatnonzero(expected != got)
    first = None
    if differs.size:
        row, column = divmod(int(differs[0]), columns)
        first = f"row {row}, column {column}: expected {expected[differs[0]]}, got {got[differs[0]]}"
    return name, len(expected), len(differs), first
