"""The project directory of a target: sources, memories, testbench, golden vectors, tool scripts, manifest."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge import __version__
from pcedge.coder.bounds import needed_widths
from pcedge.coder.interpreter import Engine
from pcedge.errors import DataError, UsageError
from pcedge.export.cycles import Shape
from pcedge.export.golden import Golden, draw_records, make_golden
from pcedge.export.lowering import Program, lower
from pcedge.export.memories import memories_code
from pcedge.export.onnx_writer import write_onnx
from pcedge.export.target import DEFAULT_TARGET, Target, find_target
from pcedge.export.vitis import ENGINE, TOPS, Sources, vendor_files
from pcedge.quantize.integer import IntegerCircuit

MANIFEST = "manifest.json"
PROJECT_FORMAT = "pcedge-project"
MANIFEST_VERSION = 1

#: golden records where the caller gives no data
GOLDEN_RECORDS = 16


def write_project(
    circuit: IntegerCircuit,
    out: str | Path,
    *,
    target: str = DEFAULT_TARGET,
    records: ArrayLike | None = None,
    shape: Shape | None = None,
) -> Path:
    """Lower a circuit to a project directory.

    Args:
        circuit: a structured-decomposable integer circuit.
        out: the directory; of an earlier project its own files are replaced, and nothing else is touched.
        target: name of a shipped target, or the path of a TOML file with the same fields.
        records: data for the golden vectors, (N, …) without missing symbols; None draws some from the circuit.
        shape: multiply-accumulates a cycle and streams of the parallel top; None takes one of each.

    Returns:
        The directory.

    Raises:
        UsageError: the target is unknown, or the directory holds something else.
        NotStructuredError: the circuit is not structured-decomposable, and the kernels cannot code with it.
        DataError: the records do not fit, or there are none.
    """
    chosen = find_target(target)
    engine = Engine(circuit)
    shape = shape or Shape()
    program = lower(circuit, tile=shape.tile)
    drawn = draw_records(engine, GOLDEN_RECORDS) if records is None else engine.check(records, allow_missing=False)
    if not len(drawn):
        raise DataError("golden vectors must have at least one record, got none")
    golden = make_golden(engine, drawn)

    def fill(fresh: Path) -> dict[str, object]:
        for part in ("src", "include/pcedge", "testbench", "golden"):
            (fresh / part).mkdir(parents=True)
        _copy_sources(fresh)
        write_text(fresh / "src/pcedge_config.hpp", config_code(program, shape))
        header, source = memories_code(program)
        write_text(fresh / "src/pcedge_memories.hpp", header)
        write_text(fresh / "src/pcedge_memories.cpp", source)
        write_vendor(fresh, chosen, TOPS, ENGINE)
        _write_golden(fresh / "golden", golden, program)
        write_onnx(circuit, fresh / "model.onnx")
        return _manifest(program, shape, chosen, golden)

    return write_files(out, fill)


def write_files(out: str | Path, fill: Callable[[Path], dict[str, object]]) -> Path:
    """Write a project directory: `fill` puts files into an empty one and gives the manifest, without their names.

    Raises:
        UsageError: the directory holds something else than an earlier project.
    """
    folder = Path(out)
    old = _files_of(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and moved there when it is whole: an error leaves an earlier project as it was.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".pcedge-") as scratch:
        fresh = Path(scratch)
        manifest = fill(fresh)
        names = sorted(path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file())
        write_text(fresh / MANIFEST, json.dumps(manifest | {"files": names}, indent=2) + "\n")
        _move(fresh, folder, names, old)
    return folder


def _files_of(folder: Path) -> list[str]:
    """List the files of the project that a directory holds; none for a new or empty one.

    Raises:
        UsageError: the directory holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return []
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != PROJECT_FORMAT:
            raise ValueError(manifest["format"])
        # Only names of files below the directory: a damaged manifest must not reach others.
        return [name for name in manifest["files"] if isinstance(name, str) and ".." not in Path(name).parts]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{folder} must be a new or empty directory, or an earlier project; it holds other files"
        ) from error


