"""What an engine in SystemVerilog costs before synthesis: cycles a symbol, memories as yosys maps them, area."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from helpers.nightly import cases
from helpers.units import UNITS
from strategies import make_circuit

from pcedge.errors import MissingToolError, UsageError
from pcedge.export import RtlSize, load_zoo, write_onnx, write_rtl
from pcedge.export.open_target import find_open_target
from pcedge.export.project.manifest import read_manifest
from pcedge.export.rtl.costs import estimate_rtl
from pcedge.export.rtl.cycles import CycleModel, cycles_per_symbol
from pcedge.export.rtl.fitting import lower_for
from pcedge.export.rtl.lowering import lower_rtl
from pcedge.export.rtl.memories import BLOCKS, Memory, engine_memories, mapped
from pcedge.export.rtl.params import hex_files, sizes_of
from pcedge.export.rtl.serial.project import write_serial
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain import open_tools
from pcedge.toolchain.open_flow import synthesize

#: memories around what yosys takes for as dear as a block RAM, and of shapes in which words lie side by side
MEMORIES = (
    Memory("small", 128, 16), Memory("dear", 230, 16), Memory("wide", 1012, 144), Memory("beside", 7461, 13),
    Memory("two", 7461, 13, 2), Memory("two_small", 100, 13, 2), Memory("steps", 473, 41),
    Memory("rows", 488, 64, 2, written=True), Memory("few_rows", 30, 32, 2, written=True),
    Memory("exponents", 128, 32, 2, written=True), Memory("symbols", 1024, 5, written=True),
    Memory("edged", 1024, 36), Memory("edged_two", 1024, 36, 2),
)  # fmt: skip

#: of these, words behind them that are logic
BESIDE = {"edged": 6, "edged_two": 6}


def has_yosys() -> bool:
    """Tell whether there is a yosys."""
    try:
        open_tools.command("yosys")
    except MissingToolError:
        return False
    return True


def small() -> IntegerCircuit:
    """Make a small circuit."""
    return quantize(make_circuit(4, 7, 5, 9, "random", 0.3), QuantizationConfig(6, 10, 12, "wide", tails=True))


def board_of(folder: Path, blocks: object) -> Path:
    """Write the file of a device that is an ECP5-25 but for its block RAMs."""
    shipped = files("pcedge.export.targets").joinpath("ecp5-25k.toml").read_text()
    assert "bram = 56" in shipped
    board = folder / "board.toml"
    board.write_text(shipped.replace("bram = 56", f"bram = {blocks}"))
    return board


def top_of(memories: tuple[Memory, ...], folder: Path) -> Path:
    """Write a top with every memory, of the engine's sources, and its image."""
    dice = np.random.default_rng(3)
    lines = [
        "module memories (input logic clk, input logic write, input logic [15:0] address, input logic [143:0] data,"
    ]
    lines.append(f"  output logic [{len(memories) - 1}:0] all);")
    for place, memory in enumerate(memories):
        bits = max(1, math.ceil(math.log2(memory.words + BESIDE.get(memory.name, 0))))
        name, width, outs = memory.name, memory.width, memory.reads
        lines.append(f"  logic [{outs * width - 1}:0] {name}_out;")
        lines.append(f"  always_ff @(posedge clk) all[{place}] <= ^{name}_out;")
        ports = [f".clk(clk), .address(address[{bits - 1}:0]), .data({name}_out)"]
        if outs == 2:
            ports = [".clk(clk)"] + [
                f".address_{n}(address[{bits - 1 + n}:{n}]), .data_{n}({name}_out[{n * width}+:{width}])"
                for n in range(2)
            ]
        if memory.written:
            words = [f".read_{n}(address[{bits - 1 + n}:{n}])" for n in range(2)]
            outputs = [f".data_0({name}_out[0+:{width}])", f".data_1({name}_out[{width}+:{width}])"]
            if outs == 1:
                outputs[1] = ".data_1()"
            write = f".clk(clk), .write(write), .write_row(address[{bits + 1}:2]), .write_data(data[{width - 1}:0])"
            lines.append(f"  pc_row_memory #(.ROWS({memory.words}), .ROW_BITS({width})) {name} (")
            lines.append(f"    {write}, {', '.join([*words, *outputs])});")
            continue
        beside = BESIDE.get(name, 0)
        rows = dice.integers(0, 256, (memory.words + beside, -(-width // 8)), dtype=np.uint8)
        values = [f"{int.from_bytes(row.tobytes(), 'little') & ((1 << width) - 1):x}\n" for row in rows]
        (folder / f"{name}.hex").write_text("".join(values[: memory.words]))
        (folder / f"{name}_beside.hex").write_text("".join(values[memory.words :]))
        module = "pc_rom" if outs == 1 else "pc_rom2"
        words = f'.WORDS({memory.words + beside}), .WIDTH({width}), .FILE("{name}.hex"), .BESIDE({beside})'
        lines.append(f'  {module} #({words}, .BESIDE_FILE("{name}_beside.hex")) {name} (')
        lines.append(f"    {', '.join(ports)});")
    path = folder / "memories.sv"
    path.write_text("\n".join([*lines, "endmodule", ""]))
    return path


class TestMemories:
    @pytest.mark.rtl
    @pytest.mark.skipif(not has_yosys(), reason="needs yosys (pcedge[rtl])")
    @pytest.mark.parametrize("target", cases(["ecp5-25k"], ["ecp5-25k", "ice40-up5k", "gowin-gw2a-18"]))
    def test_as_many_block_rams_as_yosys_takes(self, target: str, tmp_path: Path) -> None:
        device = find_open_target(target)
        top = top_of(MEMORIES, tmp_path)
        sources = [path for path in UNITS if path.stem in ("pc_rom", "pc_rom2", "pc_row_memory")]
        netlist = synthesize([top, *sources], "memories", device, tmp_path / "out")
        found = {memory.name: netlist.units.get(memory.name, {"bram": 0})["bram"] for memory in MEMORIES}
        assert {memory.name: mapped(memory, device.family).bram for memory in MEMORIES} == found

    def test_digits_are_as_many_as_were_synthesised(self) -> None:
        image = lower_rtl(load_zoo("digits"), RtlSize(16, 8, 4, 2))
        assert sum(mapped(memory, "ecp5").bram for memory in engine_memories(sizes_of(image))) == 31

    def test_what_is_as_dear_in_tables_is_block_ram(self) -> None:
        """64 words of 30 bits, as rows of a writer of one lane: yosys takes block RAM."""
        assert mapped(Memory("rows", 64, 30, written=True), "ecp5").bram == 1
        assert mapped(Memory("rows", 48, 30, written=True), "ecp5").bram == 0


class TestTilesInLogic:
    """Words behind a row of blocks are logic only where an engine has no room else, and has so."""

    @pytest.mark.parametrize(("blocks", "beside"), [(59, 0), (58, 72), (57, 0)])
    def test_where_block_ram_is_too_little(self, blocks: int, beside: int, tmp_path: Path) -> None:
        image = lower_for(load_zoo("shuttle"), RtlSize(4, 4, 2, 2), str(board_of(tmp_path, blocks)))
        assert (len(image.tiles), image.tiles_beside) == (1096, beside)
        words = hex_files(image)
        assert ("weights_beside.hex" in words) == bool(beside)
        whole = hex_files(replace(image, tiles_beside=0))["weights.hex"]
        assert words["weights.hex"] + words.get("weights_beside.hex", "") == whole
        memories = {memory.name: mapped(memory, "ecp5").bram for memory in engine_memories(sizes_of(image))}
        assert memories["weights"] == (2 if beside else 3) and memories.get("weights beside", 0) == 0

    @pytest.mark.parametrize(
        ("target", "reload", "harden"),
        [("rtl", False, "none"), ("board.toml", True, "none"), ("board.toml", False, "tmr")],
    )
    def test_else_never(
        self, target: str, reload: bool, harden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        board_of(tmp_path, 58)
        image = lower_for(load_zoo("shuttle"), RtlSize(4, 4, 2, 2), target, reload=reload, harden=harden)
        assert image.tiles_beside == 0

    def test_no_more_than_a_twelfth(self, tmp_path: Path) -> None:
        """456 of digits' 4,040 tiles would do on 28 blocks."""
        assert lower_for(load_zoo("digits"), RtlSize(4, 4, 2, 2), str(board_of(tmp_path, 28))).tiles_beside == 0


class TestRates:
    def test_a_long_run_takes_as_many(self) -> None:
        image = lower_rtl(small(), RtlSize(8, 3, 4, 1))
        rates = cycles_per_symbol(image)
        for job, rate in rates.items():
            long = CycleModel(image).count(job, [30] * 3) / (30 * 3 * 7)
            assert abs(rate / long - 1) < 0.05

    def test_of_few_variables_more_records_are_taken(self) -> None:
        """How often a decoder tries depends on the symbols: two records of three would be a tenth off."""
        circuit = quantize(make_circuit(2, 3, 4, 9, "random", 0.3), QuantizationConfig(6, 10, 12, "wide"))
        image = lower_rtl(circuit, RtlSize(8, 3, 4, 1))
        long = CycleModel(image).count("decode", [100] * 3) / (100 * 3 * 3)
        assert abs(cycles_per_symbol(image)["decode"] / long - 1) < 0.05

    def test_the_manifest_has_them(self, tmp_path: Path) -> None:
        circuit = small()
        folder = write_rtl(circuit, tmp_path / "p", size=RtlSize(8, 3, 4, 1), target="ecp5-25k")
        table = read_manifest(folder).table
        image = lower_rtl(circuit, RtlSize(8, 3, 4, 1, True))
        assert table["jobs"] == {job: {"cycles_per_symbol": rate} for job, rate in cycles_per_symbol(image).items()}
        assert table["memories"] == {memory.name: memory.bits for memory in engine_memories(sizes_of(image))}
        symbols = 7 * table["golden_records"]
        assert table["bits_per_symbol"] == round(8 * table["golden_bytes"] / symbols, 4)
        assert table["target"] == {"name": "ecp5-25k", "part": "LFE5U-25F-6BG381C"}


class TestEstimate:
    def test_of_a_device(self, tmp_path: Path) -> None:
        circuit = small()
        write_onnx(circuit, tmp_path / "m.onnx")
        words = ("estimate", tmp_path / "m.onnx", "--target", "ecp5-25k", "--macs", 32, "--streams", 3, "--lanes", 8,
                 "--table-lanes", 1)  # fmt: skip
        done = run(*words)
        assert (done.exit_code, done.exception) == (0, None)
        assert "nothing was synthesised" in done.output
        # An error stands beside what is fitted; what is counted is said to be.
        (row,) = (line for line in done.output.splitlines() if line.startswith("│ ecp5 ") and "%" in line)
        cells = [cell.strip() for cell in row.strip("│").split("│")]
        assert ["±" in cell for cell in cells] == [False, True, True, False, False, True]
        assert cells[3] == "46" and "cycles, multipliers and block RAMs are counted" in done.output
        assert "counts of multipliers and block RAMs were off in these builds by, in the mean: ecp5 " in done.output
        told = json.loads(run(*words, "--json").stdout)
        image = lower_rtl(circuit, RtlSize(32, 3, 8, 1, True))
        rates = cycles_per_symbol(image)
        assert {job: figures["cycles_per_symbol"] for job, figures in told["jobs"].items()} == rates
        assert told["jobs"]["encode"]["symbols_per_second"] == pytest.approx(1e8 / rates["encode"])
        assert told["resources"]["total"]["dsp"] == sum(told["multipliers"].values())
        assert told["resources"]["device"] == {"lut": 24288, "ff": 24288, "dsp": 28, "bram": 56}
        assert told["resources"]["missing"] == ["dsp"]
        assert set(told["resources"]["errors"]) == {"lut", "ff", "dsp", "bram", "fmax_mhz"}
        # export says so too, and exports
        done = run("export", *words[1:], "--out", tmp_path / "p", "--json")
        assert (done.exit_code, json.loads(done.stdout)["missing"]) == (0, ["dsp"])
        assert "by the estimate ecp5-25k has too little of: dsp; pcedge estimate has more" in done.stderr
        done = run("export", *words[1:2], "--target", "ecp5-85k", "--out", tmp_path / "p", "--json")
        assert json.loads(done.stdout)["missing"] == [] and "too little" not in done.stderr

    def test_a_target_file_that_breaks_a_rule(self, tmp_path: Path) -> None:
        """It is of RTL all the same, and what is wrong in it is said."""
        done = run("estimate", "digits", "--target", board_of(tmp_path, '"x"'), "--jobs", "encode")
        assert done.exit_code == 2
        assert "bram of resources must be a whole number in 0..1000000000, got 'x'" in " ".join(done.output.split())

    def test_a_target_whose_name_is_a_path(self, tmp_path: Path) -> None:
        board = board_of(tmp_path, 56)
        board.write_text(board.read_text().replace('name = "ecp5-25k"', 'name = "../../other"'))
        done = run("estimate", "digits", "--target", board)
        said = " ".join(done.output.split())
        assert done.exit_code == 2 and "name must have no slash, and not begin with a dot, got '../../other'" in said

    def test_of_some_jobs(self, tmp_path: Path) -> None:
        circuit = small()
        write_onnx(circuit, tmp_path / "m.onnx")
        words = ("--target", "rtl", "--macs", 8, "--streams", 3, "--lanes", 4, "--table-lanes", 4, "--jobs", "encode")
        told = json.loads(run("estimate", tmp_path / "m.onnx", *words, "--json").stdout)
        assert list(told["jobs"]) == told["built_jobs"] == ["encode"]
        # an engine that is exported with the same words is the one that was estimated
        done = run("export", tmp_path / "m.onnx", *words, "--out", tmp_path / "p")
        assert (done.exit_code, done.exception) == (0, None)
        table = read_manifest(tmp_path / "p").table
        assert table["jobs"]["encode"]["cycles_per_symbol"] == told["jobs"]["encode"]["cycles_per_symbol"]
        assert {k: v["words"] * v["width"] for k, v in told["memory_map"].items()} == table["memories"]
        done = run("export", tmp_path / "m.onnx", "--lanes", 4, "--out", tmp_path / "h")
        assert done.exit_code == 2 and "--lanes must go with a target of RTL, vitis-hls is of HLS" in done.output

    def test_of_the_serial_engine(self, tmp_path: Path) -> None:
        """For a device of iCE40 it is what export takes where no size is given, and what its manifest says."""
        circuit = quantize(make_circuit(4, 7, 5, 9, "random", 0.3), QuantizationConfig(6, 10, 12, "wide", tails=False))
        write_onnx(circuit, tmp_path / "m.onnx")
        table = read_manifest(write_serial(circuit, tmp_path / "p")).table
        told = json.loads(run("estimate", tmp_path / "m.onnx", "--target", "ice40-up5k", "--json").stdout)
        assert (told["engine"], told["target"], told["clock_mhz"]) == ("serial", "ice40-up5k", 20.0)
        cycles = {job: figures["cycles_per_symbol"] for job, figures in told["jobs"].items()}
        assert cycles == {job: figures["cycles_per_symbol"] for job, figures in table["jobs"].items()}
        assert told["jobs"]["encode"]["symbols_per_second"] == 20e6 / cycles["encode"]
        assert told["memory_bits"] == table["memories"] and told["memory_room"] == 1 << 20
        of_rtl = json.loads(
            run("estimate", tmp_path / "m.onnx", "--target", "rtl", "--engine", "serial", "--json").stdout
        )
        assert of_rtl["jobs"]["encode"] == told["jobs"]["encode"] | {"symbols_per_second": None}
        resources = told["resources"]
        assert resources["calibrated"] and resources["builds_of_these_sources"] and resources["missing"] == []
        assert set(resources["errors"]) == {"lut", "ff", "dsp", "bram", "fmax_mhz"}
        assert of_rtl["resources"]["ice40"]["total"] == resources["total"]
        for words in (("--macs", 8), ("--engine", "parallel")):
            other = run("estimate", tmp_path / "m.onnx", "--target", "ice40-up5k", *words, "--json")
            assert "engine" not in json.loads(other.stdout)
        text = run("estimate", tmp_path / "m.onnx", "--target", "ice40-up5k").stdout
        assert "--engine parallel, or sizes, estimate the parallel one for ice40-up5k" in text

    def test_a_device_with_few_multipliers_shares_them(self, tmp_path: Path) -> None:
        circuit, size = small(), RtlSize(8, 3, 4, 2)
        own = estimate_rtl(circuit, size)
        assert own.multipliers["coder"] == 16
        shared = estimate_rtl(circuit, size, "ecp5-25k")
        assert shared.multipliers["coder"] == 4 and shared.size.shared_product is True
        assert estimate_rtl(circuit, size, "ecp5-85k").multipliers == own.multipliers
        assert estimate_rtl(circuit, replace(size, shared_product=False), "ecp5-25k").multipliers == own.multipliers
        folder = write_rtl(circuit, tmp_path / "p", size=size, target="ecp5-25k")
        assert read_manifest(folder).table["shared_product"] == 1
        folder = write_rtl(circuit, tmp_path / "r", size=size, target="ecp5-25k", reload=True)
        assert read_manifest(folder).table["capacity"]["size"]["shared_product"] == 1

    def test_of_no_device(self) -> None:
        cost = estimate_rtl(small(), RtlSize(4, 2, 2, 1))
        told = cost.as_dict()
        assert told["clock_mhz"] is None and told["jobs"]["decode"]["symbols_per_second"] is None
        assert set(told["resources"]) == set(BLOCKS)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--target", "rtl", "--search-bits", 2), "--search-bits must go with a target of HLS, rtl is of RTL"),
            (("--target", "rtl", "--jobs", "guess"), "jobs must be some of likelihood, encode, decode"),
            (("--target", "zcu104", "--jobs", "encode"), "--jobs must go with a target of RTL, zcu104 is of HLS"),
            (("--target", "zcu104", "--lanes", 2), "--lanes must go with a target of RTL, zcu104 is of HLS"),
            (("--target", "rtl", "--engine", "serial", "--macs", 4), "--macs must go with --engine parallel"),
            (
                ("--target", "ecp5-25k", "--engine", "serial"),
                "must have 4 large memories, as an iCE40 UP5K has, ecp5-25k has 0; --engine parallel is for all",
            ),
            (("--target", "zcu104", "--engine", "serial"), "--engine must go with a target of RTL, zcu104 is of HLS"),
            (("--target", "rtl", "--table-lanes", 3), "table_lanes must be a power of two in 1..4, got 3"),
        ],
    )
    def test_refusals(self, words: tuple[object, ...], said: str, tmp_path: Path) -> None:
        write_onnx(small(), tmp_path / "m.onnx")
        done = run("estimate", tmp_path / "m.onnx", *words)
        assert done.exit_code == 2
        assert said in " ".join(done.output.split())

    def test_refuses_what_is_no_target(self) -> None:
        with pytest.raises(UsageError):
            estimate_rtl(small(), RtlSize(4, 2, 2, 1), "ecp6")
