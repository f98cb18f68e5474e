"""From an integer circuit to an ONNX model that any runtime executes bit for bit (docs/onnx.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import onnx
from onnx import TensorProto, helper

from pcedge.arrays import IntArray
from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import UsageError, WidthError
from pcedge.export.onnx.functions import DOMAIN, DOMAIN_VERSION, FALL, IR_VERSION, OPSET, onnx_functions
from pcedge.export.onnx.initializers import SPARSE_WEIGHTS, Parameters, check_size, parameters_of
from pcedge.export.onnx.loop import loop_model
from pcedge.export.onnx.metadata import (
    LOOPED,
    METADATA,
    describe,
    format_of,
    version_of,
    widths_and_tails,
    with_metadata,
)
from pcedge.export.onnx.stacks import Stack, pick_column, stack_steps
from pcedge.files import write_whole
from pcedge.integer.circuit import IntegerCircuit, IntegerSum
from pcedge.schedule.program import Program
from pcedge.schedule.steps import (
    Align,
    Down,
    Gather,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Ref,
    Schedule,
    Step,
    Up,
)  # fmt: skip

#: by schedule the first letter of its stacks' names
STACKS = {"likelihood": "L", "code": "C"}

#: mantissas wait for their shift to the right this many bits up, in uint64
_SHIFT_BITS = 64

#: the mantissa and the exponent of a stack or an operand; the exponent is empty where nobody reads it
Names = tuple[str, str]


@dataclass(frozen=True)
class Placement:
    """Tell where a model keeps the value of a step: row `row` of two tensors, [R, units, N] and [R, 1, N]."""

    mantissa: str
    exponent: str
    row: int


def write_onnx(circuit: IntegerCircuit | Program, path: str | Path, notes: Mapping[str, str] | None = None) -> None:
    """Write an integer circuit as an ONNX file; the same circuit and notes give the same bytes.

    Args:
        circuit: the circuit, or its program where that is at hand.
        path: the file.
        notes: further entries of the metadata, which are free: no part of the digest, and not checked by a reader.

    Raises:
        FormatError: the circuit is too large for an ONNX file.
        UsageError: a note has the name of an entry of the format.
        WidthError: the circuit adds more terms than the ONNX form can hold.
    """
    write_whole(Path(path), onnx_bytes(circuit, notes))


def onnx_bytes(circuit: IntegerCircuit | Program, notes: Mapping[str, str] | None = None) -> bytes:
    """Give the bytes of the file that `write_onnx` writes, with its arguments and errors."""
    return bytes(to_onnx(circuit, notes).SerializeToString(deterministic=True))


def to_onnx(
    circuit: IntegerCircuit | Program, notes: Mapping[str, str] | None = None, *, version: str | None = None
) -> onnx.ModelProto:
    """Write an integer circuit as an ONNX model.

    Args:
        circuit: the circuit, or its program where that is at hand.
        notes: further entries of the metadata, as in `write_onnx`.
        version: the format, `2` or `3`, of a circuit with a row table `4` or `5`; None takes the second for a deep or
            large circuit.

    Raises:
        FormatError: the circuit is too large for an ONNX file.
        UsageError: a note has the name of an entry of the format.
        WidthError: the circuit adds more terms than the ONNX form can hold.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.quantize import quantize
        >>> model = to_onnx(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        >>> [node.op_type for node in model.graph.node if node.domain]
        ['Leaf', 'Root', 'Interval']
    """
    program = Program.of(circuit)
    check_size(parameters=sum(parameters_of(layer) for layer in program.circuit.layers))
    widths = program.circuit.widths
    if widths.accumulator + widths.state_bits > _SHIFT_BITS:
        raise WidthError(
            f"signal accumulator must fit {_SHIFT_BITS - widths.state_bits} bits in an ONNX model, "
            f"it needs {widths.accumulator}"
        )
    taken = sorted(set(notes or {}) & set(METADATA))
    if taken:
        raise UsageError(f"a note must have a name that the format does not use, got {taken[0]!r}")
    if (version or format_of(program.circuit)) in LOOPED:
        description, version = widths_and_tails(program.circuit), version_of(program.circuit, looped=True)
        return with_metadata(loop_model(program.circuit), program, description, notes or {}, version)
    return _Writer(program).model(notes or {})


def placements(circuit: IntegerCircuit | Program) -> dict[str, list[Placement | None]]:
    """Tell for each schedule, `likelihood` and `code`, where the model keeps the value of every step.

    `INTERVAL` steps make no value and have None; a circuit that cannot be coded has no `code`.
    """
    locations: dict[str, list[Placement | None]] = {}
    program = Program.of(circuit)
    for name, schedule in _schedules(program).items():
        steps: list[Placement | None] = [None] * len(schedule.steps)
        for stack in stack_steps(program.circuit, schedule, STACKS[name]):
            for row, index in enumerate(stack.steps):
                if not isinstance(schedule.steps[index], Interval):
                    steps[index] = Placement(*_tensors(stack), row)
        locations[name] = steps
    return locations


def _schedules(program: Program) -> dict[str, Schedule]:
    schedules = {"likelihood": program.likelihood}
    if program.circuit.structured:
        schedules["code"] = program.code
    return schedules


def _tensors(stack: Stack) -> Names:
    return f"{stack.name}.m", f"{stack.name}.e"


class _Writer:
    """Hold the model while it grows."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.circuit = circuit = program.circuit
        self.nodes: list[onnx.NodeProto] = []
        self.parameters = Parameters(circuit)
        self.blocks = self.parameters.blocks
        #: lists of the sparse sums, as the likelihood's stacks have them
        self.lists: dict[int, tuple[list[str], int]] = {}
        self.stacks: tuple[Stack, ...] = ()
        self.steps: tuple[Step, ...] = ()
        #: whether those of the schedule at hand keep what truncation would make zero
        self.keep = False
        #: value of the schedule at hand: number of its stack, row
        self.locations: dict[int, tuple[int, int]] = {}
        self.operands: dict[tuple[tuple[tuple[int, int, int], ...], int, bool], Names] = {}

    def model(self, notes: Mapping[str, str]) -> onnx.ModelProto:
        circuit = self.circuit
        self._node("Transpose", ["symbols"], ["symbols.by_variable"], perm=[1, 0])
        for tables, arrays in self.parameters.nested.items():
            self._node("Nested", arrays, [tables], DOMAIN)
        for weights, arrays in self.parameters.turned.items():
            self._node("Rows", arrays, [weights], DOMAIN)
        for tables, arrays in self.parameters.states.items():
            self._node("Tables", arrays, [tables], DOMAIN)
        schedules = _schedules(self.program)
        self._program("likelihood", schedules["likelihood"])
        result = schedules["likelihood"].result
        units = next(step.units for step in self.steps if not isinstance(step, Interval) and step.target == result)
        tensors = self._operand("result", [Ref(result, 0, units)], exponent=True)
        outer = self.parameters.index([0, 1], np.int64)
        for tensor, output in zip(tensors, ("mantissa", "exponent"), strict=True):
            self._node("Squeeze", [tensor, outer], [output])
        outputs = [_value("mantissa", ["N"]), _value("exponent", ["N"])]
        if "code" in schedules:
            self._program("code", schedules["code"])
            self._bounds()
            outputs += [_value("lo", ["N", len(circuit.order)]), _value("hi", ["N", len(circuit.order)])]
        graph = helper.make_graph(
            self.nodes,
            "pcedge",
            [_value("symbols", ["N", len(circuit.order)])],
            outputs,
            self.parameters.initializers(),
        )
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)],
            functions=onnx_functions(circuit, {node.op_type for node in self.nodes if node.domain == DOMAIN}),
            producer_name="pcedge",
        )
        description = describe(circuit, self.parameters, self.lists)
        return with_metadata(model, self.program, description, notes, version_of(circuit, looped=False))

    def _node(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> None:
        # Without names of their own: in a file of a small circuit texts weigh more than weights.
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))

    def _program(self, name: str, schedule: Schedule) -> None:
        """Add the stacks of one schedule."""
        self.steps, self.keep = schedule.steps, schedule.keep
        self.stacks = stack_steps(self.circuit, schedule, STACKS[name])
        self.locations = {
            step.target: (number, row)
            for number, stack in enumerate(self.stacks)
            for row, index in enumerate(stack.steps)
            if not isinstance(step := self.steps[index], Interval)
        }
        self.operands = {}
        for stack in self.stacks:
            self._stack(stack, [self.steps[index] for index in stack.steps])

    def _stack(self, stack: Stack, steps: list[Step]) -> None:
        first = steps[0]
        inputs: list[str] = []
        layers = [-1 if isinstance(step, Init) else step.layer for step in steps]
        attributes: dict[str, Any] = {"layers": layers}
        outputs = _tensors(stack)
        for side in range(len(first.sources)):
            names = self._operand(
                f"{stack.name}.{side}", [step.sources[side] for step in steps], not isinstance(first, Interval)
            )
            mantissa = names[0]
            if isinstance(first, Multiply) and first.gathers[side] is not None:
                mantissa = self._pick(stack, layers, side, mantissa, first.gathers[side])
            inputs += [mantissa, *names[1:]]
        match first:
            case Init():
                inputs.append("symbols.by_variable")
            case Leaf() | Interval():
                variables = [step.variable for step in steps if isinstance(step, Leaf | Interval)]
                inputs += ["symbols.by_variable", *self._rows(layers), self.parameters.index(variables)]
                if stack.function == "TailLeaf":
                    tails = [self.parameters.tails[layer] for layer in layers]
                    inputs += [tails[0][0], self.parameters.index([row for _, row in tails])]
            case Up() | Down() | ListSum():
                inputs += self._lists(stack, [step for step in steps if isinstance(step, Up | Down | ListSum)])
            case Multiply() | Align():
                pass
            case _:
                assert_never(first)
        if isinstance(first, Interval):
            outputs = (f"{stack.name}.lo", f"{stack.name}.hi")
        elif not isinstance(first, Init | Align) and not self.keep:
            attributes["fill"] = 1 << (self.circuit.state_bits - 1) if first.revive else 0
            attributes["fall"] = 0 if first.revive else FALL
        self._node(stack.function, [name for name in inputs if name], outputs, DOMAIN, **attributes)

    def _rows(self, layers: list[int]) -> list[str]:
        """Name the parameters of dense layers: the initializer of their family, and the rows."""
        blocks = [self.blocks[layer] for layer in layers]
        return [blocks[0][0], self.parameters.index([row for _, row in blocks])]

    def _pick(self, stack: Stack, layers: list[int], side: int, source: str, gather: Gather | None) -> str:
        """Gather the units that a product layer's lists name."""
        layer = self.circuit.layers[layers[0]]
        assert isinstance(layer, ProductLayer)
        picked = f"{stack.name}.{side}p"
        column = pick_column(layer, gather)
        self._node("Pick", [source, *self._rows(layers)], [picked], DOMAIN, layers=layers, column=column)
        return picked

    def _lists(self, stack: Stack, steps: list[Up | Down | ListSum]) -> list[str]:
        """Name the weights of sums, or the lists of sparse sums and list sums, as entries of the whole stack."""
        if not isinstance(steps[0], ListSum) and self.blocks[steps[0].layer][0] != SPARSE_WEIGHTS:
            return self._rows([step.layer for step in steps])
        sources, starts, entries = [], [], []
        count = 0
        for row, step in enumerate(steps):
            lists, values = self._one_list(step)
            sources.append(lists.indices + row * step.source.units)
            starts.append(lists.indptr + count)
            entries.append(values)
            count += len(lists.indices)
        names = [self.parameters.index(np.concatenate(sources)), self.parameters.index(np.stack(starts))]
        if isinstance(steps[0], ListSum):
            return names
        names = [SPARSE_WEIGHTS, self.parameters.index(np.concatenate(entries)), *names]
        if isinstance(steps[0], Up):
            self.lists.update((step.layer, (names[1:], row)) for row, step in enumerate(steps))
        return names

    def _one_list(self, step: Up | Down | ListSum) -> tuple[SparseRows, IntArray]:
        """Give the lists of one step, and the places of their values in the initializer `weights`."""
        if isinstance(step, ListSum):
            return step.lists, np.zeros(0, dtype=np.int64)
        layer = self.circuit.layers[step.layer]
        assert isinstance(layer, IntegerSum) and isinstance(layer.weights, SparseRows)
        rows = layer.weights
        positions = self.blocks[step.layer][1] + np.arange(len(rows.values), dtype=np.int64)
        placed = SparseRows(rows.indptr, rows.indices, positions, rows.columns)
        if isinstance(step, Down):
            placed = placed.transposed()
        return placed, placed.values.astype(np.int64)

    def _operand(self, prefix: str, sources: list[Ref], exponent: bool) -> Names:
        """Bring together the rows of earlier stacks that the rows of a stack read."""
        key = tuple((*self.locations[source.value], source.offset) for source in sources)
        units = sources[0].units
        if (key, units, exponent) in self.operands:
            return self.operands[key, units, exponent]
        groups: dict[tuple[int, int], list[int]] = {}
        for index_in_stack, (number, _, offset) in enumerate(key):
            groups.setdefault((number, offset), []).append(index_in_stack)
        mantissas, exponents = [], []
        for group, ((number, offset), members) in enumerate(groups.items()):
            stack = self.stacks[number]
            mantissa, scale = _tensors(stack)
            rows = [key[index_in_stack][1] for index_in_stack in members]
            tag = f"{prefix}.{group}" if len(groups) > 1 else prefix
            if rows != list(range(len(stack.steps))):
                index = self.parameters.index(rows)
                mantissa = self._gather(mantissa, index, f"{tag}r")
                scale = self._gather(scale, index, f"{tag}x") if exponent else ""
            if units != stack.units:
                columns = self.parameters.index(np.arange(offset, offset + units))
                mantissa = self._gather(mantissa, columns, f"{tag}u", axis=1)
            mantissas.append(mantissa)
            exponents.append(scale)
        joined = [index_in_stack for members in groups.values() for index_in_stack in members]
        names = (
            self._join(mantissas, joined, f"{prefix}s"),
            self._join(exponents, joined, f"{prefix}e") if exponent else "",
        )
        self.operands[key, units, exponent] = names
        return names

    def _gather(self, tensor: str, index: str, output: str, axis: int = 0) -> str:
        attributes: dict[str, Any] = {"axis": axis} if axis else {}
        self._node("Gather", [tensor, index], [output], **attributes)
        return output

    def _join(self, tensors: list[str], order: list[int], output: str) -> str:
        """Put parts one after the other, and their rows at the places in `order`."""
        if len(tensors) == 1:
            return tensors[0]
        straight = order == list(range(len(order)))
        joined = output if straight else f"{output}j"
        self._node("Concat", tensors, [joined], axis=0)
        return joined if straight else self._gather(joined, self.parameters.index(np.argsort(order)), output)

    def _bounds(self) -> None:
        """Bring the intervals of all stacks into coding order, records first."""
        stacks = [stack for stack in self.stacks if stack.function == "Interval"]
        rank = {variable: position for position, variable in enumerate(self.circuit.order)}
        order = [
            rank[step.variable]
            for stack in stacks
            for index in stack.steps
            if isinstance(step := self.steps[index], Interval)
        ]
        for end in ("lo", "hi"):
            joined = self._join([f"{stack.name}.{end}" for stack in stacks], list(range(len(order))), f"{end}.stacked")
            if order != list(range(len(order))):
                joined = self._gather(joined, self.parameters.index(np.argsort(order)), f"{end}.ordered")
            self._node("Transpose", [joined], [end], perm=[1, 0])


def _value(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)
