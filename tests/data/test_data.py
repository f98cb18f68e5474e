"""Readers: every format, every refusal with its text, and damaged files."""

import gzip
import re
import struct

import numpy as np
import pytest
from helpers.messages import whole
from numpy.testing import assert_array_equal

from pcedge.data import Reading, Splits, load_array, load_data
from pcedge.errors import DataError


def idx(code, shape, data):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


RECORDS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_digits():
    splits = load_data("digits")
    assert [part.shape for part in (splits.train, splits.valid, splits.test)] == [
        (1257, 8, 8),
        (180, 8, 8),
        (360, 8, 8),
    ]
    assert all(part.dtype == np.uint8 and part.max() == 16 for part in (splits.train, splits.valid, splits.test))
    assert (load_array("digits") == splits.test).all()


def test_digits_are_all_records_once():
    datasets = pytest.importorskip("sklearn.datasets")
    splits = load_data("digits")
    ours = np.concatenate([splits.train, splits.valid, splits.test]).reshape(1797, 64)
    theirs = datasets.load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "bool"])
def test_npy_keeps_dtype_and_shape(tmp_path, dtype):
    np.save(tmp_path / "a.npy", RECORDS.astype(dtype))
    splits = load_data(tmp_path / "a.npy")
    assert splits.valid is None and splits.test is None
    for array in (splits.train, load_array(str(tmp_path / "a.npy"))):
        assert array.dtype == dtype and (array == RECORDS.astype(dtype)).all()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_of_every_version_with_the_longest_header(tmp_path, version):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 1), }".ljust(4095) + "\n"
    size = (4096).to_bytes(2 if version == (1, 0) else 4, "little")
    (tmp_path / "a.npy").write_bytes(np.lib.format.magic(*version) + size + header.encode() + b"\1\0\1")
    assert_array_equal(load_array(tmp_path / "a.npy"), np.array([[1], [0], [1]], dtype=np.uint8))


