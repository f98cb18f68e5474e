"""What must hold of an image beyond its CRC: every address within its memory, every value there before it is read.

`check_image` replays the programs of an image over the addresses alone. An image that passes computes something: no
engine of its build reads or writes beyond a memory, waits for a value that never comes, or overflows a signal
(docs/engine.md, section Image).
"""

from __future__ import annotations

import bisect
import zlib
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Widths
from pcedge.circuit.rows import SparseRows
from pcedge.drivers.contract import DIGEST_WORDS, IMAGE_NAMES, IMAGE_VERSION, MAGIC
from pcedge.drivers.layout import (
    PLACES,
    PROGRAMS,
    SECTIONS,
    SIZES,
    STEP_FIELDS,
    VARIABLE_FIELDS,
    Integers,
    largest_words,
    shape_word,
    table_words,
)
from pcedge.drivers.rtl_image import RTL_MAGIC, check_rtl_image
from pcedge.drivers.size import EngineSize
from pcedge.errors import CircuitError, FormatError, WidthError
from pcedge.integer.circuit import IntegerInput, check_table
from pcedge.integer.weights import check_rows
from pcedge.schedule.steps import Op, Zeros
from pcedge.tails import TAIL_BITS

#: the steps that read source a, and source b
READS_A = frozenset(Op) - {Op.INIT, Op.LEAF}
READS_B = frozenset({Op.MULTIPLY, Op.ALIGN})


@dataclass(frozen=True, eq=False)
class Words:
    """Hold the numbers of an image, each within the largest of its section."""

    #: `IMAGE_NAMES` by name; `variables` is the record, as `SIZES` name it
    header: dict[str, int]
    widths: Widths
    shape: EngineSize
    #: `SECTIONS`, one-dimensional each
    sections: dict[str, Integers]


@dataclass(frozen=True)
class _Value:
    """Hold where a value of a program lies, and whether it cannot be all zero."""

    address: int
    end: int
    slot: int
    alive: bool


def check_image(words: NDArray[np.uint32], shape: EngineSize) -> None:
    """Check that an engine can run an image; of one for an engine in SystemVerilog, that it is whole.

    Args:
        words: the image, (words,).
        shape: the engine's sizes.

    Raises:
        FormatError: it is no image, it is damaged, or a number of it leads nowhere; the message says which.
    """
    if words.ndim == 1 and len(words) and words[0] == RTL_MAGIC:
        check_rtl_image(words)
        return
    image = read_words(words, shape)
    header, leaves = image.header, _Leaves(image)
    for program in PROGRAMS:
        values = _Program(image, leaves, program).run()
        result = values.get(header["likelihood_result_exponent"])
        if program == "likelihood" and (result is None or result.address != header["likelihood_result"]):
            _refuse("the result must be a value that the likelihood leaves")


def read_words(words: NDArray[np.uint32], shape: EngineSize) -> Words:
    """Take an image apart, and check every number by itself.

    Raises:
        FormatError: it is no image for engines of these sizes, it is damaged, or a number is beyond its bound.
    """
    given = words.astype("<u4", casting="equiv")
    numbers = given.astype(np.int64)
    front = len(IMAGE_NAMES) + DIGEST_WORDS + len(SECTIONS)
    if numbers.ndim != 1 or len(numbers) <= front:
        _refuse(f"it must have more than {front} words, got {numbers.size}")
    header = dict(zip(IMAGE_NAMES, numbers[: len(IMAGE_NAMES)].tolist(), strict=True))
    header["variables"] = header["record"]
    expected = {"magic": MAGIC, "version": IMAGE_VERSION, "sections": len(SECTIONS), "shape": shape_word(shape)}
    for name, word in expected.items():
        if header[name] != word:
            _refuse(f"{name} must be {word:#x} for this engine, got {header[name]:#x}")
    counts = dict(zip(SECTIONS, numbers[front - len(SECTIONS) : front].tolist(), strict=True))
    if front + sum(counts.values()) + 1 != len(numbers):
        _refuse(f"it must have the {front + sum(counts.values()) + 1} words that it announces, got {len(numbers)}")
    if zlib.crc32(given[:-1].tobytes()) != numbers[-1]:
        _refuse("its CRC-32 must be right: it is damaged")
    ends = front + np.cumsum(list(counts.values()))
    sections = dict(zip(SECTIONS, np.split(numbers[front:-1], ends[:-1] - front), strict=True))
    tails = bool((sections["likelihood_revive"] & 3 == Zeros.TAIL).any())
    image = Words(header, _widths(header, TAIL_BITS if tails else 0), shape, sections)
    _check_counts(header, counts)
    sizes = {name: header[name] for name in SIZES}
    for name, largest in largest_words(image.widths, sizes, counts, shape.search_bits).items():
        if (largest_word := int(sections[name].max(initial=0))) > largest:
            _refuse(f"words of {name} must be at most {largest}, got {largest_word}")
    return image


