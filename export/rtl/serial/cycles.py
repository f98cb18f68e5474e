"""The clock cycles of a record on the serial engine (docs/rtl.md, Serial engine)."""

from __future__ import annotations

from pcedge.export.rtl.lowering import Kind
from pcedge.export.rtl.serial.image import LANES, SerialImage

#: cycles from a step's last beat to the next step's first one: with a vector, beside half its entries, and without
_WRITTEN, _WEIGHED = 13, 9

#: an INIT has no sums on their way
_INIT = 8

#: cycles of a trial beside its beats, about; of the first one of a context; of what is found
_TRIAL, _FIRST_TRIAL, _FOUND = 19, 22, 2


def cycles_of(image: SerialImage, job: str) -> float:
    """Count the cycles of a record in a job, `likelihood`, `encode` or `decode`, where neither side stalls.

    Likelihood is exact, and encode where a symbol is coded before the next one comes. Decode depends on the data: it is
    the mean over what the circuit says of each variable alone, by about a twentieth.
    """
    lowered = image.lowered
    columns = {name: column.values for name, column in lowered.columns.items()}
    first, last = (0, lowered.starts[1]) if job == "likelihood" else (lowered.starts[1], lowered.steps.rows)
    cycles = 0.0
    for index in range(first, last):
        at = {name: int(values[index]) for name, values in columns.items()}
        cycles += _step(image, index, at)
        if at["kind"] == Kind.INTERVAL and job == "decode":
            cycles += image.searches[at["variable"]].trials * (5 * at["a_rows"] + _TRIAL) + _FIRST_TRIAL + _FOUND
    variables = len(lowered.circuit.order)
    # a record comes in, or goes out with two cycles a symbol and more
    return cycles + {"likelihood": variables + 5, "encode": variables + 2, "decode": 3 * variables + 1}[job]


def _step(image: SerialImage, index: int, at: dict[str, int]) -> int:
    """Count the cycles from a step's first beat to that of the next one."""
    kind, entries = Kind(at["kind"]), at["rows"] * LANES
    written = _WRITTEN + entries // 2
    match kind:
        case Kind.END:
            return 4
        case Kind.INIT:
            return _INIT + entries // 2
        case Kind.UP | Kind.DOWN:
            return entries * at["a_rows"] + written
        case Kind.LIST | Kind.GATHER:
            return image.lengths[index] + 1 + written
        case Kind.LEAF | Kind.INTERVAL:
            return 5 * at["a_rows"] + (written if kind == Kind.LEAF or at["flag"] else _WEIGHED)
        case _:
            return entries + written
