"""Circuits of SPFlow 1, deeprob-kit and libcirkit: live objects and JSON give the library's own values."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcedge.circuit import Circuit, log_likelihood
from pcedge.errors import CircuitError, FormatError, UsageError
from pcedge.importers import from_cirkit, from_deeprob, from_spflow, import_circuit
from pcedge.importers.gridding import Gridding


def normal(x: float, mean: float, std: float) -> float:
    return 0.5 * math.erfc((mean - x) / (std * math.sqrt(2)))


def masses(edges: tuple[float, ...], symbol: int, mean: float, std: float) -> float:
    """Give a Gaussian's mass of a bin, the first and last with what lies beyond."""
    low = 0.0 if symbol == 0 else normal(edges[symbol], mean, std)
    high = 1.0 if symbol == len(edges) - 2 else normal(edges[symbol + 1], mean, std)
    return high - low


# SPFlow


BITS = np.array(list(itertools.product(range(2), repeat=8)))
TRITS = np.random.default_rng(3).integers(0, 3, (100, 8))


@pytest.fixture
def torch() -> Any:
    """Give torch in float64 with a seed, and float32 again afterwards."""
    found = pytest.importorskip("torch", reason="needs the extra train")
    pytest.importorskip("spflow", reason="needs SPFlow 1.0 or later")
    found.manual_seed(11)
    found.set_default_dtype(found.float64)
    yield found
    found.set_default_dtype(found.float32)


def same(model: Any, x: np.ndarray, torch: Any) -> Circuit:
    """Demand SPFlow's own log-likelihood."""
    made = from_spflow(model)
    own = model.log_likelihood(torch.tensor(x, dtype=torch.float64)).detach().numpy().reshape(len(x))
    assert np.abs(log_likelihood(made, x) + made.log_constant - own).max() < 1e-9
    assert made.grid is None
    return made


def leaves(kind: str, torch: Any, channels: int = 4, variables: int = 8, repetitions: int = 2) -> Any:
    from spflow.modules import leaves as known

    extra = {"K": 3} if kind == "Categorical" else {}
    return getattr(known, kind)(
        scope=list(range(variables)), out_channels=channels, num_repetitions=repetitions, **extra
    )


@pytest.mark.parametrize(("layer", "structure"), [*itertools.product(("einsum", "linsum"), ("top-down", "bottom-up"))])
def test_spflow_einets(layer: str, structure: str, torch: Any) -> None:
    from spflow.zoo.einet.einet import Einet

    model = Einet(
        leaf_modules=[leaves("Categorical", torch)], num_classes=1, num_sums=4, num_leaves=4, depth=2,
        num_repetitions=2, layer_type=layer, structure=structure,
    )  # fmt: skip
    same(model, TRITS, torch)


def test_spflow_rat_spns(torch: Any) -> None:
    from spflow.zoo.rat.rat_spn import RatSPN

    model = RatSPN(
        leaf_modules=[leaves("Bernoulli", torch, 3)], n_root_nodes=1, n_region_nodes=4, num_repetitions=2, depth=2,
        outer_product=True,
    )  # fmt: skip
    made = same(model, BITS, torch)
    assert np.exp(log_likelihood(made, BITS)).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("mode", ["consecutive", "interleaved", "by_index"])
@pytest.mark.parametrize("product", ["ElementwiseProduct", "OuterProduct"])
def test_spflow_products_of_parts(mode: str, product: str, torch: Any) -> None:
    from spflow.modules import products
    from spflow.modules.ops.split import SplitMode
    from spflow.modules.sums import Sum
    from spflow.modules.sums.repetition_mixing_layer import RepetitionMixingLayer

    made = getattr(SplitMode, mode)([[0, 3, 5, 6], [1, 2, 4, 7]] if mode == "by_index" else 2)
    parts = getattr(products, product)(leaves("Categorical", torch), num_splits=2, split_mode=made)
    inner = products.Product(Sum(parts, out_channels=2, num_repetitions=2))
    same(Sum(RepetitionMixingLayer(inner, out_channels=2, num_repetitions=2), out_channels=1), TRITS, torch)


