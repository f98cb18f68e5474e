"""Measure one table of rows for all sums: python benchmarks/rows.py CIRCUIT.

The circuit is a float one of MNIST that `pcedge compress` has merged and folded. Its leaves share tables; then its sums
are either rounded matrix by matrix and refined, or all take their rows from one table, which no program can do yet: it
would read a row's number and its turn, then the row. States are renumbered so that rows of one form lie alike. Rows are
clustered by code length, EM with tied rows goes on, and the table is rounded in its last passes. Data: PCEDGE_DATA.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from leaf_tables import LEAF_BITS, images, with_floor
from results import table, write_section
from scipy.optimize import linear_sum_assignment

from pcedge.circuit import Circuit, load_circuit
from pcedge.circuit.layers import InputLayer, ProductLayer, SumLayer
from pcedge.compress import share_leaves
from pcedge.export.program.lowering import lower
from pcedge.learn import LearnConfig, count_flows, evaluate
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize, refine
from pcedge.quantize.refining import DROPPED, _Run, _split
from pcedge.quantize.rows import round_matrix

LEARN = LearnConfig(
    dtype="float32", uniform_share=0.02, sum_pseudocount=0.5, leaf_pseudocount=3.0, leaf_growth=0.0, holdout=0.05
)
STATE_BITS = 16
#: train records that rows and leaf tables are clustered on
CALIBRATION = 12000
#: the last passes, half of all at most, round the table of rows
ROUNDED = 8
#: how much less ROM at equal test bits makes a table worth a form of its own
RULE = 0.1
#: rounds of clustering
ROUNDS = 16
#: what a place next to the diagonal counts when states are numbered
NEAR = 0.5


@dataclass(eq=False)
class Rows:
    """Hold where the rows of all sums lie: entry p of row r is parameter `entries[r, p]`, p below its length."""

    #: (rows, longest)
    entries: np.ndarray
    lengths: np.ndarray
    #: first row and shape of every sum layer
    matrices: dict[int, tuple[int, int, int]]

    @property
    def mask(self) -> np.ndarray:
        """Say which places of rows hold an entry."""
        return np.arange(self.entries.shape[1]) < self.lengths[:, None]


def rows_of(circuit: Circuit, by_layer: Callable[[np.ndarray], list[Any]], parameters: int) -> Rows:
    """Find the rows of all dense sums of two columns and more."""
    numbers = by_layer(np.arange(parameters))
    chosen = [i for i, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer) and layer.weights.shape[1] > 1]
    longest = max(numbers[i].shape[1] for i in chosen)
    padded = [np.pad(numbers[i], ((0, 0), (0, longest - numbers[i].shape[1]))) for i in chosen]
    lengths = np.concatenate([np.full(len(numbers[i]), numbers[i].shape[1]) for i in chosen])
    firsts = np.cumsum([0, *(len(numbers[i]) for i in chosen)])
    matrices = {i: (int(first), *numbers[i].shape) for i, first in zip(chosen, firsts, strict=False)}
    return Rows(np.concatenate(padded), lengths, matrices)


def rolled(values: np.ndarray, lengths: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Turn every row within its length: entry p of the result is entry p + by of the row."""
    places = np.arange(values.shape[1])
    source = np.where(places < lengths[:, None], (places + by[:, None]) % lengths[:, None], places)
    return np.take_along_axis(values, source, axis=1)


@dataclass(frozen=True)
class Above:
    """Say what stands above a matrix: the one whose columns are its rows' states, and the row of every state."""

    layer: int
    row_of_state: np.ndarray


def parents(circuit: Circuit) -> dict[int, Above]:
    """Find the matrix above every sum layer, where there is one alone."""
    users: dict[int, list[int]] = {}
    for index, layer in enumerate(circuit.layers):
        for child in () if isinstance(layer, InputLayer) else layer.children:
            users.setdefault(child, []).append(index)
    found = {}
    for index, layer in enumerate(circuit.layers):
        if not isinstance(layer, ProductLayer) or len(users.get(index, [])) != 1:
            continue
        above = circuit.layers[users[index][0]]
        if isinstance(above, SumLayer) and len(above.children) == 1:
            for column, child in enumerate(layer.children):
                if users[child] == [index]:
                    found[child] = Above(users[index][0], layer.gather[:, column])
    return found


