"""Readers of sensors' formats: what is read is what is stored; arrays by name, damaged files, missing libraries."""

from __future__ import annotations

import struct
import sys
import warnings
import wave
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pcedge.data import Reading, load_array, load_data
from pcedge.data.readers import notes_of, split_name
from pcedge.data.sounds import packed, wav_header
from pcedge.errors import DataError, MissingToolError, UsageError

TYPED = Reading(typed=True)
DICE = np.random.default_rng(0)
X = DICE.integers(-3000, 3000, (50, 3)).astype("<i2")


def refusal(source: object, reading: Reading = TYPED) -> str:
    with pytest.raises(DataError) as caught:
        load_array(str(source), reading)
    return str(caught.value)


def wav(samples: np.ndarray, number: str = "<i2", more: bytes = b"") -> bytes:
    data = packed(samples, number)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    return wav_header(8000, channels, number, len(data)) + data + more


# -- sound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "dtype"),
    [("u1", "uint8"), ("<i2", "int16"), ("<i3", "int32"), ("<i4", "int32"), ("<f4", "float32"), ("<f8", "float64")],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_wav(tmp_path: Path, number: str, dtype: str, channels: int) -> None:
    x = DICE.integers(0, 200, (40, channels)).astype(dtype)
    if number == "<i3":
        x = (x - 100) * 83_886
    path = tmp_path / "a.wav"
    path.write_bytes(wav(x, number, b"LIST\4\0\0\0abcd"))
    found = load_array(path, TYPED)
    assert found.dtype == dtype
    assert_array_equal(found, x)
    assert_array_equal(load_data(path, TYPED).train, x)
    if number in ("u1", "<i2"):
        with wave.open(str(path)) as file:  # as Python's own reader finds it
            assert file.readframes(99) == x.tobytes()
    soundfile = pytest.importorskip("soundfile", reason="the extra audio")
    if number != "u1":
        samples = soundfile.read(path, dtype={"float32": "float32", "float64": "float64"}.get(dtype, "int32"),
                                 always_2d=True)[0]  # fmt: skip
        assert_array_equal(samples, x.astype(samples.dtype) << {"<i2": 16, "<i3": 8}.get(number, 0)
                           if samples.dtype.kind == "i" else x)  # fmt: skip


def test_wav_without_a_length_and_in_the_longer_form(tmp_path: Path) -> None:
    data = bytearray(wav(X))
    data[40:44] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(data + b"\1")
    assert_array_equal(load_array(tmp_path / "a.wav"), X)
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 3, 8000, 48000, 6, 16, 22, 16, 7) + b"\1\0" + bytes(14)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", X.nbytes) + X.tobytes()
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    assert_array_equal(load_array(tmp_path / "a.wav"), X)


