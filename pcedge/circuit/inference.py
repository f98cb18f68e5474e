"""Float reference of a circuit's queries in float64: likelihood, marginals, conditionals, samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows, dense_rows, entries
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import DataError, UsageError


class Described(Protocol):
    """Stand for a circuit, float or integer: what its variables are."""

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Give the number of symbols of every variable."""

    @property
    def grid(self) -> ValueGrid | None:
        """Give what the symbols stand for."""


#: records evaluated at a time, so that memory does not grow with the data; fewer in large circuits
BATCH = 512
#: numbers held at a time for a batch of records, 8 bytes each
BATCH_NUMBERS = 1 << 24
#: a mixture relative to a record's best unit below which its own digits are lost
VANISHING = 1e-280


@lru_cache(maxsize=64)
def _limits(cardinalities: tuple[int, ...]) -> IntArray:
    """Give cardinalities as an array, which takes longer to make than a record to code."""
    return np.array(cardinalities, dtype=np.int64)


def check_records(x: ArrayLike, cardinalities: tuple[int, ...], *, allow_missing: bool) -> IntArray:
    """Turn data into int64 records of shape (N, variables), and check them, as `checked` does."""
    return checked(x, cardinalities, allow_missing=allow_missing).astype(np.int64)


def checked(x: ArrayLike, cardinalities: tuple[int, ...], *, allow_missing: bool) -> NDArray[Any]:
    """Check data; give records of shape (N, variables), in the type that they came in.

    Args:
        x: integers or booleans of shape (N, …) with as many entries a record as there are variables.
        cardinalities: the number of symbols of every variable.
        allow_missing: take `MISSING` (-1) as a symbol that was not observed.

    Raises:
        DataError: wrong dtype or shape, NaN, or a symbol out of range; the message names record and variable.
    """
    if isinstance(x, np.ma.MaskedArray):
        raise DataError(f"data must be a plain array, got a masked one; write missing symbols as {MISSING}")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise DataError(f"data must have records of one length ({error})") from error
    variables = len(cardinalities)
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise DataError(f"data must be integers, got {array.dtype} with NaN; write missing symbols as {MISSING}")
        raise DataError(f"data must be integers, got {array.dtype}")
    if array.dtype.kind not in "iub":
        raise DataError(f"data must be integers, got {array.dtype}")
    size = int(np.prod(array.shape[1:]))
    if array.ndim < 2 or size != variables:
        raise DataError(f"data must have shape (records, …) with {variables} symbols a record, got {array.shape}")
    low = MISSING if allow_missing else 0
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and (array > np.uint64(2**63 - 1)).any():
        raise DataError(f"symbols must be below {max(cardinalities)}, got {array.max()}")
    records = array.reshape(len(array), variables)
    limits = _limits(cardinalities)
    # The ends of every variable take a fraction of what comparing every symbol does.
    if records.size and (int(records.min()) < low or (records.max(axis=0) >= limits).any()):
        wrong = (records < low) | (records >= limits)
        record, variable = (int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"record {record}, variable {variable}: a symbol must be in {low}..{cardinalities[variable] - 1}, "
            f"got {records[record, variable]}"
        )
    return records


def find_variable(circuit: Described, variable: int | str) -> int:
    """Find a variable of a circuit, float or integer, by its number, or by the name that its grid gives it.

    Raises:
        UsageError: there is none.
    """
    if circuit.grid is not None:
        return circuit.grid.variable(variable)
    count = len(circuit.cardinalities)
    if str(variable).isdecimal() and int(variable) < count:
        return int(variable)
    raise UsageError(
        f"a variable must be a number in 0..{count - 1}, got {variable!r}; names are those of a circuit with a grid"
    )


