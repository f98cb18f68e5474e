"""A first estimate of an engine's resources, from widths and counts alone (docs/engine.md, section Resources).

Nothing here was compared with synthesis yet: the estimate is not calibrated.
"""

from __future__ import annotations

from pcedge.arithmetic import EXPONENT_BITS, RECIPROCAL_BITS, Widths, ceil_log2
from pcedge.drivers.contract import LATENCIES
from pcedge.drivers.layout import PROGRAMS, STEP_FIELDS, VARIABLE_FIELDS
from pcedge.drivers.size import EngineSize
from pcedge.export.engine.amounts import Amounts, ResourceEstimate
from pcedge.export.engine.config import in_look_up_tables
from pcedge.export.engine.loaded_memories import COPIED, MANY_READ, copies, word_sizes
from pcedge.export.program.image import Capacity
from pcedge.export.program.lowering import Lowered
from pcedge.export.program.phrase_memory import PhraseMemory
from pcedge.export.program.row_memories import PORTS
from pcedge.export.program.steps import Programs
from pcedge.export.target import FAMILIES

#: depth and width of a block RAM of 18 Kbit (UG473, UG573) whose two ports read or write
BLOCK_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18))

#: the widest shape: one port only reads, the other only writes
WIDE_SHAPE = (512, 36)

#: values of a stream that a step reads at most, and units that write, MIX and VECTOR, never both in one cycle
STATE_READERS, STATE_WRITERS = 2, 2

#: places that read what a variable's leaves are found by: two fetches, VECTOR and INTERVAL
VARIABLE_READERS = 4

#: places that read lists: MIX at work, MIX that begins, and VECTOR for each of two sources
LIST_READERS = 4

#: memories of no more bits a copy lie in look-up tables, 64 bits each
LUT_RAM_BITS, LUT_BITS = 1024, 64

#: a multiplier with a factor of so few bits is made of adders, not of a DSP slice
SMALL_FACTOR = 4

#: inputs of a look-up table, and words that one selects from
LUT_INPUTS, MUX_INPUTS = 6, 4

#: look-up tables for each 3 bits of LUT RAM with one port that writes and one that reads (UG474, RAM64M)
LUT_RAM_LUTS, LUT_RAM_WIDTH = 4, 3

#: bits of a counter of a stream (records to come, to be done, bytes that came, that symbols moved, a run of 0xFF), how
#: many there are, and flags of how it stands
COUNTER_BITS, COUNTERS, FLAGS = 32, 5, 14

#: bits of a counter of a payload's bytes
PAYLOAD_BITS = 16

#: bits of an address that MIX counts up
ADDRESS_BITS = 32

#: look-up tables of a CRC-32 of words: each of 32 bits is a sum of at most 64 bits, of 5 more with every table
CHECK_LUTS = 32 * 13

#: bits of what counts down to when a stream's step is fetched, and to when an interval lets it begin
WAIT_BITS = (1 + LATENCIES["FETCH"]).bit_length() + (1 + LATENCIES["INTERVAL"]).bit_length()


def estimate_resources(lowered: Lowered, family: str, capacity: Capacity | None = None) -> ResourceEstimate:
    """Estimate an engine.

    Args:
        lowered: the circuit, lowered for the sizes of the engine.
        family: one of `FAMILIES`.
        capacity: of an engine whose memories are loaded; without it they are read-only, and hold the circuit.
    """
    if capacity is None:
        widths, sizes, step = lowered.circuit.widths, lowered.sizes, _step_bits(lowered)
        memories = {
            "weights": _weights(lowered), "tables": _tables(lowered), "lists": _lists(lowered),
            "programs": _steps(lowered.programs),
        }  # fmt: skip
        leaves = lowered.leaves
        words, nested = [leaves.tables.width, leaves.uppers.width], leaves.nested is not None
        numbers = len(leaves.tails.entries)
        programs = (lowered.likelihood_program, lowered.code_program)
        lists = any(program.column("lists").any() for program in programs)
        one_size = len(set(lowered.circuit.cardinalities)) == 1
    else:
        widths, sizes, step = capacity.widths, capacity.sizes, _loaded_step_bits(capacity)
        memories = _loaded_memories(capacity)
        words = [capacity.sections[name][1] for name in ("tables", "uppers") if capacity.sections[name][0]]
        nested, numbers = capacity.sections["nested_master"][0] > 0, capacity.sections["tails"][0]
        lists, one_size = True, False
    shape, units = lowered.shape, sizes["max_units"]
    return ResourceEstimate(family, {
        "mix": _mix(widths, shape, units, lists, family),
        "vector": _vector(widths, shape, units, family),
        "interval": (
            _interval(widths, shape, family)
            + _floors(widths, shape, capacity is not None, family)
            + _cells(widths, capacity is not None, family)
        ),
        "streams": _streams(widths, shape, sizes, step),
        **memories,
        "tables": (
            memories["tables"]
            + _look_up(widths, shape, words, nested, family)
            + _table_addresses(widths, shape, numbers, one_size, family)
        ),
    })  # fmt: skip


