"""The onnxruntime rung: the ONNX model of a circuit, run as it is."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.inference import check_records
from pcedge.export.onnx.reader import from_onnx
from pcedge.export.onnx.writer import placements, to_onnx
from pcedge.extras import needing
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: records that run at a time: the stacks of 784 variables with 16 states then take some tens of megabytes
ORT_BATCH = 128

#: of onnxruntime's log levels, the first that stays silent about a sound model
_ERROR = 3


class OrtSession:
    """Run a circuit's ONNX model in onnxruntime, on the processor.

    Args:
        source: the circuit, or a model, which is read and checked first.
        threads: threads within an operator; the tensors are small, more than 2 never help.
        quick: expand the functions beforehand and skip onnxruntime's optimiser: loads about three times as fast,
            for short runs; the integers are the same.

    Raises:
        MissingToolError: onnxruntime is not installed, or too old.
        FormatError: the model breaks its format.
    """

    def __init__(
        self, source: IntegerCircuit | Program | onnx.ModelProto, *, threads: int = 1, quick: bool = False
    ) -> None:
        """Load the model."""
        self.program = Program.of(from_onnx(source) if isinstance(source, onnx.ModelProto) else source)
        self.circuit = self.program.circuit
        self.model = source if isinstance(source, onnx.ModelProto) else to_onnx(self.program)
        self._threads = threads
        self._quick = quick
        self._session = self._load(self.model)

    def run(self, x: ArrayLike, *, batch: int = ORT_BATCH) -> dict[str, IntArray]:
        """Compute all outputs: `mantissa` and `exponent`, (N,); of a structured circuit also `lo` and `hi`, (N, D).

        Args:
            x: records, (N, …); -1 is missing.
            batch: records that run at a time.

        Raises:
            DataError: the data do not fit.
        """
        records = check_records(x, self.circuit.cardinalities, allow_missing=True)
        names = [output.name for output in self.model.graph.output]
        parts = [
            self._session.run(names, {"symbols": records[start : start + batch]})
            for start in range(0, max(len(records), 1), batch)
        ]
        return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}

    def trace(self, x: ArrayLike) -> dict[str, list[Vector | None]]:
        """Compute the value of every step, all records at once.

        Returns:
            For `likelihood` and, of a structured circuit, `code`: mantissas (units, N) and exponents (N,) by the index
            of the step; None for `INTERVAL`, which makes no value.

        Raises:
            DataError: the data do not fit.
        """
        records = check_records(x, self.circuit.cardinalities, allow_missing=True)
        placed, names, session = self._tracer
        tensors = dict(zip(names, session.run(names, {"symbols": records}), strict=True))
        return {
            schedule: [p and (tensors[p.mantissa][p.row], tensors[p.exponent][p.row, 0]) for p in places]
            for schedule, places in placed.items()
        }

    @cached_property
    def _tracer(self) -> Any:
        """Load a copy of the model that gives every stack's tensors."""
        placed = placements(self.program)
        steps = [place for places in placed.values() for place in places if place]
        names = list(dict.fromkeys(name for place in steps for name in (place.mantissa, place.exponent)))
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in names)
        return placed, names, self._load(model)

    def _load(self, model: onnx.ModelProto) -> Any:
        with needing("onnxruntime", "ort", "the onnxruntime rung"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR
        if self._quick:
            import onnx.inliner

            model = onnx.inliner.inline_local_functions(model)
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
