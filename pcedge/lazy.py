"""Names of a package that are imported when they are first asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping


def lazy_names(package: str, rooms: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Make a package's `__getattr__`, which imports a name from its module and keeps it.

    Args:
        package: name of the package.
        rooms: names by the modules that have them, which are named below the package.

    Example:
        >>> lazy_names("pcedge", {"arithmetic": ("ceil_log2",)})("ceil_log2").__name__
        'ceil_log2'
    """
    homes = {name: f"{package}.{room}" for room, names in rooms.items() for name in names}

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        # A module of that name may have taken the place meanwhile.
        setattr(sys.modules[package], name, value)
        return value

    return find
