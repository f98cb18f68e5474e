"""The command that reads other software's circuits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pcedge.cli.output import Command, whole_file
from pcedge.importers.files import READERS

_IN = click.Path(exists=True, dir_okay=False)


@click.command("import", cls=Command, example="pcedge import nltcs.psdd --vtree nltcs.vtree --out c.pcedge")
@click.argument("file", type=_IN)
@click.option("--format", "kind", help=f"One of {', '.join(READERS)}.  [default: the suffix of FILE, .gz left off]")
@click.option("--vtree", type=_IN, help="The vtree of a PSDD.  [default: FILE's stem with .vtree, else none]")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The float circuit.")
def import_file(file: str, kind: str | None, vtree: str | None, out: Path) -> tuple[dict[str, Any], Any, int]:
    """Read a circuit: SPFlow (.spn, .bin), PSDD (.psdd), Juice (.jpc, .clt, .circuit), ACE (.ac), c2d (.nnf).

    Units are normalised; the constant that this takes out is shown, and kept in the file.
    """
    from pcedge.circuit import save_circuit
    from pcedge.circuit.structure import region_tree
    from pcedge.errors import NotStructuredError
    from pcedge.importers import import_circuit

    imported = import_circuit(file, format=kind, vtree=vtree)
    circuit = imported.circuit
    with whole_file(out) as fresh:
        save_circuit(circuit, fresh)
    try:
        region_tree(circuit.shapes)
        structured = True
    except NotStructuredError:
        structured = False
    kinds = [shape.kind for shape in circuit.shapes]
    result = {
        "out": str(out),
        "format": imported.format,
        "variables": len(circuit.cardinalities),
        "symbols": max(circuit.cardinalities),
        "layers": {name: kinds.count(name) for name in ("input", "product", "sum")},
        "parameters": circuit.parameters,
        "structured": structured,
        "log_constant": imported.log_constant,
        "names": list(imported.names),
        "notes": list(imported.notes),
    }
    layers = ", ".join(f"{count} {name}" for name, count in result["layers"].items())  # type: ignore[attr-defined]
    lines = [
        f"{out}: {result['variables']} variables, layers {layers}, {circuit.parameters} parameters",
        f"log constant: {imported.log_constant:.12g} nats (the file's log-likelihood is the circuit's plus this)",
    ]
    if not structured:
        lines.append("not structured-decomposable: it can be evaluated and marginalised, coding costs more")
    return result, "\n".join([*lines, *(f"note: {note}" for note in imported.notes)]), 0