def _widths(header: dict[str, int], tail_bits: int) -> Widths:
    """Give the widths of an image: those of its build, with its own alphabet, terms, floor and tails."""
    state, leaf, scale, weight = header["widths"].to_bytes(4, "little")
    for name in ("cardinality", "terms", *SIZES):
        if header[name] < 1:
            _refuse(f"{name} must be at least 1, got 0")
    try:
        return Widths(
            weight, leaf, state, scale, 2 * scale, header["floor"], header["cardinality"], header["terms"], tail_bits
        )
    except WidthError as error:
        _refuse(str(error))


def _check_counts(header: dict[str, int], counts: dict[str, int]) -> None:
    """Check that the columns of a table are equally long."""
    groups = {"variables": header["variables"], "nested": counts["nested_master"]}
    groups |= {program: header[f"{program}_steps"] for program in PROGRAMS}
    for group, rows in groups.items():
        for name, count in counts.items():
            if name.startswith(f"{group}_") and count != rows:
                _refuse(f"entries of {name} must be {rows}, got {count}")
    for program in PROGRAMS:
        if not header[f"{program}_steps"]:
            _refuse(f"{program}_steps must be at least 1, got 0")
    if header["nested"] != int(counts["nested_master"] > 0):
        _refuse(f"nested must be {int(counts['nested_master'] > 0)}, got {header['nested']}")


class _Leaves:
    """Check the leaves that steps ask for, those of each variable once."""

    def __init__(self, image: Words) -> None:
        self.image = image
        self.check = cache(self._check)
        self.entry_numbers = cache(self._entry_numbers)
        #: tables that were checked, by where their group lies
        self.known: dict[tuple[int, ...], set[int]] = {}

    def _check(self, variable: int, units: int) -> None:
        """Check where the leaves of so many units of a variable lie, and that their tables are some."""
        sections, shape = self.image.sections, self.image.shape
        row = {name: int(sections[f"variables_{name}"][variable]) for name in VARIABLE_FIELDS}
        where = f"leaves of variable {variable}"
        if row["cardinality"] < 1:
            _refuse(f"{where}: cardinality must be at least 1, got 0")
        if row["list"] % shape.lanes or row["list"] + units > len(sections["leaves"]):
            _refuse(f"{where}: their list must be of {units} entries from a whole word on, got {row['list']}")
        tables = sections["leaves"][row["list"] : row["list"] + units]
        if self.image.header["nested"]:
            rows = row["nested"] + tables
            if int(rows.max()) >= len(sections["nested_master"]):
                _refuse(f"{where}: their tables must be below {len(sections['nested_master'])}, got {int(rows.max())}")
            tables, *factors = (sections[f"nested_{name}"][rows] for name in ("master", "shift", "scale"))
            if int((factors[0] + factors[1]).max()) > 1 << self.image.widths.leaf_bits:
                _refuse(f"{where}: shift and scale must be at most {1 << self.image.widths.leaf_bits} together")
        if row["tails"] + int(tables.max()) >= len(sections["tails"]):
            _refuse(f"{where}: their tails must be below {len(sections['tails'])}")
        known = self.known.setdefault(tuple(row[name] for name in ("cardinality", "tables", "uppers", "tails")), set())
        fresh = np.array(sorted(set(tables.tolist()) - known), dtype=np.int64)
        if len(fresh):
            self._check_tables(variable, row, fresh, where)
            known.update(fresh.tolist())

    def _entry_numbers(self, cardinality: int) -> list[tuple[str, Integers]]:
        """Say which entries the words of a table have: numbers of entries, 0 where a word is not full."""
        numbers = np.arange(1, cardinality, dtype=np.int64)[None]
        lowest, *upper = (level.ravel() for level in table_words(numbers, self.image.shape.search_bits))
        return [("tables", lowest), ("uppers", np.concatenate([lowest[:0], *upper]))]

    def _check_tables(self, variable: int, row: dict[str, int], tables: Integers, where: str) -> None:
        sections, slots = self.image.sections, (1 << self.image.shape.search_bits) - 1
        cardinality, total = row["cardinality"], 1 << self.image.widths.leaf_bits
        limit = len(sections["tables"]) + len(sections["uppers"])
        if cardinality - 1 > limit:  # before anything is made of so many symbols
            _refuse(f"{where}: cardinality must be at most {limit + 1}, there are no more entries, got {cardinality}")
        ends = {
            name: row[name] * slots + (tables + 1) * len(numbers) for name, numbers in self.entry_numbers(cardinality)
        }
        for name, end in ends.items():
            if int(end.max()) > len(sections[name]):
                _refuse(f"{where}: their words must be within the {len(sections[name])} entries of {name}")
        rows = np.zeros((len(tables), cardinality + 1), dtype=np.int64)
        rows[:, -1] = total
        for name, numbers in self.entry_numbers(cardinality):
            entries = sections[name][(ends[name] - len(numbers))[:, None] + np.arange(len(numbers))]
            rows[:, numbers[numbers > 0]] = entries[:, numbers > 0]
        tails = sections["tails"][row["tails"] + tables]
        if int(tails.max()) >= cardinality:
            _refuse(f"{where}: their tails must be below {cardinality}, got {int(tails.max())}")
        rows[np.arange(cardinality + 1) + tails[:, None] >= cardinality] = total
        check_table(where, IntegerInput(variable, rows), self.image.widths.leaf_bits)


