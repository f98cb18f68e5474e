"""The project directory of the engine in SystemVerilog: sources, parameters, images, testbench, golden vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pcedge import __version__
from pcedge.circuit.layers import MISSING
from pcedge.codec.packets import PacketLayout, encode_packets
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.export.engine.contract import systemrdl
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.open_target import find_open_target
from pcedge.export.project.directory import GOLDEN_RECORDS, ProjectPlan, plan_project, write_plan
from pcedge.export.project.golden import draw_records
from pcedge.export.project.lanes import pack_lanes
from pcedge.export.project.manifest import BUILT_JOBS, MANIFEST_VERSION, PACKET_JOBS, PROJECT_FORMAT, RTL
from pcedge.export.rtl.capacity import RtlCapacity, capacity_of, rtl_image_words
from pcedge.export.rtl.core import core_files
from pcedge.export.rtl.cycles import cycles_per_symbol
from pcedge.export.rtl.fitting import lower_for
from pcedge.export.rtl.lowering import RtlImage
from pcedge.export.rtl.memories import engine_memories
from pcedge.export.rtl.params import hex_files, loaded_params_code, params_code, sizes_of
from pcedge.export.rtl.size import LEVELS, RtlSize
from pcedge.export.rtl.stage.project import plan_rtl_stage
from pcedge.export.rtl.testbench_files import ENGINE_BENCH, GOLDEN_BENCH, bench_files
from pcedge.export.rtl.top import TOP, info_words, top_code
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: golden packets: their bytes, and their checksum's bits
GOLDEN_PACKET_BYTES, GOLDEN_CRC_BITS = 32, 16


def write_rtl(
    circuit: IntegerCircuit | Program,
    out: str | Path,
    *,
    size: RtlSize | None = None,
    records: ArrayLike | None = None,
    reload: bool = False,
    fit: Sequence[IntegerCircuit | Program] = (),
    jobs: Sequence[str] = BUILT_JOBS,
    target: str = RTL,
    rows: ArrayLike | None = None,
    harden: str = "none",
) -> Path:
    """Write the engine of a circuit into a project directory, see `plan_rtl`."""
    plan = plan_rtl(
        circuit, size=size, records=records, reload=reload, fit=fit, jobs=jobs, target=target, rows=rows, harden=harden
    )
    return write_plan(plan, out)


def plan_rtl(
    circuit: IntegerCircuit | Program, *, size: RtlSize | None = None, records: ArrayLike | None = None,
    reload: bool = False, fit: Sequence[IntegerCircuit | Program] = (), jobs: Sequence[str] = BUILT_JOBS,
    target: str = RTL, rows: ArrayLike | None = None, harden: str = "none",
) -> ProjectPlan:  # fmt: skip
    """Write the engine of a circuit, and its predictor stage, as the files of a project; nothing is written.

    Args:
        circuit: a structured-decomposable integer circuit, or its program.
        size: of the engine; None takes 16 macs and 4 streams.
        records: data for the golden vectors, (N, …); None draws some from the circuit.
        reload: whether the engine's memories are loaded over a stream; otherwise they are read-only.
        fit: with `reload`, further circuits that the memories must have room for.
        jobs: what the engine is built for, of likelihood, encode, decode, sample, score with likelihood, pack with
            encode, and unpack with decode; it ends the others with BAD_JOB.
        target: `rtl`, or the device that the project is for: a shipped one's name, or the path of a TOML file.
        rows: data for the golden vectors of the circuit's predictor stage, (rows, …); None draws some.
        harden: one of `size.LEVELS`. Sources are the same; what compiles or builds the project hardens them first.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit, a job is none, a reloadable engine is not for all, no device or
            level has that name, or there are rows of a circuit without a stage.
        WidthError: circuits of one engine differ in a width that it fixes.
        DataError: the records do not fit, or there are none without missing symbols.
    """
    engine = ReferenceEngine(circuit)
    size = size or RtlSize()
    if harden not in LEVELS:
        raise UsageError(f"a level of hardening must be one of {', '.join(LEVELS)}, got {harden!r}")
    if reload and not set(jobs) >= set(BUILT_JOBS):
        raise UsageError(f"a reloadable engine must have all jobs, {', '.join(BUILT_JOBS)}, got {', '.join(jobs)}")
    if reload and size.cores > 1:
        raise UsageError(f"a reloadable engine must have one core, got {size.cores}: cores share memories by reading")
    image = lower_for(engine.program, size, target, jobs, reload=reload, harden=harden)
    size = image.size
    capacity = capacity_of([engine.program, *fit], size, jobs) if reload else None
    given = draw_records(engine, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=True)
    given = given[(given != MISSING).all(axis=1)]
    if not len(given):
        raise DataError("golden vectors must have at least one record without missing symbols, got none")
    lanes = encode_lanes(engine, given, size.streams)
    sources = {f"rtl/{name}": text.encode() for name, text in needed_sources("pc_axi", image.jobs).items()}
    contents = {
        **dict(sorted(sources.items())),
        "rtl/params.svh": _params(image, capacity).encode(),
        f"rtl/{TOP}.sv": top_code(size.streams).encode(),
        **({} if capacity else {f"rtl/{name}": text.encode() for name, text in hex_files(image).items()}),
        **bench_files(ENGINE_BENCH, GOLDEN_BENCH),
        "registers.rdl": systemrdl().encode(),
        "golden/symbols.i32": given.astype("<i4").tobytes(),
        "golden/likelihood.i64": np.stack(engine.likelihood(given), axis=1).astype("<i8").tobytes(),
        "golden/lanes.bin": pack_lanes(lanes),
        "model.onnx": onnx_bytes(engine.program),
    }
    if set(PACKET_JOBS) & set(image.jobs):
        layout = PacketLayout.of(engine, GOLDEN_PACKET_BYTES, len(given), GOLDEN_CRC_BITS)
        contents["golden/packets.bin"] = pack_lanes(encode_packets(engine, given, layout))
    if capacity is not None:
        contents["golden/image.u32"] = rtl_image_words(engine.program, capacity).tobytes()
    stage = plan_rtl_stage(engine.circuit, rows)
    contents |= stage.contents if stage else {}
    if harden == "none":  # a core's tools take sources as they are
        contents |= core_files(contents, image.circuit.digest.hex(), __version__)
    loaded = {} if capacity is None else {"capacity": capacity.as_dict(), "loaded_bits": capacity.memory_bits}
    sizes = sizes_of(image) if capacity is None else capacity.sizes
    about = {
        "target": _target(target),
        "harden": harden,
        "jobs": {name: {"cycles_per_symbol": cycles} for name, cycles in cycles_per_symbol(image, sizes).items()},
        "memories": {memory.name: memory.bits for memory in engine_memories(sizes)},
    }
    manifest = _manifest(image, len(given), sum(map(len, lanes))) | about
    return plan_project(
        manifest | {"reload": capacity is not None} | loaded | (stage.manifest if stage else {}), contents
    )


def _target(name: str) -> dict[str, str]:
    if name == RTL:
        return {"name": RTL}
    device = find_open_target(name)
    return {"name": device.name, "part": device.part}


def _params(image: RtlImage, capacity: RtlCapacity | None) -> str:
    if capacity is None:
        return params_code(image)
    info = info_words(image, capacity.sizes)
    return loaded_params_code(capacity.sizes, capacity.tables(), info, capacity.layout)


def needed_sources(top: str, jobs: Sequence[str] = BUILT_JOBS) -> dict[str, str]:
    """Give the header and the sources that a module is made of for some jobs, itself too, by the files' names."""
    left_out = {
        "pc_coder": set(jobs) <= {"likelihood", "score"},
        "pc_encoders": "encode" not in jobs,
        "pc_decoders": not {"decode", "sample"} & set(jobs),
        "pc_packers": "pack" not in jobs,
        "pc_packets": not {"pack", "unpack"} & set(jobs),
        "pc_search": not {"decode", "sample"} & set(jobs),
    }
    room = files("pcedge.export.rtl").joinpath("sources")
    every = {source.name: source.read_text("utf-8") for source in room.iterdir() if source.name.endswith(".sv")}
    found, left = set(), [f"{top}.sv"]
    every = {name: text for name, text in every.items() if not left_out.get(name.removesuffix(".sv"))}
    while left:
        name = left.pop()
        if name in every and name not in found:
            found.add(name)
            left += [f"{word}.sv" for word in re.findall(r"^ *(pc_\w+) (?:#|\w+ \()", every[name], re.MULTILINE)]
    header = "pc_types.svh"
    return {header: room.joinpath(header).read_text("utf-8"), **{name: every[name] for name in sorted(found)}}


def _manifest(image: RtlImage, records: int, lane_bytes: int) -> dict[str, object]:
    circuit = image.circuit
    return {
        "format": PROJECT_FORMAT,
        "version": MANIFEST_VERSION,
        "pcedge": __version__,
        "kernel": RTL,
        "top": TOP,
        "digest": circuit.digest.hex(),
        "widths": circuit.widths.as_dict(),
        "variables": len(circuit.order),
        "macs": image.size.macs,
        "streams": image.size.streams,
        "lanes": image.size.lanes,
        "table_lanes": image.size.table_lanes,
        "cores": image.size.cores,
        "built_jobs": list(image.jobs),
        "shared_product": image.shared_product,
        "steps": {name: count for name, count in zip(("likelihood", "code"), image.counts, strict=True) if count},
        "golden_records": records,
        "golden_bytes": lane_bytes,
        "bits_per_symbol": round(8 * lane_bytes / (records * len(circuit.order)), 4),
    }