def test_spflow_sums_of_different_modules_and_trees(torch: Any) -> None:
    from spflow.modules.leaves import Categorical, CLTree
    from spflow.modules.products import Product
    from spflow.modules.sums import ElementwiseSum, Sum

    first = Sum(Product(Categorical(scope=[0, 1], out_channels=3, K=3)), out_channels=2)
    second = Product(Categorical(scope=[0, 1], out_channels=2, K=3))
    same(Sum(ElementwiseSum([first, second], out_channels=2), out_channels=1), TRITS[:, :2], torch)
    same(Sum([first, second], out_channels=1), TRITS[:, :2], torch)
    data = torch.tensor(TRITS[:, :4], dtype=torch.float64)
    tree = CLTree(scope=[0, 1, 2, 3], out_channels=2, K=3)
    tree.fit_structure(data)
    tree.maximum_likelihood_estimation(data)
    same(Sum(Product(tree), out_channels=1), TRITS[:, :4], torch)


def test_spflow_leaves_over_counts(torch: Any) -> None:
    from spflow.modules import leaves as known
    from spflow.modules.products import Product
    from spflow.modules.sums import Sum

    def tensor(*values: float) -> Any:
        return torch.tensor([values], dtype=torch.float64)[:, :, None]

    one = dict(num_repetitions=1)
    parts = [
        known.Poisson(scope=0, rate=tensor(2.0, 0.5), **one),
        known.Geometric(scope=1, probs=tensor(0.3, 0.7), **one),
        known.NegativeBinomial(scope=2, total_count=tensor(3.0, 3.0), probs=tensor(0.3, 0.6), **one),
        known.Binomial(scope=3, total_count=tensor(4.0, 4.0), probs=tensor(0.3, 0.6), **one),
        known.Hypergeometric(scope=4, K=tensor(5.0, 5.0), N=tensor(9.0, 9.0), n=tensor(4.0, 4.0), **one),
    ]
    model = Sum(Product(parts), weights=torch.tensor([0.25, 0.75], dtype=torch.float64))
    made = from_spflow(model)
    assert made.grid is not None and {axis.kind for axis in made.grid.axes} == {"integers"}
    x = np.array([[0, 0, 0, 0, 0], [2, 1, 3, 4, 2], [1, 5, 2, 0, 4]])
    own = model.log_likelihood(torch.tensor(x, dtype=torch.float64)).detach().numpy().reshape(-1)
    assert np.abs(log_likelihood(made, made.grid.symbols_of(x)) - own).max() < 1e-9


def test_spflow_leaves_over_real_values(torch: Any) -> None:
    """Masses of fine bins over their widths are SPFlow's densities; Gaussians' are those of the error function."""
    pytest.importorskip("scipy", reason="needs the extra models")
    from spflow.meta.data import Scope
    from spflow.modules import leaves as known
    from spflow.modules.products import Product
    from spflow.modules.sums import Sum

    def tensor(*values: float) -> Any:
        return torch.tensor([values], dtype=torch.float64)[:, :, None]

    two = tensor(1.0, 2.0)
    parts = [
        known.Normal(scope=1, loc=tensor(0.0, 1.0), scale=two), known.Laplace(scope=2, loc=tensor(0.0, 1.0), scale=two),
        known.LogNormal(scope=4, loc=tensor(0.0, 0.5), scale=tensor(0.5, 0.25)), known.Exponential(scope=5, rate=two),
        known.Gamma(scope=6, concentration=tensor(2.0, 3.0), rate=two),
        known.Uniform(scope=7, low=tensor(0.0, 1.0), high=tensor(2.0, 3.0)),
        known.Histogram(scope=Scope([8]), bin_edges=torch.tensor([0.0, 0.5, 1.0, 3.0]),
                        probs=torch.tensor([[[[0.2, 0.3, 0.5]], [[0.5, 0.25, 0.25]]]])),
    ]  # fmt: skip
    model = Sum(Product(parts), weights=torch.tensor([0.25, 0.75], dtype=torch.float64))
    made = from_spflow(model, Gridding(symbols=512))
    grid = made.grid
    assert grid is not None and [axis.column for axis in grid.axes] == [1, 2, 4, 5, 6, 7, 8]
    x = np.array([[0.0, 0.3, 0.2, 0.0, 1.1, 0.3, 0.7, 1.5, 0.6], [0.0, -1.0, 2.2, 0.0, 2.0, 1.2, 1.9, 1.2, 2.2]])
    symbols = grid.symbols_of(x)
    widths = [np.diff(axis.edges)[symbols[:, place]] for place, axis in enumerate(grid.axes)]
    own = model.log_likelihood(torch.tensor(x)).detach().numpy().reshape(-1)
    assert np.abs(log_likelihood(made, symbols) - np.log(widths).sum(axis=0) - own).max() < 0.05
    edges = grid.axes[0].edges
    alone = np.full((1, 7), -1)
    alone[0, 0] = symbols[0, 0]
    expected = 0.25 * masses(edges, alone[0, 0], 0, 1) + 0.75 * masses(edges, alone[0, 0], 1, 2)
    assert np.exp(log_likelihood(made, alone)[0]) == pytest.approx(expected, rel=1e-9)


