"""The project directory of the engine in SystemVerilog: sources, parameters, images, testbench, golden vectors."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pcedge import __version__
from pcedge.circuit.layers import MISSING
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError
from pcedge.export.engine.contract import systemrdl
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.project.directory import GOLDEN_RECORDS, ProjectPlan, plan_project, write_plan
from pcedge.export.project.golden import draw_records
from pcedge.export.project.lanes import pack_lanes
from pcedge.export.project.manifest import MANIFEST_VERSION, PROJECT_FORMAT, RTL
from pcedge.export.rtl.core import core_files
from pcedge.export.rtl.lowering import RtlImage, lower_rtl
from pcedge.export.rtl.params import hex_files, params_code
from pcedge.export.rtl.size import RtlSize
from pcedge.export.rtl.top import TOP, info_words, top_code
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program


def write_rtl(
    circuit: IntegerCircuit | Program,
    out: str | Path,
    *,
    size: RtlSize | None = None,
    records: ArrayLike | None = None,
) -> Path:
    """Write the engine of a circuit into a project directory, see `plan_rtl`."""
    return write_plan(plan_rtl(circuit, size=size, records=records), out)


def plan_rtl(
    circuit: IntegerCircuit | Program, *, size: RtlSize | None = None, records: ArrayLike | None = None
) -> ProjectPlan:
    """Write the engine of a circuit as the files of a project; nothing is written.

    Args:
        circuit: a structured-decomposable integer circuit, or its program.
        size: of the engine; None takes 16 macs and 4 streams.
        records: data for the golden vectors, (N, …); None draws some from the circuit.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit.
        DataError: the records do not fit, or there are none without missing symbols.
    """
    engine = ReferenceEngine(circuit)
    size = size or RtlSize()
    image = lower_rtl(engine.program, size)
    given = draw_records(engine, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=True)
    given = given[(given != MISSING).all(axis=1)]
    if not len(given):
        raise DataError("golden vectors must have at least one record without missing symbols, got none")
    lanes = encode_lanes(engine, given, size.streams)
    room = files("pcedge.export.rtl")
    sources = {
        f"rtl/{source.name}": source.read_bytes()
        for source in room.joinpath("sources").iterdir()
        if source.name.endswith((".sv", ".svh"))
    }
    contents = {
        **dict(sorted(sources.items())),
        "rtl/params.svh": params_code(image).encode(),
        f"rtl/{TOP}.sv": top_code(size.streams).encode(),
        **{f"rtl/{name}": text.encode() for name, text in hex_files(image).items()},
        "testbench/engine.cpp": room.joinpath("testbench", "engine.cpp").read_bytes(),
        "testbench/golden.cpp": room.joinpath("testbench", "golden.cpp").read_bytes(),
        "registers.rdl": systemrdl().encode(),
        "golden/info.u32": info_words(image).tobytes(),
        "golden/symbols.i32": given.astype("<i4").tobytes(),
        "golden/likelihood.i64": np.stack(engine.likelihood(given), axis=1).astype("<i8").tobytes(),
        "golden/lanes.bin": pack_lanes(lanes),
        "model.onnx": onnx_bytes(engine.program),
    }
    contents |= core_files(contents, image.circuit.digest.hex(), __version__)
    return plan_project(_manifest(image, len(given), sum(map(len, lanes))), contents)


def _manifest(image: RtlImage, records: int, lane_bytes: int) -> dict[str, object]:
    circuit = image.circuit
    return {
        "format": PROJECT_FORMAT,
        "version": MANIFEST_VERSION,
        "pcedge": __version__,
        "kernel": RTL,
        "top": TOP,
        "digest": circuit.digest.hex(),
        "widths": circuit.widths.as_dict(),
        "variables": len(circuit.order),
        "macs": image.size.macs,
        "streams": image.size.streams,
        "lanes": image.size.lanes,
        "table_lanes": image.size.table_lanes,
        "steps": dict(zip(("likelihood", "code"), image.counts, strict=True)),
        "golden_records": records,
        "golden_bytes": lane_bytes,
    }
