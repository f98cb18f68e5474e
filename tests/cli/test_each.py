"""Many files by one command: names, what is done again and what is not, what fails, what a signal leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from strategies import make_circuit

from pcedge.export import write_onnx
from pcedge.quantize import quantize

DICE = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    write_onnx(quantize(make_circuit(0, 4, 3, 2, "chain")), path)
    return path


def records(count: int = 40) -> np.ndarray:
    return DICE.integers(0, 2, (count, 4)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of two arrays, one of them in a folder of its own, and of a table."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    np.save(tmp_path / "in" / "a.npy", records())
    np.save(tmp_path / "in" / "deep" / "b.npy", records(7))
    (tmp_path / "in" / "t.csv").write_text("p;q;r;s\n0;1;1;0\n1;1;0;0\n")
    (tmp_path / "in" / ".hidden.npy").write_bytes(b"no array")
    return tmp_path / "in"


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def statuses(said: dict) -> dict[str, str]:
    key = "data" if "data" in said["files"][0] else "stream"
    return {Path(entry[key]).name: entry["status"] for entry in said["files"]}


class TestNames:
    def test_a_folder_comes_back(self, model, folder, tmp_path):
        said = as_json("encode", model, folder, f"{tmp_path}/out/")
        assert (said["written"], said["complete"], said["failed"], said["left"]) == (3, 0, 0, 0)
        assert sorted(files(tmp_path / "out")) == ["a.npy.pce", "deep/b.npy.pce", "t.csv.pce"]
        assert said["files"][0]["records"] == 40 and said["files"][0]["verified_records"] == 40
        # one stream by itself is the same
        run("encode", model, folder / "a.npy", tmp_path / "a.pce")
        assert (tmp_path / "a.pce").read_bytes() == (tmp_path / "out" / "a.npy.pce").read_bytes()
        as_json("decode", model, tmp_path / "out", f"{tmp_path}/back/")
        (folder / ".hidden.npy").unlink()
        assert files(tmp_path / "back") == files(folder)

    def test_globs_and_lists(self, model, folder, tmp_path):
        as_json("encode", model, f"{folder}/**/*.npy", tmp_path / "glob")
        assert sorted(files(tmp_path / "glob")) == ["a.npy.pce", "deep/b.npy.pce"]
        as_json("encode", model, folder / "deep" / "b.npy", folder / "t.csv", tmp_path / "list")
        assert sorted(files(tmp_path / "list")) == ["b.npy.pce", "t.csv.pce"]
        as_json("decode", model, f"{tmp_path}/glob/*.pce", f"{tmp_path}/back", "--format", "csv")
        assert sorted(files(tmp_path / "back")) == ["a.csv"]

    def test_one_array_of_each_file(self, model, tmp_path):
        for name in "ab":
            np.savez(tmp_path / f"{name}.npz", x=records(), y=np.zeros((3, 3)))
        as_json("encode", model, f"{tmp_path}/*.npz::x", tmp_path / "out")
        assert sorted(files(tmp_path / "out")) == ["a.npz::x.pce", "b.npz::x.pce"]

    def test_what_cannot_be_written_again_is_an_array(self, model, tmp_path):
        np.savez(tmp_path / "x.npz", test=records())
        as_json("encode", model, tmp_path / "x.npz", f"{tmp_path}/out/")
        as_json("decode", model, tmp_path / "out", f"{tmp_path}/back/")
        np.testing.assert_array_equal(np.load(tmp_path / "back" / "x.npz.npy"), np.load(tmp_path / "x.npz")["test"])

    def test_what_is_refused(self, model, folder, tmp_path):
        (tmp_path / "empty").mkdir()
        for words, message in [
            ([folder / "a.npy", tmp_path / "in" / "deep", folder / "t.csv"], "must be a folder, .* is none"),
            ([folder / "a.npy", f"{tmp_path}/n*", tmp_path / "out"], "no file is named as"),
            ([tmp_path / "empty", f"{tmp_path}/out/"], "must hold files, there are none"),
            ([folder / "a.npy", tmp_path / "empty"], "empty is a directory; .*empty/ takes files by their names"),
            ([folder, f"{tmp_path}/out/", "--append"], "--append must go with one file"),
            ([folder / "a.npy", tmp_path / "x.pce", "--fail-fast"], "--fail-fast must go with a folder"),
            (["digits", f"{tmp_path}/out/"], "must be files, digits is the name of shipped data"),
        ]:
            result = run("encode", model, *words)
            assert result.exit_code == 2 and not (tmp_path / "out").exists(), result.output
            assert re.search(message, result.output), result.output
        other = tmp_path / "other"
        other.mkdir()
        np.save(other / "a.npy", records())
        result = run("encode", model, folder / "a.npy", other / "a.npy", tmp_path / "out")
        assert result.exit_code == 2 and "every file must have a place of its own" in result.output


class TestResume:
    def test_what_is_complete_stays(self, model, folder, tmp_path):
        out = tmp_path / "out"
        as_json("encode", model, folder, f"{out}/")
        (out / "a.npy.pce").touch()
        before = (out / "deep" / "b.npy.pce").stat().st_ino
        assert statuses(as_json("encode", model, folder, out)) == {
            "a.npy": "written", "b.npy": "complete", "t.csv": "complete",
        }  # fmt: skip
        assert (out / "deep" / "b.npy.pce").stat().st_ino == before
        entries = as_json("encode", model, folder, out)["files"]
        sizes = {str(path): path.stat().st_size for path in out.rglob("*.pce")}
        assert {entry["out"]: entry["bytes"] for entry in entries} == sizes
        assert {(entry["status"], entry["exit"]) for entry in entries} == {("complete", 0)}
        assert set(statuses(as_json("encode", model, folder, out, "--again")).values()) == {"written"}
        as_json("decode", model, out, f"{tmp_path}/back/")
        assert set(statuses(as_json("decode", model, out, tmp_path / "back")).values()) == {"complete"}

    @pytest.mark.parametrize("damage", ["cut", "bit", "empty", "time"])
    def test_what_is_not_whole_is_made_again(self, model, folder, tmp_path, damage):
        out = tmp_path / "out"
        as_json("encode", model, folder, f"{out}/")
        path = out / "a.npy.pce"
        whole, time_of = path.read_bytes(), path.stat().st_mtime_ns
        if damage == "time":
            np.save(folder / "a.npy", records(41))
            os.utime(folder / "a.npy", ns=(time_of + 1000, time_of + 1000))
        else:
            # The time says nothing here.
            path.write_bytes({"cut": whole[:-3], "bit": whole[:-6] + b"\0" + whole[-5:], "empty": b""}[damage])
            os.utime(path, ns=(time_of, time_of))
        said = as_json("encode", model, folder, out)
        assert statuses(said) == {"a.npy": "written", "b.npy": "complete", "t.csv": "complete"}
        if damage != "time":
            assert path.read_bytes() == whole
        as_json("decode", model, out, f"{tmp_path}/back/")
        np.testing.assert_array_equal(np.load(tmp_path / "back" / "a.npy"), np.load(folder / "a.npy"))

    @pytest.mark.parametrize(
        "options", [["--lanes", "3"], ["--index", "16"], ["--packet-bytes", "32"], ["--packet-bytes", "40"]]
    )
    def test_other_options_make_other_streams(self, model, folder, tmp_path, options):
        out = tmp_path / "out"
        found = []
        for some in ([], options, options, []):
            found.append(statuses(as_json("encode", model, folder, f"{out}/", *some))["a.npy"])
        assert found == ["written", "written", "complete", "written"]

    def test_another_circuit(self, model, folder, tmp_path):
        other = tmp_path / "other.onnx"
        write_onnx(quantize(make_circuit(1, 4, 3, 2, "chain")), other)
        as_json("encode", model, folder, f"{tmp_path}/out/")
        assert "complete" not in statuses(as_json("encode", other, folder, tmp_path / "out")).values()


class TestFailures:
    @pytest.fixture
    def with_bad(self, folder: Path) -> Path:
        (folder / "b1.npy").write_bytes(b"no array")
        np.save(folder / "b2.npy", np.full((3, 4), 9, dtype=np.uint8))
        return folder

    def test_a_bad_file_stops_no_other(self, model, with_bad, tmp_path):
        said = as_json("encode", model, with_bad, f"{tmp_path}/out/", status=1)
        assert (said["written"], said["failed"], said["left"]) == (3, 2, 0)
        bad = [entry for entry in said["files"] if entry["status"] == "failed"]
        assert [(entry["error"], entry["exit"]) for entry in bad] == [("DataError", 1), ("DataError", 1)]
        result = run("encode", model, with_bad, tmp_path / "out")
        assert result.exit_code == 1
        lines = result.stdout.splitlines()
        assert lines[0].endswith("0 files written, 3 complete before, 2 failed") and len(lines) == 1
        told = result.stderr.splitlines()
        assert "b1.npy must be a whole .npy file" in told[0] and "b2.npy" in told[1] and len(told) == 2

    def test_fail_fast(self, model, with_bad, tmp_path):
        said = as_json("encode", model, with_bad, f"{tmp_path}/out/", "--fail-fast", status=1)
        assert statuses(said) == {"a.npy": "written", "b1.npy": "failed"} and said["left"] == 3

    def test_wrong_usage_of_all_is_wrong_usage(self, model, folder, tmp_path):
        assert as_json("encode", model, folder, f"{tmp_path}/out/", "--packet-crc", "16", status=2)["failed"] == 3

    def test_a_stream_of_another_circuit(self, model, folder, tmp_path):
        as_json("encode", model, folder, f"{tmp_path}/out/")
        (tmp_path / "out" / "z.pce").write_bytes(b"no stream")
        said = as_json("decode", model, tmp_path / "out", f"{tmp_path}/back/", status=1)
        assert (said["written"], said["failed"]) == (3, 1) and not (tmp_path / "back" / "z").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_whole_files(number, model, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in range(200):
        np.save(source / f"{name:03}.npy", records(2000))
    command = [sys.executable, "-m", "pcedge", "encode", str(model), str(source), f"{out}/", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(list(out.glob("*.pce"))) < 3 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    told, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    done = len(list(out.glob("*.pce")))
    assert 3 <= done < 200
    if number != signal.SIGKILL:
        assert "the same command goes on from there" in err and not list(out.glob(".pcedge-*"))
        assert "" not in err.splitlines()
        counts = json.loads(told)
        assert (
            counts["exit"] == process.returncode and counts["written"] == len(counts["files"]) == 200 - counts["left"]
        )
        assert done - 1 <= counts["written"] <= done and counts["complete"] == counts["failed"] == 0
    said = as_json("encode", model, source, out)
    # A file may be whole and not yet have the time that says so.
    assert done - 1 <= said["complete"] <= done and said["written"] == 200 - said["complete"]
    assert not list(out.glob(".pcedge-*"))


def test_progress_off_a_terminal(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("pcedge.cli.each.EVERY", 0.0)
    result = run("encode", model, folder, f"{tmp_path}/out/", "--json")
    assert "1 of 3 files" in result.stderr and "3 of 3 files" in result.stderr
    assert json.loads(result.stdout)["written"] == 3


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_a_script(self, shell):
        assert f"_PCEDGE_COMPLETE={shell}_complete" in as_json("completion", shell)["script"]

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("pcedge enc", "encode"),
            ("pcedge encode --pack", "--packet-bytes"),
            ("pcedge decode --engine n", "numpy"),
            ("pcedge verify --rungs ort,na", "ort,native"),
            ("pcedge export --target py", "pynq-z2"),
            ("pcedge export --target c", "c99"),
            ("pcedge encode di", "digits"),
        ],
    )
    def test_words(self, words, found):
        environment = os.environ | {
            "_PCEDGE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)
        }  # fmt: skip
        said = subprocess.run(
            [sys.executable, "-m", "pcedge"], env=environment, capture_output=True, text=True, check=False
        )
        assert f"plain,{found}" in said.stdout.splitlines(), said


def test_what_cannot_be_read_has_failed(model: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "nowhere.npy").symlink_to("gone.npy")
    done = run("encode", model, folder, f"{tmp_path}/out/")
    assert done.exit_code == 1
    assert "3 files written, 0 complete before, 1 failed" in done.output
    assert "nowhere.npy" in done.output


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file whose reading fails")
@pytest.mark.parametrize("name", ["x.npy", "x.csv", "x.idx", "x.wav", "x.npz", "x.png"])
def test_what_is_not_read_is_not_called_broken(name: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).symlink_to("/proc/self/mem")
    (entry,) = as_json("encode", model, tmp_path / "in", f"{tmp_path}/out/", status=1)["files"]
    assert entry["message"] == f"{tmp_path}/in/{name} must be readable, it is not: Input/output error"


def test_folders_that_cannot_be_made_are_named(model: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").write_bytes(b"")
    said = as_json("encode", model, folder, tmp_path / "out", status=1)
    assert (said["written"], said["failed"]) == (2, 1)
    text = f"{tmp_path}/out/deep must be a folder, or one that can be made, it is not: File exists"
    assert [entry["message"] for entry in said["files"] if entry["status"] == "failed"] == [text]


def test_names_are_shown_in_a_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a\nb").mkdir()
    np.save(tmp_path / "a\nb" / "x\n\x1b[31m.npy", records())
    (tmp_path / "a\nb" / "z\n.npy").write_bytes(b"no array")
    done = run("encode", model, tmp_path / "a\nb", f"{tmp_path}/o\nut/")
    assert done.stdout.splitlines()[0] == rf"{tmp_path}/o\nut: 1 file written, 0 complete before, 1 failed"
    assert done.stderr.startswith(rf"pcedge: {tmp_path}/a\nb/z\n.npy must be a whole .npy file")
    assert len(done.stdout.splitlines()) == 1 and len(done.stderr.splitlines()) == 1
    done = run("encode", model, tmp_path / "a\nb" / "x\n\x1b[31m.npy", tmp_path / "y\n\x1b.pce")
    assert done.stdout.startswith(rf"{tmp_path}/y\n\x1b.pce: ") and len(done.stdout.splitlines()) == 1
    said = as_json("encode", model, tmp_path / "a\nb" / "x\n\x1b[31m.npy", tmp_path / "y\n\x1b.pce")
    assert said["out"] == f"{tmp_path}/y\n\x1b.pce"


def test_folders_that_cannot_be_listed_have_failed(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = run("encode", model, folder, f"{tmp_path}/out/")
    assert done.exit_code == 1
    assert f"the folder {folder / 'deep'} must be one that can be listed" in done.output


def test_links_that_lead_back_are_followed_once(model: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "loop").symlink_to("..")
    said = as_json("encode", model, f"{folder}/**/b.npy", f"{tmp_path}/out/")
    assert said["written"] == 1
    assert sorted(files(tmp_path / "out")) == ["deep/b.npy.pce"]
