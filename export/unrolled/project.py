"""The project directory of an unrolled kernel: its text, testbench, golden vectors, tool scripts, manifest."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import ArrayLike

from pcedge import __version__, arithmetic
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.project.directory import (
    GOLDEN_RECORDS,
    ProjectPlan,
    plan_project,
    template,
    vendor_plan,
    write_plan,
)
from pcedge.export.project.golden import draw_records
from pcedge.export.project.manifest import MANIFEST_VERSION, PROJECT_FORMAT, UNROLLED
from pcedge.export.project.prediction import STAGE, STAGE_HEADERS, STAGE_TOPS, plan_stage
from pcedge.export.target import DEFAULT_TARGET, Target, find_target
from pcedge.export.unrolled.beats import RESULT_BITS, beat_bits
from pcedge.export.unrolled.kernel import Kernel, unroll
from pcedge.export.vitis.files import Sources
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: the kernel's function, and what that is compiled from
TOPS = ("pc_unrolled",)
SOURCES = Sources(("src/pcedge_unrolled.cpp",), "testbench/unrolled.cpp", cosim="golden golden")

#: headers that the kernel and its testbench include, directly or not
HEADERS = (
    "arith/integers.hpp", "arith/normalise.hpp", "arith/score_table.inc", "arith/unrolled.hpp", "program/port.hpp",
    "program/stream.hpp", "testbench/files.hpp",
)  # fmt: skip

#: share of symbols that the second half of drawn golden records lacks
MISSING_SHARE = 0.3


def write_unrolled(
    circuit: IntegerCircuit | Program,
    out: str | Path,
    *,
    target: str = DEFAULT_TARGET,
    records: ArrayLike | None = None,
    adders: str = "auto",
    rows: ArrayLike | None = None,
) -> Path:
    """Unroll a circuit into a project directory, see `plan_unrolled`.

    Args:
        circuit: any integer circuit of at most `MAX_EDGES` edges, or its program; it need not be structured.
        out: the directory; of an earlier project its own files are replaced, and nothing else is touched.
        target: name of a shipped target, or the path of a TOML file with the same fields.
        records: data for the golden vectors, (N, …), -1 is missing; None draws some from the circuit.
        adders: `auto`, `shared` or `plain`, see `unroll`.
        rows: of a circuit with a predictor stage, data for the stage's golden vectors; None draws some.

    Returns:
        The directory.

    Raises:
        UsageError: the circuit is too large, the target is unknown, or the directory holds something else.
        DataError: the records do not fit, or there are none.
        MissingToolError: shared adders without the extra `da`.
    """
    return write_plan(plan_unrolled(circuit, target=target, records=records, adders=adders, rows=rows), out)


def plan_unrolled(
    circuit: IntegerCircuit | Program,
    *,
    target: str = DEFAULT_TARGET,
    records: ArrayLike | None = None,
    adders: str = "auto",
    rows: ArrayLike | None = None,
) -> ProjectPlan:
    """Unroll a circuit into the files of a project; nothing is written.

    Arguments and errors are those of `write_unrolled`.
    """
    chosen = find_target(target)
    engine = ReferenceEngine(circuit)
    given = draw(engine) if records is None else engine.check(records, allow_missing=True)
    if not len(given):
        raise DataError("golden vectors must have at least one record, got none")
    kernel = unroll(engine.program, adders)
    stage = plan_stage(engine.circuit, rows)
    headers = HEADERS + STAGE_HEADERS if stage else HEADERS
    tops: dict[Sources, tuple[str, ...]] = {SOURCES: TOPS}
    if stage:
        tops[STAGE] = STAGE_TOPS

    shipped = files("pcedge.hls")
    sources = [*(f"include/pcedge/{header}" for header in headers), "testbench/unrolled.cpp"]
    contents = {
        **{name: shipped.joinpath(name).read_bytes() for name in sources},
        "src/pcedge_unrolled.hpp": header_text(kernel).encode(),
        "src/pcedge_unrolled.cpp": source_text(kernel).encode(),
        **(stage.contents if stage else {}),
        **vendor_plan(chosen, tops),
        "Makefile": template("unrolled", "unrolled.mk").encode(),
        "golden/symbols.i32": given.astype("<i4").tobytes(),
        "golden/results.i64": results(engine, given).astype("<i8").tobytes(),
        "model.onnx": onnx_bytes(engine.program),
    }
    manifest = _manifest(kernel, chosen, len(given), [top for names in tops.values() for top in names])
    return plan_project(manifest | (stage.manifest if stage else {}), contents)


def results(engine: ReferenceEngine, records: IntArray) -> IntArray:
    """Give the reference's mantissa, exponent and score of every record, (N, 3)."""
    mantissa, exponent = engine.likelihood(records)
    return np.stack([mantissa, exponent, arithmetic.score(mantissa, exponent, engine.circuit.state_bits)], axis=1)


