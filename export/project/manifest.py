"""A project's manifest: the one place where names and numbers of a project enter (docs/vendor.md, section Manifest)."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from reprlib import repr as shown
from typing import Any, NoReturn

from pcedge.drivers.contract import MOST_STREAMS
from pcedge.drivers.layout import MOST_WORD
from pcedge.drivers.size import EngineSize
from pcedge.errors import FormatError, UsageError
from pcedge.export.program.image import Capacity, capacity_from

MANIFEST = "manifest.json"
PROJECT_FORMAT = "pcedge-project"
MANIFEST_VERSION = 1

#: names of kernels in a manifest: unrolled, the program in C99, the engine in SystemVerilog; one that names none is of
#: the engine in HLS; and unrolled in SystemVerilog
UNROLLED, C99, RTL, ENGINE_KERNEL = "unrolled", "c99", "rtl", "engine"
UNROLLED_RTL = "unrolled-rtl"
_KERNELS = (ENGINE_KERNEL, UNROLLED, C99, RTL, UNROLLED_RTL)

#: the jobs that an engine in SystemVerilog may be built for
BUILT_JOBS = ("likelihood", "encode", "decode", "sample")

#: with those that it has only where they are named
PACKET_JOBS = ("pack", "unpack")
EVERY_JOB = (*BUILT_JOBS, "score", *PACKET_JOBS)

#: bytes of a manifest, at most; that of an unrolled kernel with 4,096 variables has 300,000
MOST_BYTES = 1 << 20

#: letters of a file's name, and of a top's, at most: file systems take 255, and a report adds 23 to its top's
MOST_NAME = 200

#: a part of a name: what every file system takes, and none takes for another name or for a way out of the folder
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOP = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MOST_NAME - 1}}}")


def check_names(names: object, where: str) -> list[str]:
    """Check the names of a project's files.

    Each is relative, its parts are letters, digits, `.`, `_` and `-`, begin with no dot or dash and end with no dot.
    Whatever the file system makes of capitals, no two are one file, none is the folder of another, and none is the
    manifest.

    Args:
        names: what a manifest says, or what was written.
        where: the manifest's name, for messages.

    Raises:
        FormatError: a name breaks a rule.
    """
    if not isinstance(names, list):
        _refuse(where, f"files must be a list of names, got {shown(names)}")
    files: set[str] = set()
    folders = set()
    for name in names:
        if not isinstance(name, str) or len(name) > MOST_NAME or not all(map(_PART.fullmatch, name.split("/"))):
            _refuse(where, f"files must be letters, digits, dots and dashes, below the folder, {_got(name)}")
        plain = name.lower()
        if plain == MANIFEST:
            _refuse(where, f"files must not name the manifest itself, {_got(name)}")
        if plain in files:
            _refuse(where, f"files must name each file once, got {shown(name)} twice")
        files.add(plain)
        folders |= {str(folder) for folder in PurePosixPath(plain).parents}
    if both := files & folders:
        _refuse(where, f"files must not be folders of others, {_got(min(both))}")
    return list(names)


@dataclass(frozen=True, eq=False)
class Manifest:
    """Say what a project is: all that is read from `manifest.json`, checked, and the table itself."""

    #: the whole table, in the order of the file; nothing is read from it that has no field of its own
    table: Mapping[str, Any]
    #: names of the project's own files, without the manifest
    files: tuple[str, ...]
    kernel: str
    #: digest of the circuit, in hexadecimal digits
    digest: str
    variables: int
    golden_records: int
    #: bytes of all golden lanes; None where there are none, or for the first projects, which did not count them
    golden_bytes: int | None
    #: the part of the target's chip
    part: str | None
    #: steps of the two schedules of an engine, by `likelihood` and `code`
    steps: Mapping[str, int]
    #: None for an unrolled kernel or C99, and for the first engines, which said none
    size: EngineSize | None
    #: what the memories have room for; None where they are read-only
    capacity: Capacity | None
    #: of a project with a predictor stage its golden numbers and bytes, and the columns of a row
    stage: Mapping[str, int] | None = None
    #: of an engine in SystemVerilog the jobs that it is built for
    built_jobs: tuple[str, ...] = ()

    @property
    def reload(self) -> bool:
        """Tell whether the memories are loaded."""
        return self.capacity is not None or (self.kernel == RTL and bool(self.table.get("reload")))

    def to_json(self) -> bytes:
        """Write the file; what was read and what is written again are the same bytes."""
        return (json.dumps(self.table, indent=2) + "\n").encode()


def load_files(data: bytes, where: str) -> list[str]:
    """Read of a manifest only which files are the project's own.

    Args:
        data: the bytes of the file.
        where: its name, for messages.

    Raises:
        FormatError: it is no manifest of a project, or `files` breaks a rule of `check_names`.
    """
    return check_names(_table(data, where).get("files"), where)


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest, and check all that is read from it.

    Args:
        data: the bytes of the file.
        where: its name, for messages.

    Raises:
        FormatError: it is no manifest, or a field is missing, of another kind, or out of its range.
    """
    return make_manifest(_table(data, where), where)


