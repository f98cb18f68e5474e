"""The memories of the engine in SystemVerilog, and what yosys makes of each on a family (docs/rtl.md, Memories)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pcedge.arithmetic import ceil_div

#: words that may lie in one of a block RAM
BESIDE = (1, 2, 4, 8)

#: words and bits of the table of reciprocals
RECIPROCALS = (256, 16)


@dataclass(frozen=True)
class Memory:
    """Hold one memory of an engine."""

    name: str
    words: int
    #: bits of a word
    width: int
    #: words that are read in a cycle
    reads: int = 1
    #: whether it is written; else it is an image
    written: bool = False
    #: cores that have one of their own
    copies: int = 1
    #: whether it may be block RAM; else it is logic
    block: bool = True

    @property
    def bits(self) -> int:
        """Count the bits: of an image once, of what is written for every core."""
        return self.words * self.width * (self.copies if self.written else 1)


def engine_memories(size: Mapping[str, int]) -> list[Memory]:
    """List the memories that may be block RAM: images, rows, exponents and symbols.

    Args:
        size: all sizes of an engine by their names, as `params.sizes_of` gives them.
    """
    streams, cores, beside = size["STREAMS"], size["CORES"], size["TILES_BESIDE"]
    tile = size["MACS"] * (size["WEIGHT_BITS"] + 1)
    shared = [
        Memory("steps", size["STEPS"], size["STEP_WIDTH"], cores),
        Memory("weights", size["TILES"] - beside, tile, cores),
        *([Memory("weights beside", beside, tile, cores, block=False)] if beside else []),
    ]
    own = [
        Memory("lists", size["LISTS"], 2 + size["POSITION_BITS"] + size["LIST_B_BITS"]) if size["HAS_LISTS"] else None,
        Memory("leaves", size["LEAF_WORDS"], size["TABLE_LANES"] * (size["NUMBER_BITS"] + 1)),
        Memory("even", size["EVENS"], size["LEAF_BITS"] + 1, size["TABLE_LANES"]),
        Memory("odd", size["ODDS"], size["LEAF_BITS"] + 1, size["TABLE_LANES"]),
        Memory("variables", size["VARIABLES"], size["VARIABLE_WIDTH"]),
        Memory("tails", size["TAILS"], 4) if size["HAS_TAILS"] else None,
        Memory("reciprocals", *RECIPROCALS) if size["HAS_CODE"] else None,
        Memory("rows", streams * size["ROWS"], size["LANES"] * size["STATE_BITS"], 2 + size["PAIR_COPY"], True),
        Memory("exponents", 1 << (size["STREAM_BITS"] + size["SLOT_BITS"]), 32, 2, written=True),
        Memory("symbols", 2 * streams * size["VARIABLES"], size["SYMBOL_BITS"], written=True),
    ]
    return shared + [replace(memory, copies=cores) for memory in own if memory is not None]


@dataclass(frozen=True)
class Blocks:
    """Say what block RAM a family has, as yosys maps it."""

    #: words and bits of its forms: that one port reads, and another one writes
    single: tuple[tuple[int, int], ...]
    #: and that both ports read; none where a block RAM has one reader
    double: tuple[tuple[int, int], ...]
    #: bits of an image in logic that yosys takes for as dear as one
    image_bits: int
    #: bits of a memory that is written, in tables that are memories, or in registers where a family has none of these
    written_bits: int


_NARROW = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18))

#: shapes of yosys' memory libraries. An image is block RAM from 16 bits a unit of its cost on, that is 128, of iCE40
#: 64; 16 x 4 bits in tables cost 4, a bit in registers 1
BLOCKS: Mapping[str, Blocks] = {
    "ecp5": Blocks((*_NARROW, (512, 36)), _NARROW, 2048, 2048),
    "gowin": Blocks((*_NARROW, (512, 36)), _NARROW, 2048, 2048),
    "ice40": Blocks(((2048, 2), (1024, 4), (512, 8), (256, 16)), (), 1024, 64),
}


@dataclass(frozen=True)
class Mapped:
    """Say what a memory is made of."""

    #: block RAMs
    bram: int
    #: bits in tables that are memories, in registers, and in logic
    table_bits: int = 0
    register_bits: int = 0
    logic_bits: int = 0


def mapped(memory: Memory, family: str) -> Mapped:
    """Give what yosys makes of a memory: block RAM, or what is less dear."""
    blocks = BLOCKS[family]
    pairs = ceil_div(memory.reads, 2)
    one = memory.reads * _fewest(memory, blocks.single)
    # a memory with two readers of its own is one that is only read
    both = one
    if blocks.double and not memory.written and memory.reads > 1:
        both = memory.reads // 2 * _fewest(memory, blocks.double) + memory.reads % 2 * _fewest(memory, blocks.single)
    bram, copies = min(one, both), memory.copies
    if memory.written:
        each = memory.words * memory.width
        padded = ceil_div(memory.words, 16) * 16 * ceil_div(memory.width, 4) * 4 if blocks.double else each
        if padded >= blocks.written_bits * ceil_div(bram, memory.reads):
            return Mapped(copies * bram)
        bits = copies * padded * memory.reads
        return Mapped(0, table_bits=bits) if blocks.double else Mapped(0, register_bits=bits)
    if memory.block and memory.bits > blocks.image_bits * ceil_div(bram, pairs):
        return Mapped(copies * bram)
    return Mapped(0, logic_bits=copies * memory.bits * memory.reads)


def _fewest(memory: Memory, shapes: tuple[tuple[int, int], ...]) -> int:
    """Count block RAMs; several words may lie side by side, of which one is selected behind."""
    return min(
        ceil_div(ceil_div(memory.words, beside), words) * ceil_div(memory.width * beside, width)
        for words, width in shapes for beside in BESIDE
    )  # fmt: skip
