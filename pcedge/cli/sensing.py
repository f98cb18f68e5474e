"""What `train` does with sensor data: a predictor stage and its circuit, chosen by description length."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.cli.output import Result, announce, in_words, options_given, warn, whole_file
from pcedge.cli.watching import aside, draw_plot, own_checkpoint, points, reporting, resumable
from pcedge.data import Splits
from pcedge.learn.config import Watch
from pcedge.learn.sensor import SIZE_BYTES, fit_sensor

#: options that are of no use with a predictor stage
OTHERS = (
    "structure", "leaves", "latents", "block", "iterations", "batch", "holdout", "patience", "validate_every",
    "validation_share", "sum_pseudocount", "leaf_pseudocount", "leaf_prior", "blur", "checkpoint_seconds", "image",
    "device", "precision",
)  # fmt: skip

#: bytes of the held-out part that xz is run on, for the break-even
COMPARED = 1 << 24


def wants_predictor(data: Splits, symbolizer: str | None, sized: bool, missing: int | None) -> bool:
    """Tell whether data are trained with a predictor stage: asked for, or too wide for tables of symbols."""
    if symbolizer is not None:
        return symbolizer == "auto"
    if sized:
        return True
    # Among symbols, -1 alone below 0 is more likely a mark for missing ones that was not said.
    wide = data.train.size and (int(data.train.max()) > 255 or int(data.train.min()) < -1)
    return bool(wide) and missing is None


def train_sensor(
    data: Splits, records: int | None, size_kbit: float | None, seed: int, out: Path, header: dict[str, Any],
    checkpoint: Path | None = None, plot: Path | None = None,
) -> Result:  # fmt: skip
    """Choose a predictor stage, fit its circuit, and say what it is worth."""
    from pcedge.circuit import save_circuit
    from pcedge.evaluate.numbers import row_log_likelihood

    for name in options_given(*OTHERS):
        warn(f"--{name.replace('_', '-')} has no effect on data with a predictor stage")
    announce(f"choosing a predictor stage on {len(data.train)} rows of {data.train[0].size} numbers")
    own = None if checkpoint is not None else own_checkpoint(out)
    kept, watch = checkpoint or own, Watch(aside=aside if own is not None else None)
    if kept is not None and kept.exists():
        announce(f"going on from {kept}")
    with reporting("choosing a predictor stage", "candidate") as move, whole_file(out) as fresh:
        size = SIZE_BYTES if size_kbit is None else max(1, round(125 * size_kbit))
        with resumable(kept):
            circuit, report = fit_sensor(
                data, records, size, seed, announce, checkpoint=kept, watch=watch, progress=move
            )
        save_circuit(circuit, fresh)
    if own is not None:
        own.unlink(missing_ok=True)
    result: dict[str, Any] = {
        "out": str(out), "variables": len(circuit.cardinalities), "parameters": circuit.parameters, "seed": seed,
        "structure": "predictor", "neighbours": report.neighbours, "groups": report.groups,
        "adaptive": report.adaptive, "classes": report.classes, "latents": report.states,
        "circuit_bytes": report.circuit_bytes, "valid_bits_per_value": report.valid_bits,
    }  # fmt: skip
    if data.test is not None and len(data.test):
        logs = row_log_likelihood(circuit, data.test)
        result["test_bits_per_value"] = float(-logs.sum() / np.log(2) / data.test.size)
    result["break_even_bytes"] = _break_even(data, report.valid_bits, report.circuit_bytes)
    result |= draw_plot(plot, watch.curve, "candidate")
    lines = [f"{name.replace('_', ' ')}: {in_words(value)}" for name, value in result.items()]
    return result | {"curve": points(watch.curve, "candidate")} | header, "\n".join(lines), 0


def _break_even(data: Splits, bits: float, circuit_bytes: int) -> int | None:
    """Give the raw bytes from which the circuit has paid for itself against xz; None where it never does."""
    rows = data.valid if data.valid is not None and len(data.valid) else data.train[-max(1, len(data.train) // 10) :]
    part = np.ascontiguousarray(rows[: max(1, COMPARED // max(1, rows[0].nbytes))])
    forms = (part, np.diff(part, axis=0, prepend=part[:1]))
    other = min(len(lzma.compress(form.tobytes(), preset=6)) for form in forms)
    saved = other / part.nbytes - bits / (8 * part.itemsize)
    return None if saved <= 0 else round(circuit_bytes / saved)
