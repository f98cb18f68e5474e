"""What a project's folder and manifest may hold: names within the folder, numbers in their ranges, typed errors."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from helpers.paths import ROOT
from strategies import make_circuit

from pcedge.cli import group
from pcedge.drivers.size import EngineSize
from pcedge.errors import FormatError, PcedgeError, UsageError
from pcedge.export import find_target, write_onnx, write_project
from pcedge.export.engine.project import plan_engine
from pcedge.export.program.image import image_words
from pcedge.export.project.directory import plan_project, write_plan
from pcedge.export.project.manifest import MANIFEST, check_names, parse_manifest, read_manifest
from pcedge.export.target import read_target
from pcedge.export.unrolled.project import plan_unrolled, write_unrolled
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize
from pcedge.simulate.unrolled import kernel_of

FORMAT = {
    "format": "pcedge-project", "digest": "0" * 64, "variables": 1, "golden_records": 1,
    "steps": {"likelihood": 1, "code": 1},
}  # fmt: skip
PLAN = plan_project(FORMAT, {name: b"new" for name in ("src/a.txt", "golden/b.bin", "Makefile")})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_plan(PLAN, tmp_path / "p")


def set_files(folder: Path, names: object) -> None:
    (folder / MANIFEST).write_text(json.dumps(FORMAT | {"files": names}))


class TestFolder:
    def test_a_link_below_the_folder_is_not_followed(self, folder: Path, tmp_path: Path) -> None:
        """Neither to replace a file of the new project, nor to delete one of the old."""
        other = tmp_path / "other"
        shutil.move(folder / "src", other)
        (folder / "src").symlink_to(other)
        (other / "mine.txt").write_text("mine")
        (other / "a.txt").write_text("mine")
        before = (folder / MANIFEST).read_bytes()
        text = r"p/src must be a folder of the project itself, it is a link or a file$"
        with pytest.raises(UsageError, match=text):
            write_plan(PLAN, folder)
        set_files(folder, ["src/mine.txt"])
        with pytest.raises(UsageError, match=text):
            write_plan(plan_project(FORMAT, {}), folder)
        assert (other / "a.txt").read_text() == (other / "mine.txt").read_text() == "mine"
        assert before != (folder / MANIFEST).read_bytes() and (folder / "golden/b.bin").read_text() == "new"
        # A link deeper in, and one that leads to the folder itself, are links too.
        (folder / "src").unlink()
        (folder / "src").symlink_to(folder / "golden")
        with pytest.raises(UsageError, match=text):
            write_plan(PLAN, folder)

    def test_the_folder_itself_may_be_a_link(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/link").symlink_to(folder)
        (folder / "src/mine.txt").write_text("mine")
        assert write_plan(PLAN, tmp_path / "elsewhere/link") == tmp_path / "elsewhere/link"
        assert (tmp_path / "elsewhere/link").is_symlink() and (folder / "src/mine.txt").read_text() == "mine"
        assert json.loads((folder / MANIFEST).read_text())["files"] == ["Makefile", "golden/b.bin", "src/a.txt"]

    def test_a_link_in_a_files_place_gives_way_and_its_target_stays(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        (folder / "Makefile").unlink()
        (folder / "Makefile").symlink_to(tmp_path / "mine.txt")
        (folder / "old").symlink_to(tmp_path / "mine.txt")
        set_files(folder, ["Makefile", "old"])
        write_plan(PLAN, folder)
        assert not (folder / "Makefile").is_symlink() and (folder / "Makefile").read_text() == "new"
        assert not os.path.lexists(folder / "old") and (tmp_path / "mine.txt").read_text() == "mine"

    def test_a_file_and_a_folder_in_each_others_place(self, folder: Path) -> None:
        shutil.rmtree(folder / "src")
        (folder / "src").write_text("mine")
        with pytest.raises(UsageError, match=r"p/src must be a folder of the project itself, it is a link or a file$"):
            write_plan(PLAN, folder)
        assert (folder / "src").read_text() == "mine"
        (folder / "src").unlink()
        (folder / "Makefile").unlink()
        (folder / "Makefile").mkdir()
        with pytest.raises(UsageError, match=r"p/Makefile must be a file of the project, it is a folder$"):
            write_plan(PLAN, folder)
        # Nothing was begun: what is refused is refused before the first file moves.
        assert not (folder / "src").exists() and not list(folder.parent.glob(".pcedge-*"))

    def test_an_old_name_in_other_capitals_may_be_a_new_file(self, folder: Path) -> None:
        (folder / "SRC").mkdir()
        (folder / "SRC/A.txt").write_text("old")
        set_files(folder, ["SRC/A.txt"])
        write_plan(PLAN, folder)
        assert (folder / "SRC/A.txt").exists() and (folder / "src/a.txt").read_text() == "new"

    @pytest.mark.parametrize(
        ("names", "text"),
        [
            (["manifest.json"], "files must not name the manifest itself, got 'manifest.json'"),
            (["Manifest.JSON"], "files must not name the manifest itself, got 'Manifest.JSON'"),
            (["a", "b", "a"], "files must name each file once, got 'a' twice"),
            (["a/b", "A/B"], "files must name each file once, got 'A/B' twice"),
            (["a/b/c", "a/b"], "files must not be folders of others, got 'a/b'"),
            ("Makefile", "files must be a list of names, got 'Makefile'"),
            (None, "files must be a list of names, got None"),
            *(
                ([name], "files must be letters, digits, dots and dashes, below the folder, got")
                for name in (
                    "", ".", "..", "../a", "a/../b", "/etc/passwd", "a//b", "a/", "./a", "a\\b", "..\\a", "C:a", "C:/a",
                    "a\0", "a\n", "manifest.json.", "a.", ".git", "-a", "~/a", "é", 3, None, "a" * 201,
                )
            ),
        ],
    )  # fmt: skip
    def test_names_that_are_refused(self, names: object, text: str, folder: Path, tmp_path: Path) -> None:
        outside = tmp_path / "a"
        outside.write_text("mine")
        set_files(folder, names)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(UsageError) as caught:
            write_plan(PLAN, folder)
        assert text in str(caught.value)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        with pytest.raises(FormatError) as refused:  # every other reader has the same rule
            read_manifest(folder)
        assert text in str(refused.value)

    def test_names_of_every_project_are_good(self, projects: Path) -> None:
        for project in projects.iterdir():
            names = json.loads((project / MANIFEST).read_text())["files"]
            assert check_names(names, MANIFEST) == names and len(names) > 10

    def test_every_project_is_what_its_plan_says(self, projects: Path, circuit: IntegerCircuit) -> None:
        """A plan has the bytes of the folder, one digest, and one archive; a manifest is written as it was read."""
        plans = {
            "reload": plan_engine(circuit, shape=EngineSize(4, 2), reload=True),
            "baked": plan_engine(circuit, shape=EngineSize(4, 2)),
            "unrolled": plan_unrolled(circuit, adders="plain"),
        }
        for name, plan in plans.items():
            paths = [path for path in (projects / name).rglob("*") if path.is_file()]
            written = {path.relative_to(projects / name).as_posix(): path.read_bytes() for path in paths}
            assert plan.contents == written and list(plan.files) == sorted(plan.files)
            assert read_manifest(projects / name).to_json() == written[MANIFEST]
            with zipfile.ZipFile(io.BytesIO(plan.to_zip())) as archive:
                assert {entry: archive.read(entry) for entry in archive.namelist()} == written
            turned = plan_project(plan.manifest.table, dict(reversed(plan.files.items())))
            assert turned.digest == plan.digest and turned.to_zip() == plan.to_zip()
            changed = plan_project(plan.manifest.table, {**plan.files, "Makefile": b""})
            assert changed.digest != plan.digest and changed.to_zip() != plan.to_zip()
        assert len({plan.digest for plan in plans.values()}) == 3

    def test_a_plan_is_refused_before_anything_is_written(self) -> None:
        with pytest.raises(FormatError, match=r"files must not name the manifest itself, got 'Manifest\.json'$"):
            plan_project(FORMAT, {"Manifest.json": b""})
        with pytest.raises(FormatError, match="files must be letters, digits, dots and dashes, below the folder"):
            plan_project(FORMAT, {"../a": b""})
        with pytest.raises(FormatError, match=r"variables must be a whole number in 1\.\.4294967295, got 0$"):
            plan_project(FORMAT | {"variables": 0}, {})

    def test_a_manifest_that_is_no_file(self, folder: Path) -> None:
        (folder / MANIFEST).unlink()
        os.mkfifo(folder / MANIFEST)
        with pytest.raises(FormatError, match=r"manifest\.json must be a file$"):
            kernel_of(folder)
        (folder / MANIFEST).unlink()
        (folder / MANIFEST).write_bytes(b" " * ((1 << 20) + 1))
        with pytest.raises(FormatError, match="a manifest must have at most 1048576 bytes, got more"):
            kernel_of(folder)


@pytest.fixture(scope="module")
def circuit() -> IntegerCircuit:
    return quantize(make_circuit(5, 6, 3, 4, "hidden", 0.0))


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory, circuit: IntegerCircuit) -> Path:
    folder = tmp_path_factory.mktemp("projects")
    write_project(circuit, folder / "reload", shape=EngineSize(4, 2), reload=True)
    write_project(circuit, folder / "baked", shape=EngineSize(4, 2))
    write_unrolled(circuit, folder / "unrolled", adders="plain")
    return folder


#: values in the place of others, and pieces of text in the middle of a file
VALUES: list[Any] = [
    None, True, 0, -1, 1, 2**32, 10**400, 1.5, "", "../x", "9" * 100, [], {}, [0, 0], {"a": 1}, "\0", float("inf"),
]  # fmt: skip
PIECES = [b"9" * 310, b"9" * 5000, b"[" * 5000, b'{"a":' * 3000, b"1e999", b"NaN", b'"', b"-", b"\xff", b"\0"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List all places in a JSON value but the whole."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(rng: random.Random, data: bytes) -> bytes:
    """Change bytes of a file at random."""
    found = bytearray(data)
    place = rng.randrange(len(found))
    kind = rng.randrange(4)
    if kind == 0:
        found[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        found[place:place] = rng.choice(PIECES)
    elif kind == 2:
        del found[place : place + rng.randrange(1, 40)]
    else:
        digits = [at for at, byte in enumerate(found) if chr(byte).isdigit()]
        found[place : place + 1] = b""
        found[(at := rng.choice(digits)) : at + 1] = rng.choice(PIECES)
    return bytes(found)


def test_changed_manifests_are_typed(projects: Path, circuit: IntegerCircuit) -> None:
    rng, kept = random.Random(0), 0
    texts = [(projects / name / MANIFEST).read_bytes() for name in ("reload", "reload", "baked", "unrolled")]
    for number in range(600):
        text = rng.choice(texts)
        if number % 2:
            data = changed(rng, text)
        else:
            value = json.loads(text)
            *above, last = rng.choice(list(places(value)))
            inner = value
            for key in above:
                inner = inner[key]
            inner[last] = rng.choice(VALUES)
            data = json.dumps(value).encode()
        try:
            manifest = parse_manifest(data, "m")
            if manifest.capacity is not None:
                image_words(circuit, manifest.capacity)
            kept += 1
        except PcedgeError as error:
            assert len(str(error)) < 1000
    assert 50 < kept < 400


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("capacity", "sections", "weights", 1), 10**12, "bits of weights must be a whole number in 0..4294967295"),
        (("capacity", "sections", "weights", 1), 4 << 20, "bits of weights must be in 1..32, got 4194304"),
        (("capacity", "sections", "weights"), 3, "weights must be two numbers, entries and bits, got 3"),
        (("capacity", "sections", "weights", 0), -1, "entries of weights must be a whole number in 0..42949"),
        (("capacity", "sections", "new"), [1, 1], "sections must hold nothing but 53 known names, got 'new'"),
        (("capacity", "sizes", "state_words"), 0, "state_words of sizes must be a whole number in 1..42949"),
        (("capacity", "sizes"), {}, "sizes must hold variables, got none"),
        (("capacity", "shape", "macs"), 4.0, "macs of shape must be a whole number in 0..4294967295, got 4.0"),
        (("capacity", "shape", "macs"), 3, "macs must be a power of two in 1..4096, got 3"),
        (("capacity", "widths", "terms"), "6", "terms of widths must be a whole number in 0..4294967295, got '6'"),
        (("capacity", "widths", "leaf_bits"), 17, "leaf_bits must be in 8..16, got 17"),
        (("capacity",), None, "it must be a table, got None"),
        (("reload",), 1, "reload must be true or false, got 1"),
        (("steps", "code"), True, "steps: code must be a whole number in 1..4294967295, got True"),
        (("steps",), 3, "steps must hold likelihood and code, got 3"),
        (("macs",), "16", "macs must be a whole number, got '16'"),
        (("streams",), 65, "streams must be in 1..64, got 65"),
        (("digest",), "00", "digest must be the 64 digits of a SHA-256, got '00'"),
        (("golden_records",), 10**300, "golden_records must be a whole number in 1..4294967295, got 1000"),
        (("variables",), None, "variables must be a whole number in 1..4294967295, got none"),
        (("target",), [], "target must be a table with a part, got []"),
        (("kernel",), "other", "kernel must be engine, unrolled, c99, rtl or unrolled-rtl, got 'other'"),
    ],
)  # fmt: skip
def test_numbers_of_a_manifest(
    path: tuple[Any, ...], value: object, text: str, projects: Path, circuit: IntegerCircuit, tmp_path: Path
) -> None:
    """The commands that read a manifest say the same, with exit status 1."""
    project = shutil.copytree(projects / "reload", tmp_path / "p")
    manifest = copy.deepcopy(json.loads((project / MANIFEST).read_text()))
    inner = manifest
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (project / MANIFEST).write_text(json.dumps(manifest))
    write_onnx(circuit, tmp_path / "m.onnx")
    image = ["image", tmp_path / "m.onnx", "--project", project, "--out", tmp_path / "o"]
    for words in (image, ["simulate", project], ["build", project], ["report", project]):
        done = CliRunner().invoke(group, [str(word) for word in words])
        assert done.exit_code == 1 and text in done.stderr and "project-manifest: " in done.stderr
    assert not (tmp_path / "o").exists()


def test_changed_targets_are_typed() -> None:
    rng, kept = random.Random(0), 0
    shipped = sorted((ROOT / "export/targets").glob("*.toml"))
    for _ in range(600):
        try:
            text = changed(rng, rng.choice(shipped).read_bytes()).decode()
        except UnicodeDecodeError:
            continue
        try:
            target = read_target(text, "t.toml")
            json.dumps(target.as_dict(), allow_nan=False)
            assert 0.001 <= target.clock_ns <= 1e6
            kept += 1
        except UsageError as error:
            assert len(str(error)) < 1000
    assert 50 < kept < 400


def test_target_files_without_bounds(tmp_path: Path) -> None:
    base = 'name = "b"\nflow = "vitis-hls"\npart = "x-1"\n'
    for text, said in (
        (base + "clock_ns = " + "9" * 400, "clock_ns must be in 0.001 to 1000000 nanoseconds, got 9999"),
        (base + "clock_ns = " + "9" * 5000, "must be a TOML file"),
        (base + "clock_ns = 1e-320", "clock_ns must be in 0.001 to 1000000 nanoseconds, got 1e-320"),
        (base + "clock_ns = 5.0\n" + "x" * 500 + " = 1", "it must hold nothing else, got 'xxx"),
        (base.replace("b", "b\\u001b[2J") + "clock_ns = 5.0", r"name must be a text of one line, got 'b\x1b[2J'"),
        (base + "clock_ns = " + "[" * 20000, "must be a TOML file"),
        (base + "#" * (1 << 16), "it must have at most 65536 bytes, got more"),
    ):
        (tmp_path / "b.toml").write_text(text)
        with pytest.raises(UsageError) as caught:
            find_target(str(tmp_path / "b.toml"))
        assert said in str(caught.value) and len(str(caught.value)) < 1000
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(UsageError, match=r"pipe\.toml must be a TOML file .* \(it is no file\)"):
        find_target(str(tmp_path / "pipe.toml"))
