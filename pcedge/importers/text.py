"""What the text readers have in common: numbers that say where they stand."""

from __future__ import annotations

import math
import re

from pcedge.errors import FormatError

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")


def decode(data: bytes, where: str) -> str:
    """Decode a text file.

    Raises:
        FormatError: the bytes are no UTF-8 text.
    """
    try:
        return data.decode("utf-8-sig")  # editors of Windows put a mark first
    except UnicodeDecodeError as error:
        raise FormatError("import-text", f"{where} must be text ({error})") from error


def integer(word: str, where: str, low: int | None = 0) -> int:
    """Read an integer that is at least `low`.

    Raises:
        FormatError: the word is none.
    """
    if not _INTEGER.match(word) or (low is not None and int(word) < low):
        least = "" if low is None else f" of at least {low}"
        raise FormatError("import-number", f"{where}: an integer{least} must stand here, got {word[:40]!r}")
    return int(word)


def number(word: str, where: str) -> float:
    """Read a finite number, written with a decimal point or an exponent or neither.

    Raises:
        FormatError: the word is none, NaN and infinity included.
    """
    value = float(word) if _NUMBER.match(word) else math.nan
    if not math.isfinite(value):
        raise FormatError("import-number", f"{where}: a finite number must stand here, got {word[:40]!r}")
    return value


def log_probability(word: str, where: str) -> float:
    """Read a natural logarithm; minus infinity, the logarithm of zero, is one.

    Raises:
        FormatError: the word is none.
    """
    if word.lower() in ("-inf", "-infinity"):
        return -math.inf
    return number(word, where)
