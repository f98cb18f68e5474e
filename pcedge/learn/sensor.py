"""Circuits with a predictor stage, chosen by description length: bits of the data and bits of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray, unmasked
from pcedge.circuit import Circuit
from pcedge.data import Splits
from pcedge.data.columns import Columns
from pcedge.data.prediction import centred, forward
from pcedge.data.predictor import CELLS, Adaptation, Group, Predictor
from pcedge.data.symbolizer import value_range
from pcedge.learn.classes import BLURS, ITERATIONS, Mixture, fit_mixture, to_circuit
from pcedge.learn.config import Point, Watch
from pcedge.learn.contexts import Growth, grow
from pcedge.learn.finished import Finished, Step, mark_of
from pcedge.learn.neighbourhood import features, pool
from pcedge.learn.peaks import log_tokens, peaks
from pcedge.learn.regression import choose
from pcedge.learn.staging import (
    Counted,
    class_bits,
    cut_lanes,
    described,
    drawn,
    escapes_of,
    file_bytes,
    held,
    merged_classes,
    ordered,
    with_neighbours,
    with_tree,
)

#: numbers that the search looks at, that a candidate is judged by, and that a tree is grown on
SEEN, JUDGED, GROWN = 1 << 22, 1 << 17, 400_000

#: neighbours at most, and columns with coefficients of their own
NEIGHBOURS, GROUPS = 32, 512

#: times that the neighbours of the best candidate that has some are chosen again
AGAIN = 2

#: states of the mixture that are tried, and splits of the tree
STATES = (2, 4, 8, 12, 16, 24, 32, 48)
SPLITS = 1500
SHARES = (1, 0.6, 0.35, 0.2, 0.1, 0.04)

#: bytes that a class adds to a file, about
CLASS_BYTES = 40

#: bits of a file that a listed residual adds, about: in every state, and its own
LISTED_BITS = 300

#: M-steps of a mixture that is only judged
SHORT = 60

#: other stages are tried to the end where they cost less than so much of the best
CLOSE = 1.01

#: stages at most that are tried to the end
FINALISTS = 4

#: raw bytes that a circuit is assumed to code where nobody says for how many records it is
ASSUMED_BYTES = 1 << 26

#: bytes of a circuit at most where nobody says
SIZE_BYTES = 64_000

#: told what was tried and what it costs
Told = Callable[[str], None]

#: called after a candidate with (candidate, candidates, bits a number of train, or nan, those held out, or nan)
Moved = Callable[[int, int, float, float], None]


@dataclass(frozen=True)
class Report:
    """Hold what the search found: bits a number of the held-out part, and what they cost."""

    valid_bits: float
    #: bytes of the circuit's file, as the search estimates them
    circuit_bytes: int
    classes: int
    states: int
    neighbours: int
    groups: int
    adaptive: bool


def fit_sensor(
    data: Splits,
    records: int | None = None,
    size_bytes: int | None = None,
    seed: int = 0,
    told: Told = lambda _: None,
    source: Columns | None = None,
    *,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
    progress: Moved | None = None,
) -> tuple[Circuit, Report]:
    """Choose a predictor stage and fit its circuit: the least bits of data and model together.

    Args:
        data: the splits; without a validation split the last tenth of train's rows judges.
        records: rows that the circuit will code; the size of the model follows from it.
        size_bytes: bytes of the circuit's file at most, where some stage has room; None is 64 kB, and more where the
            coefficients of the best stage alone take that.
        seed: seed of samples and starts.
        told: told what was tried.
        source: the columns of the data, where they are not plain integers.
        checkpoint: a file that finished candidates are kept in; a search that is stopped goes on from it to the same
            result.
        watch: takes the curve, the bits a number of every candidate: of a sample of train, and of the held-out part
            for those that are tried to the end. A search is stopped by any exception, at any time.
        progress: called after every candidate.

    Raises:
        FormatError, UsageError: the checkpoint is damaged, or of another search.

    Returns:
        The circuit, and what was found.
    """
    train, valid = data.train, data.valid
    if valid is None or not len(valid):
        train, valid = _held_out(train)
    watch = watch or Watch()
    given = [records, size_bytes, seed, None if source is None else source.as_dict()]
    mark = "" if checkpoint is None else mark_of([train, valid], given)
    kept = Finished.read(checkpoint, mark, watch.aside)
    if source is not None:
        source = ordered(source, train)
    search = _Search(train, valid, records, size_bytes, seed, told, source)
    return search.run(kept, watch.curve, progress or (lambda *_: None))


def _held_out(train: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    rows = max(1, len(train) // 10)
    return (train, train) if len(train) < 2 else (train[:-rows], train[-rows:])


def _step(cost: float, predictor: Predictor) -> Step:
    return cost, predictor, {"bits": cost}


class _Search:
    """Hold the data of a search, and what it has decided so far."""

    def __init__(
        self,
        train: NDArray[Any],
        valid: NDArray[Any],
        records: int | None,
        size_bytes: int | None,
        seed: int,
        told: Told,
        source: Columns | None,
    ) -> None:
        raw_bytes = max(1, train[0].nbytes)
        self.source = source
        self.train, self.valid = (part if source is None else source.apply(part) for part in (train, valid))
        self.size_bytes, self.bound, self.told = size_bytes or SIZE_BYTES, size_bytes is not None, told
        self.generator = np.random.default_rng([seed, 3])
        self.seed = seed
        self.dtype = train.dtype.name if source is None else CELLS
        self.shape = self.train.shape[1:]
        self.columns = math.prod(self.shape)
        self.ranges = [value_range(self.dtype)] * self.columns if source is None else list(source.ranges)
        if records is None:
            records = max(4 * len(train), ASSUMED_BYTES // raw_bytes)
        self.cells = records * self.columns

    def run(self, kept: Finished, curve: list[Point], progress: Moved) -> tuple[Circuit, Report]:
        """Choose the stage, then its classes and the states of the mixture."""
        # What a table of tokens knows of single numbers, a prediction can only blur: none is a candidate too.
        first = [(name, of, most) for name, of in self._groupings() for most in (NEIGHBOURS, 0)]
        total = len(first) + AGAIN + 1 + FINALISTS

        def step(name: str, make: Callable[[], Step]) -> Step:
            cost, made, numbers = kept.step(name, make, self.generator)
            curve.append((len(curve) + 1, numbers.get("bits", math.nan), numbers.get("valid_bits", math.nan)))
            progress(len(curve), total, *curve[-1][1:])
            return cost, made, numbers

        found = [step(f"{name}, {most}", partial(self._candidate, name, of, most))[:2] for name, of, most in first]
        close = CLOSE * min(cost for cost, _ in found)
        near = [number for number, (cost, stage) in enumerate(found) if stage.neighbours and cost <= close]
        if near:
            number = min(near, key=lambda number: found[number][0])
            found[number] = self._again(step, *first[number][:2], *found[number])
        else:
            total -= AGAIN
        tried = sorted(found, key=lambda entry: entry[0])
        cost, predictor, _ = step("adaptive", lambda: _step(*self._adapted(*tried[0])))
        finalists = [predictor, *(one for other, one in tried[1:FINALISTS] if other < CLOSE * cost)]
        total += len(finalists) - FINALISTS
        sized = [step(f"finalist {n}", partial(self._finalist, one)) for n, one in enumerate(finalists)]
        # A size that was asked for comes before the bits.
        fits = [entry for entry in sized if entry[2]["circuit_bytes"] <= self.size_bytes] if self.bound else []
        _, circuit, numbers = min(fits or sized, key=lambda entry: entry[0])
        return circuit, Report(**numbers)

    def _again(
        self,
        step: Callable[[str, Callable[[], Step]], Step],
        name: str,
        of: tuple[int, ...],
        cost: float,
        best: Predictor,
    ) -> tuple[float, Predictor]:
        """Choose the neighbours of a grouping again, from other draws; give the best with its cost."""
        # Neighbours that save much together, and little alone, are missed one by one: those of the same row are put in
        # first. Then the better way once more, as a draw can be unlucky too.
        row_first = True
        for again in range(1, AGAIN + 1):
            way = f"{name}, again {again}"
            other, stage, _ = step(way, partial(self._candidate, way, of, NEIGHBOURS, row_first))
            row_first = row_first and other < cost
            if other < cost:
                cost, best = other, stage
        return cost, best

    def _candidate(self, name: str, group_of: tuple[int, ...], most: int, row_first: bool = False) -> Step:
        predictor = self._regressed(group_of, most, row_first)
        bits = self._judged(predictor)
        self.told(f"{name}, {len(predictor.neighbours)} neighbours: {bits:z.4f} bits")
        parameters = sum(len(group.coefficients) + 2 for group in predictor.groups)
        return bits + 30 * parameters / self.cells, predictor, {"bits": bits}

    def _finalist(self, predictor: Predictor) -> Step:
        cost, circuit, report = self._sized(self._grown(predictor))
        return cost, circuit, asdict(report)

    def _groupings(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Give the ways in which columns may share their prediction: those of one group have one range."""
        if self.source is not None and self.source.places is not None and 1 < self.columns <= GROUPS:
            # Fields are different things.
            yield "columns apart", tuple(range(self.columns))
            return
        alike = self._numbered((0,) * self.columns)
        yield "columns alike" if max(alike) == 0 else "columns of a range alike", alike
        last = self.shape[-1]
        rows = len(self.train)
        if 1 < last <= GROUPS and len(self.shape) > 1 and rows * self.columns // last >= 64:
            yield "the last axis apart", self._numbered(np.tile(np.arange(last), self.columns // last).tolist())
        if 1 < self.columns <= GROUPS and rows >= 64:
            yield "columns apart", tuple(range(self.columns))

    def _numbered(self, wanted: Sequence[int]) -> tuple[int, ...]:
        """Number groups in the order in which they come, those of several ranges apart."""
        numbers: dict[tuple[int, tuple[int, int]], int] = {}
        return tuple(numbers.setdefault(key, len(numbers)) for key in zip(wanted, self.ranges, strict=True))

    def _empty(self, group_of: tuple[int, ...]) -> Predictor:
        """Make the stage that predicts nothing, but the middle of every group."""
        flat = self.train.reshape(len(self.train), -1)
        some = flat[:: max(1, len(flat) // 20_000)]
        of = np.array(group_of)
        groups = []
        for number in range(max(group_of) + 1):
            low, high = self.ranges[group_of.index(number)]
            part, gone = unmasked(some[:, of == number])
            there = part.ravel() if gone is None or gone.all() else part[~gone]
            groups.append(Group(low, high, int(np.quantile(there, 0.5, method="lower")), ()))
        return Predictor(
            self.dtype, self.shape, tuple(groups), group_of, (), None, (), (), ((0, 0),), 128,
            escapes=escapes_of(groups, 128), source=self.source,
        )  # fmt: skip

    def _regressed(self, group_of: tuple[int, ...], most: int, row_first: bool) -> Predictor:
        empty = self._empty(group_of)
        if not most:
            return empty
        numbers = self._lanes(empty, held(self.train), SEEN // 4)
        offsets = pool(numbers.shape[1], self.shape)
        samples = drawn(empty, numbers, offsets, len(self.train), self.generator)
        price = 20 * len(self.train) * self.columns / self.cells + 30
        same_row = [index for index, offset in enumerate(offsets) if not offset[0]][: most // 2 if row_first else 0]
        chosen = choose(samples, min(most, len(offsets)), price, same_row)
        stage = with_neighbours(empty, samples, [offsets[index] for index in chosen], chosen)
        numbers = cut_lanes(centred(empty, self.train), SEEN // 4, self.columns)
        residuals = forward(replace(stage, features=(), tree=(), classes=((0, 0),)), numbers)[1]
        share = np.ma.count(residuals) / self.cells
        return replace(stage, listed=peaks(residuals, LISTED_BITS * share))

    def _lanes(self, predictor: Predictor, rows: NDArray[Any], most: int) -> IntArray:
        """Cut lanes out of rows, and take the origins off their numbers alone: the rest may be large."""
        cut = cut_lanes(rows.reshape(len(rows), -1), most, self.columns)
        return centred(predictor, cut.reshape(-1, self.columns)).reshape(cut.shape)

    def _judged(self, predictor: Predictor) -> float:
        """Estimate the bits a number under a small tree of classes."""
        numbers = self._lanes(predictor, self.train, JUDGED)
        with_features = replace(predictor, features=tuple(features(numbers.shape[1], self.shape)))
        table, residuals = described(with_features, numbers)
        tokens, extra = log_tokens(residuals, predictor.listed)
        growth = grow(table, tokens, 0.0, 40)
        return (class_bits(growth.root, tokens) + float(extra.sum())) / max(1, len(tokens))

    def _adapted(self, cost: float, predictor: Predictor) -> tuple[float, Predictor]:
        """Try the sign-LMS stage along the axis along which most neighbours lie."""
        if all(group.wide for group in predictor.groups) or not predictor.neighbours:
            return cost, predictor
        axes = 1 + len(self.shape)
        alone = [[o[a] for o in predictor.neighbours if sum(map(bool, o)) == 1 and o[a]] for a in range(axes)]
        axis = max(range(axes), key=lambda a: len(alone[a]))
        sizes = (len(self.train), *self.shape)
        best = cost, predictor
        tried: list[tuple[int, int]] = [(16, 7), (16, 9), (8, 6), (32, 8)]
        # Adaptation at all has to be worth its steps; among adaptive stages the least bits win, however close.
        limit = 0.998 * cost
        for many, rate in tried:
            reach = min(many, sizes[axis] - 1)
            if reach < 2:
                continue
            along = tuple(tuple(step if a == axis else 0 for a in range(axes)) for step in range(1, reach + 1))
            candidate = replace(predictor, adaptation=Adaptation(along, rate))
            bits = self._judged(candidate)
            self.told(f"adaptive, {reach} neighbours, rate 2^-{rate}: {bits:z.4f} bits")
            if bits < limit:
                best, limit = (bits, candidate), bits
            elif bits > 1.02 * best[0]:
                break
        return best

    def _grown(self, predictor: Predictor) -> tuple[Predictor, Growth]:
        """Grow the tree of classes as far as it pays."""
        numbers = self._lanes(predictor, self.train, GROWN)
        stage = replace(predictor, features=tuple(features(numbers.shape[1], self.shape)))
        table, residuals = described(stage, numbers)
        tokens, _ = log_tokens(residuals, predictor.listed)
        cells = len(self.train) * self.columns
        price = 8 * CLASS_BYTES * cells / self.cells
        return stage, grow(table, tokens, price, SPLITS, scale=max(1.0, cells / len(tokens)))

    def _sized(self, grown: tuple[Predictor, Growth]) -> tuple[float, Circuit, Report]:
        """Choose how many classes and states: the least bits of data and model."""
        stage, growth = grown
        self.told(f"tree of {growth.splits} splits")
        whole = with_tree(stage, growth.cut(growth.splits))
        parts = []
        for rows, most in ((self.train, SEEN), (self.valid, SEEN // 2)):
            parts.append(forward(whole, self._lanes(stage, rows, most)))
        sizes = sorted({int(growth.splits * share) for share in SHARES} | {0}, reverse=True)
        cuts = [
            Counted.of(with_tree(stage, growth.cut(splits)), merged_classes(growth, splits), parts) for splits in sizes
        ]
        middle = cuts[min(2, len(cuts) - 1)]
        apart = len(whole.listed) + (whole.missing_token is not None)

        def fitted(counts: FloatArray, states: int, share: float, rounds: int = SHORT) -> Mixture:
            return fit_mixture(counts, states, share, self.seed, rounds, apart)

        blur = min(BLURS, key=lambda share: middle.bits(fitted(middle.train, 8, share)))
        # Where coefficients alone take more than the limit, there is none.
        least = min(file_bytes(cut.stage, STATES[0]) for cut in cuts)
        limit = self.size_bytes if least <= self.size_bytes else math.inf
        best: tuple[float, Counted, int] | None = None
        for cut in cuts:
            below = math.inf
            for states in STATES:
                size = file_bytes(cut.stage, states)
                if states > 2 * len(cut.stage.classes) or size > limit:
                    continue
                bits = cut.bits(fitted(cut.train, states, blur))
                cost = bits * self.cells + 8 * size
                self.told(f"{len(cut.stage.classes)} classes, {states} states: {bits:z.4f} bits, {size} bytes")
                if best is None or cost < best[0]:
                    best = cost, cut, states
                if cost > below:
                    break
                below = cost
        assert best is not None
        cost, cut, states = best
        size = file_bytes(cut.stage, states)
        report = Report(
            (cost - 8 * size) / self.cells, size, len(cut.stage.classes), states, len(stage.neighbours),
            len(stage.groups), stage.adaptation is not None,
        )  # fmt: skip
        mixture = fitted(cut.train + cut.valid, states, blur, ITERATIONS)
        return cost, to_circuit(mixture, cut.stage), report
