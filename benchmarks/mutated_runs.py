"""Mutated files of projects and long runs: manifests, targets, reports of vendors, and what runs go on from."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.mutated import DATA, Case, Parser, damage_one, resealed
from benchmarks.mutated_circuits import circuit_fault, damage_floats, packed, unpacked
from benchmarks.mutations import BYTES, TEXT, Damage, damage_tree, to_json
from pcedge.circuit import Circuit
from pcedge.circuit.file import circuit_checksum
from pcedge.cli import simulating
from pcedge.export import find_target, targets, write_onnx, write_project
from pcedge.export.program.image import capacity_from
from pcedge.export.project.directory import plan_project, write_plan
from pcedge.export.target import Target, read_target
from pcedge.export.unrolled.project import write_unrolled
from pcedge.export.vitis.files import KERNEL_TOPS, KERNELS, vendor_files
from pcedge.learn import LearnConfig, fit
from pcedge.learn import checkpoint as checkpoints
from pcedge.learn.initial import initial_circuit
from pcedge.quantize import quantize
from pcedge.search import checkpoint
from pcedge.search.candidates import Candidate
from pcedge.search.checkpoint import Round, name_of
from pcedge.simulate.csim import Csim
from pcedge.simulate.unrolled import UnrolledCsim, kernel_of
from pcedge.toolchain.reports import Report, as_dict, read_report
from pcedge.toolchain.vitis import reports, tops_of


def small() -> tuple[Circuit, np.ndarray]:
    """Make a small circuit and records for it."""
    records = np.random.default_rng(0).integers(0, 4, (40, 4))
    records[:, 1] = records[:, 0]
    return initial_circuit("hclt", records, [4] * 4, latents=2), records


def damage_json(data: bytes, dice: Random) -> bytes:
    """Damage the text of a JSON file, mostly its tree."""
    if dice.random() < 0.25:
        return damage_one(Case({"x.json": data}, 0), dice, [Case({"x.json": data}, 0)], TEXT)["x.json"]
    return to_json(damage_tree(json.loads(data), dice), indent=2).encode("utf-8", "surrogatepass")


class Manifest(Parser):
    """Read manifests as image, simulate, report and export over an earlier project do.

    An accepted one is taken as it is written, no number turned into another; what it lists is no way to other files.
    """

    name = "manifest"
    JOBS = ("image", "read", "reports", "over")

    def make(self) -> list[Case]:
        """Write projects of every kernel."""
        circuit = quantize(small()[0])
        self.model = self.folder / "m.onnx"
        write_onnx(circuit, self.model)
        self.projects = [
            write_project(circuit, self.folder / "baked", target="kv260"),
            write_project(circuit, self.folder / "reload", target="zcu104", reload=True),
            write_unrolled(circuit, self.folder / "unrolled", target="arty-a7", adders="plain"),
        ]
        self.said = json.loads((self.projects[0] / "manifest.json").read_bytes())
        made = []
        for number, project in enumerate(self.projects):
            data = (project / "manifest.json").read_bytes()
            made += [Case({"manifest.json": data}, 0, options=(number, job))
                     for job in self.JOBS if job != "image" or number == 1]  # fmt: skip
        return made

    def place(self, case: Case) -> None:
        """Write the manifest into its project; for an export over it, into a new folder among other files."""
        number, job = case.options
        if job == "over":
            shutil.rmtree(self.place_of_files, ignore_errors=True)
            for name in ("notes.txt", "p/notes.txt", "p/src/mine.cpp", "p/manifest.json"):
                (self.place_of_files / name).parent.mkdir(parents=True, exist_ok=True)
                (self.place_of_files / name).write_text("mine")
        folder = self.place_of_files / "p" if job == "over" else self.projects[number]
        (folder / "manifest.json").write_bytes(case.files["manifest.json"])

    def damaged(self, dice: Random) -> Case:
        """Damage the JSON."""
        source = dice.choice(self.whole)
        data = damage_json(source.files["manifest.json"], dice)
        return Case({"manifest.json": data}, source.source, options=source.options)

    def read(self, case: Case) -> Any:
        """Do what the command does with it."""
        number, job = case.options
        folder = self.projects[number]
        if job == "image":
            out = self.folder / "o.img"
            simulating.image.callback(str(self.model), folder, out)  # type: ignore[misc]
            return out.read_bytes()
        if job == "over":
            plan = plan_project(self.said, {"new.txt": b"new"})
            return str(write_plan(plan, self.place_of_files / "p").relative_to(self.folder))
        if job == "reports":
            return tops_of(folder), sorted(reports(folder))
        simulator = UnrolledCsim(folder) if kernel_of(folder) == "unrolled" else Csim(folder)
        return simulator.manifest.table

    def content(self, case: Case, found: Any) -> Any:
        """Compare all but what is read of the manifest itself."""
        return found

    def fault(self, case: Case, found: Any) -> str | None:
        """Compare what was taken with what is written."""
        job = case.options[1]
        if job == "over":
            left = sorted(path.relative_to(self.place_of_files).as_posix()
                          for path in self.place_of_files.rglob("*") if path.is_file())  # fmt: skip
            wanted = {"notes.txt", "p/manifest.json", "p/new.txt"}
            if not wanted <= set(left) or (self.place_of_files / "notes.txt").read_text() != "mine":
                return f"an export over a project must leave others' files and its own, {left} are left"
            return None
        said = json.loads(case.files["manifest.json"])
        if job == "image" and json.dumps(capacity_from(said["capacity"]).as_dict()) != json.dumps(said["capacity"]):
            return "the capacity must be taken as it is written"
        if job == "read" and json.dumps(found) != json.dumps(said):
            return "the manifest must be taken as it is written"
        if job == "reports" and found[0] != said["tops"]:
            return "the tops must be taken as they are written"
        return None


class TargetFile(Parser):
    """Read targets (TOML); an accepted one can be written for machines and for the vendor, and read again."""

    name = "target"

    def make(self) -> list[Case]:
        """Take those that are shipped, and the least one."""
        folder = Path(find_target.__code__.co_filename).parent / "targets"
        made = [Case({"t.toml": (folder / f"{name}.toml").read_bytes()}, 0) for name in targets()]
        least = b'name = "b"\nflow = "vitis-hls"\npart = "xc7a35ticsg324-1L"\nclock_ns = 10\n'
        return [*made, Case({"t.toml": least}, 0)]

    def damaged(self, dice: Random) -> Case:
        """Damage the text."""
        source = dice.choice(self.whole)
        return Case(damage_one(source, dice, self.whole, (*TEXT, _toml_value, _toml_value, _toml_value)), source.source)

    def read(self, case: Case) -> Target:
        """Find it by its path."""
        return find_target(str(self.place_of_files / "t.toml"))

    def content(self, case: Case, found: Target) -> Any:
        """Take all fields."""
        return found.as_dict()

    def fault(self, case: Case, found: Target) -> str | None:
        """Write it."""
        fields = found.as_dict()
        json.dumps(fields, allow_nan=False)
        clock = float(found.clock_ns)
        if not (math.isfinite(clock) and 0 < 1e3 / clock < math.inf and f"{clock:g}"):
            return f"the clock must be a number that its frequency can be computed of, got {clock}"
        texts = vendor_files(found, {KERNELS: KERNEL_TOPS})
        if any("\0" in text for text in texts.values()):
            return "scripts must be text"
        table = fields.pop("resources", None)
        lines = [f"{name} = {_toml(value)}" for name, value in fields.items()]
        if isinstance(table, dict):
            lines += ["[resources]", *(f"{name} = {value}" for name, value in table.items())]
        if read_target("\n".join(lines), "again") != found:
            return "it must be the same when it is written and read again"
        return None


def _toml(value: object) -> str:
    return json.dumps(value).replace("\x7f", "\\u007f")


def _toml_value(data: bytes, dice: Random, others: Any) -> bytes:
    """Give a key another kind of value."""
    values = (
        b"true", b'""', b"[]", b"{}", b"{x = 1}", b"[" * 2000, b"1979-05-27T07:32:00Z", b"07:32:00", b"nan", b"inf",
        b"-inf", b"0x7f", b"1e400", b"5e-324", b"1e308", b"9" * 400, b"9" * 5000, b"-1", b"0", b"1.5", b"1_0", b"'\\'",
        b'"""a\nb"""', b'"\\u0000"', b'"x"', b'"7-series"',
    )  # fmt: skip
    lines = data.split(b"\n")
    place = dice.randrange(len(lines))
    key = lines[place].partition(b"=")[0] if b"=" in lines[place] else b"x "
    lines[place] = key + b"= " + dice.choice(values)
    return b"\n".join(lines)


class Checkpoint(Parser):
    """Go on from checkpoints of training: where the checksum was not made anew, to the same circuit or not at all."""

    name, modules = "checkpoint", ("torch",)
    #: iterations done, and after going on
    DONE, ALL = 3, 5

    def make(self) -> list[Case]:
        """Train circuits with and without parametric leaves, and stop."""
        import torch

        torch.set_num_threads(1)
        _, records = small()
        self.records = records
        self.starts = [
            initial_circuit("hclt", records, [4] * 4, latents=2),
            initial_circuit("chain", records, [4] * 4, latents=2, leaves="logistic"),
        ]
        made = []
        for number, batch in ((0, 16), (1, 100)):
            self.place_of_files.mkdir(exist_ok=True)
            path = self.place_of_files / "run"
            path.unlink(missing_ok=True)
            self._fit(number, batch, self.DONE)
            made.append(Case({"run": path.read_bytes()}, 0, options=(number, batch)))
        return made

    def _fit(self, number: int, batch: int, iterations: int) -> Circuit:
        config = LearnConfig(latents=2, iterations=iterations, batch=batch, seed=3)
        return fit(self.records, config, circuit=self.starts[number], checkpoint=self.place_of_files / "run")

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, the header, the state in it, or tensors, whose checksum is made anew."""
        source = dice.choice(self.whole)
        if dice.random() < 0.4:
            kinds = (*BYTES, *TEXT)
            return Case(damage_one(source, dice, self.whole, kinds), source.source, True, source.options)
        line, data = _first_line(source.files["run"])
        outer, tensors = unpacked(data)
        kind = dice.randrange(4)
        if kind == 0:
            outer = damage_tree(outer, dice)
        elif kind == 1:
            inner = damage_tree(json.loads(outer["__metadata__"]["pcedge-checkpoint"]), dice)
            outer["__metadata__"]["pcedge-checkpoint"] = to_json(inner)
        else:
            tensors = damage_floats(tensors, dice)
        made = packed(to_json(outer), tensors)
        sealed = dice.random() < 0.7
        if line and sealed:
            line = resealed(lambda: checkpoints._first_line(made), line)
        return Case({"run": line + made}, source.source, not (line and sealed), source.options)

    def read(self, case: Case) -> Circuit:
        """Go on."""
        return self._fit(*case.options, self.ALL)

    def content(self, case: Case, found: Circuit) -> str:
        """Hash the circuit that it ends in."""
        return circuit_checksum(found)

    def fault(self, case: Case, found: Circuit) -> str | None:
        """Demand a distribution."""
        return circuit_fault(found, 1e-8)


