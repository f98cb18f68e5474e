"""The project directory of a target: sources, memories, testbench, golden vectors, tool scripts, manifest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from pathlib import Path, PurePosixPath
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from pcedge.errors import FormatError, UsageError
from pcedge.export.project.manifest import MANIFEST, Manifest, load_files, make_manifest, manifest_bytes
from pcedge.export.target import Target
from pcedge.export.vitis.files import Sources, vendor_files
from pcedge.files import exchange, scratch

#: golden records where the caller gives no data
GOLDEN_RECORDS = 16

#: the earliest time that an archive can say
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class ProjectPlan:
    """Hold all files of a project before any is written: one value for a folder, an archive, a comparison."""

    manifest: Manifest
    #: bytes of every file by its name below the folder, in the order of names, without the manifest
    files: Mapping[str, bytes]

    @property
    def contents(self) -> dict[str, bytes]:
        """Give all files, the manifest first."""
        return {MANIFEST: self.manifest.to_json(), **self.files}

    @property
    def digest(self) -> bytes:
        """Hash names and bytes of all files, the manifest included: SHA-256 of a line of `sha256sum` for each."""
        lines = (f"{sha256(data).hexdigest()}  {name}\n" for name, data in self.contents.items())
        return sha256("".join(lines).encode()).digest()

    def to_zip(self) -> bytes:
        """Pack all files into a ZIP archive; the same plan gives the same bytes."""
        buffer = BytesIO()
        # Stored and not deflated, whose bytes depend on the version of zlib.
        with ZipFile(buffer, "w", ZIP_STORED) as archive:
            for name, data in self.contents.items():
                entry = ZipInfo(name, ZIP_EPOCH)
                entry.create_system, entry.external_attr = 3, 0o644 << 16  # as of Unix, wherever it is made
                archive.writestr(entry, data)
        return buffer.getvalue()


def plan_project(manifest: Mapping[str, object], files: Mapping[str, bytes]) -> ProjectPlan:
    """Make the plan of a project.

    Args:
        manifest: what the manifest says, without `files`.
        files: bytes by name below the folder.

    Raises:
        FormatError: a name is refused, see `check_names`, or the manifest could not be read again.
    """
    ordered = {name: files[name] for name in sorted(files)}
    return ProjectPlan(make_manifest({**manifest, "files": list(ordered)}), ordered)


def write_plan(plan: ProjectPlan, out: str | Path) -> Path:
    """Write a project directory, see `staged`."""
    with staged(plan, out):
        return Path(out)


@contextmanager
def staged(plan: ProjectPlan, out: str | Path, own: Sequence[str] = ()) -> Iterator[Path]:
    """Give a project in a folder of its own, which takes its place when the block ends: the old project or the new one.

    What the block adds to the folder comes along; where it ends in an error, or the process is killed, an earlier
    project stays as it was. The directory may be a link to one. Within it nothing is written or deleted through a
    link, and files that are not the project's stay. Where folders cannot be swapped (Windows; the directory or one
    within it is where the process is, or is mounted) the new files replace the old ones one by one.

    Args:
        plan: the files.
        out: the directory.
        own: names of files that the block may write: of an earlier project they are its own too. It is read when the
            block has ended, which may add to it.

    Raises:
        UsageError: the directory holds something else than an earlier project, or a link, a file or a folder where
            the project has a folder or a file.
    """
    folder = Path(out)
    old = _files_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder.parent} must be a directory, or a place for one") from error
    target = folder.resolve()
    _check_places(target, old)
    names = list(plan.files)
    _check_places(target, names)
    for path in (target / name for name in plan.contents):
        if path.is_dir() and not path.is_symlink():
            raise UsageError(f"{path} must be a file of the project, it is a folder")
    with scratch(target.parent) as beside:
        fresh = beside / "project"  # with the usual permissions, which a scratch folder does not have
        fresh.mkdir()
        for name, data in plan.contents.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(data)
        yield fresh
        added = [name for name in own if (fresh / name).is_file()]
        _check_places(target, added)
        _replace(fresh, target, [*names, *added], [*old, *own] if old else [])


def _replace(fresh: Path, folder: Path, names: list[str], old: list[str]) -> None:
    """Put a new project in the place of an earlier one, or where there is none."""
    with suppress(OSError):  # there may be no links, or a mounted folder
        if not folder.exists():
            os.replace(fresh, folder)
            return
        if folder not in (Path.cwd(), *Path.cwd().parents):
            _carry(folder, fresh, names, old)
            if exchange(fresh, folder):
                return
    _move(fresh, folder, names, old)


def _carry(folder: Path, fresh: Path, names: list[str], old: list[str]) -> None:
    """Link into a new project all that is in the folder of the earlier one, but for what is the project's."""
    shutil.copymode(folder, fresh)
    written, gone = {name.lower() for name in names}, {MANIFEST, *names}
    gone |= {name for name in old if name.lower() not in written}
    for place, folders, others in os.walk(folder):
        below = Path(place).relative_to(folder)
        for name in folders:
            if (Path(place) / name).is_symlink():
                others.append(name)
            else:
                (fresh / below / name).mkdir(exist_ok=True)
                shutil.copystat(Path(place) / name, fresh / below / name)
        for name in others:
            if (below / name).as_posix() not in gone:
                os.link(Path(place) / name, fresh / below / name, follow_symlinks=False)


