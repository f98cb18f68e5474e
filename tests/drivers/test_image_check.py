"""Images whose CRC is right and whose addresses are wrong: what the check says, and that it lets no good one fall."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from helpers.engine import CIRCUITS, SHAPE
from numpy.typing import NDArray
from strategies import make_circuit

from pcedge.circuit import load_circuit
from pcedge.drivers.contract import IMAGE_NAMES
from pcedge.drivers.image_check import check_image, read_words
from pcedge.drivers.layout import SECTIONS
from pcedge.drivers.size import EngineSize
from pcedge.errors import FormatError
from pcedge.export import load_zoo
from pcedge.export.program.image import capacity_of, image_words
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.steps import Op

Words = NDArray[np.uint32]

FRONT = len(IMAGE_NAMES) + 8

#: circuits of which one has a step of each kind, lists and gather lists, and one nested tables
RANDOM, SPARSE, NESTED = CIRCUITS[4], CIRCUITS[6], CIRCUITS[8]


def image_of(circuit: IntegerCircuit, shape: EngineSize = SHAPE) -> Words:
    return image_words(circuit, capacity_of([circuit], shape))


def sealed(words: Words) -> Words:
    """Make the CRC right."""
    words[-1] = zlib.crc32(words[:-1].tobytes())
    return words


def start_of(words: Words, section: str) -> int:
    counts = words[FRONT : FRONT + len(SECTIONS)].astype(int)
    number = SECTIONS.index(section)
    return FRONT + len(SECTIONS) + int(counts[:number].sum())


def steps_of(words: Words, program: str, op: Op, **fields: int) -> list[int]:
    """Find the steps of a kind, with some values of other fields."""
    sections = read_words(words, SHAPE).sections
    found = sections[f"{program}_kind"] == op
    for name, value in fields.items():
        found &= sections[f"{program}_{name}"] == value
    return np.flatnonzero(found).tolist()


def put(section: str, place: int, value: int) -> Callable[[Words], None]:
    def change(words: Words) -> None:
        words[start_of(words, section) + place] = value

    return change


def head(name: str, value: int) -> Callable[[Words], None]:
    def change(words: Words) -> None:
        words[list(IMAGE_NAMES).index(name)] = value

    return change


def at(program: str, op: Op, field: str, value: int | str, number: int = 0, **fields: int) -> Callable[[Words], None]:
    """Change a field of a step; of a text the value is that of the header, or `+1`."""

    def change(words: Words) -> None:
        place = start_of(words, f"{program}_{field}") + steps_of(words, program, op, **fields)[number]
        if isinstance(value, str):
            words[place] = int(words[place]) + 1 if value == "+1" else words[list(IMAGE_NAMES).index(value)] - 1
        else:
            words[place] = value

    return change


def falling(words: Words) -> None:
    """Let the first entry of the tables of the variable with most symbols be the largest."""
    sections = read_words(words, SHAPE).sections
    variable = int(sections["variables_cardinality"].argmax())
    words[start_of(words, "tables") + int(sections["variables_tables"][variable])] = 1023


def ends_early(words: Words) -> None:
    """Let the tables of variable 0 begin where all of them end."""
    words[start_of(words, "variables_tables")] = words[FRONT + SECTIONS.index("tables")]


@pytest.mark.parametrize("shape", [EngineSize(), EngineSize(2, 1, 2), EngineSize(8, 2, 3), SHAPE, EngineSize(64, 1, 4)])
def test_every_image_passes(shape: EngineSize) -> None:
    digits = quantize(load_circuit("digits"), QuantizationConfig(8, 12, 16))
    for circuit in (*CIRCUITS, digits, quantize(make_circuit(9, 1, 1, 2, "chain"))):
        check_image(image_of(circuit, shape), shape)
    build = capacity_of(CIRCUITS, shape)
    for circuit in CIRCUITS:  # with the weights of a build that has more bits
        check_image(image_words(circuit, build), shape)


@pytest.mark.parametrize("name", ["nltcs", "shuttle"])
def test_images_of_shipped_circuits_pass(name: str) -> None:
    check_image(image_of(load_zoo(name)), SHAPE)


@pytest.mark.parametrize(
    ("circuit", "change", "text"),
    [
        (RANDOM, head("magic", 1), "magic must be 0x31454350 for this engine, got 0x1"),
        (RANDOM, head("sections", 3), "sections must be 0x35 for this engine, got 0x3"),
        (RANDOM, head("shape", 8), "shape must be 0x10004 for this engine, got 0x8"),
        (RANDOM, head("widths", 0x08190A0C), "scale_bits must be in 16..24, got 25"),
        (RANDOM, head("floor", 1 << 30), "floor must be at least 1 and leave half of"),
        (RANDOM, head("terms", 0), "terms must be at least 1, got 0"),
        (RANDOM, head("terms", 1), "it must add at most 1 terms, got"),
        (RANDOM, head("state_words", 0), "state_words must be at least 1, got 0"),
        (RANDOM, head("state_words", 3), "words of indices must be at most 3, got"),
        (RANDOM, head("exponent_slots", 1), "exponent must be at most 0, got"),
        (RANDOM, head("record", 3), "entries of variables_cardinality must be 3, got"),
        (RANDOM, head("code_steps", 3), "entries of code_kind must be 3, got"),
        (RANDOM, head("nested", 1), "nested must be 0, got 1"),
        (RANDOM, head("likelihood_result", 1), "the result must be a value that the likelihood leaves"),
        (RANDOM, at("code", Op.LEAF, "units", 0), r"code step \d+ \(LEAF\): it must have at least one unit, got 0"),
        (RANDOM, at("code", Op.UP, "target", "state_words"), r"\(UP\): its result must end within \d+ words, it ends"),
        (RANDOM, at("code", Op.DOWN, "a_exponent", 1), r"\(DOWN\): source a must be a value that is there, got"),
        (RANDOM, at("code", Op.DOWN, "a_units", 2), r"\(DOWN\): source a must be 1 to 1 entries of its value, got 2"),
        (RANDOM, at("code", Op.UP, "weights", "+1"), r"\(UP\): its \d+ x \d+ weights must be whole tiles within"),
        (RANDOM, at("code", Op.UP, "gather_a", 1), r"\(UP\): it must have no gather lists"),
        (RANDOM, at("code", Op.LEAF, "lists", 1), r"\(LEAF\): lists must be 0, got 1"),
        (RANDOM, at("code", Op.UP, "values", 1), r"\(UP\): values must be 0, got 1"),
        (RANDOM, at("likelihood", Op.LEAF, "kind", Op.INTERVAL), r"likelihood step \d+ \(INTERVAL\): "),
        (RANDOM, at("code", Op.INTERVAL, "variable", "+1"), r"must not code variable \d+ here|leaves of variable"),
        (RANDOM, at("code", Op.INTERVAL, "a_units", "+1", -1), r"\(INTERVAL\): source a must be a whole value"),
        (RANDOM, put("weights", 0, 0), r"weights of unit 0 must sum to 256, got"),
        (RANDOM, put("weights", 0, 257), "words of weights must be at most 256, got 257"),
        (RANDOM, put("tables", 0, 1 << 10), "words of tables must be at most 1023, got 1024"),
        (RANDOM, falling, r"leaves of variable \d: leaf table of variable \d, unit \d must never fall, it does$"),
        (RANDOM, put("variables_cardinality", 0, 0), "leaves of variable 0: cardinality must be at least 1, got 0"),
        (RANDOM, put("variables_list", 0, 1), "leaves of variable 0: their list must be of 5 entries from a whole"),
        (RANDOM, ends_early, "leaves of variable 0: their words must be within"),
        (SPARSE, at("code", Op.UP, "list", "+1", lists=1), r"\(UP\): (entries of its lists|its lists|weights)"),
        (SPARSE, at("code", Op.UP, "weights", 60, lists=1), r"\(UP\): (its \d+ weights must be within|weights)"),
        (SPARSE, at("code", Op.UP, "values", 0, lists=1), r"\(UP\): values must be 1, got 0"),
        (NESTED, put("nested_shift", 0, 1 << 10), "shift and scale must be at most 1024 together"),
        (NESTED, put("nested_master", 0, 1 << 10), r"words of nested_master must be at most \d+, got 1024"),
        (NESTED, put("leaves", 0, 14), r"leaves of variable 0: their tables must be below|unit"),
    ],
)  # fmt: skip
def test_what_is_refused(circuit: IntegerCircuit, change: Callable[[Words], None], text: str) -> None:
    words = image_of(circuit).copy()
    change(words)
    with pytest.raises(FormatError, match=rf"^engine-image: .*{text}"):
        check_image(sealed(words), SHAPE)


def test_images_that_are_not_whole() -> None:
    words = image_of(RANDOM)
    for size in (0, 1, FRONT, FRONT + len(SECTIONS)):
        with pytest.raises(FormatError, match=rf"^engine-image: it must have more than 78 words, got {size}$"):
            check_image(words[:size], SHAPE)
    with pytest.raises(
        FormatError, match=rf"it must have the {len(words)} words that it announces, got {len(words) - 1}$"
    ):
        check_image(words[:-1], SHAPE)
    with pytest.raises(FormatError, match=r"^engine-image: its CRC-32 must be right: it is damaged$"):
        check_image(np.append(words[:-1], np.uint32(0)), SHAPE)
    # Symbols of which there are no tables: refused before anything is made of them.
    many = words.copy()
    for name, value in (("cardinality", 1 << 22), ("floor", 1)):
        many[list(IMAGE_NAMES).index(name)] = value
    many[list(IMAGE_NAMES).index("widths")] |= 24 << 16
    many[start_of(many, "variables_cardinality")] = 1 << 22
    with pytest.raises(FormatError, match=r"cardinality must be at most \d+, there are no more entries, got 4194304$"):
        check_image(sealed(many), SHAPE)


@pytest.mark.parametrize("circuit", [RANDOM, SPARSE, NESTED])
def test_changed_images_are_refused_or_sound(circuit: IntegerCircuit) -> None:
    """Nothing but a typed error leaves the check."""
    rng, words, refused = random.Random(0), image_of(circuit), 0
    for _ in range(300):
        changed = words.copy()
        for _ in range(rng.choice((1, 1, 3))):
            changed[rng.randrange(len(words) - 1)] = rng.choice((0, 1, 2, 7, 255, 2**31, 2**32 - 1, rng.randrange(64)))
        try:
            check_image(sealed(changed), SHAPE)
        except FormatError as error:
            assert error.rule == "engine-image" and len(str(error)) < 300
            refused += 1
    assert 200 < refused < 300
