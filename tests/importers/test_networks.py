"""Networks as circuits: the product of the tables for every record, one way for each, and sizes told before."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import DATA

from pcedge.circuit import (
    Circuit,
    InputLayer,
    ProductLayer,
    SumLayer,
    log_conditional,
    log_likelihood,
    sample,
)
from pcedge.circuit.inference import inside
from pcedge.circuit.rows import SparseRows
from pcedge.codec import decode, encode
from pcedge.engines import ReferenceEngine
from pcedge.errors import FormatError, UsageError
from pcedge.importers import import_circuit, uai
from pcedge.importers.compiling import compile_network
from pcedge.importers.elimination import plan
from pcedge.importers.networks import Collected, Network
from pcedge.importers.normalise import normalise
from pcedge.importers.pgmpy_networks import from_pgmpy
from pcedge.limits import MemoryBudget
from pcedge.quantize import quantize

SEEDS = range(40)


def collected(*sizes: int) -> Collected:
    made = Collected("n", MemoryBudget("bif", 1 << 20, "n", lambda message: FormatError("import-size", message)))
    for variable, size in enumerate(sizes):
        made.add_variable(f"v{variable}", size, "n")
    return made


def circuit_of(network: Network, limit: int = 1 << 24) -> Circuit:
    return normalise(compile_network(network, limit, "n"))


def random_network(seed: int) -> tuple[Network, np.ndarray]:
    """Draw a network with zeros, certain rows and variables of one state; give its joint distribution too."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    sizes = rng.integers(1, 5, count).tolist()
    joint = np.ones(sizes)
    made = collected(*sizes)
    order = rng.permutation(count)
    for place, child in enumerate(order.tolist()):
        parents = rng.permutation(order[:place])[: rng.integers(0, 4)].tolist()
        table = rng.random([sizes[variable] for variable in (*parents, child)]) ** 4
        table *= rng.random(table.shape) < rng.choice([0.3, 0.7, 1.0])
        table[..., 0] += table.sum(axis=-1) == 0
        table /= table.sum(axis=-1, keepdims=True)
        if rng.random() < 0.3:  # what parents say does not matter, or some of it
            table[:] = table[:1] if parents else table
        made.add_table(child, parents, table.reshape(-1), "n")
        axes = [*parents, child]
        sorted_axes = sorted(range(len(axes)), key=axes.__getitem__)
        shape = [sizes[variable] if variable in axes else 1 for variable in range(count)]
        joint = joint * table.transpose(sorted_axes).reshape(shape)
    return made.network(), joint


def possible(joint: np.ndarray) -> np.ndarray:
    return np.argwhere(joint > 0)


