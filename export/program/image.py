"""Images: the memories of a circuit as words that a reloadable engine takes (docs/engine.md, section Image)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from reprlib import repr as shown

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import EXPONENT_BITS, LIMITS, Widths
from pcedge.drivers.contract import IMAGE_NAMES, IMAGE_VERSION, MAGIC
from pcedge.drivers.layout import (
    MOST_WORD,
    NESTED_FIELDS,
    PROGRAMS,
    SECTIONS,
    SIZES,
    STEP_FIELDS,
    VARIABLE_FIELDS,
    WORD_BITS,
    largest_words,
    lifted,
    shape_word,
    widths_word,
)
from pcedge.drivers.size import EngineSize
from pcedge.errors import FormatError, UsageError, WidthError
from pcedge.export.program.banks import Bank
from pcedge.export.program.leaves import leaf_memories
from pcedge.export.program.lowering import Arrangement, arrange, lower, stored_weights
from pcedge.export.program.packing import Column
from pcedge.export.program.steps import INDEX_BITS
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Op, Zeros

Integers = NDArray[np.int64]


#: what a circuit may have less of than its build; its floor may be any
_MOST = ("weight_bits", "cardinality", "terms", "tail_bits")


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
    def largest_words(self) -> dict[str, int]:
        """Give the largest word that each section takes: of its memory's width, and within what it is for."""
        entries = {name: count for name, (count, _) in self.sections.items()}
        bounds = largest_words(self.widths, self.sizes, entries, self.shape.search_bits)
        return {name: min(bounds[name], (1 << bits) - 1) for name, (_, bits) in self.sections.items()}

    @property
    def memory_bits(self) -> int:
        """Count the bits of all memories that are loaded."""
        return sum(entries * bits for entries, bits in self.sections.values())

    def memory_kinds(self) -> dict[str, int]:
        """Count the bits of the memories by kind, as `Lowered.memory_bits`; `loaded` is the sum of what is loaded."""
        bits = {name: entries * width for name, (entries, width) in self.sections.items()}
        programs = {
            f"{program}_program": sum(bits[f"{program}_{name}"] for name in STEP_FIELDS) for program in PROGRAMS
        }
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


def capacity_from(saved: object, where: str = "manifest.json") -> Capacity:
    """Read a capacity from a manifest.

    Args:
        saved: what the manifest says.
        where: the manifest's name, for messages.

    Raises:
        FormatError: it is none, or a number is out of its range.
    """
    try:
        tables = _take_named(saved, ("widths", "shape", "sizes", "sections"), "it")
        named = [field.name for field in fields(Widths)]
        if isinstance(tables["widths"], dict) and "tail_bits" not in tables["widths"]:
            named.remove("tail_bits")
        widths = Widths(**_words(tables["widths"], named, "widths"))
        shape = EngineSize(**_words(tables["shape"], [field.name for field in fields(EngineSize)], "shape"))
        sizes = _words(tables["sizes"], SIZES, "sizes", least=1)
        sections = {}
        for name, size in _take_named(tables["sections"], SECTIONS, "sections").items():
            if not isinstance(size, list) or len(size) != 2:
                raise ValueError(f"{name} must be two numbers, entries and bits, got {shown(size)}")
            row = _words(dict(zip(("entries", "bits"), size, strict=True)), ("entries", "bits"), name)
            if not 1 <= row["bits"] <= WORD_BITS:
                raise ValueError(f"bits of {name} must be in 1..{WORD_BITS}, got {row['bits']}")
            sections[name] = row["entries"], row["bits"]
        return Capacity(widths, shape, sizes, sections)
    except (ValueError, WidthError, UsageError) as error:
        message = f"{where}: the capacity of a reloadable build must be whole: {error}"
        raise FormatError("project-manifest", message) from error


def _take_named(saved: object, names: Sequence[str], what: str) -> dict[str, object]:
    """Take a table with some names and no others, in this order."""
    if not isinstance(saved, dict):
        raise ValueError(f"{what} must be a table, got {shown(saved)}")
    for name in names:
        if name not in saved:
            raise ValueError(f"{what} must hold {name}, got none")
    for name in saved:
        if name not in names:
            raise ValueError(f"{what} must hold nothing but {len(names)} known names, got {shown(name)}")
    return {name: saved[name] for name in names}


def _words(saved: object, names: Sequence[str], what: str, least: int = 0) -> dict[str, int]:
    """Take a table of numbers that each fit a word of an image."""
    words: dict[str, int] = {}
    for name, number in _take_named(saved, names, what).items():
        if type(number) is not int or not least <= number <= MOST_WORD:
            raise ValueError(f"{name} of {what} must be a whole number in {least}..{MOST_WORD}, got {shown(number)}")
        words[name] = number
    return words


