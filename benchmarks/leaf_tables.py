"""Compare ways to store leaf tables in few bits: python benchmarks/leaf_tables.py digits mnist=CIRCUIT.

Every way takes the tables of a trained circuit, and how often each is used, and gives tables that take no more than a
budget, with the numbers that say which leaf has which; nothing is trained after. Tables are rounded to L 10. Written is
what test records cost beyond the same circuit with all its tables. MNIST: PCEDGE_DATA (default ../shared/data).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.circuit import Circuit, load_circuit
from pcedge.circuit.layers import InputLayer
from pcedge.compress.sharing import cluster_tables
from pcedge.data import load_array, load_data
from pcedge.learn import LearnConfig, count_flows, evaluate
from pcedge.quantize import QuantizationConfig
from pcedge.quantize.config import CODERS
from pcedge.quantize.nested import nest
from pcedge.quantize.rounding import least_code_length

DATA = Path(os.environ.get("PCEDGE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data")) / "mnist"
LEAF_BITS = 10
#: kbit of tables and numbers, and for sets whose tables take more than LARGE kbit
BUDGETS, LARGE_BUDGETS, LARGE = (10, 20, 40, 80), (100, 200, 400, 800), 2000
#: records that flows are counted on, and that judge, spread over the set
CALIBRATION, TEST = 6000, 1000
#: rounds of whatever is found by turns
ROUNDS = 30
#: small enough to change no table, and keeps what nothing takes from being 0 over 0
TINY = 1e-12
LEARN = LearnConfig(dtype="float32")
HEAD = (
    "Bits a variable over all tables, at L 10, within budgets of tables and numbers; nothing is trained after. In "
    "brackets the size: tables, masters, tables of the second codebook, or tables that are mixed. Products and "
    "mixtures are no tables that a memory holds: their cumulative counts must be computed, and rounded, wherever "
    "a leaf is read; two codebooks can be coded one after the other. The parts of either are not rounded "
    "themselves, what comes of them is. Tables that a network computes, or that overlap in one array (DHE, ROBE), "
    "have no exact cumulative counts."
)

Array = np.ndarray
#: finds new tables by tables (R, V), how often each is used, and a size
Way = Callable[[Array, Array, int], Array]
#: counts the bits of rows, symbols and a size
Bits = Callable[[int, int, int], int]


def numbers(rows: int, count: int) -> int:
    """Count the bits of one number below `count` for every row."""
    return rows * max(0, count - 1).bit_length()


def stored(count: int, symbols: int) -> int:
    """Count the bits of whole tables."""
    return count * (symbols - 1) * LEAF_BITS


def means(rows: Array, used: Array, of: Array, count: int) -> Array:
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, of, used[:, None] * rows)
    return sums + TINY


def normalised(values: Array) -> Array:
    return values / np.maximum(values.sum(axis=1, keepdims=True), 1e-300)


def logs(values: Array) -> Array:
    return np.log(np.maximum(values, 1e-9))


def k_means(rows: Array, used: Array, size: int) -> Array:
    centres, of = cluster_tables(rows, used, size, 0)
    return centres[of]


def in_few_bits(rows: Array, used: Array, size: int) -> Array:
    """Round shared tables to multiples of 2^-8."""
    centres, of = cluster_tables(rows, used, size, 0)
    return (least_code_length(centres, 1 << FEW_BITS) / (1 << FEW_BITS))[of]


def hashing(rows: Array, used: Array, size: int) -> Array:
    of = np.random.default_rng(0).integers(0, size, len(rows))
    return normalised(means(rows, used, of, size))[of]


def most_used(rows: Array, used: Array, size: int) -> Array:
    """Give half of the tables to the rows that are used most, one each; the others share the rest."""
    own = np.argsort(-used, kind="stable")[: size // 2]
    left = np.setdiff1d(np.arange(len(rows)), own)
    result = rows.copy()
    result[left] = k_means(rows[left], used[left], size - size // 2)
    return result


def composition(rows: Array, used: Array, size: int) -> Array:
    """Multiply one of few tables (a third of all) by one of few ratios, and normalise."""
    first, of = cluster_tables(rows, used, size // 3, 0)
    first = normalised(first + 1e-6)
    over = normalised((rows + 1e-4) / (first[of] + 1e-4))
    second = cluster_tables(over, used, size - len(first), 0)[1]
    ratios = np.ones((size - len(first), rows.shape[1]))
    for _ in range(ROUNDS):
        # Iterative scaling: a factor grows by what its rows have over what the products give them.
        product = normalised(first[of] * ratios[second])
        grown = means(rows, used, second, len(ratios)) / means(product, used, second, len(ratios))
        ratios = np.clip(ratios * grown, 1e-4, 1e4)
        product = normalised(first[of] * ratios[second])
        first = normalised(first * means(rows, used, of, len(first)) / means(product, used, of, len(first)) + TINY)
        second = (rows @ np.log(ratios).T - np.log(first[of] @ ratios.T)).argmax(axis=1)
        of = (rows @ logs(first).T - np.log(ratios[second] @ first.T)).argmax(axis=1)
    return normalised(first[of] * ratios[second])


def intervals(symbols: int) -> Array:
    """Say which interval of symbols each is in, as a matrix of 0 and 1; there are about as many as each has symbols."""
    interval = np.arange(symbols) // (1 << (symbols.bit_length() // 2))
    return np.eye(int(interval[-1]) + 1)[interval]


def codebooks(rows: Array, used: Array, size: int) -> Array:
    """Take the share of every interval of symbols from one codebook, and what lies within from another."""
    onto = intervals(rows.shape[1])
    coarse, first = cluster_tables(rows @ onto, used, COARSE * size, 0)

    def within(values: Array) -> Array:
        return values / ((values @ onto) @ onto.T)

    chance = used / used.sum()
    inside = within(rows[np.random.default_rng(0).choice(len(rows), size, replace=False, p=chance)] + 1e-9)
    for _ in range(ROUNDS):
        second = (rows @ logs(inside).T).argmax(axis=1)
        inside = within(means(rows, used, second, size))
    return coarse[first] @ onto.T * inside[second]


def codebook_bits(rows: int, symbols: int, size: int) -> int:
    count = intervals(symbols).shape[1]
    tables = stored(COARSE * size, count) + size * (symbols - count) * LEAF_BITS
    return tables + numbers(rows, COARSE * size) + numbers(rows, size)


def mixtures(rows: Array, used: Array, size: int) -> Array:
    """Mix few tables with weights of 4 bits (a non-negative factorisation of low rank)."""
    basis = cluster_tables(rows, used, size, 0)[0] + 1e-9
    weights = rounded = np.full((len(rows), size), 1 / size)
    for turn in range(ROUNDS):
        weights = normalised(weights * ((rows / np.maximum(weights @ basis, 1e-12)) @ basis.T) + 1e-12)
        rounded = weights if turn < ROUNDS // 2 else least_code_length(weights, 16) / 16
        basis = normalised(basis * ((rounded * used[:, None]).T @ (rows / np.maximum(rounded @ basis, 1e-9))) + 1e-12)
    return rounded @ basis


def masters(rows: Array, used: Array, size: int) -> Array:
    """Make so many times as many tables as masters; each is a shift and a scale of its master."""
    centres, of = cluster_tables(rows, used, NESTED * size, 0)
    return np.diff(nest(centres, size, LEAF_BITS)[1], axis=1)[of] / (1 << LEAF_BITS)


def master_bits(rows: int, symbols: int, size: int) -> int:
    tables = NESTED * size
    return stored(size, symbols - 1) + tables * 2 * LEAF_BITS + numbers(tables, size) + numbers(rows, tables)


def pruned(rows: Array, used: Array, size: int) -> Array:
    """Keep the likeliest quarter of every shared table; the other symbols have one share, a bit each says which."""
    centres, of = cluster_tables(rows, used, size, 0)
    keep = rows.shape[1] // 4
    rank = np.argsort(np.argsort(-centres, axis=1, kind="stable"), axis=1)
    rest = np.where(rank >= keep, centres, 0.0).sum(axis=1, keepdims=True) / (rows.shape[1] - keep)
    return np.where(rank < keep, centres, rest)[of]


def coarse(rows: Array, used: Array, size: int) -> Array:
    """Give rows that are used little tables of intervals of four symbols, four times as many as whole ones."""
    order = np.argsort(-used, kind="stable")
    rare = order[np.cumsum(used[order]) > 0.9 * used.sum()]
    often = np.setdiff1d(np.arange(len(rows)), rare)
    onto = np.eye(-(-rows.shape[1] // 4))[np.arange(rows.shape[1]) // 4]
    result = rows.copy()
    result[often] = k_means(rows[often], used[often], size)
    result[rare] = k_means(rows[rare] @ onto, used[rare], 4 * size) / onto.sum(axis=0) @ onto.T
    return result


#: tables of the first codebook for each of the second, nested tables for each master, and bits of coarse shares
COARSE, NESTED, FEW_BITS = 8, 8, 8
#: of every way: what finds tables, and how many bits tables and numbers take by rows, symbols and size
WAYS: dict[str, tuple[Way, Bits]] = {
    "k-means by code length (`share`)": (k_means, lambda r, v, n: stored(n, v) + numbers(r, n)),
    "k-means, shares of 8 bits (quantization)": (
        in_few_bits, lambda r, v, n: stored(n, v) * FEW_BITS // LEAF_BITS + numbers(r, n),
    ),
    "nested masters (`nest`), 8 tables a master": (masters, master_bits),
    "most used rows have half of the tables, the rest share (MGQE)": (
        most_used, lambda r, v, n: stored(n, v) + numbers(r, n),
    ),
    "whole tables for 90 % of use, coarse ones for the rest (MDE)": (
        coarse, lambda r, v, n: stored(n, v) + stored(4 * n, -(-v // 4)) + numbers(r, 5 * n),
    ),
    "shared tables, the likeliest quarter kept (pruned)": (
        pruned, lambda r, v, n: n * (v // 4 * LEAF_BITS + v) + numbers(r, n),
    ),
    "two codebooks: intervals, and within them (PQ)": (codebooks, codebook_bits),
    "products of two tables (composition, Q-R)": (
        composition, lambda r, v, n: stored(n, v + 1) + numbers(r, n // 3) + numbers(r, n - n // 3),
    ),
    "mixtures of few tables, 4-bit weights (low rank)": (
        mixtures, lambda r, v, n: stored(n, v) + 4 * r * (n - 1),
    ),
    "random hashing": (hashing, lambda r, v, n: stored(n, v)),
}  # fmt: skip


def largest(bits: Bits, rows: int, symbols: int, budget: float) -> int:
    """Find the largest size, from 3 on, that fits a budget; 0 where none does."""
    return max((size for size in range(3, rows) if bits(rows, symbols, size) <= budget), default=0)


def with_floor(tables: Array) -> Array:
    """Add the floor that the coder gives every symbol."""
    config = QuantizationConfig(leaf_bits=LEAF_BITS)
    share = config.floor_for(tables.shape[1]) / (1 << CODERS[config.coder][0])
    return (tables + share) / (1 + share * tables.shape[1])


def images(part: str) -> Array:
    return np.asarray(load_array(DATA / f"{part}-images-idx3-ubyte.gz"))


def with_tables(circuit: Circuit, tables: Array) -> Circuit:
    """Put rounded tables into a circuit, with the floor that the coder gives every symbol."""
    if not np.isfinite(tables).all():
        raise ValueError("tables must be finite")
    layers, first = list(circuit.layers), 0
    different, of = np.unique(tables, axis=0, return_inverse=True)
    counts = with_floor(least_code_length(different, 1 << LEAF_BITS) / (1 << LEAF_BITS))[of.reshape(-1)]
    for index, layer in enumerate(layers):
        if isinstance(layer, InputLayer):
            layers[index] = InputLayer(layer.variable, counts[first : first + len(layer.table)])
            first += len(layer.table)
    return Circuit(tuple(layers))


def bits_of(circuit: Circuit, records: Array) -> float:
    return -float(evaluate(circuit, records, LEARN).mean()) / np.log(2) / records.shape[1]


def sets(given: list[str]) -> Iterator[tuple[str, Circuit, Array, Array]]:
    """Give each set's circuit, train and test records."""
    for text in given:
        name, _, file = text.partition("=")
        if name == "mnist":
            parts = [images("train"), images("t10k")]
        else:
            splits = load_data(name)
            parts = [splits.train, splits.test]
        train, test = (np.asarray(part).reshape(len(part), -1).astype(np.int64) for part in parts)
        yield name, load_circuit(file or name), train[:CALIBRATION], test[:: max(1, len(test) // TEST)]


def verdict(cells: dict[str, list[float | None]], budgets: tuple[int, ...]) -> list[str]:
    """Say in a sentence for every budget which way is best, and what the first, the one that exists, costs."""
    lines = []
    for column, budget in enumerate(budgets):
        reached = {title: row[column] for title, row in cells.items() if row[column] is not None}
        order = sorted(reached, key=reached.__getitem__)
        share = next(iter(WAYS))
        rest = f"then {order[1]} ({reached[order[1]]:+.4f})"
        if share not in order[:2]:
            rest += f"; {share} {reached[share]:+.4f}" if share in reached else f"; {share} does not fit"
        lines += [f"- ≤ {budget} kbit: {order[0]} is best ({reached[order[0]]:+.4f}), {rest}."]
    return lines


def main() -> None:
    lines, given = [], sys.argv[1:] or ["digits"]
    for name, circuit, train, test in sets(given):
        flows = count_flows(circuit, train, LEARN)
        inputs = [(layer, flow) for layer, flow in zip(circuit.layers, flows, strict=True)
                  if isinstance(layer, InputLayer) and flow is not None]  # fmt: skip
        rows = np.concatenate([layer.table for layer, _ in inputs])
        used = np.concatenate([flow.sum(axis=1) for _, flow in inputs]) + 1e-3
        base, symbols = bits_of(with_tables(circuit, rows), test), rows.shape[1]
        every = stored(len(rows), symbols) / 1000
        print(name, rows.shape, f"all tables {every:,.0f} kbit: {base:.4f}", flush=True)
        budgets = BUDGETS if every <= LARGE else LARGE_BUDGETS
        found, cells, begin = {}, [], time.monotonic()
        for title, (way, bits) in WAYS.items():
            sizes = [largest(bits, len(rows), symbols, 1000.0 * budget) for budget in budgets]
            over = [bits_of(with_tables(circuit, way(rows, used, size)), test) - base if size else None
                    for size in sizes]  # fmt: skip
            found[title] = over
            cells.append([title, *("–" if loss is None else f"{loss:+.4f} ({size})"
                                   for loss, size in zip(over, sizes, strict=True))])  # fmt: skip
            print(cells[-1], f"{time.monotonic() - begin:.0f} s", flush=True)
        different = len(np.unique(least_code_length(rows, 1 << LEAF_BITS), axis=0))
        lines += [
            f"{name}: {len(rows):,} leaves of {symbols} symbols, flows of {len(train):,} train records, {len(test):,} "
            f"test records spread over the set, {base:.4f} bits a variable with all tables ({every:,.0f} kbit; "
            f"{different:,} are different after rounding).", "",
            *table(["way", *(f"≤ {budget} kbit" for budget in budgets)], cells), "", *verdict(found, budgets), "",
        ]  # fmt: skip
    pairs = (text.partition("=") for text in given)
    words = [name + equal + Path(file).name for name, equal, file in pairs]
    command = f"python benchmarks/leaf_tables.py {' '.join(words)}"
    write_section("Leaf tables", command, [HEAD, "", *lines[:-1]])


if __name__ == "__main__":
    main()
