"""What commands say of what is missing, damaged, or another file than was meant; and where arrays go."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.messages import whole
from helpers.streams import numbered, small_circuit
from numpy.testing import assert_array_equal

import pcedge
from pcedge.codec import encode
from pcedge.codec.appending import append_file, joined
from pcedge.codec.archive import pack
from pcedge.codec.packet_stream import encode_packet_stream
from pcedge.codec.packets import damaged_in_words
from pcedge.data.forms import Form, part_of_wav, write
from pcedge.data.sounds import unpacked, wav_header, wav_of
from pcedge.data.structs import other_type
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, MissingToolError, UsageError
from pcedge.export import write_onnx
from pcedge.files import replacing

DATA = numbered(37, (2, 2, 4)).astype(np.uint8)
ENGINE = ReferenceEngine(small_circuit())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small circuit, data, and files of them."""
    folder = tmp_path_factory.mktemp("told")
    write_onnx(small_circuit(), folder / "m.onnx")
    np.save(folder / "x.npy", DATA)
    (folder / "x.pce").write_bytes(stream := encode(ENGINE, DATA))
    (folder / "x.pcz").write_bytes(pack(small_circuit(), stream))
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a circuit whose columns mark missing floats by NaN, and say what was said."""
    folder = tmp_path_factory.mktemp("gaps")
    generator = np.random.default_rng(1)
    walk = np.clip(np.cumsum(generator.integers(-2, 3, (700, 2)), axis=0), -100, 100) / 100
    np.save(folder / "x.npy", np.where(generator.random(walk.shape) < 0.1, np.nan, walk))
    words = ("train", "--data", folder / "x.npy", "--for-records", 5000, "--out", folder / "c.pcedge")
    (folder / "train.json").write_text(json.dumps(as_json(*words)))
    assert "accepts, now and later (--columns sets it): *:float64=-1.28..1.27 in steps of 0.01\n" in run(*words).stdout
    assert run("quantize", folder / "c.pcedge", "--out", folder / "m.onnx").exit_code == 0
    return folder


def test_train_says_what_columns_accept(gaps: Path, tmp_path: Path) -> None:
    assert json.loads((gaps / "train.json").read_text())["accepts"] == ["*:float64=-1.28..1.27 in steps of 0.01"]
    for value, status in ((-1.28, 0), (1.27, 0), (1.28, 1)):
        np.save(tmp_path / "y.npy", np.full((3, 2), value))
        done = run("encode", gaps / "m.onnx", tmp_path / "y.npy", tmp_path / "y.pce")
        assert done.exit_code == status
        hint = ", got 1.28; train --columns '*:scaled=1e-2:-999..999' makes a circuit that takes more\n"
        assert done.stderr.endswith(hint if status else "")
    words = ("train", "--data", gaps / "x.npy", "--for-records", 5000, "--out", tmp_path / "wide.pcedge")
    wide = as_json(*words, "--columns", "*:scaled=0.01:-9999..9999")
    assert wide["accepts"] == ["*:float64=-99.99..99.99 in steps of 0.01"] * 2


def test_decode_says_what_it_wrote(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", DATA.astype(np.float32))
    as_json("encode", folder / "m.onnx", tmp_path / "f.npy", tmp_path / "f.pce")
    for out, dtype in (("y.npy", "float32"), ("y", "float32")):
        words = ("decode", folder / "m.onnx", tmp_path / "f.pce", tmp_path / out)
        assert f"{out}: {dtype} (37, 3)\n" in run(*words).stdout and as_json(*words)["dtype"] == dtype
        assert np.load(tmp_path / out).dtype == dtype


def test_columns_of_other_names_are_told() -> None:
    wanted = np.dtype([("seq", "u2"), ("temp", "f8")])
    start = "data must have the columns seq, temp"
    for names, text in (
        (("temp", "seq"), " in this order, got temp, seq: bring them into it"),
        (("SEQ", "temp"), ", got SEQ, temp: 'seq' missing and 'SEQ' not among them"),
        (("seq",), ", got seq: 'temp' missing"),
        (("c0", "c1"), ", got c0, c1: 'seq', 'temp' missing and 'c0', 'c1' not among them; its first row was taken for "
                       "a record: --header takes it as one of names"),
        (("seq", "temp"), ", of type uint16 in 'seq', got float64"),
    ):  # fmt: skip
        assert other_type(wanted, np.dtype([(name, "f8") for name in names])) == start + text
    assert other_type(np.dtype([("c0", "f8")]), np.dtype([("a", "f8")])) == (
        "data must have the columns c0, got a: 'c0' missing and 'a' not among them; the circuit knows a table without "
        "a header, as --no-header reads one"
    )


def test_given_variables_of_numbers_only(gaps: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("seq,t\n0.25,0.5\n")
    done = run("encode", gaps / "m.onnx", tmp_path / "x.csv", tmp_path / "x.pce", "--given", "seq")
    assert done.exit_code == 2 and done.stderr.endswith(
        "--given must go with a circuit whose variables are numbers of the data, this one has a predictor stage: leave "
        "what the receiver knows (seq) out of the data, and train a circuit on the others\n"
    )


def test_scores_tell_of_missing_tokens(gaps: Path) -> None:
    missing = int(np.isnan(np.load(gaps / "x.npy")).sum())
    said = run("score", gaps / "m.onnx", gaps / "x.npy", "--json")
    assert json.loads(said.stdout)["missing_tokens"] == missing > 50
    text = (
        f"{missing} of 1400 numbers are missing, and count with the bits of their tokens; --missing nan sums them out\n"
    )
    assert said.stderr == text == run("loglik", gaps / "m.onnx", gaps / "x.npy").stderr
    assert as_json("score", gaps / "m.onnx", gaps / "x.npy", "--missing", "nan")["missing_tokens"] == 0


def test_another_mark_than_the_columns_is_refused(gaps: Path, tmp_path: Path) -> None:
    text = (
        f"--missing must be nan for {gaps / 'x.npy'}, by which the circuit's columns mark missing values, got 7: only "
        "a table's cells may hold another mark"
    )
    for command, *more in (("score",), ("loglik",), ("encode", tmp_path / "x.pce")):
        said = run(command, gaps / "m.onnx", gaps / "x.npy", *more, "--missing", 7)
        assert said.exit_code == 2 and text in said.stderr
    # Of a table it is what its cells hold.
    (tmp_path / "x.csv").write_text("0.25,7\n7,-0.5\n0.01,0.02\n")
    assert "--missing must be" not in run("loglik", gaps / "m.onnx", tmp_path / "x.csv", "--missing", 7).stderr


def test_arrays_are_written_as_their_names_say(folder: Path, tmp_path: Path) -> None:
    for command in ("score", "loglik"):
        words = (command, folder / "m.onnx", folder / "x.npy")
        for name in ("s.npy", "s", "s.csv", "s.tsv"):
            as_json(*words, "--out", tmp_path / name)
        wanted = np.load(tmp_path / "s.npy")
        assert (tmp_path / "s").read_bytes() == (tmp_path / "s.npy").read_bytes()
        assert_array_equal(np.loadtxt(tmp_path / "s.csv", dtype=wanted.dtype), wanted)
        assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "s.tsv").read_bytes()
        result = run(*words, "--out", tmp_path / "s.wav")
        assert (
            result.exit_code == 2
            and "it must end in .npy, .csv, .tsv or in what says nothing, got s.wav" in result.output
        )
    as_json("score", folder / "m.onnx", folder / "x.npy", "--per-variable", "--out", tmp_path / "v.csv")
    as_json("score", folder / "m.onnx", folder / "x.npy", "--per-variable", "--out", tmp_path / "v.npy")
    assert_array_equal(np.loadtxt(tmp_path / "v.csv", delimiter=",", dtype=np.int64), np.load(tmp_path / "v.npy"))
    (tmp_path / "p.pce").write_bytes(encode_packet_stream(ENGINE, DATA, 16))
    for words in (
        ("score", folder / "m.onnx", folder / "x.npy", "--out", "-"),
        ("sample", folder / "m.onnx", "--count", "4", "--out", "-"),
        ("decode", folder / "m.onnx", "p.pce", "y.npy", "--lost", "-"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pcedge", *map(str, words)], cwd=tmp_path, capture_output=True, check=True
        )
        array = np.load(io.BytesIO(done.stdout))
        assert len(array) in (37, 4) and done.stderr and not (tmp_path / "-").exists()


def test_info_computes_all_checksums(folder: Path, tmp_path: Path) -> None:
    packets = bytearray(encode_packet_stream(ENGINE, DATA, 16, 32))
    (tmp_path / "p.pce").write_bytes(packets)
    said = as_json("info", tmp_path / "p.pce")
    assert said["packet_crc"] == 32 and said["damaged_packets"] == []
    assert "packet crc: 32\ndamaged packets: none\n" in run("info", tmp_path / "p.pce").stdout
    packets[-20] ^= 1
    (tmp_path / "p.pce").write_bytes(packets[:-1])
    last = said["packets"] - 1
    told = f"packets {last - 1}, {last} of {last + 1} are damaged"
    assert as_json("info", tmp_path / "p.pce", status=1)["damaged_packets"] == [last - 1, last]
    result = run("info", tmp_path / "p.pce")
    assert result.exit_code == 1 and f"damaged packets: {told}\n" in result.stdout
    assert f"warning: {told}: another checksum than that of its bytes, or an impossible place\n" in result.stderr
    result = run("decode", folder / "m.onnx", tmp_path / "p.pce", tmp_path / "y.npy")
    assert f"the stream must have all of its packets: {told}, " in result.stderr
    one = damaged_in_words([1], 3), damaged_in_words(range(9), 12)
    assert one == ("packet 1 of 3 is damaged", "packets 0, 1, 2, 3, 4, … (9 packets) of 12 are damaged")
    archive = bytearray((folder / "x.pcz").read_bytes())
    assert as_json("info", folder / "x.pcz")["kind"] == "archive"
    for place, part in ((-6, "segment 0"), (10 - (folder / "x.pce").stat().st_size, "header")):
        archive[place] ^= 1
        (tmp_path / "bad.pcz").write_bytes(archive)
        archive[place] ^= 1
        said = as_json("info", tmp_path / "bad.pcz", status=1)
        assert said["error"] == "StreamError" and (
            part in said["message"] or "must be of the circuit" in said["message"]
        )


def test_files_that_are_no_circuits_are_named(folder: Path) -> None:
    for name, kind in (
        ("empty", "empty"),
        ("x.npy", "a .npy file of data"),
        ("x.pce", "a stream"),
        ("x.pcz", "an archive"),
    ):
        for command, *more in (("loglik", folder / "x.npy"), ("info",)):
            if command == "info" and kind in ("a stream", "an archive"):
                continue
            result = run(command, folder / name, *more)
            text = f"onnx-container: {folder / name} must be a circuit (.onnx, .pcp, .pcedge), it is {kind}"
            assert result.exit_code == 1 and text in result.stderr, result.output


def test_archives_and_streams_name_each_others_command(folder: Path, tmp_path: Path) -> None:
    result = run("decode", folder / "m.onnx", folder / "x.pcz", tmp_path / "y.npy")
    assert result.exit_code == 1 and "got 8e50435a, as an archive: pcedge unpack takes it\n" in result.stderr
    result = run("unpack", folder / "x.pce", tmp_path / "y.npy")
    assert result.exit_code == 1
    assert "got 8e504345, as a stream: pcedge decode takes it, with its circuit\n" in result.stderr


def test_what_cannot_be_appended_to_says_what_can(folder: Path, tmp_path: Path) -> None:
    for name, kind in (("wav", "a WAV file"), ("idx", "an IDX file")):
        text = (
            "records must be appended to a stream of a .npy file, a table or raw binary, this one is of "
            f"{kind}, whose header counts its records: encode all of them anew, "
            "or those that come into a stream of their own"
        )
        with pytest.raises(UsageError, match=whole(text)):
            joined(Form(name, b"\0\xff"), Form(name, b"\0\xff"))
    with pytest.raises(UsageError, match=r", got wav with 2 bytes before its numbers$"):
        joined(Form("npy"), Form("wav", b"\0\xff"))
    (tmp_path / "p.pce").write_bytes(encode_packet_stream(ENGINE, DATA, 16))
    result = run("encode", folder / "m.onnx", folder / "x.npy", tmp_path / "p.pce", "--append")
    assert result.exit_code == 2 and result.stderr.endswith(
        "records must be appended to a stream of segments, this one has packets: encode all records anew with "
        "--packet-bytes, or those that come into a stream of their own\n"
    )
    assert (tmp_path / "p.pce").read_bytes() == encode_packet_stream(ENGINE, DATA, 16)


def test_some_records_of_a_sound_are_one_of_its_rate() -> None:
    samples = np.arange(-4, 5, dtype=np.int32).reshape(9, 1)
    sound = Form("wav <i3", wav_header(8000, 1, "<i3", 27), b"\0more")
    part = wav_of(data := write(part_of_wav(sound, 3), samples[2:5]), "part.wav")
    assert (part.rate, part.number, part.channels) == (8000, "<i3", 1) and len(data) == part.end + 1
    assert data[: part.start] == wav_header(8000, 1, "<i3", 9)
    assert_array_equal(unpacked(data[part.start : part.end], "<i3").reshape(-1, 1), samples[2:5])
    with pytest.raises(DataError, match=r"^the stream's source must be a WAV file, it does not start as one$"):
        part_of_wav(Form("wav", b"RIFF"), 3)


def test_what_is_not_appended_is_told_by_what_differs(folder: Path, tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    text = (
        "what is appended must be of the form of the stream's file (csv with b'a,b\\n' before its numbers), whose "
        "header does not count its records and which ends with the last of them, got csv with b'a,c\\n' before its "
        "numbers"
    )
    with pytest.raises(UsageError, match=whole(text)):
        joined(Form("csv", b"a,b\n"), Form("csv", b"a,c\n"))
    # A byte order mark stands once, at the file's beginning, and is no other form.
    for old, new in ((mark + b"a\n", b"a\n"), (b"a\n", mark + b"a\n"), (mark, b""), (b"", mark)):
        assert joined(Form("csv", old), Form("csv", new)) == Form("csv", old)
    lines = b"".join(b",".join(b"%d" % value for value in row) + b"\n" for row in DATA.tolist())
    (tmp_path / "a.csv").write_bytes(mark + b"x,y,z\n" + lines)
    (tmp_path / "b.csv").write_bytes(b"x,y,z\n" + lines)
    as_json("encode", folder / "m.onnx", tmp_path / "a.csv", tmp_path / "x.pce")
    as_json("encode", folder / "m.onnx", tmp_path / "b.csv", tmp_path / "x.pce", "--append")
    as_json("decode", folder / "m.onnx", tmp_path / "x.pce", tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == mark + b"x,y,z\n" + 2 * lines


def test_data_of_a_wrong_shape_are_exit_1_everywhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pce").write_bytes((folder / "x.pce").read_bytes())
    np.save(tmp_path / "square.npy", DATA[:36].reshape(36, 3, 1))
    result = run("encode", folder / "m.onnx", tmp_path / "square.npy", tmp_path / "x.pce", "--append")
    assert result.exit_code == 1 and "records must be uint8 of shape (3,) as those before" in result.stderr
    with pytest.raises(DataError, match=r"^records must be uint8 of shape \(3,\) as those before, got int64"):
        append_file(ENGINE, tmp_path / "x.pce", DATA.astype(np.int64))
    np.save(tmp_path / "none.npy", DATA[:0])
    result = run("verify", folder / "m.onnx", "--data", tmp_path / "none.npy", "--rungs", "ort")
    assert result.exit_code == 1 and "verify must have at least one record, got none" in result.stderr


def test_a_float_circuit_is_told_from_an_integer_one() -> None:
    for source, advice in (
        (pcedge.load("digits"), "pcedge.to_integer makes one of it"), (float_bytes(), "pcedge quantize makes one of it")
    ):  # fmt: skip
        with pytest.raises(UsageError, match=rf"^the .* must be an integer circuit, .* is a float one: {advice}$"):
            pcedge.encode(source, DATA)


def float_bytes() -> bytes:
    """Give the bytes of a file of a float circuit."""
    return (Path(__file__).parents[1] / "golden" / "circuit.pcedge").read_bytes()


@pytest.mark.parametrize("module", ["zarr", "numcodecs"])
def test_codecs_of_stores_name_their_extra(module: str) -> None:
    """Where the package is not installed; None in sys.modules is Python's way of saying so."""
    code = (
        f"import sys; sys.modules['{module}'] = None\nfrom pcedge.errors import MissingToolError\n"
        f"try: import pcedge.codec.{module}_codec\nexcept MissingToolError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"the codec of {module} needs the package {module}" in done.stdout and "'pcedge[stores]'" in done.stdout
    assert MissingToolError.exit_code == 3


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of files")
def test_what_a_disk_does_not_take_names_the_file(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match=r"^.*/x\.pce must take what is written to it, it does not: File too large$"):
            with replacing(tmp_path / "x.pce") as fresh:
                fresh.write_bytes(bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("ending", "status", "name"),
    [("cli.click.exceptions.Abort", 130, "Interrupted"), ("SystemExit(143)", 143, "Terminated")],
)
def test_json_after_a_signal(ending: str, status: int, name: str) -> None:
    code = f"from pcedge import cli\ndef stop(**_): raise {ending}\ncli.group.main = stop\ncli.main()"
    done = subprocess.run([sys.executable, "-c", code, "--json"], capture_output=True, text=True)
    assert done.returncode == status and done.stderr == f"pcedge: {name.lower()}\n"
    assert json.loads(done.stdout) == {"error": name, "message": name.lower(), "exit": status}


def test_the_build_of_the_engine_warns_of_nothing() -> None:
    """`python -m` warns of a module that importing its package has imported already."""
    code = (
        "import sys, pcedge.native; assert 'pcedge.native.build' not in sys.modules; pcedge.native.instruction_sets()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
