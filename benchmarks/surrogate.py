"""Measure what circuits lose after a refinement, and fit what predicts it: python benchmarks/surrogate.py [--features].

Candidates of several families are made, refined briefly and measured on held-out records; measurements go to
surrogate.json, the fitted surrogate to pcedge/search/surrogate.json, and the comparison to docs/results.md.
`--features` keeps the measured losses and computes features anew. Data: PCEDGE_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from results import table, write_section

from pcedge.arrays import IntArray
from pcedge.circuit import Circuit, SumLayer, load_circuit
from pcedge.compress import expected_flows, fold, merge_path, share_leaves
from pcedge.data import Splits, load_data
from pcedge.engines import ReferenceEngine
from pcedge.integer import IntegerCircuit
from pcedge.learn import LearnConfig, fit
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize, refine
from pcedge.search.features import features, shares_tables
from pcedge.search.recovery import LEAST
from pcedge.search.surrogate import NOISE, SHIPPED, TRUSTED, Surrogate, predict_left_out, quality

FIGURES = Path(__file__).resolve().with_suffix(".json")
FITTED = FIGURES.parent.parent / "pcedge/search" / SHIPPED
DATA = Path(os.environ.get("PCEDGE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))

Choice = tuple[int, int, int, int | None]

#: records at most: train, validation, test
RECORDS = (4000, 1000, 4000)

#: passes of a refinement
SHORT = RefineConfig(passes=10, gradual=5)

#: of the candidates: the least and the greatest W of a layer (drawn where they differ), L, and tables
SHARED: tuple[Choice, ...] = (
    (2, 2, 12, None), (3, 3, 12, None), (4, 4, 12, None), (6, 6, 12, None), (2, 2, 10, 16), (3, 3, 8, 64),
    (4, 4, 10, 8), (5, 5, 9, 24), (2, 4, 10, 32), (3, 6, 12, 12),
)  # fmt: skip

#: those of sets of two symbols, whose leaves share no tables
BINARY: tuple[Choice, ...] = (
    (2, 2, 12, None), (3, 3, 8, None), (4, 4, 12, None), (5, 5, 9, None), (6, 6, 12, None), (2, 3, 10, None),
    (2, 4, 11, None), (3, 5, 8, None), (2, 6, 12, None), (4, 6, 10, None),
)  # fmt: skip

#: what today's search refines once for all candidates: one in the middle, and the widest
MIDDLE: Choice = (4, 4, 12, None)
WIDEST: Choice = (8, 8, 12, None)

#: samples of the electrocardiogram in a record, and levels
WINDOW, LEVELS = 16, 16


@dataclass(frozen=True)
class Family:
    """Hold a circuit and its records."""

    circuit: Circuit
    train: IntArray
    valid: IntArray
    test: IntArray


def records(name: str) -> tuple[IntArray, IntArray, IntArray]:
    """Load train, validation and test records of a set."""
    if name == "ecg":
        signal = np.load(DATA / "ecg" / "mitdb_100.npz")["x"][:, 0].astype(np.int64)
        changes = np.diff(signal)
        edges = np.unique(np.quantile(changes, np.arange(1, LEVELS) / LEVELS))
        levels = np.searchsorted(edges, changes[: len(changes) // WINDOW * WINDOW]).reshape(-1, WINDOW)
        parts = np.split(levels[np.random.default_rng(0).permutation(len(levels))], np.cumsum(RECORDS))[:3]
    elif name == "digits":
        splits = load_data("digits")
        parts = [splits.train, splits.valid, splits.test]
    else:
        held = np.load(DATA / "debd" / f"{name}.npz")
        # msnbc has no train split here
        train = held["train"] if "train" in held else held["valid"][RECORDS[1] :]
        parts = [train, held["valid"], held["test"]]
    train, valid, test = (
        part[:most].reshape(min(len(part), most), -1).astype(np.int64)
        for part, most in zip(parts, RECORDS, strict=True)
    )
    return train, valid, test


def family(data: str, kind: str) -> Family:
    """Train the circuit of a family: hclt-8, chain-8, quad-8, shipped, or merged, the shipped one made smaller."""
    train, valid, test = records(data)
    if kind in ("shipped", "merged"):
        circuit = load_circuit(data)
        if kind == "merged":
            path = merge_path(circuit, expected_flows(circuit, train))
            half = sum(latent.states for latent in path.latents) // 2
            splits = Splits(train, valid)
            circuit = fit(splits, LearnConfig(iterations=25, batch=len(train)), circuit=fold(path.after(half)))
        return Family(circuit, train, valid, test)
    structure, states = kind.split("-")
    shape = (8, 8) if structure == "quad" else None
    config = LearnConfig(structure=structure, latents=int(states), shape=shape, batch=len(train))
    return Family(fit(Splits(train, valid), config), train, valid, test)


FAMILIES = (
    ("digits", "shipped"), ("digits", "hclt-8"), ("digits", "quad-8"), ("digits", "merged"), ("nltcs", "hclt-16"),
    ("msnbc", "hclt-8"), ("plants", "chain-8"), ("jester", "hclt-8"), ("baudio", "binary-6"), ("ecg", "chain-12"),
    ("ecg", "hclt-6"), ("ecg", "binary-8"),
)  # fmt: skip


def bits(integers: IntegerCircuit, test: IntArray) -> float:
    """Give interval bits a variable."""
    lo, hi = ReferenceEngine(integers).intervals(test)
    return float(integers.scale_bits - np.log2(hi - lo).mean())


def rounded(given: Family, choice: Choice) -> tuple[Circuit, QuantizationConfig]:
    """Share tables and give the widths."""
    low, high, leaf_bits, tables = choice
    circuit = given.circuit
    if tables is not None:
        circuit = share_leaves(circuit, expected_flows(circuit, given.train), tables=tables)
    sums = [index for index, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer)]
    drawn = np.random.default_rng(0).integers(low, high + 1, len(sums)).tolist()
    mixed = tuple((index, bits) for index, bits in zip(sums, drawn, strict=True) if bits < high)
    return circuit, QuantizationConfig(weight_bits=high, leaf_bits=leaf_bits, layer_weight_bits=mixed)


def measure(given: Family, choice: Choice) -> dict[str, float]:
    """Give the bits a variable lost without and with a refinement."""
    circuit, config = rounded(given, choice)
    fitted = refine(circuit, given.train, config, SHORT, valid=given.valid)
    exact = bits(quantize(given.circuit, QuantizationConfig(16, 16)), given.test)
    return {
        "unrefined": bits(quantize(circuit, config), given.test) - exact,
        "refined": bits(quantize(fitted, config, possible=circuit), given.test) - exact,
    }


def measured() -> list[dict[str, Any]]:
    """Make and measure all candidates."""
    found = []
    for data, kind in FAMILIES:
        name = f"{data} {kind}"
        given = family(data, kind)
        middle, widest = measure(given, MIDDLE), measure(given, WIDEST)
        # What `pcedge.search.recovery.remaining` gives, with all of the records.
        before = middle["unrefined"] - widest["unrefined"]
        remains = min(max((middle["refined"] - widest["refined"]) / before, LEAST), 1.0) if before > 0 else 1.0
        for choice in choices(given):
            one = {"family": name, "data": data, "choice": choice, "remains": remains, **measure(given, choice)}
            found.append(one | {"features": described(given, choice)})
            print(name, choice, round(one["unrefined"], 5), round(one["refined"], 5), flush=True)
    return found


def choices(given: Family) -> tuple[Choice, ...]:
    """Give the candidates of a circuit."""
    return SHARED if max(given.circuit.cardinalities) > 2 else BINARY


def described(given: Family, choice: Choice) -> dict[str, float]:
    """Give the features of a candidate, as the command finds them in its file."""
    return features(quantize(*rounded(given, choice)))


def described_again(found: list[dict[str, Any]]) -> None:
    """Compute features anew; circuits are trained again, to the same parameters."""
    for data, kind in FAMILIES:
        own = [one for one in found if one["family"] == f"{data} {kind}"]
        given = family(data, kind)
        for one in own:
            low, high, leaf_bits, tables = one["choice"]
            one["features"] = described(given, (low, high, leaf_bits, tables))
        print(data, kind, flush=True)


def report(found: list[dict[str, Any]], surrogate: Surrogate) -> None:
    """Write the section of docs/results.md."""
    losses, families = [one["refined"] for one in found], [one["family"] for one in found]
    rows = [one["features"] for one in found]
    unrefined = np.array([one["unrefined"] for one in found])
    orders: list[tuple[str, Any]] = [
        ("`pcedge predict`, each family left out", predict_left_out(rows, losses, families)),
        ("`pcedge predict`, each data set left out", predict_left_out(rows, losses, [one["data"] for one in found])),
        (
            "today's score of the search: measured loss times what remains",
            unrefined * [one["remains"] for one in found],
        ),
        ("measured loss before the refinement", unrefined),
    ]
    truth, shared = np.array(losses), np.array([shares_tables(row) for row in rows])
    lines = []
    for title, guess in orders:
        error, tau = quality(guess, truth)
        kinds = [quality(guess[some], truth[some]) for some in (~shared, shared)]
        within = [
            quality(guess[some], truth[some])[1]
            for some in (np.array([other == name for other in families]) for name in dict.fromkeys(families))
        ]
        cells = [f"{tau:.3f}", f"{np.mean(within):.3f}", f"{min(within):.2f}", f"{error:.4f}"]
        lines.append([title, *cells, *(f"{value:.{4 - place}f}" for kind in kinds for place, value in enumerate(kind))])
        print(lines[-1])
    reached = surrogate.kendall_tau >= TRUSTED and surrogate.kendall_tau > quality(orders[2][1], losses)[1]
    write_section(
        "Loss after a refinement, predicted",
        "python benchmarks/surrogate.py",
        [
            f"{len(found)} candidates of {len(set(families))} families ({', '.join(dict.fromkeys(families))}): W 2 to "
            "6, one for all layers or drawn for each, L 8 to 12, 8 to all leaf tables; refined with "
            f"{SHORT.passes} passes over {RECORDS[0]:,} records at most. The loss: bits a variable of coding intervals "
            f"of {RECORDS[2]:,} test records at most, against the float circuit's at W 16, L 16. It is "
            f"{np.median(losses):.4f} in the median; losses below {NOISE} count as that in the order.",
            "",
            "Predictions read the file alone, by a fit without the family or data set; the other two orders measure "
            "every candidate on held-out records with the float circuit at hand, and today's refines two of each "
            "circuit. Kendall's tau of all candidates, in the mean and the worst within a family, and the median "
            "absolute error in bits a variable; then both of the candidates whose leaves have tables of their own, and "
            "of those whose leaves share tables.",
            "",
            *table(
                [
                    "order by",
                    "tau",
                    "within a family",
                    "worst",
                    "error",
                    "own tables: error",
                    "tau",
                    "shared: error",
                    "tau",
                ],
                lines,
            ),
            "",
            f"The goal, a tau of {TRUSTED} and above today's score with families left out, is "
            f"{'reached' if reached else 'not reached: the search keeps its score'}.",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", action="store_true", help="keep measured losses, compute features anew")
    parser.add_argument("--fit", action="store_true", help="keep losses and features")
    options = parser.parse_args()
    if options.features or options.fit:
        found = json.loads(FIGURES.read_text(encoding="utf-8"))
        if options.features:
            described_again(found)
    else:
        found = measured()
    FIGURES.write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n", encoding="utf-8")
    surrogate = Surrogate.of(found)
    FITTED.write_text(surrogate.as_json(), encoding="utf-8")
    report(found, surrogate)


if __name__ == "__main__":
    main()
