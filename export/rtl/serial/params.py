"""The parameters of one serial engine, as SystemVerilog, and the words that it is loaded with."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pcedge.drivers.contract import REGISTERS
from pcedge.export.rtl.lowering import Kind
from pcedge.export.rtl.params import LEAST_EXPONENT, bits_of, size_lines
from pcedge.export.rtl.serial.image import MEMORY_WORDS, SerialImage
from pcedge.export.rtl.top import info_words


def serial_sizes(image: SerialImage) -> dict[str, int]:
    """Give every size by its name in SystemVerilog."""
    lowered = image.lowered
    circuit = lowered.circuit
    signals = circuit.widths.signals()
    row_count_bits = bits_of(image.most_rows)
    kinds = lowered.columns["kind"].values
    likelihood, code = image.starts
    return {
        "STREAMS": 1, "MEMORY_WORDS": MEMORY_WORDS, "MEMORY_BITS": bits_of(MEMORY_WORDS),
        "WEIGHT_BITS": circuit.weight_bits, "LEAF_BITS": circuit.leaf_bits, "STATE_BITS": circuit.state_bits,
        "SCALE_BITS": circuit.scale_bits, "FLOOR": circuit.floor, "MIX_BITS": signals["accumulator"],
        "CONTEXT_BITS": signals["context_sum"], "WEIGHTED_BITS": signals["weighted"],
        "SYMBOL_BITS": signals["symbol"], "VARIABLES": len(circuit.order),
        "VARIABLE_BITS": bits_of(len(circuit.order)), "ROWS": lowered.rows, "ROW_ADDRESS_BITS": bits_of(lowered.rows),
        "SLOTS": lowered.slots, "SLOT_BITS": bits_of(lowered.slots), "ROW_COUNT_BITS": row_count_bits,
        "MOST_ROWS": 1 << row_count_bits, "LIKELIHOOD_START": likelihood, "CODE_START": code,
        "HAS_LISTS": int(np.isin(kinds, (Kind.LIST, Kind.GATHER)).any()),
        "HAS_ALIGN": int((kinds == Kind.ALIGN).any()),
    }  # fmt: skip


def serial_params(image: SerialImage) -> str:
    """Write `params.svh`: sizes and widths, and the signature of models that fit them."""
    lines = "\n".join(["// Sizes and widths of one serial engine. Generated.", *_lines(image)])
    return (
        f"{lines}\nlocalparam int ALL_STREAMS = 1;\nlocalparam logic [31:0] SIGNATURE = 32'h{_signature(image):08x};\n"
        "// of this circuit's model, which pcedge_flash reads\n"
        f"localparam int MODEL_WORDS = {len(model_words(image))};\n"
    )


def model_words(image: SerialImage) -> NDArray[np.uint32]:
    """Give what a job LOAD takes: the signature, then the memory, two entries a word, the first in the lower half."""
    halves = image.words.reshape(-1, 2).astype(np.uint32)
    return np.concatenate([[np.uint32(_signature(image))], halves[:, 0] | halves[:, 1] << 16]).astype("<u4")


def _signature(image: SerialImage) -> int:
    return zlib.crc32("\n".join(_lines(image)).encode())


def _lines(image: SerialImage) -> Iterator[str]:
    yield from size_lines(serial_sizes(image))
    yield f"localparam logic [31:0] LEAST_EXPONENT = {LEAST_EXPONENT};"
    for kind in Kind:
        yield f"localparam logic [3:0] KIND_{kind.name} = 4'd{int(kind)};"
    for register in REGISTERS:
        yield f"localparam int REGISTER_{register.name.upper()} = {register.offset};"
    words = info_words(image.lowered)
    yield f"localparam int INFO_WORDS = {len(words)};"
    yield f"localparam logic [{32 * len(words) - 1}:0] INFO = {{"
    yield ",\n".join(f"  32'h{word:08x}" for word in reversed(words.tolist())) + "\n};"
