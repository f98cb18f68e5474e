"""The section of docs/results.md that `benchmarks/rtl_unrolled.py` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results import table, write_section
from rtl_detector import EVENT_NS, INPUTS, LATENCY_NS, PARTS

#: forms that every net is measured in
ALWAYS = ("integers W12 L16 A16", "float32", "log, 24 bits")

COMMAND = "OMP_NUM_THREADS=1 python benchmarks/rtl_unrolled.py"


def write_page(found: Mapping[str, Mapping[str, Any]], nets: Sequence[str], forms: Sequence[str]) -> None:
    """Write the section from what was measured."""
    lines = [
        "Unrolled likelihoods between AXI4-Streams, a record a cycle, without a score. *Integers* are "
        "ours at the named "
        "widths; float32 and logarithms are of the same nets, by the same generator of pipelines, as numbers without a "
        "sign: float32 multiplies and adds as numpy does, bit for bit on 100,000 pairs "
        "(`tests/benchmarks/test_rtl_unrolled.py`), the logarithms have 24 bits, of them as many for "
        "wholes as the net's "
        "least likelihood asks for, and are added by tables with a line between entries. LUT, flip-flops, multipliers "
        "and block RAM by yosys for ECP5 (a carry cell is two LUT); MHz of ECP5 speed 6 after routing, the top between "
        "shift registers, by seed; latency in cycles, and in ns at the best seed. Errors in bits against the float64 "
        "circuit, of the simulated hardware over the test set (NIPS5, NLTCS) or 2,000 samples; *lost* "
        "are records that a "
        "form calls impossible, which have no error.",
        "",
        *table(
            ["net", "form", "LUT", "FF", "MULT18", "EBR", "MHz", "latency", "ns", "mean error", "greatest", "lost"],
            [_net_row(found[key]) for net in nets for form in forms if (key := f"{net}/{form}") in found],
        ),
    ]
    missing = [f"{net}, {form}" for net in nets for form in ALWAYS if f"{net}/{form}" not in found]
    if missing:
        lines += ["", f"Not measured: {'; '.join(missing)}."]
    depths = sorted((one for key, one in found.items() if key.startswith("depth/")), key=lambda one: one["latency"])
    if depths:
        lines += [
            "",
            "The depth of a pipeline: NIPS5, W12 L16 A16, with score, `--latency`, ECP5-85 of speed 6 without pins.",
            "",
            *table(
                ["latency", "LUT", "FF", "MHz", "ns"],
                [[str(o["latency"]), str(o["lut"]), str(o["ff"]), str(o["mhz"]), _ns(o)] for o in depths],
            ),
        ]  # fmt: skip
    sums = [one for key, one in found.items() if key.startswith("sums/")]
    if sums:
        lines += [
            "", "Sums by constants alone, every sum layer of a net at W12, between registers: adders of "
            "each weight, adders "
            "that rows share, and weights as multiplications, which yosys makes of multipliers.", "",
            *table(
                ["net", "form", "LUT", "MULT18"], [[o["net"], o["form"], str(o["lut"]), str(o["dsp"])] for o in sums]
            ),
        ]  # fmt: skip
    lines += _detector(found)
    write_section("Unrolled kernels in SystemVerilog", COMMAND, lines)


def _net_row(one: Mapping[str, Any]) -> list[str]:
    clocks = [clock for clock in one.get("mhz", {}).values() if clock]
    mean = one["mean_error"]
    return [
        one["net"], one["form"], f"{one['lut']:,}", f"{one['ff']:,}", str(one["dsp"]), str(one["bram"]),
        " ".join(map(str, clocks)), str(one["latency"]), f"{1000 * one['latency'] / max(clocks):.0f}" if clocks else "",
        "" if mean is None else f"{mean:.2g}", f"{one['most_error']:.2g}", f"{one['lost']} of {one['records']:,}",
    ]  # fmt: skip


def _ns(one: Mapping[str, Any]) -> str:
    return f"{1000 * one['latency'] / one['mhz']:.0f}"


def _detector(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write what is known of the detector: the whole by counts, parts of it placed."""
    if "detector" not in found:
        return []
    whole = found["detector"]
    parts = {inputs: found[f"detector/{inputs}"] for inputs in PARTS if f"detector/{inputs}" in found}
    lines = [
        "",
        f"A detector of {INPUTS} inputs of 8 bits, four states, dense sums over a balanced tree, W10 L10 "
        f"A8 without tails: "
        f"{whole['adders']:,} adders, {whole['multipliers']} multipliers, more than an ECP5-85 has (156), "
        f"{whole['tables']} tables. Parts of it with 2, 4 … inputs, which have one, two … of its six "
        f"levels of products "
        "and sums, on ECP5-85 of speed 8, the fastest part that the tools know, without pins; all but the reading of "
        "the tables lies between two clock edges, so that 1 / MHz is the time of all levels and the score.",
    ]
    if not parts:
        return lines
    rows = [
        [
            str(inputs), str(one["adders"]), str(one["multipliers"]), f"{one['lut']:,}", str(one["mhz"]),
            f"{1000 / one['mhz']:.1f}", ", ".join(f"{kind} {ns}" for kind, ns in one["path"].items()),
        ]
        for inputs, one in parts.items()
    ]  # fmt: skip
    columns = ["inputs", "adders", "MULT18", "LUT", "MHz", "ns", "limiting path, ns"]
    lines += ["", *table(columns, rows)]
    if len(parts) > 1:
        first, last = min(parts), max(parts)
        levels = (last // first).bit_length() - 1
        times = {inputs: 1000 / parts[inputs]["mhz"] for inputs in (first, last)}
        step = (times[last] - times[first]) / levels
        total = times[first] + step * (6 - first.bit_length() + 1)
        lines += [
            "",
            f"A level takes {step:.0f} ns, so six of them with the score take about {total:.0f} ns, and "
            f"{LATENCY_NS:.0f} ns at an event every {EVENT_NS:.0f} ns are missed by {total / LATENCY_NS:.1f} "
            f"times. An event "
            "a clock edge is no limit: `--latency` cuts the same path into stages of 25 ns and less.",
        ]
    return lines