def test_a_header_is_never_read_as_samples(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(X))
    for name in (
        "a.wav",
        "a.flac",
        "a.mat",
        "a.h5",
        "a.laz",
        "a.parquet",
        "a.edf",
        "a.fits",
        "a.tif",
        "a.nc",
        "a.arff",
    ):
        (tmp_path / name).touch()
        with pytest.raises(
            UsageError, match=r"says itself of which dtype and shape its numbers are: it takes neither$"
        ):
            load_array(tmp_path / name, Reading("int16"))
    # A name that says nothing is not believed: what it holds is known by its first bytes.
    (tmp_path / "stdin").write_bytes(wav(X))
    assert_array_equal(load_array(tmp_path / "stdin"), X)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: b"RIFX" + data[4:], "must be a WAV file of the kind RIFF, got RIFX"),
        (lambda data: b"OggS" + data[4:], "must be a WAV file, it does not start as one"),
        (lambda data: data[:12], "must have a chunk of samples, 'data', it has none"),
        (lambda data: data[:36], "must have a chunk of samples, 'data', it has none"),
        (lambda data: data[:12] + data[36:], "must say what its samples are before they come, it has no chunk 'fmt '"),
        (lambda data: data[:16] + b"\4" + data[17:], "must have a chunk 'fmt ' of at least 16 bytes, got 4"),
        (lambda data: data[:20] + b"\7" + data[21:],
         "must hold PCM of 8, 16, 24 or 32 bits or floats of 32 or 64, got format 7 of 16 bits"),
        (lambda data: data[:34] + b"\14" + data[35:],
         "must hold PCM of 8, 16, 24 or 32 bits or floats of 32 or 64, got format 1 of 12 bits"),
        (lambda data: data[:32] + b"\7" + data[33:], "must have frames of 3 samples of 16 bits, they have 7 bytes"),
        (lambda data: data[:22] + b"\0" + data[23:], "must have frames of 0 samples of 16 bits, they have 6 bytes"),
    ],
)  # fmt: skip
def test_wav_refusals(tmp_path: Path, change: Callable[[bytes], bytes], text: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(change(wav(X)))
    assert refusal(path) == f"{path} {text}"


@pytest.mark.parametrize(("subtype", "dtype", "bits"), [("PCM_S8", "int8", 8), ("PCM_16", "int16", 16),
                                                         ("PCM_24", "int32", 24)])  # fmt: skip
def test_flac(tmp_path: Path, subtype: str, dtype: str, bits: int) -> None:
    soundfile = pytest.importorskip("soundfile", reason="the extra audio")
    x = DICE.integers(-(1 << bits - 1), 1 << bits - 1, (300, 2)).astype(np.int32)
    soundfile.write(tmp_path / "a.flac", x << 32 - bits, 8000, subtype=subtype)
    found = load_array(tmp_path / "a.flac")
    assert found.dtype == dtype
    assert_array_equal(found, x)


def test_folders_of_recordings(tmp_path: Path) -> None:
    for number, name in enumerate(("b.wav", "a.wav")):
        (tmp_path / name).write_bytes(wav(X[:, 0] + number))
    assert_array_equal(load_array(tmp_path), [X[:, 0] + 1, X[:, 0]])
    assert notes_of(tmp_path) == (f"{tmp_path}: 2 recordings of one length are a record each",)
    (tmp_path / "c.wav").write_bytes(wav(X[:7, 0]))
    assert_array_equal(load_array(tmp_path)[:, 0], np.concatenate([X[:, 0] + 1, X[:, 0], X[:7, 0]]))
    assert notes_of(tmp_path) == (f"{tmp_path}: 3 recordings of different lengths follow each other in time",)
    (tmp_path / "d.wav").write_bytes(wav(X))
    path = tmp_path / "d.wav"
    text = f"all recordings must be of one type and number of channels, a.wav is int16 of 1, {path} is int16 of 3"
    assert refusal(tmp_path) == text
    assert notes_of(path) == ()


# -- formats by their libraries ---------------------------------------------------------------------------------------


def write_mat(path: Path) -> np.ndarray:
    io = pytest.importorskip("scipy.io", reason="the extra mat")
    io.savemat(path, {"ecg": X}, do_compression=True)
    return X


def write_hdf5(path: Path) -> np.ndarray:
    h5py = pytest.importorskip("h5py", reason="the extra hdf5")
    with h5py.File(path, "w") as file:
        file.create_dataset("a/b", data=X, compression="gzip")
    return X


def write_netcdf(path: Path) -> np.ndarray:
    """Write the classic form; values stay codes, whatever scale_factor says."""
    io = pytest.importorskip("scipy.io", reason="the extra netcdf")
    with io.netcdf_file(path, "w") as file:
        file.createDimension("time", 50)
        file.createDimension("channel", 3)
        variable = file.createVariable("ecg", "i2", ("time", "channel"))
        variable.scale_factor, variable.add_offset = 0.5, 7.0
        variable[:] = X
    return X


def write_laz(path: Path) -> np.ndarray:
    laspy = pytest.importorskip("laspy", reason="the extra las")
    if path.suffix == ".laz":
        pytest.importorskip("lazrs", reason="the extra las")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = (0.01, 0.01, 0.01), (1000.0, 0, 0)
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = 1000 + DICE.random(90), DICE.random(90), DICE.random(90)
    cloud.intensity, cloud.gps_time = DICE.integers(0, 999, 90), DICE.random(90)
    cloud.write(path)
    return np.asarray(cloud.points.array)


def write_edf(path: Path) -> np.ndarray:
    edfio = pytest.importorskip("edfio", reason="the extra edf")
    kind, signal = (edfio.Bdf, edfio.BdfSignal) if path.suffix == ".bdf" else (edfio.Edf, edfio.EdfSignal)
    most = (1 << 23) - 1 if path.suffix == ".bdf" else (1 << 15) - 1
    codes = np.ascontiguousarray(X.T, "i4" if path.suffix == ".bdf" else "i2")
    signals = [
        signal.from_digital(row, 10, label=f"c{number}", digital_range=(-most - 1, most), physical_range=(-1, 1))
        for number, row in enumerate(codes)
    ]
    made = kind(signals)
    made.write(path)
    return np.stack([s.digital for s in made.signals], axis=1)


def write_wfdb(path: Path) -> np.ndarray:
    wfdb = pytest.importorskip("wfdb", reason="the extra wfdb")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb.wrsamp(
            path.stem, fs=100, units=["mV"] * 3, sig_name=["I", "II", "V"], d_signal=X.astype(np.int64),
            fmt=["16"] * 3, adc_gain=[200.0] * 3, baseline=[0] * 3, write_dir=str(path.parent),
        )  # fmt: skip
    return X


def write_fits(path: Path) -> np.ndarray:
    """Write numbers without a sign, which FITS has as ones with a sign and an offset: what is stored is read."""
    fits = pytest.importorskip("astropy.io.fits", reason="the extra fits")
    fits.PrimaryHDU((X.astype(np.int32) + 32768).astype(np.uint16)).writeto(path)
    return X


def write_tiff(path: Path) -> np.ndarray:
    tifffile = pytest.importorskip("tifffile", reason="the extra tiff")
    pages = np.abs(X).astype("u2").reshape(3, 10, 5)
    tifffile.imwrite(path, pages, photometric="minisblack")
    return pages


def write_parquet(path: Path) -> np.ndarray:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet")
    from pyarrow import feather, parquet

    table = pyarrow.table({name: X[:, c] for c, name in enumerate("abc")})
    (parquet.write_table if path.suffix == ".parquet" else feather.write_feather)(table, path)
    return X


def write_arff(path: Path) -> np.ndarray:
    pytest.importorskip("scipy", reason="the extra arff")
    lines = ["@relation r", *(f"@attribute {name} numeric" for name in "abc"), "@data"]
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in X)]) + "\n")
    return X


