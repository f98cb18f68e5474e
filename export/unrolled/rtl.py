"""The project directory of an unrolled kernel in SystemVerilog: its pipeline, its top, images, golden vectors."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from pcedge import __version__
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.open_target import find_open_target
from pcedge.export.project.directory import ProjectPlan, plan_project, write_plan
from pcedge.export.project.manifest import MANIFEST_VERSION, PROJECT_FORMAT, RTL, UNROLLED_RTL
from pcedge.export.unrolled.beats import RESULT_BITS
from pcedge.export.unrolled.kernel import Kernel, unroll
from pcedge.export.unrolled.lowering import OUTPUTS, lower
from pcedge.export.unrolled.project import draw, record_bits, results
from pcedge.export.unrolled.stages import Stages, place
from pcedge.export.unrolled.verilog import PIPELINE, TOP, memories, pipeline_code, top_code
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program


def write_unrolled_rtl(
    circuit: IntegerCircuit | Program,
    out: str | Path,
    *,
    latency: int | None = None,
    records: ArrayLike | None = None,
    adders: str = "auto",
    target: str = "rtl",
) -> Path:
    """Unroll a circuit into a project directory of SystemVerilog, see `plan_unrolled_rtl`."""
    return write_plan(plan_unrolled_rtl(circuit, latency=latency, records=records, adders=adders, target=target), out)


def plan_unrolled_rtl(
    circuit: IntegerCircuit | Program,
    *,
    latency: int | None = None,
    records: ArrayLike | None = None,
    adders: str = "auto",
    target: str = "rtl",
) -> ProjectPlan:
    """Unroll a circuit into the files of a project of SystemVerilog; nothing is written.

    Args:
        circuit: any integer circuit of at most `MAX_EDGES` edges, or its program; it need not be structured.
        latency: cycles from a record to its result; None takes as few as a clock of 100 MHz on an ECP5 of speed 6
            needs, by an estimate.
        records: data for the golden vectors, (N, …), -1 is missing; None draws some from the circuit.
        adders: `auto`, `shared` or `plain`, see `unroll`.
        target: the name of the device that it is for, which the manifest says.

    Raises:
        UsageError: the circuit is too large, there is no such latency, or the device is one on a board.
        DataError: the records do not fit, or there are none.
        MissingToolError: shared adders without the extra `da`.
    """
    if target != RTL and find_open_target(target).board is not None:
        raise UsageError(f"an unrolled kernel must be for a device, {target} is a board, whose bridge takes an engine")
    engine = ReferenceEngine(circuit)
    given = draw(engine) if records is None else engine.check(records, allow_missing=True)
    if not len(given):
        raise DataError("golden vectors must have at least one record, got none")
    kernel = unroll(engine.program, adders)
    cells = lower(kernel)
    stages = place(cells, OUTPUTS, latency)
    symbols = sum(bits for _, bits in kernel.record)
    by_name = {cell.name: cell for cell in cells}
    contents = {
        f"rtl/{PIPELINE}.sv": pipeline_code(cells, stages, OUTPUTS, symbols, _about(kernel, stages)).encode(),
        f"rtl/{TOP}.sv": top_code(symbols, [by_name[name] for name in OUTPUTS]).encode(),
        **{f"rtl/{memory.name}.hex": memory.image().encode() for memory in memories(cells, stages)},
        "testbench/unrolled_rtl.cpp": files("pcedge.export.unrolled")
        .joinpath("testbench", "unrolled_rtl.cpp").read_bytes(),
        "golden/symbols.i32": given.astype("<i4").tobytes(),
        "golden/results.i64": results(engine, given).astype("<i8").tobytes(),
        "model.onnx": onnx_bytes(engine.program),
    }  # fmt: skip
    return plan_project(_manifest(kernel, stages, target, len(given)), contents)


def _about(kernel: Kernel, stages: Stages) -> list[str]:
    counts = kernel.counts
    return [
        f"{PIPELINE}: the likelihood of one circuit and its score, a record a cycle. Generated from model.onnx.",
        "",
        f"{kernel.edges} edges: {counts.adders} adders, {counts.multipliers} multipliers, {counts.tables} tables.",
        "Ports    in_valid, in_last, in_record: the symbols side by side, all ones are missing; out_valid, out_last;",
        "         out_mantissa, out_exponent: p = mantissa * 2^exponent; out_score: -log2 p in parts of 2^-8 bit.",
        "         enable: without it nothing moves; rst clears what is valid.",
        f"Latency  {stages.latency}. Initiation interval 1.",
        "Names    x is a signal in the stage that makes it, x_7 the same in stage 7.",
    ]


def _manifest(kernel: Kernel, stages: Stages, target: str, records: int) -> dict[str, Any]:
    circuit, fields = kernel.circuit, kernel.record
    jobs = {job: {"cycles_per_symbol": 1 / len(fields)} for job in ("likelihood", "score")}
    return {
        "format": PROJECT_FORMAT,
        "version": MANIFEST_VERSION,
        "pcedge": __version__,
        "kernel": UNROLLED_RTL,
        "target": {"name": target} if target != "rtl" else {},
        "top": TOP,
        "digest": circuit.likelihood_digest.hex(),
        "widths": circuit.widths.as_dict(),
        "variables": len(circuit.order),
        "initiation_interval": 1,
        "latency_cycles": stages.latency,
        "jobs": jobs,
        "adders": kernel.adders,
        "edges": kernel.edges,
        "counts": asdict(kernel.counts),
        "record": [{"lowest_bit": start, "bits": bits} for start, bits in fields],
        "record_bits": record_bits(kernel),
        "result_bits": RESULT_BITS,
        "golden_records": records,
    }