def draw(engine: ReferenceEngine) -> IntArray:
    """Draw records from the circuit; then the same with some symbols missing."""
    complete = draw_records(engine, GOLDEN_RECORDS)
    missing = np.random.default_rng(0).random(complete.shape) < MISSING_SHARE
    return np.concatenate([complete, np.where(missing, MISSING, complete)])


def record_bits(kernel: Kernel) -> int:
    """Give the width of a record's beat."""
    return beat_bits(sum(bits for _, bits in kernel.record))


def header_text(kernel: Kernel) -> str:
    """Write src/pcedge_unrolled.hpp: sizes, where symbols lie in a record, and the top."""
    circuit = kernel.circuit
    fields = kernel.record
    bits = record_bits(kernel)
    return Template(template("unrolled", "unrolled.hpp.in")).substitute(
        digest=circuit.likelihood_digest.hex(),
        widest=max(1024, bits),
        variables=len(fields),
        state_bits=circuit.state_bits,
        record_bits=bits,
        result_bits=RESULT_BITS,
        code_bits=max(count for _, count in fields),
        cardinalities=_join_numbers([int(v) for v in circuit.cardinalities]),
        widths=_join_numbers([count for _, count in fields]),
        places=_join_numbers([start for start, _ in fields]),
    )


def source_text(kernel: Kernel) -> str:
    """Write src/pcedge_unrolled.cpp: the function and the top around it."""
    unpack = [
        f"codes[{variable}] = pcedge_unrolled::code_t(record.range({start + bits - 1}, {start}).to_uint());"
        for variable, (start, bits) in enumerate(kernel.record)
    ]
    counts = kernel.counts
    return Template(template("unrolled", "unrolled.cpp.in")).substitute(
        edges=kernel.edges,
        adders=counts.adders,
        multipliers=counts.multipliers,
        tables=counts.tables,
        # The template has them behind //, so that it is C++ itself and clang-format can read it.
        body="\n  ".join(["One statement a signal.", *kernel.body]),
        unpack="\n  ".join(["One symbol after the other.", *unpack]),
    )


def _join_numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _manifest(kernel: Kernel, target: Target, records: int, tops: list[str]) -> dict[str, object]:
    circuit, fields = kernel.circuit, kernel.record
    return {
        "format": PROJECT_FORMAT,
        "version": MANIFEST_VERSION,
        "pcedge": __version__,
        "kernel": UNROLLED,
        "target": target.as_dict(),
        "digest": circuit.likelihood_digest.hex(),
        "widths": circuit.widths.as_dict(),
        "variables": len(circuit.order),
        "tops": tops,
        "initiation_interval": 1,
        "adders": kernel.adders,
        "edges": kernel.edges,
        "counts": asdict(kernel.counts),
        "record": [{"lowest_bit": start, "bits": bits} for start, bits in fields],
        "record_bits": record_bits(kernel),
        "result_bits": RESULT_BITS,
        "golden_records": records,
    }
