"""A project directory seen from Python, as users of hls4ml and conifer know it: compile, predict, trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from numpy.typing import ArrayLike

from pcedge.arithmetic import log_of
from pcedge.arrays import FloatArray, IntArray
from pcedge.engines.reference import ReferenceEngine
from pcedge.export.engine.project import write_project
from pcedge.export.onnx.reader import read_onnx
from pcedge.integer.circuit import IntegerCircuit
from pcedge.simulate.csim import Csim
from pcedge.simulate.ort import OrtSession
from pcedge.verify.ladder import RUNGS, LadderReport, verify
from pcedge.verify.trace import Trace, trace_csim, trace_numpy, trace_ort


@dataclass(frozen=True, eq=False)
class Prediction:
    """Hold what the HLS kernels computed for some records."""

    #: p(x) = mantissa * 2**exponent, (N,) each
    mantissa: IntArray
    exponent: IntArray

    @property
    def log_likelihood(self) -> FloatArray:
        """Give log p(x) in nats, (N,); -inf where the integers call a record impossible."""
        return log_of(self.mantissa, self.exponent)


@dataclass(frozen=True)
class Project:
    """Open a project directory.

    Example:
        >>> project = Project(Path("build/digits"))  # doctest: +SKIP
        >>> project.compile()  # doctest: +SKIP
        >>> project.predict(x).log_likelihood  # doctest: +SKIP
    """

    folder: Path

    @staticmethod
    def create(
        circuit: IntegerCircuit, out: str | Path, *, target: str = "vitis-hls", records: ArrayLike | None = None
    ) -> Project:
        """Lower a circuit to a new project directory; see `pcedge.export.write_project`."""
        return Project(write_project(circuit, out, target=target, records=records))

    @cached_property
    def circuit(self) -> IntegerCircuit:
        """Read the project's integer circuit."""
        return read_onnx(Path(self.folder) / "model.onnx")

    @cached_property
    def engine(self) -> ReferenceEngine:
        """Make the reference engine of the circuit."""
        return ReferenceEngine(self.circuit)

    @property
    def csim(self) -> Csim:
        """Give the C simulation."""
        return Csim(Path(self.folder))

    def compile(self) -> Path:
        """Compile the HLS testbench; give the executable."""
        return self.csim.compile()

    def predict(self, x: ArrayLike) -> Prediction:
        """Run the HLS likelihood kernel; -1 in `x` is a missing symbol."""
        return Prediction(*self.csim.likelihood(self.engine.check(x, allow_missing=True)))

    def verify(self, x: ArrayLike, rungs: Sequence[str] = RUNGS) -> LadderReport:
        """Compare this project and the other rungs with the reference; see `pcedge.verify.verify`."""
        return verify(self.circuit, x, rungs, project=self.folder)

    def trace(self, x: ArrayLike, rungs: tuple[str, ...] = ("numpy", "ort", "csim")) -> dict[str, Trace]:
        """Give every step's integers from the named rungs."""
        records = self.engine.check(x, allow_missing=True)
        tracers = {
            "numpy": lambda: trace_numpy(self.engine, records),
            "ort": lambda: trace_ort(self.engine, OrtSession(self.circuit), records),
            "csim": lambda: trace_csim(self.engine, self.csim, records),
        }
        return {rung: tracers[rung]() for rung in rungs}