def log_likelihood(circuit: Circuit, x: ArrayLike) -> FloatArray:
    """Compute log p(x) in nats, shape (N,); symbols of value -1 are summed out.

    Raises:
        DataError: the data do not fit the circuit.

    Example:
        >>> import numpy as np
        >>> from pcedge.circuit.layers import Circuit, InputLayer
        >>> log_likelihood(Circuit((InputLayer(0, np.array([0.25])),)), [[1], [-1]]).round(4).tolist()
        [-1.3863, 0.0]
    """
    if circuit.grid is not None and np.asarray(x).dtype.kind in "fOU":
        raise DataError("data of a circuit with a grid must be symbols here: circuit.grid.symbols_of(x) gives them")
    records = check_records(x, circuit.cardinalities, allow_missing=True)
    batch = batch_size(circuit)
    batches = [inside(circuit, records[i : i + batch])[-1][:, 0] for i in range(0, len(records), batch)]
    return np.concatenate(batches) if batches else np.zeros(0)


def log_conditional(circuit: Circuit, query: ArrayLike, evidence: ArrayLike) -> FloatArray:
    """Compute log p(query | evidence) in nats, shape (N,).

    Args:
        circuit: the circuit.
        query: (N, variables), -1 where nothing is asked.
        evidence: (N, variables), -1 where nothing is known.

    Raises:
        DataError: the data do not fit, a variable is in query and evidence, or the evidence is impossible.
    """
    asked = check_records(query, circuit.cardinalities, allow_missing=True)
    known = check_records(evidence, circuit.cardinalities, allow_missing=True)
    if asked.shape != known.shape:
        raise DataError(f"query and evidence must have one shape, got {asked.shape} and {known.shape}")
    both = np.argwhere((asked != MISSING) & (known != MISSING))
    if both.size:
        raise DataError(
            f"a variable must not be in query and evidence, variable {both[0, 1]} of record {both[0, 0]} is"
        )
    given = log_likelihood(circuit, known)
    impossible = np.flatnonzero(np.isneginf(given))
    if impossible.size:
        raise DataError(f"the evidence of every record must have a positive probability, record {impossible[0]} has 0")
    return log_likelihood(circuit, np.where(asked != MISSING, asked, known)) - given


def sample(circuit: Circuit, count: int, seed: int = 0, evidence: ArrayLike | None = None) -> IntArray:
    """Draw records from p, or from p(· | evidence), as int64 of shape (count, variables).

    Args:
        circuit: the circuit.
        count: number of records.
        seed: seed of the random generator.
        evidence: one record of shape (variables,), or one for each draw, (count, variables); -1 where the value is to
            be drawn.

    Raises:
        DataError: the evidence does not fit, or is impossible.
        UsageError: `circuit` is not a float circuit, or count or seed is negative.
    """
    if not isinstance(circuit, Circuit):
        raise UsageError(
            f"sample must have a float circuit, got {type(circuit).__name__}; the job sample of an engine"
            " draws from an integer one"
        )
    if count < 0 or seed < 0:
        raise UsageError(f"count and seed must not be negative, got {count} and {seed}")
    variables = len(circuit.cardinalities)
    given = np.full(variables, MISSING) if evidence is None else np.asarray(evidence)
    generator = np.random.default_rng(seed)
    if given.ndim < 2:
        known = check_records(given[None], circuit.cardinalities, allow_missing=True)
        return _drawn(circuit, known, np.zeros(count, dtype=np.int64), generator, 0)
    known = check_records(given, circuit.cardinalities, allow_missing=True)
    if len(known) != count:
        raise DataError(f"evidence must be one record, or one for each of the {count} draws, got {len(known)}")
    batch = batch_size(circuit)
    parts = [known[first : first + batch] for first in range(0, count, batch)]
    drawn = [_drawn(circuit, part, np.arange(len(part)), generator, i * batch) for i, part in enumerate(parts)]
    return np.concatenate(drawn) if drawn else known


