"""The C++ of a build's widths and sizes."""

from __future__ import annotations

from pcedge.arithmetic import EXPONENT_BITS, Widths, ceil_log2
from pcedge.drivers.size import EngineSize
from pcedge.export.program.image import Capacity
from pcedge.export.program.lowering import Lowered

#: words of a memory of a stream that lies in look-up tables
SHALLOW = 128


def config_code(lowered: Lowered) -> str:
    """Write the configuration of a build for one circuit."""
    circuit = lowered.circuit
    # What this circuit's numbers need, proven by interval analysis; the engine compares its widths with them.
    title = f"one circuit. Generated; the integer circuit is model.onnx.\n// digest {circuit.digest.hex()}"
    tables = len(lowered.leaves.tails.entries)
    return _text(circuit.widths, lowered.sizes, lowered.shape, tables, lowered.program.needed, title)


def reload_config_code(capacity: Capacity) -> str:
    """Write the configuration of a build for all circuits of a capacity: every signal has its full width."""
    needed = capacity.widths.signals() | {"exponent": EXPONENT_BITS}
    tables = capacity.sections["tails"][0]
    return _text(capacity.widths, capacity.sizes, capacity.shape, tables, needed, "all circuits that fit. Generated.")


def storage_code(state_words: int, shape: EngineSize) -> str:
    """Say where the banks of the state memory lie: in look-up tables where they are shallow, else in block RAMs."""
    return f"#define PCEDGE_STATE_IN_LUTS {int(in_look_up_tables(-(-state_words // shape.lanes)))}\n"


def in_look_up_tables(depth: int) -> bool:
    """Tell whether a memory of a stream with so many words lies in look-up tables: a block RAM would be half empty."""
    return depth <= SHALLOW


def _text(
    widths: Widths, sizes: dict[str, int], shape: EngineSize, tables: int, needed: dict[str, int], title: str
) -> str:
    constants = {
        "variables": sizes["variables"],
        "cardinality": widths.cardinality,
        "terms": widths.terms,
        "symbol_bits": widths.symbol,
        "weight_bits": widths.weight_bits,
        "leaf_bits": widths.leaf_bits,
        "state_bits": widths.state_bits,
        "scale_bits": widths.scale_bits,
        "range_bits": widths.range_bits,
        "tail_bits": widths.tail_bits,
        "floor": widths.floor,
        "accumulator_bits": widths.accumulator,
        "context_sum_bits": widths.context_sum,
        "weighted_bits": widths.weighted,
        "max_units": sizes["max_units"],
        "state_words": sizes["state_words"],
        "exponent_slots": sizes["exponent_slots"],
        "streams": shape.streams,
        "tile_rows": shape.tile[0],
        "tile_columns": shape.tile[1],
        "lanes": shape.lanes,
        "search_bits": shape.search_bits,
        # of a number of a leaf table, each of which has a tail
        "table_bits": max(1, ceil_log2(tables)),
    }
    constants |= {f"needed_{name}_bits": bits for name, bits in needed.items()}
    lines = "".join(f"  static constexpr int {name} = {value};\n" for name, value in constants.items())
    return (
        f"// Widths and sizes of {title}\n"
        "#ifndef PCEDGE_CONFIG_HPP\n#define PCEDGE_CONFIG_HPP\n\n"
        '#include "pcedge/arith/integers.hpp"\n\n'
        "struct pcedge_config {\n"
        "#ifdef PCEDGE_PLAIN_INTEGERS\n  using integers = pcedge::plain_integers;\n"
        "#else\n  using integers = pcedge::ap_integers;\n#endif\n"
        f"{lines}}};\n\n#endif\n"
    )
