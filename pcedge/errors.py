"""Typed errors: each says what must hold, what came, and where."""

from __future__ import annotations

from typing import NoReturn


class PcedgeError(Exception):
    """Stand at the root of every error that pcedge raises on purpose."""

    #: exit status of the command line when this error reaches it
    exit_code = 1


class CircuitError(PcedgeError):
    """Report a circuit that breaks a rule of smooth, decomposable, normalised circuits."""


class NotStructuredError(CircuitError):
    """Report a circuit that is valid but not structured-decomposable, where a tree of regions is needed."""


class DataError(PcedgeError):
    """Report data that do not fit the circuit: shape, dtype, range, missing values."""


class FormatError(PcedgeError):
    """Report a file that breaks its format.

    Attributes:
        rule: name of the broken rule, as listed in the page of the format.
    """

    def __init__(self, rule: str, message: str) -> None:
        """Keep the rule's name beside the message."""
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class StreamError(PcedgeError):
    """Report a compressed stream that is truncated, damaged, or made by another circuit."""


class WidthError(PcedgeError):
    """Report a width outside its range, or a signal that would not fit its width."""

    exit_code = 2


class UsageError(PcedgeError):
    """Report a wrong use of a command or function."""

    exit_code = 2


class MismatchError(PcedgeError):
    """Report two implementations that differ where they must be equal."""


class ToolError(PcedgeError):
    """Report a tool that was found and failed; the tool's own text is part of the message."""


class MissingToolError(PcedgeError):
    """Report a missing tool or extra, with the name of what brings it."""

    exit_code = 3


def missing_extra(module: str, extra: str, needed_for: str) -> MissingToolError:
    """Make the error for an optional package that is not installed.

    Args:
        module: name of the package that could not be imported.
        extra: the extra of pcedge that brings it.
        needed_for: what the package is needed for, in a few words.

    Returns:
        The error, to be raised by the caller.
    """
    return MissingToolError(
        f"{needed_for} needs the package {module}, which is not installed; pip install 'pcedge[{extra}]' brings it, "
        f"or in a clone pip install -e '.[{extra}]'"
    )


def assert_never(value: NoReturn) -> NoReturn:
    """Mark what a type checker must prove to be out of reach, as `typing.assert_never`, which Python 3.10 lacks."""
    raise AssertionError(f"a case must be handled for every kind, got {value!r}")