class _Program:
    """Replay a program over the addresses of its values."""

    def __init__(self, image: Words, leaves: _Leaves, name: str) -> None:
        self.image, self.leaves, self.name = image, leaves, name
        #: values that are there, by exponent slot; and where they lie, ascending, with their slots
        self.values: dict[int, _Value] = {}
        self.by_address: list[tuple[int, int]] = []
        self.coded: set[int] = set()
        self.known: set[tuple[object, ...]] = set()

    def run(self) -> dict[int, _Value]:
        """Check every step; give the values that are there at the end, by exponent slot."""
        columns = [self.image.sections[f"{self.name}_{name}"].tolist() for name in STEP_FIELDS]
        for number, row in enumerate(zip(*columns, strict=True)):
            step = dict(zip(STEP_FIELDS, row, strict=True))
            op = Op(step["kind"])
            try:
                self._step(op, step)
            except (FormatError, CircuitError) as error:
                reason = str(error).removeprefix("engine-image: ")
                raise FormatError("engine-image", f"{self.name} step {number} ({op.name}): {reason}") from error
        variables = self.image.header["variables"]
        if self.name == "code" and len(self.coded) != variables:
            _refuse(f"the code must code each of {variables} variables once, it codes {len(self.coded)}")
        return self.values

    def _step(self, op: Op, step: dict[str, int]) -> None:
        self._check_form(op, step)
        sources = [self._value(side, step) for side in ("a", "b") if op in (READS_A if side == "a" else READS_B)]
        if op is Op.INTERVAL:
            self._interval(step, sources[0])
            return
        if step["units"] < 1:
            _refuse("it must have at least one unit, got 0")
        if op is Op.LEAF:
            self.leaves.check(step["variable"], step["units"])
            if step["revive"] == Zeros.TAIL:
                self._tails(step)
        elif op is Op.MULTIPLY:
            for side, name, source in zip("ab", ("list", "list_b"), sources, strict=True):
                available = source.end - step[side]
                if step[f"gather_{side}"]:
                    self._read_lists(step[name], 0, step["units"], available)
                else:
                    self._within(side, step["units"], available)
        elif op is Op.ALIGN:
            for side, source in zip("ab", sources, strict=True):
                self._within(side, step[f"{side}_units"], source.end - step[side])
            if step["a_units"] + step["b_units"] != step["units"]:
                _refuse(f"its units must be those of both sources, got {step['units']}")
        elif op is not Op.INIT:
            self._mix(op, step, sources[0].end - step["a"])
        self._put(step, alive=op is Op.INIT or step["revive"] == Zeros.REVIVE)

    def _check_form(self, op: Op, step: dict[str, int]) -> None:
        """Check that flags are what the kind of a step has."""
        lists, gathers = step["lists"], step["gather_a"] + step["gather_b"]
        if lists != (op is Op.LIST) and op not in (Op.UP, Op.DOWN):
            _refuse(f"lists must be {int(op is Op.LIST)}, got {lists}")
        if step["values"] != (lists and op is not Op.LIST):
            _refuse(f"values must be {int(lists and op is not Op.LIST)}, got {step['values']}")
        if gathers and op is not Op.MULTIPLY:
            _refuse("it must have no gather lists")
        sums = op is Op.UP and not lists
        if step["revive"] & 3 == Zeros.TAIL and op is not Op.LEAF and not sums:
            _refuse("it must have no tails, for it is no LEAF and no dense UP")
        if step["revive"] > Zeros.TAIL and (op is not Op.UP or step["revive"] & 3 < Zeros.KEEP):
            _refuse("it must have no lifted weights, for it is no UP that keeps")

    def _value(self, side: str, step: dict[str, int]) -> _Value:
        """Find the value that a source lies in; it was written before, and is whole."""
        value = self.values.get(step[PLACES[side]])
        if value is None or not value.address <= step[side] < value.end:
            _refuse(
                f"source {side} must be a value that is there, got address {step[side]} of slot {step[PLACES[side]]}"
            )
        return value

    def _put(self, step: dict[str, int], alive: bool) -> None:
        """Write a value; those that it overwrites, or whose exponent, are there no more."""
        address, end, slot = step["target"], step["target"] + step["units"], step["target_exponent"]
        if end > self.image.header["state_words"]:
            _refuse(f"its result must end within {self.image.header['state_words']} words, it ends at {end}")
        # invariant: values that are there do not overlap, so that their ends ascend too
        first = bisect.bisect_left(self.by_address, (address, 0))
        first -= first > 0 and self.values[self.by_address[first - 1][1]].end > address
        overwritten = [slot] if slot in self.values else []
        overwritten += [other for _, other in self.by_address[first : bisect.bisect_left(self.by_address, (end, 0))]]
        for other in set(overwritten):
            self.by_address.remove((self.values.pop(other).address, other))
        self.values[slot] = _Value(address, end, slot, alive)
        bisect.insort(self.by_address, (address, slot))

    def _within(self, side: str, units: int, available: int) -> None:
        if not 1 <= units <= available:
            _refuse(f"source {side} must be 1 to {available} entries of its value, got {units}")

    def _tails(self, step: dict[str, int]) -> None:
        """Check the exponents of a LEAF's symbols."""
        indices, symbols = self.image.sections["indices"], self.image.sections["variables_cardinality"]
        count = int(symbols[step["variable"]])
        exponents = indices[step["list"] : step["list"] + count]
        if len(exponents) < count or int(exponents.max(initial=0)) > TAIL_BITS:
            _refuse(f"its tails must be {count} numbers up to {TAIL_BITS} within the {len(indices)} entries of indices")

    def _interval(self, step: dict[str, int], source: _Value) -> None:
        if self.name != "code" or step["variable"] in self.coded:
            _refuse(f"the {self.name} must not code variable {step['variable']} here")
        if (step["a"], step["a"] + step["a_units"]) != (source.address, source.end) or not source.alive:
            _refuse("source a must be a whole value that is never all zero")
        self._terms(step["a_units"])
        self.leaves.check(step["variable"], step["a_units"])
        self.coded.add(step["variable"])

    def _mix(self, op: Op, step: dict[str, int], available: int) -> None:
        """Check UP, DOWN or LIST, whose source has `available` entries."""
        rows, columns = step["units"], available
        if op is Op.DOWN:
            rows, columns = step["a_units"], step["units"]
            self._terms(rows)
        if op is Op.DOWN or not step["lists"]:
            self._within("a", step["a_units"], available)
        if step["revive"] & 3 == Zeros.TAIL:
            self._terms(step["a_units"])
        if not step["lists"]:
            self._dense(step["weights"], rows, step["a_units"] if op is Op.UP else columns)
            return
        lengths, entries = self._read_lists(step["list"], rows, None, columns)
        if op is Op.LIST:
            self._terms(int(lengths.max()))
            return
        values = self.image.sections["weights"][step["weights"] : step["weights"] + len(entries)]
        if len(values) < len(entries):
            _refuse(f"its {len(entries)} weights must be within {len(self.image.sections['weights'])}")
        indptr = np.append(0, np.cumsum(lengths))
        check_rows("weights", SparseRows(indptr, entries, values, columns), self.image.widths.weight_bits)

    def _read_lists(self, address: int, lists: int, entries: int | None, available: int) -> tuple[Integers, Integers]:
        """Give the lengths and entries of lists, or so many entries; entries are below `available`."""
        indices = self.image.sections["indices"]
        lengths = indices[address : address + lists]
        first, count = address + lists, int(lengths.sum()) if entries is None else entries
        values = indices[first : first + count]
        if len(lengths) < lists or len(values) < count:
            _refuse(f"its lists must end within the {len(indices)} entries of indices")
        if int(values.max(initial=0)) >= available:
            _refuse(f"entries of its lists must be below {available}, got {int(values.max())}")
        return lengths, values

    def _dense(self, address: int, rows: int, columns: int) -> None:
        """Check a block that lies tile by tile, each block once."""
        if (address, rows, columns) in self.known:
            return
        (high, wide), weights = self.image.shape.tile, self.image.sections["weights"]
        down, across = -(-rows // high), -(-columns // wide)
        block = weights[address : address + down * high * across * wide]
        if address % (high * wide) or len(block) < down * high * across * wide:
            _refuse(f"its {rows} x {columns} weights must be whole tiles within {len(weights)}, got address {address}")
        tiles = block.reshape(down, across, high, wide).swapaxes(1, 2).reshape(down * high, across * wide)
        check_rows("weights", tiles[:rows, :columns], self.image.widths.weight_bits)
        self.known.add((address, rows, columns))

    def _terms(self, terms: int) -> None:
        if terms > self.image.header["terms"]:
            _refuse(f"it must add at most {self.image.header['terms']} terms, got {terms}")


def _refuse(what: str) -> NoReturn:
    raise FormatError("engine-image", what)
