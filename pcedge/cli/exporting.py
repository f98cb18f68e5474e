"""The command that writes HLS projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pcedge.cli.files import read_integer
from pcedge.cli.inputs import DATA, MODEL, reading_options, to_records
from pcedge.cli.output import Command, Result, announce

if TYPE_CHECKING:
    from pcedge.arithmetic import IntArray
    from pcedge.quantize.integer import IntegerCircuit


@click.command(cls=Command, example="pcedge export m.onnx --target vitis-hls --out build/m")
@click.argument("model", type=MODEL)
@click.option(
    "--target",
    default="vitis-hls",
    show_default=True,
    help="vitis-hls, zcu104, kv260, pynq-z2, arty-a7, alveo-u50, or a TOML file of your own.",
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The project directory.")
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
@click.option("--data", type=DATA, help="Records for the golden vectors; default: drawn from the circuit.")
@click.option("--records", default=64, show_default=True, type=click.IntRange(1), help="Golden records of --data.")
@click.option("--macs", type=int, help="Multiply-accumulates a cycle, a power of two.  [default: 1]")
@click.option("--streams", type=int, help="Records in flight, 1..64.  [default: 1]")
@click.option("--search-bits", type=int, help="Bits a decoder finds in a round, 1..4.  [default: 2]")
@reading_options
def export(
    model: str, target: str, out: Path, kernel: str, adders: str | None, data: str | None, records: int,
    macs: int | None, streams: int | None, search_bits: int | None, dtype: str | None, shape: str | None,
) -> Result:  # fmt: skip
    """Lower an integer circuit to an HLS project with testbench and golden vectors."""
    from pcedge.data import Reading, load_array
    from pcedge.export import write_project
    from pcedge.export.cycles import Shape

    sizes = {"macs": macs, "streams": streams, "search_bits": search_bits}
    given = {name: value for name, value in sizes.items() if value is not None}
    if adders is not None and kernel != "unrolled":
        raise click.UsageError("--adders must go with --kernel unrolled")
    if given and kernel == "unrolled":
        raise click.UsageError(f"--{next(iter(given)).replace('_', '-')} must go with --kernel engine")
    engine = Shape(**given)
    circuit = read_integer(model)
    golden = to_records(circuit, load_array(data, Reading(dtype, shape)))[:records] if data else None
    if kernel == "unrolled":
        return _unrolled(circuit, out, target, golden, adders or "auto")
    folder = write_project(circuit, out, target=target, records=golden, shape=engine)
    result = {"out": str(folder), "target": target, "digest": circuit.digest.hex()}
    return result, f"{folder}: project for {target}; next: pcedge simulate {folder}", 0


def _unrolled(circuit: IntegerCircuit, out: Path, target: str, golden: IntArray | None, adders: str) -> Result:
    """Write the project of an unrolled kernel; say what it is made of."""
    from pcedge.export import write_unrolled
    from pcedge.export.adders import has_da4ml
    from pcedge.export.project import MANIFEST

    if adders == "auto" and not has_da4ml():
        announce("the sums are in their plain form: pip install 'pcedge[da]' brings da4ml, which shares adders")
    folder = write_unrolled(circuit, out, target=target, records=golden, adders=adders)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    counts = manifest["counts"]
    result = {
        "out": str(folder), "target": target, "digest": circuit.digest.hex(), "kernel": "unrolled",
        "adders": manifest["adders"], "edges": manifest["edges"], "counts": counts,
    }  # fmt: skip
    text = (
        f"{folder}: unrolled kernel for {target}, {manifest['edges']} edges: {counts['adders']} adders "
        f"(plain form {counts['plain_adders']}), {counts['multipliers']} multipliers, {counts['tables']} tables; "
        f"next: pcedge simulate {folder}"
    )
    return result, text, 0
