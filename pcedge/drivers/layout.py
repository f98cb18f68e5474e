"""How an image lays out the memories of a circuit: sections, and bounds of their words (docs/engine.md, Image).

The exporter writes images, `check_image` reads them; both take the layout from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import LIMITS, Widths
from pcedge.drivers.size import EngineSize
from pcedge.schedule.steps import Op, Zeros
from pcedge.tails import TAIL_BITS

Integers = NDArray[np.int64]

#: what a step does
KIND = ("kind", "revive", "lists", "values", "gather_a", "gather_b")

#: how many entries a step has to do with: its result, source a and source b
UNITS = ("units", "a_units", "b_units")

#: what a step is, apart from where its operands lie
FORM = (*KIND, *UNITS)

#: where a value lives: address and exponent slot of the result, of source a and of source b
PLACES = {"target": "target_exponent", "a": "a_exponent", "b": "b_exponent"}

OPERANDS = ("variable", "weights", "list", "list_b")

#: all numbers of a step, named as in `step_t`
STEP_FIELDS = (*FORM, *PLACES, *PLACES.values(), *OPERANDS)

#: bits of a word of an image, and the largest one
WORD_BITS = 32

MOST_WORD = (1 << WORD_BITS) - 1

#: what a variable's leaves are found by
VARIABLE_FIELDS = ("cardinality", "list", "tables", "uppers", "tails", "nested")

#: what makes a leaf table from a master
NESTED_FIELDS = ("master", "shift", "scale")

#: the programs of an image
PROGRAMS = ("likelihood", "code")

#: the memories, in the order in which an image holds them
SECTIONS = (
    "weights", "indices", "tables", "uppers", "tails", "leaves", *(f"nested_{name}" for name in NESTED_FIELDS),
    *(f"variables_{name}" for name in VARIABLE_FIELDS),
    *(f"{program}_{name}" for program in PROGRAMS for name in STEP_FIELDS),
)  # fmt: skip

#: sizes of the engine beside its memories
SIZES = ("variables", "max_units", "state_words", "exponent_slots")


def lifted(zeros: Any, lift: int) -> Any:
    """Give the number of an UP that keeps, whose weights are by so many bits larger than the circuit's."""
    return zeros | lift << 2


def largest_words(
    widths: Widths, sizes: Mapping[str, int], entries: Mapping[str, int], search_bits: int
) -> dict[str, int]:
    """Give the largest word of every section: so that, alone, none is beyond what it is for.

    Args:
        widths: of the build, or of an image.
        sizes: `SIZES`.
        entries: of every section.
        search_bits: a word of a leaf table has 2^search_bits − 1 entries.
    """
    total, slots = 1 << widths.leaf_bits, (1 << search_bits) - 1
    # An address, where there may be nothing to address, may be 0.
    last = {name: max(0, count - 1) for name, count in {**entries, **sizes}.items()}
    steps = {
        "kind": max(Op), "units": sizes["max_units"], "weights": last["weights"], "variable": last["variables"],
        **dict.fromkeys(("revive", "lists", "values", "gather_a", "gather_b"), 1),
        **dict.fromkeys(("a_units", "b_units"), sizes["state_words"]),
        **dict.fromkeys(PLACES, last["state_words"]),
        **dict.fromkeys(PLACES.values(), last["exponent_slots"]),
        **dict.fromkeys(("list", "list_b"), last["indices"]),
    }  # fmt: skip
    return {
        "weights": 1 << widths.weight_bits,
        # An entry is a place in a vector, and a list has each at most once; or it is a tail's exponent.
        "indices": max(sizes["state_words"], TAIL_BITS if widths.tail_bits else 0),
        "tables": total - 1, "uppers": total - 1, "tails": widths.cardinality - 1,
        "leaves": max(last["tails"], last["nested_master"]),
        "nested_master": last["tails"], "nested_shift": total, "nested_scale": total,
        "variables_cardinality": widths.cardinality, "variables_list": last["leaves"],
        # Tables of one symbol have no words, and may begin at the end.
        "variables_tables": entries["tables"] // slots, "variables_uppers": entries["uppers"] // slots,
        "variables_tails": last["tails"], "variables_nested": last["nested_master"],
        **{f"{program}_{field}": steps[field] for program in PROGRAMS for field in STEP_FIELDS},
        # Code revives; a likelihood may keep and have tails.
        "likelihood_revive": lifted(Zeros.TAIL, widths.weight_bits - LIMITS["weight_bits"][0]),
    }  # fmt: skip


def widths_word(widths: Widths) -> int:
    """Put the widths that a build fixes in one word."""
    return widths.state_bits | widths.leaf_bits << 8 | widths.scale_bits << 16 | widths.weight_bits << 24


def shape_word(shape: EngineSize) -> int:
    """Put the sizes that lay out memories in one word."""
    return shape.lanes | shape.search_bits << 16


def table_words(rows: Integers, search_bits: int) -> list[Integers]:
    """Put the entries of tables in words, level by level, the lowest first.

    Args:
        rows: (tables, V − 1), entries 1 to V − 1 of each table.
        search_bits: b; entry k lies in level j, where 2^(b j) is the largest power of 2^b that divides k, in word
            ⌊k / 2^(b (j + 1))⌋ of it, which has 2^b − 1 entries.

    Returns:
        (tables, words, 2^b − 1) for each level, at least one; an entry beyond V − 1 is 0.
    """
    base = 1 << search_bits
    levels: list[Integers] = []
    left = rows
    while left.shape[1] or not levels:
        words = -(-left.shape[1] // base)
        # Multiples of the base are the next level's: their places, the first of each word, are cut off.
        padded = np.pad(left, ((0, 0), (1, base)))[:, : words * base]
        levels.append(padded.reshape(len(rows), words, base)[:, :, 1:])
        left = left[:, base - 1 :: base]
    return levels
