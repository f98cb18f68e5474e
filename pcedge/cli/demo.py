"""The main job in one command: from the shipped digits circuit to verified hardware source."""

from __future__ import annotations

import io
import json
import lzma
import time
import zlib
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from pcedge import __version__
from pcedge.cli.output import PARTS, Command, spinner, table, whole_file
from pcedge.errors import MismatchError, MissingToolError
from pcedge.extras import needing

#: golden records of the exported project
GOLDEN_RECORDS = 64


@click.command(cls=Command, example="pcedge demo --out pcedge-demo")
@click.option("--out", default="pcedge-demo", show_default=True, type=click.Path(file_okay=False, path_type=Path))
def demo(out: Path) -> tuple[dict[str, Any], Any, int]:
    """Quantize, export, simulate, verify and compress the shipped digits; leaves a project and report.json."""
    _need_tools()
    console = Console(stderr=True)
    columns = spinner(console), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        steps = _Steps(bars)
        report = _run(out, steps)
    report["seconds"] = {name: round(seconds, 2) for name, seconds in steps.seconds.items()}
    report["seconds"]["total"] = round(sum(steps.seconds.values()), 2)
    with whole_file(out / "report.json") as fresh:
        fresh.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report, _tables(report, out), 1 if report["mismatches"] else 0


