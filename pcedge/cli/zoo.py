"""The command that lists the shipped circuits, and writes one out."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from pcedge.cli.inputs import OUT
from pcedge.cli.output import Command, Result, table, whole_file


@click.command(cls=Command, example="pcedge zoo digits --out m.onnx")
@click.argument("name", required=False)
@click.option("--out", type=OUT, help="Write the circuit's ONNX file here.")
def zoo(name: str | None, out: Path | None) -> Result:
    """List the circuits that come with pcedge; their names stand for files wherever an integer circuit is asked for.

    So do their digests, of which 8 digits are enough: NAME, everywhere, may be digest:ccdbf743 or ccdbf743.

    digits is a float circuit too: where one will do (info, loglik, quantize, train --init, prune, grow, evaluate)
    its name is that one, and the integer circuit made of it elsewhere (encode, decode, score, sample, verify, …).
    """
    from pcedge.export.onnx.shipped import LEAST_DIGITS, zoo_bytes, zoo_name
    from pcedge.export.onnx.shipped import zoo as shipped

    if name is None and out is not None:
        raise click.UsageError("--out must come with the NAME of a circuit")
    known = shipped()
    if name is not None:
        name = zoo_name(name)
        data = zoo_bytes(name)
        known = {name: known[name]}
        if out is not None:
            with whole_file(out) as fresh:
                fresh.write_bytes(data)
    result = {"circuits": [{"name": key, **entry} for key, entry in known.items()]}
    if out is not None:
        return result | {"out": str(out)}, f"{out}: {known[str(name)]['bytes']} bytes", 0
    columns = ["name", "vars", "symbols", "states", "bytes", "float bits", "integer bits", "file bits"]
    rows: list[list[object]] = [
        [key, *(entry[field] for field in ("variables", "symbols", "states", "bytes")),
         *("" if entry[field] is None else entry[field] for field in ("float_bits", "integer_bits", "file_bits"))]
        for key, entry in known.items()
    ]  # fmt: skip
    notes = [
        textwrap.fill(
            f"{key}: {entry['data']}; {entry['source']}; {entry['records']:,} test records; digest "
            f"{entry['digest'][:LEAST_DIGITS]}",
            80,
            subsequent_indent="  ",
        )
        for key, entry in known.items()
    ]
    lanes = {entry["lanes"] for entry in known.values()}
    title = (
        "bits of a value of the whole test set, of floats where their circuit is at hand; files with "
        f"{', '.join(map(str, sorted(lanes)))} lanes, everything counted"
    )
    return result, [table(title, columns, rows, whole=True), *notes], 0
