"""Strategies of a search: own ones, on any executor, replayed from a checkpoint, and held to the budget."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from strategies import make_circuit

from pcedge.circuit import sample
from pcedge.errors import ToolError, UsageError
from pcedge.search.budget import quantize_within
from pcedge.search.search import Budget, SearchConfig, search
from pcedge.search.strategies import Observed, Proposals, Space, evolve

CIRCUIT = make_circuit(3, 8, 4, 6, "hidden")
RECORDS = sample(CIRCUIT, 60, seed=1)
BUDGET = Budget(memory_bits=11_300)
QUICK = SearchConfig(generations=3, offspring=3, survivors=2, few=16, many=40)


def told(strategy, **more) -> tuple[object, list[Observed]]:
    """Search with a strategy; give what was found and what the strategy was sent."""
    seen: list[Observed] = []

    def listening(space: Space) -> Proposals:
        proposals, answer = strategy(space), None
        while True:
            answer = yield proposals.send(answer)
            seen.append(answer)

    return search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, strategy=listening, **more), seen


def test_what_a_strategy_is_told() -> None:
    found, seen = told(evolve)
    assert len(seen) == 3 and [one.bits for one in seen] == list(found.history[:-1])
    assert min(seen[0].scores) == seen[0].bits and len(seen[1].scores) == QUICK.offspring
    plain = search(CIRCUIT, RECORDS, BUDGET, settings=QUICK)
    assert (found.candidate, found.history) == (plain.candidate, plain.history)


def test_a_strategy_that_ends() -> None:
    def first(space: Space) -> Proposals:
        yield list(space.starts[:1])

    found = search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, strategy=first)
    assert len(found.history) == 1 and found.memory_bits["rom"] <= 11_300
    executor = Counting()
    whole = quantize_within(
        CIRCUIT, held_out=RECORDS, budget=BUDGET, settings=QUICK, strategy=first, executor=executor
    )  # fmt: skip
    assert whole.integers.digest == found.integers.digest and executor.sent == [False, True]


def test_a_strategy_is_closed_after_its_generations() -> None:
    closed, kept = [], []

    def endless(space: Space) -> Proposals:
        try:
            while True:
                yield list(space.starts[:1])
        finally:
            closed.append(True)

    def kept_alive(space: Space) -> Proposals:
        kept.append(endless(space))
        return kept[0]

    found = search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, strategy=kept_alive)
    assert len(found.history) == 4 and closed == [True]


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda starts: [], r"^a strategy must propose at least one candidate, it proposed none$"),
        (
            lambda starts: [replace(starts[0], weight_bits=(9,) * len(starts[0].weight_bits))],
            r"^a candidate must be one of this circuit and its greatest widths, got Candidate\(weight_bits=\(9, 9",
        ),
        (
            lambda starts: [
                replace(starts[0], weight_bits=(8,) * len(starts[0].weight_bits), leaf_bits=12, tables=None)
            ],
            r"^a strategy must propose at most 11300 bits of memory, it proposed \d+$",
        ),
    ],
)
def test_what_a_strategy_may_not_propose(change, text: str) -> None:
    def wrong(space: Space) -> Proposals:
        yield change(space.starts)

    with pytest.raises(UsageError, match=text):
        search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, strategy=wrong)


def test_too_wide_for_the_multipliers() -> None:
    def wrong(space: Space) -> Proposals:
        yield [space.choices.whole]

    with pytest.raises(UsageError, match=r"^a strategy must propose at most 180 bits of multiplier, it proposed \d+$"):
        search(CIRCUIT, RECORDS, Budget(multiplier_bits=180), settings=QUICK, strategy=wrong)


def test_a_strategy_must_propose() -> None:
    def silent(space: Space) -> Proposals:
        yield from ()

    with pytest.raises(UsageError, match=r"^a strategy must propose at least one candidate, it proposed none$"):
        search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, strategy=silent)


def test_a_checkpoint_of_another_strategy_is_refused(tmp_path: Path) -> None:
    def turned(space: Space) -> Proposals:
        yield list(space.starts[::-1])

    kept = tmp_path / "s.json"
    search(CIRCUIT, RECORDS, BUDGET, settings=replace(QUICK, generations=1), checkpoint=kept)
    with pytest.raises(UsageError, match=r"^the checkpoint .*s\.json must be of the same strategy$"):
        search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, checkpoint=kept, strategy=turned)


def test_a_replayed_strategy_is_told_the_same(tmp_path: Path) -> None:
    kept, whole = tmp_path / "s.json", told(evolve)
    search(CIRCUIT, RECORDS, BUDGET, settings=replace(QUICK, generations=2), checkpoint=kept)
    again = told(evolve, checkpoint=kept)
    assert again[1] == whole[1] and again[0].candidate == whole[0].candidate
    assert again[0].history == whole[0].history


@contextmanager
def cluster() -> Iterator[Executor]:
    """Give a Dask client's executor of two worker processes."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers,
        distributed.Client(workers) as client,
    ):
        yield client.get_executor()


@pytest.mark.parametrize("make", [lambda: ThreadPoolExecutor(3), cluster], ids=["threads", "dask"])
def test_any_executor_gives_the_same_result(make) -> None:
    expected = search(CIRCUIT, RECORDS, BUDGET, settings=QUICK)
    with make() as executor:
        for _ in range(2):  # the second search has other choices' places in the workers
            found = search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, executor=executor)
            assert (found.candidate, found.history) == (expected.candidate, expected.history)


class Counting(Executor):
    """Do everything at once, and count what is sent."""

    def __init__(self) -> None:
        self.sent: list[bool] = []

    def submit(self, function, token, pickled, *rest):  # type: ignore[no-untyped-def, override]
        self.sent.append(pickled is not None)
        done: Future[float | None] = Future()
        done.set_result(function(token, pickled, *rest))
        return done


def test_an_executor_is_sent_the_choices_only_where_it_lacks_them() -> None:
    executor = Counting()
    search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, executor=executor)
    # All of the first list are asked for, lacking; sent again with the choices; and never again.
    first = executor.sent.index(True)
    assert executor.sent == [False] * first + [True] * first + [False] * (len(executor.sent) - 2 * first)
    assert len(executor.sent) == 2 * first + 3 * (3 + 2)


def test_a_worker_that_dies() -> None:
    class Dying(ThreadPoolExecutor):
        def submit(self, *_: object) -> None:  # type: ignore[override]
            from concurrent.futures.process import BrokenProcessPool

            raise BrokenProcessPool("gone")

    with (
        Dying(1) as executor,
        pytest.raises(ToolError, match=r"^the processes of the search must live, one was ended from outside \(gone\)$"),
    ):
        search(CIRCUIT, RECORDS, BUDGET, settings=QUICK, executor=executor)
