"""Evaluation beyond the average: where, for whom and in which queries an integer circuit is worse than the float one.

Every figure is defined in docs/evaluate.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit
from pcedge.codec.container import parse
from pcedge.codec.predicted import default_lanes
from pcedge.codec.stream import encode
from pcedge.data.maps import DataMap
from pcedge.data.predictor import Predictor
from pcedge.data.specification import specification
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.evaluate.numbers import row_bits
from pcedge.evaluate.queries import QueryErrors, query_errors
from pcedge.evaluate.roc import auroc
from pcedge.evaluate.statistics import RecordBits, record_bits

#: the quantiles of a distribution by their names; min and max are the ends
QUANTILES = {
    "min": 0.0, "1": 0.01, "5": 0.05, "25": 0.25, "50": 0.5, "75": 0.75, "95": 0.95, "99": 0.99, "99.9": 0.999,
    "max": 1.0,
}  # fmt: skip

#: a record whose loss is more than this share of its float bits is counted
NOTABLE_LOSS = 0.01

#: told (what is being done, how much of it, of how much)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Distribution:
    """Hold how some numbers are spread; all None where there are none."""

    #: numbers that were measured
    count: int
    mean: float | None
    standard_deviation: float | None
    #: by the names of `QUANTILES`, interpolated linearly between neighbours
    quantiles: dict[str, float | None]

    @staticmethod
    def of(values: FloatArray) -> Distribution:
        """Describe finite numbers of shape (N,); the deviation is that of the numbers themselves (divisor N)."""
        if not len(values):
            return Distribution(0, None, None, dict.fromkeys(QUANTILES))
        figures = np.quantile(values, list(QUANTILES.values()))
        quantiles: dict[str, float | None] = dict(zip(QUANTILES, figures.tolist(), strict=True))
        return Distribution(len(values), float(values.mean()), float(values.std()), quantiles)

    def as_dict(self) -> dict[str, object]:
        """Give plain data."""
        return {
            "records": self.count, "mean": self.mean, "standard_deviation": self.standard_deviation,
            "quantiles": dict(self.quantiles),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Hold what `evaluate` measured."""

    #: bits of every record of the data
    bits: RecordBits
    #: rows of the data that the records were made of
    rows: int
    #: variables of a record
    variables: int
    #: bytes of the stream of all records, and of its lanes alone
    file_bytes: int
    payload_bytes: int
    #: S of that stream: at most the number of records
    lanes: int
    #: a label a record, (N,), if labels were given
    labels: IntArray | None
    #: bits of every out-of-distribution record, if there were any
    ood: RecordBits | None
    #: errors of random queries, if any were asked for, and their seed
    queries: QueryErrors | None
    seed: int

    @property
    def records(self) -> int:
        """Give the number of records."""
        return len(self.bits.float_bits)

    @property
    def loss(self) -> Distribution:
        """Describe the loss in bits over the records that the float circuit calls possible."""
        return Distribution.of(_finite(self.bits.loss))

    @property
    def likelihood_loss(self) -> Distribution:
        """Describe integer likelihood bits less float bits over the records that both call possible."""
        both = np.isfinite(self.bits.float_bits) & np.isfinite(self.bits.likelihood_bits)
        return Distribution.of(self.bits.likelihood_bits[both] - self.bits.float_bits[both])

    def worst(self, chosen: NDArray[np.bool_] | None = None) -> dict[str, object] | None:
        """Describe the record of the largest loss, the first of equals, among some records; None if there is none."""
        loss = self.bits.loss if chosen is None else np.where(chosen, self.bits.loss, -np.inf)
        record = int(loss.argmax())
        if np.isneginf(loss[record]):
            return None
        entry: dict[str, object] = {
            "record": record,
            "float_bits": float(self.bits.float_bits[record]),
            "likelihood_bits": _number(self.bits.likelihood_bits[record]),
            "interval_bits": float(self.bits.interval_bits[record]),
            "loss": float(loss[record]),
        }
        if self.labels is not None:
            entry["label"] = int(self.labels[record])
        return entry

    def classes(self) -> list[dict[str, object]]:
        """Describe every class, in the order of the labels; none without labels."""
        if self.labels is None:
            return []
        entries: list[dict[str, object]] = []
        for label in np.unique(self.labels):
            chosen = self.labels == label
            loss = Distribution.of(_finite(self.bits.loss[chosen]))
            worst = self.worst(chosen)
            entries.append(
                {
                    "label": int(label),
                    "records": int(chosen.sum()),
                    "float_bits": _mean(self.bits.float_bits[chosen]),
                    "loss": loss.as_dict(),
                    "worst_record": worst["record"] if worst else None,
                    "impossible": _infinite(self.bits.likelihood_bits[chosen]),
                }
            )
        return entries

    def auroc(self) -> dict[str, float]:
        """Give how well the data are told from the out-of-distribution records by each circuit's code length."""
        if self.ood is None:
            return {}
        return {name: auroc(-mine, -other) for name, mine, other in scores(self.bits, self.ood)}

    def as_dict(self) -> dict[str, Any]:
        """Give every figure as plain data; a number that does not exist or is infinite is None."""
        bits = self.bits
        per_record = {
            "float": _mean(bits.float_bits), "likelihood": _mean(bits.likelihood_bits),
            "intervals": _mean(bits.interval_bits), "file": 8 * self.file_bytes / self.records,
        }  # fmt: skip
        possible = np.isfinite(bits.float_bits)
        notable = bits.loss[possible] > NOTABLE_LOSS * bits.float_bits[possible]
        loss = self.loss
        result: dict[str, Any] = {
            "records": self.records,
            "variables": self.variables,
            "bits_per_record": per_record,
            "bits_per_variable": {
                name: None if value is None else value / self.variables for name, value in per_record.items()
            },
            "file": {"bytes": self.file_bytes, "payload_bytes": self.payload_bytes, "lanes": self.lanes},
            "loss": loss.as_dict(),
            "loss_per_variable": None if loss.mean is None else loss.mean / self.variables,
            "likelihood_loss": self.likelihood_loss.as_dict(),
            "worst": self.worst(),
            "above_1_percent": int(notable.sum()),
            "impossible": _infinite(bits.likelihood_bits),
            "float_impossible": _infinite(bits.float_bits),
            "floor_symbols": int(bits.floor_symbols.sum()),
        }
        if self.labels is not None:
            result["classes"] = self.classes()
        if self.queries is not None:
            result["queries"] = {
                "seed": self.seed,
                "marginal": _errors(self.queries.marginal, self.queries.marginal_impossible),
                "conditional": _errors(self.queries.conditional, self.queries.conditional_impossible),
            }
        if self.ood is not None:
            result["ood"] = {
                "records": len(self.ood.float_bits),
                "bits_per_record": {name: _mean(other) for name, _, other in scores(self.bits, self.ood)},
                "impossible": _infinite(self.ood.likelihood_bits),
                "float_impossible": _infinite(self.ood.float_bits),
                "auroc": self.auroc(),
            }
        return result


