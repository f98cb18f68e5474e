"""What libraries say about damaged files, turned into one typed error."""

from __future__ import annotations

import csv
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcedge.errors import DataError, PcedgeError


@contextmanager
def refused(path: Path, expected: str) -> Iterator[None]:
    """Turn what the libraries say about a damaged file into a DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns of headers that it repairs by guessing
            yield
    except (
        OSError, EOFError, ValueError, TypeError, KeyError, SyntaxError, MemoryError, OverflowError, RuntimeError,
        NotImplementedError, Warning, tokenize.TokenError, zipfile.BadZipFile, zlib.error, csv.Error, struct.error,
    ) as error:  # fmt: skip
        _refuse_unreadable(path)
        raise DataError(f"{path} must be a whole {expected} ({type(error).__name__}: {error})") from error


@contextmanager
def foreign(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a library of a format says about a damaged file into a DataError: nobody lists what they raise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that are odd and readable
            yield
    except PcedgeError:
        raise
    except Exception as error:
        _refuse_unreadable(path)
        text = str(error).strip().splitlines()
        said = f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
        raise DataError(f"{path} must be a whole {expected} ({said})") from error


def _refuse_unreadable(path: Path) -> None:
    """Tell a file that cannot be read at all, as for its permissions, from a damaged one.

    Raises:
        DataError: it cannot be read.
    """
    try:
        if path.is_dir():
            os.scandir(path).close()
        elif path.is_file():
            with path.open("rb") as file:
                file.read(1)
    except OSError as error:
        raise DataError(f"{path} must be readable, it is not: {error.strerror}") from error
