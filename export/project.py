"""The project directory of a target: sources, memories, testbench, golden vectors, tool scripts, manifest."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge import __version__
from pcedge.coder.interpreter import Engine
from pcedge.errors import DataError, FormatError, UsageError
from pcedge.export.config import config_code, reload_config_code, storage_code
from pcedge.export.cycles import Shape
from pcedge.export.golden import Golden, draw_records, make_golden
from pcedge.export.image import Capacity, capacity_of, image_words
from pcedge.export.lowering import Program, lower
from pcedge.export.manifest import (
    MANIFEST,
    MANIFEST_VERSION,
    PROJECT_FORMAT,
    check_names,
    load_manifest,
    manifest_bytes,
)
from pcedge.export.memories import memories_code
from pcedge.export.onnx_writer import write_onnx
from pcedge.export.reload import reload_code
from pcedge.export.target import DEFAULT_TARGET, Target, find_target
from pcedge.export.vitis import ENGINE, ENGINE_TOPS, KERNEL_TOPS, KERNELS, Sources, vendor_files
from pcedge.files import scratch
from pcedge.quantize.integer import IntegerCircuit

#: golden records where the caller gives no data
GOLDEN_RECORDS = 16


def write_project(
    circuit: IntegerCircuit,
    out: str | Path,
    *,
    target: str = DEFAULT_TARGET,
    records: ArrayLike | None = None,
    shape: Shape | None = None,
    reload: bool = False,
    fit: Sequence[IntegerCircuit] = (),
) -> Path:
    """Lower a circuit to a project directory.

    Args:
        circuit: a structured-decomposable integer circuit.
        out: the directory; of an earlier project its own files are replaced, and nothing else is touched.
        target: name of a shipped target, or the path of a TOML file with the same fields.
        records: data for the golden vectors, (N, …) without missing symbols; None draws some from the circuit.
        shape: multiply-accumulates a cycle and streams of the engine; None takes one of each.
        reload: whether the engine's memories are loaded over a stream; otherwise they are read-only.
        fit: with `reload`, further circuits that the memories must have room for.

    Returns:
        The directory.

    Raises:
        UsageError: the target is unknown, or the directory holds something else.
        NotStructuredError: the circuit is not structured-decomposable, and the kernels cannot code with it.
        WidthError: circuits of one engine differ in a width that it fixes.
        DataError: the records do not fit, or there are none.
    """
    chosen = find_target(target)
    engine = Engine(circuit)
    shape = shape or Shape()
    program = lower(circuit, shape=shape)
    capacity = capacity_of([circuit, *fit], shape) if reload else None
    drawn = draw_records(engine, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=False)
    if not len(drawn):
        raise DataError("golden vectors must have at least one record, got none")
    golden = make_golden(engine, drawn)

    def fill(fresh: Path) -> dict[str, object]:
        for part in ("src", "include/pcedge", "testbench", "golden"):
            (fresh / part).mkdir(parents=True)
        _copy_sources(fresh, reload)
        header, source = memories_code(program) if capacity is None else reload_code(capacity)
        config = config_code(program) if capacity is None else reload_config_code(capacity)
        words = program.state_words if capacity is None else capacity.sizes["state_words"]
        write_text(fresh / "src/pcedge_config.hpp", storage_code(words, shape) + config)
        write_text(fresh / "src/pcedge_memories.hpp", header)
        write_text(fresh / "src/pcedge_memories.cpp", source)
        write_vendor(fresh, chosen, {ENGINE: ENGINE_TOPS} if reload else {KERNELS: KERNEL_TOPS, ENGINE: ENGINE_TOPS})
        _write_golden(fresh / "golden", golden, program)
        if capacity is not None:
            (fresh / "golden/image.u32").write_bytes(image_words(circuit, capacity).tobytes())
        write_onnx(circuit, fresh / "model.onnx")
        return _manifest(program, shape, chosen, golden, capacity)

    return write_files(out, fill)


def write_files(out: str | Path, fill: Callable[[Path], dict[str, object]]) -> Path:
    """Write a project directory: `fill` puts files into an empty one and gives the manifest, without their names.

    The directory may be a link to one. Within it nothing is written or deleted through a link.

    Raises:
        UsageError: the directory holds something else than an earlier project, or a link, a file or a folder where
            the project has a folder or a file.
    """
    folder = Path(out)
    old = _files_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder.parent} must be a directory, or a place for one") from error
    place = folder.resolve()
    _check_places(place, old)
    # Written beside its place and moved there when it is whole: an error leaves an earlier project as it was.
    with scratch(place.parent) as fresh:
        manifest = fill(fresh)
        names = sorted(path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file())
        check_names(names, MANIFEST)
        write_text(fresh / MANIFEST, json.dumps(manifest | {"files": names}, indent=2) + "\n")
        _check_places(place, names)
        for path in (place / name for name in [MANIFEST, *names]):
            if path.is_dir() and not path.is_symlink():
                raise UsageError(f"{path} must be a file of the project, it is a folder")
        _move(fresh, place, names, old)
    return folder


def _files_of(folder: Path) -> list[str]:
    """List the files of the project that a directory holds; none for a new or empty one.

    Raises:
        UsageError: the directory holds something else, or a project whose manifest names what is not its own.
    """
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return []
    try:
        manifest = load_manifest(manifest_bytes(folder), str(folder / MANIFEST))
    except FormatError as error:
        raise UsageError(
            f"{folder} must be a new or empty directory, or an earlier project; it holds other files ({error})"
        ) from error
    return list(manifest["files"])


def _check_places(folder: Path, names: Sequence[str]) -> None:
    """Refuse to go through a link out of a project's folder, or through a file.

    Args:
        folder: the directory, without links.
        names: names that `check_names` has passed.

    Raises:
        UsageError: a folder on the way to a file is a link or a file.
    """
    for name in names:
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            inner = folder / parent
            if os.path.lexists(inner) and (not inner.is_dir() or inner.resolve() != inner):
                raise UsageError(f"{inner} must be a folder of the project itself, it is a link or a file")


def _move(fresh: Path, folder: Path, names: list[str], old: list[str]) -> None:
    """Replace an earlier project's files, and no others, by the new ones; the manifest first, so that it names both."""
    for name in [MANIFEST, *names]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh / name, folder / name)
    # Where a file system knows no capitals, an old name may be a new file.
    written = {name.lower() for name in names}
    for name in old:
        path = folder / name
        if name.lower() not in written and (path.is_file() or path.is_symlink()):
            path.unlink()


