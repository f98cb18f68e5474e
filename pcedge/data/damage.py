"""What libraries say about damaged files, turned into one typed error."""

from __future__ import annotations

import csv
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
        text = str(error).strip().splitlines()
        said = f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
        raise DataError(f"{path} must be a whole {expected} ({said})") from error