def make_image(source: IntegerCircuit | Program, shape: EngineSize) -> Image:
    """Lay out a circuit's memories for an engine's sizes; of a row table the whole matrices.

    Raises:
        NotStructuredError: the circuit cannot be coded.
    """
    program = Program.of(source)
    if program.circuit.row_lengths:
        # What is loaded has room for any circuit: a matrix each, wherever its rows are from.
        program = Program.of(replace(program.circuit, row_lengths=()))
    circuit = program.circuit
    arrangement = arrange(program, plain=True)
    leaves = leaf_memories(circuit, search_bits=shape.search_bits, lanes=shape.lanes, plain=True)
    lowered = lower(program, arrangement, leaves, shape)
    weights = _unbank(lowered.weights, circuit.weight_bits)
    assert leaves.leaves is not None
    nothing = np.zeros(0, dtype=np.int64)
    sections = {
        "weights": weights, "indices": _unbank(arrangement.indices, INDEX_BITS), "tables": leaves.tables.entries,
        "uppers": leaves.uppers.entries, "tails": leaves.tails.entries, "leaves": leaves.leaves.entries,
    }  # fmt: skip
    for name in NESTED_FIELDS:
        sections[f"nested_{name}"] = nothing if leaves.nested is None else leaves.nested.column(name)
    sections |= {f"variables_{name}": leaves.variables.column(name) for name in VARIABLE_FIELDS}
    for name, columns in _programs(circuit, arrangement, shape.tile).items():
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
    limits = dict(first.as_dict())
    for circuit in circuits:
        _same_widths(circuit.widths, first)
        for name in _MOST:
            limits[name] = max(limits.get(name, 0), getattr(circuit.widths, name))
    # The floor is a register; 1 fits every alphabet.
    widths = Widths(**limits | {"floor": 1})
    sizes = {name: max(image.sizes[name] for image in images) for name in SIZES}
    sections = {}
    for name in SECTIONS:
        entries = max(len(image.sections[name]) for image in images)
        largest = max(int(image.sections[name].max(initial=0)) for image in images)
        sections[name] = entries, max(1, largest.bit_length())
    sections["weights"] = sections["weights"][0], widths.weight
    if any(_keeping(image.sections).any() for image in images):
        entries, _ = sections["likelihood_revive"]
        most = lifted(Zeros.TAIL, widths.weight_bits - LIMITS["weight_bits"][0])
        sections["likelihood_revive"] = entries, most.bit_length()
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
    lift = capacity.widths.weight_bits - circuit.weight_bits
    sections["weights"] = sections["weights"] << lift
    # What is possible, and what stands for dropped weights, must grow with the weights.
    zeros = sections["likelihood_revive"]
    sections["likelihood_revive"] = np.where(_keeping(sections), lifted(zeros, lift), zeros)
    for name, largest in capacity.largest_words.items():
        _within(f"entries of {name}", len(sections[name]), capacity.sections[name][0])
        _within(f"largest entry of {name}", int(sections[name].max(initial=0)), largest)
    header = {name: getattr(circuit.widths, name) for name in ("cardinality", "terms", "floor")} | image.sizes | {
        "magic": MAGIC, "version": IMAGE_VERSION, "sections": len(SECTIONS), "widths": widths_word(capacity.widths),
        "shape": shape_word(capacity.shape), "record": image.sizes["variables"], "likelihood_result": image.result[0],
        "likelihood_result_exponent": image.result[1], "nested": int(len(sections["nested_master"]) > 0),
        **{f"{program}_steps": len(sections[f"{program}_kind"]) for program in PROGRAMS},
    }  # fmt: skip
    pieces = [
        np.array([header[name] for name in IMAGE_NAMES], dtype="<u4"),
        np.frombuffer(circuit.digest, dtype="<u4"),
        np.array([len(sections[name]) for name in SECTIONS], dtype="<u4"),
        *(sections[name].astype("<u4") for name in SECTIONS),
    ]
    words = np.concatenate(pieces)
    return np.append(words, np.array([zlib.crc32(words.tobytes())], dtype="<u4"))


def _keeping(sections: dict[str, Integers]) -> NDArray[np.bool_]:
    """Find the sums of a likelihood with tails."""
    found: NDArray[np.bool_] = (sections["likelihood_kind"] == Op.UP) & (sections["likelihood_revive"] >= Zeros.KEEP)
    return found


def _within(name: str, value: int, limit: int) -> None:
    if value > limit:
        message = f"{name} must be at most {limit} in this build, the circuit has {value}"
        raise WidthError(f"{message}; export with --fit makes room")


def _same_widths(widths: Widths, build: Widths) -> None:
    for name in ("leaf_bits", "state_bits", "scale_bits", "range_bits"):
        width, fixed = getattr(widths, name), getattr(build, name)
        if width != fixed:
            raise WidthError(f"{name} must be {fixed} in this build, the circuit has {width}")


def _unbank(banks: tuple[Bank, ...], top: int) -> Integers:
    """Give the numbers of all banks by their addresses; 0 where nothing is stored."""
    numbers = np.zeros(max((bank.base + len(bank.entries) for bank in banks), default=0), dtype=np.int64)
    for bank in banks:
        numbers[bank.base : bank.base + len(bank.entries)] = bank.code.load(bank.entries, bank.marks, top)
    return numbers


def _programs(circuit: IntegerCircuit, arrangement: Arrangement, tile: tuple[int, int]) -> dict[str, dict[str, Column]]:
    """Give the columns of both programs; what a step does not use is 0."""
    weights = [stored_weights(circuit, layer, tile) for layer in arrangement.weighted]
    _, _, up, walk = arrangement.with_weights(weights, circuit.weight_bits)
    return dict(zip(PROGRAMS, (up.columns, walk.columns), strict=True))
