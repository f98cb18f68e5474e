"""Simulation of a predictor stage in SystemVerilog by Verilator: what `StageCsim` does, with the same results."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.codec.predicted import lane_rows
from pcedge.data.prediction import Plan
from pcedge.data.predictor import Predictor
from pcedge.data.tokens import raw_bits
from pcedge.errors import FormatError, MismatchError, ToolError
from pcedge.export.open_target import find_open_target
from pcedge.export.project.lanes import unpack_lanes
from pcedge.export.project.manifest import RTL, Manifest, read_manifest
from pcedge.export.project.prediction import stage_of
from pcedge.export.rtl.stage.project import STAGE_BENCH, STAGE_TOP, stage_sources
from pcedge.files import scratch
from pcedge.simulate.base import circuit_of
from pcedge.simulate.netlist import DEVICES
from pcedge.simulate.rtl import FLAGS, OPTIMISE
from pcedge.toolchain import cells
from pcedge.toolchain.building import bench_of, rtl_sources
from pcedge.toolchain.compiled import unusable
from pcedge.toolchain.netlists import Netlist
from pcedge.toolchain.open_flow import synthesize
from pcedge.toolchain.rtl_files import copy_images
from pcedge.toolchain.verilator import build

#: jobs of the stage (docs/rtl.md, Predictor stage)
PREDICT, RESTORE, PACK, UNPACK = range(4)

#: bits of its status
STATUS = (
    "a number is out of the range of its column", "TLAST is not at the last number", "there are too few raw bits",
    "there are too many raw bits", "the raw bits do not end in zeros", "a symbol is no token",
    "a residual comes under another token than its own", "no encoder wrote the bytes of the tokens",
    "the stage has no such job",
)  # fmt: skip

#: marks of a beat: it has data, it ends a packet
DATA, LAST = 1, 2

#: beats of a stream: data, by their bits, and marks, (beats, 2)
Beats = NDArray[np.uint64]


@dataclass(frozen=True)
class Lane:
    """Hold what a lane gives: status and cycles, and of numbers, raw bits and coded words the beats that came out."""

    status: int
    cycles: int
    #: beats of each that were offered and not taken
    left: tuple[int, int, int]
    numbers: Beats
    raw: Beats
    coded: Beats


def packet(words: Iterable[int] | IntArray | NDArray[np.uint64], present: NDArray[np.bool_] | None = None) -> Beats:
    """Make a packet of words; one without any is a beat without data."""
    data = np.array(list(words) if not isinstance(words, np.ndarray) else words)
    if not data.size:
        return np.array([[0, LAST]], dtype=np.uint64)
    beats = np.empty((data.size, 2), dtype=np.uint64)
    beats[:, 0] = data.astype(np.uint64)
    beats[:, 1] = DATA if present is None else np.where(present, DATA, 0)
    beats[-1, 1] += np.uint64(LAST)
    return beats


def raw_bytes(beats: Beats) -> bytes:
    """Give the bytes of a packet of bytes."""
    found: NDArray[np.uint8] = beats[beats[:, 1] & np.uint64(DATA) != 0, 0].astype(np.uint8)
    return found.tobytes()


@dataclass(frozen=True)
class StageRtl:
    """Run the predictor stage of a project in SystemVerilog; it is compiled when its sources or a tool have changed."""

    folder: Path
    #: share of 256, and a seed: so often both ends of a stream are not ready
    stalls: tuple[int, int] | None = None
    #: a family of `netlist.DEVICES` whose netlist of the stage runs instead of its source; None runs the source
    family: str | None = None

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of RTL with a predictor stage, or its manifest is damaged.
        """
        manifest = read_manifest(self.folder, RTL)
        if manifest.stage is None:
            raise FormatError("project-manifest", f"{self.folder} must be of a circuit with a predictor stage")
        return manifest

    @cached_property
    def predictor(self) -> Predictor:
        """Read the stage of the project's circuit."""
        found = stage_of(circuit_of(self.folder, self.manifest))
        if found is None:
            raise FormatError("project-manifest", f"{self.folder} must be of a circuit with a predictor stage")
        return found

    def compile(self) -> Path:
        """Compile the sources where they or the tools have changed; give the executable.

        Raises:
            FormatError: the directory is no project of this kind.
            MissingToolError: Verilator, make or a C++ compiler is missing.
            ToolError: one of them failed; its text is in the message.
        """
        manifest, harness = self.manifest, bench_of(self.folder, STAGE_BENCH)
        if self.family is not None:
            work = self.folder / "build" / f"netlist-stage-{self.family}"
            found = cells.netlist_sources(self.synthesize(), self.family)
            return build(found, STAGE_TOP, harness, work / "simulator", flags=cells.FLAGS, optimise="-O0")
        work = self.folder / "build" / "verilator-stage"
        work.mkdir(parents=True, exist_ok=True)
        copy_images(self.folder, manifest, work)  # where it is started
        return build(self._sources, STAGE_TOP, harness, work, flags=FLAGS, optimise=OPTIMISE)

    def synthesize(self) -> Netlist:
        """Make the netlist of the stage where it is not there; `family` names the device.

        Raises:
            FormatError: the directory is no project of this kind.
            MissingToolError: yosys is missing.
            ToolError: it failed; its text is in the message.
        """
        assert self.family is not None
        work = self.folder / "build" / f"netlist-stage-{self.family}"
        return synthesize(self._sources, STAGE_TOP, find_open_target(DEVICES[self.family]), work)

    @property
    def _sources(self) -> list[Path]:
        names = stage_sources()
        return [path for path in rtl_sources(self.folder) if path.name in names]

    def golden(self) -> str:
        """Compare all jobs with the golden vectors; say what was compared.

        Raises:
            MismatchError: they differ; the message names number or lane.
            FormatError: the golden files are not those of the manifest.
            ToolError: the simulator cannot run.
        """
        folder, stage = self.folder / "golden", self.manifest.stage
        assert stage is not None
        try:
            values, gone = np.fromfile(folder / "numbers.i64", "<u8").astype(np.uint64).reshape(2, -1)
            records = np.fromfile(folder / "stage.i64", "<i8").astype(np.int64).reshape(-1, 3)
            raw, coded = (unpack_lanes((folder / name).read_bytes()) for name in ("raw.bin", "coded.bin"))
        except (OSError, ValueError, FormatError) as error:
            raise FormatError("project-golden", f"{folder} must hold golden vectors ({error})") from error
        sizes = (len(values), len(records), sum(map(len, raw)))
        if sizes != (stage["golden_numbers"],) * 2 + (stage["golden_bytes"],) or len(raw) != len(coded):
            raise FormatError("project-golden", f"{folder} must hold the numbers and bytes that the manifest counts")
        cells = _cells(values, gone != 0, self.predictor)
        rows, lanes = len(values) // stage["columns"], len(raw)
        found, found_raw = self.forward(cells, lanes)
        _same("class, token and raw bits", records, found)
        _same_lanes("raw bits", raw, found_raw)
        for name, (classes, numbers, missing) in {
            "restored": self.back(records[:, 1], raw, rows), "unpacked": (None, *self.unpack(coded, raw, rows)),
        }.items():  # fmt: skip
            if classes is not None:
                _same("class before its token", records[:, 0], classes)
            _same(f"{name} number", np.where(gone != 0, 0, values).astype(np.uint64).view(np.int64), numbers)
            _same(f"{name} number missing", (gone != 0).astype(np.int64), missing)
        packed, packed_raw = self.pack(cells, lanes)
        _same_lanes("packed bytes", coded, packed)
        _same_lanes("packed raw bits", raw, packed_raw)
        return (
            f"{len(values)} records: classes, tokens, raw bits and restored numbers equal the golden vectors\n"
            f"compared: {len(values)} records, {sizes[2]} bytes"
        )

    def forward(self, x: NDArray[Any], lanes: int) -> tuple[IntArray, list[bytes]]:
        """Map rows of numbers, a masked array where some may be missing, one lane after the other.

        Returns:
            Class, token and count of raw bits of every number, (numbers, 3), and every lane's raw bits.

        Raises:
            MismatchError: the stage refuses the rows; its status is in the message.
            ToolError: the simulator cannot run.
        """
        found = self._checked(self._numbers(PREDICT, x, lanes))
        pairs = np.concatenate([lane.coded for lane in found]).reshape(-1, 2, 2)
        if (pairs[:, :, 1] != [DATA, DATA | LAST]).any():
            raise MismatchError("rtl: a record of class and token must be a packet")
        symbols = pairs[:, :, 0].astype(np.int64)
        sizes = raw_bits(Plan(self.predictor, 0), symbols[:, 0], symbols[:, 1])
        return np.column_stack([symbols, sizes]), [raw_bytes(lane.raw) for lane in found]

    def back(self, tokens: IntArray, raw: list[bytes], rows: int) -> tuple[IntArray, IntArray, IntArray]:
        """Restore numbers from tokens, in the order of their numbers.

        Returns:
            Classes, numbers, those of uint64 by their bits, and which are missing, 1; they are 0 as numbers.

        Raises:
            MismatchError: the stage refuses the lanes; its status is in the message.
            ToolError: the simulator cannot run.
        """
        counts = lane_rows(rows, len(raw)).tolist()
        parts = np.split(np.asarray(tokens), np.cumsum(counts)[:-1] * self.predictor.columns)
        calls = [
            (RESTORE, count, _NONE, packet(bits), packet(part))
            for count, bits, part in zip(counts, raw, parts, strict=True)
        ]
        found = self._checked(self.run(calls))
        classes = np.concatenate([lane.coded[:, 0] for lane in found]).astype(np.int64)
        return classes, *self._restored(found)

    def pack(self, cells: NDArray[Any], lanes: int) -> tuple[list[bytes], list[bytes]]:
        """Encode rows of numbers; give every lane's bytes, and its raw bits.

        Raises:
            MismatchError: the stage refuses the rows; its status is in the message.
            ToolError: the simulator cannot run.
        """
        found = self._checked(self._numbers(PACK, cells, lanes))
        return [raw_bytes(lane.coded) for lane in found], [raw_bytes(lane.raw) for lane in found]

    def unpack(self, coded: list[bytes], raw: list[bytes], rows: int) -> tuple[IntArray, IntArray]:
        """Decode lanes; give numbers, those of uint64 by their bits, and which are missing, 1.

        Raises:
            MismatchError: the stage refuses the lanes; its status is in the message.
            ToolError: the simulator cannot run.
        """
        counts = lane_rows(rows, len(raw)).tolist()
        calls = [
            (UNPACK, count, _NONE, packet(bits), packet(lane))
            for count, bits, lane in zip(counts, raw, coded, strict=True)
        ]
        return self._restored(self._checked(self.run(calls)))

    def run(self, lanes: Sequence[tuple[int, int, Beats, Beats, Beats]]) -> list[Lane]:
        """Run lanes, one after the other: of each the job, rows, beats of numbers, of raw bits, and coded words.

        Raises:
            ToolError: the simulator cannot run, or a lane does not end.
        """
        executable = self.compile()
        parts: list[NDArray[np.uint64]] = []
        for job, rows, *streams in lanes:
            parts.append(np.array([job, rows], dtype=np.uint64))
            for beats in streams:
                parts += [np.array([len(beats)], dtype=np.uint64), beats.ravel()]
        words = [str(word) for word in self.stalls or ()]
        with scratch() as folder:
            source, out = folder / "in", folder / "out"
            source.write_bytes(np.concatenate(parts).astype("<u8").tobytes() if parts else b"")
            command: list[Path | str] = [executable, source, out, *words]
            try:
                done = subprocess.run(command, cwd=executable.parent, capture_output=True, text=True, check=False)
            except OSError as error:
                raise unusable(executable, error) from error
            if done.returncode:
                said = done.stderr.strip() or done.stdout.strip()
                raise ToolError(f"the simulator failed with exit status {done.returncode}: {said}")
            return list(_lanes(np.fromfile(out, "<u8").astype(np.uint64)))

    def _numbers(self, job: int, x: NDArray[Any], lanes: int) -> list[Lane]:
        flat, gone = unmasked(x)
        counts = lane_rows(len(x), lanes).tolist()
        bits = flat.astype(np.uint64).ravel()
        here = np.ones(bits.shape, dtype=bool) if gone is None else ~gone.ravel()
        calls, at = [], 0
        for count in counts:
            end = at + count * self.predictor.columns
            calls.append((job, count, packet(bits[at:end], here[at:end]), _NONE, _NONE))
            at = end
        return self.run(calls)

    def _restored(self, lanes: list[Lane]) -> tuple[IntArray, IntArray]:
        beats = np.concatenate([lane.numbers for lane in lanes])
        kind = np.dtype(self.predictor.dtype)
        narrow = beats[:, 0].astype(f"u{kind.itemsize}")
        wide = narrow.view(f"i{kind.itemsize}").astype(np.int64) if kind.kind == "i" else narrow.astype(np.uint64)
        return wide.view(np.int64), (beats[:, 1] & np.uint64(DATA) == 0).astype(np.int64)

    @staticmethod
    def _checked(lanes: list[Lane]) -> list[Lane]:
        for number, lane in enumerate(lanes):
            if lane.status:
                said = [text for bit, text in enumerate(STATUS) if lane.status >> bit & 1]
                raise MismatchError(f"rtl: MISMATCH lane {number}: {'; '.join(said)}")
            if any(lane.left):
                raise MismatchError(f"rtl: lane {number} must take all beats, it left {lane.left}")
        return lanes


