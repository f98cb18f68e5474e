"""Targets: the part and the clock that a project is made for, and what the device holds."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, asdict, dataclass
from dataclasses import fields as fields_of
from importlib.resources import files
from pathlib import Path
from reprlib import repr as shown

from pcedge.errors import UsageError

#: the target of a project where the caller names none
DEFAULT_TARGET = "vitis-hls"

#: families of devices, and what one of their DSP slices multiplies, in bits: UG479 (DSP48E1), UG579 (DSP48E2)
FAMILIES = {"7-series": (25, 18), "ultrascale-plus": (27, 18)}

#: bytes of a target file, letters of a name or part, and pieces of a resource, at most
MOST_BYTES, MOST_LETTERS, MOST_RESOURCES = 1 << 16, 200, 10**9

#: clock periods, in nanoseconds: from a terahertz to a kilohertz
CLOCK_NS = (0.001, 1_000_000)

#: what target files of devices of the open flow say in `flow`; `pcedge.export.open_target` reads them
OPEN_FLOW = "rtl"

# A part is written into Tcl and configuration files, where other characters have a meaning of their own.
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Resources:
    """Count what a device's data sheet lists."""

    #: look-up tables of six inputs
    lut: int
    #: flip-flops
    ff: int
    #: DSP slices; `FAMILIES` says what one multiplies
    dsp: int
    #: block RAMs of 36 Kbit, each of which can be two of 18 Kbit
    bram36: int
    #: UltraRAMs of 288 Kbit; 0 where the family has none
    uram: int

    @property
    def bram18(self) -> int:
        """Count block RAMs of 18 Kbit, the unit of the reports of C synthesis."""
        return 2 * self.bram36

    @property
    def memory_bits(self) -> int:
        """Count the bits of block RAM and UltraRAM, parity bits included."""
        return 36 * 1024 * self.bram36 + 288 * 1024 * self.uram


@dataclass(frozen=True)
class Target:
    """Hold a target file."""

    #: name, as in `--target`
    name: str
    #: tool flow: `vitis-hls`
    flow: str
    #: the vendor's name of the device
    part: str
    #: clock period in nanoseconds
    clock_ns: float
    #: one of `FAMILIES`; None in a file that does not say, and then nothing is estimated for it
    family: str | None = None
    #: what the device holds; None in a file that does not say
    resources: Resources | None = None

    def as_dict(self) -> dict[str, object]:
        """Give the fields that are known, for the manifest."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def find_target(target: str) -> Target:
    """Find a target by the name of a shipped file, or by the path of a TOML file of one's own.

    Raises:
        UsageError: there is no such target, or the file does not hold the fields of `Target`.
    """
    known = targets()
    if target in known:
        return known[target]
    if target in shipped(OPEN_FLOW):
        raise UsageError(
            f"{target} is a device of the open flow, which takes no HLS: the target must be one of {', '.join(known)}"
        )
    if not target.endswith(".toml"):
        raise UsageError(
            f"the target must be one of {', '.join(known)} or a .toml file, or for pcedge export rtl, c99, or a "
            f"device of pcedge build; got {target!r}"
        )
    try:
        path = Path(target)
        if path.exists() and not path.is_file():  # a pipe or a device has no end
            raise ValueError("it is no file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, ValueError) as error:
        raise _no_target(target, error) from error
    return read_target(text, target)


def targets() -> dict[str, Target]:
    """Read the shipped target files, by name, the default first."""
    entries = [read_target(text, f"{name}.toml") for name, text in shipped("vitis-hls").items()]
    entries.sort(key=lambda target: (target.name != DEFAULT_TARGET, target.name))
    return {target.name: target for target in entries}


def shipped(flow: str) -> dict[str, str]:
    """Give the texts of the shipped target files of a flow, by name."""
    folder = files("pcedge.export").joinpath("targets")
    texts = {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return {name: text for name, text in texts.items() if tomllib.loads(text)["flow"] == flow}


def read_target(text: str, where: str) -> Target:
    """Read the text of a target file.

    Args:
        text: TOML with name, flow, part and clock_ns, and perhaps family and a table resources.
        where: the file's name, for messages.

    Raises:
        UsageError: a field is missing, unknown, or of another kind.
    """
    try:
        if len(text) > MOST_BYTES:
            raise ValueError(f"it must have at most {MOST_BYTES} bytes, got more")
        fields = tomllib.loads(text)
        table = fields.pop("resources", None)
        if table is not None and not isinstance(table, dict):
            raise TypeError("resources must be a table")
        known = [field.name for field in fields_of(Resources)]
        if table is not None and set(table) != set(known):
            open_ = "" if fields.get("flow") == "vitis-hls" else f"; a device of pcedge build has flow = {OPEN_FLOW!r}"
            raise TypeError(f"resources must hold {', '.join(known)}, got {shown(list(table))}{open_}")
        allowed = {field.name: field.default is MISSING for field in fields_of(Target)}
        if wrong := [name for name in fields if name not in allowed]:
            raise TypeError(f"it must hold nothing else, got {', '.join(map(_short, wrong))}")
        if wrong := [name for name, needed in allowed.items() if needed and name not in fields]:
            raise TypeError(f"it lacks {', '.join(wrong)}")
        target = Target(**fields, resources=None if table is None else Resources(**table))
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_target(where, error) from error
    if target.flow != "vitis-hls" or not isinstance(target.part, str) or type(target.clock_ns) not in (int, float):
        raise UsageError(f"{where}: flow must be vitis-hls, part a text and clock_ns a number")
    if not _PART.fullmatch(target.part) or len(target.part) > MOST_LETTERS:
        raise UsageError(f"{where}: part must be letters, digits, dots and dashes, got {shown(target.part)}")
    low, high = CLOCK_NS
    if not low <= target.clock_ns <= high:  # no NaN is
        raise UsageError(f"{where}: clock_ns must be in {low} to {high} nanoseconds, got {shown(target.clock_ns)}")
    if not isinstance(target.name, str) or not 0 < len(target.name) <= MOST_LETTERS or not target.name.isprintable():
        raise UsageError(f"{where}: name must be a text of one line, got {shown(target.name)}")
    if target.family is not None and target.family not in tuple(FAMILIES):
        raise UsageError(f"{where}: family must be one of {', '.join(FAMILIES)}, got {shown(target.family)}")
    for name, count in asdict(target.resources).items() if target.resources else ():
        if type(count) is not int or not 0 <= count <= MOST_RESOURCES:
            raise UsageError(
                f"{where}: {name} of resources must be a whole number in 0..{MOST_RESOURCES}, got {shown(count)}"
            )
    return target


def _short(name: str) -> str:
    """Give the name of a field, or as much of it as fits a line."""
    return name if name.isprintable() and len(name) <= MOST_LETTERS else shown(name)


def _no_target(where: str, error: Exception) -> UsageError:
    return UsageError(f"{where} must be a TOML file with name, flow, part and clock_ns ({error})")
