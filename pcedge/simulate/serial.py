"""A simulated board on a serial line: `pcedge_board` in Verilator, by its pins, behind a pseudo-terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pcedge.drivers.device import Device
from pcedge.drivers.serial import open_serial
from pcedge.errors import ToolError
from pcedge.export.project.manifest import RTL, read_manifest
from pcedge.export.rtl.board import BOARD_TOP, BridgeSize, board_code
from pcedge.toolchain.boards import write_bridge
from pcedge.toolchain.building import rtl_sources
from pcedge.toolchain.compiled import unusable
from pcedge.toolchain.rtl_files import check_sizes, copy_images
from pcedge.toolchain.verilator import build

#: what Verilator says of the engine's sources, see `simulate.rtl`, and of ports that a board leaves open
_OFF = ("DECLFILENAME", "UNUSEDPARAM", "UNUSEDSIGNAL", "UNSIGNED", "CMPCONST", "PINCONNECTEMPTY")
_FLAGS = ("-Wall", *(f"-Wno-{name}" for name in _OFF))

#: cycles a bit: as few as a receiver takes
DIVISOR = 4

#: cycles within which the next byte of a frame must come; a simulation has no 1/20 s
QUIET_CYCLES = 5_000


@dataclass(frozen=True)
class SerialBoard:
    """Run the board of a project; it is compiled when its sources or a tool have changed."""

    folder: Path
    divisor: int = DIVISOR
    quiet_cycles: int = QUIET_CYCLES

    def compile(self) -> Path:
        """Compile the board; give the executable.

        Raises:
            FormatError: the directory is no project of RTL.
            MissingToolError: Verilator, make or a C++ compiler is missing.
            ToolError: one of them failed; its text is in the message.
        """
        manifest = read_manifest(self.folder, RTL)
        check_sizes(self.folder, manifest)
        work = self.folder / "build" / f"serial-{self.divisor}"
        code = board_code(BridgeSize(manifest.table["streams"], self.divisor, self.quiet_cycles))
        bridge, harness = write_bridge(code, work / "bridge")
        copy_images(self.folder, manifest, work)  # where it is started
        return build([*rtl_sources(self.folder), *bridge], BOARD_TOP, [harness], work, flags=_FLAGS, optimise="-O1")

    @contextmanager
    def port(self) -> Iterator[str]:
        """Start the board; give the path of its serial line.

        Raises:
            ToolError: it does not start; and the errors of `compile`.
        """
        executable = self.compile()
        command = [str(executable), str(self.divisor)]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=executable.parent
            )
        except OSError as error:
            raise unusable(executable, error) from error
        assert process.stdin is not None and process.stdout is not None
        try:
            path = process.stdout.readline().strip()
            if not path:
                raise ToolError(f"the board's testbench must name a terminal, it ended with {process.wait()}")
            yield path
        finally:
            process.stdin.close()  # it ends with its input
            process.stdout.close()
            process.wait()

    @contextmanager
    def device(self) -> Iterator[Device]:
        """Start the board and open it as a device."""
        with self.port() as path, open_serial(path) as device:
            device.built_jobs = read_manifest(self.folder, RTL).built_jobs
            yield device
