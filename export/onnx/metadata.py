"""What an ONNX file says of its circuit beside the graph: the metadata of both formats (docs/onnx.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import onnx
from onnx import helper

from pcedge.circuit.structure import depth
from pcedge.export.onnx.initializers import Parameters, check_size
from pcedge.integer.circuit import IntegerCircuit, IntegerInput
from pcedge.schedule.program import Program

#: format of stacks, and that of deep and of large circuits, which loops over steps
FORMAT_VERSION, LOOP_VERSION = "2", "3"
#: the same of circuits with a row table, which readers of the others do not know
ROWS_VERSION, LOOP_ROWS_VERSION = "4", "5"
#: formats that loop over steps, those with a row table, and all
LOOPED, WITH_ROWS = (LOOP_VERSION, LOOP_ROWS_VERSION), (ROWS_VERSION, LOOP_ROWS_VERSION)
VERSIONS = (FORMAT_VERSION, LOOP_VERSION, *WITH_ROWS)

#: layers on the longest way from the root to a leaf, and in all, above which a circuit is written as loops: its stacks
#: would be many thousand nodes, which onnxruntime takes minutes to load, or take minutes to be put together
DEEP, LARGE = 1024, 1 << 14

#: the widths that the metadata name
WIDTHS = ("weight_bits", "leaf_bits", "state_bits", "scale_bits", "range_bits", "floor")

#: metadata that the format itself defines; a note must have another name
METADATA = (
    "pcedge.format", "pcedge.digest", "pcedge.circuit", "pcedge.symbolizer", "pcedge.needed", "pcedge.log_constant",
    "pcedge.log_constant_digest", "pcedge.likelihood_digest", "pcedge.grid", "pcedge.grid_digest",
)  # fmt: skip


def format_of(circuit: IntegerCircuit) -> str:
    """Choose the format of a circuit: `3` if it is deep or large, else `2`; with a row table `5` and `4`."""
    return version_of(circuit, len(circuit.layers) > LARGE or depth(circuit.shapes) > DEEP)


def version_of(circuit: IntegerCircuit, looped: bool) -> str:
    """Give the format of a circuit that is written as stacks or as loops."""
    return (WITH_ROWS if circuit.row_lengths else (FORMAT_VERSION, LOOP_VERSION))[int(looped)]


def widths_and_tails(circuit: IntegerCircuit) -> dict[str, Any]:
    """Describe what the metadata say of every circuit: its widths, its tails, and what is of a row table, if any."""
    described: dict[str, Any] = {"widths": {name: int(getattr(circuit, name)) for name in WIDTHS}}
    if circuit.tails:
        described["tails"] = True
    return described | {"rows": list(circuit.row_lengths)} if circuit.row_lengths else described


def describe(
    circuit: IntegerCircuit, parameters: Parameters, lists: Mapping[int, tuple[list[str], int]]
) -> dict[str, Any]:
    """Describe the circuit of a model of stacks without its parameters; `lists` are those of its sparse sums."""
    layers: list[dict[str, Any]] = []
    blocks: dict[str, int] = {}
    for index, layer in enumerate(circuit.layers):
        entry: dict[str, Any] = {"kind": layer.shape.kind}
        if isinstance(layer, IntegerInput):
            entry["variable"] = int(layer.variable)
        else:
            entry["children"] = [int(child) for child in layer.children]
        if index in lists:
            names, row = lists[index]
            entry |= {"lists": names, "row": row}
        elif index in parameters.blocks:
            name, row = parameters.blocks[index]
            entry["block"] = [blocks.setdefault(parameters.states.get(name, [name])[-1], len(blocks)), row]
        if circuit.has_tails(index):
            entry["tails"] = parameters.tails[index][1] if isinstance(layer, IntegerInput) else True
        layers.append(entry)
    return widths_and_tails(circuit) | {
        "order": [int(variable) for variable in circuit.order],
        "blocks": list(blocks),
        "layers": layers,
    }


def text_digest(digest: bytes, text: str) -> str:
    """Protect the constant of an import, or a grid: no stream depends on them, and the circuit's digest lacks them."""
    return hashlib.sha256(digest + text.encode()).hexdigest()


def with_metadata(
    model: onnx.ModelProto, program: Program, description: dict[str, Any], notes: Mapping[str, str], version: str
) -> onnx.ModelProto:
    """Add to a model what its format keeps in the metadata."""
    circuit = program.circuit
    text = json.dumps(description, separators=(",", ":"))
    check_size(characters=len(text))
    properties = {"format": version, "digest": circuit.digest.hex(), "circuit": text}
    if circuit.symbolizer is not None:
        properties["symbolizer"] = circuit.symbolizer.to_json()
        check_size(characters=len(properties["symbolizer"]))
    # To bound the steps of a large circuit takes longer than all else, and nothing that runs the file needs it.
    if version not in LOOPED:
        properties["needed"] = json.dumps(program.needed, separators=(",", ":"))
    if circuit.tails:
        properties["likelihood_digest"] = circuit.likelihood_digest.hex()
    if circuit.log_constant:
        properties["log_constant"] = repr(circuit.log_constant)
        properties["log_constant_digest"] = text_digest(circuit.digest, properties["log_constant"])
    if circuit.grid is not None:
        properties["grid"] = circuit.grid.to_json()
        check_size(characters=len(properties["grid"]))
        properties["grid_digest"] = text_digest(circuit.digest, properties["grid"])
    helper.set_model_props(model, {f"pcedge.{key}": value for key, value in properties.items()} | dict(notes))
    return model
