"""The commands that score records and draw some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from pcedge.circuit import Circuit
from pcedge.cli.files import read_integer
from pcedge.cli.grids import integer_mark, said_missing
from pcedge.cli.inputs import (
    ARRAY,
    DATA,
    MODEL,
    Marker,
    engine_options,
    reading_of,
    reading_options,
    refuse_other_mark,
    said_header,
    said_tokens,
    to_symbols,
)
from pcedge.cli.output import Command, Result, progress, save_array, table, whole_file
from pcedge.data.reading import Reading
from pcedge.errors import DataError
from pcedge.integer import IntegerCircuit

#: variables that are shown to people
SHOWN = 8


@click.command(cls=Command, example="pcedge score m.onnx x.npy --out scores.npy")
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@click.option(
    "--per-variable", is_flag=True, help="Compute each variable's share of the score: what it falls by without it."
)
@click.option("--missing", type=Marker(), help="What marks a missing value, an integer or nan; it is summed out.")
@click.option(
    "--out", type=ARRAY, help="Write every record's score, or its variables' shares, int64: .npy, .csv or .tsv."
)
@engine_options
@reading_options
def score(
    model: str, data: str, per_variable: bool, missing: float | None, out: Path | None, engine_name: str, threads: int,
    dtype: str | None, shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Score records: -log2 of the likelihood in 1/256 bit, as an unrolled kernel gives it.

    A high score is an anomaly; 4294967295 is a record that the integers call impossible.
    """
    from pcedge.arithmetic import SCORE_FRACTION, SCORE_IMPOSSIBLE
    from pcedge.data import load_array
    from pcedge.data.predictor import Predictor
    from pcedge.evaluate.scores import record_scores, record_shares, row_scores, row_shares
    from pcedge.native import open_engine

    engine = open_engine(read_integer(model), engine_name, threads)
    reading = reading_of(engine.circuit, dtype, shape, missing, header, partial=True)
    refuse_other_mark(engine.circuit, data, reading, missing)
    raw = load_array(data, reading)
    header_entry = said_header(data, reading)
    if not len(raw):
        raise DataError(f"{data} must hold at least one record, it holds none")
    shares, unseen = None, {}
    if isinstance(engine.circuit.symbolizer, Predictor):
        numbers = row_shares(engine, raw, missing)
        scores, shares = row_scores(numbers), numbers if per_variable else None
    else:
        x = to_symbols(engine.circuit, raw, integer_mark(missing))
        unseen = said_missing(engine.circuit, x, missing)
        records = engine.check(x, allow_missing=missing is not None or bool(unseen))
        scores = record_scores(engine, records)
        if per_variable:
            with progress("variables") as move:
                shares = record_shares(engine, records, move)
    if out is not None:
        save_array(out, scores if shares is None else shares)
    possible = scores[scores != SCORE_IMPOSSIBLE]
    mean = float(possible.mean()) if len(possible) else None
    result: dict[str, Any] = {
        "records": len(scores), "fraction_bits": SCORE_FRACTION, "mean": mean, "least": int(scores.min()),
        "greatest": int(scores.max()), "greatest_record": int(scores.argmax()),
        "impossible": len(scores) - len(possible),
    } | header_entry | said_tokens(engine.circuit, raw, missing) | unseen  # fmt: skip
    shown = "no record is possible" if mean is None else f"mean {mean:.2f} of {len(possible)} possible records"
    text = f"score in 1/{1 << SCORE_FRACTION} bit: {shown}; greatest {result['greatest']}, record {scores.argmax()}"
    if result["impossible"]:
        text += f"; {result['impossible']} of {len(scores)} records are impossible"
    if shares is None:
        return result, text, 0
    # An impossible record's shares are no numbers of bits, and in no mean.
    means = shares[scores != SCORE_IMPOSSIBLE].mean(axis=0) if len(possible) else None
    blamed = np.count_nonzero(shares == SCORE_IMPOSSIBLE, axis=0)
    result |= {
        "variables": shares.shape[1], "mean_shares": None if means is None else means.tolist(),
        "impossible_by_variable": blamed.tolist(),
    }  # fmt: skip
    names = column_names(engine.circuit, data, reading, shares.shape[1])
    if names is not None:
        result["columns"] = names
    order = np.argsort(-(blamed if means is None else means), kind="stable")[:SHOWN].tolist()
    rows: list[list[object]] = [
        [v if names is None else names[v], "" if means is None else float(means[v]), int(blamed[v])] for v in order
    ]
    title = f"greatest mean shares of {shares.shape[1]} variables"
    return result, [text, table(title, ["variable", "mean share", "makes impossible"], rows)], 0


def column_names(circuit: Circuit | IntegerCircuit, data: str, reading: Reading, count: int) -> list[str] | None:
    """Give the names of the variables: of the circuit's columns, or of a table's header; None where there are none."""
    from pcedge.data import is_table, table_head
    from pcedge.data.predictor import Predictor
    from pcedge.data.symbolizer import Symbolizer

    if circuit.grid is not None:
        return list(circuit.grid.names)
    if isinstance(circuit.symbolizer, Symbolizer):
        return None  # its variables are symbols of a window
    source = circuit.symbolizer.source if isinstance(circuit.symbolizer, Predictor) else None
    if source is not None and source.places is not None:
        return [column.name or str(place) for place, column in enumerate(source.columns)]
    head = table_head(data, reading) if is_table(data, reading) else None
    names = None if head is None else head.names
    return [name.strip() for name in names] if names is not None and len(names) == count else None


@click.command(cls=Command, example="pcedge sample m.onnx --count 1000 --seed 1 --out x.npy")
@click.argument("model", type=MODEL)
@click.option("--count", required=True, type=click.IntRange(0, 1 << 40), help="How many records.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the random bytes.")
@click.option("--out", required=True, type=ARRAY, help="Write the records: .npy, .csv or .tsv; - is stdout.")
@engine_options
def sample(model: str, count: int, seed: int, out: Path, engine_name: str, threads: int) -> Result:
    """Draw records from an integer circuit: what random bytes decode to, the same by every engine.

    With a symbolizer they are data as it takes them.
    """
    from pcedge.codec.files import coded_grid, write_values
    from pcedge.data.forms import SUFFIXES
    from pcedge.evaluate.samples import sample_data
    from pcedge.native import open_engine

    engine = open_engine(read_integer(model), engine_name, threads)
    x = sample_data(engine, count, seed)
    if coded_grid(engine.circuit) is None:
        save_array(out, x)
    else:
        data, _ = write_values(engine.circuit, x, SUFFIXES.get(out.suffix.lower(), "npy"))
        with whole_file(out) as fresh:
            fresh.write_bytes(data)
    result = {"out": str(out), "records": count, "seed": seed, "shape": list(x.shape), "dtype": str(x.dtype)}
    return result, f"{out}: {x.dtype} {x.shape}", 0