WRITERS = {
    "x.mat": write_mat, "x.h5": write_hdf5, "x.nc": write_netcdf, "x.las": write_laz, "x.laz": write_laz,
    "x.edf": write_edf, "x.bdf": write_edf, "x.hea": write_wfdb, "x.fits": write_fits, "x.tif": write_tiff,
    "x.parquet": write_parquet, "x.arrow": write_parquet, "x.arff": write_arff,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_stored_is_read(tmp_path: Path, name: str) -> None:
    stored = WRITERS[name](tmp_path / name)
    found = load_array(tmp_path / name, TYPED)
    assert found.dtype.newbyteorder("=") == stored.dtype.newbyteorder("=") or name == "x.bdf"
    assert_array_equal(found, stored)
    assert_array_equal(load_data(tmp_path / name, TYPED).train, stored)
    if name == "x.hea":
        assert_array_equal(load_array(tmp_path / "x.dat"), stored)  # the header beside it says what it holds
        assert load_array(tmp_path / "x.dat", Reading("int16", "3")).shape == (50, 3)  # raw where a dtype is told


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_data_errors(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    whole_file = (tmp_path / name).read_bytes()
    dice = Random(3)
    cases = [whole_file[:end] for end in (0, 1, 10, len(whole_file) // 2)]
    for _ in range(40):
        data = bytearray(whole_file)
        for _ in range(dice.choice((1, 1, 4))):
            data[dice.randrange(min(len(data), 600))] = dice.randrange(256)
        cases.append(bytes(data))
    for data in cases:
        (tmp_path / name).write_bytes(data)
        try:
            load_array(tmp_path / name, TYPED)
        except DataError as error:
            assert str(tmp_path / "x") in str(error)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("x.flac", "soundfile", "audio"), ("x.mat", "scipy", "mat"), ("x.h5", "h5py", "hdf5"), ("x.laz", "laspy", "las"),
     ("x.edf", "edfio", "edf"), ("x.hea", "wfdb", "wfdb"), ("x.fits", "astropy", "fits"), ("x.tif", "tifffile", "tiff"),
     ("x.parquet", "pyarrow", "parquet"), ("x.arff", "scipy", "arff"), ("x.nc", "h5py", "hdf5")],
)  # fmt: skip
def test_a_missing_library_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    (tmp_path / name).write_bytes(b"\0" * 99)
    for known in [known for known in sys.modules if known == module or known.startswith(module + ".")]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingToolError, match=rf"needs the package {module}.*pcedge\[{extra}\]"):
        load_array(tmp_path / name)


# -- several arrays in a file -----------------------------------------------------------------------------------------


def test_an_array_by_its_name(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io", reason="the extra mat")
    path = tmp_path / "x.mat"
    io.savemat(path, {"ecg": X, "rate": [[100.0]], "text": "abc"})
    assert refusal(path) == (
        f"{path} must hold one array of numbers, it holds ecg int16 (50, 3), rate float64 (1, 1); {path}::ecg names one"
    )
    assert_array_equal(load_array(f"{path}::ecg"), X)
    assert_array_equal(load_data(f"{path}::rate", TYPED).train, [[100.0]])
    assert refusal(f"{path}::eeg") == (
        f"{path} must hold an array named 'eeg', it holds ecg int16 (50, 3), rate float64 (1, 1)"
    )
    io.savemat(path, {"train": X, "test": X[:5], "other": X})
    assert len(load_array(path)) == 5 and len(load_data(path).train) == 50
    assert split_name(f"{path}::a/b") == (path, "a/b")
    odd = tmp_path / "x::y.npy"
    np.save(odd, X)
    assert_array_equal(load_array(odd), X)
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(UsageError, match=r"x\.npy holds one array, which has no name: it takes no ::y$"):
        load_array(f"{tmp_path / 'x.npy'}::y")


def test_arrays_of_npz_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, ecg=X, eeg=X[:4])
    assert_array_equal(load_array(f"{path}::eeg"), X[:4])
    assert refusal(f"{path}::z") == f"{path} must hold an array named 'z', it holds ecg, eeg"


def test_arrays_of_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="the extra hdf5")
    path = tmp_path / "x.h5"
    points = np.zeros(4, dtype=[("x", "<i4"), ("t", "<f8")])
    with h5py.File(path, "w") as file:
        file["a/ecg"], file["points"], file["line"] = X, points, X[:, 0]
        file["name"] = "text"
        file["elsewhere"] = h5py.ExternalLink("other.h5", "x")
        file.create_dataset("outside", (4,), "i2", external=str(tmp_path / "raw.bin"))
    assert refusal(path) == (
        f"{path} must hold one array of numbers, it holds a/ecg int16 (50, 3), line int16 (50, 1), "
        f"outside int16 (4, 1), points {points.dtype} (4,); {path}::a/ecg names one"
    )
    assert_array_equal(load_array(f"{path}::line"), X[:, :1])
    assert_array_equal(load_array(f"{path}::points", TYPED), points)
    assert refusal(f"{path}::outside") == f"{path}::outside must hold its numbers itself, they lie in other files"
    with pytest.raises(DataError, match="must hold integers, got records of x, t: train the circuit on such data"):
        load_array(f"{path}::points")


