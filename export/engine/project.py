"""The project directory of the kernels and the engine: sources, memories, testbench, golden vectors, scripts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge import __version__
from pcedge.drivers.size import EngineSize
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError
from pcedge.export.engine.config import config_code, reload_config_code, storage_code
from pcedge.export.engine.loaded_memories import reload_code
from pcedge.export.engine.memories import memories_code
from pcedge.export.onnx.writer import onnx_bytes
from pcedge.export.program.image import Capacity, capacity_of, image_words, make_image
from pcedge.export.program.lowering import Lowered, lower
from pcedge.export.program.storage import cheapest_rows
from pcedge.export.project.directory import (
    GOLDEN_RECORDS,
    ProjectPlan,
    kernel_headers,
    plan_project,
    template,
    vendor_plan,
    write_plan,
)
from pcedge.export.project.golden import Golden, draw_records, make_golden
from pcedge.export.project.lanes import pack_lanes
from pcedge.export.project.manifest import (
    MANIFEST_VERSION,
    PROJECT_FORMAT,
)
from pcedge.export.project.prediction import STAGE, STAGE_TOPS, plan_stage
from pcedge.export.target import DEFAULT_TARGET, Target, find_target
from pcedge.export.vitis.files import ENGINE, ENGINE_TOPS, KERNEL_TOPS, KERNELS, Sources
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.steps import describe


def write_project(
    circuit: IntegerCircuit | Program,
    out: str | Path,
    *,
    target: str = DEFAULT_TARGET,
    records: ArrayLike | None = None,
    shape: EngineSize | None = None,
    reload: bool = False,
    fit: Sequence[IntegerCircuit] = (),
    rows: ArrayLike | None = None,
) -> Path:
    """Lower a circuit to a project directory, see `plan_engine`.

    Args:
        circuit: a structured-decomposable integer circuit, or its program.
        out: the directory; of an earlier project its own files are replaced, and nothing else is touched.
        target: name of a shipped target, or the path of a TOML file with the same fields.
        records: data for the golden vectors, (N, …) without missing symbols; None draws some from the circuit.
        shape: multiply-accumulates a cycle and streams of the engine; None takes one of each.
        reload: whether the engine's memories are loaded over a stream; otherwise they are read-only.
        fit: with `reload`, further circuits that the memories must have room for.
        rows: of a circuit with a predictor stage, data for the stage's golden vectors; None draws some.

    Returns:
        The directory.

    Raises:
        UsageError: the target is unknown, or the directory holds something else.
        NotStructuredError: the circuit is not structured-decomposable, and the kernels cannot code with it.
        WidthError: circuits of one engine differ in a width that it fixes.
        DataError: the records do not fit, or there are none.
    """
    plan = plan_engine(circuit, target=target, records=records, shape=shape, reload=reload, fit=fit, rows=rows)
    return write_plan(plan, out)


def plan_engine(
    circuit: IntegerCircuit | Program,
    *,
    target: str = DEFAULT_TARGET,
    records: ArrayLike | None = None,
    shape: EngineSize | None = None,
    reload: bool = False,
    fit: Sequence[IntegerCircuit] = (),
    rows: ArrayLike | None = None,
) -> ProjectPlan:
    """Lower a circuit to the files of a project; nothing is written.

    Arguments and errors are those of `write_project`.
    """
    chosen = find_target(target)
    program = Program.of(circuit)
    engine = ReferenceEngine(program)
    shape = shape or EngineSize()
    lowered = lower(cheapest_rows(program, shape), shape=shape)
    image = make_image(program, shape) if reload else None
    capacity = capacity_of([image, *(make_image(other, shape) for other in fit)], shape) if image else None
    drawn = draw_records(engine, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=False)
    if not len(drawn):
        raise DataError("golden vectors must have at least one record, got none")
    golden = make_golden(engine, drawn)
    stage = plan_stage(engine.circuit, rows)

    header, source = memories_code(lowered) if capacity is None else reload_code(capacity)
    config = config_code(lowered) if capacity is None else reload_config_code(capacity)
    words = lowered.state_words if capacity is None else capacity.sizes["state_words"]
    tops: dict[Sources, tuple[str, ...]] = {} if reload else {KERNELS: KERNEL_TOPS}
    tops[ENGINE] = ENGINE_TOPS
    if stage:
        tops[STAGE] = STAGE_TOPS
    contents = {
        **_sources(reload, stage is not None),
        "src/pcedge_config.hpp": (storage_code(words, shape) + config).encode(),
        "src/pcedge_memories.hpp": header.encode(),
        "src/pcedge_memories.cpp": source.encode(),
        **(stage.contents if stage else {}),
        **vendor_plan(chosen, tops),
        **_golden(golden, lowered),
        "model.onnx": onnx_bytes(program),
    }
    if image is not None and capacity is not None:
        contents["golden/image.u32"] = image_words(image, capacity).tobytes()
    manifest = _manifest(lowered, shape, chosen, golden, capacity, [top for names in tops.values() for top in names])
    return plan_project(manifest | (stage.manifest if stage else {}), contents)


def _sources(reload: bool, stage: bool) -> dict[str, bytes]:
    kernels = files("pcedge.hls")
    sources = {}
    for name in ("engine.cpp",) if reload else ("testbench.cpp", "engine.cpp"):
        sources[f"testbench/{name}"] = kernels.joinpath("testbench", name)
    for top in ("engine",) if reload else ("top", "engine"):
        for name in (f"pcedge_{top}.hpp", f"pcedge_{top}.cpp"):
            sources[f"src/{name}"] = kernels.joinpath("tops", name)
    headers = {
        f"include/{name}": content
        for name, content in kernel_headers().items()
        if stage or not name.startswith("pcedge/predict/")
    }
    copies = {name: source.read_bytes() for name, source in sources.items()}
    return headers | copies | {"Makefile": template("engine", "Makefile").encode()}


def _golden(golden: Golden, lowered: Lowered) -> dict[str, bytes]:
    # The engine's testbench reads words only.
    sizes = np.array([len(lane) for lane in golden.lanes])
    arrays: dict[str, tuple[NDArray[np.generic], str]] = {
        "symbols.i32": (golden.records, "<i4"),
        "likelihood.i64": (np.stack(golden.likelihood, axis=1), "<i8"),
        "intervals.u32": (np.stack(golden.intervals, axis=2), "<u4"),
        "likelihood_hashes.u32": (golden.likelihood_hashes, "<u4"),
        "code_hashes.u32": (golden.code_hashes, "<u4"),
        "lane_sizes.u32": (sizes, "<u4"),
        "lane_bytes.u32": (np.frombuffer(b"".join(golden.lanes), dtype=np.uint8), "<u4"),
    }
    names = [describe(step) for schedule in (lowered.likelihood, lowered.code) for step in schedule.steps]
    return {
        **{f"golden/{name}": values.astype(dtype).tobytes() for name, (values, dtype) in arrays.items()},
        "golden/lanes.bin": pack_lanes(golden.lanes),
        "golden/steps.txt": ("\n".join(names) + "\n").encode(),
    }


def _manifest(
    lowered: Lowered, shape: EngineSize, target: Target, golden: Golden, capacity: Capacity | None, tops: list[str]
) -> dict[str, object]:
    circuit = lowered.circuit
    loaded = {} if capacity is None else {"capacity": capacity.as_dict(), "loaded_bits": capacity.memory_bits}
    return loaded | {
        "format": PROJECT_FORMAT,
        "version": MANIFEST_VERSION,
        "pcedge": __version__,
        "target": target.as_dict(),
        "digest": circuit.digest.hex(),
        "widths": circuit.widths.as_dict(),
        "signals": circuit.widths.signals(),
        "variables": len(circuit.order),
        "macs": shape.macs,
        "streams": shape.streams,
        "multipliers": shape.multipliers,
        "search_bits": shape.search_bits,
        "reload": capacity is not None,
        "tops": tops,
        "steps": {"likelihood": len(lowered.likelihood.steps), "code": len(lowered.code.steps)},
        "memory_bits": lowered.memory_bits(),
        "golden_records": len(golden.records),
        "golden_bytes": sum(map(len, golden.lanes)),
    }