def multiplier(first: int, second: int, family: str) -> Amounts:
    """Count what multiplies two unsigned numbers of so many bits; of what a DSP slice takes one bit is the sign."""
    if min(first, second) <= SMALL_FACTOR:
        return adder(max(first, second)) * max(0, min(first, second) - 1)
    wide, narrow = (side - 1 for side in FAMILIES[family])
    ways = ((first, second), (second, first))
    return Amounts(ff=first + second, dsp=min(-(-a // wide) * -(-b // narrow) for a, b in ways))


def adder(bits: int) -> Amounts:
    """Count an adder, subtractor or comparator: a look-up table and a carry a bit, with a register behind it."""
    return Amounts(lut=bits, ff=bits)


def multiplexer(inputs: int, bits: int) -> Amounts:
    """Count what selects one of some words."""
    return Amounts(lut=bits * -(-max(0, inputs - 1) // (MUX_INPUTS - 1)))


def shifter(bits: int, amounts: int) -> Amounts:
    """Count a shifter by 0 to `amounts` places: a stage of multiplexers for every two bits of the amount."""
    return Amounts(lut=bits * -(-ceil_log2(amounts + 1) // 2), ff=bits)


def memory(depth: int, width: int, ports: int = 1, *, written: bool = False) -> Amounts:
    """Count a memory of so many words that is read in so many places a cycle.

    Every two readers need a copy, or, in the widest shape or where another port writes, every one.
    """
    if not depth * width:
        return Amounts()
    if written and (depth * width <= LUT_RAM_BITS or in_look_up_tables(depth)):
        return lut_ram(depth, width, ports)
    if depth * width <= LUT_RAM_BITS:
        return Amounts(lut=ports * width * -(-depth // LUT_BITS))
    two = min(-(-depth // rows) * -(-width // columns) for rows, columns in BLOCK_SHAPES)
    one = min(two, -(-depth // WIDE_SHAPE[0]) * -(-width // WIDE_SHAPE[1]))
    return Amounts(bram18=ports * one if written else min(ports * one, -(-ports // PORTS) * two))


def lut_ram(depth: int, width: int, ports: int = 1) -> Amounts:
    """Count a memory in look-up tables that is written, with a copy for every place that reads it."""
    return Amounts(lut=ports * -(-width // LUT_RAM_WIDTH) * LUT_RAM_LUTS * -(-depth // LUT_BITS))


def either(inputs: int, bits: int) -> Amounts:
    """Count the OR of some words."""
    return Amounts(lut=bits * -(-max(0, inputs - 1) // (LUT_INPUTS - 1)))


def tree_adders(tile: tuple[int, int]) -> int:
    """Count the adders of MIX's trees: over the columns of each row for UP, over the rows of each column for DOWN."""
    rows, columns = tile
    return rows * (columns - 1) + columns * (rows - 1)


def _banks(widths: Widths, shape: EngineSize, units: int, readers: int) -> Amounts:
    """Count a unit's accumulators, a bank a lane: a vector that is filled and one that its writer empties."""
    return lut_ram(2 * -(-units // shape.lanes), widths.accumulator, readers) * shape.lanes


def _writer(widths: Widths, shape: EngineSize) -> Amounts:
    """Count the length of a vector and, for every lane, a shifter; the vector stays in its unit's accumulators."""
    entry = shifter(widths.accumulator, widths.accumulator) + shifter(widths.state_bits, widths.state_bits)
    return entry * shape.lanes + adder(widths.accumulator) * 2 + adder(EXPONENT_BITS) * 3


def _mix(widths: Widths, shape: EngineSize, units: int, lists: bool, family: str) -> Amounts:
    """Count products, both kinds of trees, a sum for every lane, the accumulators, and what lists need beside them."""
    directions = 1 if shape.macs == 1 else 2
    product = multiplier(widths.weight, widths.state_bits, family) + multiplexer(directions, widths.state_bits)
    sums = adder(widths.accumulator) * (tree_adders(shape.tile) + shape.lanes)
    sums += multiplexer(directions, widths.accumulator) * shape.lanes + either(shape.lanes + 1, widths.accumulator)
    sums += Amounts(ff=LATENCIES["MIX"] * shape.lanes * widths.accumulator)
    # A source is of one of the streams, or, beyond its vector, zero.
    sources = multiplexer(shape.streams + 1, widths.state_bits) * shape.lanes
    # Where it stands: the tile's address twice, a target, a source.
    addressing = adder(ADDRESS_BITS) * 2 + adder(units.bit_length()) * 2
    total = product * shape.macs + sums + sources + addressing + _banks(widths, shape, units, 1 + lists)
    if lists:
        # Its product and sum; an entry that is chosen, added to, and put back; a row that is cleared.
        total += multiplier(widths.weight, widths.state_bits, family) + adder(widths.accumulator) * 2
        total += multiplexer(shape.lanes, widths.accumulator) + multiplexer(4, widths.accumulator) * shape.lanes
        total += adder(ADDRESS_BITS) * 3
    return total + _writer(widths, shape)


def _vector(widths: Widths, shape: EngineSize, units: int, family: str) -> Amounts:
    """Count for every lane a product, an alignment, a difference of two table entries, and the choice among them."""
    lane = multiplier(widths.state_bits, widths.state_bits, family) + shifter(widths.state_bits, widths.state_bits)
    lane += adder(widths.leaf) + multiplexer(4, widths.accumulator)
    # Sources that are gathered come by lane 0, and go to any.
    lane += (multiplexer(shape.streams, widths.state_bits) + multiplexer(min(2, shape.lanes), widths.state_bits)) * 2
    common = Amounts(ff=LATENCIES["VECTOR"] * shape.lanes * widths.accumulator)
    common += either(shape.lanes + 1, widths.accumulator) + adder(units.bit_length()) + _banks(widths, shape, units, 1)
    return lane * shape.lanes + common + _writer(widths, shape)


def _floors(widths: Widths, shape: EngineSize, loaded: bool, family: str) -> Amounts:
    """Count what multiplies symbols by the floor, which a circuit that is loaded brings with it."""
    points = max(2, (1 << shape.search_bits) - 1) + 1
    if loaded:
        return multiplier(widths.symbol, widths.scale_bits, family) * points
    return adder(widths.scale_bits) * ((widths.floor.bit_count() - 1) * points)


def _table_addresses(widths: Widths, shape: EngineSize, numbers: int, one_size: bool, family: str) -> Amounts:
    """Count what finds a table's words for each lane: its number times its words, in both memories, and two sums.

    Where all variables have one number of symbols the words are a constant, and a product is an adder or two.
    """
    number, words = max(1, ceil_log2(numbers)), max(1, widths.symbol - shape.search_bits + 1)
    product = adder(number + words) if one_size else multiplier(number, words, family)
    return (product + adder(number + words) * 2) * (2 * shape.lanes)


def _interval(widths: Widths, shape: EngineSize, family: str) -> Amounts:
    """Count a product for every lane and point, a bound for every point, one reciprocal, one range coder."""
    points = max(2, (1 << shape.search_bits) - 1)
    product = multiplier(widths.state_bits, widths.leaf, family) + adder(widths.weighted)
    bound = shifter(widths.weighted, widths.weighted) + multiplier(widths.bound_input, widths.scale, family)
    bound += adder(widths.scale) + multiplier(widths.range_bits - widths.scale_bits, widths.scale, family)
    bound += adder(widths.range_bits + 1)
    sums = adder(widths.context_sum) * shape.lanes
    reciprocal = multiplier(RECIPROCAL_BITS + 1, RECIPROCAL_BITS, family) * 2 + memory(256, RECIPROCAL_BITS)
    reciprocal += multiplier(RECIPROCAL_BITS + 2, widths.scale_bits, family) + shifter(
        widths.context_sum, RECIPROCAL_BITS
    )
    coder = (
        adder(widths.range_bits + 1) * 3 + multiplier(widths.range_bits - widths.scale_bits, widths.scale, family) * 2
    )
    sources = multiplexer(shape.streams, widths.state_bits) * shape.lanes
    return product * (shape.lanes * points) + bound * points + sums + reciprocal + coder + sources


def _cells(widths: Widths, loaded: bool, family: str) -> Amounts:
    """Count what says where a packet ends: an interval's cells around a symbol, and a product by the floor."""
    window, bytes_ = widths.range_bits + 2, widths.range_bits // 8
    edges = (adder(window) + shifter(window, bytes_)) * 6  # both ends, before and behind; both cells that remain
    compared = adder(window) * 7
    left = (adder(widths.scale_bits + 9) + shifter(widths.scale_bits + 9, bytes_)) * 2
    unit = widths.range_bits - widths.scale_bits
    room = multiplier(unit, widths.scale_bits, family) if loaded else adder(unit) * (widths.floor.bit_count() - 1)
    return edges + compared + left + room + shifter(window, bytes_)


def _streams(widths: Widths, shape: EngineSize, sizes: dict[str, int], step: int) -> Amounts:
    """Count for every stream its vectors, in a bank a lane, exponents, symbols of two records, and registers."""
    slots = sizes["exponent_slots"]
    bank = memory(-(-sizes["state_words"] // shape.lanes), widths.state_bits, STATE_READERS, written=True)
    one = bank * shape.lanes + memory(slots, EXPONENT_BITS, STATE_READERS, written=True)
    # One side is of the record at work, the other takes the next record or gives the last one.
    one += memory(sizes["variables"], widths.symbol, written=True) * 2
    word = shape.lanes * widths.state_bits
    # A vector begins in any bank: words are turned on their way out, and in.
    one += shifter(word, shape.lanes - 1) * (STATE_READERS + 1) + multiplexer(STATE_WRITERS, word)
    one += multiplexer(slots, 1) * STATE_READERS
    # Of a packet: symbols counted three times, bytes of the payload to come and left, the cells of what has passed.
    one += adder(COUNTER_BITS) + adder(PAYLOAD_BITS)
    one += Amounts(ff=3 * COUNTER_BITS + 8 + 2 * (widths.scale_bits + 9) + (widths.range_bits // 8).bit_length() + 4)
    # Symbols of a record that came in, words of a result that went out.
    # Where the next step stands, and the one after it.
    one += Amounts(ff=2 * COUNTER_BITS)
    one += adder(WAIT_BITS) + adder(COUNTER_BITS) * COUNTERS + adder(sizes["variables"].bit_length()) * 2
    one += Amounts(lut=step, ff=step + _coder_bits(widths) + slots + FLAGS)
    # What is on its way says its stream and slot, for as many cycles as a unit's stages take.
    landing = ceil_log2(shape.streams) + ceil_log2(slots) + 1
    ways = Amounts(ff=landing * (LATENCIES["MIX"] + LATENCIES["VECTOR"] + 2))
    return one * shape.streams + ways + multiplexer(shape.streams, step) * 3


def _step_bits(lowered: Lowered) -> int:
    """Count the bits of a decoded step: of the largest number of each of its fields."""
    programs = [lowered.likelihood_program, lowered.code_program]
    return sum(max(int(memory.column(name).max(initial=0)).bit_length() for memory in programs) for name in STEP_FIELDS)


def _loaded_step_bits(capacity: Capacity) -> int:
    """Count the bits of a decoded step of a loaded lowered."""
    sections = capacity.sections
    return sum(max(sections[f"{name}_{field}"][1] for name in PROGRAMS) for field in STEP_FIELDS)


def _coder_bits(widths: Widths) -> int:
    """Count the bits of a stream's coder: low, range, held bytes, a search's ends and symbols, the scale."""
    pending_bits = 9 * (widths.scale_bits // 8 + 2)
    return (
        2 * widths.range_bits + 1 + pending_bits + 3 * widths.scale + 2 * widths.symbol + ceil_log2(widths.weighted + 1)
    )


def _weights(lowered: Lowered) -> Amounts:
    """Count the banks of weights: a tile is a word, at the width of the bank."""
    total, shape = Amounts(), lowered.shape
    for bank in lowered.weights:
        total += memory(-(-len(bank.entries) // shape.macs), shape.macs * bank.code.width)
        total += memory(len(bank.marks), 1)
    total += _row_table(lowered)
    return total + multiplexer(len(lowered.weights), lowered.circuit.widths.weight) * shape.macs


def _row_table(lowered: Lowered) -> Amounts:
    """Count a row table: a column of a tile is a memory of its own, with a port for every row of the tile."""
    if lowered.rows is None:
        return Amounts()
    (rows, columns), starts, weight = lowered.shape.tile, lowered.rows.starts, lowered.circuit.widths.weight
    total = memory(len(starts.entries), starts.width)
    for bank in lowered.turned:
        total += memory(-(-len(bank.entries) // rows), rows * bank.code.width)
    for bank in lowered.rows.banks:
        total += memory(-(-len(bank.entries) // columns), bank.code.width, rows) * columns
        total += memory(len(bank.marks), 1, rows)
    # Each lane takes any bank's word; a row's place is a narrow product, and two sums.
    lane = multiplexer(len(lowered.rows.banks) + 1, weight) + shifter(weight, columns - 1)
    return total + lane * (rows * columns) + adder(max(1, starts.width)) * (3 * rows)


def _tables(lowered: Lowered) -> Amounts:
    """Count leaf tables for every lane, which reads a word of each of their memories in a cycle."""
    leaves, shape = lowered.leaves, lowered.shape
    total = Amounts()
    for memory_of in (leaves.tables, leaves.uppers):
        total += memory(len(memory_of.entries) // memory_of.columns, memory_of.columns * memory_of.width, shape.lanes)
    total += memory(len(leaves.tails.entries), leaves.tails.width, shape.lanes)
    if leaves.leaves is not None:
        word = leaves.leaves.columns * leaves.leaves.width
        total += memory(len(leaves.leaves.entries) // leaves.leaves.columns, word)
    if leaves.nested is not None:
        total += memory(leaves.nested.rows, leaves.nested.row_bits, shape.lanes)
    return total + memory(leaves.variables.rows, leaves.variables.row_bits, VARIABLE_READERS)


def _look_up(widths: Widths, shape: EngineSize, words: list[int], nested: bool, family: str) -> Amounts:
    """Count what finds entries in words of leaf tables, of so many bits an entry in each of their memories."""
    slots = (1 << shape.search_bits) - 1
    points = max(2, slots)
    # A symbol's two ends are any two entries of a word.
    total = sum((multiplexer(slots, width) for width in words), Amounts()) * (2 * shape.lanes)
    if nested:
        total += (multiplier(widths.leaf, widths.leaf, family) + adder(widths.leaf)) * (shape.lanes * points)
    # A word of an entry: two comparisons with the end of the alphabet, and where a table ends.
    return total + adder(widths.symbol) * (2 * shape.lanes * points)


def _loaded_memories(capacity: Capacity) -> dict[str, Amounts]:
    """Count memories that are loaded, and what writes them and reads them back."""
    shape, columns = capacity.shape, word_sizes(capacity.shape)
    readers = {"indices": LIST_READERS} | {f"variables_{name}": VARIABLE_READERS for name in VARIABLE_FIELDS}
    kinds = {"weights": "weights", "indices": "lists"}
    amounts: dict[str, Amounts] = dict.fromkeys(("weights", "tables", "lists", "programs"), Amounts())
    for name, (entries, bits) in capacity.sections.items():
        per_word = columns.get(name, 1)
        depth, width = -(-entries // per_word), per_word * bits
        # Two steps are fetched a cycle, two lanes share a copy; where one port of these memories writes, none reads.
        if name.startswith(PROGRAMS):
            amounts["programs"] += memory(depth, width, PORTS)
        elif name in COPIED:
            amounts["tables"] += memory(depth, width, min(PORTS, shape.lanes)) * copies(shape)
        else:
            ports = readers.get(name, shape.lanes if name in MANY_READ else 1)
            amounts[kinds.get(name, "tables")] += memory(depth, width, ports, written=True)
    # What is written and read back: a count, its limit and a way out for every section; the check sum of words.
    words = multiplexer(len(capacity.sections), COUNTER_BITS) * 2 + adder(COUNTER_BITS) * len(capacity.sections)
    return amounts | {"image": words + Amounts(lut=CHECK_LUTS, ff=COUNTER_BITS)}


def _lists(lowered: Lowered) -> Amounts:
    """Count lists, which MIX reads where it stands and where it begins, and VECTOR by two gather lists."""
    total = Amounts()
    for bank in lowered.indices:
        total += memory(len(bank.entries), bank.code.width, LIST_READERS)
    return total


def _steps(programs: Programs) -> Amounts:
    """Count packed steps, read twice a cycle, and what they refer to."""
    total, operands = Amounts(), programs.operands
    if operands is not None:
        total += memory(operands.rows, operands.row_bits, PORTS)
    for program in (programs.likelihood, programs.code):
        for name, table in program.tables.items():
            # A step names three places: of its target, of a and of b.
            total += memory(table.rows, table.row_bits, 3 * PORTS if name == "places" else PORTS)
        if isinstance(program, PhraseMemory):
            # Which arguments a step takes.
            assert operands is not None
            total += multiplexer(len(program.arguments("place")), program.places.rows.bit_length()) * (3 * PORTS)
            total += multiplexer(len(program.arguments("operand")), operands.rows.bit_length()) * (2 * PORTS)
    return total
