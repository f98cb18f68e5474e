"""The commands around HLS projects: `export` writes one, `image` what an engine loads, `simulate` runs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pcedge.cli.completing import targets
from pcedge.cli.files import read_float, read_integer
from pcedge.cli.inputs import DATA, MODEL, jobs_of, reading_of, reading_options, said_header, to_records
from pcedge.cli.output import Command, Result, announce, mcu_line, must_come_with, options_given, whole_file

if TYPE_CHECKING:
    from pcedge.arrays import IntArray
    from pcedge.export.rtl.size import RtlSize
    from pcedge.integer.circuit import IntegerCircuit

#: options of `export` that only the parallel engine has
_ENGINE_OPTIONS = ("macs", "streams", "lanes", "table_lanes", "cores", "search_bits", "memories", "fit", "jobs",
                   "harden")  # fmt: skip

#: drawn records with which `export --target c99` counts instructions
_MEASURED_RECORDS = 16

#: what `export --target c99` measured, in the project
_REPORT = "report.json"

#: golden records of --data, at most, where the user names no number
GIVEN_RECORDS = 64


#: what a float circuit can be written as, by target, and what reads it
FLOAT_TARGETS = {"onnx-float": "any ONNX runtime", "pyjuice": "pyjuice.load"}


@click.command(cls=Command, example="pcedge export m.onnx --target vitis-hls --out build/m")
@click.argument("model", type=MODEL)
@click.option(
    "--target",
    default="vitis-hls",
    show_default=True,
    shell_complete=targets("rtl", "c99", "program", *FLOAT_TARGETS),
    help="vitis-hls, zcu104, kv260, pynq-z2, arty-a7, alveo-u50, or a TOML file of your own; rtl: SystemVerilog for "
    "any tool, or for a device of pcedge build, such as ecp5-25k; c99: a source for microcontrollers; program: one "
    "file for decoders, which numpy alone reads; or of a float circuit onnx-float: its log-likelihood in plain ONNX, "
    "and pyjuice: a .jpc file.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The project directory; of --target program, onnx-float and pyjuice the file.",
)
@click.option(
    "--kernel",
    type=click.Choice(["engine", "unrolled"]),
    default="engine",
    show_default=True,
    help="engine: any size, codes; unrolled: a small circuit's likelihood and score, a record a cycle.",
)
@click.option(
    "--adders",
    type=click.Choice(["auto", "shared", "plain"]),
    help="Sums of --kernel unrolled; shared needs the extra da, auto takes it where it is installed.  [default: auto]",
)
@click.option(
    "--latency",
    type=click.IntRange(1),
    help="Cycles of --kernel unrolled in RTL, from a record to its result.  [default: what 100 MHz needs, by estimate]",
)
@click.option("--data", type=DATA, help="Records for the golden vectors.  [default: drawn from the circuit]")
@click.option(
    "--records",
    type=click.IntRange(1),
    help="Golden records: of --data at most so many; without it so many are drawn.  [default: 64 of --data; 16 drawn, "
    "of an unrolled kernel 32, half of them with missing symbols]",
)
@click.option(
    "--engine", "which", type=click.Choice(["parallel", "serial"]),
    help="Of RTL: serial does one step at a time and fits small devices.  [default: serial for iCE40 where no size is "
    "given, else parallel]",
)  # fmt: skip
@click.option(
    "--macs",
    type=int,
    help="Multiply-accumulates a cycle, a power of two in 1..4096; of RTL those of all cores, a power of two for "
    "each.  [default: 1; of RTL 16 and 4 streams for each core, where neither is given]",
)
@click.option("--streams", type=int, help="Records in flight, 1..64.  [default: 1, or as --macs says]")
@click.option(
    "--lanes", type=int, help="Of RTL: entries of a row, a power of two.  [default: a tile as square as can be]"
)
@click.option(
    "--table-lanes", type=int, help="Of RTL: leaf tables read a cycle, a power of two, at most the lanes.  [default: 2]"
)
@click.option(
    "--cores",
    type=int,
    help="Of RTL: share macs and streams out to so many, of which two read one copy of the weights.  [default: 1]",
)
@click.option(
    "--jobs",
    help="With a target of RTL: what the engine is built for, of likelihood, encode, decode, sample, score, pack, "
    "unpack, with commas between them; it refuses the others.  [default: all but the last three]",
)
@click.option(
    "--search-bits", type=int, help="Of HLS: bits a decoder finds in a round, 1..4.  [default: by macs and symbols]"
)
@click.option(
    "--memories",
    type=click.Choice(["baked", "reload"]),
    help="baked: this circuit in read-only memories; reload: any that fits, loaded over a stream, with the top "
    "pc_engine alone.  [default: baked]",
)
@click.option("--fit", multiple=True, type=MODEL, help="With --memories reload: another circuit that must fit.")
@click.option(
    "--harden", type=click.Choice(["none", "parity", "tmr"]),
    help="With a target of RTL: parity checks memories, tmr has every register three times too.  [default: none]",
)  # fmt: skip
@reading_options
def export(
    model: str, target: str, out: Path, kernel: str, adders: str | None, latency: int | None, data: str | None,
    records: int | None, which: str | None, macs: int | None, streams: int | None, lanes: int | None,
    table_lanes: int | None, cores: int | None, jobs: str | None, search_bits: int | None, memories: str | None,
    fit: tuple[str, ...], harden: str | None, dtype: str | None, shape: str | None, header: bool | None,
) -> Result:  # fmt: skip
    """Lower an integer circuit to an HLS project with testbench and golden vectors.

    A float circuit leaves as plain ONNX (--target onnx-float) or for PyJuice (--target pyjuice).
    """
    from pcedge.data import load_array
    from pcedge.drivers.size import EngineSize, default_search_bits
    from pcedge.engines import ReferenceEngine
    from pcedge.export import write_project
    from pcedge.export.project.golden import draw_records
    from pcedge.export.project.prediction import GOLDEN_NUMBERS, golden_rows, stage_of
    from pcedge.export.rtl.serial.area import check_device
    from pcedge.export.rtl.serial.project import is_serial_target
    from pcedge.export.rtl.size import is_rtl_target, size_for

    options = {"macs": macs, "streams": streams, "lanes": lanes, "table-lanes": table_lanes, "cores": cores,
               "search-bits": search_bits, "memories": memories, "fit": fit or None, "jobs": jobs,
               "harden": harden}  # fmt: skip
    chosen = [name for name, value in options.items() if value is not None]
    if adders is not None and kernel != "unrolled":
        raise click.UsageError("--adders must go with --kernel unrolled")
    if which is not None and (kernel == "unrolled" or not is_rtl_target(target)):
        raise click.UsageError(
            "--engine must go with --kernel engine and a target of RTL: rtl, or a device of pcedge build"
        )
    if which == "serial" and chosen:
        raise click.UsageError(f"--{chosen[0]} must go with --engine parallel")
    if chosen and kernel == "unrolled":
        raise click.UsageError(f"--{chosen[0]} must go with --kernel engine")
    if latency is not None and not (kernel == "unrolled" and is_rtl_target(target)):
        raise click.UsageError("--latency must go with --kernel unrolled and a target of RTL")
    if fit and memories != "reload":
        raise click.UsageError("--fit must go with --memories reload")
    must_come_with("--data", data is not None, "header")
    if target in FLOAT_TARGETS:
        return _float(model, out, target)
    if target == "program":
        return _program(model, out)
    if out.exists() and not out.is_dir():
        raise click.BadParameter(f"Directory {str(out)!r} is a file.", param_hint="'--out'")
    if target == "c99" and (wrong := options_given("kernel", "adders", *_ENGINE_OPTIONS)):
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} must go with a target of hardware, c99 is none")
    sizes = {"macs": macs, "streams": streams, "search_bits": search_bits}
    given_sizes = {name: size for name, size in sizes.items() if size is not None and not is_rtl_target(target)}
    engine = EngineSize(**given_sizes)
    circuit = read_integer(model)
    if search_bits is None:
        engine = replace(engine, search_bits=default_search_bits(circuit, engine.macs))
    golden = rows = None
    header_entry: dict[str, Any] = {}
    if data:
        reading = reading_of(circuit, dtype, shape, header=header)
        x = load_array(data, reading)
        predictor = stage_of(circuit)
        if predictor is not None:
            rows = x = x[: golden_rows(predictor, records or GOLDEN_NUMBERS)]
        golden = to_records(circuit, x)[: records or GIVEN_RECORDS]
        header_entry = said_header(data, reading)
    elif records is not None:
        golden = draw_records(ReferenceEngine(circuit), records)
    serial = which == "serial" or (which is None and not chosen and is_serial_target(target))
    if chosen and which is None and kernel == "engine" and is_serial_target(target):
        announce(f"--{chosen[0]} makes it the parallel engine; without sizes and options {target} has the serial one")
    if is_rtl_target(target) and (serial or kernel == "unrolled") and stage_of(circuit) is not None:
        announce("the circuit's predictor stage stays on the host: of RTL only the parallel engine has one beside it")
    reload, others = memories == "reload", [read_integer(name) for name in fit]
    if target == "c99":
        result, text, status = _export_c99(circuit, out, golden, rows)
    elif kernel == "unrolled":
        result, text, status = _export_unrolled(circuit, out, target, golden, adders or "auto", rows, latency)
    elif serial:
        check_device(target)
        _check_board(target, 1)
        result, text, status = _export_serial(circuit, out, target, golden)
    elif is_rtl_target(target):
        if search_bits is not None:
            raise click.UsageError(f"--search-bits must go with a target of HLS, {target} is of RTL")
        size = size_for(macs, streams, lanes, table_lanes, cores)
        _check_board(target, size.streams)
        result, text, status = _export_rtl(circuit, out, target, size, golden, others if reload else None, jobs, rows,
                                           harden or "none")  # fmt: skip
    elif wrong := options_given("lanes", "table_lanes", "cores", "jobs", "harden"):
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} must go with a target of RTL, {target} is of HLS")
    else:
        folder = write_project(
            circuit, out, target=target, records=golden, shape=engine, reload=reload, fit=others, rows=rows
        )
        result = {"out": str(folder), "target": target, "digest": circuit.digest.hex(), "memories": memories or "baked"}
        text, status = f"{folder}: project for {target}; next: pcedge simulate {folder}", 0
    return result | header_entry, text, status


def _check_board(target: str, streams: int) -> None:
    """Refuse what `build` would: a board on whose line no engine can be talked to."""
    from pcedge.export.open_target import find_open_target
    from pcedge.export.rtl.board import bridge_size

    if target != "rtl" and (device := find_open_target(target)).board is not None:
        bridge_size(device, streams)


def _program(model: str, out: Path) -> Result:
    """Write the program of a circuit."""
    from pcedge.schedule import write_program

    if wrong := options_given("kernel", "adders", "data", "records", *_ENGINE_OPTIONS):
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} must go with a project, --target program makes none")
    circuit = read_integer(model)
    with whole_file(out) as fresh:
        write_program(circuit, fresh)
        size = fresh.stat().st_size
    result = {"out": str(out), "target": "program", "digest": circuit.digest.hex(), "bytes": size}
    return result, f"{out}: program of {size} bytes; next: pcedge decode {out} STREAM OUT", 0


def _float(model: str, out: Path, target: str) -> Result:
    """Write a float circuit for other software."""
    from pcedge.export import write_float_onnx, write_jpc

    if wrong := options_given("kernel", "adders", "data", "records", *_ENGINE_OPTIONS):
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} must go with a project, --target {target} makes none")
    circuit = read_float(model, f", and --target {target} writes float circuits")
    if target == "pyjuice" and out.suffix != ".jpc":
        raise click.BadParameter(f"{str(out)!r} must end in .jpc, pyjuice.load takes no other.", param_hint="'--out'")
    with whole_file(out) as fresh:
        (write_float_onnx if target == "onnx-float" else write_jpc)(circuit, fresh)
        size = fresh.stat().st_size
    result = {"out": str(out), "target": target, "bytes": size, "log_constant": circuit.log_constant}
    text = f"{out}: {size} bytes for {FLOAT_TARGETS[target]}"
    if abs(circuit.log_constant) > 1e-12:
        text += f"; the imported file's own log-likelihood is {circuit.log_constant:.12g} nats more"
    return result, text, 0


def _export_rtl(
    circuit: IntegerCircuit, out: Path, target: str, size: RtlSize, golden: IntArray | None,
    fit: list[IntegerCircuit] | None, jobs: str | None, rows: Any, harden: str,
) -> Result:  # fmt: skip
    """Write the engine in SystemVerilog; `fit` is None where its memories are read-only."""
    from pcedge.export.project.directory import staged
    from pcedge.export.project.manifest import BUILT_JOBS, EVERY_JOB
    from pcedge.export.rtl.costs import missing_of
    from pcedge.export.rtl.project import plan_rtl
    from pcedge.toolchain.building import hardened_top

    built = BUILT_JOBS if jobs is None else jobs_of(jobs)
    plan = plan_rtl(
        circuit, size=size, records=golden, reload=fit is not None, fit=fit or (), jobs=built, target=target,
        rows=rows, harden=harden)  # fmt: skip
    result = {
        "out": str(out), "target": target, "digest": circuit.digest.hex(), "engine": "parallel", "macs": size.macs,
        "streams": size.streams, "lanes": size.lanes, "table_lanes": size.table_lanes, "cores": size.cores,
        "memories": "baked" if fit is None else "reload", "built_jobs": [job for job in EVERY_JOB if job in built],
        "harden": harden, "jobs": plan.manifest.table["jobs"],
    }  # fmt: skip
    if fit is None:
        result["missing"] = missing = missing_of(circuit, size, target, built, harden)
        if missing:
            announce(f"by the estimate {target} has too little of: {', '.join(missing)}; pcedge estimate has more")
    made: list[str] = []
    # A project that is there has the source that it says it has: hardening takes a while, and may be interrupted.
    with staged(plan, out, made) as folder:
        if harden != "none":
            announce(f"{out}: hardening")
            result["source"] = str(out / hardened_top(folder).relative_to(folder.resolve()))
            made += [path.relative_to(folder).as_posix() for path in (folder / "build").rglob("*") if path.is_file()]
    return result, f"{out}: SystemVerilog for {target}; next: pcedge simulate {out}", 0


def _export_serial(circuit: IntegerCircuit, out: Path, target: str, golden: IntArray | None) -> Result:
    """Write the serial engine in SystemVerilog."""
    from pcedge.export.project.manifest import read_manifest
    from pcedge.export.rtl.serial.project import MODEL, write_serial

    folder = write_serial(circuit, out, records=golden)
    table = read_manifest(folder).table
    memories = table["memories"]
    result = {
        "out": str(folder), "target": target, "digest": circuit.digest.hex(), "engine": "serial", "memories": memories,
        "jobs": table["jobs"],
    }  # fmt: skip
    text = f"{folder}: serial engine for {target}, its model of {sum(memories.values()):,} bits in {MODEL}; "
    return result, text + f"next: pcedge simulate {folder}", 0


def _export_unrolled(
    circuit: IntegerCircuit, out: Path, target: str, golden: IntArray | None, adders: str, rows: Any,
    latency: int | None,
) -> Result:  # fmt: skip
    """Write the project of an unrolled kernel; say what it is made of."""
    from pcedge.export import write_unrolled
    from pcedge.export.project.manifest import read_manifest
    from pcedge.export.rtl.size import is_rtl_target
    from pcedge.export.unrolled.adders import has_da4ml
    from pcedge.export.unrolled.rtl import write_unrolled_rtl

    if adders == "auto" and not has_da4ml():
        announce("sums share no adders: pip install 'pcedge[da]' brings da4ml, which lets them")
    if is_rtl_target(target):
        folder = write_unrolled_rtl(circuit, out, latency=latency, records=golden, adders=adders, target=target)
    else:
        folder = write_unrolled(circuit, out, target=target, records=golden, adders=adders, rows=rows)
    manifest = read_manifest(folder).table
    counts = manifest["counts"]
    result = {
        "out": str(folder), "target": target, "digest": circuit.digest.hex(), "kernel": "unrolled",
        "adders": manifest["adders"], "edges": manifest["edges"], "counts": counts,
    }  # fmt: skip
    cycles = ""
    if "latency_cycles" in manifest:
        result["latency_cycles"] = manifest["latency_cycles"]
        cycles = f"; a record a cycle, latency {manifest['latency_cycles']} cycles"
    text = (
        f"{folder}: unrolled kernel for {target}, {manifest['edges']} edges: {counts['adders']} adders "
        f"({counts['left_adders']} if none were shared, {counts['plain_adders']} if no small sum were a table either), "
        f"{counts['multipliers']} multipliers, {counts['tables']} tables{cycles}; "
        f"next: pcedge simulate {folder}"
    )
    return result, text, 0


def _export_c99(circuit: IntegerCircuit, out: Path, golden: IntArray | None, rows: Any) -> Result:
    """Write the project in C99; where a compiler and QEMU are there, say what it takes on a microcontroller."""
    import json

    from pcedge.engines import ReferenceEngine
    from pcedge.errors import MissingToolError, ToolError
    from pcedge.export.c99.project import plan_c99
    from pcedge.export.project.directory import staged
    from pcedge.export.project.golden import draw_records
    from pcedge.export.project.prediction import draw_rows, golden_rows, stage_of
    from pcedge.simulate.mcu import CORES, C99Project
    from pcedge.verify.mcu import compare_mcu

    with staged(plan_c99(circuit, records=golden, rows=rows), out, own=[_REPORT]) as folder:
        project = C99Project(folder)
        tables = project.manifest.table["table_bytes"]
        result = {
            "out": str(out), "target": "c99", "digest": circuit.digest.hex(), "table_bytes": tables,
        }  # fmt: skip
        lines = [f"{out}: C99 with {sum(tables.values()):,} bytes of tables; next: pcedge simulate {out}"]
        engine = ReferenceEngine(circuit)
        records = draw_records(engine, _MEASURED_RECORDS)
        predictor = stage_of(circuit)
        cells = None
        if predictor is not None:
            cells = draw_rows(predictor, golden_rows(predictor)) if rows is None else predictor.cells(rows)
        cores = [core for core in CORES if core.name == "cortex-m3"]
        try:
            compared, figures = compare_mcu(engine, project, records, records, announce, cores, cells)
        except (MissingToolError, ToolError) as error:
            announce(f"not measured: {error}")
            return result, "\n".join(lines), 0
        result["mcu"] = figures
        lines += [mcu_line(core, numbers) for core, numbers in figures.items()]
        (folder / _REPORT).write_text(json.dumps(result, indent=2) + "\n")
    differs = sum(mismatches for _, _, mismatches, _ in compared)
    return result, "\n".join(lines), 1 if differs else 0
