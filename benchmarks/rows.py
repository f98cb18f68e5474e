"""Measure one table of rows for all sums: python benchmarks/rows.py CIRCUIT...

The circuits are float ones of MNIST that `pcedge compress` has merged and folded. Their leaves share tables; then sums
are either rounded matrix by matrix and refined, or all take rows of one table (docs/quantization.md, section Row
tables) and are refined with it: in either way half of the passes round a growing share of the rows. Data: PCEDGE_DATA.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from leaf_tables import LEAF_BITS, images, with_floor
from results import table, write_section

from pcedge.circuit import Circuit, load_circuit
from pcedge.circuit.layers import InputLayer, SumLayer
from pcedge.compress import share_leaves, share_rows
from pcedge.export.program.lowering import lower
from pcedge.learn import LearnConfig, count_flows, evaluate
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize, refine

LEARN = LearnConfig(
    dtype="float32", uniform_share=0.02, sum_pseudocount=0.5, leaf_pseudocount=3.0, leaf_growth=0.0, holdout=0.05
)
STATE_BITS = 16
#: train records that rows and leaf tables are clustered on
CALIBRATION = 12000
#: how much less ROM at equal test bits makes a table worth a form of its own
RULE = 0.1


def settings_of(passes: int, learn: LearnConfig) -> RefineConfig:
    return RefineConfig(passes=passes, gradual=passes // 2 - 1, holdout=LEARN.holdout, seed=LEARN.seed, learn=learn)


def bits_of(circuit: Circuit, records: np.ndarray, learn: LearnConfig) -> float:
    """Compute the bits a variable, with the floor that the coder gives every symbol."""
    layers = [InputLayer(layer.variable, with_floor(layer.table)) if isinstance(layer, InputLayer) else layer
              for layer in circuit.layers]  # fmt: skip
    return -float(evaluate(Circuit(tuple(layers)), records, learn).mean()) / math.log(2) / records.shape[1]


def by_matrix(
    circuit: Circuit, train: np.ndarray, test: np.ndarray, width: int, passes: int, learn: LearnConfig
) -> dict[str, Any]:
    """Round every matrix by itself and refine."""
    config = QuantizationConfig(width, LEAF_BITS, STATE_BITS)
    fitted = refine(circuit, train, config, settings_of(passes, learn))
    memory = lower(quantize(fitted, config)).memory_bits()
    bits = bits_of(fitted, test, learn)
    return {"way": "matrix", "width": width, "bits": bits, "sums": memory["weights"], "rom": memory["rom"]}


def by_table(
    circuit: Circuit, flows: list[Any], train: np.ndarray, test: np.ndarray, count: int, width: int, passes: int,
    learn: LearnConfig,
) -> dict[str, Any]:  # fmt: skip
    """Let all sums share rows of one table, by EM with tied rows."""
    shared = share_rows(circuit, flows, count, LEARN.seed)
    config = QuantizationConfig(width, LEAF_BITS, STATE_BITS, row_table=True)
    fitted = refine(shared, train, config, settings_of(passes, learn))
    memory = lower(quantize(fitted, config)).memory_bits()
    return {
        "way": "table", "rows": count, "width": width, "clustered": bits_of(shared, test, learn),
        "bits": bits_of(fitted, test, learn), "sums": memory["weights"], "rom": memory["rom"],
    }  # fmt: skip


def measure(
    circuit: Circuit, train: np.ndarray, test: np.ndarray, learn: LearnConfig, *, tables: int, passes: int,
    matrix_widths: tuple[int, ...], row_counts: list[int], widths: tuple[int, ...],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Measure the float circuit, every matrix by itself, and tables of rows."""
    flows = count_flows(circuit, train[:CALIBRATION], learn)
    start = share_leaves(circuit, flows, tables=tables)
    yield {"way": "float", "bits": bits_of(circuit, test, learn), "shared": bits_of(start, test, learn)}
    for width in matrix_widths:
        yield by_matrix(start, train, test, width, passes, learn)
    for count in row_counts:
        for width in widths:
            yield by_table(start, flows, train, test, count, width, passes, learn)


def rom_at(bits: float, found: list[dict[str, Any]]) -> float | None:
    """Interpolate the ROM at which matrices by themselves reach these bits; none outside what was measured."""
    points = sorted((figures["bits"], figures["rom"]) for figures in found if figures["way"] == "matrix")
    inside = points and points[0][0] <= bits <= points[-1][0]
    return float(np.interp(bits, *zip(*points, strict=True))) if inside else None


