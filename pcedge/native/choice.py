"""Which engine does the work: the native one where it is there, else numpy's, which is the reference."""

from __future__ import annotations

import logging
from functools import cache
from typing import Literal

from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import MissingToolError, UsageError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.native.engine import NativeEngine
from pcedge.native.library import library
from pcedge.schedule.program import Program

#: an engine's name; `auto` is native where there is a library, else numpy
EngineName = Literal["auto", "native", "numpy"]
ENGINES: tuple[EngineName, ...] = ("auto", "native", "numpy")

_LOG = logging.getLogger("pcedge")


def open_engine(
    source: IntegerCircuit | Program, name: str = "auto", threads: int = 1
) -> ReferenceEngine | NativeEngine:
    """Open an engine of a circuit; every engine gives the same integers and bytes.

    Args:
        source: the circuit, or its program where that is at hand.
        name: `auto`, `native` or `numpy`.
        threads: how many share the work of the native engine.

    Raises:
        UsageError: the name is none of these.
        MissingToolError: the native engine is asked for, and there is no library.

    Example:
        >>> import numpy as np
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.quantize import quantize
        >>> circuit = quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))
        >>> [open_engine(circuit, name).likelihood([[1]])[0].tolist() for name in ("auto", "numpy")]
        [[49152], [49152]]
    """
    if name not in ENGINES:
        raise UsageError(f"the engine must be one of {', '.join(ENGINES)}, got {name!r}")
    if name == "native" or (name == "auto" and _found()):
        return NativeEngine(source, threads=threads)
    return ReferenceEngine(source)


@cache
def _found() -> bool:
    """Tell whether there is a library, and say once where there is none."""
    try:
        library()
    except MissingToolError as error:
        _LOG.warning("numpy does the work, many times slower than the native engine: %s", error)
        return False
    return True