@pytest.mark.parametrize("seed", SEEDS)
class TestRandomNetworks:
    def test_every_record_has_the_product_of_the_tables(self, seed: int) -> None:
        network, joint = random_network(seed)
        circuit = circuit_of(network)
        found = log_likelihood(circuit, list(np.ndindex(joint.shape))).reshape(joint.shape)
        assert (np.isneginf(found) == (joint == 0)).all()
        alive = joint > 0
        assert np.abs(found[alive] - np.log(joint[alive])).max() < 1e-13
        assert abs(circuit.log_constant) < 1e-14

    def test_evidence(self, seed: int) -> None:
        network, joint = random_network(seed)
        circuit = circuit_of(network)
        rng = np.random.default_rng(seed)
        for _ in range(8):
            record = possible(joint)[rng.integers(len(possible(joint)))]
            known = rng.random(len(record)) < 0.5
            evidence = np.where(known, record, -1)
            kept = joint[tuple(slice(v, v + 1) if v >= 0 else slice(None) for v in evidence)]
            assert abs(log_likelihood(circuit, [evidence])[0] - np.log(kept.sum())) < 1e-12
            asked = int(rng.integers(len(record)))
            if not known[asked]:
                query = np.where(np.arange(len(record)) == asked, record, -1)
                others = tuple(axis for axis in range(len(record)) if axis != asked)
                share = kept.sum(axis=others)[record[asked]] / kept.sum()
                assert abs(log_conditional(circuit, [query], [evidence])[0] - np.log(share)) < 1e-12

    def test_invariants(self, seed: int) -> None:
        """It can be coded, each record goes one way through it, and every unit and weight is used."""
        network, joint = random_network(seed)
        circuit = circuit_of(network)
        assert circuit.spans is not None
        records = possible(joint)
        values = inside(circuit, records)
        for layer in circuit.layers:
            if not isinstance(layer, SumLayer):
                continue
            weights = layer.weights.toarray() if isinstance(layer.weights, SparseRows) else layer.weights
            below = np.concatenate([values[child] for child in layer.children], axis=1)
            ways = np.isfinite(below).astype(int) @ (np.asarray(weights) > 0).T.astype(int)
            assert ways.max() <= 1
        for index in range(len(circuit.layers) - 1):
            users = [user for user in circuit.layers if not isinstance(user, InputLayer) and index in user.children]
            used = np.zeros(circuit.shapes[index].units, dtype=bool)
            for user in users:
                if isinstance(user, ProductLayer):
                    used[user.gather[:, user.children.index(index)]] = True
                elif isinstance(user.weights, SparseRows):
                    used[user.weights.indices] = True
                else:
                    used |= (user.weights > 0).any(axis=0)
            assert used.all(), index

    def test_no_more_parameters_than_were_told(self, seed: int) -> None:
        network, _ = random_network(seed)
        told = plan([factor.scope for factor in network.factors], network.sizes).entries
        circuit = circuit_of(network, told)
        edges = sum(
            layer.weights.values.size if isinstance(layer.weights, SparseRows) else np.count_nonzero(layer.weights)
            for layer in circuit.layers
            if isinstance(layer, SumLayer)
        )
        assert edges <= told
        if told > 1:
            with pytest.raises(
                FormatError, match=f"must have at most {told - 1:,} entries together, they have {told:,}"
            ):
                circuit_of(network, told - 1)

    def test_integers(self, seed: int) -> None:
        """What the network calls possible is possible to the integers, and is coded without loss."""
        network, joint = random_network(seed)
        engine = ReferenceEngine(quantize(circuit_of(network)))
        mantissa, _ = engine.likelihood(possible(joint))
        assert (mantissa > 0).all()
        records = possible(joint)[:50]
        assert np.array_equal(decode(engine, encode(engine, records)), records)


