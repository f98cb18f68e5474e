"""Lay out the sources of the wheel pcedge-device: the drivers of `pcedge`, and what they import of it."""

from __future__ import annotations

import re
import shutil
import sys
from modulefinder import ModuleFinder
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: what a board imports
DOORS = tuple(f"pcedge.drivers{name}" for name in ("", ".device", ".packets", ".pynq", ".serial", ".image_check"))

#: a board opens no ONNX file and none of HDF5: what would only be imported for one, and a command's messages, stay out
LEFT_OUT = ["pcedge.export", "pcedge.front", "pcedge.cli", "pcedge.codec.hdf5_filter"]

PROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "pcedge-device"
version = "{version}"
description = "Drivers of pcedge engines for boards: numpy only. Part of pcedge, which holds all of it"
readme = "README.md"
requires-python = ">=3.10"
license = "Apache-2.0"
license-files = ["LICENSE", "NOTICE"]
dependencies = ["numpy>=1.23"]

[tool.setuptools]
packages = [{packages}]

[tool.setuptools.package-data]
"pcedge" = ["py.typed"]
"""

README = """# pcedge-device

The drivers of engines that `pcedge` exports, for the Python of a board (3.10 or newer, numpy only):

```python
from pynq import Overlay
from pcedge.drivers import open_overlay

device = open_overlay(Overlay("engine.bit"))
```

`pcedge` holds the same modules and needs Python 3.11: install one of the two, not both.
"""


def closure() -> list[Path]:
    """List the files below `ROOT` of all modules that a board's imports lead to, those within functions too."""
    finder = ModuleFinder([str(ROOT)], excludes=LEFT_OUT)
    for door in DOORS:
        finder.import_hook(door, None, ["*"])
    found = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    return sorted(path.relative_to(ROOT) for path in found)


def lay_out(folder: Path) -> None:
    """Write the sources of the wheel into an emptied folder."""
    shutil.rmtree(folder, ignore_errors=True)
    names = closure()
    for name in [*names, Path("pcedge/py.typed"), Path("LICENSE"), Path("NOTICE")]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    packages = ", ".join(f'"{name.parent.as_posix().replace("/", ".")}"' for name in names if name.stem == "__init__")
    version = re.search(r'__version__ = "([^"]+)"', (ROOT / "pcedge/__init__.py").read_text())
    assert version is not None
    (folder / "pyproject.toml").write_text(PROJECT.format(version=version[1], packages=packages))
    (folder / "README.md").write_text(README)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
