"""Probabilistic circuits on edge hardware: integer circuits, ONNX, HLS kernels and a range coder, equal bit for bit.

Everything in `__all__` is the public interface; each name is imported when it is first asked for, so that
`import pcedge` costs nothing. The rooms, from data to hardware: `pcedge.data`, `circuit`, `learn`, `compress`,
`quantize`, `integer`, `schedule`, `engines`, `codec`, `export`, `simulate`, `verify`.
"""

import importlib

__version__ = "0.1.0"

#: where each public name lies
_HOMES = {
    "Circuit": "pcedge.circuit", "save_circuit": "pcedge.circuit", "log_likelihood": "pcedge.circuit",
    "sample": "pcedge.circuit", "load_array": "pcedge.data", "load_data": "pcedge.data",
    "Symbolizer": "pcedge.data", "train": "pcedge.learn", "import_circuit": "pcedge.importers",
    "from_estimator": "pcedge.importers",
    "QuantizationConfig": "pcedge.quantize", "IntegerCircuit": "pcedge.integer", "Program": "pcedge.schedule",
    "ReferenceEngine": "pcedge.engines", "Codec": "pcedge.codec", "Decoder": "pcedge.codec",
    "Encoder": "pcedge.codec",
    "load": "pcedge.front", "to_integer": "pcedge.front", "encode": "pcedge.front", "decode": "pcedge.front",
    "encode_file": "pcedge.front", "decode_file": "pcedge.front", "explain": "pcedge.front",
    "read_onnx": "pcedge.export", "write_onnx": "pcedge.export", "write_project": "pcedge.export",
    "estimate_cost": "pcedge.export", "quantize_within": "pcedge.search.budget",
    "write_unrolled": "pcedge.export", "to_hls4ml": "pcedge.export", "append_to_hls4ml": "pcedge.export",
    "read_program": "pcedge.schedule", "write_program": "pcedge.schedule",
    "Project": "pcedge.verify", "verify_ladder": "pcedge.verify", "PcedgeError": "pcedge.errors",
}  # fmt: skip

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(__name__):
            raise
        # The wheel pcedge-device has the drivers, and what they import, of the same sources.
        raise AttributeError(
            f"{__name__}.{name} is in the package pcedge; pcedge-device has drivers, Codec and read_program"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
