"""Random predictor stages that keep every rule, and circuits that have them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pcedge.arrays import IntArray
from pcedge.data.columns import Columns
from pcedge.data.prediction import centred, observe
from pcedge.data.predictor import CELLS, KINDS, Adaptation, Feature, Group, Node, Offset, Predictor
from pcedge.data.symbolizer import value_range
from pcedge.export.project.prediction import draw_rows
from pcedge.integer.circuit import IntegerCircuit
from pcedge.learn.classes import Mixture, to_circuit
from pcedge.quantize import quantize

#: shapes of rows and dtypes, of which a case takes one each
SHAPES = ((3,), (2, 3), (1,), (9,), (2, 2, 2), (4, 5))
DTYPES = ("int16", "uint8", "int64", "uint16", "uint64", "int32", "bool", "int8", "uint32")

#: a small stage with every part: two groups, an adaptation, features, a tree, classes of other shifts
GROUP = Group(-(2**15), 2**15 - 1, 4, (60000, 5000), -70000)
STAGE = Predictor(
    "int16", (2,), (GROUP, replace(GROUP, origin=0, coefficients=(65536, 0))), (0, 1), ((1, 0), (1, -1)),
    Adaptation(((1, 0), (2, 0)), 6),
    (Feature("activity", ((1, 0), (0, 1)), (2, 1)), Feature("column")),
    (Node(0, 20, 1, -1), Node(1, 0, -2, -3)), ((0, 0), (1, 2), (0, 1)), 12, 16,
)  # fmt: skip

#: residuals that stages list, of which most come in drawn rows
LISTED = (-900, -2, 0, 1, 5, 1 << 20)


def circuit_of(stage: Predictor, states: int = 2, seed: int = 0) -> IntegerCircuit:
    """Quantize a mixture for a stage's classes and tokens."""
    generator = np.random.default_rng(seed)
    tokens = stage.cardinalities[1]
    leaves = generator.dirichlet(np.full(tokens, 2.0), states)
    weights = generator.dirichlet(np.ones(states), len(stage.classes))
    return quantize(to_circuit(Mixture(weights, leaves), stage))


def offsets(generator: np.random.Generator, shape: Sequence[int], count: int) -> tuple[Offset, ...]:
    """Draw different neighbours, of which most lie within a row."""
    reach = np.array([4, *(min(3, max(1, size - 1)) for size in shape)])
    found: dict[Offset, None] = {}
    while len(found) < count:
        offset = tuple(generator.integers(-reach, reach + 1).tolist())
        if next((step for step in offset if step), 0) > 0:
            found[offset] = None
    return tuple(found)