def test_spflow_refusals(torch: Any) -> None:
    from spflow.modules.leaves import Bernoulli, CLTree
    from spflow.modules.products import Product
    from spflow.modules.sums import Sum

    with pytest.raises(
        UsageError, match=r"must have one output, Sum has the shape \(1, 3, 1\) .*: put a Sum over them"
    ):
        from_spflow(Sum(Product(Bernoulli(scope=[0, 1], out_channels=2)), out_channels=3))
    with pytest.raises(
        UsageError, match=r"a module of an SPFlow model must be one of Sum, .*, got torch\.nn.*\.Linear"
    ):
        from_spflow(torch.nn.Linear(2, 2))
    with pytest.raises(UsageError, match=r"Bernoulli leaves must have parameters of their own"):
        from_spflow(Product(Bernoulli(scope=[0], parameter_fn=lambda evidence: {"probs": evidence})))
    with pytest.raises(UsageError, match=r"Sum \[\d, 0, 0\] must be over units with variables, one has none"):
        from_spflow(Sum(CLTree(scope=[0, 1], K=2), out_channels=1))


# deeprob-kit


def node(number: int, kind: str, scope: list[int], **more: Any) -> dict[str, Any]:
    return {"class": kind, "scope": scope, "id": number, **more}


def leaf(number: int, kind: str, variable: int, **parameters: Any) -> dict[str, Any]:
    return node(number, kind, [variable], params=parameters)


def links(*pairs: tuple[int, int, int]) -> list[dict[str, int]]:
    return [{"source": child, "target": parent, "idx": place} for child, parent, place in pairs]


def document(nodes: list[dict[str, Any]], edges: list[dict[str, int]], key: str = "links") -> dict[str, Any]:
    return {"directed": True, "multigraph": False, "graph": {}, "nodes": nodes, key: edges}


MIXED = document(
    [
        node(0, "Sum", [0, 2], weights=[0.25, 0.75]), node(1, "Product", [0, 2]), node(2, "Product", [0, 2]),
        leaf(3, "Bernoulli", 0, p=0.3), leaf(4, "Categorical", 2, categories=[0, 1, 4], probabilities=[0.2, 0.3, 0.5]),
        leaf(5, "Bernoulli", 0, p=0.8), leaf(6, "Categorical", 2, categories=[0, 2], probabilities=[0.5, 0.5]),
    ],
    links((1, 0, 0), (2, 0, 1), (3, 1, 0), (4, 1, 1), (5, 2, 1), (6, 2, 0)),
)  # fmt: skip


def write(value: Any, folder: Path) -> Path:
    path = folder / "a.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.mark.parametrize("key", ["links", "edges"])
