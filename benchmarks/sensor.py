"""Code sensor data with defaults only: python benchmarks/sensor.py [NAME ...].

Every set has rows to learn from and test rows; all figures are of the test rows. Circuits are made as `pcedge train
--data FILE --out c.pcedge` and `pcedge quantize` make them, without any option. Sets come from the folder that
PCEDGE_SHARED_DATA names (../shared/data without it), from wheels (pip install -e ".[bench]"), and from a Debian
package that apt-get can fetch; a set or a tool that is not there is left out with a reason. Named sets only print;
without names docs/results.md is written.
"""

from __future__ import annotations

import argparse
import bz2
import lzma
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import table, write_section
from telemetry import Missing, fits_bits, load_ecg, load_econt, load_m13, load_shuttle

from pcedge.codec.stream import decode, encode
from pcedge.data import Splits
from pcedge.engines import ReferenceEngine
from pcedge.evaluate.numbers import row_log_likelihood
from pcedge.export import to_onnx
from pcedge.learn.sensor import fit_sensor
from pcedge.quantize import quantize

Array = NDArray[Any]

COLUMNS = (
    "data", "numbers", "bits", "stream, bytes", "circuit, bytes", "best other, bytes", "to it", "break-even, MB",
    "impossible", "classes/states", "training, s",
)  # fmt: skip

#: spoken prompts, 8 kHz int16, CC-BY-SA; of the recordings in a drawn order, four fifths are learned from
SPEECH = "asterisk-core-sounds-en-wav"
SPOKEN = 60


def _whole(splits: Splits) -> Splits:
    """Take the validation rows to those that are learned from: with defaults the search holds out its own."""
    parts = [splits.train] if splits.valid is None else [splits.train, splits.valid]
    return Splits(np.concatenate(parts), None, splits.test)


def load_speech() -> Splits:
    recordings = _recordings()
    count = len(recordings) * 8 // 10
    test = np.concatenate(recordings[count : count + SPOKEN])[:, None]
    return Splits(np.concatenate(recordings[:count])[:, None], None, test)