def _drawn(circuit: Circuit, known: IntArray, own: IntArray, generator: np.random.Generator, first: int) -> IntArray:
    """Draw a record for each entry of `own`, the evidence that it is given; `first` is the number of the first."""
    values = inside(circuit, known)
    impossible = np.flatnonzero(np.isneginf(values[-1][:, 0]))
    if impossible.size:
        where = "the evidence" if len(known) == 1 and not first else f"the evidence of record {first + impossible[0]}"
        raise DataError(f"{where} must have a positive probability, it has 0")
    drawn = known[own]

    def choose(layer: SumLayer, rows: IntArray, units: IntArray) -> IntArray:
        # Only the rows that are needed: all of a large circuit's would be a dense matrix of everything.
        count = layer.weights.shape[0]
        needed, row_index = np.unique(own[rows] * count + units, return_inverse=True)
        joint = child_joint(layer, values, needed // count, needed % count)
        # Each row by its own largest entry: one far below another unit's children would vanish otherwise.
        top = joint.max(axis=1, keepdims=True, initial=-np.inf)
        scaled = np.exp(joint - np.where(np.isneginf(top), 0.0, top))
        return _draw(scaled[row_index], generator)

    def end(index: int, rows: IntArray, units: IntArray) -> None:
        layer = circuit.layers[index]
        assert isinstance(layer, InputLayer)
        there = known[own[rows], layer.variable] == MISSING
        drawn[rows[there], layer.variable] = _draw(layer.table[units[there]], generator)

    leaves = {index for index, layer in enumerate(circuit.layers) if isinstance(layer, InputLayer)}
    descend(circuit, len(own), leaves, choose, end)
    return drawn


def child_joint(layer: SumLayer, values: list[FloatArray], records: IntArray, units: IntArray) -> FloatArray:
    """Give, for pairs of a record and a unit of a sum, its children's log values with their weights, (pairs, children).

    Args:
        layer: the sum layer.
        values: every layer's log values, (N, units).
        records: numbers of records, (pairs,).
        units: units of the layer, (pairs,).
    """
    needed, place = np.unique(units, return_inverse=True)
    child_logs = np.concatenate([values[child][records] for child in layer.children], axis=1)
    with np.errstate(divide="ignore"):
        joint: FloatArray = np.log(dense_rows(layer.weights, needed))[place] + child_logs
    return joint


def descend(
    circuit: Circuit,
    count: int,
    ends: Collection[int],
    choose: Callable[[SumLayer, IntArray, IntArray], IntArray],
    end: Callable[[int, IntArray, IntArray], None],
) -> None:
    """Walk down from the root, for `count` records at once: products take all children, sums one.

    Args:
        circuit: the circuit.
        count: number of records.
        ends: the layers where the walk ends.
        choose: told a sum layer, records and the unit of each; gives the place of the child that each takes.
        end: told the number of a layer of `ends`, records and the unit of each.
    """
    chosen = [np.full(count, -1, dtype=np.int64) for _ in circuit.layers]
    chosen[-1][:] = 0
    for index in range(len(circuit.layers) - 1, -1, -1):
        layer = circuit.layers[index]
        rows = np.flatnonzero(chosen[index] >= 0)
        units = chosen[index][rows]
        if index in ends:
            end(index, rows, units)
        elif isinstance(layer, ProductLayer):
            for column, child in enumerate(layer.children):
                chosen[child][rows] = layer.gather[units, column]
        elif isinstance(layer, SumLayer):
            picked = choose(layer, rows, units)
            start = 0
            for child in layer.children:
                size = circuit.shapes[child].units
                here = (picked >= start) & (picked < start + size)
                chosen[child][rows[here]] = picked[here] - start
                start += size


def _draw(rows: FloatArray, generator: np.random.Generator) -> IntArray:
    """Draw a column of every row, each with probability proportional to its entry."""
    cumulative = np.cumsum(rows, axis=1)
    thresholds = generator.random(len(rows)) * cumulative[:, -1]
    picked = (cumulative <= thresholds[:, None]).sum(axis=1)
    return np.asarray(np.minimum(picked, rows.shape[1] - 1), dtype=np.int64)


def batch_size(circuit: Circuit) -> int:
    """Choose how many records to evaluate at a time: all layers' values are held, and a few copies of one's entries."""
    sums = [layer.weights for layer in circuit.layers if isinstance(layer, SumLayer)]
    widest = max((entries(w).shape[-1] for w in sums), default=0)
    numbers = sum(shape.units for shape in circuit.shapes) + 4 * widest
    return max(1, min(BATCH, BATCH_NUMBERS // numbers))


def inside(
    circuit: Circuit,
    records: IntArray,
    ends: Mapping[int, FloatArray] | None = None,
    mix: Callable[[SumLayer, FloatArray], FloatArray] | None = None,
) -> list[FloatArray]:
    """Compute every layer's log values, each (N, units), for checked records.

    Args:
        circuit: the circuit.
        records: (N, variables).
        ends: log tables of layers over one variable, (units, symbols + 1), the last column for a missing symbol; None
            takes those of the input layers, which sum it out.
        mix: what a sum makes of its children's log values (N, children); None adds them up.
    """
    values: list[FloatArray] = []
    for index in range(len(circuit.layers)):
        values.append(layer_logs(circuit, index, values, records, ends or {}, mix or log_sum))
    return values


def layer_logs(
    circuit: Circuit, index: int, values: Sequence[FloatArray] | Mapping[int, FloatArray], records: IntArray,
    ends: Mapping[int, FloatArray], mix: Callable[[SumLayer, FloatArray], FloatArray],
) -> FloatArray:  # fmt: skip
    """Compute the log values of one layer, (N, units), of those of its children; the rest is as in `inside`."""
    layer = circuit.layers[index]
    with np.errstate(divide="ignore"):
        if index in ends:
            variable = circuit.scopes[index].bit_length() - 1
            return ends[index][:, records[:, variable]].T
        if isinstance(layer, InputLayer):
            table = np.log(np.concatenate([layer.table, np.ones((len(layer.table), 1))], axis=1))
            logs: FloatArray = table[:, records[:, layer.variable]].T  # -1 picks the last column, log 1: summed out
            return logs
        if isinstance(layer, ProductLayer):
            factors = [values[child][:, layer.gather[:, column]] for column, child in enumerate(layer.children)]
            total: FloatArray = np.sum(factors, axis=0)
            return total
        return mix(layer, np.concatenate([values[child] for child in layer.children], axis=1))


def log_sum(layer: SumLayer, child_logs: FloatArray) -> FloatArray:
    """Mix the log values of the children of a sum layer, (N, children), by its weights: (N, units)."""
    weights = layer.weights
    if isinstance(weights, SparseRows):
        # A maximum a row: of the rows of a deterministic circuit all but a few are far below a record's best, or zero.
        joint = np.take(child_logs, weights.indices, axis=1)
        joint += np.log(weights.values)
        starts, lengths = weights.indptr[:-1], np.diff(weights.indptr)
        best = np.maximum.reduceat(joint, starts, axis=1)
        best[np.isneginf(best)] = 0.0
        joint -= np.repeat(best, lengths, axis=1)
        np.exp(joint, out=joint)
        total: FloatArray = np.log(np.add.reduceat(joint, starts, axis=1)) + best
        return total
    top = child_logs.max(axis=1, keepdims=True)
    top[np.isneginf(top)] = 0.0
    mixed = np.exp(child_logs - top) @ weights.T
    logs: FloatArray = np.log(mixed) + top
    # A unit whose own children are all far below the record's best vanishes above: it gets a maximum of its own.
    vanished = mixed < VANISHING
    for unit in np.flatnonzero(vanished.any(axis=0)):
        records = vanished[:, unit]
        joint = np.log(weights[unit]) + child_logs[records]
        best = joint.max(axis=1, keepdims=True)
        best[np.isneginf(best)] = 0.0
        logs[records, unit] = np.log(np.exp(joint - best).sum(axis=1)) + best[:, 0]
    return logs