def test_deeprob_json(key: str, tmp_path: Path) -> None:
    made = import_circuit(write({**{k: v for k, v in MIXED.items() if k != "links"}, key: MIXED["links"]}, tmp_path))
    grid = made.circuit.grid
    assert made.format == "json" and grid is not None and [axis.column for axis in grid.axes] == [0, 2]
    first, second = {0: 0.2, 1: 0.3, 4: 0.5}, {0: 0.5, 2: 0.5}
    for x, y in itertools.product(range(2), range(5)):
        expected = 0.25 * (0.7, 0.3)[x] * first.get(y, 0) + 0.75 * (0.2, 0.8)[x] * second.get(y, 0)
        assert np.exp(log_likelihood(made.circuit, [[x, y]])[0]) == pytest.approx(expected, rel=1e-12)


def test_deeprob_json_over_real_values(tmp_path: Path) -> None:
    nodes = [
        node(0, "Sum", [0], weights=[0.5, 0.25, 0.25]),
        leaf(1, "Isotonic", 0, densities=[0.4, 0.6], breaks=[0.0, 1.0, 3.0]),
        leaf(2, "Uniform", 0, start=-1.0, width=4.0), leaf(3, "Gaussian", 0, mean=1.0, stddev=0.5),
    ]  # fmt: skip
    made = import_circuit(write(document(nodes, links((1, 0, 0), (2, 0, 1), (3, 0, 2))), tmp_path)).circuit
    assert made.grid is not None
    edges = made.grid.axes[0].edges

    def below(x: float) -> float:
        share = 0.4 * min(max(x, 0), 1) + 0.3 * min(max(x - 1, 0), 2)
        return 0.5 * share + 0.25 * min(max((x + 1) / 4, 0), 1) + 0.25 * normal(x, 1, 0.5)

    inner = [below(edge) for edge in edges[1:-1]]
    expected = np.diff([0.0, *inner, 1.0])
    found = np.exp(log_likelihood(made, np.arange(len(edges) - 1)[:, None]))
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-8, abs=1e-15)


def test_deeprob_trees(tmp_path: Path) -> None:
    tables = np.random.default_rng(1).dirichlet([1, 1], (3, 2))
    tables[1, 1] = tables[1, 0]
    logs = np.log(tables).tolist()
    logs[2][0] = [0.0, -math.inf]  # JSON of Python writes -Infinity
    tables[2, 0] = [1, 0]
    tree = {"tree": [1, -1, 0], "params": logs}
    whole = document([node(0, "BinaryCLT", [0, 2, 1], params=tree)], [])
    alone = document(
        [
            {"scope": scope, "weight": row, "id": place}
            for place, (scope, row) in enumerate(zip([0, 2, 1], logs, strict=True))
        ],
        [{"source": 1, "target": 0}, {"source": 0, "target": 2}],
    )
    for value in (whole, alone):
        made = import_circuit(write(value, tmp_path)).circuit
        for record in itertools.product(range(2), repeat=3):
            a, b, c = record[0], record[2], record[1]  # positions 0, 1, 2 of the tree are variables 0, 2, 1
            expected = tables[1, 0, b] * tables[0, b, a] * tables[2, a, c]
            assert np.exp(log_likelihood(made, [record])[0]) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_deeprob_writes_what_is_read(tmp_path: Path) -> None:
    pytest.importorskip("deeprob", reason="needs deeprob-kit")
    from deeprob.spn.algorithms.inference import log_likelihood as own_likelihood
    from deeprob.spn.learning.wrappers import learn_estimator
    from deeprob.spn.structure.io import save_spn_json
    from deeprob.spn.structure.leaf import Bernoulli, Gaussian

    draws = np.random.default_rng(5)
    hidden = draws.random(600) < 0.5
    bits = (draws.random((600, 6)) < np.where(hidden, 0.8, 0.2)[:, None]).astype(np.float32)
    for extra in ({}, {"learn_leaf": "binary-clt"}):
        model = learn_estimator(
            bits, [Bernoulli] * 6, [[0, 1]] * 6, min_rows_slice=100, random_state=1, verbose=False, **extra
        )
        save_spn_json(model, tmp_path / "a.json")
        x = np.array(list(itertools.product((0, 1), repeat=6)))
        own = own_likelihood(model, x.astype(np.float32)).reshape(-1)
        for made in (import_circuit(tmp_path / "a.json").circuit, from_deeprob(model)):
            assert np.abs(log_likelihood(made, x) + made.log_constant - own).max() < 1e-5  # deeprob-kit's are float32
    real = (bits * 2 + draws.normal(size=bits.shape)).astype(np.float32)
    model = learn_estimator(real, [Gaussian] * 6, [(-9.0, 9.0)] * 6, min_rows_slice=100, random_state=1, verbose=False)
    made = from_deeprob(model, Gridding(symbols=256))
    assert made.grid is not None
    symbols = made.grid.symbols_of(real)
    widths = sum(np.log(np.diff(axis.edges)[symbols[:, place]]) for place, axis in enumerate(made.grid.axes))
    own = own_likelihood(model, real).reshape(-1)
    assert abs((log_likelihood(made, symbols) - widths - own).mean()) < 0.02