def evaluate(
    circuit: Circuit,
    engine: ReferenceEngine,
    data: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    ood: ArrayLike | None = None,
    records: int | None = None,
    queries: int = 1000,
    seed: int = 0,
    lanes: int = 100,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure an integer circuit against the float circuit that it came from, record by record.

    Args:
        circuit: the float circuit.
        engine: the engine of the integer circuit.
        data: integers of shape (N, …), none missing; with a symbolizer, the data that it takes.
        labels: an integer a record, (N,), if the loss of each class is wanted.
        ood: out-of-distribution data, by the rules of `data`, if it is wanted how well these are told apart.
        records: take the first records only, of `data` and of `ood`; of data that a symbolizer cuts into windows the
            whole blocks of rows that hold no more records, but at least one block.
        queries: random queries of each kind, marginal and conditional; 0 asks none.
        seed: of the queries.
        lanes: S of the stream whose bytes are counted.
        progress: told what is being done.

    Raises:
        DataError: data or labels do not fit, or there are no records.
        UsageError: the circuits do not belong together, a number is out of range, or labels are given for data whose
            rows are not records.
    """
    check_pair(circuit, engine)
    for name, value, least in (
        ("records", records, 1),
        ("queries", queries, 0),
        ("seed", seed, 0),
        ("lanes", lanes, 1),
    ):
        if value is not None and (type(value) is not int or value < least):
            raise UsageError(f"{name} must be an integer of at least {least}, got {value!r}")
    symbolizer = circuit.symbolizer
    rows = np.asarray(data)
    named = None if labels is None else _checked_labels(labels, rows, symbolizer)
    say = progress or (lambda *_: None)
    errors = None
    if isinstance(symbolizer, Predictor):
        # A row is a record, each of its numbers given those before it: there are no queries of some of its variables.
        rows, *others = (_rows(symbolizer, part, records) for part in (data, *([] if ood is None else [ood])))
        bits, *apart = (row_bits(circuit, engine.circuit, part) for part in (rows, *others))
        variables = symbolizer.columns
        lanes = min(lanes, default_lanes(len(rows) * variables))
    else:
        rows, symbols = _symbols(engine, rows, symbolizer, records, "data")
        strange = []
        if ood is not None:
            strange = [_symbols(engine, np.asarray(ood), symbolizer, records, "out-of-distribution data")[1]]
        bits = record_bits(circuit, engine, symbols, _stage(say, "data"))
        apart = [record_bits(circuit, engine, part, _stage(say, "out-of-distribution data")) for part in strange]
        if queries:
            errors = query_errors(circuit, engine, symbols, queries, seed, _stage(say, "queries"))
        variables = symbols.shape[1]
    packed = encode(engine, rows, lanes, _stage(say, "file"), stored=False)
    stream = parse(packed)
    used = max(len(segment.lanes) for segment in stream.segments)
    return Evaluation(
        bits, len(rows), variables, len(packed), stream.payload_bytes, used,
        None if named is None else named[: len(bits.float_bits)], apart[0] if apart else None, errors, seed,
    )  # fmt: skip


def check_pair(circuit: Circuit, engine: ReferenceEngine) -> None:
    """Refuse circuits that are not over the same data.

    Raises:
        UsageError: cardinalities, grids or symbolizers differ.
    """
    mine, other = circuit.cardinalities, engine.circuit.cardinalities
    if len(mine) != len(other):
        raise UsageError(
            f"the two circuits must be over the same variables, the float one has {len(mine)}, the integer one "
            f"{len(other)}"
        )
    if mine != other:
        first = next(v for v, sizes in enumerate(zip(mine, other, strict=True)) if sizes[0] != sizes[1])
        raise UsageError(
            f"the two circuits must be over the same symbols, variable {first} has {mine[first]} in the float one, "
            f"{other[first]} in the integer one"
        )
    if circuit.grid != engine.circuit.grid:
        raise UsageError("the two circuits must have the same grid, their variables or symbols stand for other values")
    if circuit.symbolizer != engine.circuit.symbolizer:
        raise UsageError(
            f"the two circuits must have the same symbolizer, the float one has {_describe(circuit.symbolizer)}, "
            f"the integer one {_describe(engine.circuit.symbolizer)}"
        )


def scores(bits: RecordBits, ood: RecordBits) -> list[tuple[str, FloatArray, FloatArray]]:
    """Give the bits of the data and of the out-of-distribution records by each measure's name; fewer are likelier."""
    return [
        ("float", bits.float_bits, ood.float_bits),
        ("likelihood", bits.likelihood_bits, ood.likelihood_bits),
        ("intervals", bits.interval_bits, ood.interval_bits),
    ]


def _symbols(
    engine: ReferenceEngine, rows: NDArray[Any], symbolizer: Symbolizer | None, limit: int | None, what: str
) -> tuple[NDArray[Any], IntArray]:
    """Cut data to the wanted records; give the rows and their records of symbols."""
    try:
        if symbolizer is None:
            rows = rows[:limit] if rows.ndim else rows
            symbols = engine.check(rows, allow_missing=False)
        else:
            rows = symbolizer.check(rows)
            if limit is not None and symbolizer.records(len(rows)) > limit:
                block = symbolizer.segment_rows
                rows = rows[: block * max(1, limit // max(1, symbolizer.records(block)))]
            symbols = symbolizer.apply(rows).astype(np.int64)
    except DataError as error:
        raise DataError(f"{what}: {error}") from error
    if not len(symbols):
        raise DataError(f"{what}: there must be at least one record, got none")
    return rows, symbols


def _rows(predictor: Predictor, x: ArrayLike, limit: int | None) -> NDArray[Any]:
    """Take the first rows of data with a predictor stage."""
    rows = predictor.check(x)[:limit]
    if not len(rows):
        raise DataError("there must be at least one row, got none")
    return rows


def _checked_labels(labels: ArrayLike, rows: NDArray[Any], symbolizer: DataMap | None) -> IntArray:
    named = np.asarray(labels)
    if named.dtype.kind not in "iub":
        raise DataError(f"labels must be integers, got {named.dtype}")
    if named.ndim != 1:
        raise DataError(f"labels must have shape (records,), got {named.shape}")
    count = len(rows) if rows.ndim else 0
    if isinstance(symbolizer, Symbolizer) and symbolizer.records(count) != count:
        raise UsageError(
            f"labels must be for data whose rows are records, the circuit's symbolizer makes "
            f"{symbolizer.records(count)} records of {count} rows"
        )
    if len(named) != count:
        raise DataError(f"there must be a label for each of the {count} records, got {len(named)} labels")
    return named


def _describe(symbolizer: DataMap | None) -> str:
    if symbolizer is None:
        return "none"
    if isinstance(symbolizer, Predictor):
        return f"a predictor stage for {symbolizer.dtype} rows of shape {symbolizer.shape}"
    return f"{specification(symbolizer)} for {symbolizer.dtype} rows of shape {symbolizer.shape}"


def _stage(say: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: say(what, done, total)


def _errors(errors: FloatArray, impossible: dict[str, int]) -> dict[str, object]:
    described = Distribution.of(errors)
    return {
        "queries": len(errors) + impossible["undefined"],
        "mean_error": described.mean,
        "p99.9_error": described.quantiles["99.9"],
        "max_error": described.quantiles["max"],
        **impossible,
    }


def _finite(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]


def _infinite(values: FloatArray) -> int:
    return int(np.isinf(values).sum())


def _mean(values: FloatArray) -> float | None:
    finite = _finite(values)
    return float(finite.mean()) if len(finite) else None


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
