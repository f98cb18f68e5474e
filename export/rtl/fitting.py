"""What of an engine a device decides that is not chosen: shared products, and words in logic (docs/rtl.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pcedge.export.open_target import find_open_target
from pcedge.export.project.manifest import BUILT_JOBS, RTL
from pcedge.export.rtl.area import block_rams, multipliers
from pcedge.export.rtl.lowering import RtlImage, lower_rtl
from pcedge.export.rtl.memories import BLOCKS
from pcedge.export.rtl.params import sizes_of
from pcedge.export.rtl.size import RtlSize
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: of all tiles, no more than one in so many is put in logic, where a word takes as many tables as it has bits, or more
LEAST_SHARE = 12


def lower_for(
    source: IntegerCircuit | Program, size: RtlSize, target: str, jobs: Sequence[str] = BUILT_JOBS, *,
    reload: bool = False, harden: str = "none",
) -> RtlImage:  # fmt: skip
    """Lower a circuit for a target.

    On a device with too few multipliers for its own products an engine shares one. Where block RAM is too little, and
    the last few tiles of weights take a row of blocks for themselves, they are put in logic (docs/rtl.md, Sizes); but
    not of an engine whose memories are loaded or hardened, which have other ports, or wider words, than are counted.

    Args:
        source: a structured-decomposable integer circuit, or its program.
        size: of the engine; where it says nothing of the product, the device decides.
        target: `rtl`, or a device of the open flow.
        jobs: what the engine is built for.
        reload: whether its memories are loaded.
        harden: one of `size.LEVELS`.

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
    if device is None:
        return image
    if not (chosen or image.shared_product) and sum(multipliers(sizes_of(image)).values()) > device.resources.dsp:
        image = lower_rtl(source, replace(size, shared_product=True), jobs=jobs)
    return image if reload or harden != "none" else _beside(image, device.family, device.resources.bram)


def _beside(image: RtlImage, family: str, blocks: int) -> RtlImage:
    """Put the fewest tiles in logic with which an engine has room in so many block RAMs; none where none will do."""
    if block_rams(sizes_of(image), family) <= blocks:
        return image
    tiles = len(image.tiles)
    for depth, _ in reversed(BLOCKS[family].single):  # the widest blocks are the shortest
        beside = tiles % depth
        if 0 < beside < tiles / LEAST_SHARE:
            smaller = replace(image, tiles_beside=beside)
            if block_rams(sizes_of(smaller), family) <= blocks:
                return smaller
    return image
