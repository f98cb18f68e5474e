"""The native engine: a shared library of plain C, by ctypes, that gives the reference's integers (docs/native.md).

Each name is imported when it is first asked for, so that `python -m pcedge.native.build` does not find itself imported.
"""

from typing import TYPE_CHECKING

from pcedge.lazy import lazy_names

if TYPE_CHECKING:
    from pcedge.native.choice import ENGINES, EngineName, open_engine
    from pcedge.native.engine import NativeEngine
    from pcedge.native.library import instruction_sets

__getattr__ = lazy_names(__name__, {
    "choice": ("ENGINES", "EngineName", "open_engine"),
    "engine": ("NativeEngine",),
    "library": ("instruction_sets",),
})  # fmt: skip

__all__ = ["ENGINES", "EngineName", "NativeEngine", "instruction_sets", "open_engine"]


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