JSON_ERRORS: list[tuple[Any, type[Exception], str]] = [
    ("{", FormatError, r"deeprob-nodes: .*must be JSON of deeprob-kit, it seems to be JSON \("),
    ("PK\x03\x04", FormatError, r"it seems to be a zip archive, as torch\.save and skops write"),
    ("[1, 2]", FormatError, r"it seems to be a list of 2"),
    ({"learner": {}, "version": [1]}, FormatError, r"it seems to be an XGBoost model"),
    ({"Sum": {"children": []}}, FormatError, r"it seems to be a circuit as to_JSON of SPFlow 0\.0 writes it"),
    ({"nodes": [{"id": 1}], "links": []}, FormatError, r"a graph of networkx whose nodes are no units of deeprob-kit"),
    ({"version": 1, "axes": []}, FormatError, r"it seems to be a description of data's columns"),
    ({"a": 1}, FormatError, r"it seems to be an object with the keys a"),
    (document([leaf(0, "Bernoulli", 0, p=1.5)], []), FormatError, r"node 0: a probability must be finite and not neg"),
    (document([leaf(0, "Bernoulli", 0, p="0.5")], []), FormatError, r"node 0, its p must be a list of finite numbers"),
    (document([leaf(0, "Poisson", 0, p=1.5)], []), FormatError, r"node 0: the class must be Sum, .*, got Poisson"),
    (document([leaf(0, "Gaussian", 0, mean=1.5)], []), FormatError, r"a Gaussian must have mean, stddev, got mean"),
    (document([leaf(0, "Gaussian", 0, mean=1.5, stddev=-1)], []), FormatError, r"the std of a gaussian must be above"),
    (document([leaf(1, "Bernoulli", 0, p=0.5)], []), FormatError, r"must hold node 0, the root"),
    (document([node(0, "Sum", [0], weights=[1.0])], links((1, 0, 0))), FormatError, r"all nodes that it names, 1 is"),
    (document([node(0, "Sum", [0], weights=[1.0])], links((0, 0, 0))), FormatError, r"import-cycle: .*node 0 must not"),
    (document([node(0, "Sum", [0])], []), CircuitError, r"Sum 0 must have at least one child"),
    (document([node(0, "Sum", [0], weights=[]), leaf(1, "Bernoulli", 0, p=0.5)], links((1, 0, 0))), FormatError,
     r"node 0 must have one weight a child, 1, got 0"),
    (document([node(0, "Sum", [0], weights=[]), leaf(1, "Bernoulli", 0, p=0.5)], links((1, 0, 1))), FormatError,
     r"node 0: its children must be numbered 0\.\.0, got \[1\]"),
    (document([node(0, "BinaryCLT", [0, 1], params={"tree": [1, 0], "params": []})], []), FormatError,
     r"a BinaryCLT must have a tree and params of its 2 variables"),
    (document([node(0, "BinaryCLT", [0, 1, 2], params={"tree": [-1, 2, 1], "params": [[[0, 0]] * 2] * 3})], []),
     FormatError,
     r"import-cycle: .*the tree must reach all its variables from its root"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind", "message"), JSON_ERRORS)
def test_json_refused(value: Any, kind: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=message):
        import_circuit(write(value, tmp_path))


def test_deeprob_refuses_other_objects() -> None:
    with pytest.raises(UsageError, match=r"must be of nodes, Sum, Product and leaves, got dict"):
        from_deeprob({})


# libcirkit


@pytest.fixture
def cirkit() -> Any:
    """Give what builds and compiles circuits of libcirkit."""
    found = pytest.importorskip("torch", reason="needs the extra train")
    pytest.importorskip("cirkit", reason="needs libcirkit")
    found.manual_seed(5)
    from cirkit.pipeline import PipelineContext
    from cirkit.templates import data_modalities, utils

    def build(layer: str, inputs: str, fold: bool, optimize: bool) -> Any:
        name = "weight" if inputs == "embedding" else "logits"
        own = "uniform" if inputs == "embedding" else "normal"
        symbolic = data_modalities.image_data(
            (1, 3, 3), region_graph="quad-graph", input_layer=inputs, num_input_units=3, sum_product_layer=layer,
            num_sum_units=3,
            input_params={} if inputs == "gaussian" else {name: utils.Parameterization(initialization=own)},
        )  # fmt: skip
        return (
            PipelineContext(backend="torch", semiring="lse-sum", fold=fold, optimize=optimize)
            .compile(symbolic)
            .double()
        )

    return build


@pytest.mark.parametrize("layer", ["cp", "cp-t", "tucker"])
@pytest.mark.parametrize(
    ("inputs", "fold", "optimize"),
    [("categorical", True, True), ("embedding", True, False), ("binomial", False, False)],
)
def test_cirkit(layer: str, inputs: str, fold: bool, optimize: bool, cirkit: Any) -> None:
    import torch

    model = cirkit(layer, inputs, fold, optimize)
    made = from_cirkit(model)
    x = np.random.default_rng(2).integers(100, 150, (50, 9))
    own = model(torch.tensor(x)).detach().numpy().reshape(-1)
    near = 1e-3 if inputs == "binomial" else 1e-9  # torch takes the logarithms of a binomial's factorials in float32
    assert np.abs(log_likelihood(made, x) + made.log_constant - own).max() < near
    assert made.cardinalities == (256,) * 9 and made.grid is None
    assert (abs(made.log_constant) < 1e-5) == (inputs == "binomial")


def test_cirkit_gaussians(cirkit: Any) -> None:
    import torch

    model = cirkit("cp", "gaussian", True, True)
    made = from_cirkit(model, Gridding(symbols=1024))
    assert made.grid is not None
    x = np.random.default_rng(2).normal(size=(40, 9))
    symbols = made.grid.symbols_of(x)
    widths = sum(np.log(np.diff(axis.edges)[symbols[:, place]]) for place, axis in enumerate(made.grid.axes))
    own = model(torch.tensor(x, dtype=torch.float64)).detach().numpy().reshape(-1)
    assert np.abs(log_likelihood(made, symbols) + made.log_constant - widths - own).max() < 0.5
    assert abs((log_likelihood(made, symbols) + made.log_constant - widths - own).mean()) < 0.05


def test_cirkit_refusals(cirkit: Any) -> None:
    import torch

    with pytest.raises(UsageError, match=r"a circuit of libcirkit must be compiled, .*, got dict"):
        from_cirkit({})
    model = cirkit("cp", "embedding", False, False)
    with torch.no_grad():
        next(iter(model.layers[0].weight.parameters())).sub_(2)
    with pytest.raises(
        CircuitError, match=r"embedding input: the weights must not be negative, the least is -.* squared"
    ):
        from_cirkit(model)
