"""What `train` does with sensor data: a predictor stage and its circuit, chosen by description length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.cli.output import Result, announce, in_words, options_given, warn, whole_file
from pcedge.cli.rivals import COMPARED, packed_bytes, packed_file_bytes
from pcedge.cli.watching import aside, draw_plot, own_checkpoint, points, reporting, resumable
from pcedge.data import Columns, Reading, Splits, load_data, parse_columns
from pcedge.data.column_spec import ColumnSpec
from pcedge.errors import DataError, UsageError
from pcedge.learn.config import Watch
from pcedge.learn.sensor import fit_sensor

#: options that are of no use with a predictor stage
OTHERS = (
    "structure", "leaves", "latents", "block", "iterations", "batch", "holdout", "patience", "validate_every",
    "validation_share", "sum_pseudocount", "leaf_pseudocount", "leaf_prior", "blur", "checkpoint_seconds", "image",
    "device", "precision",
)  # fmt: skip

#: columns that are shown to people
SHOWN = 8


def load_splits(
    source: str, reading: Reading, spec: str | None, symbolizer: str | None, init: str | None
) -> tuple[Splits, tuple[ColumnSpec, ...]]:
    """Load the splits of `train`, floats and records with fields too where a predictor stage may take them.

    Args:
        source: the data.
        reading: what they do not say themselves, as data of any type.
        spec: what --columns says.
        symbolizer: what --symbolizer says.
        init: what --init says.

    Raises:
        DataError: the data are no numbers.
        UsageError: the options do not fit each other, or the data.
    """
    # NaN marks what is missing in floats, of which only a predictor stage is trained.
    integers = reading.missing is None or not math.isnan(reading.missing)
    if init is not None or symbolizer not in (None, "auto"):
        if spec is not None:
            raise UsageError(
                "--columns must be given without --init and --symbolizer STEPS: a predictor stage has them"
            )
        return load_data(source, replace(reading, typed=False)), ()
    specs = () if spec is None else parse_columns(spec)
    data = load_data(source, replace(reading, columns=specs if reading.dtype is None else ()))
    splits = [split for split in (data.train, data.valid, data.test) if split is not None]
    dtype = data.train.dtype
    if dtype.names is None and dtype.kind not in "iubf":
        raise DataError(f"data must hold integers, floats or records with fields, got {dtype}")
    if integers and not specs and any(split.dtype.kind == "f" for split in splits):
        # Floats that are integers are integers, as in all other commands.
        with suppress(DataError):
            data = load_data(source, replace(reading, typed=False))
    return data, specs


def wants_predictor(
    data: Splits, symbolizer: str | None, sized: bool, missing: float | None, specs: Sequence[ColumnSpec] = ()
) -> bool:
    """Tell whether data are trained with a predictor stage: asked for, or too wide for tables of symbols."""
    if symbolizer is not None:
        return symbolizer == "auto"
    if sized or specs or data.train.dtype.kind not in "iub":
        return True
    there = data.train if missing is None else data.train[data.train != missing]
    # Among symbols, -1 alone below 0 is more likely a mark for missing ones that was not said.
    return bool(there.size) and (int(there.max()) > 255 or int(there.min()) < -1)


def columns_for(data: Splits, specs: Sequence[ColumnSpec], missing: float | None) -> Columns | None:
    """Choose the columns of data; None where these are integers as they stand.

    Raises:
        DataError: floats lie on no grid, or all numbers are missing.
        UsageError: the spec does not fit the data.
    """
    splits = [split for split in (data.train, data.valid, data.test) if split is not None]
    if missing is None and data.train.dtype.kind == "f" and any(np.isnan(split).any() for split in splits):
        announce("NaN is taken as missing")
        missing = math.nan
    columns = Columns.of(splits[0], specs, missing=missing, more=splits[1:])
    return None if columns.is_plain else columns


def train_sensor(
    data: Splits,
    records: int | None,
    size_kbit: float | None,
    seed: int,
    out: Path,
    header: dict[str, Any],
    specs: Sequence[ColumnSpec] = (),
    missing: float | None = None,
    checkpoint: Path | None = None,
    plot: Path | None = None,
    table: Path | None = None,
) -> Result:
    """Choose a predictor stage, fit its circuit, and say what it is worth; `table` is the text that the data are of."""
    from pcedge.circuit import save_circuit
    from pcedge.evaluate.numbers import row_log_likelihood

    for name in options_given(*OTHERS):
        warn(f"--{name.replace('_', '-')} has no effect on data with a predictor stage")
    columns = columns_for(data, specs, missing)
    numbers = data.train[0].size if columns is None else math.prod(columns.cell_shape)
    announce(f"choosing a predictor stage on {len(data.train)} rows of {numbers} numbers")
    if columns is not None and columns.by_bits:
        announce(f"coded by the bits of their floats: {', '.join(columns.by_bits)}")
    own = None if checkpoint is not None else own_checkpoint(out)
    kept, watch = checkpoint or own, Watch(aside=aside if own is not None else None)
    if kept is not None and kept.exists():
        announce(f"going on from {kept}")
    with reporting("choosing a predictor stage", "candidate") as move, whole_file(out) as fresh:
        size = None if size_kbit is None else max(1, round(125 * size_kbit))
        with resumable(kept):
            circuit, report = fit_sensor(
                data, records, size, seed, announce, columns, checkpoint=kept, watch=watch, progress=move
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
        result["test_bits_per_value"] = float(-logs.sum() / np.log(2) / (len(data.test) * numbers))
    result["break_even_bytes"] = break_even(data, columns, report.valid_bits * numbers, report.circuit_bytes, table)
    result |= draw_plot(plot, watch.curve, "candidate")
    lines = [f"{name.replace('_', ' ')}: {in_words(value)}" for name, value in result.items()]
    if columns is not None:
        result["accepts"] = [column.accepts for column in columns.columns]
        more = f", … ({len(columns.columns)} columns)" if len(columns.columns) > SHOWN else ""
        lines.append(f"accepts, now and later (--columns sets it): {', '.join(result['accepts'][:SHOWN])}{more}")
    # Under a predictor stage every number is a variable.
    result |= {
        f"{split}_bits_per_variable": result[f"{split}_bits_per_value"]
        for split in ("valid", "test")
        if f"{split}_bits_per_value" in result
    }
    return result | {"curve": points(watch.curve, "candidate")} | header, "\n".join(lines), 0


def break_even(
    data: Splits, columns: Columns | None, bits: float, circuit_bytes: int, table: Path | None
) -> int | None:
    """Give the raw bytes from which the circuit has paid for itself against xz; None where it never does.

    `bits` are those of a row. A table as text is packed as it stands too: xz may find more in digits than in numbers.
    """
    rows = data.valid if data.valid is not None and len(data.valid) else data.train[-max(1, len(data.train) // 10) :]
    part = np.ascontiguousarray(rows[: max(1, COMPARED // max(1, rows[0].nbytes))])
    numbers = part if columns is None else np.ma.getdata(columns.apply(part))
    forms = (part.tobytes(), np.diff(numbers, axis=0, prepend=numbers[:1]).tobytes())
    other = min(packed_bytes(form, len(form)) / len(part) for form in forms)
    if table is not None:
        rows_there = sum(len(split) for split in (data.train, data.valid, data.test) if split is not None)
        other = min(other, packed_file_bytes(table) / rows_there)
    saved = (other - bits / 8) / part[0].nbytes
    return None if saved <= 0 else round(circuit_bytes / saved)