def test_a_small_file_cannot_stand_for_much(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="the extra hdf5")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (1 << 20, 1 << 20), "i8", chunks=(1024, 1024))
    assert "must need at most 67108864 bytes of memory for a file of" in refusal(path)


def test_channels_of_several_rates(tmp_path: Path) -> None:
    edfio = pytest.importorskip("edfio", reason="the extra edf")
    slow = edfio.EdfSignal(np.linspace(-1, 1, 20), 2, label="slow")
    edfio.Edf([edfio.EdfSignal(np.linspace(-1, 1, 100), 10, label="fast"), slow]).write(tmp_path / "x.edf")
    path = tmp_path / "x.edf"
    assert refusal(path).endswith(f"it holds fast int16 (100, 1), slow int16 (20, 1); {path}::fast names one")
    assert load_array(f"{path}::slow").shape == (20, 1)


# -- tables with types ------------------------------------------------------------------------------------------------


WORDS = "; a column of words must be left out of the file, or its words numbered"


def test_tables_of_decimals(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("time,volt,flag\n1,0.25,0\n2,-3.5,1\n300,12,1\n")
    x = load_array(path, TYPED)
    assert x.dtype == [("time", "<u2"), ("volt", "<f8"), ("flag", "u1")]
    assert x.tolist() == [(1, 0.25, 0), (2, -3.5, 1), (300, 12.0, 1)]
    assert (
        refusal(path, Reading())
        == f"{path}, line 2, column 'volt': a cell must hold an integer, got the float '0.25'; "
        "circuits that pcedge train made of decimals take it, and so does pcedge.data.Reading(typed=True)"
    )
    path.write_text("1;1e3\n2;.5\n")
    assert load_array(path, TYPED).dtype.names == ("c0", "c1")
    assert load_array(path, TYPED)["c1"].tolist() == [1000.0, 0.5]
    path.write_text("1,2\n3,4\n")
    assert load_array(path, TYPED).dtype == "uint8"  # plain as ever
    for cell, text in (
        ("abc", f"a cell must hold a number, got 'abc'{WORDS}"),
        ("1.234567890123456", "a decimal must have at most 15 digits, got '1.234567890123456'"),
        ("0x1F", "a cell must hold a number, got '0x1F'"),
        ("inf", "a cell must hold a number, got the float 'inf'"),
        ("", "a cell must hold a number, it is empty; loglik and score take it; train and encode do with --missing"),
    ):
        path.write_text(f"1,2.5\n1,{cell}\n")
        assert refusal(path) == f"{path}, line 2, column 2: {text}"
    path.write_text("1,2.5\n1,1234567890123456\n")
    assert refusal(path) == f"{path}, column 'c1': a decimal must have at most 15 digits, got 1234567890123456"


def test_missing_cells_of_tables_with_types(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("1,0.5\nNA,\n3,-1\n")
    x = load_array(path, Reading(typed=True, missing=-1))
    assert x["c0"].tolist() == [1, -1, 3] and x["c0"].dtype == "int8"
    assert np.isnan(x["c1"][1:]).all() and x["c1"][0] == 0.5
    x = load_array(path, Reading(typed=True, missing=float("nan")))
    assert x["c0"].dtype == "float64" and np.isnan(x["c0"]).tolist() == [False, True, False]
    assert x["c1"].tolist()[::2] == [0.5, -1.0]
    with pytest.raises(
        UsageError, match=r"^the mark of a missing value must be an integer for data of integers, got nan$"
    ):
        Reading(missing=float("nan"))


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet")
    from pyarrow import parquet

    path = tmp_path / "x.parquet"
    parquet.write_table(pyarrow.table({"a": [1, None, 3], "b": [0.5, None, 2.0], "ok": [True, False, True]}), path)
    assert refusal(path) == f"{path}, column 'a': 1 values are missing; --missing takes them"
    x = load_array(path, Reading(typed=True, missing=-1))
    assert x.dtype == [("a", "<i8"), ("b", "<f8"), ("ok", "?")]
    assert x["a"].tolist() == [1, -1, 3] and np.isnan(x["b"][1])
    assert load_array(f"{path}::ok", TYPED).tolist() == [[True], [False], [True]]
    parquet.write_table(pyarrow.table({"a": ["x"]}), path)
    assert refusal(path) == f"{path}, column 'a': must hold numbers, got string"


def test_arff(tmp_path: Path) -> None:
    pytest.importorskip("scipy", reason="the extra arff")
    path = tmp_path / "x.arff"
    head = "@relation r\n@attribute kind {red,blue}\n@attribute n numeric\n@attribute v numeric\n@data\n"
    path.write_text(head + "red,1,0.5\nblue,300,-2\n")
    x = load_array(path, TYPED)
    assert x.dtype == [("kind", "u1"), ("n", "<u2"), ("v", "<f8")]
    assert x.tolist() == [(0, 1, 0.5), (1, 300, -2.0)]
    path.write_text(head + "red,?,0.5\n")
    assert refusal(path) == f"{path}, column 'n', record 0: is missing; --missing takes it"
    assert load_array(path, Reading(typed=True, missing=-5))["n"].tolist() == [-5]
