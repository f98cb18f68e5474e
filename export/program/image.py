"""Images: the memories of a circuit as words that a reloadable engine takes (docs/engine.md, section Image)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import EXPONENT_BITS, Widths
from pcedge.drivers.contract import IMAGE_NAMES, IMAGE_VERSION, MAGIC
from pcedge.errors import FormatError, WidthError
from pcedge.export.program.banks import Bank
from pcedge.export.program.leaves import leaf_memories
from pcedge.export.program.lowering import Arrangement, arrange, lower, stored_weights
from pcedge.export.program.packing import Column
from pcedge.export.program.size import EngineSize
from pcedge.export.program.steps import INDEX_BITS, STEP_FIELDS
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

Integers = NDArray[np.int64]

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

#: what a circuit may have less of than its build; its floor may be any
_MOST = ("weight_bits", "cardinality", "terms")

#: sizes of the engine beside its memories
SIZES = ("variables", "max_units", "state_words", "exponent_slots")


@dataclass(frozen=True)
class Capacity:
    """Hold what a reloadable build has room for."""

    widths: Widths
    shape: EngineSize
    #: `SIZES`
    sizes: dict[str, int]
    #: entries and bits of every memory in `SECTIONS`
    sections: dict[str, tuple[int, int]]

    @property
    def memory_bits(self) -> int:
        """Count the bits of all memories that are loaded."""
        return sum(entries * bits for entries, bits in self.sections.values())

    def memory_kinds(self) -> dict[str, int]:
        """Count the bits of the memories by kind, as `Lowered.memory_bits`; `loaded` is the sum of what is loaded."""
        bits = {name: entries * width for name, (entries, width) in self.sections.items()}
        programs = {f"{own}_program": sum(bits[f"{own}_{name}"] for name in STEP_FIELDS) for own in PROGRAMS}
        nested = sum(bits[f"nested_{name}"] for name in NESTED_FIELDS)
        loaded = {
            "weights": bits["weights"],
            "tables": bits["tables"] + bits["uppers"] + bits["tails"] + nested,
            "leaves": bits["leaves"],
            "variables": sum(bits[f"variables_{name}"] for name in VARIABLE_FIELDS),
            "indices": bits["indices"],
            "programs": sum(programs.values()),
        }
        # invariant: every section is of one kind
        assert sum(loaded.values()) == self.memory_bits
        return loaded | programs | {
            "loaded": self.memory_bits,
            "state": self.sizes["state_words"] * self.widths.state_bits,
            "exponents": self.sizes["exponent_slots"] * EXPONENT_BITS,
        }  # fmt: skip

    def as_dict(self) -> dict[str, object]:
        """Give all numbers by name, for a manifest."""
        return {
            "widths": self.widths.as_dict(),
            "shape": asdict(self.shape),
            "sizes": self.sizes,
            "sections": {name: list(size) for name, size in self.sections.items()},
        }


@dataclass(frozen=True, eq=False)
class Image:
    """Hold a circuit's memories, with plain numbers that no bank and no packed row has changed."""

    circuit: IntegerCircuit
    #: `SIZES`
    sizes: dict[str, int]
    #: number of the first mantissa, and of the exponent, of the likelihood
    result: tuple[int, int]
    #: `SECTIONS`, one-dimensional each
    sections: dict[str, Integers]


def capacity_from(saved: object) -> Capacity:
    """Read a capacity from a manifest.

    Raises:
        FormatError: it is none.
    """
    try:
        assert isinstance(saved, dict)
        sections = {name: (int(saved["sections"][name][0]), int(saved["sections"][name][1])) for name in SECTIONS}
        sizes = {name: int(saved["sizes"][name]) for name in SIZES}
        return Capacity(Widths(**saved["widths"]), EngineSize(**saved["shape"]), sizes, sections)
    except (AssertionError, KeyError, TypeError, ValueError, IndexError) as error:
        raise FormatError("project-manifest", f"the capacity of a reloadable build must be whole ({error})") from error


def make_image(source: IntegerCircuit | Program, shape: EngineSize) -> Image:
    """Lay out a circuit's memories for an engine's sizes.

    Raises:
        NotStructuredError: the circuit cannot be coded.
    """
    program = Program.of(source)
    circuit = program.circuit
    made = arrange(program)
    leaves = leaf_memories(circuit, search_bits=shape.search_bits, lanes=shape.lanes, plain=True)
    lowered = lower(program, made, leaves, shape)
    weights = _unbanked(lowered.weights, circuit.weight_bits)
    assert leaves.leaves is not None
    nothing = np.zeros(0, dtype=np.int64)
    sections = {
        "weights": weights, "indices": _unbanked(made.indices, INDEX_BITS), "tables": leaves.tables.entries,
        "uppers": leaves.uppers.entries, "tails": leaves.tails.entries, "leaves": leaves.leaves.entries,
    }  # fmt: skip
    for name in NESTED_FIELDS:
        sections[f"nested_{name}"] = nothing if leaves.nested is None else leaves.nested.column(name)
    sections |= {f"variables_{name}": leaves.variables.column(name) for name in VARIABLE_FIELDS}
    for name, columns in _programs(circuit, made, shape.tile).items():
        sections |= {f"{name}_{field}": columns[field].values for field in STEP_FIELDS}
    return Image(circuit, lowered.sizes, lowered.result, sections)


