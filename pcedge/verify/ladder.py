"""The equality ladder: every implementation against the numpy reference, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.data.predictor import Predictor
from pcedge.drivers import packets as device_packets
from pcedge.drivers.device import Device
from pcedge.drivers.size import EngineSize
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, MissingToolError, NotStructuredError, UsageError
from pcedge.export.c99.project import write_c99
from pcedge.export.engine.project import write_project
from pcedge.export.program.image import image_words
from pcedge.export.project.manifest import BUILT_JOBS, C99, PACKET_JOBS, RTL, UNROLLED, UNROLLED_RTL
from pcedge.export.project.prediction import draw_rows, golden_rows, stage_of
from pcedge.export.rtl.project import write_rtl
from pcedge.export.unrolled.project import results, write_unrolled
from pcedge.files import scratch
from pcedge.integer.circuit import IntegerCircuit
from pcedge.simulate.csim import Csim
from pcedge.simulate.mcu import C99Project
from pcedge.simulate.ort import OrtSession, Progress
from pcedge.simulate.parallel import EngineCsim
from pcedge.simulate.rtl import RtlProject
from pcedge.simulate.stage import StageCsim
from pcedge.simulate.stage_rtl import StageRtl
from pcedge.simulate.unrolled import UnrolledCsim, kernel_of
from pcedge.simulate.unrolled_rtl import UnrolledRtl
from pcedge.verify.comparison import (
    VERIFY_LANES,
    Comparison,
    compare_coding,
    compare_device,
    compare_packets,
    hide,
)
from pcedge.verify.mcu import compare_mcu
from pcedge.verify.native import compare_native
from pcedge.verify.netlist import compare_netlists
from pcedge.verify.prediction import compare_stage
from pcedge.verify.trace import Trace, first_difference, trace_csim, trace_numpy, trace_ort

#: rungs below the numpy reference
RUNGS = ("ort", "csim")

#: rungs that are climbed where they are named: `engine` is C simulation of the engine with several multipliers and
#: streams, `rtl` the engine in SystemVerilog by Verilator, or the unrolled kernel of a project that has one, `netlist`
#: what synthesis makes of that engine, `unrolled` C simulation of a small circuit's unrolled kernel, `predictor` that
#: of a circuit's predictor stage, `native` the native engine, which is skipped where there is no library, `mcu` the
#: program in C99 on emulated microcontrollers
MORE_RUNGS = ("engine", "rtl", "netlist", "unrolled", "predictor", "native", "mcu")

#: the engine that is compared where no project is given
VERIFY_SHAPE = EngineSize(16, 4)

#: told what is being compared
Announce = Callable[[str], None]

#: shows a progress bar of a name for the time of a context, which gives the function that moves it
Bars = Callable[[str], AbstractContextManager[Progress]]

#: seconds that onnxruntime may take to load a circuit and to run all records, where the caller names none
ORT_SECONDS = 3600.0


@dataclass(frozen=True)
class LadderReport:
    """Hold all comparisons of one run."""

    comparisons: tuple[Comparison, ...]
    #: rungs that this machine cannot climb, and why
    skipped: tuple[tuple[str, str], ...] = ()
    #: of the rung mcu, for every core: bytes of ROM, RAM and stack, instructions a symbol
    mcu: Mapping[str, Any] = field(default_factory=dict)
    #: of the rung netlist, for every family: how many cells of each kind and mode the jobs went through
    cells: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mismatches(self) -> int:
        """Count the vectors that differ."""
        return sum(comparison.mismatches for comparison in self.comparisons)

    def as_dict(self) -> dict[str, object]:
        """Give the report as plain data."""
        report: dict[str, object] = {
            "mismatches": self.mismatches, "comparisons": [asdict(c) for c in self.comparisons],
        }  # fmt: skip
        if self.skipped:
            report["skipped"] = [{"rung": rung, "reason": reason} for rung, reason in self.skipped]
        report |= {"cells": dict(self.cells)} if self.cells else {}
        return report | ({"mcu": dict(self.mcu)} if self.mcu else {})


def verify(
    circuit: IntegerCircuit,
    x: ArrayLike,
    rungs: Sequence[str] = RUNGS,
    *,
    project: str | Path | None = None,
    announce: Announce | None = None,
    bars: Bars | None = None,
    ort_seconds: float | None = ORT_SECONDS,
    rows: NDArray[Any] | None = None,
) -> LadderReport:
    """Compare the named rungs with the numpy reference on every output.

    Args:
        circuit: the integer circuit.
        x: records, (N, …); -1 is missing. Streams are compared on the records without missing symbols.
        rungs: of `RUNGS` and `MORE_RUNGS`.
        project: directory of an exported project to compile, for the rung of its kernel; None makes one for the time
            of the call.
        announce: told what is being compared.
        bars: shows how far the rung ort is.
        ort_seconds: the time that the rung ort may take; None sets no limit.
        rows: data of a circuit with a predictor stage, for its rung, (rows, …); None draws some.

    Returns:
        The comparisons; a mismatch is reported with the first differing step of the schedules.

    Raises:
        UsageError: a rung is unknown, the circuit is too large to unroll, or has no predictor stage for the rung.
        NotStructuredError: the kernels cannot code with the circuit.
        DataError: the data do not fit.
        MissingToolError: a rung's tool is not installed; without the native engine's library its rung is skipped where
            there are others.
        ToolError: the rung ort takes longer than its limit.
    """
    for rung in rungs:
        if rung not in (*RUNGS, *MORE_RUNGS):
            raise UsageError(f"a rung must be one of {', '.join((*RUNGS, *MORE_RUNGS))}, got {rung!r}")
    if not rungs:
        raise UsageError(f"verify must have at least one rung of {', '.join(RUNGS)}")
    if not isinstance(circuit, IntegerCircuit):
        raise UsageError(f"verify must have an integer circuit, got {type(circuit).__name__}")
    unrolled_rtl = project is not None and "rtl" in rungs and kernel_of(Path(project)) == UNROLLED_RTL
    coders = ("csim", "engine", "netlist") if unrolled_rtl else ("csim", "engine", "rtl", "netlist")
    coding = next((rung for rung in rungs if rung in coders), None)
    if coding:
        try:
            _ = circuit.tree  # the kernels code, so say now what only the last rung would
        except NotStructuredError as error:
            raise NotStructuredError(
                f"the rung {coding} must have a structured-decomposable circuit, the rung ort compares the likelihood: "
                f"{error}"
            ) from error
    predictor = stage_of(circuit)
    if "predictor" in rungs and predictor is None:
        raise UsageError("the rung predictor must have a circuit with a predictor stage, this one has none")
    engine = ReferenceEngine(circuit)
    records = engine.check(x, allow_missing=True)
    if not len(records):
        raise DataError("verify must have at least one record, got none")
    say = announce or (lambda _: None)
    comparisons: list[Comparison] = []
    if "ort" in rungs:
        say("onnxruntime")
        with bars("onnxruntime") if bars else nullcontext(lambda done, total: None) as move:
            comparisons += _compare_ort(engine, OrtSession(engine.program, seconds=ort_seconds, progress=move), records)
    if "csim" in rungs:
        say("csim: lowering and compiling")
        with scratch() as temporary:
            folder = Path(project) if project else write_project(engine.program, temporary / "project")
            csim = Csim(folder)
            if csim.manifest.digest != circuit.digest.hex():
                raise UsageError(f"{folder} must be a project of this circuit, its digest is another one's")
            if csim.manifest.reload:
                raise UsageError(f"{folder} must have read-only memories for the rung csim; the rung engine takes it")
            csim.compile()
            say("csim: running the three tops")
            comparisons += _compare_csim(engine, csim, records)
    if "engine" in rungs:
        say("engine: lowering and compiling")
        with scratch() as temporary:
            fresh = temporary / "project"
            folder = Path(project) if project else write_project(engine.program, fresh, shape=VERIFY_SHAPE)
            comparisons += _compare_engine(engine, EngineCsim(folder), records)
    if unrolled_rtl:
        say("rtl: verilating and compiling")
        comparisons += _compare_unrolled(engine, UnrolledRtl(Path(str(project))), records, "rtl")
    skipped: list[tuple[str, str]] = []
    cells: Mapping[str, Any] = {}
    if {*rungs} & ({"netlist"} if unrolled_rtl else {"rtl", "netlist"}):
        with scratch() as temporary:
            given = project is not None and kernel_of(Path(project)) == RTL
            # packets are not compared in a netlist, which they would make larger
            jobs = BUILT_JOBS if "netlist" in rungs else (*BUILT_JOBS, *PACKET_JOBS)
            fresh = temporary / "project"
            rtl = RtlProject(Path(str(project)) if given else write_rtl(engine.program, fresh, jobs=jobs))
            if rtl.manifest.digest != circuit.digest.hex():
                raise UsageError(f"{rtl.folder} must be a project of this circuit, its digest is another one's")
            if "rtl" in rungs and not unrolled_rtl:
                say("rtl: lowering, verilating and compiling")
                with rtl.device() as device:
                    if rtl.manifest.reload:
                        device.load(rtl.image())
                    comparisons += compare_device("rtl", engine, device, records)
                    if set(PACKET_JOBS) <= set(rtl.manifest.built_jobs):
                        comparisons += _compare_device_packets("rtl", engine, device, records)
                if predictor is not None and rtl.manifest.stage is not None:
                    say("rtl: the predictor stage")
                    data = _cells(predictor, rows)
                    lines = compare_stage(circuit, StageRtl(rtl.folder), data, min(VERIFY_LANES, len(data)))
                    comparisons += [Comparison("rtl", *one) for one in lines]
            if "netlist" in rungs:
                compared, skipped, cells = compare_netlists(engine, rtl.folder, records, say)
                comparisons += compared
    if "unrolled" in rungs:
        say("unrolled: exporting and compiling")
        with scratch() as temporary:
            given = project is not None and kernel_of(Path(project)) == UNROLLED
            folder = Path(str(project)) if given else write_unrolled(engine.program, temporary / "project")
            comparisons += _compare_unrolled(engine, UnrolledCsim(folder), records)
    if "predictor" in rungs and predictor is not None:
        say("predictor: lowering and compiling")
        data = _cells(predictor, rows)
        with scratch() as temporary:
            folder = Path(project) if project else write_project(engine.program, temporary / "project")
            stage = StageCsim(folder)
            if stage.manifest.digest != circuit.digest.hex():
                raise UsageError(f"{folder} must be a project of this circuit, its digest is another one's")
            lines = compare_stage(circuit, stage, data, min(VERIFY_LANES, len(data)))
            comparisons += [Comparison("predictor", *one) for one in lines]
    if "native" in rungs:
        say("native engine")
        try:
            comparisons += compare_native(engine, records, None if predictor is None else _cells(predictor, rows))
        except MissingToolError as error:
            if len({*rungs}) == 1:
                raise
            skipped.append(("native", str(error)))
    figures: Mapping[str, Any] = {}
    if "mcu" in rungs:
        say("mcu: exporting and compiling")
        with scratch() as temporary:
            given = project is not None and kernel_of(Path(project)) == C99
            c99 = C99Project(Path(str(project)) if given else write_c99(engine.program, temporary / "project"))
            if c99.manifest.digest != circuit.digest.hex():
                raise UsageError(f"{c99.folder} must be a project of this circuit, its digest is another one's")
            numbers = None if predictor is None else _cells(predictor, rows)
            lines, figures = compare_mcu(engine, c99, records, hide(records), say, cells=numbers)
            comparisons += [Comparison("mcu", *one) for one in lines]
    return LadderReport(tuple(comparisons), tuple(skipped), figures, cells)


def _cells(predictor: Predictor, rows: NDArray[Any] | None) -> NDArray[Any]:
    """Give rows of numbers for a stage, drawn ones where there are no data."""
    cells = draw_rows(predictor, golden_rows(predictor)) if rows is None else predictor.cells(rows)
    if not len(cells):
        raise DataError("verify must have at least one row of data, got none")
    return cells


def _compare_ort(engine: ReferenceEngine, session: OrtSession, records: IntArray) -> list[Comparison]:
    def trace(block: IntArray) -> Trace:
        return trace_ort(engine, session, block)

    out = []
    for name, data in (("likelihood", records), ("likelihood, partial evidence", hide(records))):
        got = session.run(data)
        pair = [got["mantissa"], got["exponent"]]
        out.append(_compare(engine, "ort", name, data, engine.likelihood(data), pair, trace))
        if name == "likelihood" and engine.circuit.structured:
            expected = engine.intervals(data)
            out.append(_compare(engine, "ort", "intervals lo, hi", data, expected, [got["lo"], got["hi"]], trace))
    return out


def _compare_csim(engine: ReferenceEngine, csim: Csim, records: IntArray) -> list[Comparison]:
    def trace(block: IntArray) -> Trace:
        return trace_csim(engine, csim, block)

    out = [
        _compare(engine, "csim", name, data, engine.likelihood(data), csim.likelihood(data), trace)
        for name, data in (("pc_likelihood", records), ("pc_likelihood, partial evidence", hide(records)))
    ]
    out.append(
        _compare(engine, "csim", "intervals lo, hi", records, engine.intervals(records), csim.intervals(records), trace)
    )
    return out + compare_coding(engine, "csim", "pc_", csim.encode, csim.decode, records)


def _compare_engine(engine: ReferenceEngine, csim: EngineCsim, records: IntArray) -> list[Comparison]:
    manifest = Csim(csim.folder).manifest
    with csim.device() as device:
        if manifest.capacity is not None:
            device.load(image_words(engine.circuit, manifest.capacity))
        if device.info.digest != engine.circuit.digest:
            raise UsageError(f"{csim.folder} must be a project of this circuit, its digest is another one's")
        out = compare_device("engine", engine, device, records)
        out += _compare_device_packets("engine", engine, device, records)
    return out


def _compare_device_packets(
    rung: str, engine: ReferenceEngine, device: Device, records: IntArray
) -> list[Comparison]:  # fmt: skip
    return compare_packets(
        rung, "", engine, records[(records != MISSING).all(axis=1)],
        partial(device_packets.encode_packets, device, engine),
        partial(device_packets.decode_packets, device, engine),
    )  # fmt: skip


def _compare_unrolled(
    engine: ReferenceEngine, csim: UnrolledCsim | UnrolledRtl, records: IntArray, rung: str = "unrolled"
) -> list[Comparison]:
    if csim.manifest.digest != engine.circuit.likelihood_digest.hex():
        raise UsageError(f"{csim.folder} must be a project of this circuit, its digest is another one's")
    out = []
    names = ("mantissa", "exponent", "score")
    for name, data in (("pc_unrolled", records), ("pc_unrolled, partial evidence", hide(records))):
        expected, got = results(engine, data), csim.run(data)
        differs = np.argwhere(expected != got)
        first = None
        if differs.size:
            record, column = (int(index) for index in differs[0])
            first = f"record {record}, {names[column]}: expected {expected[record, column]}, got {got[record, column]}"
        out.append(Comparison(rung, name, len(data), len(np.unique(differs[:, 0])), first))
    return out


def _compare(
    engine: ReferenceEngine,
    rung: str,
    name: str,
    records: IntArray,
    expected: Sequence[IntArray],
    got: Sequence[IntArray],
    trace: Callable[[IntArray], Trace],
) -> Comparison:
    """Count the records that differ in any output; trace the first of them."""
    differs = np.zeros(len(records), dtype=bool)
    for left, right in zip(expected, got, strict=True):
        differs |= (left != right).reshape(len(records), -1).any(axis=1)
    first = None
    if differs.any():
        record = int(np.flatnonzero(differs)[0])
        single = records[record : record + 1]
        where = first_difference(trace_numpy(engine, single), trace(single))
        first = f"record {record}: {where or 'the outputs differ, no step does'}"
    return Comparison(rung, name, len(records), int(differs.sum()), first)