class TestCompiling:
    def test_one_sum_for_a_chain_of_equal_rows(self) -> None:
        """Equal rows of a table are one leaf: c has three parents' states, and two distributions."""
        made = collected(3, 2)
        made.add_table(0, [], np.array([0.25, 0.25, 0.5]), "n")
        made.add_table(1, [0], np.array([0.3, 0.7, 0.3, 0.7, 0.1, 0.9]), "n")
        circuit = circuit_of(made.network())
        leaf = next(layer for layer in circuit.layers if isinstance(layer, InputLayer) and layer.variable == 1)
        assert leaf.table.shape == (2, 2)

    def test_proportional_units_are_one(self) -> None:
        """What differs by a factor alone is the same distribution: here of b and c given a, whatever a is."""
        made = collected(2, 2, 2)
        made.add_factor([0, 1], np.array([1.0, 3, 2, 6]), "n")
        made.add_factor([1, 2], np.array([1.0, 2, 3, 5]), "n")
        circuit = circuit_of(made.network(directed=False))
        leaf = next(layer for layer in circuit.layers if isinstance(layer, InputLayer) and layer.variable == 0)
        assert len(leaf.table) == 1

    def test_rows_that_differ_little_stay_two(self) -> None:
        made = collected(2, 2)
        made.add_table(0, [], np.array([0.5, 0.5]), "n")
        rows = np.array([[0.25, 0.75], [0.25 + 1e-12, 0.75 - 1e-12]])
        made.add_table(1, [0], rows.reshape(-1), "n")
        found = log_likelihood(circuit_of(made.network()), [[0, 0], [1, 0], [0, 1], [1, 1]])
        assert abs(found[1] - found[0] - 4e-12) < 1e-15
        assert abs(found[3] - found[2] + 4e-12 / 3) < 1e-15

    def test_factors_of_one_entry_are_constants(self) -> None:
        made = collected(2, 1)
        made.add_factor([0], np.array([1.0, 3.0]), "n")
        made.add_factor([1], np.array([5.0]), "n")
        made.add_factor([], np.array([0.5]), "n")
        circuit = circuit_of(made.network(directed=False))
        assert abs(circuit.log_constant - np.log(10)) < 1e-14
        assert np.allclose(np.exp(log_likelihood(circuit, [[1, 0]])), 0.75)

    def test_independent_parts(self) -> None:
        made = collected(2, 3, 1)
        for variable, row in enumerate(([0.25, 0.75], [0.5, 0.25, 0.25], [1.0])):
            made.add_table(variable, [], np.array(row), "n")
        circuit = circuit_of(made.network())
        assert [type(layer) for layer in circuit.layers] == [InputLayer] * 3 + [ProductLayer]
        assert np.allclose(np.exp(log_likelihood(circuit, [[1, 2, 0]])), 0.1875)

    def test_variables_without_a_factor(self) -> None:
        made = collected(2, 3)
        made.add_factor([0], np.array([1.0, 3.0]), "n")
        circuit = circuit_of(made.network(directed=False))
        assert abs(circuit.log_constant - np.log(12)) < 1e-14
        assert np.allclose(np.exp(log_likelihood(circuit, [[1, 2]])), 0.25)

    def test_small_probabilities_keep_their_digits(self) -> None:
        """A product of 400 factors of 1e-6 is below what a float64 holds."""
        made = collected(*[2] * 400)
        row = np.array([1 - 1e-6, 1e-6])
        made.add_table(0, [], row, "n")
        for variable in range(1, 400):
            made.add_table(variable, [variable - 1], np.concatenate([row, row]), "n")
        found = log_likelihood(circuit_of(made.network()), np.ones((1, 400), dtype=np.int64))[0]
        assert abs(found / (400 * np.log(1e-6)) - 1) < 1e-14

    @pytest.mark.parametrize(
        ("scopes", "sizes", "entries"),
        [
            ([[0, 1], [1, 2], [2, 3], [3, 0]], [2] * 4, 8 + 8 + 4 + 2),  # a cycle of four needs one chord
            ([[0, i] for i in range(1, 6)], [3, *[2] * 5], 5 * 6 + 2),  # a star needs none
            ([[0, 1], [1, 2], [2, 3], [3, 0]], [9, 2, 9, 2], 36 + 36 + 4 + 2),  # the chord between the small ones
            ([[0, 1, 2]], [2, 3, 5], 30 + 6 + 2),
            ([], [4, 5], 9),
        ],
    )
    def test_sizes_of_known_graphs(self, scopes: list[list[int]], sizes: list[int], entries: int) -> None:
        assert plan(scopes, sizes).entries == entries

    def test_a_clique_that_is_too_large_is_named(self) -> None:
        count = 22
        made = collected(*[2] * count)
        for one, other in itertools.combinations(range(count), 2):
            made.add_factor([one, other], np.array([1.0, 2, 3, 4]), "n")
        network = made.network(directed=False)
        text = (
            r"^network-size: n: the tables of its cliques must have at most 1,000,000 entries together, they have "
            r"8,388,606; the clique of variables v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11 and 10 more has "
            r"4,194,304; give a higher --limit, or cut edges$"
        )
        with pytest.raises(FormatError, match=text):
            compile_network(network, 1_000_000, "n")

    def test_hopeless_cliques_are_not_counted(self) -> None:
        count = 100
        text = f"MARKOV {count} {'2 ' * count} {count * (count - 1) // 2} "
        pairs = list(itertools.combinations(range(count), 2))
        text += " ".join(f"2 {one} {other}" for one, other in pairs) + " 4 1 2 3 4" * len(pairs)
        network = uai.read(text.encode(), "n", MemoryBudget("uai", len(text), "n", lambda m: FormatError("x", m)))
        with pytest.raises(FormatError, match="they have more than 281,474,976,710,656"):
            compile_network(network, 1 << 40, "n")

    def test_the_limit_is_the_memory_of_the_file_unless_given(self, tmp_path: Path) -> None:
        count = 20
        pairs = list(itertools.combinations(range(count), 2))
        scopes = "".join(f"2 {one} {other}\n" for one, other in pairs)
        path = tmp_path / "a.uai"
        path.write_text(f"MARKOV\n{count}\n{'2 ' * count}\n{len(pairs)}\n{scopes}" + "4\n1 2 3 1\n" * len(pairs))
        with pytest.raises(
            FormatError, match=r"network-size: .* must have at most 5[0-9]{2},[0-9]{3} entries together"
        ):
            import_circuit(path)
        made = import_circuit(path, limit=1 << 21).circuit
        assert len(made.cardinalities) == count and np.isfinite(log_likelihood(made, np.zeros((1, count), int))[0])


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
class TestPgmpy:
    def test_states_are_matched_by_name(self) -> None:
        pytest.importorskip("pgmpy")
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.models import DiscreteBayesianNetwork

        model = DiscreteBayesianNetwork([("rain", "wet"), ("hose", "wet")])
        rain = TabularCPD("rain", 2, [[0.25], [0.75]], state_names={"rain": ["yes", "no"]})
        hose = TabularCPD("hose", 3, [[0.5], [0.25], [0.25]], state_names={"hose": [0, 1, 2]})
        ones = np.array([[0.9, 0.8, 0.7], [0.6, 0.1, 0.0]])  # rain no, yes; hose 2, 0, 1: another order than their own
        wet = TabularCPD(
            "wet", 2, [(1 - ones).reshape(-1), ones.reshape(-1)], ["rain", "hose"], [2, 3],
            state_names={"wet": [False, True], "rain": ["no", "yes"], "hose": [2, 0, 1]},
        )  # fmt: skip
        model.add_cpds(rain, hose, wet)
        circuit = from_pgmpy(model)
        assert circuit.grid is not None
        order = [circuit.grid.names.index(name) for name in ("rain", "hose", "wet")]
        assert circuit.grid.axes[order[2]].states == ("False", "True")
        for r, h in itertools.product(range(2), range(3)):
            record = np.zeros((1, 3), dtype=np.int64)
            record[0, order] = r, h, 1
            expected = [0.25, 0.75][r] * [0.5, 0.25, 0.25][h] * ones[1 - r, [1, 2, 0][h]]
            assert abs(np.exp(log_likelihood(circuit, record))[0] - expected) < 1e-15

    def test_asia(self) -> None:
        pytest.importorskip("pgmpy")
        from pgmpy.inference import VariableElimination
        from pgmpy.readwrite import BIFReader

        model = BIFReader(str(DATA / "networks" / "asia.bif")).get_model()
        circuit = from_pgmpy(model)
        exact = VariableElimination(model)
        assert circuit.grid is not None
        names = circuit.grid.names
        for seed in range(5):
            rng = np.random.default_rng(seed)
            record = sample(circuit, 1, seed=seed)[0]
            asked, *known = rng.permutation(len(names))[: rng.integers(1, 5)].tolist()
            given = {names[v]: circuit.grid.axes[v].states[record[v]] for v in known}
            answer = exact.query([names[asked]], evidence=given, show_progress=False)
            evidence = np.full(len(names), -1)
            evidence[known] = record[known]
            for state, probability in zip(answer.state_names[names[asked]], answer.values, strict=True):
                query = np.full(len(names), -1)
                query[asked] = circuit.grid.axes[asked].states.index(state)
                assert abs(np.exp(log_conditional(circuit, [query], [evidence])[0]) - probability) < 1e-14

    def test_markov_networks(self) -> None:
        pytest.importorskip("pgmpy")
        from pgmpy.factors.discrete import DiscreteFactor
        from pgmpy.models import DiscreteMarkovNetwork

        model = DiscreteMarkovNetwork([("a", "b"), ("b", "c")])
        model.add_factors(
            DiscreteFactor(["a", "b"], [2, 2], [1, 2, 3, 4]), DiscreteFactor(["c", "b"], [3, 2], [1, 2, 3, 4, 5, 0])
        )
        circuit = from_pgmpy(model)
        assert abs(circuit.log_constant - np.log(model.get_partition_function())) < 1e-14

    def test_what_is_no_table_is_refused(self) -> None:
        class LinearGaussianBayesianNetwork:
            pass

        with pytest.raises(
            UsageError, match=r"must be a DiscreteBayesianNetwork or .*, got LinearGaussian.*; make states"
        ):
            from_pgmpy(LinearGaussianBayesianNetwork())
        with pytest.raises(UsageError, match=r"got object$"):
            from_pgmpy(object())
