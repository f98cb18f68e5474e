"""Circuits in hls4ml designs: a likelihood layer as a model of its own, or behind a network (docs/hls4ml.md)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pcedge.errors import DataError, UsageError
from pcedge.export.engine.config import config_code
from pcedge.export.engine.memories import memories_code
from pcedge.export.program.lowering import arrange, lower
from pcedge.extras import needing
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

if TYPE_CHECKING:
    from hls4ml.model import ModelGraph

#: backends whose C++ is that of the kernels
BACKENDS = ("Vitis", "Vivado")
IO_TYPES = ("io_parallel", "io_stream")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: files and names of hls4ml's own, and words of C++
_RESERVED = frozenset(
    "input symbols main nnet std hls pcedge defines parameters weights ap_types nnet_utils "
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const constexpr "
    "const_cast continue decltype default delete do double dynamic_cast else enum explicit export extern false float "
    "for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private "
    "protected public register reinterpret_cast requires return short signed sizeof static static_assert static_cast "
    "struct switch template this thread_local throw true try typedef typeid typename union unsigned using virtual void "
    "volatile wchar_t while xor xor_eq".split()
)


def to_hls4ml(
    circuit: IntegerCircuit,
    output_dir: str | Path = "hls4ml-project",
    *,
    backend: str = "Vitis",
    io_type: str = "io_parallel",
    project_name: str = "pc_model",
    name: str = "likelihood",
    part: str | None = None,
    clock_period: float | None = None,
) -> ModelGraph:
    """Make an hls4ml model of one layer, the likelihood of a circuit.

    Its input `symbols`, (variables,), are integers, negative where a symbol is missing. Its output, (2,), are mantissa
    and exponent, integers too; a mantissa of 0 means that the integers call the record impossible. After `compile()`,
    `predict` of float64 records, (N, variables), gives exactly what `Engine.likelihood` gives; it refuses NaN and
    infinities with a DataError, for no fixed-point number stands for them.

    Args:
        circuit: an integer circuit, structured-decomposable or not.
        output_dir: the directory that hls4ml writes.
        backend: `Vitis` or `Vivado`.
        io_type: `io_parallel` or `io_stream`.
        project_name: the name of the top function.
        name: the name of the layer.
        part: the vendor's name of the device; None takes hls4ml's own.
        clock_period: in nanoseconds; None takes hls4ml's own.

    Raises:
        UsageError: a name or choice is none that hls4ml can use, or the circuit is not an integer circuit.
        MissingToolError: hls4ml is not installed.

    Example:
        >>> from pcedge.export import load_zoo, to_hls4ml
        >>> to_hls4ml(load_zoo("digits")).get_output_variables()[0].shape  # doctest: +SKIP
        [2]
    """
    attributes = _attributes(circuit, missing=True)
    _check_choice("backend", backend, BACKENDS)
    _check_choice("io_type", io_type, IO_TYPES)
    _check_name("project_name", project_name)
    _check_name("name", name, taken=(project_name,))
    _register()
    from hls4ml.model import ModelGraph
    from hls4ml.utils.config import create_config

    settings = create_config(
        output_dir=str(output_dir),
        project_name=project_name,
        backend=backend,
        io_type=io_type,
        part=part,
        clock_period=clock_period,
    )
    # One sign bit more than a symbol: −1 is a missing one. A top that is one pipeline would unroll the engine's loops.
    bits = circuit.widths.symbol + 1
    symbol = f"ap_fixed<{bits},{bits},AP_RND,AP_SAT>"
    settings["HLSConfig"] = {
        "Model": {"Precision": symbol, "ReuseFactor": 1, "PipelineStyle": "dataflow"},
    }
    layers = [
        {"class_name": "InputLayer", "name": "symbols", "input_shape": [len(circuit.order)]},
        {"class_name": "PCLikelihood", "name": name, "inputs": ["symbols"], **attributes},
    ]
    model = ModelGraph.from_layer_list(settings, layers, inputs=["symbols"], outputs=[name])
    return _finite_only(model, "; a negative integer stands for a missing symbol")


def append_to_hls4ml(
    model: ModelGraph,
    circuit: IntegerCircuit,
    *,
    after: str | None = None,
    missing: bool = False,
    name: str = "likelihood",
) -> ModelGraph:
    """Put the likelihood of a circuit behind a network: one of the model's outputs becomes its symbols.

    A number of the network stands for the nearest integer, halves upwards; what is above the last symbol stands for
    the last, and NaN, which a network of floats can give, for a missing symbol. The model is changed and has to be
    compiled again; from now on its `predict` refuses NaN and infinities with a DataError.

    Args:
        model: a model of the backend Vitis or Vivado, made by any of hls4ml's converters.
        circuit: an integer circuit with as many variables as the output has numbers, in the same order.
        after: the name of the output; None where the model has only one.
        missing: what negative integers stand for: True, a missing symbol; False, symbol 0.
        name: the name of the layer, new in the model.

    Returns:
        The same model; the likelihood is where the output was.

    Raises:
        UsageError: output, name or circuit do not fit the model.
        MissingToolError: hls4ml is not installed.
    """
    attributes = _attributes(circuit, missing=missing)
    _register()
    from hls4ml.model.optimizer import get_optimizer

    _check_choice("the model's backend", model.config.backend.name, BACKENDS)
    _check_choice("the model's io_type", model.config.get_config_value("IOType"), IO_TYPES)
    if after is None and len(model.outputs) != 1:
        raise UsageError(f"after must name one of the model's outputs {', '.join(model.outputs)}, got none")
    output = model.outputs[0] if after is None else after
    _check_choice("after", output, tuple(model.outputs))
    if any(output in layer.inputs for layer in model.get_layers()):
        raise UsageError(
            f"the output {output} must not be the input of another layer, so that the likelihood can follow it"
        )
    size = model.output_vars[output].size()
    if size != len(circuit.order):
        raise UsageError(
            f"the circuit must have {size} variables, as many as {output} has numbers, got {len(circuit.order)}"
        )
    _check_name("name", name, taken=(*model.graph, model.config.get_project_name()))
    node = model.make_node("PCLikelihood", name, attributes, [output])
    # The other layers have gone through hls4ml's flows already: only the new one gets its types and its C++. It gets
    # them before it is the output: hls4ml calls the type of a single output result_t, as the network's is called.
    for step in ("transform_types", "pclikelihood_config_template", "pclikelihood_function_template"):
        get_optimizer(f"vivado:{step}").transform(model, node)
    model.insert_node(node)
    model.config.pipeline_style = "dataflow"  # a top that is one pipeline would unroll the engine's loops
    model.config.config["OutputShapes"] = {
        variable.name: list(variable.shape) for variable in model.get_output_variables()
    }
    return _finite_only(model)


def _finite_only(model: ModelGraph, advice: str = "") -> ModelGraph:
    """Let a model's C simulation refuse what is no number, of which hls4ml makes some number without a word."""

    def checked(simulate: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(simulate)
        def wrapper(x: Any, *args: Any, **options: Any) -> Any:
            for values in x if isinstance(x, list | tuple) else [x]:
                array = np.asarray(values)
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    position = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
                    raise DataError(
                        f"the inputs of a model must be finite, got {array[position]} at {position}{advice}"
                    )
            return simulate(x, *args, **options)

        return wrapper

    for name in ("predict", "trace"):
        setattr(model, name, checked(getattr(model, name)))
    return model


def _attributes(circuit: IntegerCircuit, *, missing: bool) -> dict[str, Any]:
    """Lower a circuit to the attributes of its layer."""
    if not isinstance(circuit, IntegerCircuit):
        raise UsageError(f"the circuit must be an IntegerCircuit, as quantize gives it, not {type(circuit).__name__}")
    program = Program.of(circuit)
    lowered = lower(program, arrange(program, coding=False))
    header, source = memories_code(lowered)
    texts = {
        "pcedge_config.hpp": config_code(lowered),
        "pcedge_memories.hpp": header,
        "pcedge_memories.cpp": source,
    }
    return {"variables": len(circuit.order), "missing": missing, "texts": texts}


def _register() -> None:
    with needing("hls4ml", "hls", "a circuit in an hls4ml model"):
        import hls4ml  # noqa: F401
    import pcedge.export.hls4ml.layer  # noqa: F401  # registers the layer


def _check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{what} must be one of {', '.join(choices)}, got {value!r}")


def _check_name(what: str, name: str, taken: tuple[str, ...] = ()) -> None:
    # It names C++ variables, types, a namespace and a folder.
    if not _NAME.fullmatch(name) or "__" in name or name.lower() in _RESERVED:
        raise UsageError(
            f"{what} must start with a letter, go on with letters, digits and single underscores, and be no word of "
            f"C++ or hls4ml, got {name!r}"
        )
    if name in taken:
        raise UsageError(f"{what} must be new, but {name!r} is there already")