def test_npz_splits(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, train=RECORDS, valid=RECORDS[:1], test=RECORDS[1:], labels=np.array(["x"]))
    splits = load_data(path)
    assert [len(splits.train), len(splits.valid), len(splits.test)] == [2, 1, 1]
    assert (load_array(path) == RECORDS[1:]).all()
    np.savez(path, train=RECORDS, valid=RECORDS[:1])
    assert load_data(path).test is None
    assert len(load_array(path)) == 1
    np.savez_compressed(path, train=RECORDS)
    assert len(load_array(path)) == 2


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "uint8"), (0x09, "int8"), (0x0B, "int16"), (0x0C, "int32")], ids=lambda v: str(v)
)
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "a.idx", "a.idx3-ubyte", "a.idx2", "a.gz", "A-UBYTE.GZ"])
def test_idx(tmp_path, code, dtype, name):
    expected = (RECORDS.astype(dtype) - (0 if dtype == "uint8" else 12)).astype(dtype)
    data = idx(code, RECORDS.shape, expected.astype(np.dtype(dtype).newbyteorder(">")).tobytes())
    (tmp_path / name).write_bytes(gzip.compress(data) if name.lower().endswith(".gz") else data)
    for array in (load_data(tmp_path / name).train, load_array(tmp_path / name)):
        assert array.dtype == dtype and array.dtype.isnative and (array == expected).all()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "must start with an IDX magic number, two zero bytes first, got none"),
        (b"\0\0\x08", "must start with an IDX magic number, two zero bytes first, got 000008"),
        (b"PK\3\4abc", "must start with an IDX magic number, two zero bytes first, got 504b0304"),
        (idx(0x0D, (1, 1), b"\0" * 4), "must hold integers, its IDX type 0x0d is float"),
        (idx(0x0E, (1, 1), b"\0" * 8), "must hold integers, its IDX type 0x0e is double"),
        (idx(0x0A, (1, 1), b"\0"), "must have an IDX type of 0x08, 0x09, 0x0b or 0x0c, got 0x0a"),
        (idx(0x08, (), b""), "must have at least one IDX dimension, got 0"),
        (idx(0x08, (1, 1), b"")[:9], "must have 8 bytes of IDX sizes, it ends after 5"),
        (idx(0x08, (2, 2), b"abc"), "must hold 4 bytes after its IDX header of shape (2, 2), it holds 3"),
        (idx(0x08, (2, 2), b"abcde"), "must hold 4 bytes after its IDX header of shape (2, 2), it holds more"),
        (
            idx(0x0C, (2**32 - 1, 2**32 - 1), b"abc"),
            f"must hold {4 * (2**32 - 1) ** 2} bytes after its IDX header of shape "
            "(4294967295, 4294967295), it holds 3",
        ),
    ],
)
def test_idx_refusals(tmp_path, data, text):
    for name, content in (("a.idx", data), ("a.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=whole(f"{tmp_path / name} {text}")):
            load_array(tmp_path / name)


def test_labels_are_no_records(tmp_path):
    path = tmp_path / "labels-ubyte"
    path.write_bytes(idx(0x08, (3,), b"abc"))
    with pytest.raises(DataError, match=whole(f"{path} must have shape (records, …), got (3,)")):
        load_array(path)
    with pytest.raises(DataError, match=whole("split train must have shape (records, …), got (3,)")):
        load_data(path)


@pytest.mark.parametrize("load", [load_data, load_array])
def test_no_file(tmp_path, load):
    for source in (tmp_path / "none.npy", tmp_path / "none", "digit"):
        text = (
            f"{source} must be a file, a folder of images, or the name 'digits' of the shipped set; "
            "there is no such file"
        )
        with pytest.raises(DataError, match=whole(text)):
            load(source)


def test_unknown_suffix(tmp_path):
    for name, got in (("a.jpg", ".jpg"), ("plain", "'plain'")):
        (tmp_path / name).write_bytes(b"1,2")
        text = (
            f"{tmp_path / name} must end in .npy, .npz, .idx, -ubyte or .gz (IDX), .csv, .tsv, .data or .txt, .png "
            f"or .pgm, .wav, .flac, .mat, .h5, .nc, .parquet, .arrow, .arff, .las, .laz, .edf, .bdf, .hea (WFDB), "
            f".fits or .tif, be a folder of images or recordings, or be raw binary with --dtype, got {got}"
        )
        with pytest.raises(DataError, match=whole(text)):
            load_array(tmp_path / name)


def test_pickles_are_refused(tmp_path):
    objects = np.array([[{"a": 1}, None]], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", train=objects)
    for name in ("a.npy", "a.npz"):
        text = (
            f"{tmp_path / name} must be a whole {name[1:]} file of numbers "
            "(ValueError: Object arrays cannot be loaded when allow_pickle=False)"
        )
        with pytest.raises(DataError, match=whole(text)):
            load_data(tmp_path / name)


def test_missing_keys(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=RECORDS, y=RECORDS)
    with pytest.raises(DataError, match=whole(f"{path} must hold an array named train, it holds x, y")):
        load_data(path)
    with pytest.raises(DataError, match=whole(f"{path} must hold an array named test, valid or train, it holds x, y")):
        load_array(path)
    np.savez(path)
    with pytest.raises(DataError, match=whole(f"{path} must hold an array named train, it holds nothing")):
        load_data(path)


def test_floats_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, RECORDS + 0.5)
    text = (
        "must hold integers, got float64 such as 0.5: round or scale it to integers, or train the circuit on such "
        "data, whose columns then take them"
    )
    with pytest.raises(DataError, match=whole(f"split train {text}")):
        load_data(path)
    with pytest.raises(DataError, match=whole(f"{path} {text}")):
        load_array(path)
    typed = load_data(path, Reading(typed=True))
    assert typed.train.dtype == np.float64
    assert typed.map(lambda x: (2 * x).astype(int)).typed is False


def test_floats_that_are_integers_are_integers(tmp_path):
    path = tmp_path / "a.npy"
    for dtype, expected in (("<f8", "uint8"), (">f4", "uint8"), ("<f2", "uint8")):
        np.save(path, RECORDS.astype(dtype))
        x = load_array(path)
        assert x.dtype == expected and (x == RECORDS).all()
    np.save(path, RECORDS.astype(float) - 3)
    assert load_array(path).dtype == "int8"
    for odd, shown in ((-0.0, "-0.0"), (np.nan, "nan"), (np.inf, "inf"), (2.0**60, "1.152921504606847e+18")):
        np.save(path, np.array([[1.0, odd]]))
        with pytest.raises(DataError, match=f"got float64 such as {re.escape(shown)}: round or scale"):
            load_array(path)
    # -0.0, which is mended by a sum, after what is not.
    np.save(path, np.array([[-0.0, np.inf]]))
    with pytest.raises(DataError, match="got float64 such as inf: round or scale"):
        load_array(path)


def test_splits_refusals():
    text = "all splits must have records of one shape, train has (3, 4), test has (12,)"
    with pytest.raises(DataError, match=whole(text)):
        Splits(RECORDS, None, RECORDS.reshape(2, 12))
    with pytest.raises(DataError, match=whole("split train must hold at least one record, got shape (0, 3, 4)")):
        Splits(RECORDS[:0])
    with pytest.raises(DataError, match=whole("split valid must hold integers, got float32")):
        Splits(RECORDS, RECORDS.astype(np.float32))


def test_damaged_files(tmp_path):
    """Truncations and flipped bytes give a DataError or an integer array, and nothing else."""
    np.save(tmp_path / "a.npy", RECORDS)
    np.savez_compressed(tmp_path / "a.npz", train=RECORDS, test=RECORDS)
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(0x08, RECORDS.shape, RECORDS.tobytes())))
    (tmp_path / "a.idx").write_bytes(idx(0x08, RECORDS.shape, RECORDS.tobytes()))
    generator = np.random.default_rng(0)
    for name in ("a.npy", "a.npz", "a.gz", "a.idx"):
        whole_file = (tmp_path / name).read_bytes()
        refused = 0
        for trial in range(150):
            data = bytearray(whole_file)
            if trial % 3 == 0:
                data = data[: generator.integers(len(data))]
            else:
                for place in generator.integers(len(data), size=trial % 3):
                    data[place] ^= 1 << generator.integers(8)
            (tmp_path / f"b{name}").write_bytes(data)
            try:
                assert load_array(tmp_path / f"b{name}").dtype.kind in "iub"
            except DataError:
                refused += 1
        assert refused >= 50
