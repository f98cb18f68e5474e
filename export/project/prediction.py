"""The part of a project that is its circuit's predictor stage: sources, golden rows, figures."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import unmasked
from pcedge.codec.predicted import encode_mapped, map_lanes
from pcedge.data.prediction import centred
from pcedge.data.predictor import Predictor
from pcedge.errors import DataError, UsageError
from pcedge.export.project.lanes import pack_lanes
from pcedge.export.project.stage import StageCode, stage_code
from pcedge.export.project.tokens import token_code
from pcedge.export.vitis.files import Sources
from pcedge.integer.circuit import IntegerCircuit

#: functions of the stage, and what they are compiled from
STAGE_TOPS = ("pc_predict", "pc_restore", "pc_pack", "pc_unpack")
STAGE = Sources(("src/pcedge_predict.cpp",), "testbench/predict.cpp", cosim="golden golden")

#: headers that the stage and its testbench include, directly or not, beside those of any kernel
STAGE_HEADERS = (
    "arith/bounded.hpp", "arith/interval.hpp", "arith/range_coder.hpp", "arith/reciprocal_table.inc",
    "predict/coder.hpp", "predict/lane.hpp", "predict/linear.hpp", "predict/raw.hpp", "predict/stage.hpp",
    "predict/token.hpp", "sequential/lane_bytes.hpp",
)  # fmt: skip

#: golden numbers where the caller gives no rows, in whole rows; and lanes, each of which begins with nothing known
GOLDEN_NUMBERS, GOLDEN_LANES = 600, 2


@dataclass(frozen=True, eq=False)
class StagePlan:
    """Hold the files of a stage in a project, and what its manifest says of it."""

    contents: dict[str, bytes]
    manifest: dict[str, Any]


def stage_of(circuit: IntegerCircuit) -> Predictor | None:
    """Give the predictor stage of a circuit, if it has one."""
    return circuit.symbolizer if isinstance(circuit.symbolizer, Predictor) else None


def said_cells(circuit: IntegerCircuit) -> dict[str, list[str]]:
    """Say for a manifest what the numbers of a row are, where they are cells of fields; nothing where they are not."""
    predictor = stage_of(circuit)
    if predictor is None or predictor.source is None or predictor.source.places is None:
        return {}
    return {"cells": list(predictor.source.cell_texts)}


def plan_stage(circuit: IntegerCircuit, rows: ArrayLike | None = None) -> StagePlan | None:
    """Make the stage's part of a project; None where the circuit has no stage.

    Args:
        circuit: the circuit.
        rows: data for the golden vectors, (rows, …); None draws some within the ranges of the columns.

    Raises:
        UsageError: rows of a circuit without a stage.
        DataError: the rows do not fit, or there are none.
    """
    golden = golden_stage(circuit, rows)
    if golden is None:
        return None
    predictor = stage_of(circuit)
    assert predictor is not None
    code, tokens = _stage_and_tokens(predictor, circuit)
    shipped = files("pcedge.hls")
    contents = {
        "src/pcedge_stage.hpp": code.header.encode(),
        "src/pcedge_tokens.hpp": tokens.encode(),
        "src/pcedge_predict.hpp": shipped.joinpath("tops/pcedge_predict.hpp").read_bytes(),
        "src/pcedge_predict.cpp": shipped.joinpath("tops/pcedge_predict.cpp").read_bytes(),
        "testbench/predict.cpp": shipped.joinpath("testbench/predict.cpp").read_bytes(),
    }
    return StagePlan(contents | golden.contents, {"stage": golden.manifest | code.as_dict()})


def golden_stage(circuit: IntegerCircuit, rows: ArrayLike | None = None) -> StagePlan | None:
    """Make the golden vectors of a circuit's stage, and what a manifest says of them; see `plan_stage`.

    Raises:
        UsageError: rows of a circuit without a stage.
        DataError: the rows do not fit, or there are none.
    """
    predictor = stage_of(circuit)
    if predictor is None:
        if rows is not None:
            raise UsageError("rows must be of a circuit with a predictor stage, this one has none")
        return None
    drawn = draw_rows(predictor, golden_rows(predictor)) if rows is None else predictor.cells(rows)
    if not len(drawn):
        raise DataError("golden vectors of a predictor stage must have at least one row, got none")
    mapped = map_lanes(predictor, centred(predictor, drawn), min(GOLDEN_LANES, len(drawn)))
    coded, raw = encode_mapped(circuit, mapped), mapped.packed()
    records = np.stack([mapped.classes, mapped.tokens, mapped.sizes], axis=-1)
    records = np.concatenate([lane[:count].reshape(-1, 3) for lane, count in zip(records, mapped.rows, strict=True)])
    contents = {
        "golden/numbers.i64": number_words(drawn),
        "golden/stage.i64": records.astype("<i8").tobytes(),
        "golden/raw.bin": pack_lanes(raw),
        "golden/coded.bin": pack_lanes(coded),
    }
    counts = {"golden_numbers": drawn.size, "golden_bytes": sum(map(len, raw)), "columns": predictor.columns}
    return StagePlan(contents, {**counts, **said_cells(circuit)})


def stage_costs(circuit: IntegerCircuit) -> StageCode | None:
    """Count what a circuit's stage and the intervals of its tokens take, without synthesis; None without a stage."""
    predictor = stage_of(circuit)
    return None if predictor is None else _stage_and_tokens(predictor, circuit)[0]


def _stage_and_tokens(predictor: Predictor, circuit: IntegerCircuit) -> tuple[StageCode, str]:
    """Write the stage, whose figures count the tables of its tokens too, and the header of these."""
    code, (tokens, bits) = stage_code(predictor, circuit.digest), token_code(circuit)
    return replace(code, memory_bits=code.memory_bits | {"token_rom": bits}), tokens


def number_words(cells: NDArray[Any]) -> bytes:
    """Write numbers as the testbench reads them: 64 bits each, uint64 by its bits; then which are missing."""
    flat, gone = unmasked(cells)
    missing = np.zeros(cells.shape, dtype=bool) if gone is None else gone
    return flat.astype(np.uint64).astype("<u8").tobytes() + missing.astype("<u8").tobytes()


def golden_rows(predictor: Predictor, numbers: int = GOLDEN_NUMBERS) -> int:
    """Give the rows that hold so many numbers."""
    return math.ceil(numbers / predictor.columns)


def draw_rows(predictor: Predictor, rows: int, seed: int = 0) -> NDArray[Any]:
    """Draw rows of cells in the ranges of the columns: steps of many sizes, jumps, ends, and missing ones."""
    generator = random.Random(seed)
    out = np.empty((rows, predictor.columns), dtype=predictor.dtype)
    groups = [predictor.groups[group] for group in predictor.group_of]
    last = [group.origin for group in groups]
    bits = [(group.high - group.low).bit_length() for group in groups]
    for row in range(rows):
        for column, group in enumerate(groups):
            chance = generator.random()
            if chance < 0.1:
                number = generator.randint(group.low, group.high)
            elif chance < 0.15:
                number = generator.choice((group.low, group.high, group.origin))
            else:
                step = 1 << generator.randint(0, max(1, bits[column] // 2))
                number = last[column] + generator.randint(-step, step)
            last[column] = out[row, column] = max(group.low, min(group.high, number))
    cells = out.reshape(rows, *predictor.shape)
    if predictor.missing_token is None:
        return cells
    gone = np.array([generator.random() < 0.1 for _ in range(cells.size)], dtype=bool).reshape(cells.shape)
    return np.ma.MaskedArray(cells, gone)
