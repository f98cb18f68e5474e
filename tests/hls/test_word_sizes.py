"""The C++ where `long` has 32 bits: the same integers as with 64, and nothing in it that depends on the machine's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.cpp import LAYER, PLAIN, STRICT
from helpers.nightly import cases
from helpers.paths import HLS, ROOT, VECTORS
from helpers.predictors import circuit_of, random_predictor
from strategies import make_circuit

from pcedge.circuit import load_circuit
from pcedge.drivers.size import EngineSize
from pcedge.errors import MissingToolError, ToolError
from pcedge.export import write_project, write_unrolled
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain import tools


@dataclass(frozen=True)
class Machine:
    """Say how programs of a machine are made and run here."""

    compiler: tuple[str, ...]
    #: runs a program; nothing where the processor itself does
    emulator: tuple[str, ...]
    #: Debian packages, of .ci/packages
    packages: tuple[str, ...]


#: Windows has the `long` of both. The folder holds headers that only the package gcc-multilib links to.
MACHINES = {
    "x86": Machine(("g++", "-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"), (), ("g++", "g++-12-multilib")),
    "arm": Machine(
        ("arm-linux-gnueabihf-g++", "-static"), ("qemu-arm",), ("g++-arm-linux-gnueabihf", "qemu-user")
    ),
}  # fmt: skip

PROBE = """\
#include <cstdio>
#include <string>
static_assert(sizeof(long) == 4, "long must have 32 bits");
int main() { std::puts(std::to_string(sizeof(long)).c_str()); }
"""

#: exported projects: flags that choose the family of integers, and how many testbenches must report equal
PROJECTS = {"digits": ((), 2), "reload": (PLAIN, 1), "unrolled": ((), 1), "stage": ((), 2), "wide": (PLAIN, 3)}

COMBINATIONS = [(machine, name) for machine in MACHINES for name in PROJECTS]

#: Every project but the largest once; of each machine there are both families of integers, and kernels of each kind.
USUAL = [("x86", "reload"), ("x86", "stage"), ("arm", "unrolled"), ("arm", "wide")]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a project of every kind; the engines have several multipliers and streams."""
    folder = tmp_path_factory.mktemp("word-sizes")
    circuit = quantize(make_circuit(5, 6, 3, 4, "hidden", 0.0))
    digits = quantize(load_circuit("digits"), QuantizationConfig(8, 12, 16))
    write_project(digits, folder / "digits", shape=EngineSize(16, 4))
    write_project(circuit, folder / "reload", shape=EngineSize(4, 2), reload=True)
    write_unrolled(circuit, folder / "unrolled")
    write_unrolled(circuit_of(random_predictor(5)), folder / "stage")
    write_project(circuit_of(random_predictor(13)), folder / "wide")
    return folder


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Skip where programs of the machine cannot be made or run."""
    machine = MACHINES[request.param]
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.cpp").write_text(PROBE)
    try:
        tools.run([*machine.compiler, "probe.cpp", "-o", "probe"], folder, "probe")
        said = tools.run([*machine.emulator, "./probe"], folder, "probe")
    except (MissingToolError, ToolError):
        pytest.skip(f"needs the Debian packages {' '.join(machine.packages)}")
    assert said == "4\n"
    return machine


def translate(machine: Machine, source: Path, *flags: str | Path) -> None:
    """Check a source; warnings are errors."""
    command = [*machine.compiler, *STRICT, "-fsyntax-only", "-isystem", tools.ap_types(), *flags]
    tools.run([*command, source], source.parent, f"compiling {source.name}")


@pytest.mark.csim
@pytest.mark.slow
@pytest.mark.parametrize(("machine", "name"), cases(USUAL, COMBINATIONS), indirect=["machine"])
def test_projects_equal_their_golden_vectors(machine: Machine, name: str, projects: Path) -> None:
    """As a user does it, with make: warnings are errors, and each testbench must say that all is equal."""
    if not shutil.which("make"):
        pytest.skip("needs the Debian package make")
    flags, testbenches = PROJECTS[name]
    variables = {
        "CXX": " ".join(machine.compiler),
        "CXXFLAGS": " ".join(["-O1", "-Werror", "-Wsign-conversion", *flags]),
        "RUN": " ".join(machine.emulator),
        "AP_TYPES": str(tools.ap_types()),
    }
    words = [f"{variable}={value}" for variable, value in variables.items()]
    said = tools.run(["make", "clean", "csim", *words], projects / name, f"make csim of {name}")
    equal = re.findall(r"^\d+ records: .* equal", said, re.M)
    assert len(equal) == testbenches, said


@pytest.mark.csim
@pytest.mark.slow
@pytest.mark.parametrize("machine", cases(["arm"], MACHINES), indirect=True)
def test_primitives_equal_the_conformance_vectors(machine: Machine, tmp_path: Path) -> None:
    command = [*machine.compiler, *STRICT, "-O1", f"-I{HLS / 'include'}", "-isystem", tools.ap_types()]
    tools.run([*command, HLS / "testbench/conformance.cpp", "-o", tmp_path / "conformance"], tmp_path, "compiling")
    said = tools.run([*machine.emulator, tmp_path / "conformance", VECTORS], tmp_path, "conformance")
    files = {path.name for path in VECTORS.glob("*.csv")}
    for family in ("ap_integers", "plain_integers"):
        assert set(re.findall(rf"^{family} (\S+): \d+ rows equal$", said, re.M)) == files


@pytest.mark.csim
def test_layers_of_hls4ml_have_no_warnings(machine: Machine, projects: Path, tmp_path: Path) -> None:
    (tmp_path / "layer.cpp").write_text(LAYER)
    folder = projects / "digits"
    translate(machine, tmp_path / "layer.cpp", f"-I{folder / 'src'}", f"-I{folder / 'include'}")


@pytest.mark.csim
def test_a_power_that_is_cut_does_not_compile(machine: Machine, tmp_path: Path) -> None:
    include = shutil.copytree(HLS / "include", tmp_path / "include")
    (tmp_path / "use.cpp").write_text('#include "pcedge/arith/integers.hpp"\n')
    translate(machine, tmp_path / "use.cpp", f"-I{include}")
    header = include / "pcedge/arith/integers.hpp"
    text = header.read_text()
    assert "return std::uint64_t(1) << N;" in text
    header.write_text(text.replace("std::uint64_t(1) << N", "1UL << N"))
    with pytest.raises(ToolError, match=r"power_of_two<48>\(\) == 281474976710656"):
        translate(machine, tmp_path / "use.cpp", f"-I{include}")


def test_packages_are_installed_by_the_integration() -> None:
    listed = [line.split("#")[0].strip() for line in (ROOT / ".ci/packages").read_text().splitlines()]
    for machine in MACHINES.values():
        assert set(machine.packages) <= set(listed)
    assert (ROOT / ".ci/run").read_text().index(".ci/install") < (ROOT / ".ci/run").read_text().index("make test")


#: what has another size, or another range, on another machine, by where it must not be
COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
STRINGS = re.compile(r'"(?:[^"\\\n]|\\.)*"')
IN_CODE = re.compile(
    r"\blong\b"
    r"|\b(?:0[xX][\da-fA-F']+|0[bB][01']+|\d[\d']*)(?:[uU]?[lL]|[lL][uU])\b"
    r"|\b(?:atol|strtoul|strtol|stoul|stol|labs|ldiv|to_long|to_ulong|PRI[diouxX](?:MAX|PTR|FAST\d+))\b"
    r"|\b(?:u?int_fast\d+_t|wchar_t|time_t|clock_t)\b"
)
#: kernels have no memory but their own: what counts it has no place in them
IN_KERNELS = re.compile(r"\b(?:s?size_t|ptrdiff_t|u?intptr_t|u?intmax_t)\b")
IN_STRINGS = re.compile(r"%[-+ #0-9.*]*l+[diouxXn]")


def found_in(text: str, *, kernel: bool) -> list[str]:
    """Find what depends on the machine in a text of C++."""
    # Strings first: they may hold what begins a comment, and a character is none.
    bare = COMMENTS.sub(" ", STRINGS.sub(lambda found: found[0].replace("/", " "), text))
    code = STRINGS.sub('""', bare)
    found = [*IN_CODE.findall(code), *IN_STRINGS.findall(" ".join(STRINGS.findall(bare)))]
    return found + (IN_KERNELS.findall(code) if kernel else [])


@pytest.mark.parametrize(
    "text",
    [
        "constexpr long ZERO = 0;", "x = (1L << B) - 1;", "unsigned long y;", "(unsigned long long)z", "0x1FUL",
        "1'000lu", "std::atol(text)", "std::stoul(text)", "value.to_ulong()", 'printf("%5ld", n);',
        'printf("%llu", n);', 'url = "http://x"; long z;', "/* a */ long z; /* b */", "std::uint_fast32_t n;",
    ],
)  # fmt: skip
def test_what_depends_on_the_machine_is_found(text: str) -> None:
    assert found_in(text, kernel=False)


@pytest.mark.parametrize(
    "text",
    [
        "// as long as", "/* long\n1L */", 'fail("too long");', 'printf("%zu %5u %" PRIu64 "\\n", a, b, c);', "12ull",
        "longest = 1u;", "0xFFFFFFFFu", "EVAL", "x_1L", "std::stoull(text)",
    ],
)  # fmt: skip
def test_what_does_not_is_left_alone(text: str) -> None:
    assert not found_in(text, kernel=False)


def test_kernels_count_no_memory() -> None:
    assert found_in("std::size_t n;", kernel=True) and not found_in("std::size_t n;", kernel=False)


def sources(projects: Path) -> Iterator[tuple[Path, bool]]:
    """Give every C++ text, and whether it is of a kernel: ours, the templates, and what is generated from them."""
    for folder in (HLS, ROOT / "export/unrolled/templates", projects):
        for path in sorted(folder.rglob("*")):
            if re.search(r"\.(hpp|cpp|inc|hpp\.in|cpp\.in)$", path.name):
                yield path, "testbench" not in path.parts
    yield ROOT / "export/hls4ml/layer.py", True  # the text of a layer's header


def test_nothing_depends_on_the_machine(projects: Path) -> None:
    texts = list(sources(projects))
    for name in (
        "range_coder.hpp",
        "conformance.cpp",
        "unrolled.hpp.in",
        "pcedge_memories.cpp",
        "pcedge_unrolled.cpp",
        "pcedge_stage.hpp",
    ):
        assert name in {path.name for path, _ in texts}
    wrong = {str(path): found for path, kernel in texts if (found := found_in(path.read_text(), kernel=kernel))}
    assert not wrong