def lines_of(found: list[dict[str, Any]], about: str) -> list[str]:
    """Write what a circuit came to: what was measured, the figures, and what the rule says."""
    base, shared, cells, less = found[0]["bits"], found[0]["shared"], [], []
    for figures in found[1:]:
        name, other = "matrix by matrix, refined", rom_at(figures["bits"], found)
        if figures["way"] == "table":
            name = f"a table of {figures['rows']} rows"
            less += [] if other is None else [1 - figures["rom"] / other]
        course = "".join(f" {figures[key]:.4f} →" for key in ("clustered",) if key in figures)
        cells.append([
            name, f"W{figures['width']}", f"{figures['sums'] / 1000:.0f}", f"{figures['rom'] / 1000:.0f}",
            f"{course} {figures['bits']:.4f}".strip(), f"{figures['bits'] - base:+.4f}",
            "–" if other is None or figures["way"] == "matrix" else f"{figures['rom'] / other - 1:+.1%}",
        ])  # fmt: skip
    verdict = "No table reaches the bits that matrices reach."
    if less:
        met = "is met" if max(less) >= RULE else "is not met"
        verdict = f"The rule, {RULE:.0%} less ROM at equal test bits, {met}: the best table takes {max(less):.1%} less."
    columns = ["rows of sums", "weights", "kbit of sums", "ROM, kbit", "test bits", "over float", "ROM at these bits"]
    opening = f"{about} Float: {base:.4f} bits a variable; with shared leaf tables, before any pass: {shared:.4f}."
    return [opening, "", *table(columns, cells), "", verdict, ""]


def write(command: str, circuits: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """Write the section of all circuits, each with what it is and its figures."""
    note = (
        "ROM is all that is only read, programs too, as lowered for one multiplier; tiles of more rows need copies of "
        "a table. Bits of a table: clustered → refined. Last column: against matrix by matrix, linear between its "
        "widths, which flatters the table."
    )
    lines = [line for about, found in circuits for line in lines_of(found, about)]
    write_section("Row tables", command, [note, "", *lines[:-1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("circuits", type=Path, nargs="+")
    parser.add_argument("--records", type=int, default=60000, help="train images")
    parser.add_argument("--every", type=int, default=1, help="test images: every so-manieth")
    parser.add_argument("--tables", type=int, default=64)
    parser.add_argument("--passes", type=int, default=20, help="passes of either way")
    parser.add_argument("--rows", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--device", default="cpu", help="cpu, or a torch device such as cuda")
    arguments = parser.parse_args()
    parts = images("train")[: arguments.records], images("t10k")[:: arguments.every]
    train, test = (part.reshape(len(part), -1).astype(np.int64) for part in parts)
    circuits = []
    for path in arguments.circuits:
        circuit, found = load_circuit(path), []
        for figures in measure(
            circuit, train, test, replace(LEARN, device=arguments.device), tables=arguments.tables,
            passes=arguments.passes, matrix_widths=(2, 3, 4, 5), row_counts=arguments.rows, widths=(5, 6, 8),
        ):  # fmt: skip
            found.append(figures)
            print(figures, flush=True)
        weights = sum(layer.weights.size for layer in circuit.layers if isinstance(layer, SumLayer))
        circuits.append(
            (about_of(path.stem, weights, arguments.tables, len(train), len(test), arguments.passes), found)
        )
    names = " ".join(path.name for path in arguments.circuits)
    options = [f"--{name} {given}" for name, given in (
        ("records", arguments.records), ("every", arguments.every), ("passes", arguments.passes),
        ("device", arguments.device),
    ) if given != parser.get_default(name)]  # fmt: skip
    write(" ".join(["python benchmarks/rows.py", names, *options]), circuits)


def about_of(name: str, weights: int, tables: int, train: int, test: int, passes: int) -> str:
    """Say what a circuit was measured on."""
    return (
        f"MNIST circuit `{name}`, merged and folded ({weights:,} weights), {tables} leaf tables of L{LEAF_BITS}; "
        f"{train:,} train images, {passes} passes of either way, {test:,} test images."
    )


if __name__ == "__main__":
    main()
