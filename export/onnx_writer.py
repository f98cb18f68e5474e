"""From an integer circuit to an ONNX model that any runtime executes bit for bit (docs/onnx.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from pcedge.arithmetic import IntArray
from pcedge.circuit.layers import ProductLayer, SparseRows
from pcedge.circuit.structure import depth
from pcedge.coder.bounds import needed_widths
from pcedge.coder.schedule import Op, Ref, Schedule, Step, code_schedule, likelihood_schedule
from pcedge.errors import UsageError, WidthError
from pcedge.export.onnx_functions import DOMAIN, DOMAIN_VERSION, FALL, IR_VERSION, OPSET, onnx_functions
from pcedge.export.onnx_loop import loop_model
from pcedge.export.onnx_parameters import SPARSE_WEIGHTS, Parameters, check_size, parameters_of
from pcedge.export.onnx_stacks import Stack, pick_column, stack_steps
from pcedge.quantize.integer import IntegerCircuit, IntegerInput, IntegerSum

#: format of stacks, and that of deep and of large circuits, which loops over steps
FORMAT_VERSION, LOOP_VERSION = "2", "3"

#: layers on the longest way from the root to a leaf, and in all, above which a circuit is written as loops: its stacks
#: would be many thousand nodes, which onnxruntime takes minutes to load, or take minutes to be put together
DEEP, LARGE = 1024, 1 << 14

#: the widths that the metadata name
WIDTHS = ("weight_bits", "leaf_bits", "state_bits", "scale_bits", "range_bits", "floor")

#: metadata that the format itself defines; a note must have another name
METADATA = (
    "pcedge.format", "pcedge.digest", "pcedge.circuit", "pcedge.symbolizer", "pcedge.needed", "pcedge.log_constant",
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


def write_onnx(circuit: IntegerCircuit, path: str | Path, notes: Mapping[str, str] | None = None) -> None:
    """Write an integer circuit as an ONNX file; the same circuit and notes give the same bytes.

    Args:
        circuit: the circuit.
        path: the file.
        notes: further entries of the metadata, which are free: no part of the digest, and not checked by a reader.

    Raises:
        FormatError: the circuit is too large for an ONNX file.
        UsageError: a note has the name of an entry of the format.
        WidthError: the circuit adds more terms than the ONNX form can hold.
    """
    Path(path).write_bytes(to_onnx(circuit, notes).SerializeToString(deterministic=True))


def to_onnx(
    circuit: IntegerCircuit, notes: Mapping[str, str] | None = None, *, version: str | None = None
) -> onnx.ModelProto:
    """Write an integer circuit as an ONNX model.

    Args:
        circuit: the circuit.
        notes: further entries of the metadata, as in `write_onnx`.
        version: the format, `2` or `3`; None takes `3` for a deep or large circuit.

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
    check_size(parameters=sum(parameters_of(layer) for layer in circuit.layers))
    widths = circuit.widths
    if widths.accumulator + widths.state_bits > _SHIFT_BITS:
        raise WidthError(
            f"signal accumulator must fit {_SHIFT_BITS - widths.state_bits} bits in an ONNX model, "
            f"it needs {widths.accumulator}"
        )
    taken = sorted(set(notes or {}) & set(METADATA))
    if taken:
        raise UsageError(f"a note must have a name that the format does not use, got {taken[0]!r}")
    if (version or format_of(circuit)) == LOOP_VERSION:
        return _with_metadata(loop_model(circuit), circuit, {"widths": _widths(circuit)}, notes or {}, LOOP_VERSION)
    return _Writer(circuit).model(notes or {})


def format_of(circuit: IntegerCircuit) -> str:
    """Choose the format of a circuit: `3` if it is deep or large, else `2`."""
    return LOOP_VERSION if len(circuit.layers) > LARGE or depth(circuit.shapes) > DEEP else FORMAT_VERSION