class _Steps:
    """Show what runs, and keep how long each step took."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.seconds: dict[str, float] = {}
        self.name = ""
        self.start = 0.0

    def begin(self, name: str) -> None:
        self.end()
        self.name, self.start = name, time.perf_counter()
        self.task = self.bars.add_task(name, total=1)

    def end(self) -> None:
        if self.name:
            self.seconds[self.name] = time.perf_counter() - self.start
            self.bars.update(self.task, completed=1)
        self.name = ""


def _need_tools() -> None:
    """Say what is missing before the work starts, not after half of it."""
    from pcedge.toolchain.tools import ap_types, compiler

    compiler()
    ap_types()
    for module, extra, what in (("onnxruntime", "ort", "the onnxruntime rung"), ("PIL", "images", "the PNG size")):
        with needing(module, extra, what):
            import_module(module)


def _run(out: Path, steps: _Steps) -> dict[str, Any]:
    from pcedge.circuit import load_circuit
    from pcedge.codec import decode, encode
    from pcedge.codec.container import Segment, Stream, parse
    from pcedge.data import load_data
    from pcedge.engines import ReferenceEngine
    from pcedge.evaluate import statistics
    from pcedge.export import read_onnx, write_onnx
    from pcedge.export.program.lowering import lower
    from pcedge.quantize import QuantizationConfig, quantize
    from pcedge.verify import Project

    steps.begin("quantize (W8 L12 A16) and write ONNX")
    out.mkdir(parents=True, exist_ok=True)
    circuit = load_circuit("digits")
    images = load_data("digits").test
    if images is None:
        raise MissingToolError("the shipped digits must have a test split; install pcedge again")
    with whole_file(out / "digits.onnx") as fresh:
        write_onnx(quantize(circuit, QuantizationConfig()), fresh)
    model = read_onnx(out / "digits.onnx")
    engine = ReferenceEngine(model)

    steps.begin("lower to an HLS project")
    project = Project.create(model, out / "project", records=images[:GOLDEN_RECORDS])
    steps.begin("compile the HLS testbench")
    project.compile()
    steps.begin("run the HLS testbench on its golden vectors")
    comparisons: list[dict[str, Any]] = [_golden(project)]
    steps.begin("verify: onnxruntime and csim against numpy")
    comparisons += [asdict(c) for c in project.verify(images).comparisons]

    steps.begin("compress with numpy and with the HLS kernels, decode each with the other")
    packed = encode(engine, images, lanes=1)
    records = engine.check(images, allow_missing=False)
    lanes = tuple(project.csim.encode(records, 1))
    hardware = Stream(model.digest, images.dtype, images.shape, (Segment(len(images), lanes),)).pack()
    comparisons.append(_comparison("csim", "file from pc_encode = reference file", 1, int(hardware != packed)))
    restored = decode(engine, hardware)
    wrong = int((restored != images).reshape(len(images), -1).any(axis=1).sum())
    comparisons.append(_comparison("numpy", "images from the file of pc_encode", len(images), wrong))
    decoded = project.csim.decode(list(parse(packed).segments[0].lanes), len(images))
    wrong = int((decoded != records).any(axis=1).sum())
    comparisons.append(_comparison("csim", "images from the reference file", len(images), wrong))
    with whole_file(out / "digits.pce") as fresh:
        fresh.write_bytes(packed)

    steps.begin("measure")
    pixels = images.size
    measured = statistics(circuit, engine, images)
    bits = {
        "float circuit, entropy": measured.float_bits,
        "integer circuit, entropy": measured.interval_bits,
        "pcedge file, everything counted (S = 1)": 8 * len(packed) / pixels,
        **{name: 8 * size / pixels for name, size in _baselines(images).items()},
    }
    program = lower(model)
    steps.end()
    return {
        "pcedge": __version__,
        "digest": model.digest.hex(),
        "images": len(images),
        "pixels": pixels,
        "mismatches": sum(c["mismatches"] for c in comparisons),
        "comparisons": comparisons,
        "bits_per_pixel": bits,
        "integer_loss_bits_per_pixel": measured.loss,
        "bytes": {
            "file": len(packed),
            "payload": parse(packed).payload_bytes,
            "onnx": (out / "digits.onnx").stat().st_size,
        },
        "memory_bits": program.memory_bits(),
        "project": str(out / "project"),
    }


def _golden(project: Any) -> dict[str, Any]:
    try:
        project.csim.golden()
    except MismatchError as error:
        return _comparison("csim", "testbench: every step of the golden vectors", GOLDEN_RECORDS, 1, str(error))
    return _comparison("csim", "testbench: every step of the golden vectors", GOLDEN_RECORDS, 0)


def _comparison(rung: str, output: str, vectors: int, mismatches: int, first: str | None = None) -> dict[str, Any]:
    from pcedge.verify.comparison import Comparison

    return asdict(Comparison(rung, output, vectors, mismatches, first))


def _baselines(images: NDArray[Any]) -> dict[str, int]:
    """Compress the same pixels, one byte each, with general tools; bytes by name."""
    from PIL import Image

    raw = np.ascontiguousarray(images, dtype=np.uint8).tobytes()
    png = io.BytesIO()
    Image.fromarray(images.astype(np.uint8).reshape(-1, images.shape[-1])).save(png, "png", optimize=True)
    return {
        "PNG, all images as one": len(png.getvalue()),
        "zlib -9": len(zlib.compress(raw, 9)),
        "lzma (xz -9e)": len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
    }


def _tables(report: dict[str, Any], out: Path) -> list[Any]:
    rows: list[list[object]] = [[c["rung"], c["output"], c["vectors"], c["mismatches"]] for c in report["comparisons"]]
    equality = table("equality with the numpy reference", ["rung", "output", "vectors", "mismatches"], rows)
    bits = table(
        f"{report['images']} held-out images",
        ["code", "bits per pixel"],
        [list(i) for i in report["bits_per_pixel"].items()],
    )
    memory = report["memory_bits"]
    sizes: list[list[object]] = [["ROM, kbit", memory["rom"] / 1000]]
    for name, within in PARTS.items():
        sizes += [[f"  (of it {name})", memory[name] / 1000]] if memory[name] else []
        sizes += [[f"    (of it {kind.replace('_', ' ')})", memory[kind] / 1000] for kind in within if kind in memory]
    sizes += [[f"RAM: {name}, kbit", memory[name] / 1000] for name in ("state", "exponents")]
    sizes += [[f"{name}, bytes", size] for name, size in report["bytes"].items()]
    times: list[list[object]] = [[name, seconds] for name, seconds in report["seconds"].items()]
    first = [f"first mismatch: {c['first']}" for c in report["comparisons"] if c["first"]]
    return [
        equality, *first, bits, table("sizes", ["what", "size"], sizes), table("seconds", ["step", "seconds"], times),
        f"{report['mismatches']} mismatches; project in {out / 'project'}, report in {out / 'report.json'}",
    ]  # fmt: skip
