"""The worked example of hls/README.md: every number in it is the reference's, and what is written beside it."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest
from helpers.paths import HLS
from numpy.typing import NDArray

from pcedge import arithmetic
from pcedge.circuit.layers import ProductLayer
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.schedule.steps import Op, Step

README = HLS / "README.md"

#: part of the example and name of a number, to the number or numbers
Numbers = dict[tuple[str, str], int | list[int]]

#: X0 and X1
RECORD = np.array([[1, 1]])


def table(*counts: list[int]) -> NDArray[np.int64]:
    """Give cumulative tables of counts, a unit a row."""
    return np.concatenate([np.zeros((len(counts), 1), dtype=np.int64), np.cumsum(counts, axis=1)], axis=1)


def circuit() -> IntegerCircuit:
    layers = (
        IntegerInput(0, table([160, 6, 90], [16, 10, 230])),
        IntegerInput(1, table([250, 6], [236, 20])),
        IntegerSum((1,), np.array([[12, 4], [3, 13]])),
        ProductLayer((2, 0), np.array([[0, 0], [1, 1]])),
        IntegerSum((3,), np.array([[6, 10]])),
    )
    return IntegerCircuit(
        layers, weight_bits=4, leaf_bits=8, state_bits=8, scale_bits=16, range_bits=32, floor=1, order=(1, 0)
    )


def reference() -> Numbers:
    """Encode the record, and write down what every step computes on its way."""
    engine = ReferenceEngine(circuit())
    mantissas: list[NDArray[np.int64]] = []
    numbers: Numbers = {}

    def observe(index: int, step: Step, result: arithmetic.Vector) -> None:
        part = f"Step {index}"
        if step.op is Op.INTERVAL:
            numbers.update({(part, name): value for name, value in interval(engine, step, result[0]).items()})
        else:
            if step.op is not Op.INIT:
                sums = exact(engine, step, mantissas)
                numbers[part, "sums"] = sums[:, 0].tolist()
                length = int(arithmetic.bit_length(sums.max(axis=0))[0])
                numbers[part, "length"], numbers[part, "shift"] = length, length - engine.circuit.state_bits
            numbers[part, "mantissas"], numbers[part, "exponent"] = result[0][:, 0].tolist(), int(result[1][0])
            mantissas.append(result[0])

    lo, hi = engine.intervals(RECORD, observe)
    assert lo[0].tolist() == [numbers["Step 3", "b(1)"], numbers["Step 7", "b(1)"]]
    assert hi[0].tolist() == [numbers["Step 3", "b(2)"], numbers["Step 7", "b(2)"]]
    numbers.update({("Range coder", name): value for name, value in coded(engine, lo, hi).items()})
    return numbers


def exact(engine: ReferenceEngine, step: Step, values: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Compute what a step normalises; the values are numbered in the order of making."""
    layer = engine.circuit.layers[step.layer]
    sources = [values[source.value] for source in step.sources]
    if step.op is Op.MULTIPLY:
        assert step.gathers == (None, None)
        return sources[0] * sources[1]
    if isinstance(layer, IntegerInput):
        symbol = RECORD[0, step.variable]
        return np.diff(layer.cumulative, axis=1)[:, [symbol]]
    assert isinstance(layer, IntegerSum) and isinstance(layer.weights, np.ndarray)
    weights = layer.weights.T if step.op is Op.DOWN else layer.weights
    return arithmetic.mix_dense(weights.astype(np.float64), sources[0])


def interval(engine: ReferenceEngine, step: Step, context: NDArray[np.int64]) -> dict[str, int | list[int]]:
    widths = engine.circuit.widths
    rows = engine.table(step.layer)
    symbols = rows.shape[1] - 1
    amount, scale = arithmetic.interval_scale(context, symbols, widths)
    total = context.sum(axis=0)
    length = arithmetic.bit_length(total)
    divisor = total << (arithmetic.RECIPROCAL_BITS - length)
    made = {
        "S": total,
        "l": length,
        "d": divisor,
        "t": arithmetic.RECIPROCAL_TABLE[(divisor >> 7) - 256],
        "r": arithmetic.reciprocal(divisor),
        "G": np.array([(1 << widths.scale_bits) - symbols * widths.floor]),
        "R": scale,
        "n": amount,
    }
    first = int(RECORD[0, step.variable])
    for symbol in (first, first + 1):
        weighted = rows[:, symbol] @ context
        made[f"q({symbol})"] = weighted
        made[f"b({symbol})"] = arithmetic.interval_bound(weighted, np.array([symbol]), amount, scale, widths)
    return {name: int(value[0]) for name, value in made.items()}


