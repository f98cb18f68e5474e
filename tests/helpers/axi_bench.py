"""The engine's top as another's AXI master and sinks see it: a test of cocotb, which `test_rtl_axi.py` starts.

The folder PCEDGE_BENCH holds jobs.json: for each job its number, records and packets of every stream, the packets that
must come out, and the status.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from pcedge.drivers.contract import CONTROL, DONE, IDLE, INFO, JOB, MAGIC, RECORDS, START, STATUS

#: simulated time that a job may take
LIMIT = (20, "ms")


def pauses(seed: int, share: float) -> Iterator[bool]:
    """Draw whether an end is not ready."""
    dice = random.Random(seed)
    while True:
        yield dice.random() < share


class Bench:
    """Hold the masters and sinks of a top."""

    def __init__(self, dut: Any, share: float) -> None:
        self.dut = dut
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        streams = sum(1 for number in range(64) if hasattr(dut, f"s_axis_{number}_tdata"))
        buses = [[AxiStreamBus.from_prefix(dut, f"{side}_axis_{n}") for n in range(streams)] for side in "sm"]
        self.sources = [AxiStreamSource(bus, dut.clk, dut.rst) for bus in buses[0]]
        self.sinks = [AxiStreamSink(bus, dut.clk, dut.rst) for bus in buses[1]]
        if share:
            for number, end in enumerate([*self.sources, *self.sinks]):
                end.set_pause_generator(pauses(number, share))

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def begin(self, job: dict[str, Any]) -> None:
        for stream, count in enumerate(job["records"]):
            await self.registers.write_dword(RECORDS + 4 * stream, count)
        await self.registers.write_dword(JOB, job["job"])
        if job["early"]:
            self.send(job)
            await ClockCycles(self.dut.clk, 60)
        await self.registers.write_dword(CONTROL, START)
        if not job["early"]:
            self.send(job)

    def send(self, job: dict[str, Any]) -> None:
        for source, packets in zip(self.sources, job["packets"], strict=True):
            for packet in packets:
                data = b"".join(word.to_bytes(4, "little") for word in packet)
                source.send_nowait(AxiStreamFrame(data))

    async def run(self, job: dict[str, Any]) -> None:
        """Run one job, and demand what must come out."""
        await self.begin(job)
        while not int(self.dut.irq.value):
            await RisingEdge(self.dut.clk)
        assert await self.registers.read_dword(STATUS) == job["status"]
        assert await self.registers.read_dword(CONTROL) == DONE | IDLE
        assert await self.registers.read_dword(CONTROL) == IDLE
        assert not int(self.dut.irq.value)
        if job["expected"] is None:  # what a job gives whose status is not 0 is for no use
            for sink in self.sinks:
                sink.clear()
            return
        for sink, packets in zip(self.sinks, job["expected"], strict=True):
            for packet in packets:
                frame = await sink.recv()
                words = [int.from_bytes(frame.tdata[at : at + 4], "little") for at in range(0, len(frame.tdata), 4)]
                assert words == packet
            assert sink.empty()


def jobs() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((Path(os.environ["PCEDGE_BENCH"]) / "jobs.json").read_text())
    return found


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.3])
async def jobs_are_the_references(dut: Any, share: float) -> None:
    bench = Bench(dut, share)
    await bench.reset()
    for job in jobs():
        await with_timeout(bench.run(job), *LIMIT)
    assert await bench.registers.read_dword(INFO) == MAGIC
    # What is read only stays, and what is nothing reads as 0.
    await bench.registers.write_dword(INFO, 1)
    assert await bench.registers.read_dword(INFO) == MAGIC
    assert await bench.registers.read_dword(0x20) == 0


@cocotb.test()
async def a_reset_within_a_record_leaves_nothing(dut: Any) -> None:
    bench = Bench(dut, 0.0)
    await bench.reset()
    for cycles, job in zip((7, 60, 333, 900), jobs() * 4, strict=False):
        await bench.begin(job)
        await ClockCycles(dut.clk, cycles)
        for source in bench.sources:
            source.clear()
        await bench.reset()
        for sink in bench.sinks:
            sink.clear()
        await with_timeout(bench.run(job), *LIMIT)
