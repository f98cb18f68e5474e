"""What of an engine a device decides that is not chosen: whether products are shared (docs/rtl.md, Coding)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pcedge.export.open_target import find_open_target
from pcedge.export.project.manifest import BUILT_JOBS, RTL
from pcedge.export.rtl.area import multipliers
from pcedge.export.rtl.lowering import RtlImage, lower_rtl
from pcedge.export.rtl.params import sizes_of
from pcedge.export.rtl.size import RtlSize
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program


def lower_for(
    source: IntegerCircuit | Program, size: RtlSize, target: str, jobs: Sequence[str] = BUILT_JOBS, *,
    reload: bool = False,
) -> RtlImage:  # fmt: skip
    """Lower a circuit for a target: on a device with too few multipliers for its own products an engine shares one.

    Args:
        source: a structured-decomposable integer circuit, or its program.
        size: of the engine; where it says nothing of the product, the device decides.
        target: `rtl`, or a device of the open flow.
        jobs: what the engine is built for.
        reload: whether its memories are loaded.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit, a job is none, or no device has that name.
    """
    device = None if target == RTL else find_open_target(target)
    if reload and size.shared_product is None:  # other circuits may have shorter passes
        size = replace(size, shared_product=False)
        chosen = False
    else:
        chosen = size.shared_product is not None
    image = lower_rtl(source, size, jobs=jobs)
    if device is None or chosen or image.shared_product:
        return image
    if sum(multipliers(sizes_of(image)).values()) <= device.resources.dsp:
        return image
    return lower_rtl(source, replace(size, shared_product=True), jobs=jobs)