class RowTable:
    """Hold one table of rows, which row of it every row of a sum is, and how the states are numbered."""

    def __init__(self, circuit: Circuit, rows: Rows, counts: np.ndarray, count: int, seed: int) -> None:
        """Cluster rows by `counts`, a vector like the model's parameters."""
        self.rows, self.parents = rows, parents(circuit)
        #: parameter at every state's place, and how far each row is turned
        self.places = rows.entries.copy()
        self.by = np.zeros(len(rows.lengths), dtype=np.int64)
        self.codes = np.full(len(rows.lengths), -1, dtype=np.int64)
        self.bits: int | None = None
        self.groups = {int(n): np.flatnonzero(rows.lengths == n) for n in np.unique(rows.lengths)}
        self.renumber(counts)
        self._start(counts, count, np.random.default_rng([seed, 21]))
        for _ in range(ROUNDS):
            self.assign(counts)
            self.tables = self.means(counts, 0.0)

    def seen(self, counts: np.ndarray) -> np.ndarray:
        """Give the counts of every row as it is stored."""
        places = rolled(self.places, self.rows.lengths, self.by)
        return np.where(self.rows.mask, counts[places], 0.0)

    def _start(self, counts: np.ndarray, count: int, generator: np.random.Generator) -> None:
        """Choose rows to start from, far ones likelier, as k-means++ does."""
        values = self.seen(counts)
        used = np.maximum(values.sum(axis=1), 1e-9)
        shares = values / used[:, None]
        own = (shares * _log(shares)).sum(axis=1)
        distance = np.full(len(used), np.inf)
        chosen: list[int] = []
        while len(chosen) < min(count, len(used)):
            open_groups = [group for group in self.groups.values() if np.isinf(distance[group[0]])]
            if open_groups:  # every length has a row at least
                row = int(open_groups[0][np.argmax(used[open_groups[0]])])
            else:
                chance = used * np.maximum(distance, 0.0)
                row = int(generator.choice(len(used), p=chance / chance.sum()))
            chosen.append(row)
            length = int(self.rows.lengths[row])
            group = self.groups[length]
            logs = _log(shares[row, :length])
            turned = np.stack([np.roll(logs, turn) for turn in range(length)], axis=1)
            distance[group] = np.minimum(distance[group], own[group] - (shares[group, :length] @ turned).max(axis=1))
        self.tables, self.lengths = shares[chosen], self.rows.lengths[chosen]

    def assign(self, counts: np.ndarray) -> None:
        """Give every row the row of the table, and its turn, that codes its counts best."""
        values = self.seen(counts)
        values += 1e-3 * np.where(self.codes[:, None] >= 0, self.tables[self.codes], 0.0)
        for length, group in self.groups.items():
            own = np.flatnonzero(self.lengths == length)
            logs = _log(self.tables[own, :length])
            best, now = np.full(len(group), -np.inf), values[group, :length]
            codes, turns = np.zeros(len(group), dtype=np.int64), np.zeros(len(group), dtype=np.int64)
            for turn in range(length):
                score = np.roll(now, -turn, axis=1) @ logs.T
                top = score.max(axis=1)
                better = top > best
                codes[better], turns[better], best[better] = own[score.argmax(axis=1)[better]], turn, top[better]
            self.codes[group] = codes
            self.by[group] = (self.by[group] + turns) % length

    def means(self, counts: np.ndarray, pseudocount: float) -> np.ndarray:
        """Give the table that is most likely for the counts; a row that nothing takes stays."""
        sums = np.zeros(self.tables.shape)
        np.add.at(sums, self.codes, self.seen(counts))
        inside = np.arange(sums.shape[1]) < self.lengths[:, None]
        sums += np.where(inside, pseudocount / self.lengths[:, None], 0.0)
        totals = sums.sum(axis=1, keepdims=True)
        taken = (np.bincount(self.codes, minlength=len(sums))[:, None] > 0) & (totals > 0)
        return np.where(taken, sums / np.where(totals > 0, totals, 1.0), self.tables)

    def renumber(self, counts: np.ndarray) -> None:
        """Number the states from the root down so that the flow of row i of a matrix lies about its diagonal."""
        place_of: dict[int, np.ndarray] = {}
        for layer in sorted(self.rows.matrices, reverse=True):
            first, height, width = self.rows.matrices[layer]
            rows = slice(first, first + height)
            above = self.parents.get(layer)
            if above is not None and above.layer in place_of:
                number = np.full(height, np.iinfo(np.int64).max)
                np.minimum.at(number, above.row_of_state, place_of[above.layer])
                self.by[rows] = np.argsort(np.argsort(number)) * width // height
            away = np.minimum(np.arange(width), width - np.arange(width))
            wanted = rolled(np.tile(NEAR**away, (height, 1)), np.full(height, width), -self.by[rows])
            entries = self.rows.entries[rows, :width]
            place_of[layer] = linear_sum_assignment(counts[entries].T @ wanted, maximize=True)[1]
            self.places[rows, :width] = entries[:, np.argsort(place_of[layer])]

    def rounded(self, bits: int) -> np.ndarray:
        """Give the table in multiples of 2^-bits."""
        tables = np.zeros(self.tables.shape)
        config = QuantizationConfig(bits, LEAF_BITS, STATE_BITS)
        for length in self.groups:
            own = self.lengths == length
            counts = round_matrix(self.tables[own, :length], 1 << bits, config, None, keep=False)
            tables[own, :length] = np.maximum(counts / (1 << bits), DROPPED)
        return tables

    def update(self, model: Any, counts: torch.Tensor) -> None:
        """Tie the rows of a model to the table, after an M-step; rounded, if `bits` says so."""
        counted = counts.cpu().numpy().astype(np.float64)
        self.assign(counted)
        self.tables = self.means(counted, model.config.sum_pseudocount)
        self.write(model)

    def write(self, model: Any) -> None:
        """Put the table's rows into a model's parameters."""
        tables = self.tables if self.bits is None else self.rounded(self.bits)
        places, mask = rolled(self.places, self.rows.lengths, self.by), self.rows.mask
        values = torch.tensor(tables[self.codes][mask], dtype=model.dtype, device=model.device)
        model.parameters[torch.tensor(places[mask], device=model.device)] = values

    def memory_bits(self, width: int) -> dict[str, int]:
        """Count what the table takes in place of the weights."""
        used = np.unique(self.codes)
        number = max(1, (len(used) - 1).bit_length())
        turns = int(np.ceil(np.log2(self.rows.lengths)).sum())
        return {"table": int(self.lengths[used].sum()) * width, "numbers": number * len(self.codes), "turns": turns}


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, 1e-6))