def _first_line(data: bytes) -> tuple[bytes, bytes]:
    """Take the line with the checksum, if there is one, off the safetensors file."""
    if data[8:9] == b"{":
        return b"", data
    line, _, rest = data.partition(b"\n")
    return line + b"\n", rest


class SearchState(Parser):
    """Go on from the state of a search: whatever is accepted has names and finite figures as they are written."""

    name = "search"
    MARK = "0" * 64

    def make(self) -> list[Case]:
        """Write states of several lengths."""
        path, made = self.folder / "state", []
        for length in (1, 2, 5):
            first = Round(name_of([Candidate((8, length), 12, 16, 4)]), (), (2.5,))
            later = [Round(name_of([Candidate((8, 8), 12, 16, i)]), (2.5, 2.25), (2.5 - i / 8,))
                     for i in range(1, length)]  # fmt: skip
            checkpoint.write_rounds(path, self.MARK, [first, *later])
            made.append(Case({"s.json": path.read_bytes()}, 0))
        return made

    def damaged(self, dice: Random) -> Case:
        """Damage the JSON; the checksum is made anew in part."""
        source = dice.choice(self.whole)
        data = damage_json(source.files["s.json"], dice)
        if dice.random() < 0.4:
            return Case({"s.json": data}, source.source, True)

        def seal() -> bytes:
            state = json.loads(data)
            return json.dumps(state | {"checksum": checkpoint.checksum_of(state)}).encode()

        return Case({"s.json": resealed(seal, data)}, source.source)

    def read(self, case: Case) -> list[Round]:
        """Read it."""
        return checkpoint.read_rounds(self.place_of_files / "s.json", self.MARK)

    def content(self, case: Case, found: list[Round]) -> Any:
        """Take the names and the figures."""
        return [asdict(one) for one in found]

    def fault(self, case: Case, found: list[Round]) -> str | None:
        """Look at the figures."""
        if not found or not all(one.many for one in found):
            return "every round must have scores"
        figures = [bits for one in found for bits in (*one.few, *one.many)]
        if not all(type(bits) is float and math.isfinite(bits) for bits in figures):
            return f"the figures must be finite, got {figures}"
        said = json.loads(case.files["s.json"])
        if json.dumps(said["rounds"]) != json.dumps([asdict(one) for one in found]):
            return "the state must be taken as it is written"
        return None


