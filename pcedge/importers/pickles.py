"""Reading of pickles without running them: the opcodes are replayed on plain values, and nothing is imported or called.

What a pickle asks to call is kept as a record of the name and the arguments. Only names that the caller allows are
kept, all others are refused by name; the caller turns the records that it knows into values.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pcedge.errors import FormatError
from pcedge.limits import MemoryBudget

RULE = "import-pickle"
#: bytes of memory that an opcode takes at most
OPCODE_BYTES = 160


@dataclass(frozen=True, slots=True)
class Name:
    """Hold the name of a class or function that a pickle mentions."""

    text: str


@dataclass(eq=False, slots=True)
class Call:
    """Hold what a pickle asks to call, the arguments, and the state to set on the result."""

    function: Name
    arguments: tuple[Any, ...]
    state: Any = None
    #: what was made of the record, so that many that refer to it do not make it again
    made: Any = None


_MARK = object()

#: opcodes whose argument is the value
_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8", "FLOAT", "BINFLOAT",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict,
}  # fmt: skip


def replay(
    data: bytes,
    allowed: Callable[[str], bool],
    where: str,
    budget: MemoryBudget | None = None,
    *,
    persistent: bool = False,
    what: str = "plain arrays",
    built: Callable[[Call, BytesIO], Any] | None = None,
) -> Any:
    """Give the value of a pickle: None, numbers, strings, bytes, lists, tuples, dicts, and records of calls.

    Args:
        data: the pickle, of any protocol.
        allowed: tells of a name "module.name" whether the pickle may mention it.
        where: the file's name, for messages.
        budget: of the file's memory; a file may have the same pickle read again and again.
        persistent: take references to what is outside the pickle, as records of a call of `persistent`.
        what: what the file must hold, for messages.
        built: gives what stands for a record that has got its state; it may read what the file holds there, for some
            pickles have numbers between their opcodes.

    Raises:
        FormatError: the pickle is damaged, mentions another name, or does what no plain data does; or it needs too much
            memory.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings with strange escapes in damaged files
            return _replay(data, allowed, where, budget, persistent, what, built)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, UnicodeError) as error:
        raise FormatError(RULE, f"{where} must be a whole pickle ({type(error).__name__}: {error})") from error


def _replay(
    data: bytes, allowed: Callable[[str], bool], where: str, budget: MemoryBudget | None, persistent: bool, what: str,
    built: Callable[[Call, BytesIO], Any] | None,
) -> Any:  # fmt: skip
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def marked() -> list[Any]:
        items = []
        while (item := stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def name(text: str) -> Name:
        if not allowed(text):
            raise FormatError(RULE, f"{where} must hold {what}, it mentions {text[:80]!r}: nothing of it was run")
        return Name(text)

    file = BytesIO(data)
    for opcode, argument in _opcodes(file, budget):
        if opcode in _VALUES:
            stack.append(argument)
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode]())
        elif opcode in ("PROTO", "FRAME"):
            continue
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode == "STOP":
            return stack.pop()
        elif opcode == "POP":
            stack.pop()
        elif opcode == "POP_MARK":
            marked()
        elif opcode == "DUP":
            stack.append(stack[-1])
        elif opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif opcode == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif opcode in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif opcode in ("LIST", "TUPLE"):
            items = marked()
            stack.append(items if opcode == "LIST" else tuple(items))
        elif opcode in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(opcode[-1])
            if len(stack) < size:
                raise IndexError("too few values for a tuple")
            stack[-size:] = [tuple(stack[-size:])]
        elif opcode == "DICT":
            items = marked()
            stack.append(_pairs(items))
        elif opcode == "APPEND":
            item = stack.pop()
            _items(stack[-1]).append(item)
        elif opcode == "APPENDS":
            items = marked()
            _items(stack[-1]).extend(items)
        elif opcode == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _plain(stack[-1], dict).update(_pairs([key, value]))
        elif opcode == "SETITEMS":
            items = marked()
            _plain(stack[-1], dict).update(_pairs(items))
        elif opcode == "GLOBAL":
            stack.append(name(argument.replace(" ", ".", 1)))
        elif opcode == "STACK_GLOBAL":
            member, module = stack.pop(), stack.pop()
            stack.append(name(f"{_plain(module, str)}.{_plain(member, str)}"))
        elif opcode in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(Call(_plain(function, Name), _plain(arguments, tuple)))
        elif opcode == "BINPERSID" and persistent:
            stack.append(Call(Name("persistent"), _plain(stack.pop(), tuple)))
        elif opcode == "BUILD":
            state = stack.pop()
            _plain(stack[-1], Call).state = state
            if built is not None:
                stack[-1] = built(stack[-1], file)
        else:
            raise FormatError(RULE, f"{where} must hold {what}, it has the opcode {opcode}: nothing of it was run")
    raise ValueError("it has no end")


def skip(file: BytesIO, budget: MemoryBudget) -> None:
    """Move a file behind the pickle that starts at its position."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in pickletools.genops(file):
            budget.take(OPCODE_BYTES)


def _opcodes(file: BytesIO, budget: MemoryBudget | None) -> Iterator[tuple[str, Any]]:
    for opcode, argument, _ in pickletools.genops(file):
        if budget is not None:
            budget.take(OPCODE_BYTES)
        yield opcode.name, argument


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """Make a dict; keys are strings or integers, for hashing nested tuples can take for ever."""
    if not all(type(key) in (str, int) for key in items[::2]):
        raise TypeError("keys must be strings or integers")
    return dict(zip(items[::2], items[1::2], strict=True))


def _items(value: Any) -> list[Any]:
    """Give the list that items go to: a list, or that of a deque, which nobody reads."""
    if isinstance(value, Call) and value.function.text == "collections.deque":
        return []
    return _plain(value, list)  # type: ignore[no-any-return]


def _plain(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a {kind.__name__} must stand here, got a {type(value).__name__}")
    return value
