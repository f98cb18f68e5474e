"""The project directory of a circuit in C99: source, header, test program, module files, golden vectors, manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge import __version__
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.codec.packets import PacketLayout, encode_packets
from pcedge.codec.predicted import encode_mapped, map_lanes
from pcedge.data.prediction import centred
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.export.c99.grid import grid_text
from pcedge.export.c99.layout import Layout, lay_out
from pcedge.export.c99.text import header_text, number_bytes, row_bytes, source_text, sum_bits, symbol_type
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.project.directory import GOLDEN_RECORDS, ProjectPlan, plan_project, template, write_plan
from pcedge.export.project.golden import draw_records
from pcedge.export.project.manifest import C99, MANIFEST_VERSION, PROJECT_FORMAT
from pcedge.export.project.prediction import draw_rows, golden_rows, said_cells, stage_of
from pcedge.export.project.tokens import token_contexts
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: bytes of golden packets, and the records and symbols in them at most
PACKET_BYTES, PACKET_RECORDS, PACKET_SYMBOLS = 64, 16, 1 << 14

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


def write_c99(
    circuit: IntegerCircuit | Program,
    out: str | Path,
    *,
    records: ArrayLike | None = None,
    rows: ArrayLike | None = None,
) -> Path:
    """Write a circuit's program as C99 into a project directory, see `plan_c99`.

    Args:
        circuit: any integer circuit, or its program; it need not be structured.
        out: the directory; of an earlier project its own files are replaced, and nothing else is touched.
        records: data for the golden vectors, (N, …); None draws some from the circuit. Those of a circuit with a
            predictor stage come from its rows.
        rows: of a circuit with a predictor stage: data for the golden vectors, (rows, …); None draws some.

    Returns:
        The directory.

    Raises:
        UsageError: a number of the circuit is too large, rows are given and it has no stage, or the directory holds
            something else.
        DataError: the records do not fit, or there are none without missing symbols.
    """
    return write_plan(plan_c99(circuit, records=records, rows=rows), out)


def plan_c99(
    circuit: IntegerCircuit | Program, *, records: ArrayLike | None = None, rows: ArrayLike | None = None
) -> ProjectPlan:
    """Write a circuit's program as the files of a project; nothing is written.

    Arguments and errors are those of `write_c99`.
    """
    engine = ReferenceEngine(circuit)
    predictor = stage_of(engine.circuit)
    if predictor is None:
        if rows is not None:
            raise UsageError("rows must be of a circuit with a predictor stage, this one has none")
        drawn = ReferenceEngine(engine.program.with_given(()))
        given = draw_records(drawn, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=True)
        given = given[(given != MISSING).all(axis=1)]
        if not len(given):
            raise DataError("golden vectors must have at least one record without missing symbols, got none")
        golden = {"lane.bin": encode_lanes(engine, given, 1)[0]}
        if not engine.program.given:
            some = packet_records(given)
            golden["packets.bin"] = b"".join(encode_packets(engine, some, packet_layout(engine, len(some))))
        if isinstance(engine.circuit.symbolizer, Symbolizer):
            numbers = rows_of(engine.circuit.symbolizer, given)
            golden["rows.bin"] = number_bytes(engine.circuit.symbolizer, numbers)
    else:
        given, golden = _golden_rows(engine.circuit, predictor, rows)
    layout = lay_out(engine.program)
    contents = {
        "src/pcedge.c": source_text(layout).encode(),
        "src/pcedge.h": header_text(layout).encode(),
        **_grid_header(engine.circuit),
        **{name: template("c99", source).encode() for name, source in FILES.items()},
        "golden/symbols.i32": given.astype("<i4").tobytes(),
        **{f"golden/{name}": data for name, data in golden.items()},
        "model.onnx": onnx_bytes(engine.program.with_given(())),
    }
    return plan_project(_manifest(layout, len(given)), contents)


def _grid_header(circuit: IntegerCircuit) -> dict[str, bytes]:
    """Write what turns values into symbols, of a circuit whose data are values."""
    grid = circuit.grid
    return {} if grid is None or grid.plain else {"src/pcedge_grid.h": grid_text(grid, circuit.digest.hex()).encode()}


def packet_records(records: IntArray) -> IntArray:
    """Give the golden records that golden packets hold."""
    return records[: min(PACKET_RECORDS, max(1, PACKET_SYMBOLS // records.shape[1]))]


def packet_layout(engine: ReferenceEngine, records: int) -> PacketLayout:
    """Lay out golden packets of so many records."""
    return PacketLayout.of(engine, PACKET_BYTES, records, 16)


def rows_of(symbolizer: Symbolizer, records: IntArray) -> NDArray[Any]:
    """Give the rows of records, or as many drawn ones where they belong to no data.

    Args:
        symbolizer: the symbolizer.
        records: (N, variables), none missing.

    Returns:
        (rows, …) of the symbolizer's dtype, at least one row.
    """
    part = symbolizer.records(symbolizer.segment_rows)
    try:
        return symbolizer.invert(records[: max(part, len(records) // part * part)])
    except DataError:
        generator = np.random.default_rng(0)
        shape = (len(records) // part * symbolizer.segment_rows + 1, *symbolizer.shape)
        span = symbolizer.high - symbolizer.low
        drawn = generator.integers(0, span, shape, dtype=np.uint64, endpoint=True)
        return (drawn + np.uint64(symbolizer.low % 2**64)).astype(symbolizer.dtype)


def _golden_rows(
    circuit: IntegerCircuit, predictor: Predictor, rows: ArrayLike | None
) -> tuple[IntArray, dict[str, bytes]]:
    """Make the golden vectors of a predictor stage: its records, and files of the rows and their lane."""
    cells = draw_rows(predictor, golden_rows(predictor)) if rows is None else predictor.cells(rows)
    if not len(cells):
        raise DataError("golden vectors of a predictor stage must have at least one row, got none")
    mapped = map_lanes(predictor, centred(predictor, cells), 1)
    records = np.stack([mapped.classes.ravel(), mapped.tokens.ravel()], axis=1)
    golden = {"lane.bin": encode_mapped(circuit, mapped)[0], "raw.bin": mapped.packed()[0]}
    return records, golden | {"rows.bin": row_bytes(predictor, cells)}


def table_bytes(layout: Layout) -> dict[str, int]:
    """Count the bytes of the memories by kind; code is not in them."""
    leaves, programs = layout.leaves, [layout.likelihood, layout.code]
    more = {}
    if stage_of(layout.circuit) is not None:  # tokens are coded from the contexts of their classes
        programs, more = programs[:1], {"contexts": 2 * token_contexts(layout.circuit)[0].size}
    lists = (leaves.list_of, leaves.leaves, leaves.wholes, *leaves.nested)
    rows = layout.rows
    return {
        # Of a row table its rows, and the numbers and turns that stand for weights.
        "weights": len(layout.weights.data) + (len(rows.table.data) + len(rows.turned.data) if rows else 0),
        "tables": len(leaves.tables),
        "lists": len(layout.indices.data) if layout.lowered.indices else 0,
        "leaves": sum(len(memory.data) for memory in lists),
        "programs": sum(map(len, programs)),
    } | more


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
        "given": list(lowered.program.given),
        "golden_records": records,
    } | said_cells(circuit)
