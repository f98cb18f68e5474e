"""Circuits with a predictor stage: chosen from data, worth their size, and nothing that fits one data set."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pcedge.circuit import load_circuit, log_likelihood, save_circuit
from pcedge.circuit.file import circuit_bytes
from pcedge.cli.rivals import packed_file_bytes
from pcedge.cli.sensing import break_even, columns_for
from pcedge.codec.stream import decode, encode
from pcedge.data import Splits
from pcedge.data.maps import symbols_of
from pcedge.data.predictor import Group, Predictor
from pcedge.engines import ReferenceEngine
from pcedge.errors import FormatError, UsageError
from pcedge.evaluate.numbers import row_log_likelihood, token_logs
from pcedge.export import read_onnx, write_onnx
from pcedge.learn import sensor
from pcedge.learn.checkpoint import seal
from pcedge.learn.classes import fit_mixture
from pcedge.learn.config import Watch
from pcedge.learn.contexts import grow
from pcedge.learn.neighbourhood import pool
from pcedge.learn.regression import Samples, choose, fit
from pcedge.learn.sensor import fit_sensor
from pcedge.learn.staging import drawn
from pcedge.quantize import quantize


def series(rows: int, seed: int = 0) -> Any:
    """Two channels, the second like the first, with a noise that comes and goes."""
    generator = np.random.default_rng(seed)
    scale = np.where(np.arange(rows) // 200 % 2, 40, 4)
    first = np.round(800 * np.sin(np.arange(rows) / 9) + scale * generator.standard_normal(rows))
    second = np.round(first / 2 + 3 * generator.standard_normal(rows))
    return np.stack([first, second], axis=1).astype(np.int16)


def test_a_circuit_pays_against_what_packs_the_table_best(tmp_path: Any) -> None:
    data = Splits(series(2000))
    table = tmp_path / "x.csv"
    table.write_text("".join(f"{a},{b}\n" for a, b in data.train.tolist()))
    row = data.train[0].nbytes
    plain = break_even(data, None, 4.0, 1000, None)
    assert plain is not None
    # Of what xz packs best, the text or the numbers.
    assert break_even(data, None, 4.0, 1000, table) > plain  # type: ignore[operator]
    table.write_bytes(np.random.default_rng(0).bytes(20000))
    assert break_even(data, None, 4.0, 1000, table) == plain
    table.write_text("1\n" * 2000)
    assert break_even(data, None, 0.0, 1000, table) == round(1000 / (packed_file_bytes(table) / 2000 / row))
    assert break_even(data, None, 4.0, 1000, table) is None


def test_a_series_of_two_channels(tmp_path: Any) -> None:
    x = series(4000)
    lines: list[str] = []
    circuit, report = fit_sensor(Splits(x[:3000], None, x[3000:]), told=lines.append)
    assert isinstance(circuit.symbolizer, Predictor) and report.classes > 1 and any("classes" in line for line in lines)
    save_circuit(circuit, tmp_path / "c.pcedge")
    assert load_circuit(tmp_path / "c.pcedge").symbolizer == circuit.symbolizer
    integers = quantize(circuit)
    assert integers.leaf_bits == 15
    write_onnx(integers, tmp_path / "c.onnx")
    engine = ReferenceEngine(read_onnx(tmp_path / "c.onnx"))
    stream = encode(engine, x[3000:])
    assert_array_equal(decode(engine, stream), x[3000:])
    # The noise alone has 4.7 bits a number in the mean: log2(s sqrt(2 pi e)) of deviations 4, 40 and 3.
    floor = np.mean([np.log2(s * np.sqrt(2 * np.pi * np.e)) for s in (4, 40, 3, 3)])
    assert 8 * len(stream) / 2000 < floor + 0.8
    logs = row_log_likelihood(circuit, x[3000:])
    assert_allclose(-logs.sum() / np.log(2), 8 * len(stream), rtol=0.05)


def test_a_smaller_circuit_for_fewer_records() -> None:
    x = series(1500)
    small = fit_sensor(Splits(x), records=2000)[1]
    large = fit_sensor(Splits(x), records=10**7)[1]
    assert small.circuit_bytes < large.circuit_bytes
    bound = fit_sensor(Splits(x), size_bytes=19_000)[1]
    assert bound.circuit_bytes <= 19_000


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((1, 1), dtype=np.int16), np.full((9, 3), -7, dtype=np.int8),
        np.arange(40, dtype=np.uint64)[:, None] * 2**58, np.eye(30, 20).reshape(30, 4, 5).astype(bool),
        np.random.default_rng(1).integers(-(2**63), 2**63, (50, 2)), np.zeros((2, 3, 4, 5), dtype=np.uint16),
    ],
)  # fmt: skip
def test_any_data(x: Any) -> None:
    circuit, _ = fit_sensor(Splits(x))
    engine = ReferenceEngine(quantize(circuit))
    assert_array_equal(decode(engine, encode(engine, x)), x)
    other = np.roll(x, 1, axis=0)[::-1]
    assert_array_equal(decode(engine, encode(engine, other)), other)


def test_missing_numbers_are_summed_out() -> None:
    x = series(800)
    circuit, _ = fit_sensor(Splits(x))
    whole = row_log_likelihood(circuit, x[:50])
    gaps = x[:50].copy()
    gaps[20] = -32768
    logs = row_log_likelihood(circuit, gaps, missing=-32768)
    assert logs[20] == 0
    assert_array_equal(logs[:20], whole[:20])
    assert_allclose(np.exp(token_logs(circuit)).sum(axis=1), 1)
    records = symbols_of(circuit.symbolizer, x[:5])  # type: ignore[arg-type]
    given = log_likelihood(circuit, np.where([False, True], -1, records))
    assert_allclose(log_likelihood(circuit, records) - given, token_logs(circuit)[tuple(records.T)])


def test_neighbours_that_tell_are_chosen() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(0, 50, (2, 4000, 6))
    targets = np.stack([2 * inputs[0, :, 3] - inputs[0, :, 1], inputs[1, :, 3]]) + generator.normal(0, 1, (2, 4000))
    samples = Samples(targets, inputs, np.full(2, 4000.0))
    chosen = choose(samples, 6, 60)
    assert set(chosen) == {3, 1} and chosen[0] == 3
    found = fit(samples, chosen)
    assert_allclose(found.coefficients[0], [2, -1], atol=0.01)
    assert_allclose(found.coefficients[1], [1, 0], atol=0.01)


@pytest.mark.parametrize("missing", [False, True])
def test_numbers_are_drawn_without_replacement(missing: bool) -> None:
    numbers = np.arange(1, 601).reshape(2, 150, 2)
    stage = Predictor("int16", (2,), (Group(-1000, 1000, 0, ()),), (0, 0), (), None, (), (), ((0, 0),), 128, escapes=12)
    gone = numbers % 3 == 0
    drawing = np.ma.MaskedArray(numbers, gone) if missing else numbers
    samples = drawn(stage, drawing, [(0, 1), (1, 0)], 300, np.random.default_rng(0))
    assert samples.targets.shape == (1, 40_000) and samples.inputs.shape == (1, 40_000, 2)
    found, counts = np.unique(samples.targets, return_counts=True)
    assert_array_equal(found, numbers[~gone] if missing else numbers.ravel())
    assert counts.max() - counts.min() <= 1
    # Of two columns the left neighbour is the number before, or 0 outside of the row; above is two before.
    left, above = samples.inputs[0].T
    assert_array_equal(left, np.where(samples.targets[0] % 2 == 0, samples.targets[0] - 1, 0))
    assert_array_equal(above, np.where((samples.targets[0] - 1) % 300 < 2, 0, samples.targets[0] - 2))


@pytest.mark.parametrize(
    ("bits", "chosen"),
    [
        ({16: 8.6954, 32: 8.6782}, 32),  # a ratio of 0.99802: once there is adaptation, the least counts
        ({16: 8.6782, 32: 8.6954}, 16),
        ({16: 8.7085, 32: 8.7083}, None),  # not worth its steps
    ],
)
def test_the_best_adaptation_is_chosen(monkeypatch: Any, bits: dict[int, float], chosen: int | None) -> None:
    def judged(_: Any, stage: Predictor) -> float:
        adaptation = stage.adaptation
        return bits[len(adaptation.neighbours)] if adaptation and adaptation.rate in (7, 8) else 8.72

    monkeypatch.setattr(sensor._Search, "_judged", judged)
    search = sensor._Search(series(100), series(100), None, None, 0, lambda _: None, None)
    stage = replace(search._empty((0, 0)), neighbours=((1, 0),), groups=(Group(-32768, 32767, 0, (65536,)),))
    cost, found = search._adapted(8.72, stage)
    assert (found.adaptation and len(found.adaptation.neighbours)) == chosen
    assert cost == (8.72 if chosen is None else bits[chosen])


def test_neighbours_of_the_same_row_that_tell_only_together_are_found() -> None:
    # A walk beside its own steps: neither the walk now nor that before says anything of a step alone.
    generator = np.random.default_rng(0)
    steps = generator.integers(-300, 301, 3000)
    x = np.zeros(3000, [("walk", "<i4"), ("step", "<i4")])
    x["walk"], x["step"] = np.cumsum(steps), steps + generator.integers(-1, 2, 3000)
    data = Splits(x, None, typed=True)
    circuit, report = fit_sensor(data, source=columns_for(data, (), None))
    stage = circuit.symbolizer
    assert isinstance(stage, Predictor) and {(0, 1), (1, 1)} <= set(stage.neighbours)
    # A step has 9.2 bits; told by the walk only the 1.6 of its noise.
    assert report.valid_bits < (9.2 + 1.6) / 2 + 0.5


@pytest.mark.parametrize(
    ("plain", "costs", "ways", "kept"),
    [
        (8.0, [7.0, 7.5], [True, True], "1"),  # the same row first is better, and once more
        (8.0, [8.5, 7.5], [True, False], "2"),  # it is worse: the plain way once more
        (8.0, [8.5, 8.0], [True, False], "plain"),
        (10.0, [], [], None),  # none at all is better by far
    ],
)
def test_the_best_candidate_is_drawn_again(
    monkeypatch: Any, plain: float, costs: list[float], ways: list[bool], kept: str | None
) -> None:
    seen: list[bool] = []
    waiting = list(costs)

    def candidate(search: Any, name: str, of: tuple[int, ...], most: int, row_first: bool = False) -> Any:
        stage = replace(search._empty(of), source=None)
        if not most:
            return 8.05, stage, {}
        if "again" in name:
            seen.append(row_first)
        number = len(seen)
        stage = replace(stage, neighbours=((1 + number, 0),), groups=(Group(-32768, 32767, 0, (65536,)),))
        return (waiting.pop(0) if number else plain), stage, {}

    class Chosen(Exception):
        pass

    def adapted(_: Any, cost: float, stage: Predictor) -> Any:
        raise Chosen(cost, stage.neighbours)

    monkeypatch.setattr(sensor._Search, "_candidate", candidate)
    monkeypatch.setattr(sensor._Search, "_adapted", adapted)
    monkeypatch.setattr(sensor._Search, "_groupings", lambda _: [("columns alike", (0, 0))])
    with pytest.raises(Chosen) as chosen:
        fit_sensor(Splits(series(100)))
    assert seen == ways and not waiting
    number = {None: None, "plain": 0, "1": 1, "2": 2}[kept]
    cost = 8.05 if number is None else [plain, *costs][number]
    assert chosen.value.args == (cost, () if number is None else ((1 + number, 0),))


def test_a_tree_finds_the_feature_and_its_threshold() -> None:
    generator = np.random.default_rng(0)
    features = generator.integers(0, 100, (3, 20000))
    symbols = np.where(features[1] <= 30, generator.integers(0, 2, 20000), generator.integers(2, 9, 20000))
    growth = grow(features, symbols, 0.0, 50)
    (feature, threshold, below, above), *_ = growth.cut(1)
    assert (feature, below, above) == (1, -1, -2) and 26 <= threshold <= 33
    assert growth.splits <= 3
    assert growth.cut(0) == []


def test_a_mixture_finds_what_classes_share() -> None:
    generator = np.random.default_rng(0)
    leaves = generator.dirichlet(np.ones(12), 2)
    weights = generator.dirichlet(np.ones(2), 30)
    counts = np.stack([generator.multinomial(3000, row) for row in weights @ leaves]).astype(float)
    mixture = fit_mixture(counts, 2, 0.0)
    best = -(counts * np.log2(weights @ leaves)).sum()
    assert mixture.bits(counts) < 1.002 * best
    assert_allclose(mixture.weights.sum(axis=1), 1)


def test_a_pool_lies_before_the_number_and_within_the_data() -> None:
    for rows, shape in ((1000, (1,)), (1000, (4,)), (30, (50,)), (20, (30, 8)), (3, (1, 9))):
        offsets = pool(rows, shape)
        assert len(set(offsets)) == len(offsets) <= 60
        for offset in offsets:
            assert next(step for step in offset if step) > 0
            assert all(abs(step) < size for step, size in zip(offset, (rows, *shape), strict=True))


class Killed(BaseException):
    pass


def test_a_stopped_search_goes_on_from_its_finished_candidates(tmp_path: Any) -> None:
    data, path = Splits(series(1500)), tmp_path / "s.checkpoint"
    lines: list[str] = []
    watch = Watch()
    whole, report = fit_sensor(data, told=lines.append, watch=watch)
    for last in (2, 5, 6):

        def stop(number: int, *_: Any, last: int = last) -> None:
            if number == last:
                raise Killed

        with pytest.raises(Killed):
            fit_sensor(data, checkpoint=path, progress=stop)
    again: list[str] = []
    seen = Watch()
    circuit, found = fit_sensor(data, told=again.append, checkpoint=path, watch=seen)
    assert circuit_bytes(circuit) == circuit_bytes(whole) and found == report
    assert again == lines[len(lines) - len(again) :] and len(again) < len(lines)
    assert_array_equal(np.array(seen.curve), np.array(watch.curve))


def test_checkpoints_that_a_search_cannot_go_on_from(tmp_path: Any) -> None:
    data, path = Splits(series(300)), tmp_path / "s.checkpoint"

    def stop(*_: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        fit_sensor(data, checkpoint=path, progress=stop)
    whole = path.read_bytes()
    with pytest.raises(UsageError, match="must be of a run with the same data, structure and settings"):
        fit_sensor(Splits(series(300, 1)), checkpoint=path)
    path.write_bytes(whole[:-1])
    with pytest.raises(FormatError, match="with its checksum, it is damaged: remove it to start anew"):
        fit_sensor(data, checkpoint=path)
    assert path.read_bytes() == whole[:-1]
    held = json.loads(whole.split(b"\n", 1)[1])
    step = next(iter(held["steps"].values()))
    for wrong in ({"cost": "x"}, {"generator": {}}, {"stage": {}}, {"numbers": 3}, {"circuit": "?"}):
        held["steps"] = {"columns alike, 32": step | wrong}
        seal(path, json.dumps(held).encode())
        with pytest.raises(FormatError, match=r"^checkpoint: .* must hold finished steps of the search \("):
            fit_sensor(data, checkpoint=path)
