"""Which simulators a project directory has."""

from __future__ import annotations

from pathlib import Path

from pcedge.errors import FormatError
from pcedge.export.project.manifest import C99, RTL, UNROLLED, UNROLLED_RTL, read_manifest
from pcedge.simulate.base import Comparing, circuit_of
from pcedge.simulate.csim import Csim
from pcedge.simulate.mcu import C99Project
from pcedge.simulate.parallel import EngineCsim
from pcedge.simulate.rtl import RtlProject
from pcedge.simulate.stage import StageCsim
from pcedge.simulate.stage_rtl import StageRtl
from pcedge.simulate.unrolled import UnrolledCsim, kernel_of
from pcedge.simulate.unrolled_rtl import UnrolledRtl


def simulators(folder: Path) -> dict[str, Comparing]:
    """Give what compares a project's sources: `kernels`, `engine`, or both, and `stage` where it has a predictor stage.

    A project in C99 has `c99`, one in SystemVerilog `rtl`, and `stage` too.

    Raises:
        FormatError: the directory is no project, or its manifest is damaged.
    """
    by_name: dict[str, Comparing] = {}
    if kernel_of(folder) == C99:
        return {"c99": C99Project(folder)}
    if kernel_of(folder) == RTL:
        by_name["rtl"] = RtlProject(folder)
        return by_name | ({} if RtlProject(folder).manifest.stage is None else {"stage": StageRtl(folder)})
    if kernel_of(folder) == UNROLLED_RTL:
        return {"rtl": UnrolledRtl(folder)}
    if kernel_of(folder) == UNROLLED:
        by_name["kernels"] = UnrolledCsim(folder)
        manifest = UnrolledCsim(folder).manifest
    else:
        manifest = Csim(folder).manifest
        if not manifest.reload:
            by_name["kernels"] = Csim(folder)
        # One multiplier and one stream do what the kernels do.
        size = manifest.size
        if manifest.reload or size is None or (size.macs, size.streams) != (1, 1):
            by_name["engine"] = EngineCsim(folder)
    if manifest.stage is not None:
        by_name["stage"] = StageCsim(folder)
    return by_name


def check_golden(folder: Path) -> None:
    """Check that the golden vectors of a project are there, before minutes go into what would be compared with them.

    Of RTL the circuit too, which has to be the one that the manifest names.

    Raises:
        FormatError: a file of theirs cannot be read, the circuit is another, or the directory is no project.
    """
    manifest = read_manifest(folder)
    for path in (folder / name for name in manifest.files if name.startswith("golden/")):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise FormatError(
                "project-golden", f"{path} must be a file that can be read: export the project again ({error.strerror})"
            ) from error
    if manifest.kernel == RTL:
        RtlProject(folder).golden_vectors()
    if manifest.kernel in (RTL, UNROLLED_RTL):
        circuit_of(folder, manifest)
