"""Seeded damage: to bytes, to texts, and to trees as JSON has them. The same dice give the same damage everywhere."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

#: bytes that growth leaves a file at most
LARGEST = 1 << 20

#: what a number of a text may become
NUMBERS = (
    b"0", b"1", b"2", b"-1", b"-0", b"+1", b"01", b"1.5", b"1e3", b"1e-3", b"1_000", b"0x10", b"1e999", b"-1e999",
    b"1e-400", b"nan", b"NaN", b"inf", b"-inf", b"Infinity", b"-Infinity", b"127", b"255", b"256", b"65535", b"65536",
    b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"9007199254740993", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"-9223372036854775809",
    b"9" * 400, b"-" + b"9" * 30, b"0." + b"3" * 400, b"9" * 5000, "٣".encode(), "²".encode(),
    b"true", b"null", b'""', b"[]", b"{}", b"",
)  # fmt: skip

#: what may be put between the words of a text
STRANGE = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\n\n", b"\t", b"\f", b"\x85", b"\xe2\x80\xa8", b" ", b"#",
    b'"', b"'", b"\\", b"/", b",", b";", b":", b"=", b"(", b")", b"[", b"]", b"{", b"}", b"<", b">", b"&", b"|", b"%s",
    b"[" * 3000, b"(" * 3000, b"[" * 100_000, b"{" * 3000, b"\xed\xa0\x80", "🙂".encode(), b"NA", b"?",
)  # fmt: skip

#: what a value of a tree may become; a text in these marks stands for what JSON's writer cannot write
DEEP, LONG = "@@deep@@", "@@long@@"
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 8, 16, 17, 64, 65, 255, 256, 4096, 65535, 65536, 1 << 20, 1 << 24, 2**31 - 1,
    2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.0, -0.0, 0.5, 1.0, 3.7, 1e300, 5e-324,
    float("nan"), float("inf"), float("-inf"), "", "0", "1", "x", "nan", "\0", "\ud800", "..", "/", "../x", "a" * 1000,
    [], {}, [0], [[]], [None], {"x": 1}, [1] * 100, DEEP, LONG,
)  # fmt: skip

_TOKEN = re.compile(rb"[\w.+-]+")
_NUMBER = re.compile(rb"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")

#: little- and big-endian integers of binary formats that may be overwritten
_WORDS = (0, 1, 2, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63,
          2**64 - 1)  # fmt: skip

Damage = Callable[[bytes, Random, Sequence[bytes]], bytes]


def _span(size: int, dice: Random) -> tuple[int, int]:
    """Draw a stretch, mostly a short one."""
    start = dice.randrange(size + 1)
    return start, min(size, start + (dice.randrange(1, 17) if dice.random() < 0.7 else dice.randrange(size + 1)))


def _flip(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]


def _set(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + bytes([dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))]) + data[place + 1 :]


def _truncate(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    return data[: dice.randrange(len(data))] if dice.random() < 0.7 else data[: -dice.randrange(1, 9)]


def _grow(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), dice)
    part = data[start:end] or b"\0"
    return data[:end] + (part * min(1 << dice.randrange(1, 16), LARGEST // len(part)))[:LARGEST] + data[end:]


def _append(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    return data + dice.choice((b"\0", b"\n", dice.randbytes(dice.randrange(1, 40)), data, dice.choice(others)))


def _cut(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), dice)
    return data[:start] + data[end:]


def _double(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), dice)
    place = dice.randrange(len(data) + 1)
    return data[:place] + data[start:end] + data[place:]


def _overwrite(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), dice)
    place = dice.randrange(len(data))
    return data[:place] + data[start:end] + data[place + end - start :]


def _splice(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    other = dice.choice(others)
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other) + 1) :]


def _fill(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), dice)
    return data[:start] + bytes([dice.choice((0, 0xFF, 0x20))]) * (end - start) + data[end:]


def _word(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    size, order = dice.choice((2, 4, 8)), dice.choice(("little", "big"))
    place = dice.randrange(len(data))
    value = dice.choice(_WORDS) if dice.random() < 0.7 else dice.randrange(1 << 16)
    word = (value % (1 << 8 * size)).to_bytes(size, "little" if order == "little" else "big")
    return (data[:place] + word + data[place + size :])[: max(len(data), size)]


BYTES: tuple[Damage, ...] = (
    _flip, _flip, _set, _set, _word, _word, _truncate, _grow, _append, _cut, _double, _overwrite, _splice, _fill,
)  # fmt: skip


def _number(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    found = [match.span() for match in _NUMBER.finditer(data)]
    if not found:
        return _flip(data, dice, others)
    start, end = dice.choice(found)
    word = data[start:end]
    if dice.random() < 0.4 and word.isdigit() and len(word) < 20:
        value = int(word)
        made = str(dice.choice((value + 1, value - 1, 2 * value, 1000 * value, -value, value + 0.5))).encode()
    elif dice.random() < 0.3:
        first, last = dice.choice(found)
        made = data[first:last]
    else:
        made = dice.choice(NUMBERS)
    return data[:start] + made + data[end:]


def _tokens(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Delete, double, exchange or replace words."""
    found = [match.span() for match in _TOKEN.finditer(data)]
    if len(found) < 2:
        return _flip(data, dice, others)
    (a, b), (c, d) = sorted(dice.sample(found, 2))
    one, two = data[a:b], data[c:d]
    one, two = dice.choice(((b"", two), (one + b" " + one, two), (two, one), (two, two), (one, one)))
    return data[:a] + one + data[b:c] + two + data[d:]


