"""Readers of integers: the shipped digits, numpy and IDX files, images, tables, raw binary. Nothing is unpickled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.binary import read_idx, read_npy, read_npz, read_raw
from pcedge.data.column_spec import source_of
from pcedge.data.damage import refused
from pcedge.data.formats import READERS, SPLITS, read_format, suffix_of
from pcedge.data.gridded import array_symbols, frame_symbols, read_header, suffixes, table_symbols
from pcedge.data.images import IMAGES, read_folder, read_image
from pcedge.data.reading import PLAIN, Reading
from pcedge.data.sounds import read_sounds, sounds_of
from pcedge.data.table import TABLES, TEXTS, Head, holds_table, read_head, read_table
from pcedge.data.typed_tables import ARFF, ARROW, PARQUET, least_integers, read_typed_table
from pcedge.errors import DataError, UsageError

#: integer records, or any array that a reader found in a file
Array = NDArray[Any]

#: name of the shipped data set: UCI "Optical Recognition of Handwritten Digits", CC BY 4.0
DIGITS = "digits"
DIGITS_FILE = Path(__file__).with_name("digits.npz")

#: what readers accept, for messages
ACCEPTED = (
    "end in .npy, .npz, .idx, -ubyte or .gz (IDX), .csv, .tsv, .data or .txt, .png or .pgm, .wav, .flac, .mat, .h5, "
    ".nc, .parquet, .arrow, .arff, .las, .laz, .edf, .bdf, .hea (WFDB), .fits or .tif, be a folder of images or "
    "recordings, or be raw binary with --dtype"
)

#: suffixes of tables whose columns have types of their own
_TYPED_TABLES = PARQUET + ARROW + ARFF

#: suffixes that say what a file holds
KNOWN = (".npy", ".npz", ".gz", ".idx", *TABLES, *IMAGES, *_TYPED_TABLES, *READERS)

_SHOWN = 12  # arrays of a file that are named in a message


@dataclass(frozen=True, eq=False)
class Splits:
    """Hold a data set's splits: integers of shape (records, …), in the dtype and shape of their file.

    Raises:
        DataError: a split holds no integers or has no records axis, train is empty, or the splits' records differ in
            shape.
    """

    #: what parameters are learned from
    train: Array
    #: what training may look at to know when to stop
    valid: Array | None = None
    #: what training never looks at
    test: Array | None = None
    #: whether floats and records with fields are splits too, until they are mapped
    typed: bool = False

    def __post_init__(self) -> None:
        """Check dtypes and shapes."""
        for name in SPLITS:
            split = getattr(self, name)
            if split is None:
                continue
            _check_array(split, f"split {name}", self.typed)
            if split.shape[1:] != self.train.shape[1:]:
                raise DataError(
                    f"all splits must have records of one shape, train has {self.train.shape[1:]}, "
                    f"{name} has {split.shape[1:]}"
                )
        if len(self.train) == 0:
            raise DataError(f"split train must hold at least one record, got shape {self.train.shape}")

    def map(self, change: Callable[[Array], Array]) -> Splits:
        """Change every split in the same way, to integers."""
        valid, test = (None if split is None else change(split) for split in (self.valid, self.test))
        return Splits(change(self.train), valid, test)


def load_data(source: str | Path, reading: Reading = PLAIN) -> Splits:
    """Load a data set with its splits.

    Args:
        source: `digits` for the shipped set, or a file: `.npz` with the arrays train and, if there are any, valid and
            test; a folder of images with subfolders of these names; `.npy`, IDX (`.gz` too), `.csv`, raw binary, or a
            folder of images, whose one array becomes train.
        reading: what the file does not say itself.

    Raises:
        DataError: there is no such file, it breaks its format, or its arrays are no integer records.
        UsageError: the file says itself what `reading` says, or needs it.

    Example:
        >>> load_data("digits").test.shape
        (360, 8, 8)
    """
    if reading.grid is not None:
        arrays = _gridded(source, reading)
        found = {name: arrays[name] for name in SPLITS if name in arrays}
        if "train" not in found:
            raise DataError(f"{source} must hold an array named train, it holds {_names(arrays)}")
        return Splits(found["train"], found.get("valid"), found.get("test"))
    arrays = _read(source, reading)
    if "train" not in arrays:
        raise DataError(f"{source} must hold an array named train, it holds {_names(arrays)}")
    found = {name: _integers(arrays[name], f"split {name}", reading) for name in SPLITS if name in arrays}
    return Splits(found["train"], found.get("valid"), found.get("test"), reading.typed)


def load_array(path: str | Path, reading: Reading = PLAIN) -> Array:
    """Load the one array to be coded or verified.

    Args:
        path: a file of one array for it; one with splits, or the name `digits`, for its split test, else valid, else
            train.
        reading: what the file does not say itself.

    Raises:
        DataError: there is no such file, it breaks its format, or its array holds no integer records.
        UsageError: the file says itself what `reading` says, or needs it.

    Example:
        >>> load_array("digits").shape
        (360, 8, 8)
    """
    where, array = _one(path, reading)
    array = _integers(array, where, reading)
    _check_array(array, where, reading.typed)
    return array


def load_labels(path: str | Path, reading: Reading = PLAIN) -> Array:
    """Load a label a record: integers of shape (N,), from a file of one array or of splits as `load_array` takes it.

    Raises:
        DataError: there is no such file, it breaks its format, or it holds anything but one integer a record.
    """
    where, labels = _one(path, reading)
    if labels.dtype.kind not in "iub":
        raise DataError(f"{where} must hold labels that are integers, got {labels.dtype}")
    if not labels.ndim or labels.shape[1:] not in ((), (1,)):
        raise DataError(f"{where} must hold a label a record, shape (records,), got {labels.shape}")
    return labels.reshape(-1)


def is_table(source: str | Path, reading: Reading = PLAIN) -> bool:
    """Tell whether a source is read as a table, by its name; where it may be raw binary too, by what it holds."""
    path, _ = split_name(source)
    if path.name.lower().endswith(TEXTS) and (reading.dtype is not None or _is_raw(reading)):
        return reading.shape is None and holds_table(path)
    return path.name.lower().endswith(TABLES + TEXTS) and not path.is_dir()


def table_head(source: str | Path, reading: Reading = PLAIN) -> Head | None:
    """Give the first line of a table, and whether it is taken as a header; None for what is no table, or is empty.

    Raises:
        DataError: the file cannot be read.

    Example:
        >>> table_head("digits") is None
        True
    """
    if not is_table(source, reading):
        return None
    path, _ = split_name(source)
    return read_head(path, reading.header) if reading.grid is None else read_header(path, reading.grid, reading.header)


def split_name(source: str | Path) -> tuple[Path, str | None]:
    """Take `FILE::NAME`, the array of a name in a file, apart; a file whose own name has `::` in it goes first.

    Example:
        >>> split_name("x.mat::ecg")
        (PosixPath('x.mat'), 'ecg')
    """
    file, colons, name = str(source).partition("::")
    if not colons or Path(source).exists():
        return Path(source), None
    return Path(file), name


def notes_of(source: str | Path) -> tuple[str, ...]:
    """Say what was made of a folder of recordings, which may be read in two ways; nothing for other sources."""
    path, _ = split_name(source)
    if not path.is_dir() or not sounds_of(path):
        return ()
    return (f"{source}: {read_sounds(path)[1]}",)


def _is_raw(reading: Reading) -> bool:
    """Tell whether the columns that are told have types, so that they may be those of raw binary."""
    return bool(reading.columns) and all(spec.dtype is not None for spec in reading.columns)


def _gridded(source: str | Path, reading: Reading) -> dict[str, Array]:
    """Read all arrays of a source as symbols of a grid."""
    grid, told = reading.grid, (reading.missing, reading.partial)
    assert grid is not None
    path, chosen = split_name(source)
    if is_table(source, reading) and path.exists():
        _no_name(path, chosen)
        return {"train": table_symbols(path, grid, reading.header, reading.placed, *told)}
    if path.name.lower().endswith(tuple(suffixes())) and path.exists():
        _no_name(path, chosen)
        return {"train": frame_symbols(path, grid, reading.placed, *told)}
    plain = replace(reading, grid=None, missing=None, typed=True, partial=False)
    arrays = _read(source, plain)
    return {name: array_symbols(str(source), grid, reading.placed, array, *told) for name, array in arrays.items()}


def _one(path: str | Path, reading: Reading) -> tuple[str, Array]:
    """Choose the one array that is meant; give its name in messages too."""
    arrays = _read(path, reading) if reading.grid is None else _gridded(path, reading)
    for name in reversed(SPLITS):
        if name in arrays:
            return f"{path}" if len(arrays) == 1 else f"{path}: {name}", arrays[name]
    raise DataError(f"{path} must hold an array named test, valid or train, it holds {_names(arrays)}")


def _check_array(array: Array, where: str, typed: bool) -> None:
    kinds = "iubfcVSmM" if typed else "iub"
    if array.dtype.kind not in kinds or array.dtype.hasobject:
        raise DataError(f"{where} must hold {'numbers' if typed else 'integers'}, got {array.dtype}")
    if array.ndim < (1 if array.dtype.kind in "VSmMc" else 2):
        raise DataError(f"{where} must have shape (records, …), got {array.shape}")


def _integers(array: Array, where: str, reading: Reading) -> Array:
    """Give floats that are integers as integers, where only these are taken."""
    if reading.typed:
        return array
    if array.dtype.kind == "f":
        wide = array.astype(np.float64)
        if reading.missing is not None:
            wide[np.isnan(wide)] = reading.missing
        odd = ~(np.isfinite(wide) & (wide == np.rint(wide)) & (np.abs(wide) <= 2.0**53))
        odd |= np.signbit(wide) & (wide == 0)
        if odd.any():
            value = np.concatenate([wide[~np.isfinite(wide)], wide[odd]])[0]
            raise DataError(
                f"{where} must hold integers, got {array.dtype} such as {value!s}: round or scale it to integers, or "
                "train the circuit on such data, whose columns then take them"
            )
        return least_integers(wide)
    if array.dtype.names is not None:
        raise DataError(
            f"{where} must hold integers, got records of {', '.join(array.dtype.names)}: train the circuit on such "
            "data, whose columns then take them"
        )
    return array


def _names(arrays: dict[str, Array]) -> str:
    return ", ".join(sorted(arrays)) or "nothing"


def _begin(path: Path) -> bytes:
    """Take the first bytes of a file whose name does not say what it holds, as that of a pipe does not."""
    with refused(path, "readable file"), path.open("rb") as file:
        return file.read(6)


def _read(source: str | Path, reading: Reading) -> dict[str, Array]:
    """Read all arrays of a source by name; a file of one array gives it the name train."""
    path, chosen = (DIGITS_FILE, None) if source == DIGITS else split_name(source)
    if not path.is_dir() and not path.exists():
        raise DataError(
            f"{source} must be a file, a folder of images, or the name {DIGITS!r} of the shipped set; "
            "there is no such file"
        )
    name = path.name.lower()
    if is_table(source, reading):
        if reading.shape is not None:
            raise UsageError(f"{source} is a table, whose lines are the records: it takes no shape")
        _no_name(path, chosen)
        told = (reading.missing, reading.number, reading.header, reading.typed, reading.fields)
        return {"train": read_table(path, *told)}
    if reading.header is not None:
        raise UsageError(f"{source} is no table, whose first line could be a header: it takes neither yes nor no")
    if _says_itself(path, reading):
        raise UsageError(f"{source} says itself of which dtype and shape its numbers are: it takes neither")
    if reading.number is not None:
        _no_name(path, chosen)
        return {"train": read_raw(path, reading.number, reading.record)}
    if path.is_dir():
        _no_name(path, chosen)
        with refused(path, "readable folder"):
            sounds = sounds_of(path)
            return {"train": read_sounds(path)[0]} if sounds else read_folder(path, SPLITS)
    if name.endswith(_TYPED_TABLES):
        return {"train": read_typed_table(path, chosen, reading.missing, reading.fields)}
    with refused(path, "readable file"):
        known = suffix_of(path)
    if known is not None:
        return _choose(source, read_format(path, chosen), chosen)
    begin = _begin(path) if not path.suffix else b""
    if name.endswith(".npz") or begin.startswith(b"PK\x03\x04"):
        arrays = read_npz(path, SPLITS if chosen is None else (chosen,))
        arrays = {key: _columned(array) for key, array in arrays.items()}
        return arrays if chosen is None else _choose(source, arrays, chosen)
    if (fields := fields_in(path, reading)) is not None:
        return {"train": read_raw(path, fields, ())}
    _no_name(path, chosen)
    if name.endswith(IMAGES):
        return {"train": read_image(path)}
    if name.endswith(".npy") or begin.startswith(b"\x93NUMPY"):
        return {"train": _columned(read_npy(path))}
    if name.endswith((".gz", "ubyte", ".idx")) or path.suffix.lower().startswith(".idx"):
        return {"train": read_idx(path)}
    raise DataError(f"{source} must {ACCEPTED}, got {path.suffix or repr(path.name)}")


def fields_in(path: Path, reading: Reading) -> np.dtype[Any] | None:
    """Give the type of the records of raw binary that has fields; None for all other files."""
    name = path.name.lower()
    if reading.dtype is not None or not path.is_file() or is_table(path, reading) or suffix_of(path) is not None:
        return None
    if name.endswith((*KNOWN, "ubyte")) or _begin(path).startswith((b"\x93NUMPY", b"PK\x03\x04")):
        return None
    return source_of(reading.columns) if _is_raw(reading) else reading.fields


def _says_itself(path: Path, reading: Reading) -> bool:
    """Tell whether a dtype is given for what has one: a header must never be read as samples."""
    if reading.dtype is None:
        return False
    name = path.name.lower()
    known = (".npz", ".npy", ".gz", "ubyte", ".idx", *IMAGES, *_TYPED_TABLES, *READERS)
    return path.is_dir() or name.endswith(known) or path.suffix.lower().startswith(".idx")


def _columned(array: Array) -> Array:
    """Give a row of numbers as records of one; of IDX files, where labels lie so, this is not done."""
    return array[:, None] if array.ndim == 1 and array.dtype.kind in "iubf" and array.size else array


def _no_name(path: Path, chosen: str | None) -> None:
    if chosen is not None:
        raise UsageError(f"{path} holds one array, which has no name: it takes no ::{chosen}")


def _choose(source: str | Path, arrays: dict[str, Array], chosen: str | None) -> dict[str, Array]:
    """Take the array that is named, the only one, or the splits."""
    if chosen is not None:
        if chosen not in arrays or arrays[chosen].dtype.hasobject:
            path, _ = split_name(source)
            raise DataError(f"{path} must hold an array named {chosen!r}, it holds {_listed(_all(path))}")
        return {"train": arrays[chosen]}
    if any(name in arrays for name in SPLITS):
        return {name: arrays[name] for name in SPLITS if name in arrays}
    if len(arrays) != 1:
        example = f"; {source}::{next(iter(arrays))} names one" if arrays else ""
        raise DataError(f"{source} must hold one array of numbers, it holds {_listed(arrays)}{example}")
    return {"train": next(iter(arrays.values()))}


def _all(path: Path) -> dict[str, Array]:
    """Give all arrays of a file, for a message."""
    return read_npz(path, ("",)) if path.suffix.lower() == ".npz" else read_format(path, None)


def _listed(arrays: dict[str, Array]) -> str:
    shown = [f"{name} {array.dtype} {array.shape}" if array.size else name for name, array in arrays.items()]
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "") if shown else "none"