def make_manifest(table: Mapping[str, Any], where: str = MANIFEST) -> Manifest:
    """Check a manifest that was read, or one that is to be written, in the same way.

    Args:
        table: what the file holds, `files` included.
        where: its name, for messages.

    Raises:
        FormatError: a field is missing, of another kind, or out of its range.
    """
    files = tuple(check_names(table.get("files"), where))
    kernel = table.get("kernel", ENGINE_KERNEL)
    if kernel not in _KERNELS:
        _refuse(where, f"kernel must be {', '.join(_KERNELS[:-1])} or {_KERNELS[-1]}, {_got(kernel)}")
    digest = table.get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        _refuse(where, f"digest must be the 64 digits of a SHA-256, {_got(digest)}")
    variables, records = (_count(table, name, where) for name in ("variables", "golden_records"))
    golden_bytes = _count(table, "golden_bytes", where) if "golden_bytes" in table else None
    target = table.get("target", {})
    if not isinstance(target, dict) or not isinstance(target.get("part", ""), str):
        _refuse(where, f"target must be a table with a part, {_got(target)}")
    engine = kernel in (ENGINE_KERNEL, RTL)
    jobs = _built_jobs(table, where) if kernel == RTL else BUILT_JOBS
    return Manifest(
        table=table,
        files=files,
        kernel=kernel,
        digest=digest,
        variables=variables,
        golden_records=records,
        golden_bytes=golden_bytes,
        part=target.get("part"),
        steps=_steps(table, where, jobs) if engine else {},
        built_jobs=jobs if kernel == RTL else (),
        size=_size(table, where) if engine else None,
        capacity=_capacity(table, where) if kernel == ENGINE_KERNEL else None,
        stage=_stage(table, where),
    )