_NONE = np.empty((0, 2), dtype=np.uint64)


def _cells(values: NDArray[np.uint64], gone: NDArray[np.bool_], predictor: Predictor) -> NDArray[Any]:
    shaped = values.view(np.int64).astype(predictor.dtype).reshape(-1, *predictor.shape)
    return np.ma.MaskedArray(shaped, gone.reshape(shaped.shape)) if gone.any() else shaped


def _lanes(words: NDArray[np.uint64]) -> Iterable[Lane]:
    at = 0
    while at < len(words):
        status, cycles, *left = words[at : at + 5].tolist()
        at += 5
        streams = []
        for _ in range(3):
            count = int(words[at])
            streams.append(words[at + 1 : at + 1 + 2 * count].reshape(-1, 2))
            at += 1 + 2 * count
        yield Lane(status, cycles, (left[0], left[1], left[2]), *streams)


def _same(what: str, expected: IntArray, got: IntArray) -> None:
    if expected.shape != got.shape:
        raise MismatchError(f"rtl: MISMATCH {what}: expected {len(expected)}, got {len(got)}")
    differs = np.argwhere(expected != got)
    if len(differs):
        first = int(differs[0][0])
        raise MismatchError(f"rtl: MISMATCH number {first}: {what}: expected {expected[first]}, got {got[first]}")


def _same_lanes(what: str, expected: list[bytes], got: list[bytes]) -> None:
    for lane, (one, other) in enumerate(zip(expected, got, strict=True)):
        if one != other:
            raise MismatchError(f"rtl: MISMATCH lane {lane}: expected other {what}")
