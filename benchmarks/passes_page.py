"""Write the figures of benchmarks/passes.json into docs/passes.md."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from results import table

PAGE = Path(__file__).parent.parent / "docs/passes.md"
BEGIN, END = "<!-- figures: python benchmarks/passes.py --table -->", "<!-- end of figures -->"

Rows = dict[str, list[dict[str, Any]]]


def grouped(figures: dict[str, Any]) -> dict[tuple[str, str, float], Rows]:
    """Give the measured rows of every circuit and target."""
    groups: dict[tuple[str, str, float], Rows] = {}
    for key, found in figures.items():
        circuit, unit, value, row, _ = key.split("|")
        if "error" not in found:
            groups.setdefault((circuit, unit, float(value)), {}).setdefault(row, []).append(found)
    return groups


def mean(found: list[dict[str, Any]], name: str) -> float | None:
    values = [each[name] for each in found]
    return None if any(value is None for value in values) else float(np.mean(values))


def spread(found: list[dict[str, Any]]) -> float:
    bits = [each["bits"] for each in found]
    return max(bits) - min(bits)


def verdicts(rows: Rows, controls: Rows) -> dict[str, str]:
    """Say of every pass whether it beats each control by more than the range of their seeds and its own."""
    said = {}
    for row, found in rows.items():
        if row in controls:
            said[row] = "control"
            continue
        # The range of a control that is far behind says nothing of one that is near: each is compared by itself.
        gains = [(mean(other, "bits") or 0.0) - (mean(found, "bits") or 0.0) for other in controls.values()]
        margins = [max(spread(found), spread(other)) for other in controls.values()]
        wins = all(gain > margin for gain, margin in zip(gains, margins, strict=True))
        loses = any(gain < -margin for gain, margin in zip(gains, margins, strict=True))
        said[row] = "wins" if wins else "loses" if loses else "within the range"
        if min(len(found), *(len(other) for other in controls.values())) < 2:
            said[row] = "ahead, one seed" if min(gains) > 0 else "behind, one seed"
    return said


def kendall(first: list[float], second: list[float]) -> float:
    """Compute Kendall's tau of two lists, pairs with a tie left out of the sum."""
    pairs = list(itertools.combinations(range(len(first)), 2))
    agree = sum(np.sign(first[a] - first[b]) * np.sign(second[a] - second[b]) for a, b in pairs)
    return float(agree / len(pairs)) if pairs else 1.0


def write_page(figures: dict[str, Any]) -> None:
    groups = grouped(figures)
    lines: list[str] = []
    taus = []
    for (circuit, unit, value), rows in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1], -item[0][2])):
        if unit == "weights" and value == 1:
            continue
        plain = groups.get((circuit, "weights", 1.0), {})
        controls = {row: found for row, found in rows.items() if row in ("direct", "random start")}
        said = verdicts(rows, controls) if controls else {}
        shown = {**rows, **{row: found for row, found in plain.items() if row == "no pass"}}
        goal = f"{value:.0%} of the weights" if unit == "weights" else f"{value:,.0f} kbit"
        lines += [f"**{circuit}, {goal}**", ""]
        body = []
        for row, found in sorted(shown.items(), key=lambda item: mean(item[1], "bits") or 0.0):
            worst, p999 = mean(found, "worst_class"), mean(found, "p999")
            body.append([
                {"direct": "*trained directly*", "random start": "*same sizes, random start*",
                 "no pass": "*no pass, the same M-steps*"}.get(row, row),
                f"{mean(found, 'bits'):.4f} ± {spread(found) / 2:.4f}", str(len(found)),
                "" if worst is None else f"{worst:+.2f}", f"{mean(found, 'auroc'):.4f}", f"{p999:.0f}",
                f"{mean(found, 'weights'):,.0f}", f"{mean(found, 'kbit'):,.0f}", f"{mean(found, 'cycles_16'):.1f}",
                f"{mean(found, 'cycles_64'):.1f}", f"{mean(found, 'seconds'):.0f}",
                "" if row == "no pass" else said.get(row, ""),
            ])  # fmt: skip
        lines += [*table(
            ["chain", "test bits", "seeds", "worst class", "AUROC", "99.9 %", "weights", "ROM, kbit", "cycles, 16 macs",
             "64 macs", "s", "against the controls"], body), ""]  # fmt: skip
        names = list(rows)
        bits = [mean(rows[name], "bits") or 0.0 for name in names]
        for other, sign in (("worst_class", 1), ("auroc", -1), ("p999", 1)):
            values = [mean(rows[name], other) for name in names]
            if len(names) > 2 and all(each is not None for each in values):
                taus.append((circuit, goal, other, kendall(bits, [sign * float(each or 0) for each in values])))
    lines += ["**Where the mean misleads.** Kendall's τ between the ranking of the chains by mean bits and by other "
              "columns; 1 is the same order.", "",
              *table(["circuit", "target", "worst class", "AUROC", "99.9th percentile"], _tau_rows(taus))]  # fmt: skip
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    PAGE.write_text(head + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + rest.split(END)[1], encoding="utf-8")


def _tau_rows(taus: list[tuple[str, str, str, float]]) -> list[list[str]]:
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for circuit, goal, other, tau in taus:
        rows.setdefault((circuit, goal), {})[other] = f"{tau:.2f}"
    return [[*key, *(found.get(name, "") for name in ("worst_class", "auroc", "p999"))] for key, found in rows.items()]


if __name__ == "__main__":
    write_page(json.loads((Path(__file__).parent / "passes.json").read_text()))
