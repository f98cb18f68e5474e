"""What an engine in SystemVerilog takes of a device before synthesis: counted, and fitted to builds (docs/rtl.md).

Multipliers and block RAMs are counted as yosys makes them. Tables and registers are linear in a few numbers of the
engine; `benchmarks/rtl_calibration.py` fits the factors to builds and writes `calibration.json`, with the errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from pcedge.arithmetic import ceil_div, ceil_log2
from pcedge.export.open_target import Fabric
from pcedge.export.rtl.memories import Memory, engine_memories, mapped
from pcedge.export.rtl.timing import writer_places

#: tables of four inputs of 16 x 4 bits of memory, by family; of iCE40, which has none, of a bit beside its register
TABLES_OF_MEMORY = {"ecp5": 6, "gowin": 4}
SELECTED = 0.7

#: what is estimated
RESOURCES = ("lut", "ff", "dsp", "bram")

#: of these, what is counted and not fitted; their errors say how far counts of builds were off
COUNTED = ("dsp", "bram")


@dataclass(frozen=True)
class AreaEstimate:
    """Hold what an engine takes; None where no build of the family was fitted."""

    family: str
    lut: int | None
    ff: int | None
    dsp: int
    bram: int
    #: median of the builds that were placed and routed
    fmax_mhz: float | None
    #: relative errors of the fit, by resource: `left_out` by a fit without this family, and `fitted`
    errors: Mapping[str, Mapping[str, float]]
    #: builds that were fitted, of all families
    builds: int
    #: whether these builds were of the sources that an engine is made of now
    current: bool

    @property
    def total(self) -> dict[str, int | None]:
        """Give what is taken, by resource."""
        return {name: getattr(self, name) for name in RESOURCES}

    def missing(self, held: Fabric) -> list[str]:
        """List the resources of which a device that holds so much has too little."""
        return [name for name, amount in self.total.items() if amount is not None and amount > getattr(held, name)]


def estimate_area(size: Mapping[str, int], family: str) -> AreaEstimate:
    """Estimate what an engine takes of a device of a family."""
    found = calibration()
    fit = found["families"].get(family)
    amounts: dict[str, int | None] = {"lut": None, "ff": None}
    if fit is not None:
        numbers = numbers_of(size, family)
        for name in amounts:
            amounts[name] = round(
                numbers[f"memory_{name}"] + sum(factor * numbers[of] for of, factor in fit[name].items())
            )
    return AreaEstimate(
        family, amounts["lut"], amounts["ff"], sum(multipliers(size).values()), block_rams(size, family),
        None if fit is None else fit["fmax_mhz"], {} if fit is None else fit["errors"], found["builds"],
        found["sources"] == sources_digest(),
    )  # fmt: skip


def multipliers(size: Mapping[str, int]) -> dict[str, int]:
    """Count multipliers by unit: at most 18 bits a side, so that one is one of any family."""
    wide = 4 if size["SCALE_BITS"] > 18 else 1
    # intervals: reciprocal and scale, bounds; then encoders and decoders
    own = (8 if wide == 4 else 4) + wide * (size["HAS_ENCODE"] + size["HAS_SEARCH"])
    coder = wide if size["SHARED_PRODUCT"] else own
    of_core = {
        "mix": size["MACS"], "vector": size["LANES"], "tables": 2 * size["TABLE_LANES"] if size["HAS_CODE"] else 0,
        "coder": coder if size["HAS_CODE"] else 0,
        # pc_packers has a multiplier of its own; times the floor is a sum where that is a number
        **({"packets": wide * (size["HAS_PACK"] + size["HAS_UNPACK"] * size["RELOAD"])} if size["HAS_PACKETS"] else {}),
    }  # fmt: skip
    return {unit: size["CORES"] * count for unit, count in of_core.items()}


def block_rams(size: Mapping[str, int], family: str) -> int:
    """Count the block RAMs of an engine, as yosys maps its memories on a family."""
    return sum(mapped(memory, family).bram for memory in [*engine_memories(size), *small_memories(size)])


def numbers_of(size: Mapping[str, int], family: str) -> dict[str, float]:
    """Give what tables and registers are fitted to, and what memories take of both."""
    tables = registers = logic = 0
    for memory in [*engine_memories(size), *small_memories(size)]:
        made = mapped(memory, family)
        tables += made.table_bits
        registers += made.register_bits
        logic += made.logic_bits
    lanes, macs, streams = size["LANES"], size["MACS"], size["STREAMS"]
    of_core = {
        "one": 1, "streams": streams, "products": macs * (size["WEIGHT_BITS"] + 1 + size["STATE_BITS"]) / 25,
        "sums": lanes * (size["MIX_BITS"] + _vector_bits(size) + _count_bits(size)) / 32,
        "states": lanes * size["STATE_BITS"] / 16, "table_lanes": size["TABLE_LANES"],
        "lists": size["HAS_LISTS"], "keeps": size["KEEPS"] * macs,
        "tails": size["MIX_TAILS"] * macs, "likelihood": size["HAS_LIKELIHOOD"] * streams,
        "code": size["HAS_CODE"] * size["SCALE_BITS"] / 24, "encode": size["HAS_ENCODE"],
        "encoders": size["HAS_ENCODE"] * streams,
        "search": size["HAS_SEARCH"], "searches": size["HAS_SEARCH"] * streams,
        "score": size["HAS_SCORE"], "pack": size["HAS_PACK"], "packers": size["HAS_PACK"] * streams,
        "unpack": size["HAS_UNPACK"], "unpackers": size["HAS_UNPACK"] * streams,
    }  # fmt: skip
    return {
        **{name: size["CORES"] * number for name, number in of_core.items()}, "logic": logic / 16,
        "memory_lut": TABLES_OF_MEMORY.get(family, 0) * ceil_div(tables, 64) + SELECTED * registers,
        "memory_ff": registers,
    }  # fmt: skip


def small_memories(size: Mapping[str, int]) -> list[Memory]:
    """List the memories that are too small for block RAM, or for that of some families."""
    streams, scale, symbol = size["STREAMS"], size["SCALE_BITS"], size["SYMBOL_BITS"]
    step = (
        7 + 3 * size["ROW_ADDRESS_BITS"] + 3 * size["SLOT_BITS"] + 2 * size["ROW_COUNT_BITS"]
        + sum(size[f"{name}_BITS"] for name in ("STATE_LANE", "BLOCK", "TILE", "LIST", "VARIABLE", "LEAF_ADDRESS",
                                                "TAIL_ADDRESS"))
    )  # fmt: skip
    task = size["STREAM_BITS"] + 64 + step
    meta = size["STREAM_BITS"] + size["ROW_ADDRESS_BITS"] + size["SLOT_BITS"] + size["STATE_LANE_BITS"] + 37
    rows = writer_places(size["MOST_ROWS"])
    count = max(1, ceil_log2(size["MOST_ROWS"]))
    widths = {"mix": size["MIX_BITS"], "vector": _vector_bits(size), "table": _count_bits(size)}
    written = {
        **{f"{name} rows": (rows, size["LANES"] * width) for name, width in widths.items()},
        **{f"{name} metas": (16, meta) for name in widths}, **{f"{name} steps": (4, task) for name in widths},
        **{f"{name} vectors": (12, count + width) for name, width in widths.items()},
        "steps of streams": (streams, step),
    }  # fmt: skip
    if size["HAS_CODE"]:
        written |= {"passes": (2, task + symbol), "weighted": (14, size["WEIGHTED_BITS"] + scale + 1)}
    if size["HAS_ENCODE"]:
        written |= {
            "digits": (streams, 4 + scale), "runs": (streams, 40), "encoders": (streams, 4 * scale + 1),
            "bytes": (8 * streams, 9),
        }  # fmt: skip
    if size["HAS_SEARCH"]:
        written |= {
            "decoders": (streams, 4 * scale), "searches": (streams, task + 4 * symbol + 4),
            "bytes that come": (7, scale),
        }  # fmt: skip
    return [Memory(name, words, width, written=True, copies=size["CORES"]) for name, (words, width) in written.items()]


def _vector_bits(size: Mapping[str, int]) -> int:
    products = 2 * size["STATE_BITS"]
    return max(products, size["MIX_BITS"]) if size["HAS_LISTS"] else products


def _count_bits(size: Mapping[str, int]) -> int:
    return size["LEAF_BITS"] + 1 + (size["TAIL_BITS"] if size["HAS_TAILS"] else 0)


@cache
def calibration() -> dict[str, Any]:
    """Read what builds were fitted to."""
    found: dict[str, Any] = json.loads(files("pcedge.export.rtl").joinpath("calibration.json").read_text("utf-8"))
    return found


@cache
def sources_digest() -> str:
    """Give the SHA-256 of all sources, in the order of their names."""
    digest = sha256()
    room = files("pcedge.export.rtl").joinpath("sources")
    for source in sorted(room.iterdir(), key=lambda path: path.name):
        digest.update(source.read_bytes())
    return digest.hexdigest()
