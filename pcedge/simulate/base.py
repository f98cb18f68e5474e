"""What a simulator of a project does: the interface of everything that runs generated sources."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.errors import FormatError, UsageError
from pcedge.export.onnx.reader import read_onnx
from pcedge.export.project.manifest import UNROLLED, UNROLLED_RTL, Manifest
from pcedge.integer.circuit import IntegerCircuit

#: the circuit of a project, in its folder
CIRCUIT = "model.onnx"


def circuit_of(folder: Path, manifest: Manifest) -> IntegerCircuit:
    """Read the circuit of a project.

    Raises:
        FormatError: it is not there, no circuit, or not the manifest's.
    """
    path = folder / CIRCUIT
    try:
        circuit = read_onnx(path)
    except (OSError, UsageError) as error:
        raise FormatError(
            "project-circuit", f"{path} must be the project's circuit: export it again ({error})"
        ) from error
    # an unrolled kernel may be of a circuit that cannot be coded
    unrolled = manifest.kernel in (UNROLLED, UNROLLED_RTL)
    digest = (circuit.likelihood_digest if unrolled else circuit.digest).hex()
    if digest != manifest.digest:
        raise FormatError(
            "project-circuit",
            f"{path} must be the circuit {manifest.digest} of the manifest, it is {digest}: export the project again",
        )
    return circuit


class Comparing(Protocol):
    """Compile what a project directory holds, and compare it with the golden vectors."""

    @property
    def folder(self) -> Path:
        """Give the project directory."""

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of this kind, or its manifest is damaged.
        """

    def compile(self) -> Path:
        """Compile the sources where they or the compiler have changed; give the executable.

        Raises:
            FormatError: the directory is no project of this kind.
            MissingToolError: a tool is missing.
            ToolError: the compiler failed; its text is in the message.
        """

    def golden(self) -> str:
        """Compare with the golden vectors; give what the testbench says.

        Raises:
            MismatchError: they differ; the message names where.
            FormatError: it compared other numbers than the manifest says.
            ToolError: the testbench cannot run, or refuses the golden files.
        """


class Simulator(Comparing, Protocol):
    """Run what a project directory holds on records, too."""

    def likelihood(self, records: IntArray) -> Vector:
        """Give mantissas and exponents, (N,) each, of records (N, variables); -1 is missing."""