def capacity_of(sources: Sequence[IntegerCircuit | Program | Image], shape: EngineSize) -> Capacity:
    """Find the least capacity that has room for every one of some circuits, or of their images for the same sizes.

    Raises:
        WidthError: they differ in a width that a build fixes.
        NotStructuredError: a circuit cannot be coded.
    """
    images = [source if isinstance(source, Image) else make_image(source, shape) for source in sources]
    circuits = [image.circuit for image in images]
    first = circuits[0].widths
    most = dict(first.as_dict())
    for circuit in circuits:
        _same_widths(circuit.widths, first)
        for name in _MOST:
            most[name] = max(most[name], getattr(circuit.widths, name))
    # The floor is a register; 1 fits every alphabet.
    widths = Widths(**most | {"floor": 1})
    sizes = {name: max(image.sizes[name] for image in images) for name in SIZES}
    sections = {}
    for name in SECTIONS:
        entries = max(len(image.sections[name]) for image in images)
        largest = max(int(image.sections[name].max(initial=0)) for image in images)
        sections[name] = entries, max(1, largest.bit_length())
    sections["weights"] = sections["weights"][0], widths.weight
    return Capacity(widths, shape, sizes, sections)


def image_words(source: IntegerCircuit | Program | Image, capacity: Capacity) -> NDArray[np.uint32]:
    """Write a circuit's image for a build.

    Args:
        source: the circuit, its program, or its image for the sizes of the build.
        capacity: what the build has room for.

    Returns:
        uint32 words: header, sizes of the sections, sections, CRC-32 of all of it.

    Raises:
        WidthError: the circuit does not fit the build.
        NotStructuredError: the circuit cannot be coded.
    """
    circuit = source.circuit if isinstance(source, Program | Image) else source
    _same_widths(circuit.widths, capacity.widths)
    for name in _MOST:
        _within(name, getattr(circuit.widths, name), getattr(capacity.widths, name))
    image = source if isinstance(source, Image) else make_image(source, capacity.shape)
    for name in SIZES:
        _within(name, image.sizes[name], capacity.sizes[name])
    sections = dict(image.sections)
    # Rows that sum to a larger 2^W give the same mantissas and exponents (docs/engine.md, section Image).
    sections["weights"] = sections["weights"] << (capacity.widths.weight_bits - circuit.weight_bits)
    for name, (entries, bits) in capacity.sections.items():
        _within(f"entries of {name}", len(sections[name]), entries)
        _within(f"largest entry of {name}", int(sections[name].max(initial=0)), (1 << bits) - 1)
    header = [  # in the order of `IMAGE_NAMES`
        MAGIC, IMAGE_VERSION, len(SECTIONS), _widths_word(capacity.widths), _shape_word(capacity.shape),
        image.sizes["variables"], len(sections["likelihood_kind"]), len(sections["code_kind"]), *image.result,
        int(len(sections["nested_master"]) > 0), image.sizes["max_units"], image.sizes["state_words"],
        image.sizes["exponent_slots"], circuit.widths.cardinality, circuit.widths.terms, circuit.floor,
    ]  # fmt: skip
    assert len(header) == len(IMAGE_NAMES)
    parts = [
        np.array(header, dtype="<u4"),
        np.frombuffer(circuit.digest, dtype="<u4"),
        np.array([len(sections[name]) for name in SECTIONS], dtype="<u4"),
        *(sections[name].astype("<u4") for name in SECTIONS),
    ]
    words = np.concatenate(parts)
    return np.append(words, np.array([zlib.crc32(words.tobytes())], dtype="<u4"))


def _within(name: str, value: int, limit: int) -> None:
    if value > limit:
        found = f"{name} must be at most {limit} in this build, the circuit has {value}"
        raise WidthError(f"{found}; export with --fit makes room")


def _same_widths(widths: Widths, build: Widths) -> None:
    for name in ("leaf_bits", "state_bits", "scale_bits", "range_bits"):
        own, fixed = getattr(widths, name), getattr(build, name)
        if own != fixed:
            raise WidthError(f"{name} must be {fixed} in this build, the circuit has {own}")


def _widths_word(widths: Widths) -> int:
    return widths.state_bits | widths.leaf_bits << 8 | widths.scale_bits << 16 | widths.weight_bits << 24


def _shape_word(shape: EngineSize) -> int:
    return shape.lanes | shape.search_bits << 16


def _unbanked(banks: tuple[Bank, ...], top: int) -> Integers:
    """Give the numbers of all banks by their addresses; 0 where nothing is stored."""
    numbers = np.zeros(max((bank.base + len(bank.entries) for bank in banks), default=0), dtype=np.int64)
    for bank in banks:
        numbers[bank.base : bank.base + len(bank.entries)] = bank.code.load(bank.entries, bank.marks, top)
    return numbers


def _programs(circuit: IntegerCircuit, made: Arrangement, tile: tuple[int, int]) -> dict[str, dict[str, Column]]:
    """Give the columns of both programs; what a step does not use is 0."""
    weights = [stored_weights(circuit, layer, tile) for layer in made.weighted]
    _, up, walk = made.with_weights(weights, circuit.weight_bits)
    return dict(zip(PROGRAMS, (up.columns, walk.columns), strict=True))
