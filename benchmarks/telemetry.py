"""Compress sensor data: python benchmarks/telemetry.py [--keep FOLDER] [NAME ...].

Every set has train, validation and test rows; all figures are of the test rows. ECG and trigger cells are read from the
folder that PCEDGE_SHARED_DATA names (../shared/data without it), the others from wheels (pip install -e ".[bench]"); a
set that is not there is left out with a reason. Named sets only print; without names docs/results.md is written.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import lzma
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import table, write_section

from pcedge.circuit import Circuit, log_likelihood, save_circuit
from pcedge.codec.stream import decode, encode
from pcedge.data import Splits, specification, symbolize
from pcedge.engines import ReferenceEngine
from pcedge.export import to_onnx
from pcedge.learn import LearnConfig, fit
from pcedge.quantize import QuantizationConfig, quantize

Array = NDArray[Any]

SHARED = Path(os.environ.get("PCEDGE_SHARED_DATA", Path(__file__).parents[2] / "shared/data"))

#: S of every stream
LANES = 8


@dataclass(frozen=True)
class Run:
    """Hold what one row of the table is made with."""

    load: Callable[[], Splits]
    what: str
    split: str
    symbolizer: str
    config: LearnConfig
    hcompress: bool = False


class Missing(Exception):
    """Say why a set cannot be read here."""


def _shared(name: str, key: str) -> Array:
    path = SHARED / name
    if not path.is_file():
        raise Missing(f"{path} does not exist")
    with np.load(path) as arrays:
        return np.asarray(arrays[key])


def _wheel(package: str, inside: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise Missing(f"the package {package} is not installed; pip install 'pcedge[bench]' brings it")
    path = Path(found.origin).parent / inside
    if not path.is_file():
        raise Missing(f"{path} does not exist: the installed {package} has no such file")
    return path


def _ordered(x: Array, valid: float = 0.08, test: float = 0.2) -> Splits:
    """Split by time: the end is the test split, what is before it the validation split."""
    ends = [round(len(x) * (1 - test - valid)), round(len(x) * (1 - test))]
    return Splits(*np.split(x, ends))


def load_ecg() -> Splits:
    return _ordered(_shared("ecg/mitdb_100.npz", "x"))


def load_shuttle() -> Splits:
    with gzip.open(_wheel("river", "datasets/shuttle.csv.gz"), "rt", encoding="ascii", newline="") as file:
        rows = list(csv.reader(file))
    return _ordered(np.array([row[:-1] for row in rows[1:]]).astype(np.int16))


def load_m13() -> Splits:
    path = _wheel("astropy", "io/fits/hdu/compressed/tests/data/m13.fits")
    from astropy.io import fits

    image = np.asarray(fits.getdata(path)).astype(np.int16)
    return Splits(image[: len(image) // 2], None, image[len(image) // 2 :])


def load_econt() -> Splits:
    return _ordered(_shared("econt/trigger_cells.npz", "tc"))


_SHUTTLE = "relation=6:plus=2:minus=0,relation=7:plus=2:minus=4,relation=8:plus=4:minus=0,offset=128,planes=8+8"

RUNS = {
    "ecg": Run(
        load_ecg, "ECG record 100, 2 channels", "rows in order: 72 % train, 8 % validation, 20 % test",
        "range=0..2047,difference,offset=128,window=32,planes=3+8",
        LearnConfig(latents=16, blur=0.2, iterations=60, dtype="float32"),
    ),
    "shuttle": Run(
        load_shuttle, "Statlog Shuttle, 9 sensors", "rows in order: 72 % train, 8 % validation, 20 % test", _SHUTTLE,
        LearnConfig(latents=64, blur=0.02, iterations=100, dtype="float32"),
    ),
    "shuttle-16": Run(
        load_shuttle, "the same, 16 states", "the same", _SHUTTLE,
        LearnConfig(latents=16, blur=0.02, iterations=100, dtype="float32"),
    ),
    "m13": Run(
        load_m13, "m13, 300×300 pixels",
        "upper half of the image train, a tenth of its tiles validation; lower half test",
        "range=0..4095,neighbour=median,offset=128,window=6x6,planes=4+8",
        LearnConfig(latents=16, blur=0.1, iterations=100, dtype="float32"),
        hcompress=True,
    ),
    "econt": Run(
        load_econt, "ECON-T trigger cells, 48 codes", "rows in order: 72 % train, 8 % validation, 20 % test",
        "range=0..127",
        LearnConfig(latents=8, blur=0.2, iterations=100, leaf_pseudocount=5.0, dtype="float32"),
    ),
}  # fmt: skip


def xz_bits(x: Array) -> float:
    """Compress the little-endian bytes as `xz -9e` does."""
    data = x.astype(x.dtype.newbyteorder("<")).tobytes()
    return 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / x.size


def xz_difference_bits(x: Array) -> float:
    """Take the best of the differences along either axis, in two bytes or, where they fit, in one."""
    found = []
    for axis in range(x.ndim):
        wide = np.diff(x.astype(np.int64), axis=axis, prepend=0)
        narrow = [kind for kind in ("<i1", "<i2") if (wide == wide.astype(kind)).all()]
        found += [xz_bits(wide.astype(kind)) for kind in narrow]
        found.append(xz_bits(wide.astype("<i2" if x.dtype.itemsize == 2 else "<u1")))
    return min(found)


def xz_symbol_bits(symbols: Array, values: int) -> float:
    """Compress what the symbolizer makes, record by record or variable by variable, the better of both."""
    x = symbols.astype(np.uint8)
    assert (x == symbols).all()
    return min(xz_bits(x), xz_bits(np.ascontiguousarray(x.T))) * x.size / values


def fits_bits(x: Array, method: str) -> float | None:
    """Compress by a method of FITS and count the compressed bytes without the headers: the best of some tilings."""
    if find_spec("astropy") is None:
        return None
    from astropy.io import fits

    found = []
    for image in (x, np.ascontiguousarray(x.T)):
        tilings = [(1, image.shape[1]), (min(16, len(image)), image.shape[1]), image.shape]
        for tile in tilings if method == "RICE_1" else tilings[1:]:
            if method == "HCOMPRESS_1" and (min(tile) < 4 or 0 < len(image) % tile[0] < 4):
                # HCOMPRESS takes no tile of less than four pixels.
                continue
            buffer = io.BytesIO()
            fits.CompImageHDU(image, compression_type=method, tile_shape=tile, quantize_level=0).writeto(buffer)
            with fits.open(io.BytesIO(buffer.getvalue())) as back:
                assert (back[1].data == image).all()
            with fits.open(io.BytesIO(buffer.getvalue()), disable_image_compression=True) as file:
                header = file[1].header
                # The heap, and the table that points into it.
                found.append(8 * (header["PCOUNT"] + header["NAXIS1"] * header["NAXIS2"]) / image.size)
    return min(found)


def independent_bits(splits: Splits) -> float:
    """Measure independent variables: each has its train counts, plus one half a symbol."""
    assert splits.test is not None
    train, test = splits.train.reshape(len(splits.train), -1), splits.test.reshape(len(splits.test), -1)
    symbols = int(max(train.max(), test.max())) + 1
    total = 0.0
    for column, seen in zip(train.T, test.T, strict=True):
        counts = np.bincount(column, minlength=symbols) + 0.5
        total -= float(np.log2(counts[seen] / counts.sum()).mean())
    return total / train.shape[1]


def bits(circuit: Circuit, symbols: Array, values: int) -> float:
    """Measure the float circuit's entropy in bits a value."""
    return float(-log_likelihood(circuit, symbols).sum() / math.log(2) / values)


