"""Simulators that Verilator makes: built once, built again where something has changed, and errors in its own words."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.open_tools import needs

from pcedge.errors import MissingToolError, ToolError, UsageError
from pcedge.toolchain import open_tools, verilator

pytestmark = [pytest.mark.rtl, needs("verilator")]

UNIT = """module counter #(parameter int STEP = 1) (input logic clk, output logic [7:0] count);
`include "start.svh"
  logic [7:0] image [1];
  initial begin
    $readmemh("image.hex", image);
    count = START + image[0];
  end
  always_ff @(posedge clk) begin
    count <= count + 8'(STEP);
    assert (count != 8'd99) else $fatal(1, "ninety-nine");
  end
endmodule
"""
HARNESS = """#include "Vcounter.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
int main(int, char **argv) {
  VerilatedContext context;
  Vcounter counter{&context};
  for (int i = 0; i < std::atoi(argv[1]); i++) {
    counter.clk = 0;
    counter.eval();
    counter.clk = 1;
    counter.eval();
  }
  std::printf("%d\\n", counter.count);
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verilated") / "with a space"
    folder.mkdir()
    (folder / "counter.sv").write_text(UNIT)
    (folder / "start.svh").write_text("localparam bit [7:0] START = 8'd7;\n")
    (folder / "image.hex").write_text("10\n")
    (folder / "main.cpp").write_text(HARNESS)
    return folder


def build(folder: Path, **options: int) -> Path:
    return verilator.build(
        [folder / "counter.sv"], "counter", [folder / "main.cpp"], folder / "out", parameters=options, optimise="-O0"
    )


def count(folder: Path, cycles: int, **options: int) -> str:
    return subprocess.run(
        [build(folder, **options), str(cycles)], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_a_simulator(folder: Path) -> None:
    assert count(folder, 5, STEP=3) == f"{7 + 16 + 15}\n"
    log = folder / "out/make.log"
    made = log.stat().st_mtime_ns
    # An image is read when the simulator starts.
    (folder / "image.hex").write_text("0\n")
    assert count(folder, 5, STEP=3) == f"{7 + 15}\n" and log.stat().st_mtime_ns == made
    (folder / "start.svh").write_text("localparam bit [7:0] START = 8'd1;\n")
    assert count(folder, 5, STEP=3) == f"{1 + 15}\n" and log.stat().st_mtime_ns > made
    # An assertion of the source ends the simulator.
    with pytest.raises(subprocess.CalledProcessError) as failed:
        count(folder, 200, STEP=3)  # 1, 4, 7, ... and once around
    assert "ninety-nine" in failed.value.stdout + failed.value.stderr
    assert [path.name for path in (folder / "out").iterdir() if path.is_dir()] == []


def test_a_folder_with_the_script_of_a_distribution(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The name `verilator` alone, as in /usr/bin: it finds headers and `verilator_bin` by itself."""
    script = Path(open_tools.command("verilator")[0]).with_name("verilator")
    if not script.is_file() or shutil.which("perl") is None:
        pytest.skip("needs the script verilator, and perl")
    (tmp_path / "verilator").write_text(f'#!/bin/sh\nexec perl "{script}" "$@"\n')
    (tmp_path / "verilator").chmod(0o755)
    monkeypatch.setenv(open_tools.VARIABLE, str(tmp_path))
    assert open_tools.command("verilator") == [str(tmp_path / "verilator")]
    made = verilator.build(
        [folder / "counter.sv"], "counter", [folder / "main.cpp"], tmp_path / "out", optimise="-O0"
    )  # fmt: skip
    assert subprocess.run([made, "3"], cwd=folder, capture_output=True, text=True, check=True).stdout.strip().isdigit()


def test_mistakes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "counter.sv").write_text(
        UNIT.replace('`include "start.svh"', "").replace("count + 8'(STEP)", "count + 1")
    )
    with pytest.raises(
        ToolError, match=r"(?s)^verilating counter failed with exit status 1; its log is .*counter\.sv:"
    ):
        verilator.build([tmp_path / "counter.sv"], "counter", [folder / "main.cpp"], tmp_path / "out")
    (tmp_path / "main.cpp").write_text(HARNESS.replace("counter.count", "counter.nowhere"))
    with pytest.raises(ToolError, match=r"(?s)^compiling the simulator of counter failed .*has no member named"):
        verilator.build(
            [folder / "counter.sv"],
            "counter",
            [tmp_path / "main.cpp"],
            tmp_path / "out",
            optimise="-O0",
            include=[folder],
        )
    with pytest.raises(UsageError, match=r"^a source must be a file that is there, got .*none\.cpp$"):
        verilator.build([folder / "counter.sv"], "counter", [tmp_path / "none.cpp"], tmp_path / "out")


def test_no_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"^simulation of RTL needs make on PATH; "):
        build(folder)
    (tmp_path / "make").write_text("#!/bin/sh\n")
    (tmp_path / "make").chmod(0o755)
    with pytest.raises(MissingToolError, match=r"^simulation of RTL needs g\+\+ or clang\+\+ on PATH; "):
        build(folder)
