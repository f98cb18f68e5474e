"""The shared library of the native engine, by ctypes: what it was built with, and what this machine can run."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pcedge.errors import MissingToolError, UsageError
from pcedge.native.build import ISAS, NAME

#: where the library lies: beside no module, for a search of modules would take it for one
HERE = Path(__file__).parent / "lib"

#: of pcedge.h
ABI = 5


class PceSchedule(ctypes.Structure):
    """`pce_schedule`."""

    _fields_ = [
        ("steps", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in
          ("count", "keep", "result", "result_slot", "words", "slots", "scales", "given")),
    ]  # fmt: skip


class PceProgram(ctypes.Structure):
    """`pce_program`."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in
          ("weight_bits", "leaf_bits", "state_bits", "scale_bits", "range_bits", "floor", "variables", "units")),
        ("likelihood", PceSchedule),
        ("code", PceSchedule),
        *((name, ctypes.c_void_p) for name in ("weights", "tables", "lists", "pairs", "sums")),
    ]  # fmt: skip


class PceStage(ctypes.Structure):
    """`pce_stage`."""

    _fields_ = [
        ("places", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in
          ("columns", "groups", "inputs", "features", "nodes", "listed_count", "centre", "escapes", "tokens", "gain",
           "marks", "spare")),
        *((name, ctypes.c_void_p) for name in
          ("cells", "group_of", "group", "coefficients", "distances", "input_distances", "feature_starts",
           "first_parts", "parts", "node", "biases", "shifts", "listed", "bounds")),
    ]  # fmt: skip


class PceRecords(ctypes.Structure):
    """`pce_records`."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("bytes", ctypes.c_int32),
        ("spare", ctypes.c_int32),
    ]


class PceLanes(ctypes.Structure):
    """`pce_lanes`."""

    _fields_ = [("data", ctypes.c_void_p), ("ends", ctypes.c_void_p)]


_POINTER, _LONG = ctypes.c_void_p, ctypes.c_int64


class PceEngine(ctypes.Structure):
    """`pce_engine`."""

    _fields_ = [
        ("isa", ctypes.c_char_p),
        ("likelihood", ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4)),
        ("intervals", ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4)),
        ("encode", ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 2, *[_LONG] * 3, _POINTER)),
        (
            "decode",
            ctypes.CFUNCTYPE(
                ctypes.c_int, _POINTER, ctypes.c_char_p, _POINTER, *[_LONG] * 3, ctypes.c_int32, _POINTER, _POINTER
            ),
        ),
        ("encode_rows", ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 5, *[_LONG] * 2, *[_POINTER] * 2)),
        (
            "decode_rows",
            ctypes.CFUNCTYPE(
                ctypes.c_int, *[_POINTER] * 2, *[ctypes.c_char_p, _POINTER] * 2, _POINTER, *[_LONG] * 2, *[_POINTER] * 2
            ),
        ),
        (
            "unpack",
            ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_char_p, _LONG, *[_POINTER] * 2, *[_LONG] * 2, _POINTER),
        ),
        ("pack_rows", ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4, *[_LONG] * 5, *[_POINTER] * 3)),
        (
            "unpack_rows",
            ctypes.CFUNCTYPE(
                ctypes.c_int, *[_POINTER] * 2, ctypes.c_char_p, _LONG, *[_POINTER] * 2, *[_LONG] * 4, *[_POINTER] * 3
            ),
        ),
    ]


@dataclass(frozen=True)
class Library:
    """Hold an engine of the library."""

    isa: str
    engine: Any
    free: Callable[[Any], None]


@cache
def library(isa: str = "") -> Library:
    """Open the library's engine for an instruction set; "" is the best that the machine has.

    Raises:
        MissingToolError: this installation has no library, or one that cannot be opened.
        UsageError: the build or the machine has not the instruction set.
    """
    path = HERE / NAME
    if not path.is_file():
        raise MissingToolError(
            "the native engine needs its library, which this installation was made without; with a C compiler "
            "python -m pcedge.native.build makes it (PCEDGE_CC names another one)"
        )
    try:
        loaded = ctypes.CDLL(str(path))
        version = loaded.pce_abi()
    except (OSError, AttributeError) as error:
        raise MissingToolError(
            f"the native engine's library {path.name} must be one for this machine ({error})"
        ) from error
    if version != ABI:
        raise MissingToolError(
            f"the native engine's library must have the interface {ABI}, got {version}; python -m pcedge.native.build"
        )
    loaded.pce_engine_of.restype = ctypes.POINTER(PceEngine)
    loaded.pce_engine_of.argtypes = [ctypes.c_char_p]
    loaded.pce_free.argtypes = [ctypes.c_void_p]
    found = loaded.pce_engine_of(isa.encode())
    if not found:
        raise UsageError(f"the native engine must have the instruction set {isa!r}, this build or machine has it not")
    engine = found.contents
    return Library(engine.isa.decode(), engine, loaded.pce_free)


def instruction_sets() -> tuple[str, ...]:
    """List the instruction sets that both library and machine have, the best first; none without a library."""
    found = []
    for isa in (*reversed(ISAS.get("x86_64", {})), "base"):
        try:
            found.append(library(isa).isa)
        except (MissingToolError, UsageError):
            continue
    return tuple(found)
