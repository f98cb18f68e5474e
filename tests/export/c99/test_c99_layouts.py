"""Projects in C99 are built by CMake, the Arduino builder and Zephyr's module rules, and the example runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.arduino import TOOLS, Board, build_sketch
from helpers.engine_contract import CIRCUITS
from helpers.predictors import STAGE, circuit_of

from pcedge.circuit import Circuit, InputLayer, ProductLayer
from pcedge.codec.predicted import encode_rows
from pcedge.data.prediction import centred
from pcedge.data.steps import Difference, Planes, Window
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines.reference import ReferenceEngine
from pcedge.export import write_c99
from pcedge.export.c99.text import number_bytes, record_bytes
from pcedge.export.project.prediction import draw_rows
from pcedge.integer.circuit import IntegerCircuit
from pcedge.quantize import quantize
from pcedge.toolchain.tools import run

SYMBOLIZER = Symbolizer("int16", (3,), -100, 100, (Difference(0), Window((2,)), Planes((4, 4))))

#: the functions of Zephyr's build that a module calls, on a plain CMake
ZEPHYR = """
cmake_minimum_required(VERSION 3.13)
project(app C)
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
  foreach(path ${ARGV})
    get_filename_component(whole ${path} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
    target_include_directories(zephyr_interface INTERFACE ${whole})
  endforeach()
endfunction()
function(zephyr_compile_definitions_ifdef feature)
  if(${${feature}})
    target_compile_definitions(zephyr_interface INTERFACE ${ARGN})
  endif()
endfunction()
macro(zephyr_library)
  set(ZEPHYR_CURRENT_LIBRARY module)
  add_library(module STATIC "")
  target_link_libraries(module PUBLIC zephyr_interface)
endmacro()
function(zephyr_library_sources)
  foreach(source ${ARGV})
    get_filename_component(whole ${source} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${whole})
  endforeach()
endfunction()
add_subdirectory(${MODULE} module)
add_executable(app main.c)
target_link_libraries(app PRIVATE module)
"""

MAIN = """
#include "pcedge.h"
#include <stdio.h>
static pcedge_t codec;
int main(void) {
  pcedge_symbol_t record[PCEDGE_VARIABLES] = {0};
  uint8_t bytes[99];
  pcedge_encode_start(&codec, bytes, sizeof bytes);
  if (pcedge_encode(&codec, record) != PCEDGE_OK || pcedge_encode_finish(&codec) != PCEDGE_OK)
    return 1;
  fwrite(bytes, 1, pcedge_encode_take(&codec), stdout);
  return 0;
}
"""

needs_cmake = pytest.mark.skipif(not shutil.which("cmake"), reason="apt-get install cmake")


def circuit_with(symbolizer: Symbolizer) -> IntegerCircuit:
    leaves = [InputLayer(v, np.full((1, k), 1 / k)) for v, k in enumerate(symbolizer.cardinalities)]
    product = ProductLayer(tuple(range(len(leaves))), np.zeros((1, len(leaves)), np.int64))
    return quantize(Circuit((*leaves, product), symbolizer=symbolizer))


def built(folder: Path, text: str, *options: str) -> str:
    """Build a program of some lines of CMake; give what it prints, as Latin-1."""
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(text)
    (folder / "main.c").write_text(MAIN)
    run(["cmake", "-S", folder, "-B", folder / "out", "-DCMAKE_C_FLAGS=-Wall -Werror", *options], folder, "cmake")
    run(["cmake", "--build", folder / "out"], folder, "cmake")
    run(["sh", "-c", "out/app > out/bytes"], folder, "the program")
    return (folder / "out/bytes").read_bytes().decode("latin-1")


@needs_cmake
def test_cmake(tmp_path: Path) -> None:
    circuit = CIRCUITS["hidden"]
    (lane,) = ReferenceEngine(circuit).encode_lanes(np.zeros((1, len(circuit.order)), np.int64), 1)
    library = write_c99(circuit, tmp_path / "library")
    text = "cmake_minimum_required(VERSION 3.13)\nproject(app C)\nadd_subdirectory(${LIBRARY} pcedge)\n"
    text += "add_executable(app main.c)\ntarget_link_libraries(app PRIVATE pcedge_model)\n"
    for name, chosen in (("all", ""), ("some", "ENCODE;SCORE")):
        options = (f"-DLIBRARY={library}", f"-DPCEDGE_ONLY={chosen}")
        assert built(tmp_path / name, text, *options).encode("latin-1") == lane
        archive = tmp_path / name / "out/pcedge/libpcedge_model.a"
        names = run(["nm", "-g", "--defined-only", archive], tmp_path, "nm")
        assert ("pcedge_decode\n" in names) == (name == "all") and "pcedge_score\n" in names


@needs_cmake
def test_zephyr_module(tmp_path: Path) -> None:
    """On the functions that it calls: Zephyr itself is no package."""
    circuit = CIRCUITS["hidden"]
    (lane,) = ReferenceEngine(circuit).encode_lanes(np.zeros((1, len(circuit.order)), np.int64), 1)
    library = write_c99(circuit, tmp_path / "library")
    module = (library / "zephyr/module.yml").read_text()
    assert re.findall(r"^  (cmake|kconfig): (\S+)$", module, re.MULTILINE) == [
        ("cmake", "zephyr"), ("kconfig", "zephyr/Kconfig"),
    ]  # fmt: skip
    known = set(re.findall(r"^config (\w+)$", (library / "zephyr/Kconfig").read_text(), re.MULTILINE))
    called = (library / "zephyr/CMakeLists.txt").read_text()
    assert known == {
        "PCEDGE_MODEL",
        "PCEDGE_WITH_PACKETS",
        "PCEDGE_WITH_CLASSIFY",
        *(f"PCEDGE_ONLY_{job}" for job in ("ENCODE", "DECODE", "LIKELIHOOD", "SCORE")),
    }
    assert "CONFIG_PCEDGE_ONLY_${job} PCEDGE_ONLY_${job}" in called and "foreach(more PACKETS CLASSIFY)" in called
    assert "CONFIG_PCEDGE_WITH_${more} PCEDGE_WITH_${more}" in called
    options = [f"-DMODULE={library}/zephyr", "-DCONFIG_PCEDGE_MODEL=y", "-DCONFIG_PCEDGE_ONLY_ENCODE=y"]
    assert built(tmp_path / "app", ZEPHYR, *options).encode("latin-1") == lane
    names = run(["nm", "-g", "--defined-only", tmp_path / "app/out/module/libmodule.a"], tmp_path, "nm")
    assert "pcedge_encode\n" in names and "pcedge_decode" not in names


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="apt-get install arduino-builder gcc-arm-none-eabi")
@pytest.mark.parametrize("kind", ["records", "symbolizer", "stage"])
def test_arduino_library_and_example(kind: str, tmp_path: Path) -> None:
    """The builder finds the library by its example, and the board answers with the reference's lane."""
    if kind == "stage":
        circuit, rows = circuit_of(STAGE), draw_rows(STAGE, 64)
        ((lane,), (raw,)) = encode_rows(circuit, centred(STAGE, rows), 1)
        messages, wanted = [row.astype("<i2").tobytes() for row in rows], [lane, raw]
    elif kind == "symbolizer":
        circuit = circuit_with(SYMBOLIZER)
        numbers = np.random.default_rng(0).integers(-100, 101, (128, 3)).astype(np.int16)
        messages = [number_bytes(SYMBOLIZER, numbers[row : row + 2]) for row in range(0, 128, 2)]
        messages.insert(3, np.full(6, 101, "<i2").tobytes())
        wanted = ReferenceEngine(circuit).encode_lanes(SYMBOLIZER.apply(numbers).astype(np.int64), 1)
    else:
        circuit = CIRCUITS["unstructured"]
        records = ReferenceEngine(circuit).sample(64)
        messages = [record_bytes("uint8_t", record[None]) for record in records]
        messages.insert(3, b"\xfe" * len(messages[0]))
        wanted = ReferenceEngine(circuit).encode_lanes(records, 1)
    library = write_c99(circuit, tmp_path / "libraries/pcedge_model")
    with Board(build_sketch(library, tmp_path)) as board:
        answers = board.answers(messages, len(wanted))
    assert [number for number, answer in enumerate(answers) if answer is None] == ([] if kind == "stage" else [3])
    given = [answer for answer in answers if answer is not None]
    assert len(given) == 64
    assert [b"".join(answer[part] for answer in given) for part in range(len(wanted))] == wanted
