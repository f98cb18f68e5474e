"""Test bytes by other lossless codecs: python benchmarks/baselines.py [NAME ...] [--out FILE.json].

Sets and splits are those of benchmarks/sets.py. Every figure is of what decodes to the test array: it was decoded and
compared, but for the entropy, which is no codec, and CCSDS 123, whose decoder tests/benchmarks tries on small arrays.
"""

from __future__ import annotations

import argparse
import bz2
import io
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ccsds
import numpy as np
from numpy.typing import NDArray
from results import table
from sets import SETS, load
from telemetry import Missing, fits_bits, xz_bits

Array = NDArray[Any]

#: rows of the train split that the least-squares predictor is fitted on, at most: the last ones
FITTED = 1 << 20

#: samples of a row when a long series is given to FITS as an image
ROW = 1024

#: channels of a FLAC file at most, and bits of its samples
FLAC_CHANNELS, FLAC_BITS = 8, 24


def columns(x: Array) -> list[Array]:
    """Give the columns, channels or bands of a set's array, each in the order of its records, 1-D and contiguous."""
    if x.dtype.names is not None:
        return [np.ascontiguousarray(x[name]) for name in x.dtype.names]
    return list(np.ascontiguousarray(x.reshape(-1, x.shape[-1] if x.ndim > 1 else 1).T))


def _same(back: Any, x: Array) -> None:
    if not np.array_equal(np.asarray(back), x):
        raise AssertionError("a codec gave other values back")


def _bytes(x: Array) -> bytes:
    return x.astype(x.dtype.newbyteorder("<")).tobytes()


def zstd(x: Array) -> int:
    """Compress as `zstd --ultra -22`."""
    import zstandard

    data = zstandard.ZstdCompressor(level=22).compress(_bytes(x))
    assert zstandard.ZstdDecompressor().decompress(data) == _bytes(x)
    return len(data)


def brotli(x: Array) -> int:
    """Compress as `brotli -q 11 -w 24`."""
    import brotli as library

    data = library.compress(_bytes(x), quality=11, lgwin=24)
    assert library.decompress(data) == _bytes(x)
    return len(data)


def pcodec(x: Array) -> int:
    """Compress by pcodec at level 12, column by column."""
    from pcodec import ChunkConfig, standalone

    total = 0
    for column in columns(x):
        # pcodec has no numbers of one byte.
        wide = column if column.itemsize > 1 else column.astype(f"{column.dtype.kind}2")
        data = standalone.simple_compress(wide, ChunkConfig(compression_level=12))
        _same(standalone.simple_decompress(data), wide)
        total += len(data)
    return total


def pcodec_differences(x: Array) -> int:
    """Compress differences, modulo the type's range: of records in order or of columns side by side, the better."""
    down = 0
    for column in columns(x):
        bits = column if column.dtype.kind != "f" else column.view(f"i{column.itemsize}")
        down += pcodec(np.diff(bits, prepend=bits.dtype.type(0)))
    if x.ndim == 1:
        return down
    return min(down, pcodec(np.diff(x, axis=-1, prepend=x.dtype.type(0))))


def common_factor(train: Array, test: Array) -> int:
    """Give what every sample of both splits is a multiple of, as samples of a shorter word in a longer one are."""
    return max(math.gcd(int(np.gcd.reduce(train, axis=None)), int(np.gcd.reduce(test, axis=None))), 1)


