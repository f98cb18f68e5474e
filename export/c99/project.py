"""The project directory of a circuit in C99: source, header, test program, module files, golden vectors, manifest."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import ArrayLike

from pcedge import __version__
from pcedge.circuit.layers import MISSING
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.export.c99.layout import Layout, lay_out
from pcedge.export.c99.text import header_text, source_text, sum_bits, symbol_type
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.project.directory import GOLDEN_RECORDS, ProjectPlan, plan_project, template, write_plan
from pcedge.export.project.golden import draw_records
from pcedge.export.project.manifest import C99, MANIFEST_VERSION, PROJECT_FORMAT
from pcedge.export.project.prediction import stage_of
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: where the files of the templates lie in a project
FILES = {
    "Makefile": "Makefile",
    "CMakeLists.txt": "CMakeLists.txt",
    "library.properties": "library.properties",
    "zephyr/module.yml": "module.yml",
    "zephyr/CMakeLists.txt": "zephyr.cmake",
    "zephyr/Kconfig": "Kconfig",
    "examples/uart/uart.ino": "uart.ino",
    **{f"bench/{name}": name for name in ("bench.c", "bench.h", "host.c", "semihosting.c", "link.ld")},
}


def write_c99(circuit: IntegerCircuit | Program, out: str | Path, *, records: ArrayLike | None = None) -> Path:
    """Write a circuit's program as C99 into a project directory, see `plan_c99`.

    Args:
        circuit: any integer circuit without a predictor stage, or its program; it need not be structured.
        out: the directory; of an earlier project its own files are replaced, and nothing else is touched.
        records: data for the golden vectors, (N, …); None draws some from the circuit.

    Returns:
        The directory.

    Raises:
        UsageError: the circuit has a predictor stage, a number of it is too large, or the directory holds something
            else.
        DataError: the records do not fit, or there are none without missing symbols.
    """
    return write_plan(plan_c99(circuit, records=records), out)


def plan_c99(circuit: IntegerCircuit | Program, *, records: ArrayLike | None = None) -> ProjectPlan:
    """Write a circuit's program as the files of a project; nothing is written.

    Arguments and errors are those of `write_c99`.
    """
    engine = ReferenceEngine(circuit)
    check_circuit(engine.circuit)
    given = draw_records(engine, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=True)
    given = given[(given != MISSING).all(axis=1)]
    if not len(given):
        raise DataError("golden vectors must have at least one record without missing symbols, got none")
    layout = lay_out(engine.program)
    contents = {
        "src/pcedge.c": source_text(layout).encode(),
        "src/pcedge.h": header_text(layout).encode(),
        **{name: template("c99", source).encode() for name, source in FILES.items()},
        "golden/symbols.i32": given.astype("<i4").tobytes(),
        "golden/lane.bin": encode_lanes(engine, given, 1)[0],
        "model.onnx": onnx_bytes(engine.program),
    }
    return plan_project(_manifest(layout, len(given)), contents)


def check_circuit(circuit: IntegerCircuit) -> None:
    """Refuse a circuit that the target c99 does not take.

    Raises:
        UsageError: it has a predictor stage.
    """
    if stage_of(circuit) is not None:
        raise UsageError(
            "the target c99 must have a circuit without a predictor stage, this one has one; the other targets take it"
        )


def table_bytes(layout: Layout) -> dict[str, int]:
    """Count the bytes of the memories by kind; code is not in them."""
    leaves = layout.leaves
    lists = (leaves.list_of, leaves.leaves, leaves.wholes, *leaves.nested)
    return {
        "weights": len(layout.weights.data),
        "tables": len(leaves.tables),
        "lists": len(layout.indices.data) if layout.lowered.indices else 0,
        "leaves": sum(len(memory.data) for memory in lists),
        "programs": len(layout.likelihood) + len(layout.code),
    }


def _manifest(layout: Layout, records: int) -> dict[str, object]:
    circuit, lowered = layout.circuit, layout.lowered
    return {
        "format": PROJECT_FORMAT,
        "version": MANIFEST_VERSION,
        "pcedge": __version__,
        "kernel": C99,
        "digest": circuit.digest.hex(),
        "widths": circuit.widths.as_dict(),
        "variables": len(circuit.order),
        "symbol_type": symbol_type(layout),
        "sum_bits": sum_bits(layout),
        "state_words": lowered.state_words,
        "exponent_slots": lowered.exponent_slots,
        "table_bytes": table_bytes(layout),
        "golden_records": records,
    }
