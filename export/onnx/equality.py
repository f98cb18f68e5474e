"""Whether an ONNX model is, but for texts for people, the one that the writer makes of its circuit (docs/onnx.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from pcedge.errors import FormatError


def check_equal(model: onnx.ModelProto, expected: onnx.ModelProto) -> None:
    """Demand that what a runtime executes of a model is what the writer would have written.

    Raises:
        FormatError: it differs; the error names where.
    """
    graph, wanted = model.graph, expected.graph
    imports = sorted((entry.domain, entry.version) for entry in model.opset_import)
    needed = sorted((entry.domain, entry.version) for entry in expected.opset_import)
    if imports != needed or model.ir_version != expected.ir_version:
        raise FormatError(
            "onnx-opset",
            f"the model must have IR version {expected.ir_version} and import {needed}, "
            f"got {model.ir_version} and {imports[:8]}",
        )
    for name in ("input", "output"):
        if not _same(getattr(graph, name), getattr(wanted, name)):
            shapes = ", ".join(entry.name for entry in getattr(wanted, name))
            raise FormatError("onnx-interface", f"the {name}s must be {shapes}, int64, with their shapes")
    if not _same(model.functions, expected.functions):
        raise FormatError(
            "onnx-functions", f"the functions of the model must be those of the format: {_first(model, expected)}"
        )
    _compare_initializers(model, expected)
    if len(graph.node) != len(wanted.node):
        raise FormatError(
            "onnx-graph", f"the graph of this circuit must have {len(wanted.node)} nodes, got {len(graph.node)}"
        )
    for index, (node, other) in enumerate(zip(graph.node, wanted.node, strict=True)):
        if not _same([node], [other]):
            raise FormatError(
                "onnx-graph", f"node {index} must be the format's {other.op_type} {other.output[0]!r}, it differs"
            )
    if model.training_info or graph.quantization_annotation:
        raise FormatError("onnx-graph", "the model must hold no training information or quantization annotation")


def _first(model: onnx.ModelProto, expected: onnx.ModelProto) -> str:
    """Name the first function that differs."""
    for index, other in enumerate(expected.functions):
        if index >= len(model.functions) or not _same([model.functions[index]], [other]):
            return f"{other.name!r} differs"
    return f"{len(expected.functions)} functions, got {len(model.functions)}"


def _compare_initializers(model: onnx.ModelProto, expected: onnx.ModelProto) -> None:
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    wanted = {tensor.name: tensor for tensor in expected.graph.initializer}
    if set(initializers) != set(wanted) or model.graph.sparse_initializer:
        extra = sorted(set(initializers) ^ set(wanted))[:4]
        raise FormatError(
            "onnx-initializers",
            f"the initializers must be those of the circuit and dense, missing or too many: {extra}",
        )
    for name, tensor in wanted.items():
        other = initializers[name]
        same = (other.data_type, list(other.dims)) == (tensor.data_type, list(tensor.dims))
        if not same or not np.array_equal(numpy_helper.to_array(other), numpy_helper.to_array(tensor)):
            raise FormatError("onnx-initializers", f"initializer {name!r} must hold what the circuit says, it differs")


def _same(messages: Iterable[Any], wanted: Iterable[Any]) -> bool:
    """Compare messages; texts for people may differ."""
    return [_plain(message) for message in messages] == [_plain(message) for message in wanted]


def _plain(message: Any) -> bytes:
    copy: Any = type(message)()
    copy.CopyFrom(message)
    _strip(copy)
    return bytes(copy.SerializeToString(deterministic=True))


def _strip(message: Any) -> None:
    """Take away the texts for people and the shapes that another tool wrote, in whatever a message holds."""
    message.doc_string = ""
    if not isinstance(message, onnx.AttributeProto):
        del message.metadata_props[:]
    if isinstance(message, (onnx.FunctionProto, onnx.GraphProto)):
        del message.value_info[:]
    if isinstance(message, onnx.GraphProto):
        message.name = ""
    if isinstance(message, onnx.NodeProto):
        for attribute in message.attribute:
            _strip(attribute)
    elif isinstance(message, onnx.AttributeProto):
        if message.HasField("g"):
            _strip(message.g)
            for value in (*message.g.input, *message.g.output):
                value.type.tensor_type.ClearField("shape")
    elif isinstance(message, (onnx.FunctionProto, onnx.GraphProto)):
        for node in message.node:
            _strip(node)
