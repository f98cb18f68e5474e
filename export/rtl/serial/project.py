"""The project directory of the serial engine: sources, parameters, the model, testbench, golden vectors."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from numpy.typing import ArrayLike

from pcedge.engines.reference import ReferenceEngine
from pcedge.export.project.directory import ProjectPlan, plan_project, write_plan
from pcedge.export.rtl.project import golden_files, golden_records, manifest_table
from pcedge.export.rtl.serial.image import lower_serial
from pcedge.export.rtl.serial.params import model_words, serial_params
from pcedge.export.rtl.top import TOP, info_words, top_code
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: sources of the parallel engine that the serial one is made of too
SHARED = ("pc_axi.sv", "pc_carry.sv", "pc_leading.sv", "pc_scale_entry.sv")

#: the file that a job LOAD takes, words of 32 bits, lowest byte first
MODEL = "model.bin"


def write_serial(circuit: IntegerCircuit | Program, out: str | Path, *, records: ArrayLike | None = None) -> Path:
    """Write the serial engine of a circuit into a project directory, see `plan_serial`."""
    return write_plan(plan_serial(circuit, records=records), out)


def plan_serial(circuit: IntegerCircuit | Program, *, records: ArrayLike | None = None) -> ProjectPlan:
    """Write the serial engine of a circuit as the files of a project; nothing is written.

    Args:
        circuit: a structured-decomposable integer circuit, or its program.
        records: data for the golden vectors, (N, …); None draws some from the circuit.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: the engine cannot hold the circuit.
        DataError: the records do not fit, or there are none without missing symbols.
    """
    engine = ReferenceEngine(circuit)
    image = lower_serial(engine.program)
    given = golden_records(engine, records)
    rooms = files("pcedge.export.rtl").joinpath("sources"), files("pcedge.export.rtl.serial").joinpath("sources")
    sources = {f"rtl/{name}": rooms[0].joinpath(name).read_bytes() for name in SHARED}
    sources |= {f"rtl/{source.name}": source.read_bytes() for source in rooms[1].iterdir() if ".sv" in source.name}
    contents = {
        **dict(sorted(sources.items())),
        "rtl/params.svh": serial_params(image).encode(),
        f"rtl/{TOP}.sv": top_code(1).encode(),
        MODEL: model_words(image).tobytes(),
        **golden_files(engine, given, 1, info_words(image.lowered)),
    }
    manifest = manifest_table(image.lowered, given, contents["golden/lanes.bin"])
    return plan_project({**manifest, "engine": "serial", "memories": image.parts}, contents)