def run(name: str, keep: Path | None) -> tuple[list[str], list[str], str]:
    """Train, code and compare one set; give a row of figures, a row of settings, and a remark."""
    setting = RUNS[name]
    raw = setting.load()
    assert raw.test is not None
    test = raw.test
    symbolizer, splits = symbolize(setting.symbolizer, raw)
    start = time.perf_counter()
    circuit = fit(Splits(splits.train, splits.valid), setting.config, cardinalities=symbolizer.cardinalities)
    seconds = time.perf_counter() - start
    circuit = replace(circuit, symbolizer=symbolizer)
    model = quantize(circuit, QuantizationConfig())
    file = to_onnx(model).SerializeToString(deterministic=True)
    if keep is not None:
        save_circuit(circuit, keep / f"{name}.pcedge")
        (keep / f"{name}.onnx").write_bytes(file)
    engine = ReferenceEngine(model)
    packed = encode(engine, test, LANES)
    back = decode(engine, packed)
    assert back.dtype == test.dtype and (back == test).all()
    flat = test.reshape(len(test), -1)
    assert splits.test is not None
    others: list[float | None] = [
        xz_bits(test), xz_difference_bits(test), xz_symbol_bits(splits.test, test.size), fits_bits(flat, "RICE_1"),
        fits_bits(flat, "HCOMPRESS_1") if setting.hcompress else None,
    ]  # fmt: skip
    ours = 8 * len(packed) / test.size
    beaten = all(ours < other for other in others if other is not None)
    figures = [
        setting.what, f"{test.size:,}", f"**{ours:.4f}**", f"{bits(circuit, splits.test, test.size):.4f}",
        *("" if other is None else f"{other:.4f}" for other in others), f"{len(packed):,}", f"{len(file):,}",
    ]  # fmt: skip
    config = setting.config
    settings = [
        name, f"`{specification(symbolizer)}`", str(config.latents), f"{config.blur}", str(config.seed),
        f"{seconds:.0f}", setting.split,
    ]  # fmt: skip
    remark = f"{name}: {'smaller than all others' if beaten else 'NOT smaller than all others'}"
    if name == "econt":
        alone, tree = independent_bits(raw), bits(circuit, splits.test, test.size)
        remark = (
            "The trigger cells are close to independent: each coded by its own marginal (train counts plus 1/2) they "
            f"cost {alone:.4f} bits a sample. The hidden tree costs {tree:.4f}, so the dependence that a tree of "
            f"{config.latents} states finds in {len(splits.train):,} train records is worth {alone - tree:.4f} bits a "
            "sample."
        )
    print(" | ".join(figures), "|", " | ".join(settings), flush=True)
    print(remark, flush=True)
    return figures, settings, remark if name == "econt" else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *RUNS], metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write NAME.pcedge and NAME.onnx there")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    figures, settings, remarks = [], [], []
    for name in given.names or RUNS:
        try:
            row, setting, remark = run(name, given.keep)
        except Missing as reason:
            print(f"{name} is left out: {reason}")
            remarks += ["", f"{name} was left out of this run: {reason}."]
            continue
        figures.append(row)
        settings.append(setting)
        remarks += ["", remark] if remark else []
    if given.names or not figures:
        return
    lines = [
        f"Bits per sample on the same test bytes. The pcedge file counts everything but the circuit, with S = {LANES} "
        "lanes, W8 L12 A16, and was decoded to the same array; *float* is the float circuit's entropy. *xz* is "
        "`xz -9e` of the raw little-endian bytes, *xz, differences* the best of the differences along either axis in "
        "one or two bytes, *xz, symbols* that of what the symbolizer makes, record by record or variable by variable. "
        "*Rice* is RICE_1 and *HCOMPRESS* HCOMPRESS_1 of FITS, the best of some tilings of the array "
        "and its transpose, without headers.",
        "",
        *table(
            ["data", "test samples", "pcedge file", "float", "xz", "xz, differences", "xz, symbols", "Rice",
             "HCOMPRESS", "file, bytes", "circuit, bytes (.onnx)"],
            figures,
        ),
        "",
        *table(["set", "symbolizer", "states", "blur", "seed", "training, s", "split"], settings),
        *remarks,
    ]  # fmt: skip
    write_section("Sensor data", "OMP_NUM_THREADS=1 python benchmarks/telemetry.py", lines)


if __name__ == "__main__":
    main()