def _files_of(folder: Path) -> list[str]:
    """List the files of the project that a directory holds; none for a new or empty one.

    Raises:
        UsageError: the directory holds something else, or a project whose manifest names what is not its own.
    """
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return []
    try:
        return load_files(manifest_bytes(folder), str(folder / MANIFEST))
    except FormatError as error:
        raise UsageError(
            f"{folder} must be a new or empty directory, or an earlier project; it holds other files ({error})"
        ) from error


def _check_places(folder: Path, names: Sequence[str]) -> None:
    """Refuse to go through a link out of a project's folder, or through a file.

    Args:
        folder: the directory, without links.
        names: names that `check_names` has passed.

    Raises:
        UsageError: a folder on the way to a file is a link or a file.
    """
    for name in names:
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            inner = folder / parent
            if os.path.lexists(inner) and (not inner.is_dir() or inner.resolve() != inner):
                raise UsageError(f"{inner} must be a folder of the project itself, it is a link or a file")


def _move(fresh: Path, folder: Path, names: list[str], old: list[str]) -> None:
    """Replace an earlier project's files, and no others, by the new ones; the manifest first, so that it names both."""
    for name in [MANIFEST, *names]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh / name, folder / name)
    # Where a file system knows no capitals, an old name may be a new file.
    written = {name.lower() for name in names}
    for name in old:
        path = folder / name
        if name.lower() not in written and (path.is_file() or path.is_symlink()):
            path.unlink()


def template(room: str, name: str) -> str:
    """Read a shipped template of a room of `pcedge.export`."""
    return files(f"pcedge.export.{room}").joinpath("templates", name).read_text(encoding="utf-8")


def kernel_headers() -> dict[str, bytes]:
    """Give the shipped headers of the kernels by their paths, as sources include them: `pcedge/arith/leaf.hpp`."""
    rooms = files("pcedge.hls").joinpath("include/pcedge").iterdir()
    return {
        f"pcedge/{folder.name}/{header.name}": header.read_bytes()
        for folder in sorted(rooms, key=lambda folder: folder.name)
        for header in sorted(folder.iterdir(), key=lambda header: header.name)
    }


def vendor_plan(target: Target, tops: dict[Sources, tuple[str, ...]]) -> dict[str, bytes]:
    """Give the vendor's part of a project."""
    return {name: text.encode() for name, text in vendor_files(target, tops).items()}