def template(name: str) -> str:
    """Read a shipped template."""
    return files("pcedge.export").joinpath("templates", name).read_text(encoding="utf-8")


def _copy_sources(folder: Path, reload: bool) -> None:
    with as_file(files("pcedge.hls")) as kernels:
        for header in sorted((kernels / "include/pcedge").iterdir()):
            shutil.copyfile(header, folder / "include/pcedge" / header.name)
        for name in ("engine.cpp",) if reload else ("testbench.cpp", "engine.cpp"):
            shutil.copyfile(kernels / "testbench" / name, folder / "testbench" / name)
    for top in ("engine",) if reload else ("top", "engine"):
        for kind in ("hpp", "cpp"):
            write_text(folder / f"src/pcedge_{top}.{kind}", template(f"pcedge_{top}.{kind}"))
    write_text(folder / "Makefile", template("Makefile"))


def write_text(path: Path, text: str) -> None:
    """Write a text with the same line ends everywhere."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_vendor(folder: Path, target: Target, tops: dict[Sources, tuple[str, ...]]) -> None:
    """Write the vendor's part of a project."""
    for name, text in vendor_files(target, tops).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)


def _write_golden(folder: Path, golden: Golden, program: Program) -> None:
    arrays: dict[str, tuple[NDArray[np.generic], str]] = {
        "symbols.i32": (golden.records, "<i4"),
        "likelihood.i64": (np.stack(golden.likelihood, axis=1), "<i8"),
        "intervals.u32": (np.stack(golden.intervals, axis=2), "<u4"),
        "likelihood_hashes.u32": (golden.likelihood_hashes, "<u4"),
        "code_hashes.u32": (golden.code_hashes, "<u4"),
    }
    for name, (values, dtype) in arrays.items():
        (folder / name).write_bytes(np.ascontiguousarray(values).astype(dtype).tobytes())
    (folder / "lanes.bin").write_bytes(pack_lanes(golden.lanes))
    # The engine's testbench reads words only.
    sizes = np.array([len(lane) for lane in golden.lanes], dtype="<u4")
    (folder / "lane_sizes.u32").write_bytes(sizes.tobytes())
    (folder / "lane_bytes.u32").write_bytes(
        np.frombuffer(b"".join(golden.lanes), dtype=np.uint8).astype("<u4").tobytes()
    )
    names = [step.describe() for schedule in (program.likelihood, program.code) for step in schedule.steps]
    write_text(folder / "steps.txt", "\n".join(names) + "\n")


def pack_lanes(lanes: list[bytes]) -> bytes:
    """Write lanes as the testbench reads them: a count, then a length and the bytes of each."""
    parts = [len(lanes).to_bytes(4, "little")]
    for lane in lanes:
        parts += [len(lane).to_bytes(4, "little"), lane]
    return b"".join(parts)


def unpack_lanes(data: bytes) -> list[bytes]:
    """Read lanes as the testbenches write them."""
    count, place = int.from_bytes(data[:4], "little"), 4
    lanes = []
    for _ in range(count):
        size = int.from_bytes(data[place : place + 4], "little")
        lanes.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return lanes


def _manifest(
    program: Program, shape: Shape, target: Target, golden: Golden, capacity: Capacity | None
) -> dict[str, object]:
    circuit = program.circuit
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
        "tops": [*(KERNEL_TOPS if capacity is None else ()), *ENGINE_TOPS],
        "steps": {"likelihood": len(program.likelihood.steps), "code": len(program.code.steps)},
        "memory_bits": program.memory_bits(),
        "golden_records": len(golden.records),
        "golden_bytes": sum(map(len, golden.lanes)),
    }
