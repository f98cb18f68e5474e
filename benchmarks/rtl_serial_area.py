"""Synthesise serial engines of several circuits for iCE40, and write what they take for `pcedge estimate`.

`python benchmarks/rtl_serial_area.py`; builds are kept in build/rtl-serial. `--place` places and routes them too, for
their clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from results import table, write_section

from pcedge.export import load_zoo, write_serial
from pcedge.export.open_target import find_open_target
from pcedge.export.rtl.area import RESOURCES
from pcedge.export.rtl.serial.area import serial_digest
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain.building import TOP, rtl_sources
from pcedge.toolchain.open_flow import place_and_route, synthesize

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
BUILD = ROOT / "build/rtl-serial"
FITTED = ROOT / "export/rtl/serial/calibration.json"

#: seed of a drawn circuit, its variables, states and symbols, its kind; weight, leaf and state bits, their profile
DRAWN = {
    "small": ((1, 6, 4, 4, "random", 0.0), (8, 12, 16, "small")),
    "lists": ((5, 7, 5, 9, "random", 0.3), (8, 12, 16, "wide")),
    "thin": ((4, 7, 5, 9, "random", 0.3), (6, 10, 12, "small")),
    "long": ((3, 40, 8, 16, "hidden"), (8, 12, 16, "wide")),
}  # fmt: skip


def circuits() -> dict[str, IntegerCircuit]:
    """Give circuits of the zoo, and drawn ones."""
    from strategies import make_circuit

    drawn = {
        name: quantize(make_circuit(*circuit), QuantizationConfig(*widths, tails=False))
        for name, (circuit, widths) in DRAWN.items()
    }
    return {name: load_zoo(name) for name in ("digits", "nltcs")} | drawn


def left_out(values: list[float]) -> float:
    """Give the mean relative error of the mean of the others."""
    errors = [
        abs(statistics.mean(values[:index] + values[index + 1 :]) / value - 1) for index, value in enumerate(values)
    ]
    return round(statistics.mean(errors), 4)


def main() -> None:
    """Build, and write means and errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", action="store_true")
    place = parser.parse_args().place
    device = find_open_target("ice40-up5k")
    totals: dict[str, dict[str, int]] = {}
    clocks: dict[str, float] = {}
    for name, circuit in circuits().items():
        project = write_serial(circuit, BUILD / name)
        out = project / "build/area"
        netlist = synthesize(rtl_sources(project), TOP, device, out)
        totals[name] = {resource: netlist.totals[resource] for resource in RESOURCES}
        if place:
            fenced = project / "build/fenced"
            netlist = synthesize(rtl_sources(project), TOP, device, fenced, fenced=True)
            clocks[name] = round(place_and_route(netlist, device, fenced, frequency_mhz=30.0).fmax_mhz, 2)
        print(name, totals[name], clocks.get(name), flush=True)
    known = json.loads(FITTED.read_text()) if FITTED.exists() else {}
    kept = known.get("clocks", {}) if known.get("sources") == serial_digest() else {}
    clocks = clocks or kept
    columns = {resource: [float(total[resource]) for total in totals.values()] for resource in RESOURCES}
    errors = {resource: {"left_out": left_out(values)} for resource, values in columns.items()}
    if len(clocks) > 1:
        errors["fmax_mhz"] = {"left_out": left_out(list(clocks.values()))}
    found = {
        "sources": serial_digest(), "builds": len(totals), "clocks": clocks, "errors": errors,
        "means": {resource: round(statistics.mean(values)) for resource, values in columns.items()},
        "fmax_mhz": round(statistics.median(clocks.values()), 2) if clocks else None,
    }  # fmt: skip
    FITTED.write_text(json.dumps(found, indent=1) + "\n")
    rows = [
        [name, *(f"{total[resource]:,}" for resource in RESOURCES), f"{clocks[name]:.1f}" if name in clocks else ""]
        for name, total in totals.items()
    ]
    off = ", ".join(f"{100 * error['left_out']:.0f} % in {resource}" for resource, error in errors.items())
    lines = [
        "Serial engines after synthesis for iCE40, tables before packing: `pcedge estimate` says their mean, whichever "
        f"the circuit. By the mean of the others each is off, in the mean, by {off}.",
        "",
        *table(["circuit", "LUT4", "FF", "SB_MAC16", "SB_RAM40_4K", "MHz, seed 1"], rows),
    ]
    write_section("RTL: area of the serial engine", "python benchmarks/rtl_serial_area.py --place", lines)


if __name__ == "__main__":
    main()
