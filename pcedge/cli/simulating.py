"""The commands that take an exported project: its images, its simulation."""

from __future__ import annotations

from pathlib import Path

import click

from pcedge.cli.files import read_integer
from pcedge.cli.inputs import MODEL, OUT
from pcedge.cli.output import Command, Result, announce, whole_file
from pcedge.errors import DataError, UsageError

#: names of testbenches, by what `simulators` calls them
_TESTBENCHES = {
    "kernels": "the testbench", "engine": "the engine's testbench", "stage": "the predictor stage's testbench",
    "c99": "the test program", "rtl": "the engine in SystemVerilog",
}  # fmt: skip


@click.command(cls=Command, example="pcedge image m.onnx --project build/m --out m.img")
@click.argument("model", type=MODEL)
@click.option(
    "--project",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A project that was exported with --memories reload.",
)
@click.option("--out", required=True, type=OUT, help="The image: 32-bit words, lowest byte first.")
def image(model: str, project: Path, out: Path) -> Result:
    """Write what a reloadable engine loads for a circuit."""
    from pcedge.export.program.image import image_words
    from pcedge.export.project.manifest import MANIFEST, RTL, read_manifest
    from pcedge.export.rtl.capacity import capacity_from, rtl_image_words
    from pcedge.simulate.csim import Csim
    from pcedge.simulate.unrolled import kernel_of

    _need_project(project)
    rtl = kernel_of(project) == RTL
    manifest = read_manifest(project, RTL) if rtl else Csim(project).manifest
    if not manifest.reload:
        raise UsageError(f"{project} must be a project with --memories reload, its memories are read-only")
    circuit = read_integer(model)
    if manifest.capacity is None:
        words = rtl_image_words(circuit, capacity_from(manifest.table.get("capacity"), str(project / MANIFEST)))
    else:
        words = image_words(circuit, manifest.capacity)
    with whole_file(out) as fresh:
        fresh.write_bytes(words.tobytes())
    result = {"out": str(out), "words": len(words), "digest": circuit.digest.hex()}
    return result, f"{out}: {len(words)} words for the engine of {project}", 0


@click.command(cls=Command, example="pcedge simulate build/m")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def simulate(folder: Path) -> Result:
    """Compile a project's testbenches and compare with its golden vectors: steps, engine jobs, a predictor.

    The kernels have exact widths, the engine plain 64-bit integers, which are faster; make csim in the project gives
    both exact widths.
    """
    from pcedge.export.project.manifest import read_manifest
    from pcedge.simulate.projects import check_golden, simulators
    from pcedge.toolchain.compiled import compared, cycles_said

    _need_project(folder)
    check_golden(folder)
    lines: dict[str, str] = {}
    records = 0
    for name, simulator in simulators(folder).items():
        announce(f"compiling {_TESTBENCHES[name]}")
        simulator.compile()
        lines[name], records = simulator.golden(), simulator.manifest.golden_records
    result = {"out": str(folder), "mismatches": 0, "golden_records": records}
    result["compared"] = {name: compared(line) for name, line in lines.items()}
    if cycles := cycles_said(lines.get("rtl", "")):
        result["cycles_per_symbol"] = cycles
    if "latency_cycles" in (table := read_manifest(folder).table):  # with which the kernel's was compared
        result["latency_cycles"] = table["latency_cycles"]
    return result, "\n".join(lines.values()), 0


def _need_project(folder: Path) -> None:
    """Say in plain words that a folder is no project; what is wrong with a damaged one the reader says."""
    from pcedge.export.project.manifest import MANIFEST

    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder} must hold a {MANIFEST}, as every project of pcedge export does; it holds none")