def _recordings() -> list[Array]:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Missing(f"apt-get and dpkg, which bring the Debian package {SPEECH}, are not on PATH")
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["apt-get", "download", SPEECH], cwd=folder, capture_output=True).returncode:
            raise Missing(f"apt-get could not download the Debian package {SPEECH}")
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg", "-x", package, folder], check=True)
        files = sorted(Path(folder).rglob("*.wav"), key=lambda path: path.relative_to(folder))
        found = []
        for index in np.random.default_rng(0).permutation(len(files)):
            with wave.open(str(files[index])) as sound:
                found.append(np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2"))
    return found


SETS: dict[str, tuple[Callable[[], Splits], str]] = {
    "ecg": (load_ecg, "ECG record 100, 2 channels"),
    "shuttle": (load_shuttle, "Statlog Shuttle, 9 sensors"),
    "m13": (load_m13, "m13, 300×300 pixels"),
    "econt": (load_econt, "ECON-T trigger cells, 48 codes"),
    "speech": (load_speech, f"speech, {SPOKEN} recordings at 8 kHz"),
}


def forms(x: Array) -> Iterator[Array]:
    """Give the bytes' own form and differences along either axis, in the narrowest type that holds them."""
    yield x
    for axis in range(x.ndim):
        if x.shape[axis] > 1:
            wide = np.diff(x.astype(np.int64), axis=axis, prepend=0)
            narrow = next(kind for kind in ("<i1", "<i2", "<i4", "<i8") if (wide == wide.astype(kind)).all())
            yield wide.astype(narrow)


def pcodec_bytes(x: Array) -> int | None:
    """Compress column by column with pcodec, which finds differences itself."""
    if find_spec("pcodec") is None:
        return None
    from pcodec import ChunkConfig, standalone

    def size(values: Array) -> int:
        narrow = values.astype(np.int16 if values.dtype.itemsize < 2 else values.dtype.newbyteorder("="))
        return len(standalone.simple_compress(np.ascontiguousarray(narrow), ChunkConfig(compression_level=12)))

    flat = x.reshape(len(x), -1)
    columns = sum(size(column) for column in flat.T) if flat.shape[1] <= 512 else size(flat.ravel())
    return min(columns, size(flat.ravel()), *(size(form.ravel()) for form in list(forms(x))[1:]))


def flac_bytes(x: Array) -> int | None:
    """Compress 16-bit channels as `flac -8ep` does, one file for all, without padding and seek points."""
    flat = x.reshape(len(x), -1)
    if shutil.which("flac") is None or x.dtype != np.int16 or flat.shape[1] > 8:
        return None
    options = ["-8ep", "--no-padding", "--no-seektable", "--totally-silent", "--force-raw-format", "--endian=little",
               "--sign=signed", f"--channels={flat.shape[1]}", "--bps=16", "--sample-rate=8000", "-c", "-"]  # fmt: skip
    made = subprocess.run(["flac", *options], input=flat.astype("<i2").tobytes(), capture_output=True)
    return len(made.stdout) if made.returncode == 0 else None


def others(x: Array) -> dict[str, int | None]:
    """Give the bytes of the test rows by other tools, the best of what each can be given."""
    rice = fits_bits(x.reshape(len(x), -1), "RICE_1") if x.dtype != np.uint8 or x.ndim == 2 else None
    image = fits_bits(x, "HCOMPRESS_1") if x.ndim == 2 and x.shape[1] >= 100 else None
    return {
        "xz": min(len(lzma.compress(form.tobytes(), preset=9 | lzma.PRESET_EXTREME)) for form in forms(x)),
        "bzip2": min(len(bz2.compress(form.tobytes(), 9)) for form in forms(x)),
        "pcodec": pcodec_bytes(x),
        "FLAC": flac_bytes(x),
        "Rice": None if rice is None else round(rice * x.size / 8),
        "HCOMPRESS": None if image is None else round(image * x.size / 8),
    }


def run(name: str) -> list[str]:
    """Learn, code and compare one set; give a row."""
    load, what = SETS[name]
    splits = _whole(load())
    test = splits.test
    assert test is not None
    start = time.perf_counter()
    circuit, report = fit_sensor(Splits(splits.train))
    seconds = time.perf_counter() - start
    model = quantize(circuit)
    size = len(to_onnx(model).SerializeToString(deterministic=True))
    engine = ReferenceEngine(model)
    packed = encode(engine, test)
    back = decode(engine, packed)
    assert back.dtype == test.dtype and (back == test).all()
    impossible = int(np.isneginf(row_log_likelihood(model, test)).sum())
    rivals = {tool: count for tool, count in others(test).items() if count is not None}
    best = min(rivals, key=lambda tool: rivals[tool])
    saved = (rivals[best] - len(packed)) / test.nbytes
    even = f"{size / saved / 1e6:.2f}" if saved > 0 else "never"
    row = [
        what, f"{test.size:,}", f"**{8 * len(packed) / test.size:.4f}**", f"{len(packed):,}", f"{size:,}",
        f"{best} {rivals[best]:,}", f"{100 * (len(packed) / rivals[best] - 1):+.1f} %", even, str(impossible),
        f"{report.classes}/{report.states}", f"{seconds:.0f}",
        *(f"{8 * rivals[tool] / test.size:.4f}" if tool in rivals else "" for tool in others_names()),
    ]  # fmt: skip
    print(" | ".join(row), flush=True)
    return row


def others_names() -> tuple[str, ...]:
    """Name the other tools in the order of the columns."""
    return ("xz", "bzip2", "pcodec", "FLAC", "Rice", "HCOMPRESS")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SETS], metavar="NAME", help=", ".join(SETS))
    given = parser.parse_args()
    rows, remarks = [], []
    for name in given.names or SETS:
        try:
            rows.append(run(name))
        except Missing as reason:
            print(f"{name} is left out: {reason}")
            remarks += ["", f"{name} was left out of this run: {reason}."]
    if given.names or not rows:
        return
    lines = [
        "Test rows, coded with defaults only: `pcedge train --data FILE`, `pcedge quantize`, `pcedge encode`, no "
        "option. *bits* is bits a number of the whole stream, header and checksums counted, decoded to the same array; "
        "*circuit* the bytes of its `.onnx`; *best other* the least bytes of the tools on the right, each given the "
        "raw bytes and the differences along either axis (pcodec by columns too); *break-even* the MB of raw data "
        "after which the circuit has paid for itself against it; *impossible* the test rows of integer likelihood 0. xz is "
        "`-9e`, bzip2 `-9`, pcodec of level 12, FLAC `-8ep`, Rice and HCOMPRESS those of FITS without headers. Splits "
        "are those of the section Sensor data, its validation rows learned from too.",
        "",
        *table([*COLUMNS, *others_names()], rows),
        *remarks,
    ]
    write_section("Sensor data with a predictor stage", "python benchmarks/sensor.py", lines)


if __name__ == "__main__":
    main()