def group(generator: np.random.Generator, dtype: str, neighbours: int, wide: bool) -> Group:
    """Draw a group: a range within that of the dtype, coefficients of any size."""
    least, largest = value_range(dtype)
    if wide:
        low, high = (least, largest) if generator.random() < 0.5 else (least // 2, largest // 2 + 5)
        coefficients = generator.integers(-3, 4, neighbours)
        return Group(low, high, int(generator.integers(low // 2, high // 4)), tuple(coefficients.tolist()))
    span = min(largest - least, (1 << 32) - 1)
    low = least + int(generator.integers(0, max(1, (largest - least - span) // 2 + 1), dtype=np.uint64))
    high = low + int(generator.integers(max(1, span // 2), span + 1, dtype=np.uint64))
    sizes = generator.choice([0, 1 << 14, 1 << 16, (1 << 21) - 1], neighbours, p=[0.2, 0.4, 0.35, 0.05])
    coefficients = np.rint(sizes * generator.uniform(-1, 1, neighbours)).astype(int)
    constant = int(generator.integers(-(1 << 20), 1 << 20))
    return Group(low, high, low + int(generator.integers(0, high - low + 1)), tuple(coefficients.tolist()), constant)


def feature(generator: np.random.Generator, kind: str, shape: Sequence[int]) -> Feature:
    """Draw a feature of a kind."""
    if kind in ("column", "prediction"):
        return Feature(kind)
    many = {"slope": 1, "gradient": 2 * int(generator.integers(1, 4))}.get(kind, int(generator.integers(1, 5)))
    neighbours = offsets(generator, shape, many)
    weighted = kind in ("value", "residual", "activity")
    return Feature(kind, neighbours, tuple(generator.integers(-1024, 1025, many).tolist()) if weighted else ())


def tree(generator: np.random.Generator, values: IntArray, classes: int) -> tuple[Node, ...]:
    """Draw a tree whose thresholds are values of its features, (cells, features): leaves are split one by one."""
    children = [[-1, -1]]
    for _ in range(classes - 2):
        leaves = [(n, s) for n, pair in enumerate(children) for s in (0, 1) if pair[s] < 0]
        at, side = leaves[int(generator.integers(len(leaves)))]
        children[at][side] = len(children)
        children.append([-1, -1])
    fresh = itertools.count(1)
    nodes = []
    for pair in children:
        feature = int(generator.integers(values.shape[1]))
        threshold = int(np.sort(values[:, feature])[int(len(values) * generator.uniform(0.2, 0.8))])
        nodes.append(Node(feature, threshold, *(child if child >= 0 else -next(fresh) for child in pair)))
    return tuple(nodes)


def described(stage: Predictor, rows: int) -> IntArray:
    """Compute the features of drawn rows, (cells, features)."""
    numbers = centred(stage, draw_rows(stage, rows))[None]
    lanes, predictions = observe(stage, numbers)
    columns = np.tile(np.arange(stage.columns), rows)
    found = lanes.describe(columns, lanes.plan.cells.ravel(), predictions.reshape(1, -1))
    return found.reshape(-1, len(stage.features)).astype(np.int64)


def random_predictor(case: int) -> Predictor:
    """Walk through dtypes, shapes, and every kind of feature; adaptation, one class, listed residuals in some cases."""
    generator = np.random.default_rng(case)
    dtype, shape = DTYPES[case % len(DTYPES)], SHAPES[case % len(SHAPES)]
    columns = int(np.prod(shape))
    neighbours = offsets(generator, shape, int(generator.integers(0, 7)))
    big = dtype in ("int64", "uint64")
    groups = tuple(
        group(generator, dtype, len(neighbours), big and number % 2 == 0)
        for number in range(min(columns, 1 + case % 3))
    )
    group_of = tuple(generator.permutation(np.arange(columns) % len(groups)).tolist())
    features = tuple(feature(generator, kind, shape) for kind in generator.permutation(KINDS).tolist())
    classes = 1 if case % 5 == 4 else int(generator.integers(2, 9))
    adaptation = Adaptation(offsets(generator, shape, int(generator.integers(1, 6))), int(generator.integers(1, 17)))
    stage = Predictor(
        dtype, shape, groups, group_of, neighbours, adaptation if case % 3 else None, features, (), ((0, 0),),
        int(generator.integers(1, 40)), 64, listed=LISTED if case % 4 == 1 else (),
    )  # fmt: skip
    if classes == 1:
        return stage
    bits = max(g.high - g.low for g in groups).bit_length()
    sizes = 1 << generator.integers(0, 1 + min(bits, 39), classes)
    biases = np.rint(generator.uniform(-1, 1, classes) * sizes).astype(int).tolist()
    shifts = generator.integers(0, 1 + min(2 * bits // 3, 60), classes).tolist()
    escapes = max(stage.escapes_needed(shift, bias) for bias, shift in zip(biases, shifts, strict=True))
    nodes = tree(generator, described(stage, 40), classes)
    return replace(stage, tree=nodes, classes=tuple(zip(biases, shifts, strict=True)), escapes=escapes)


def with_gaps(case: int) -> tuple[Predictor, np.ndarray]:
    """Make a stage whose columns mark missing values, and data with gaps."""
    generator = np.random.default_rng(case)
    x = generator.integers(-50, 50, (60, 3)).cumsum(axis=0).astype(np.int16)
    x[generator.random(x.shape) < 0.2] = -32768
    plain = random_predictor(case)
    source = Columns.of(x, missing=-32768)
    groups = tuple(replace(group, low=-32768, high=32767, origin=7) for group in plain.groups)
    stage = replace(plain, dtype=CELLS, groups=groups, source=source, escapes=64)
    assert stage.shape == source.cell_shape and stage.missing_token is not None
    return stage, x