def coded(engine: ReferenceEngine, lo: NDArray[np.int64], hi: NDArray[np.int64]) -> dict[str, int | list[int]]:
    widths = engine.circuit.widths
    low, width = np.array([0]), np.array([(1 << widths.range_bits) - 1])
    numbers: dict[str, int | list[int]] = {}
    for column, name in enumerate(("first", "second")):
        numbers[f"{name} unit"] = int(width[0]) >> widths.scale_bits
        low, width = arithmetic.range_narrow(low, width, lo[:, column], hi[:, column], widths)
        numbers[f"{name} low"], numbers[f"{name} range"] = int(low[0]), int(width[0])
        assert int(arithmetic.range_bytes(width, widths)[0]) == column
    digit, low, width = arithmetic.range_shift_out(low, width, widths)
    numbers |= {"digit": int(digit[0]), "low": int(low[0]), "range": int(width[0])}
    numbers["flush"] = int(arithmetic.range_flush(low, widths)[0])
    (lane,) = encode_lanes(engine, RECORD, 1)
    numbers["bytes"] = list(lane)
    return numbers


@pytest.fixture(scope="module")
def example() -> str:
    return README.read_text(encoding="utf-8").split("## A worked example", 1)[1].split("\n## ", 1)[0]


def compute(expression: str) -> object:
    """Evaluate what the page writes beside a number: integers, + - · // ^ >> <<, len for bits, and lists."""
    assert re.fullmatch(r"[0-9x a-f\[\](),+·/^<>ln-]*", expression), expression
    expression = re.sub(r"(\d+)\^(\d+)", lambda found: str(int(found[1]) ** int(found[2])), expression)
    return eval(expression.replace("·", "*"), {"len": int.bit_length, "__builtins__": {}})


def test_every_number_is_the_references(example: str) -> None:
    numbers = reference()
    part = ""
    seen = []
    for line in example.splitlines():
        if found := re.match(r"\*\*(Step \d+|Range coder)", line):
            part = found[1]
        elif found := re.fullmatch(r"\| (.+?) \| `(.+)` \| `(.+)` \|", line):
            name, how, value = found[1], found[2], ast.literal_eval(found[3])
            assert value == numbers[part, name], (part, name)
            assert compute(how) == value, (part, name)
            seen.append((part, name))
    assert seen == list(numbers)


def test_circuit_is_the_one_that_is_encoded(example: str) -> None:
    whole = circuit()
    found = re.findall(r"^\| (\d) \| [^|]* \| `(.*)` \| [^|]* \|$", example, re.M)
    assert [int(number) for number, _ in found] == list(range(len(whole.layers)))
    for (_, text), layer in zip(found, whole.layers, strict=True):
        numbers = np.array(ast.literal_eval(text))
        if isinstance(layer, IntegerInput):
            np.testing.assert_array_equal(numbers, layer.cumulative)
        elif isinstance(layer, IntegerSum):
            np.testing.assert_array_equal(numbers, layer.weights)
        else:
            np.testing.assert_array_equal(numbers, layer.gather)
    letters = {"W": whole.weight_bits, "L": whole.leaf_bits, "A": whole.state_bits, "P": whole.scale_bits}
    letters |= {"B": whole.range_bits, "f": whole.floor}
    assert ", ".join(f"{letter} = {value}" for letter, value in letters.items()) in example


def test_steps_are_those_of_the_schedule(example: str) -> None:
    steps = ReferenceEngine(circuit()).program.code.steps
    titles = re.findall(r"^\*\*(Step \d+, \w+)", example, re.M)
    assert titles == [f"Step {number}, {step.op.name}" for number, step in enumerate(steps)]


def test_the_bytes_decode_as_the_page_says(example: str) -> None:
    engine = ReferenceEngine(circuit())
    (lane,) = encode_lanes(engine, RECORD, 1)
    np.testing.assert_array_equal(decode_lanes(engine, [lane], 1), RECORD)
    assert f"the two bytes `{lane.hex(' ')}`" in example
    numbers = reference()
    offset = int.from_bytes(lane.ljust(4, b"\0"), "big")
    unit, start = numbers["Range coder", "first unit"], numbers["Step 3", "b(1)"]
    assert isinstance(unit, int) and isinstance(start, int) and unit * start <= offset
    assert f"offset {offset}" in example and f"{unit} · {start} = {unit * start}" in example
    offset -= unit * start
    unit = numbers["Range coder", "second unit"]
    low, high = numbers["Step 7", "b(1)"], numbers["Step 7", "b(2)"]
    assert isinstance(unit, int) and isinstance(low, int) and isinstance(high, int)
    assert unit * low <= offset < unit * high
    assert f"{unit * low} ≤ {offset} < {unit * high}" in example


def test_every_header_and_testbench_is_named() -> None:
    text = README.read_text(encoding="utf-8")
    folder = README.parent
    names = {path.name for part in ("include/pcedge/*/*.hpp", "testbench/*.cpp") for path in folder.glob(part)}
    assert names <= set(re.findall(r"`([a-z_0-9]+\.[ch]pp)`", text))