class Reports(Parser):
    """Read the text reports of Vivado: what is accepted has finite numbers that stand in the file."""

    name = "report"
    files: tuple[str, ...] = ("utilization.rpt", "timing.rpt")
    more: tuple[Damage, ...] = ()

    def make(self) -> list[Case]:
        """Take the files of tests/data."""
        return [Case({"r": (DATA / "vendor" / name).read_bytes()}, 0) for name in self.files]

    def damaged(self, dice: Random) -> Case:
        """Damage the text."""
        source = dice.choice(self.whole)
        return Case(damage_one(source, dice, self.whole, (*TEXT, *self.more)), source.source)

    def read(self, case: Case) -> Report:
        """Read it."""
        return read_report(self.place_of_files / "r")

    def content(self, case: Case, found: Report) -> Any:
        """Take all fields."""
        return as_dict(found)

    def fault(self, case: Case, found: Report) -> str | None:
        """Look for every number in the text."""
        fields = as_dict(found)
        json.dumps(fields, allow_nan=False)
        text = case.files["r"].decode("utf-8-sig")
        words = {float(word) for word in re.findall(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?", text)}
        for part in ("used", "available"):
            counts = fields.get(part, {})
            assert isinstance(counts, dict)
            for name, count in counts.items():
                known = count is None or float(count) in words or (name == "bram18" and count / 2 in words)
                if not known or (count is not None and count < 0):
                    return f"{name} must be a number of the file, got {count}"
        return None


def _elements(data: bytes, dice: Random, others: Any) -> bytes:
    """Put many elements, or deep ones, into an XML."""
    place = data.find(b"<", dice.randrange(len(data)))
    part, count = dice.choice((b"<a/>", b"<a>", b"<a b='c'>x</a>", b"<!-- -->", b"<?x y?>")), 1 << dice.randrange(4, 17)
    return data[:place] + part * count + data[place:]


class Xml(Reports):
    """Read the XML of C synthesis."""

    name, files, more = "xml", ("csynth.xml",), (_elements,)


RUNS = (Manifest, TargetFile, Checkpoint, SearchState, Reports, Xml)
