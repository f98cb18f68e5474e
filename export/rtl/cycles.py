"""The clock cycles of a job on the engine in SystemVerilog, exactly: what Verilator counts (docs/rtl.md, Cycle model).

Every part follows its source: `engine_cycles` has the scheduler, the units and the writers, `coder_cycles` the coder,
`symbol_cycles` the symbols. No side stalls: words come as fast as they are taken, and leave as fast as they are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.export.rtl.clock import Pick
from pcedge.export.rtl.coded import assume_streams, code_streams
from pcedge.export.rtl.engine_cycles import Engine, run_job
from pcedge.export.rtl.lowering import RtlImage
from pcedge.export.rtl.params import sizes_of
from pcedge.export.rtl.timing import works_of

#: jobs that are counted
JOBS = ("likelihood", "encode", "decode", "sample")

#: jobs whose rates are told; a sample takes what decoding takes
RATED = ("likelihood", "encode", "decode")

#: variables of a record that says the rate of a long run; of fewer, several are counted
ENOUGH = 512

#: symbols of a stream that are counted, at least
LEAST_SYMBOLS = 128


class CycleModel:
    """Count the cycles of jobs of one engine, one after the other.

    Example:
        >>> from pcedge.export import RtlSize, load_zoo
        >>> from pcedge.export.rtl.lowering import lower_rtl
        >>> model = CycleModel(lower_rtl(load_zoo("digits"), RtlSize(16, 8, 4, 2)))
        >>> model.count("likelihood", [1] * 8) < model.count("likelihood", [2] * 8)
        True
    """

    def __init__(self, image: RtlImage, sizes: Mapping[str, int] | None = None) -> None:
        """Take an engine's image; a job goes on with the round robins of the job before, as the hardware does.

        Args:
            image: of the circuit that the engine runs.
            sizes: of a reloadable engine (`RtlCapacity.sizes`); None takes those of the image.
        """
        sizes = sizes_of(image) if sizes is None else sizes
        names = ("fetch", "issue", "symbols_in", "symbols_out", "flush", "carry", "load")
        self._jobs, self._streams, self._of_core = image.jobs, image.size.streams, image.size.core.streams
        self._reference = ReferenceEngine(image.program)
        self._firsts = image.variable_columns["first"].values.tolist()
        works = works_of(image, sizes["PAIR_COPY"] != 0)
        self._cores = [
            Engine(
                image.size.core, works, len(image.circuit.order), image.circuit.scale_bits // 8,
                sizes["SHARED_PRODUCT"] != 0, sizes["PASS_GAP"], sizes["MOST_ROWS"],
                {name: Pick(self._of_core) for name in names},
            ) for _ in range(image.size.cores)
        ]  # fmt: skip

    def count(
        self, job: str, records: Sequence[int], data: ArrayLike | None = None, sizes: Sequence[int] | None = None
    ) -> int:
        """Count the clock cycles of a job, from its start to its end.

        Args:
            job: one of `JOBS`.
            records: how many records every stream has.
            data: the records, (N, variables), record i on stream i mod streams, as the driver shares them out; None
                assumes what symbols leave (`coded`). Likelihoods do not depend on them.
            sizes: bytes of every stream's lane that a decoder is given; None takes what an encoder writes.

        Raises:
            UsageError: no such job, or not as many numbers as streams.
            ToolError: the job would stand still.
        """
        if job not in JOBS:
            raise UsageError(f"the job must be one of {', '.join(JOBS)}, got {job!r}")
        if job not in self._jobs:
            built = ", ".join(self._jobs)
            raise UsageError(f"the job must be one that the engine is built for, {built}, got {job}")
        streams = self._streams
        if len(records) != streams:
            raise UsageError(f"records must be one number for each of {streams} streams, got {len(records)}")
        for number in records:
            if not isinstance(number, int | np.integer) or number < 0:
                raise UsageError(f"records of a stream must be a whole number of at least 0, got {number!r}")
        coded = None
        if job != "likelihood":
            coded = (
                assume_streams(self._reference, records, self._firsts) if data is None
                else code_streams(
                    self._reference, self._reference.check(data, allow_missing=False), streams, self._firsts, sizes
                )
            )  # fmt: skip
        begin = range(0, streams, self._of_core)
        own = [slice(first, first + self._of_core) for first in begin]
        return max(
            run_job(core, job, records[which], None if coded is None else coded[which])
            for core, which in zip(self._cores, own, strict=True)
        )


def cycles_per_symbol(image: RtlImage, sizes: Mapping[str, int] | None = None) -> dict[str, float]:
    """Give the cycles a symbol of every job in a long run, all streams busy; symbols leave what `coded` assumes.

    A job's beginning and end are taken off: symbols of all streams come in one a cycle, and no record begins before its
    own are there. Arguments are as of `CycleModel`.
    """
    variables, streams = len(image.circuit.order), image.size.streams
    found = {}
    for job in [job for job in RATED if job in image.jobs]:
        # of few variables more records: how often a decoder tries depends on the symbols
        records = 1 if variables >= ENOUGH else max(2, -(-LEAST_SYMBOLS // variables))
        begin, end = (CycleModel(image, sizes).count(job, [count] * streams) for count in (1, 1 + records))
        found[job] = round((end - begin) / (records * streams * variables), 3)
    return found