def placements(circuit: IntegerCircuit) -> dict[str, list[Placement | None]]:
    """Tell for each schedule, `likelihood` and `code`, where the model keeps the value of every step.

    `INTERVAL` steps make no value and have None; a circuit that cannot be coded has no `code`.
    """
    found: dict[str, list[Placement | None]] = {}
    for name, schedule in _schedules(circuit).items():
        places: list[Placement | None] = [None] * len(schedule.steps)
        for stack in stack_steps(circuit, schedule, STACKS[name]):
            for row, index in enumerate(stack.steps):
                if schedule.steps[index].op is not Op.INTERVAL:
                    places[index] = Placement(*_tensors(stack), row)
        found[name] = places
    return found


def _schedules(circuit: IntegerCircuit) -> dict[str, Schedule]:
    found = {"likelihood": likelihood_schedule(circuit)}
    if circuit.structured:
        found["code"] = code_schedule(circuit)
    return found


def _tensors(stack: Stack) -> Names:
    return f"{stack.name}.m", f"{stack.name}.e"


class _Writer:
    """Hold the model while it grows."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        self.circuit = circuit
        self.nodes: list[onnx.NodeProto] = []
        self.parameters = Parameters(circuit)
        self.blocks = self.parameters.blocks
        #: lists of the sparse sums, as the likelihood's stacks have them
        self.lists: dict[int, tuple[list[str], int]] = {}
        self.stacks: tuple[Stack, ...] = ()
        self.steps: tuple[Step, ...] = ()
        #: value of the schedule at hand: number of its stack, row
        self.places: dict[int, tuple[int, int]] = {}
        self.operands: dict[tuple[tuple[tuple[int, int, int], ...], int, bool], Names] = {}

    def model(self, notes: Mapping[str, str]) -> onnx.ModelProto:
        circuit = self.circuit
        self._node("Transpose", ["symbols"], ["symbols.by_variable"], perm=[1, 0])
        for tables, parts in self.parameters.nested.items():
            self._node("Nested", parts, [tables], DOMAIN)
        for tables, parts in self.parameters.states.items():
            self._node("Tables", parts, [tables], DOMAIN)
        schedules = _schedules(circuit)
        self._program("likelihood", schedules["likelihood"])
        result = schedules["likelihood"].result
        step = next(step for step in self.steps if step.target == result)
        whole = self._operand("result", [Ref(result, 0, step.units)], exponent=True)
        outer = self.parameters.index([0, 1], np.int64)
        for tensor, output in zip(whole, ("mantissa", "exponent"), strict=True):
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
        return _with_metadata(model, circuit, self._describe(), notes, FORMAT_VERSION)

    def _node(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> None:
        # Without names of their own: in a file of a small circuit texts weigh more than weights.
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))

    def _program(self, name: str, schedule: Schedule) -> None:
        """Add the stacks of one schedule."""
        self.steps = schedule.steps
        self.stacks = stack_steps(self.circuit, schedule, STACKS[name])
        self.places = {
            self.steps[index].target: (number, row)
            for number, stack in enumerate(self.stacks)
            for row, index in enumerate(stack.steps)
        }
        self.operands = {}
        for stack in self.stacks:
            self._stack(stack, [self.steps[index] for index in stack.steps])

    def _stack(self, stack: Stack, steps: list[Step]) -> None:
        first = steps[0]
        inputs: list[str] = []
        attributes: dict[str, Any] = {"layers": [step.layer for step in steps]}
        outputs = _tensors(stack)
        for side in range(len(first.sources)):
            names = self._operand(
                f"{stack.name}.{side}", [step.sources[side] for step in steps], first.op is not Op.INTERVAL
            )
            inputs += [self._pick(stack, steps, side, names[0]), *names[1:]]
        if first.op in (Op.INIT, Op.LEAF, Op.INTERVAL):
            inputs.append("symbols.by_variable")
        if first.op in (Op.UP, Op.DOWN, Op.LIST):
            inputs += self._lists(stack, steps)
        if first.op in (Op.LEAF, Op.INTERVAL):
            inputs += [*self._rows(steps), self.parameters.index([step.variable for step in steps])]
        if first.op is Op.INTERVAL:
            outputs = (f"{stack.name}.lo", f"{stack.name}.hi")
        elif first.op not in (Op.INIT, Op.ALIGN):
            attributes["fill"] = 1 << (self.circuit.state_bits - 1) if first.revive else 0
            attributes["fall"] = 0 if first.revive else FALL
        self._node(stack.function, [name for name in inputs if name], outputs, DOMAIN, **attributes)

    def _rows(self, steps: list[Step]) -> list[str]:
        """Name the parameters of dense steps: the initializer of their family, and the rows."""
        blocks = [self.blocks[step.layer] for step in steps]
        return [blocks[0][0], self.parameters.index([row for _, row in blocks])]

    def _pick(self, stack: Stack, steps: list[Step], side: int, source: str) -> str:
        """Gather the units that a product layer's lists name."""
        if steps[0].gathers[side] is None:
            return source
        layer = self.circuit.layers[steps[0].layer]
        assert isinstance(layer, ProductLayer)
        picked = f"{stack.name}.{side}p"
        column = pick_column(layer, steps[0].gathers[side])
        layers = [step.layer for step in steps]
        self._node("Pick", [source, *self._rows(steps)], [picked], DOMAIN, layers=layers, column=column)
        return picked

    def _lists(self, stack: Stack, steps: list[Step]) -> list[str]:
        """Name the weights of sums, or the lists of sparse sums and list sums, as entries of the whole stack."""
        if stack.function in ("Sum", "Context"):
            return self._rows(steps)
        sources, starts, entries = [], [], []
        count = 0
        for row, step in enumerate(steps):
            lists, values = self._one_list(step)
            sources.append(lists.indices + row * step.sources[0].units)
            starts.append(lists.indptr + count)
            entries.append(values)
            count += len(lists.indices)
        names = [self.parameters.index(np.concatenate(sources)), self.parameters.index(np.stack(starts))]
        if steps[0].op is Op.LIST:
            return names
        names = [SPARSE_WEIGHTS, self.parameters.index(np.concatenate(entries)), *names]
        if stack.function == "SparseSum":
            self.lists.update((step.layer, (names[1:], row)) for row, step in enumerate(steps))
        return names

    def _one_list(self, step: Step) -> tuple[SparseRows, IntArray]:
        """Give the lists of one step, and the places of their values in the initializer `weights`."""
        if step.op is Op.LIST:
            assert step.lists is not None
            return step.lists, np.zeros(0, dtype=np.int64)
        layer = self.circuit.layers[step.layer]
        assert isinstance(layer, IntegerSum) and isinstance(layer.weights, SparseRows)
        rows = layer.weights
        places = self.blocks[step.layer][1] + np.arange(len(rows.values), dtype=np.int64)
        placed = SparseRows(rows.indptr, rows.indices, places, rows.columns)
        if step.op is Op.DOWN:
            placed = placed.transposed()
        return placed, placed.values.astype(np.int64)

    def _operand(self, prefix: str, sources: list[Ref], exponent: bool) -> Names:
        """Bring together the rows of earlier stacks that the rows of a stack read."""
        key = tuple((*self.places[source.value], source.offset) for source in sources)
        units = sources[0].units
        if (key, units, exponent) in self.operands:
            return self.operands[key, units, exponent]
        parts: dict[tuple[int, int], list[int]] = {}
        for place, (number, _, offset) in enumerate(key):
            parts.setdefault((number, offset), []).append(place)
        mantissas, exponents = [], []
        for part, ((number, offset), members) in enumerate(parts.items()):
            stack = self.stacks[number]
            mantissa, scale = _tensors(stack)
            rows = [key[place][1] for place in members]
            tag = f"{prefix}.{part}" if len(parts) > 1 else prefix
            if rows != list(range(len(stack.steps))):
                index = self.parameters.index(rows)
                mantissa = self._gather(mantissa, index, f"{tag}r")
                scale = self._gather(scale, index, f"{tag}x") if exponent else ""
            if units != stack.units:
                columns = self.parameters.index(np.arange(offset, offset + units))
                mantissa = self._gather(mantissa, columns, f"{tag}u", axis=1)
            mantissas.append(mantissa)
            exponents.append(scale)
        joined = [place for members in parts.values() for place in members]
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

    def _join(self, parts: list[str], order: list[int], output: str) -> str:
        """Put parts one after the other, and their rows at the places in `order`."""
        if len(parts) == 1:
            return parts[0]
        straight = order == list(range(len(order)))
        whole = output if straight else f"{output}j"
        self._node("Concat", parts, [whole], axis=0)
        return whole if straight else self._gather(whole, self.parameters.index(np.argsort(order)), output)

    def _bounds(self) -> None:
        """Bring the intervals of all stacks into coding order, records first."""
        stacks = [stack for stack in self.stacks if stack.function == "Interval"]
        rank = {variable: place for place, variable in enumerate(self.circuit.order)}
        order = [rank[self.steps[index].variable] for stack in stacks for index in stack.steps]
        for end in ("lo", "hi"):
            whole = self._join([f"{stack.name}.{end}" for stack in stacks], list(range(len(order))), f"{end}.stacked")
            if order != list(range(len(order))):
                whole = self._gather(whole, self.parameters.index(np.argsort(order)), f"{end}.ordered")
            self._node("Transpose", [whole], [end], perm=[1, 0])

    def _describe(self) -> dict[str, Any]:
        """Describe the circuit without its parameters."""
        circuit = self.circuit
        layers: list[dict[str, Any]] = []
        blocks: dict[str, int] = {}
        for index, layer in enumerate(circuit.layers):
            entry: dict[str, Any] = {"kind": layer.shape.kind}
            if isinstance(layer, IntegerInput):
                entry["variable"] = int(layer.variable)
            else:
                entry["children"] = [int(child) for child in layer.children]
            if index in self.lists:
                names, row = self.lists[index]
                entry |= {"lists": names, "row": row}
            elif index in self.blocks:
                name, row = self.blocks[index]
                entry["block"] = [blocks.setdefault(self.parameters.states.get(name, [name])[-1], len(blocks)), row]
            layers.append(entry)
        return {
            "widths": _widths(circuit),
            "order": [int(variable) for variable in circuit.order],
            "blocks": list(blocks),
            "layers": layers,
        }


def _widths(circuit: IntegerCircuit) -> dict[str, int]:
    return {name: int(getattr(circuit, name)) for name in WIDTHS}


def _with_metadata(
    model: onnx.ModelProto, circuit: IntegerCircuit, description: dict[str, Any], notes: Mapping[str, str], version: str
) -> onnx.ModelProto:
    """Add what the format keeps in the metadata."""
    text = json.dumps(description, separators=(",", ":"))
    check_size(characters=len(text))
    properties = {"format": version, "digest": circuit.digest.hex(), "circuit": text}
    if circuit.symbolizer is not None:
        properties["symbolizer"] = circuit.symbolizer.to_json()
        check_size(characters=len(properties["symbolizer"]))
    # To bound the steps of a large circuit takes longer than all else, and nothing that runs the file needs it.
    if version == FORMAT_VERSION:
        properties["needed"] = json.dumps(needed_widths(circuit), separators=(",", ":"))
    if circuit.log_constant:
        properties["log_constant"] = repr(circuit.log_constant)
    helper.set_model_props(model, {f"pcedge.{key}": value for key, value in properties.items()} | dict(notes))
    return model


def _value(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)