def settings_of(passes: int, learn: LearnConfig) -> RefineConfig:
    return RefineConfig(passes=passes, gradual=passes // 2 - 1, holdout=LEARN.holdout, seed=LEARN.seed, learn=learn)


def bits_of(circuit: Circuit, records: np.ndarray, learn: LearnConfig) -> float:
    """Compute the bits a variable, with the floor that the coder gives every symbol."""
    layers = [InputLayer(layer.variable, with_floor(layer.table)) if isinstance(layer, InputLayer) else layer
              for layer in circuit.layers]  # fmt: skip
    return -float(evaluate(Circuit(tuple(layers)), records, learn).mean()) / math.log(2) / records.shape[1]


def exact(run: _Run, parameters: torch.Tensor) -> Circuit:
    """Make a circuit whose rows sum to 1 when what counts as dropped is left out."""
    values = parameters.detach().cpu().numpy().astype(np.float64)
    for layer, array in zip(run.circuit.layers, run.model.by_layer(values), strict=True):
        if isinstance(layer, SumLayer):
            array[array <= DROPPED] = 0.0
            array /= array.sum(axis=1, keepdims=True)
    return run.to_circuit(torch.tensor(values))


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
    circuit: Circuit, flows: list[Any], train: np.ndarray, test: np.ndarray, count: int, widths: tuple[int, ...],
    passes: int, learn: LearnConfig,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Give all sums rows of one table, by EM with tied rows; the last passes are made once for every width."""
    settings = settings_of(passes, learn)
    train, valid = _split(train, None, settings)
    run = _Run(circuit, train, QuantizationConfig(8, LEAF_BITS, STATE_BITS), settings)
    run.turn = {}  # rows of matrices are not rounded: the table's are
    counts = np.zeros(len(run.model.parameters))
    for part, layer, flow in zip(run.model.by_layer(counts), circuit.layers, flows, strict=True):
        if isinstance(layer, SumLayer):
            part[...] = layer.weights * flow.sum(axis=1, keepdims=True)
    rows = rows_of(circuit, run.model.by_layer, len(counts))
    shared = RowTable(circuit, rows, counts, count, LEARN.seed)
    shared.write(run.model)
    clustered = bits_of(exact(run, run.model.parameters), test, learn)
    figures = {"way": "table", "rows": count, "clustered": clustered}
    run.tied.append(shared)
    rounded = min(ROUNDED, passes // 2)
    for _ in range(passes - rounded):
        run.step(0.0)
    figures["tied"] = bits_of(exact(run, run.model.parameters), test, learn)
    parameters, tied = run.model.parameters.clone(), run.tied
    for width in widths:
        run.model.parameters.copy_(parameters)
        run.tied = copy.deepcopy(tied)
        last = run.tied[-1]
        last.bits = width
        last.write(run.model)
        best, least, memory = run.model.parameters.clone(), math.inf, last.memory_bits(width)
        for _ in range(rounded):
            run.step(0.0)
            after = run.bits(valid)
            if after < least:
                best, least, memory = run.model.parameters.clone(), after, last.memory_bits(width)
        fitted = exact(run, best)
        whole = lower(quantize(fitted, QuantizationConfig(width, LEAF_BITS, STATE_BITS))).memory_bits()
        alone = sum(layer.weights.size for layer in fitted.layers if isinstance(layer, SumLayer)) - rows.lengths.sum()
        sums = sum(memory.values()) + int(alone) * width
        rom = whole["rom"] - whole["weights"] + sums
        yield {**figures, "width": width, **memory, "sums": sums, "rom": rom, "bits": bits_of(fitted, test, learn)}


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
        yield from by_table(start, flows, train, test, count, widths, passes, learn)


def rom_at(bits: float, found: list[dict[str, Any]]) -> float | None:
    """Interpolate the ROM at which matrices by themselves reach these bits; none outside what was measured."""
    points = sorted((figures["bits"], figures["rom"]) for figures in found if figures["way"] == "matrix")
    inside = points and points[0][0] <= bits <= points[-1][0]
    return float(np.interp(bits, *zip(*points, strict=True))) if inside else None


def lines_of(found: list[dict[str, Any]], about: str) -> list[str]:
    """Write the section: what was measured, the table, and what the rule says."""
    base, shared, cells, less = found[0]["bits"], found[0]["shared"], [], []
    for figures in found[1:]:
        name, other = "matrix by matrix, refined", rom_at(figures["bits"], found)
        if figures["way"] == "table":
            name = f"a table of {figures['rows']} rows"
            less += [] if other is None else [1 - figures["rom"] / other]
        course = "".join(f" {figures[key]:.4f} →" for key in ("clustered", "tied") if key in figures)
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
    note = (
        f"{about} Float: {base:.4f} bits a variable; with shared leaf tables, before any pass: {shared:.4f}. ROM is "
        "all that is only read, programs too; with a table, its rows packed, a number and a turn for every row of a "
        "sum, and the rest as lowered; engines that read R rows at once need R copies, which are not counted. Bits of "
        "a table: clustered → tied EM → rounded. Last column: against matrix by matrix, linear between its widths, "
        "which flatters the table."
    )
    return [note, "", *table(columns, cells), "", verdict]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("circuit", type=Path)
    parser.add_argument("--records", type=int, default=60000, help="train images")
    parser.add_argument("--every", type=int, default=1, help="test images: every so-manieth")
    parser.add_argument("--tables", type=int, default=64)
    parser.add_argument("--passes", type=int, default=30, help="passes of either way")
    parser.add_argument("--rows", type=int, nargs="+", default=[256, 512, 1024])
    arguments = parser.parse_args()
    circuit = load_circuit(arguments.circuit)
    parts = images("train")[: arguments.records], images("t10k")[:: arguments.every]
    train, test = (part.reshape(len(part), -1).astype(np.int64) for part in parts)
    weights = sum(layer.weights.size for layer in circuit.layers if isinstance(layer, SumLayer))
    about = (
        f"MNIST circuit `{arguments.circuit.stem}`, merged and folded ({weights:,} weights), {arguments.tables} leaf "
        f"tables of L{LEAF_BITS}; {len(train):,} train images, {arguments.passes} passes of either way, {len(test):,} "
        "test images spread over the test set."
    )
    found = []
    for figures in measure(
        circuit, train, test, LEARN, tables=arguments.tables, passes=arguments.passes, matrix_widths=(2, 3, 4, 5),
        row_counts=arguments.rows, widths=(6, 8),
    ):  # fmt: skip
        found.append(figures)
        print(figures, flush=True)
    command = " ".join(["python benchmarks/rows.py", arguments.circuit.name, *sys.argv[2:]])
    write_section("Row tables", command, lines_of(found, about))


if __name__ == "__main__":
    main()