def flac(x: Array, lengths: tuple[int, ...] | None) -> int:
    """Compress recordings as `flac -8ep`: a file each, of eight channels at most; all bytes of the files count."""
    x = x.reshape(len(x), -1)
    shift = int(x.max()) + 1 >> 1 if x.dtype.kind == "u" else 0
    bits = max(8, -(-max(int(x.max()) - shift, ~(int(x.min()) - shift)).bit_length() // 8) * 8)
    values = x.astype(np.int64) - shift
    if not -(1 << (bits - 1)) <= values.min() <= values.max() < 1 << (bits - 1):
        bits += 8
    if bits > FLAC_BITS:
        raise Missing(f"FLAC takes {FLAC_BITS} bits, got {bits}")
    total, begin = 0, 0
    for length in lengths or (len(x),):
        for first in range(0, x.shape[1], FLAC_CHANNELS):
            part = values[begin : begin + length, first : first + FLAC_CHANNELS]
            total += _flac_file(np.ascontiguousarray(part), bits)
        begin += length
    return total


def _flac_file(part: Array, bits: int) -> int:
    form = [
        "--force-raw-format", "--endian=little", "--sign=signed", f"--channels={part.shape[1]}", f"--bps={bits}",
        "--sample-rate=8000", "--silent", "--stdout",
    ]  # fmt: skip
    raw = part.astype("<i8").view(np.uint8).reshape(*part.shape, 8)[..., : bits // 8].tobytes()
    options = ["-8ep", "--no-padding", "--no-seektable"]
    try:
        data = subprocess.run(["flac", *form, *options, "-"], input=raw, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise Missing("there is no flac here; the Debian package flac brings it") from error
    form = ["--force-raw-format", "--endian=little", "--sign=signed", "--silent", "--stdout"]
    assert subprocess.run(["flac", "-d", *form, "-"], input=data, capture_output=True, check=True).stdout == raw
    return len(data)


def laz(x: Array) -> int:
    """Compress points as a LAZ file, header and all."""
    import laspy

    formats = [laspy.PointFormat(number) for number in range(11)]
    base = [form for form in formats if form.dtype().descr == x.dtype.descr[: len(form.dtype().descr)]]
    form = max(base, key=lambda form: form.size)
    for name in x.dtype.names[len(form.dtype().descr) :]:
        form.add_extra_dimension(laspy.ExtraBytesParams(name, x.dtype[name]))
    header = laspy.LasHeader(version="1.2" if form.id < 6 else "1.4", point_format=form)
    header.scales, header.offsets = np.full(3, 0.01), np.zeros(3)
    las = laspy.LasData(header, laspy.PackedPointRecord(x.copy(), form))
    file = io.BytesIO()
    las.write(file, do_compress=True)
    back = laspy.read(io.BytesIO(file.getvalue())).points.array
    assert back.tobytes() == x.tobytes()
    return len(file.getvalue())


def _planes(x: Array) -> list[list[Array]]:
    """Lay an image or cube out as images: one a band, and all bands one below the other; unsigned, for codecs."""
    shift = int(x.min()) if x.dtype.kind == "i" else 0
    unsigned = (x.astype(np.int64) - shift).astype(f"u{x.dtype.itemsize}")
    bands = list(np.ascontiguousarray(np.moveaxis(unsigned.reshape(*x.shape[:2], -1), -1, 0)))
    return [bands, [np.concatenate(bands)]]


def jpeg_ls(x: Array) -> int:
    """Compress by JPEG-LS (CharLS), the better of both layouts."""
    import imagecodecs

    return _images(x, imagecodecs.jpegls_encode, imagecodecs.jpegls_decode)


def jpeg_xl(x: Array) -> int:
    """Compress by JPEG XL, lossless at effort 9, the better of both layouts."""
    import imagecodecs

    return _images(
        x, lambda image: imagecodecs.jpegxl_encode(image, lossless=True, effort=9), imagecodecs.jpegxl_decode
    )


def _images(x: Array, encode: Callable[[Array], bytes], decode: Callable[[bytes], Array]) -> int:
    totals = []
    for images in _planes(x):
        total = 0
        for image in images:
            data = encode(image)
            _same(decode(data), image)
            total += len(data)
        totals.append(total)
    return min(totals)


def fits(x: Array, kind: str, method: str) -> int:
    """Compress by a method of FITS, the best of some tilings, without headers."""
    if kind == "cube":
        x = np.concatenate(list(np.moveaxis(x, -1, 0)))
    parts = [x]
    if x.ndim == 1:
        whole = len(x) // ROW * ROW
        parts = [x[:whole].reshape(-1, ROW), x[whole:].reshape(1, -1)]
    bits = 0.0
    for part in parts:
        if part.size:
            found = fits_bits(np.ascontiguousarray(part), method)
            if found is None:
                raise Missing("astropy is not installed; pip install 'pcedge[bench]' brings it")
            bits += found * part.size
    return round(bits / 8)


def residuals(train: Array, test: Array, kind: str) -> Array:
    """Predict every column by ten taps and a constant, fitted on train by least squares; give test's rounded errors.

    Taps of a series: the last ten samples of the column, or the last six with two columns before it, now and one
    sample ago. Of an image: ten pixels around. Of a cube: four neighbours in the band, three in the band before, and
    the pixel in the three bands before. Samples outside are the nearest that came before, or 0. Shape of test.
    """
    if kind == "series":
        train, test = (x.reshape(len(x), -1)[:, None] for x in (train[-FITTED:], test))
    train, test = (x.astype(np.int64).reshape(*x.shape[:2], -1) for x in (train, test))
    errors = np.empty_like(test)
    for lane in range(test.shape[-1]):
        taps = list(_taps(train, lane, kind))
        inputs = np.stack([tap.ravel() for tap in taps] + [np.ones(taps[0].size)], axis=1).astype(np.float64)
        scale = np.maximum(np.abs(inputs).max(axis=0), 1)
        inputs /= scale
        weights, *_ = np.linalg.lstsq(inputs.T @ inputs, inputs.T @ train[:, :, lane].ravel(), rcond=1e-12)
        weights /= scale
        predicted = sum(w * tap for w, tap in zip(weights, _taps(test, lane, kind), strict=False)) + weights[-1]
        errors[:, :, lane] = test[:, :, lane] - np.rint(predicted).astype(np.int64)
    return errors


def _taps(x: Array, lane: int, kind: str) -> Iterator[Array]:
    if kind == "series":
        lanes = range(max(lane - 2, 0), lane)
        for lag in range(1, 11 - 2 * len(lanes)):
            yield _moved(x[:, :, lane], lag, 0)
        for other in lanes:
            yield x[:, :, other]
            yield _moved(x[:, :, other], 1, 0)
    elif x.shape[-1] == 1:
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (1, 2), (1, -2), (2, 1), (2, -1)):
            yield _moved(x[:, :, lane], down, right)
    else:
        near = ((0, 1), (1, 0), (1, 1), (1, -1))
        for down, right in near:
            yield _moved(x[:, :, lane], down, right)
        for back in range(1, min(lane, 3) + 1):
            yield x[:, :, lane - back]
        for down, right in near[:3] if lane else ():
            yield _moved(x[:, :, lane - 1], down, right)


def _moved(x: Array, down: int, right: int) -> Array:
    """Give each sample's neighbour so many rows above and columns to the left, or the nearest that came before it."""
    row, column = np.indices(x.shape)
    source = np.maximum(row - down, 0), np.clip(column - right, 0, x.shape[1] - 1)
    # Nothing is above the first row but the sample before, and nothing before the first column but the sample above.
    across = np.where((row == 0) & (down > 0), column - 1, source[1])
    above = np.where((source[0] == row) & (across >= column), row - 1, source[0])
    return np.where((above >= 0) & (across >= 0), x[above, across], 0)


def entropy(errors: Array) -> int:
    """Give the bytes of every column's errors at their own empirical entropy, without what says their histogram."""
    bits = 0.0
    for column in columns(errors):
        counts = np.unique(column, return_counts=True)[1]
        bits -= float((counts * np.log2(counts / column.size)).sum())
    return round(bits / 8)


def _methods(name: str, test: Array) -> Iterator[tuple[str, Callable[[], int]]]:
    kind, lengths = SETS[name].kind, load(name).lengths
    yield "raw", lambda: test.nbytes
    yield "xz -9e", lambda: round(xz_bits(test) * test.size / 8)
    yield "zstd -22", lambda: zstd(test)
    yield "brotli 11", lambda: brotli(test)
    yield "bzip2 -9", lambda: len(bz2.compress(_bytes(test), 9))
    yield "pcodec", lambda: pcodec(test)
    yield "pcodec, differences", lambda: pcodec_differences(test)
    if kind == "points":
        yield "LAZ", lambda: laz(test)
        return
    if kind == "series":
        yield "FLAC -8ep", lambda: flac(test, lengths)
        if lengths:
            yield "FLAC -8ep, one file", lambda: flac(test, None)
    else:
        yield "JPEG-LS", lambda: jpeg_ls(test)
        yield "JPEG XL", lambda: jpeg_xl(test)
    # FLAC and pcodec find a common factor themselves.
    factor = common_factor(load(name).train, test)
    plain = test // test.dtype.type(factor)
    yield "Rice", lambda: fits(plain, kind, "RICE_1")
    if kind != "series":
        yield "HCOMPRESS", lambda: fits(plain, kind, "HCOMPRESS_1")
    yield "CCSDS 123", lambda: len(ccsds.encode(plain, kind == "series"))
    errors = residuals(load(name).train // factor, plain, kind)
    yield "ten taps + pcodec", lambda: pcodec(errors)
    yield "ten taps, entropy", lambda: entropy(errors)


def sizes(name: str, test: Array) -> dict[str, int]:
    """Give the bytes of a set's test array by every codec that applies and is installed, and its raw bytes."""
    found = {}
    for method, measure in _methods(name, test):
        try:
            found[method] = measure()
        except (ImportError, Missing) as reason:
            print(f"{name}, {method}: left out, {reason}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SETS], metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--out", type=Path, metavar="FILE", help="write {set: {codec: bytes}} there")
    given = parser.parse_args()
    found: dict[str, dict[str, int]] = {}
    for name in given.names or SETS:
        begin = time.perf_counter()
        try:
            found[name] = sizes(name, load(name).test)
        except Missing as reason:
            print(f"{name} is left out: {reason}")
            continue
        print(f"{name}: {time.perf_counter() - begin:.0f} s, {found[name]}", flush=True)
        if given.out:
            given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    methods = list(dict.fromkeys(method for row in found.values() for method in row))
    rows = [[name, *(f"{row[m]:,}" if m in row else "" for m in methods)] for name, row in found.items()]
    print("\n".join(table(["set", *methods], rows)))


if __name__ == "__main__":
    main()
