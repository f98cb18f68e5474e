"""What `export` writes as one file: programs for decoders, and float circuits for other software."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pcedge.cli.files import read_float, read_integer
from pcedge.cli.output import Result, options_given, whole_file

#: what a float circuit can be written as, by target, and what reads it
FLOAT_TARGETS = {"onnx-float": "any ONNX runtime", "pyjuice": "pyjuice.load"}


def program_file(model: str, out: Path, others: Sequence[str]) -> Result:
    """Write the program of a circuit; `others` are options that it has no use for."""
    from pcedge.schedule import write_program

    if wrong := options_given("kernel", "adders", "data", "records", *others):
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} must go with a project, --target program makes none")
    circuit = read_integer(model)
    with whole_file(out) as fresh:
        write_program(circuit, fresh)
        size = fresh.stat().st_size
    result = {"out": str(out), "target": "program", "digest": circuit.digest.hex(), "bytes": size}
    return result, f"{out}: program of {size} bytes; next: pcedge decode {out} STREAM OUT", 0


def float_file(model: str, out: Path, target: str, others: Sequence[str]) -> Result:
    """Write a float circuit for other software; `others` are options that it has no use for."""
    from pcedge.export import write_float_onnx, write_jpc

    if wrong := options_given("kernel", "adders", "data", "records", *others):
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
