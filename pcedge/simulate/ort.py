"""The onnxruntime rung: the ONNX model of a circuit, run as it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.inference import check_records
from pcedge.errors import ToolError
from pcedge.export.onnx.loop import loop_model, traced_steps
from pcedge.export.onnx.metadata import LOOPED
from pcedge.export.onnx.reader import from_onnx
from pcedge.export.onnx.writer import placements, to_onnx
from pcedge.extras import needing
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: records that run at a time: the stacks of 784 variables with 16 states then take some tens of megabytes
ORT_BATCH = 128

#: nodes that onnxruntime loads at a time: it takes a second or two, and cannot be stopped meanwhile
PART_NODES = 512

#: numbers that a loop hands out for one batch at most
LOOP_NUMBERS = 1 << 24

#: of onnxruntime's log levels, the first that stays silent about a sound model, and the one that says least
_ERROR, _FATAL = 3, 4

#: seconds between two looks at the clock and at signals
_LOOK = 0.1

#: told (what is done, of how much): parts that are loaded, then records
Progress = Callable[[int, int], None]


class OrtSession:
    """Run a circuit's ONNX model in onnxruntime, on the processor.

    A model of many nodes is loaded part after part, and its parts run one after the other: the nodes are the same. So
    a signal, or the limit, ends the work within a second or two.

    Args:
        source: the circuit, or a model, which is read and checked first.
        threads: threads within an operator; the tensors are small, more than 2 never help.
        quick: expand the functions beforehand and skip onnxruntime's optimiser: loads about three times as fast,
            for short runs; the integers are the same.
        seconds: the time that loading and all runs may take together; None sets no limit.
        progress: told (parts that are loaded, parts), and of each run (records, records in all).

    Raises:
        MissingToolError: onnxruntime is not installed, or too old.
        FormatError: the model breaks its format.
        ToolError: it takes longer than the limit.
    """

    def __init__(
        self,
        source: IntegerCircuit | Program | onnx.ModelProto,
        *,
        threads: int = 1,
        quick: bool = False,
        seconds: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Load the model."""
        self.program = Program.of(from_onnx(source) if isinstance(source, onnx.ModelProto) else source)
        self.circuit = self.program.circuit
        self.model = source if isinstance(source, onnx.ModelProto) else to_onnx(self.program)
        self._threads = threads
        self._quick = quick
        self._clock = _Clock(seconds)
        self._progress = progress or (lambda done, total: None)
        self._parts = self._load(self.model, [output.name for output in self.model.graph.output])

    @property
    def loops(self) -> bool:
        """Tell whether the model loops over its steps: whether it is of format 3 or 5."""
        return any(e.key == "pcedge.format" and e.value in LOOPED for e in self.model.metadata_props)

    def run(self, x: ArrayLike, *, batch: int | None = None) -> dict[str, IntArray]:
        """Compute all outputs: `mantissa` and `exponent`, (N,); of a structured circuit also `lo` and `hi`, (N, D).

        Args:
            x: records, (N, …); -1 is missing.
            batch: records that run at a time; None takes `ORT_BATCH`, of a large loop fewer.

        Raises:
            DataError: the data do not fit.
            ToolError: it takes longer than the limit.
        """
        records = check_records(x, self.circuit.cardinalities, allow_missing=True)
        names = [output.name for output in self.model.graph.output]
        size = batch or self._batch
        blocks = []
        for start in range(0, max(len(records), 1), size):
            blocks.append(self._parts.run({"symbols": records[start : start + size]}))
            self._progress(min(start + size, len(records)), len(records))
        return {name: np.concatenate([block[name] for block in blocks]) for name in names}

    @cached_property
    def _batch(self) -> int:
        """Choose how many records run at a time: a loop hands out two numbers a step and record."""
        if not self.loops:
            return ORT_BATCH
        programs = ("likelihood", "code")
        steps: int = sum(tensor.dims[0] for tensor in self.model.graph.initializer if tensor.name in programs)
        return max(1, min(ORT_BATCH, LOOP_NUMBERS // (2 * steps)))

    def trace(self, x: ArrayLike) -> dict[str, list[Vector | None]]:
        """Compute the value of every step, all records at once.

        Returns:
            For `likelihood` and, of a structured circuit, `code`: mantissas (units, N) and exponents (N,) by the index
            of the step; None for `INTERVAL`, which makes no value.

        Raises:
            DataError: the data do not fit.
            ToolError: it takes longer than the limit.
        """
        records = check_records(x, self.circuit.cardinalities, allow_missing=True)
        if self.loops:
            session = self._load(loop_model(self.circuit, traced=True), None)
            return traced_steps(self.circuit, session.run({"symbols": records}))
        placed, session = self._tracer
        tensors = session.run({"symbols": records})
        return {
            schedule: [p and (tensors[p.mantissa][p.row], tensors[p.exponent][p.row, 0]) for p in steps]
            for schedule, steps in placed.items()
        }

    @cached_property
    def _tracer(self) -> Any:
        """Load the model so that it gives every stack's tensors."""
        placed = placements(self.program)
        steps = [placement for schedule in placed.values() for placement in schedule if placement]
        names = list(dict.fromkeys(name for placement in steps for name in (placement.mantissa, placement.exponent)))
        return placed, self._load(self.model, names)

    def _load(self, model: onnx.ModelProto, wanted: Sequence[str] | None) -> _Parts:
        """Load a model, part after part; `wanted` are the tensors that it gives, None its own outputs."""
        with needing("onnxruntime", "ort", "the onnxruntime rung"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR
        if self._quick:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        names = [output.name for output in model.graph.output] if wanted is None else list(wanted)
        cuts = [(first, first + PART_NODES) for first in range(0, len(model.graph.node), PART_NODES)]
        borders = _borders(model, cuts, names)
        types = {"symbols": int(TensorProto.INT64)}
        sessions = []
        for index, (cut, (inputs, outputs)) in enumerate(zip(cuts, borders, strict=True)):
            self._clock.check(f"it had loaded {index} of {len(cuts)} parts of the model")
            if not outputs:  # those of a trace may come from earlier parts alone
                continue
            piece = _part(model, cut, {name: types[name] for name in inputs}, outputs)
            if self._quick:
                import onnx.inliner

                piece = onnx.inliner.inline_local_functions(piece)
            session = onnxruntime.InferenceSession(
                piece.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            types |= {output.name: _TYPES[output.type] for output in session.get_outputs()}
            sessions.append((session, inputs, outputs))
            self._progress(index + 1, len(cuts))
        return _Parts(tuple(sessions), tuple(names), self._clock, onnxruntime.RunOptions)


#: onnxruntime's names of the types of tensors
_TYPES = {
    "tensor(int64)": TensorProto.INT64, "tensor(int32)": TensorProto.INT32, "tensor(uint8)": TensorProto.UINT8,
    "tensor(uint16)": TensorProto.UINT16,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Clock:
    """Hold the time that a rung may take, from its beginning on."""

    seconds: float | None
    begin: float

    def __init__(self, seconds: float | None) -> None:
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "begin", time.monotonic())

    @property
    def over(self) -> bool:
        return self.seconds is not None and time.monotonic() - self.begin > self.seconds

    def check(self, where: str) -> None:
        """Demand that there is time left.

        Raises:
            ToolError: there is none; the text says what can be done.
        """
        if self.over:
            raise ToolError(
                f"the onnxruntime rung must end within {self.seconds:g} s, {where}: give it more time "
                "(--ort-seconds) or fewer records (--records), or take the rungs csim or engine (--rungs csim)"
            )


@dataclass(frozen=True, eq=False)
class _Parts:
    """Hold the parts of a model, which run one after the other."""

    #: sessions with the tensors that they take and give
    sessions: tuple[tuple[Any, list[str], list[str]], ...]
    names: tuple[str, ...]
    clock: _Clock
    options: Callable[[], Any]

    def run(self, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run all parts; gives the tensors `names`."""
        tensors = dict(given)
        last = {name: index for index, (_, inputs, _) in enumerate(self.sessions) for name in inputs}
        for index, (session, inputs, outputs) in enumerate(self.sessions):
            results = self._call(session, outputs, {name: tensors[name] for name in inputs})
            tensors |= zip(outputs, results, strict=True)
            for name in inputs:
                if last[name] == index and name not in self.names:
                    del tensors[name]
        return {name: tensors[name] for name in self.names}

    def _call(self, session: Any, outputs: list[str], given: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run a session beside the main thread, which goes on to take signals, and stop it where it must end."""
        options = self.options()
        options.log_severity_level = _FATAL  # what went wrong comes as an exception, and a stop is no fault
        results: list[NDArray[Any]] = []
        errors: list[BaseException] = []
        # Not the thread's own `join`: where a signal interrupts that, Python 3.11 takes the thread for ended.
        ended = threading.Event()

        def work() -> None:
            try:
                results.extend(session.run(outputs, given, options))
            except Exception as error:  # handed to the caller's thread
                errors.append(error)
            finally:
                ended.set()

        try:
            threading.Thread(target=work, daemon=True).start()
            while not ended.wait(_LOOK):
                self.clock.check("it was running")
        except BaseException:
            options.terminate = True
            ended.wait()
            raise
        if errors:
            raise errors[0]
        return results


def _borders(
    model: onnx.ModelProto, cuts: Sequence[tuple[int, int]], names: Sequence[str]
) -> list[tuple[list[str], list[str]]]:
    """Give for every part of a model what it takes of the input and earlier parts, and what it gives to later ones."""
    initializers = {tensor.name for tensor in model.graph.initializer}
    maker: dict[str, int] = {}
    reads: list[dict[str, None]] = []
    nodes = model.graph.node
    for index, (first, last) in enumerate(cuts):
        reads.append({})
        for node in nodes[first:last]:
            for name in node.input:
                if name and name not in initializers and maker.get(name, -1) != index:
                    reads[index][name] = None
            for name in node.output:
                maker[name] = index
    gives: list[dict[str, None]] = [{} for _ in cuts]
    for name in [*(name for names_read in reads for name in names_read), *names]:
        if name in maker:
            gives[maker[name]][name] = None
    return [(list(taken), list(given)) for taken, given in zip(reads, gives, strict=True)]


def _part(
    model: onnx.ModelProto, cut: tuple[int, int], inputs: Mapping[str, int], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Take some nodes of a model, with the initializers that they read, as a model of its own."""
    nodes = model.graph.node[cut[0] : cut[1]]
    if len(nodes) == len(model.graph.node) and [output.name for output in model.graph.output] == list(outputs):
        return model
    read = {name for node in nodes for name in node.input}
    piece = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    piece.graph.name = model.graph.name
    piece.graph.node.extend(nodes)
    piece.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    piece.graph.input.extend(helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items())
    piece.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return piece