def _move(fresh: Path, folder: Path, names: list[str], old: list[str]) -> None:
    """Replace an earlier project's files, and no others, by the new ones; the manifest first, so that it names both."""
    for name in [MANIFEST, *names]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh / name, folder / name)
    for name in old:
        path = folder / name
        if name not in names and not Path(name).is_absolute() and path.is_file():
            path.unlink()


def template(name: str) -> str:
    """Read a shipped template."""
    return files("pcedge.export").joinpath("templates", name).read_text(encoding="utf-8")


def _copy_sources(folder: Path) -> None:
    with as_file(files("pcedge.hls")) as kernels:
        for header in sorted((kernels / "include/pcedge").iterdir()):
            shutil.copyfile(header, folder / "include/pcedge" / header.name)
        for name in ("testbench.cpp", "parallel.cpp"):
            shutil.copyfile(kernels / "testbench" / name, folder / "testbench" / name)
    tops = [f"pcedge_{top}.{kind}" for top in ("top", "parallel") for kind in ("hpp", "cpp")]
    for name, place in (*((top, "src") for top in tops), ("Makefile", ".")):
        write_text(folder / place / name, template(name))


def write_text(path: Path, text: str) -> None:
    """Write a text with the same line ends everywhere."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_vendor(folder: Path, target: Target, tops: tuple[str, ...], sources: Sources) -> None:
    """Write the vendor's part of a project."""
    for name, text in vendor_files(target, tops, sources).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)


def config_code(program: Program, shape: Shape) -> str:
    """Write the C++ of a program's widths and sizes."""
    circuit = program.circuit
    widths = circuit.widths
    constants = {
        "variables": len(circuit.order),
        "cardinality": widths.cardinality,
        "symbol_bits": widths.symbol,
        "weight_bits": widths.weight_bits,
        "leaf_bits": widths.leaf_bits,
        "state_bits": widths.state_bits,
        "scale_bits": widths.scale_bits,
        "range_bits": widths.range_bits,
        "floor": widths.floor,
        "accumulator_bits": widths.accumulator,
        "context_sum_bits": widths.context_sum,
        "weighted_bits": widths.weighted,
        "max_units": program.max_units,
        "state_words": program.state_words,
        "exponent_slots": program.exponent_slots,
        "streams": shape.streams,
        "tile_rows": shape.tile[0],
        "tile_columns": shape.tile[1],
        "lanes": shape.lanes,
        "search_bits": shape.search_bits,
    }
    # What this circuit's numbers need, proven by interval analysis; the engine compares its widths with them.
    constants |= {f"needed_{name}_bits": bits for name, bits in needed_widths(circuit).items()}
    lines = "".join(f"  static constexpr int {name} = {value};\n" for name, value in constants.items())
    return (
        "// Widths and sizes of one circuit. Generated; the integer circuit is model.onnx.\n"
        f"// digest {circuit.digest.hex()}\n"
        "#ifndef PCEDGE_CONFIG_HPP\n#define PCEDGE_CONFIG_HPP\n\n"
        '#include "pcedge/integers.hpp"\n\n'
        "struct pcedge_config {\n"
        "#ifdef PCEDGE_PLAIN_INTEGERS\n  using integers = pcedge::plain_integers;\n"
        "#else\n  using integers = pcedge::ap_integers;\n#endif\n"
        f"{lines}}};\n\n#endif\n"
    )


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


def _manifest(program: Program, shape: Shape, target: Target, golden: Golden) -> dict[str, object]:
    circuit = program.circuit
    return {
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
        "tops": list(TOPS),
        "parallel_top": "pc_parallel",
        "steps": {"likelihood": len(program.likelihood.steps), "code": len(program.code.steps)},
        "memory_bits": program.memory_bits(),
        "golden_records": len(golden.records),
    }
