"""What pyproject.toml cannot say: the native engine's shared library, and wheels that any Python can use."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

_spec = importlib.util.spec_from_file_location("native_build", Path(__file__).parent / "pcedge/native/build.py")
assert _spec is not None and _spec.loader is not None
native = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(native)

#: whether this run made a library
BUILT: list[Path] = []


class BuildLibrary(build_ext):
    """Build the library; without a compiler pcedge is installed all the same, and numpy does the work."""

    def get_ext_filename(self, fullname: str) -> str:
        """Give the library's path, or its name for the last part of the extension's; it has no tag of a Python."""
        return f"pcedge/native/lib/{native.NAME}" if "." in fullname else str(native.NAME)

    def build_extension(self, ext: Extension) -> None:
        """Compile, and say why not where it fails."""
        target = Path(self.get_ext_fullpath(ext.name))
        try:
            native.build(target)
        except native.BuildError as error:
            print(f"pcedge is installed without its native engine: {error}", file=sys.stderr)
            return
        BUILT.append(target)

    def copy_extensions_to_source(self) -> None:
        """Copy the library into a checkout, if there is one."""
        if BUILT:
            (Path(__file__).parent / "pcedge/native/lib").mkdir(exist_ok=True)
            super().copy_extensions_to_source()

    def get_outputs(self) -> list[str]:
        """List the library only where it was made."""
        return [str(path) for path in BUILT]

    def get_output_mapping(self) -> dict[str, str]:
        """Map built files to those of a checkout."""
        return super().get_output_mapping() if BUILT else {}


class AnyPython(bdist_wheel):
    """Tag the wheel: the library needs the platform, and no Python of its own."""

    def get_tag(self) -> tuple[str, str, str]:
        """Give the wheel's tag."""
        tag: Any = super().get_tag()
        return ("py3", "none", tag[2] if BUILT else "any")


setup(
    ext_modules=[Extension("pcedge.native.lib.pcedge", [])],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": AnyPython},
)
