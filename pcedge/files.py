"""Files that are written whole or not at all, and what killed runs leave of them.

A temporary is locked by the process that writes it, for as long as it lives. So a later run tells what a killed one has
left from what another is still writing, and removes the former.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

#: names of temporaries; nobody gives a file of his own such a name
_NAME = re.compile(r"\.pcedge-[0-9a-f]{16}\.tmp")

#: folders that this process has looked through
_swept: set[Path] = set()


def is_safetensors(head: bytes) -> bool:
    """Tell a safetensors file by its first 9 bytes: a header's length below 2^32 in 8 bytes, then JSON.

    A program file has its version where the length has zeros, and may have any byte after it.
    """
    return head[4:9] == b"\0\0\0\0{"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of an empty file to write to, which takes the place of `path` in one move.

    It is on the disk before it moves, and where the block ends in an error an older file stays. A link's target is
    replaced, not the link. Runs that write one path at the same time do not meet: the last one's file stays. A file
    that is replaced leaves the new one its permissions, and its owner where that may be set.

    Raises:
        OSError: the folder is none or is not writable, the file that is there is read-only, or the disk is full.
    """
    path = Path(os.path.realpath(path))
    refuse_read_only(path)
    before = path.stat() if path.exists() else None
    with _temporary(path.parent, folder=False) as fresh:
        try:
            if before is not None:
                # From the beginning: nobody who may not read the old file reads the new one.
                fresh.chmod(before.st_mode & 0o777 | 0o600)
            yield fresh
            with fresh.open("r+b") as file:
                os.fsync(file.fileno())
            if before is not None:
                _hand_on(fresh, before)
            os.replace(fresh, path)
        except OSError as error:
            # numpy tells how many bytes were written, the system why not, and neither where.
            if error.filename is None:
                why = error.strerror or error
                raise OSError(f"{path} must take what is written to it, it does not: {why}") from error
            raise
        _sync_folder(path.parent)


def refuse_read_only(path: Path) -> None:
    """Refuse to replace a file that nobody, or not this user, may write.

    Raises:
        PermissionError: it is one.
    """
    if path.is_file() and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
        raise PermissionError(f"{path} must be writable to be replaced, it is read-only: allow it, or remove the file")


def _hand_on(fresh: Path, before: os.stat_result) -> None:
    """Give a file the owner and the permissions of the one that it replaces."""
    if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(OSError):  # not everybody may
            os.chown(fresh, before.st_uid, before.st_gid)
    fresh.chmod(before.st_mode & 0o777)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep runs that ask for it too away from a file that is read and then replaced.

    Raises:
        OSError: another run has it, or it is not there.
    """
    path = Path(os.path.realpath(path))
    handle = os.open(path, os.O_RDWR)
    try:
        # Where there are no locks (None) nobody is kept away.
        if _lock(handle) is False or not _is(handle, path):
            raise OSError(f"{path} must not be written by two runs at once, another one has it")
        yield
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one move, see `replacing`; what is no file of its own, such as a pipe, is written to."""
    # A temporary is moved by whoever made it.
    if _NAME.fullmatch(path.name) or not is_replaced(path):
        path.write_bytes(data)
        return
    with replacing(path) as fresh:
        fresh.write_bytes(data)


def is_replaced(path: Path) -> bool:
    """Tell an output that a new file takes the place of from one that is written to where it is, such as a pipe."""
    return descriptor_of(path) is None and (path.is_file() or not path.exists())


def descriptor_of(path: Path) -> int | None:
    """Give the number of the open file that a name such as /dev/stdout means; None for other names."""
    numbers = {os.path.realpath("/proc/self/fd"), "/dev/fd"}
    for _ in range(40):  # links that go round in circles
        if os.path.realpath(path.parent) in numbers and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None


@contextlib.contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Give an empty folder that is removed in the end, also by a later run where this one is killed.

    Args:
        parent: where it is made; None takes the system's place for temporary files.
    """
    with _temporary(Path(tempfile.gettempdir()) if parent is None else parent, folder=True) as fresh:
        yield fresh


def exchange(first: Path, second: Path) -> bool:
    """Swap two folders of one file system in one move; tell whether this system can."""
    import ctypes

    # The same flag and arguments, by two names: RENAME_EXCHANGE and RENAME_SWAP.
    name, here = {"linux": ("renameat2", -100), "darwin": ("renameatx_np", -2)}.get(sys.platform, ("", 0))
    swap = getattr(ctypes.CDLL(None), name, None) if name else None
    return swap is not None and swap(here, os.fsencode(first), here, os.fsencode(second), ctypes.c_uint(2)) == 0


def sweep(folder: Path) -> None:
    """Remove what killed runs of this user have left in a folder; what living ones write stays."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_left(Path(entry.path))


def _remove_if_left(path: Path) -> None:
    kind = path.lstat().st_mode
    if not hasattr(os, "geteuid") or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        return
    # A lock over a network is had by a file that is open for writing only; folders cannot be.
    handle = os.open(path, os.O_NOFOLLOW | (os.O_RDONLY if stat.S_ISDIR(kind) else os.O_RDWR))
    try:
        if os.fstat(handle).st_uid == os.geteuid() and _lock(handle) and _is(handle, path):
            _remove(path)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _temporary(parent: Path, folder: bool) -> Iterator[Path]:
    parent = Path(os.path.realpath(parent))
    if parent not in _swept:
        _swept.add(parent)
        sweep(parent)
    fresh, handle = _make(parent, folder)
    try:
        yield fresh
    finally:
        _remove(fresh)
        if handle is not None:
            os.close(handle)


def _make(parent: Path, folder: bool) -> tuple[Path, int | None]:
    """Make a temporary that nobody else has; give it with the open file that holds its lock."""
    while True:
        fresh = parent / f".pcedge-{os.urandom(8).hex()}.tmp"
        try:
            if folder:
                fresh.mkdir(mode=0o700)
            else:
                # Not mkstemp, whose files nobody else may read: this one becomes the result, with usual permissions.
                os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except OSError as error:
            # Nobody has given the temporary its name.
            raise type(error)(f"the folder {parent} must take new files, it does not: {error.strerror}") from error
        if sys.platform == "win32":
            return fresh, None  # an open file could not be moved there
        try:
            handle = os.open(fresh, os.O_RDONLY if folder else os.O_RDWR)
        except FileNotFoundError:  # another run swept it before it was locked
            continue
        # Where there are no locks (None) it cannot be swept either.
        if _lock(handle) is not False and _is(handle, fresh):
            return fresh, handle
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Lock an open file for as long as it is open; tell whether nobody else had, None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is(handle: int, path: Path) -> bool:
    """Tell whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """Remove a temporary, if it is still there; what cannot be removed is left to a later run."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _sync_folder(folder: Path) -> None:
    """Put a move on the disk; some systems cannot, and lose no more than the move by it."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
