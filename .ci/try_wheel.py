"""Try an installed wheel: its native library, if it must have one, reads the golden files as numpy does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import pcedge
from pcedge.codec import decode, encode
from pcedge.codec.archive import unpack
from pcedge.engines import ReferenceEngine
from pcedge.native import NativeEngine, instruction_sets

GOLDEN = Path(__file__).parent.parent / "tests/golden"

if __name__ == "__main__":
    sets = instruction_sets()
    assert sets or "--numpy" in sys.argv, "the wheel must have a library that this machine can load"
    assert Path(__file__).parent.parent not in Path(pcedge.__file__).parents, "an installed pcedge must be tried"
    archive = unpack((GOLDEN / "archive.pcz").read_bytes())
    whole = pcedge.load(GOLDEN / "stream_predicted.onnx")
    stream, rows = (GOLDEN / "stream_predicted.bin").read_bytes(), np.load(GOLDEN / "stream_predicted.npy")
    expected = decode(ReferenceEngine(archive.program), archive.stream)
    for engine in [ReferenceEngine(archive.program), *(NativeEngine(archive.program, isa) for isa in sets)]:
        assert (decode(engine, archive.stream) == expected).all()
    for engine in [ReferenceEngine(whole), *(NativeEngine(whole, isa) for isa in sets)]:
        assert (decode(engine, stream) == rows).all() and encode(engine, rows, 2) == stream
    print(f"golden files by numpy {np.__version__}, Python {sys.version.split()[0]}, {', '.join(sets) or 'no library'}")
