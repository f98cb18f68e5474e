"""The part of `pcedge export` that makes unrolled kernels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pcedge.cli.output import Result, announce

if TYPE_CHECKING:
    from pcedge.arithmetic import IntArray
    from pcedge.quantize.integer import IntegerCircuit


def export_unrolled(circuit: IntegerCircuit, out: Path, target: str, golden: IntArray | None, adders: str) -> Result:
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
