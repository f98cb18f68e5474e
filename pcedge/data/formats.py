"""Readers of formats by the libraries that keep them: MAT, HDF5, NetCDF, LAS, EDF, WFDB, FITS, TIFF (docs/data.md).

Numbers are read as they are stored: codes of converters, not volts; scale factors are left alone. Each library is an
extra, imported where its format is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import foreign
from pcedge.data.sounds import FLAC, WAV, read_flac, read_wav
from pcedge.errors import DataError, MissingToolError, PcedgeError
from pcedge.extras import needing
from pcedge.limits import check_bytes

Array = NDArray[Any]
Arrays = dict[str, Array]

#: names of arrays that are splits of one data set
SPLITS = ("train", "valid", "test")

#: the filter of HDF5 that compresses with a circuit; of 256 to 511, for those not registered with HDF5's makers
HDF5_FILTER = 446

#: name of the one array of a file that gives it none
ONE = ""

#: the first bytes of files of these formats, where a name does not say, as that of a pipe does not
MAGIC = {
    b"fLaC": ".flac", b"\x89HDF\r\n\x1a\n": ".h5", b"LASF": ".las", b"PAR1": ".parquet", b"ARROW1": ".arrow",
    b"SIMPLE  =": ".fits", b"II*\0": ".tif", b"MM\0*": ".tif", b"CDF\1": ".nc", b"CDF\2": ".nc",
    b"MATLAB 5.0 MAT-file": ".mat",
}  # fmt: skip


def _afford(path: Path, needed: int) -> None:
    """Refuse packed numbers that a small file can stand for, before they are unpacked."""
    check_bytes("packed", 2 * needed, path.stat().st_size, str(path), DataError, "; a .npy file may have any size")


def _wav(path: Path, name: str | None) -> Arrays:
    return {ONE: read_wav(path)}


def _flac(path: Path, name: str | None) -> Arrays:
    return {ONE: read_flac(path)[0]}


def _mat(path: Path, name: str | None) -> Arrays:
    with path.open("rb") as file:
        newer = file.read(10) == b"MATLAB 7.3"
    if newer:
        # It is HDF5; MATLAB's arrays lie with the first axis fastest.
        return {key: array.T for key, array in _hdf5(path, name).items() if not key.startswith("#")}
    with needing("scipy", "mat", "reading MAT files"):
        from scipy.io import loadmat, whosmat
    with foreign(path, "MAT file"):
        for found, shape, _ in whosmat(str(path)):
            if name in (None, found):
                _afford(path, 8 * int(np.prod(shape, dtype=object)))
        loaded = loadmat(str(path), variable_names=None if name is None else [name])
        arrays = {key: value for key, value in loaded.items() if not key.startswith("__")}
        return {
            key: value for key, value in arrays.items() if isinstance(value, np.ndarray) and _are_numbers(value.dtype)
        }


def _hdf5(path: Path, name: str | None) -> Arrays:
    with needing("h5py", "hdf5", "reading HDF5 files"):
        import h5py
    with foreign(path, "HDF5 file"), h5py.File(path, "r") as file:
        found: dict[str, Any] = {}

        def visit(key: str, entry: Any) -> None:
            # A dimension of NetCDF without values is a data set without meaning.
            said = entry.attrs.get("NAME", b"")
            nothing = isinstance(said, bytes) and said.startswith(b"This is a netCDF dimension but not")
            if isinstance(entry, h5py.Dataset) and entry.ndim and not nothing and _are_numbers(entry.dtype):
                found[key] = entry

        file.visititems(visit)
        splits = [key for key in found if key in SPLITS]
        meant = [name] if name is not None else splits or list(found)
        # Of many, of which none is named, only the shapes are told.
        read = len(meant) == 1 or bool(splits)
        arrays: Arrays = {}
        for key in found if name is None else [key for key in found if key == name]:
            entry = found[key]
            if read and key in meant:
                if entry.external or entry.is_virtual:
                    raise DataError(f"{path}::{key} must hold its numbers itself, they lie in other files")
                _afford(path, entry.nbytes)
                arrays[key] = _dataset(path, key, entry)
            else:
                arrays[key] = np.broadcast_to(np.zeros((), entry.dtype), entry.shape)
        return arrays


def _dataset(path: Path, key: str, entry: Any) -> Array:
    """Read a dataset whole.

    Raises:
        MissingToolError: HDF5 lacks a filter that restores it.
        DataError: a circuit compressed it that is not found, or a chunk is damaged.
    """
    made = entry.id.get_create_plist()
    filters = {number: name for number, _, _, name in map(made.get_filter, range(made.get_nfilters()))}
    if HDF5_FILTER in filters:
        # Only such a dataset needs the codec.
        from pcedge.codec.hdf5_filter import read

        try:
            return read(entry)
        except PcedgeError as error:
            raise DataError(f"{path}::{key} must be restored by pcedge's filter, it is not: {error}") from error
    from h5py import h5z

    for number, name in filters.items():
        if not h5z.filter_avail(number):
            raise MissingToolError(
                f"{path}::{key} needs HDF5's filter {number} ({name.decode(errors='replace') or 'without a name'}), "
                "which is not there; HDF5_PLUGIN_PATH names folders of filters, pip install hdf5plugin brings many"
            )
    return np.asarray(entry[()])


def _netcdf(path: Path, name: str | None) -> Arrays:
    with path.open("rb") as file:
        classic = file.read(3) == b"CDF"
    if not classic:
        return _hdf5(path, name)
    with needing("scipy", "netcdf", "reading NetCDF files"):
        from scipy.io import netcdf_file
    with foreign(path, "NetCDF file"), netcdf_file(str(path), "r", mmap=False, maskandscale=False) as file:
        return {key: np.array(entry[:]) for key, entry in file.variables.items() if entry.shape}


def _las(path: Path, name: str | None) -> Arrays:
    with needing("laspy", "las", "reading LAS and LAZ files"):
        import laspy
    with foreign(path, "LAS or LAZ file"), laspy.open(str(path)) as reader:
        count, size = reader.header.point_count, reader.header.point_format.size
        _afford(path, count * size)
        points = reader.read().points.array
        if len(points) != count:
            raise ValueError(f"{count} points must follow its header, {len(points)} do")
        return {ONE: np.asarray(points)}


def _edf(path: Path, name: str | None) -> Arrays:
    with needing("edfio", "edf", "reading EDF and BDF files"):
        import edfio
    with foreign(path, "EDF or BDF file"):
        read = edfio.read_bdf if path.suffix.lower() == ".bdf" else edfio.read_edf
        signals = read(path).signals
        arrays: Arrays = {}
        for signal in signals:
            key = signal.label
            while key in arrays:
                key += "'"
            arrays[key] = np.asarray(signal.digital)
        # Signals of one rate are a table; others stand for themselves.
        if name is None and arrays and len({(len(a), a.dtype) for a in arrays.values()}) == 1:
            return {ONE: np.stack(list(arrays.values()), axis=1)}
        return arrays


def _wfdb(path: Path, name: str | None) -> Arrays:
    with needing("wfdb", "wfdb", "reading WFDB records"):
        import wfdb
    with foreign(path, "WFDB record"):
        record = wfdb.rdrecord(str(path.resolve().with_suffix("")), physical=False, smooth_frames=False)
        arrays: Arrays = {}
        for number, (signal, form) in enumerate(zip(record.e_d_signal, record.fmt, strict=True)):
            key = record.sig_name[number] or str(number)
            while key in arrays:
                key += "'"
            arrays[key] = signal.astype("int32" if form in ("24", "32", "524", "508") else "int16")
        if name is None and len({(len(a), a.dtype) for a in arrays.values()}) == 1:
            return {ONE: np.stack(list(arrays.values()), axis=1)}
        return arrays


def _fits(path: Path, name: str | None) -> Arrays:
    with needing("astropy", "fits", "reading FITS files"):
        from astropy.io import fits
    arrays: Arrays = {}
    options = {"memmap": False, "lazy_load_hdus": False, "do_not_scale_image_data": True, "character_as_bytes": True}
    # Opened here: astropy leaves a damaged file open.
    with foreign(path, "FITS file"), path.open("rb") as file, fits.open(file, mode="readonly", **options) as units:
        for number, unit in enumerate(units):
            key = unit.name if unit.name and unit.name != "PRIMARY" and unit.name not in arrays else str(number)
            if name not in (None, key, str(number)):
                continue
            if isinstance(unit, fits.BinTableHDU) and not isinstance(unit, fits.CompImageHDU):
                if any(column.format.strip("0123456789")[:1] in "PQ" for column in unit.columns):
                    raise DataError(f"{path}::{key} must have columns of fixed sizes, one has not")
                _afford(path, unit.size)
                arrays[key if name is None else name] = np.array(unit.data.view(np.ndarray).view(unit.data.dtype))
            elif unit.data is not None:
                arrays[key if name is None else name] = np.array(unit.data)
    return arrays


def _tiff(path: Path, name: str | None) -> Arrays:
    with needing("tifffile", "tiff", "reading TIFF files"):
        import tifffile
    arrays: Arrays = {}
    with foreign(path, "TIFF file"), tifffile.TiffFile(path) as file:
        series = file.series
        for number, part in enumerate(series):
            key = ONE if len(series) == 1 else str(number)
            if name in (None, key):
                _afford(path, part.nbytes)
                pixels = np.asarray(part.asarray())
                # An image alone is one record, as a PNG is.
                alone = pixels.ndim == 2 or (pixels.ndim == 3 and part.axes in ("YXS", "SYX"))
                arrays[key] = pixels[None] if alone else pixels
    return arrays


#: by the suffix of a name
READERS: dict[str, Callable[[Path, str | None], Arrays]] = {
    **dict.fromkeys(WAV, _wav), **dict.fromkeys(FLAC, _flac), ".mat": _mat,
    **dict.fromkeys((".h5", ".hdf5", ".he5"), _hdf5), **dict.fromkeys((".nc", ".nc4", ".cdf"), _netcdf),
    **dict.fromkeys((".las", ".laz"), _las), **dict.fromkeys((".edf", ".bdf"), _edf), ".hea": _wfdb,
    **dict.fromkeys((".fits", ".fit", ".fts"), _fits), **dict.fromkeys((".tif", ".tiff"), _tiff),
}  # fmt: skip


def _are_numbers(dtype: np.dtype[Any]) -> bool:
    return not dtype.hasobject and (dtype.kind in "biufc" or dtype.names is not None)


def suffix_of(path: Path) -> str | None:
    """Give the suffix whose reader takes a file: by its name, by its first bytes, or by the WFDB header beside it."""
    suffix = path.suffix.lower()
    if suffix in READERS:
        return suffix
    if suffix == ".dat" and path.with_suffix(".hea").is_file():
        return ".hea"
    if suffix:
        return None
    with path.open("rb") as file:
        begin = file.read(32)
    if begin[:4] == b"RIFF" and begin[8:12] == b"WAVE":
        return ".wav"
    found = next((known for magic, known in MAGIC.items() if begin.startswith(magic)), None)
    return found if found in READERS else None


def read_format(path: Path, name: str | None) -> Arrays:
    """Read the arrays of a file; of many that can be told apart without being read, only the one that is named.

    Raises:
        DataError: the file is damaged.
        MissingToolError: the library is not installed.
    """
    suffix = suffix_of(path)
    assert suffix is not None
    return dict(_records(READERS[suffix](path, name)))


def _records(arrays: Arrays) -> Iterator[tuple[str, Array]]:
    for key, array in arrays.items():
        yield key, array[:, None] if array.ndim == 1 and array.dtype.names is None else array
