"""The project directory of the serial engine: sources, parameters, the model, testbench, golden vectors."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pcedge import __version__
from pcedge.circuit.layers import MISSING
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.open_target import find_open_target
from pcedge.export.project.directory import GOLDEN_RECORDS, ProjectPlan, plan_project, write_plan
from pcedge.export.project.golden import draw_records
from pcedge.export.project.lanes import pack_lanes
from pcedge.export.project.manifest import MANIFEST_VERSION, PROJECT_FORMAT, RTL
from pcedge.export.rtl.serial.area import SHARED
from pcedge.export.rtl.serial.costs import serial_cycles, serial_memory
from pcedge.export.rtl.serial.image import LANES, SerialImage, lower_serial
from pcedge.export.rtl.serial.params import model_words, serial_params
from pcedge.export.rtl.testbench_files import ENGINE_BENCH, bench_files
from pcedge.export.rtl.top import TOP, top_code
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: the file that a job LOAD takes, words of 32 bits, lowest byte first
MODEL = "model.bin"


def is_serial_target(target: str) -> bool:
    """Tell whether a target is a device for which the serial engine is meant: one of iCE40."""
    try:
        return find_open_target(target).family == "ice40"
    except UsageError:
        return False


def write_serial(circuit: IntegerCircuit | Program, out: str | Path, *, records: ArrayLike | None = None) -> Path:
    """Write the serial engine of a circuit into a project directory, see `plan_serial`."""
    return write_plan(plan_serial(circuit, records=records), out)


def plan_serial(circuit: IntegerCircuit | Program, *, records: ArrayLike | None = None) -> ProjectPlan:
    """Write the serial engine of a circuit as the files of a project; nothing is written.

    Args:
        circuit: a structured-decomposable integer circuit, or its program.
        records: data for the golden vectors, (N, …); None draws some from the circuit.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit.
        DataError: the records do not fit, or there are none without missing symbols.
    """
    engine = ReferenceEngine(circuit)
    image = lower_serial(engine.program)
    given = draw_records(engine, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=True)
    given = given[(given != MISSING).all(axis=1)]
    if not len(given):
        raise DataError("golden vectors must have at least one record without missing symbols, got none")
    (lane,) = encode_lanes(engine, given, 1)
    shared, own = files("pcedge.export.rtl"), files("pcedge.export.rtl.serial").joinpath("sources")
    sources = {f"rtl/{name}": shared.joinpath("sources", name).read_bytes() for name in SHARED}
    sources |= {
        f"rtl/{source.name}": source.read_bytes() for source in own.iterdir() if source.name.endswith((".sv", ".svh"))
    }
    contents = {
        **dict(sorted(sources.items())),
        "rtl/params.svh": serial_params(image).encode(),
        f"rtl/{TOP}.sv": top_code(1).encode(),
        MODEL: model_words(image).tobytes(),
        **bench_files(ENGINE_BENCH),
        "golden/symbols.i32": given.astype("<i4").tobytes(),
        "golden/likelihood.i64": np.stack(engine.likelihood(given), axis=1).astype("<i8").tobytes(),
        "golden/lanes.bin": pack_lanes([lane]),
        "model.onnx": onnx_bytes(engine.program),
    }
    return plan_project(_manifest(image, len(given), len(lane)), contents)


def _manifest(image: SerialImage, records: int, lane_bytes: int) -> dict[str, object]:
    circuit = image.lowered.circuit
    return {
        "format": PROJECT_FORMAT,
        "version": MANIFEST_VERSION,
        "pcedge": __version__,
        "kernel": RTL,
        "engine": "serial",
        "top": TOP,
        "digest": circuit.digest.hex(),
        "widths": circuit.widths.as_dict(),
        "variables": len(circuit.order),
        "macs": LANES,
        "streams": 1,
        "lanes": LANES,
        "table_lanes": 1,
        "steps": dict(zip(("likelihood", "code"), image.lowered.counts, strict=True)),
        "memories": serial_memory(image),
        "jobs": {job: {"cycles_per_symbol": cycles} for job, cycles in serial_cycles(image).items()},
        "golden_records": records,
        "golden_bytes": lane_bytes,
    }