def _table(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        _refuse(where, f"a manifest must have at most {MOST_BYTES} bytes, got more")
    try:
        table = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise FormatError("project-manifest", f"{where} must be JSON ({error})") from error
    if not isinstance(table, dict) or table.get("format") != PROJECT_FORMAT:
        _refuse(where, "it must be of a pcedge project")
    version = table.get("version", MANIFEST_VERSION)
    if type(version) is not int or version > MANIFEST_VERSION:
        _refuse(where, f"its version must be at most {MANIFEST_VERSION}, which this pcedge reads, {_got(version)}")
    return table


def read_manifest(folder: Path, kernel: str | None = None) -> Manifest:
    """Read and check the manifest of a project directory.

    Args:
        folder: the directory.
        kernel: which kernel the project must be of; None takes any.

    Raises:
        FormatError: the directory is no project, not of this kernel, or its manifest is damaged.
    """
    manifest = parse_manifest(manifest_bytes(folder), str(folder / MANIFEST))
    if kernel is not None and manifest.kernel != kernel:
        _refuse(str(folder / MANIFEST), f"kernel must be {kernel}, {_got(manifest.kernel)}")
    return manifest


def manifest_bytes(folder: Path) -> bytes:
    """Read the file of a manifest, of what is too long only so much that it can be refused.

    Raises:
        FormatError: there is none, or it cannot be read.
    """
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device has no end
            raise FormatError("project-manifest", f"{path} must be a file")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise no_project(folder) from error
    except (OSError, ValueError) as error:
        raise FormatError("project-manifest", f"{folder} must hold a {MANIFEST} ({error})") from error


def no_project(folder: Path) -> FormatError:
    """Say in plain words that a folder is no project."""
    return FormatError(
        "project-manifest", f"{folder} must hold a {MANIFEST}, as every project of pcedge export does; it holds none"
    )


def tops_named(manifest: Manifest, where: str) -> list[str]:
    """Give the tops of a manifest: names of functions, which are names of folders too.

    Raises:
        FormatError: it names none, or what is no name.
    """
    tops = manifest.table.get("tops")
    if not isinstance(tops, list) or not tops or not all(isinstance(t, str) and _TOP.fullmatch(t) for t in tops):
        _refuse(where, f"it must hold tops, the names of functions, of at most {MOST_NAME} letters, {_got(tops)}")
    return list(tops)


def _steps(table: Mapping[str, Any], where: str, jobs: tuple[str, ...]) -> dict[str, int]:
    steps = table.get("steps")
    if not isinstance(steps, dict):
        _refuse(where, f"steps must hold likelihood and code, {_got(steps)}")
    # a program that no job runs is not there
    runs = {"likelihood": "likelihood" in jobs, "code": not set(jobs) <= {"likelihood", "score"}}
    return {name: _count(steps, name, f"{where}: steps") for name, there in runs.items() if there}


def _built_jobs(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    jobs = table.get("built_jobs", list(BUILT_JOBS))
    if not isinstance(jobs, list) or not jobs or list(jobs) != [job for job in EVERY_JOB if job in jobs]:
        _refuse(where, f"built_jobs must be some of {', '.join(EVERY_JOB)}, in this order, {_got(jobs)}")
    return tuple(jobs)


def _stage(table: Mapping[str, Any], where: str) -> dict[str, int] | None:
    stage = table.get("stage")
    if stage is None:
        return None
    if not isinstance(stage, dict):
        _refuse(where, f"stage must be a table, {_got(stage)}")
    counts = {name: _count(stage, name, f"{where}: stage") for name in ("golden_numbers", "columns")}
    size = stage.get("golden_bytes")
    if type(size) is not int or not 0 <= size <= MOST_WORD:  # a stage may have no raw bits
        _refuse(where, f"stage: golden_bytes must be a whole number in 0..{MOST_WORD}, {_got(size)}")
    return counts | {"golden_bytes": size}


def _size(table: Mapping[str, Any], where: str) -> EngineSize | None:
    sizes = {name: table[name] for name in ("macs", "streams", "search_bits") if name in table}
    for name, size in sizes.items():
        if type(size) is not int:
            _refuse(where, f"{name} must be a whole number, {_got(size)}")
    if table.get("kernel") == RTL:
        return _rtl_size(table, where)
    try:
        return EngineSize(**sizes) if sizes else None
    except UsageError as error:
        raise FormatError("project-manifest", f"{where}: {error}") from error


def _rtl_size(table: Mapping[str, Any], where: str) -> EngineSize:
    """Check the sizes of an engine in SystemVerilog, of which only those of all cores are the driver's."""
    named = {name: _count(table, name, where) for name in ("macs", "streams", "lanes", "table_lanes")}
    cores = table.get("cores", 1)
    if type(cores) is not int or cores < 1 or any(named[name] % cores for name in ("macs", "streams")):
        _refuse(where, f"cores must be a whole number that macs and streams are multiples of, {_got(cores)}")
    most = {"streams": MOST_STREAMS, "lanes": named["macs"] // cores, "table_lanes": named["lanes"]}
    for name, size in named.items():
        if size > most.get(name, size):
            _refuse(where, f"{name} must be at most {most[name]}, {_got(size)}")
    try:
        return EngineSize(named["macs"] // cores, named["streams"])
    except UsageError as error:
        of_each = "" if cores == 1 else f", of each of {cores} cores"
        raise FormatError("project-manifest", f"{where}: {error}{of_each}") from error


def _capacity(table: Mapping[str, Any], where: str) -> Capacity | None:
    reload = table.get("reload", False)
    if type(reload) is not bool:
        _refuse(where, f"reload must be true or false, {_got(reload)}")
    return capacity_from(table.get("capacity"), where) if reload else None


def _count(fields: Mapping[str, Any], name: str, where: str) -> int:
    count = fields.get(name)
    if type(count) is not int or not 1 <= count <= MOST_WORD:
        _refuse(where, f"{name} must be a whole number in 1..{MOST_WORD}, {_got(count)}")
    return count


def _got(value: object) -> str:
    return "got none" if value is None else f"got {shown(value)}"


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"a number must be finite, got {text}")


def _refuse(where: str, what: str) -> NoReturn:
    raise FormatError("project-manifest", f"{where}: {what}")
