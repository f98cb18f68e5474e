"""The layer PCLikelihood in hls4ml's Extension API: attributes, templates, and the files it adds to a project.

Importing this module registers the layer with hls4ml; it needs hls4ml, so `pcedge.export.hls4ml.model` imports it when
it is called. Import it yourself before hls4ml reads a model that was saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.attributes import Attribute
from hls4ml.model.layers import Layer, register_layer
from hls4ml.model.optimizer import OptimizerPass
from hls4ml.model.types import IntegerPrecisionType

from pcedge.arithmetic import EXPONENT_BITS
from pcedge.export.project.directory import kernel_headers

#: the header of a layer's folder that hls4ml's sources include
HEADER = "layer.hpp"

# The generated texts call their structures alike for every circuit: a namespace keeps layers apart, and the guards
# must not keep a second layer out. What they include is included before, outside of the namespace.
_HEADER_TEXT = """\
// The circuit of layer {name}, in one header: hls4ml compiles one source. Generated.
#ifndef PCEDGE_LAYER_{name}_HPP
#define PCEDGE_LAYER_{name}_HPP

#include "pcedge/sequential/hls4ml.hpp"

#undef PCEDGE_CONFIG_HPP
#undef PCEDGE_MEMORIES_HPP
namespace pcedge_{name} {{
#include "pcedge_config.hpp"
#include "pcedge_memories.cpp"
}}

#endif
"""


class PCLikelihood(Layer):  # type: ignore[misc]  # hls4ml has no types
    """Compute the likelihood of one record: mantissa and exponent, as integers."""

    _expected_attributes = [  # noqa: RUF012
        Attribute("variables", value_type=int, description="The number of symbols of a record."),
        Attribute("missing", value_type=bool, description="Whether a negative number is a missing symbol."),
        Attribute("texts", value_type=dict, description="The generated C++ of the circuit, by the name of the file."),
    ]

    def initialize(self) -> None:
        """Declare the output: mantissa, then exponent."""
        self.add_output_variable([2], precision=IntegerPrecisionType(EXPONENT_BITS, signed=True))


class PCLikelihoodConfig(LayerConfigTemplate):  # type: ignore[misc]
    """Write the layer's configuration structure."""

    def __init__(self) -> None:
        """Match the layer."""
        super().__init__(PCLikelihood)

    def format(self, node: Any) -> str:
        """Name the circuit's structures."""
        return (
            f"struct config{node.index} {{\n"
            f"    using config = ::pcedge_{node.name}::pcedge_config;\n"
            f"    using memories = ::pcedge_{node.name}::pcedge_memories;\n"
            f"    static const bool missing = {str(node.get_attr('missing')).lower()};\n"
            "};\n"
        )


class PCLikelihoodCall(FunctionCallTemplate):  # type: ignore[misc]
    """Write the call of the layer."""

    def __init__(self) -> None:
        """Match the layer."""
        super().__init__(PCLikelihood)

    def format(self, node: Any) -> str:
        """Call `likelihood_layer`."""
        # The headers of a layer depend on its name.
        node.set_attr("include_header", [f"{node.name}/{HEADER}"])
        parameters = self._default_function_params(node)
        types = f"{parameters['input_t']}, {parameters['output_t']}, {parameters['config']}"
        return f"::pcedge::likelihood_layer<{types}>({parameters['input']}, {parameters['output']});"


class WritePCLikelihood(OptimizerPass):  # type: ignore[misc]
    """Write the files of the layer, after hls4ml has written its own."""

    def match(self, node: Any) -> bool:
        """Match the layer."""
        return isinstance(node, PCLikelihood)

    def transform(self, model: Any, node: Any) -> bool:
        """Write kernels and circuit into a folder of the layer's name."""
        folder = Path(model.config.get_output_dir()) / "firmware" / node.name
        for name, content in kernel_headers().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        for name, text in (node.get_attr("texts") | {HEADER: _HEADER_TEXT.format(name=node.name)}).items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        model.config.backend.writer.write_tar(model)  # hls4ml's own came before these files, if it is wanted
        return False


register_layer(PCLikelihood.__name__, PCLikelihood)
# The backend Vitis takes its templates and types from Vivado's.
for _template in (PCLikelihoodConfig, PCLikelihoodCall):
    get_backend("Vivado").register_template(_template)
for _backend in ("Vivado", "Vitis"):
    get_backend(_backend).register_pass("write_pc_likelihood", WritePCLikelihood, flow=f"{_backend.lower()}:write")
