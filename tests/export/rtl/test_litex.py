"""The engine in a SoC of LiteX, in Verilator behind a serial line: it encodes digits, which LiteX's own host drives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.rtl_units import needs_verilator

from pcedge.data import load_data
from pcedge.drivers.contract import CONTROL, CYCLES, DONE, INFO, JOB, MAGIC, RECORDS, START, STATUS, Job
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.export import RtlSize, load_zoo, write_rtl
from pcedge.export.rtl.board import BOARD_TOP, BridgeSize, board_code
from pcedge.toolchain.boards import write_bridge
from pcedge.toolchain.building import rtl_sources
from pcedge.toolchain.verilator import LENIENT, build

pytestmark = [pytest.mark.rtl, needs_verilator]

#: what the testbench of boards takes, around the SoC
TOP = f"""module {BOARD_TOP} (input logic clk, input logic uart_rx, output logic uart_tx, output logic led);
  litex_soc soc (.clk(clk), .led(led), .serial_rx(uart_rx), .serial_tx(uart_tx));
endmodule
"""


def test_a_soc_encodes_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("litex", reason="needs LiteX (pcedge[ip])")
    from helpers.litex_soc import BAUD, DIVISOR, ENGINE, MEMORY, generate
    from litex.tools.remote.comm_uart import CommUART

    monkeypatch.delenv("PCEDGE_CXX", raising=False)
    monkeypatch.chdir(tmp_path)  # LiteX leaves contents of memories where it runs
    circuit = load_zoo("digits")
    engine = ReferenceEngine(circuit)
    project = write_rtl(circuit, tmp_path / "project", size=RtlSize(4, 1, 2, 2))
    soc, at = generate(project, tmp_path / "litex")
    _, harness = write_bridge(board_code(BridgeSize(1, DIVISOR, 1)), tmp_path / "bench")
    (tmp_path / f"{BOARD_TOP}.sv").write_text(TOP)
    sources = [*rtl_sources(project), soc, tmp_path / f"{BOARD_TOP}.sv"]
    executable = build(sources, BOARD_TOP, [harness], tmp_path / "simulator", flags=LENIENT, optimise="-O1")
    for image in [*(project / "rtl").glob("*.hex"), *soc.parent.glob("*.init")]:
        shutil.copy(image, executable.parent)
    digits = load_data("digits").test
    assert digits is not None
    records = digits.reshape(len(digits), -1)[:3].astype(np.int64)
    process = subprocess.Popen(
        [executable, str(DIVISOR)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=executable.parent
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        host = CommUART(process.stdout.readline().strip(), BAUD)
        assert host.read(ENGINE + INFO) == MAGIC
        host.write(ENGINE + RECORDS, len(records))
        host.write(ENGINE + JOB, int(Job.ENCODE))
        host.write(ENGINE + CONTROL, START)
        # a reader that is enabled sends one record; the writer takes what comes until TLAST
        out = MEMORY + 0x4000
        for name, base, length in (("reader", MEMORY, 4 * records.shape[1]), ("writer", out, 0x4000)):
            host.write(at[f"{name}_base"] + 4, base)  # of 64 bits, the upper word first
            host.write(at[f"{name}_length"], length)
        host.write(at["writer_enable"], 1)
        for record in records:
            host.write(MEMORY, [int(symbol) for symbol in record])
            host.write(at["reader_enable"], 1)
            while not host.read(at["reader_done"]):
                pass
            host.write(at["reader_enable"], 0)
        while not host.read(at["writer_done"]):
            pass
        assert host.read(at["engine_ev_status"]) == 1  # the interrupt, until the control register is read
        assert host.read(ENGINE + CONTROL) & DONE and host.read(at["engine_ev_status"]) == 0
        assert host.read(ENGINE + STATUS) == 0 and host.read(ENGINE + CYCLES) > records.size
        lane = bytes(host.read(out, host.read(at["writer_offset"])))
        host.close()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()
    assert [lane] == encode_lanes(engine, records, 1)