def _lines(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Delete, double or exchange lines."""
    lines = data.split(b"\n")
    a, b = dice.randrange(len(lines)), dice.randrange(len(lines))
    kind = dice.randrange(4)
    if kind == 0:
        del lines[a]
    elif kind == 1:
        lines.insert(b, lines[a])
    elif kind == 2:
        lines[a], lines[b] = lines[b], lines[a]
    else:
        lines[a] = dice.choice(dice.choice(others).split(b"\n"))
    return b"\n".join(lines)


def _strange(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    place = dice.randrange(len(data) + 1)
    return data[:place] + dice.choice(STRANGE) + data[place:]


TEXT: tuple[Damage, ...] = (
    _number, _number, _number, _number, _tokens, _tokens, _lines, _lines, _strange, _flip, _set, _truncate, _cut,
    _double, _splice, _grow,
)  # fmt: skip


def damage(data: bytes, dice: Random, kinds: Sequence[Damage] = BYTES, others: Sequence[bytes] = ()) -> bytes:
    """Damage a file in one to four places.

    Args:
        data: the whole file.
        dice: what is drawn from.
        kinds: `BYTES`, `TEXT` or some of them.
        others: whole files that parts may come from.
    """
    for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
        if not data:
            return dice.randbytes(dice.randrange(8))
        data = dice.choice(kinds)(data, dice, others or (data,))
    return data


def damage_tree(tree: Any, dice: Random) -> Any:
    """Change a copy of a tree of dicts, lists and scalars in one to three places."""
    holder = [copy.deepcopy(tree)]
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        container, key = _place(holder, dice)
        _change(holder, container, key, dice)
    return holder[0]


def _place(holder: list[Any], dice: Random) -> tuple[Any, Any]:
    """Draw a place: on the way down from the root at each step, so that long lists do not take all."""
    container: Any = holder
    key: Any = 0
    while isinstance(container[key], dict | list) and container[key] and dice.random() < 0.8:
        container = container[key]
        key = dice.choice(list(container)) if isinstance(container, dict) else dice.randrange(len(container))
    return container, key


def _change(holder: list[Any], container: Any, key: Any, dice: Random) -> None:
    value, kind = container[key], dice.randrange(10)
    if kind == 0 and container is not holder:
        del container[key]
    elif kind == 1 and isinstance(container, list) and container is not holder:
        container.insert(dice.randrange(len(container) + 1), copy.deepcopy(value))
    elif kind == 1 and isinstance(container, dict):
        container[dice.choice((str(key) + "x", "", "x", *map(str, container)))] = container.pop(key)
    elif kind == 2 and isinstance(value, dict):
        value[dice.choice(("x", "", "version", "__proto__", "é"))] = copy.deepcopy(dice.choice(VALUES))
    elif kind == 2 and isinstance(value, list):
        value.append(copy.deepcopy(dice.choice((*VALUES, *value))))
    elif kind == 3 and isinstance(value, list) and value:
        dice.shuffle(value)
    elif kind == 3 or (kind == 4 and isinstance(value, dict | list)):
        other, place = _place(holder, dice)
        container[key] = copy.deepcopy(other[place])
    elif kind in (5, 6) and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        container[key] = dice.choice((value + 1, value - 1, 2 * value, -value, value + 0.5, float(value), str(value)))
    elif kind == 7 and isinstance(value, str) and value:
        container[key] = damage(value.encode("utf-8", "replace"), dice, TEXT).decode("utf-8", "replace")
    else:
        container[key] = copy.deepcopy(dice.choice(VALUES))


def to_json(tree: Any, **options: Any) -> str:
    """Write a tree as JSON, with what its own writer refuses: nesting without end, numbers of 5,000 digits."""
    text = json.dumps(tree, **options)
    return text.replace(f'"{DEEP}"', "[" * 100_000).replace(f'"{LONG}"', "9" * 5000)
