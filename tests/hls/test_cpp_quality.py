"""Quality of the C++: headers that stand alone, no warnings, no sanitizer's complaint."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import headers
from helpers.cpp import LAYER, PLAIN, STRICT
from helpers.nightly import WAITS
from helpers.paths import HLS
from helpers.predictors import circuit_of, random_predictor
from strategies import make_circuit

from pcedge.circuit import load_circuit
from pcedge.drivers.image_check import check_image, read_words
from pcedge.drivers.size import EngineSize
from pcedge.errors import FormatError, ToolError
from pcedge.export import write_project
from pcedge.export.program.image import capacity_from
from pcedge.export.unrolled.project import write_unrolled
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain import tools

pytestmark = pytest.mark.csim

HEADERS = sorted((HLS / "include/pcedge").glob("*/*.hpp"))

SANITIZERS = ("-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

#: what a testbench that runs under sanitizers is made of: the project, and its sources
TESTBENCHES = {
    "sequential": ("baked", ("testbench/testbench.cpp", "src/pcedge_top.cpp", "src/pcedge_memories.cpp")),
    "engine": ("baked", ("testbench/engine.cpp", "src/pcedge_engine.cpp", "src/pcedge_memories.cpp")),
    "engine, loaded": ("reload", ("testbench/engine.cpp", "src/pcedge_engine.cpp", "src/pcedge_memories.cpp")),
    "unrolled": ("unrolled", ("testbench/unrolled.cpp", "src/pcedge_unrolled.cpp")),
    "stage": ("stage", ("testbench/predict.cpp", "src/pcedge_predict.cpp")),
}


def translate(folder: Path, sources: Sequence[str | Path], flags: Sequence[str]) -> None:
    """Check sources, two at a time; nothing is kept, and where the compiler can, nothing is made."""
    command = [*headers.bare(), *flags, "-isystem", str(tools.ap_types())]
    # The ziglang wheel fails where a call makes no file.
    only = [] if "ziglang" in command else ["-fsyntax-only"]

    def one(number: int) -> None:
        scratch = ["-c", "-o", f"{number}.o"] if not only else only
        tools.run([*command, *scratch, sources[number]], folder, f"compiling {sources[number]}")

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(one, range(len(sources))))


def small_circuit() -> IntegerCircuit:
    """Draw a circuit that has steps of every kind."""
    return quantize(make_circuit(5, 6, 3, 4, "hidden", 0.0))


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a project of every kind for the small circuit."""
    folder = tmp_path_factory.mktemp("quality")
    circuit, shape = small_circuit(), EngineSize(4, 2)
    write_project(circuit, folder / "baked", shape=shape)
    write_project(circuit, folder / "reload", shape=shape, reload=True)
    write_unrolled(circuit, folder / "unrolled")
    write_project(circuit_of(random_predictor(13)), folder / "stage")
    return folder


@WAITS
def test_headers_stand_alone(tmp_path: Path) -> None:
    texts = {header.resolve(): header.read_text() for header in HEADERS}
    # What a header includes before anything else stands alone there, so that one compilation is enough for both.
    first = [(header, re.search(r'#include "([^"]*)"|#include', text)) for header, text in texts.items()]
    alone = sorted(
        set(texts) - {(header.parent / include[1]).resolve() for header, include in first if include and include[1]}
    )
    assert 5 < len(alone) < len(texts)
    for name, text in texts.items():
        # A family is a template's argument: a header knows none, so one compilation is for both.
        assert "PCEDGE_PLAIN_INTEGERS" not in text, name
    for header in alone:
        (tmp_path / f"{header.stem}.cpp").write_text(f'#include "pcedge/{header.parent.name}/{header.name}"\n')
    translate(tmp_path, [f"{header.stem}.cpp" for header in alone], [*STRICT, f"-I{HLS / 'include'}"])


#: what is a constant where kernels are compiled: a number, a name in capitals, a member of the configuration
CONSTANT = r"(?:unsigned\(|\()?(?:\d+u?|(?:K::)?C::\w+|(?:[A-Z]\w*::)?[A-Z][A-Z_0-9]*)\b\)?"

#: products of two numbers that are known at run time only; no quotient or remainder is
PRODUCTS = {
    "reciprocal": ("divisor * start", "start * uint_t<F, 18>(error >> 14)"),
    "scale of an interval": ("reciprocal<F>(divisor) * room", "input * prepared.scale"),
    "room in a packet": ("unit * floor",),
    "range coder": ("unit * start", "unit * uint_t<F, P + 1>(end - start)"),
    "weights": ("weight * mantissa",),
    "leaf tables": ("scale * entry", "context * k.rows[e].at[p]", "state[step.a + k] * below"),
    "products": ("a * b", "o.a[from] * o.b[from]"),
    "predictor stage": ("coefficient * narrow", "weight * input", "weight * term", "weight * below"),
    "as narrow as its factors: where a table begins": ("uint_t<F, N>(number) * uint_t<F, W>(words)",),
    "as narrow as its factors: where a row of a table begins": ("uint_t<F, N>(number) * uint_t<F, S>(stride)",),
    "ceil_div, by constants": ("+ b - 1) / b",),
    "as narrow as its factors: floors": ("uint_t<F, S>(symbols) * uint_t<F, P>(floor)",),
}


def products(code: str) -> list[str]:
    """Find what is multiplied or divided, where neither side is a constant, or the divisor is none."""
    code = re.sub(r'//.*|"[^"\n]*"|^#.*$|static_assert\([^;]*;', "", code, flags=re.M)
    found = []
    for operator in re.finditer(r"(?<=[\w\])>] )([*/%])=? (?=[\w(])", code):
        before, after = code[: operator.start()], code[operator.end() :]
        if re.match(CONSTANT, after) or (
            operator[1] == "*" and re.search(rf"(?<![\w.>:])(?<![*/%] ){CONSTANT} $", before)
        ):
            continue
        left = re.search(r"(?:[\w.:]|\[[^\]]*\]|<[^<>]*>\([^()]*\))+ $", before)
        right = re.match(r"(?:[\w.:]|\[[^\]]*\]|<[^<>]*>\([^()]*\))+", after)
        found.append(f"{left[0] if left else before[-9:]}{operator[1]} {right[0] if right else after[:20]}")
    return found


def test_no_address_is_multiplied() -> None:
    """An address is counted up, or found by shifts: a multiplier would stand before the memory in every cycle."""
    allowed = {product for group in PRODUCTS.values() for product in group}
    found = {product for path in HEADERS if path.parent.name != "testbench" for product in products(path.read_text())}
    assert found == allowed
    every = "".join(path.read_text() for path in HEADERS)
    divided = re.findall(r"(?<!unsigned )ceil_div\(([^;]*?)\)[;,:) ]", every)
    assert divided and all(re.search(rf", {CONSTANT}$", call) for call in divided), divided


def test_a_multiplied_address_is_found() -> None:
    line = "const unsigned place = step.weights / (K::TR * K::TC) + (row / K::TR) * across + column / K::TC;\n"
    assert products(line) == ["/ K::TR) * across"]
    assert products("M::table(e, r.leaf.tables + table * own + r.word, i)") == ["table * own"]
    assert products("row / across + row % rows + 2 * row + row * K::TC") == ["row / across", "row % rows"]


def test_the_end_of_the_loop_is_known_before_it_begins() -> None:
    """A condition of the same iteration would make all of a cycle one path, which C simulation does not show."""
    text = (HLS / "include/pcedge/parallel/scheduler.hpp").read_text()
    loop = re.sub(r"//.*|#pragma.*", "", text[text.index("cycles:\n") :])
    assert re.match(r"cycles:\s*for \(; !finished; \+\+k\.now\) \{\s*finished = done;", loop)
    assert len(re.findall(r"\bfinished\b", loop)) == 2


def test_primitives_have_no_warnings(tmp_path: Path) -> None:
    translate(tmp_path, [HLS / "testbench/conformance.cpp"], [*STRICT, f"-I{HLS / 'include'}"])


@WAITS
def test_projects_of_digits_have_no_warnings(tmp_path: Path) -> None:
    """Exact widths here and both families for the tops; testbenches with plain integers are below, with sanitizers."""
    digits = quantize(load_circuit("digits"), QuantizationConfig(8, 12, 16))
    baked = write_project(digits, tmp_path / "baked", shape=EngineSize(16, 4))
    loaded = write_project(digits, tmp_path / "reload", shape=EngineSize(16, 4), reload=True)
    flags = [*STRICT, "-Isrc", "-Iinclude"]
    tops = sorted((baked / "src").glob("pcedge_*.cpp"))
    assert len(tops) == 3
    translate(baked, [*tops, *sorted((baked / "testbench").glob("*.cpp"))], flags)
    translate(loaded, sorted((loaded / "src").glob("*.cpp")), flags)
    tops.remove(baked / "src/pcedge_memories.cpp")  # the same in both families
    translate(baked, tops, [*flags, *PLAIN])


def test_unrolled_kernels_have_no_warnings(projects: Path) -> None:
    sources = ["src/pcedge_unrolled.cpp", "testbench/unrolled.cpp"]
    translate(projects / "unrolled", sources, [*STRICT, "-Isrc", "-Iinclude"])


def test_predictor_stages_have_no_warnings(projects: Path) -> None:
    sources = ["src/pcedge_predict.cpp", "testbench/predict.cpp"]
    translate(projects / "stage", sources, [*STRICT, "-Isrc", "-Iinclude"])


def test_layers_of_hls4ml_have_no_warnings(projects: Path, tmp_path: Path) -> None:
    (tmp_path / "layer.cpp").write_text(LAYER)
    folder = projects / "baked"
    translate(folder, [tmp_path / "layer.cpp"], [*STRICT, "-Isrc", "-Iinclude"])


def test_warnings_are_errors(tmp_path: Path) -> None:
    """The flags find what they are for, also in templates, and -fsyntax-only does not stop before these."""
    broken = "template <class T> unsigned char cut(T x) { return x; }\nint f(int x) { return cut(x); }\n"
    (tmp_path / "broken.cpp").write_text(broken)
    with pytest.raises(ToolError, match="onversion"):
        translate(tmp_path, ["broken.cpp"], STRICT)


@pytest.fixture(scope="module")
def sanitizers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Skip where programs with sanitizers cannot be made or run."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.cpp").write_text("int main() { return 0; }\n")
    try:
        tools.run([*headers.bare(), *SANITIZERS, "probe.cpp", "-o", "probe"], folder, "probe")
        tools.run([folder / "probe"], folder, "probe")
    except ToolError:
        pytest.skip("the compiler has no sanitizers")
    return SANITIZERS


@pytest.fixture(scope="module")
def sanitized(
    projects: Path, sanitizers: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Compile a testbench with sanitizers, once.

    Plain integers only: ap_private.h extends signs by shifts of negative numbers, which is undefined in C++14.
    """
    folder = tmp_path_factory.mktemp("sanitized")

    def compile_one(name: str) -> Path:
        project, sources = TESTBENCHES[name]
        out = folder / name.replace(", ", "-")
        if not out.exists():
            command = [*headers.bare(), *STRICT, *sanitizers, *PLAIN, "-Isrc", "-Iinclude"]
            command += ["-isystem", str(tools.ap_types())]
            tools.run([*command, *sources, "-o", out], projects / project, "compiling")
        return out

    return compile_one


def run_on(testbench: Path, golden: Path) -> subprocess.CompletedProcess[str]:
    """Run a testbench on a folder of golden files; it must end, and no sanitizer may have a word."""
    done = subprocess.run(
        [testbench, "golden", golden], capture_output=True, text=True, errors="replace", timeout=300, check=False
    )  # fmt: skip
    assert "anitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("name", TESTBENCHES)
def test_sanitizers_find_nothing(name: str, projects: Path, sanitized: Callable[[str], Path]) -> None:
    done = run_on(sanitized(name), projects / TESTBENCHES[name][0] / "golden")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal" in done.stdout and "compared: " in done.stdout and not done.stderr


#: what each testbench reads; names of steps, which it also reads, are for its messages
GOLDEN = {
    "sequential": (
        "symbols.i32", "likelihood.i64", "intervals.u32", "likelihood_hashes.u32", "code_hashes.u32", "lanes.bin",
    ),
    "engine": ("symbols.i32", "likelihood.i64", "lane_sizes.u32", "lane_bytes.u32"),
    "engine, loaded": ("symbols.i32", "likelihood.i64", "lane_sizes.u32", "lane_bytes.u32", "image.u32"),
    "unrolled": ("symbols.i32", "results.i64"),
    "stage": ("numbers.i64", "stage.i64", "raw.bin"),
}  # fmt: skip


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Empty, cut, grow or change a golden file."""
    kind = rng.randrange(6)
    if kind < 2:
        return data[: (0, rng.randrange(len(data)))[kind]]
    if kind == 2:
        return data[: -4 * rng.randrange(1, 5)]
    if kind == 3:
        return data + rng.randbytes(rng.choice((1, 4, 8, 64)))
    found = bytearray(data)
    place = rng.randrange(len(found))
    found[place] ^= 1 << rng.randrange(8)
    if kind == 5:
        found[place // 4 * 4 : place // 4 * 4 + 4] = rng.choice((b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
    return bytes(found)


@pytest.mark.parametrize("name", TESTBENCHES)
def test_damaged_golden_files_are_refused(
    name: str, projects: Path, sanitized: Callable[[str], Path], tmp_path: Path
) -> None:
    """A testbench says that something differs, or what is wrong with a file, and never reads beyond one."""
    rng = random.Random(0)
    whole = projects / TESTBENCHES[name][0] / "golden"
    for number in range(40):
        golden = tmp_path / str(number)
        shutil.copytree(whole, golden)
        for file in rng.sample(GOLDEN[name], rng.choice((1, 1, 2))):
            (golden / file).write_bytes(damaged(rng, (whole / file).read_bytes()))
        done = run_on(sanitized(name), golden)
        assert done.returncode in (1, 2) and (done.stdout if done.returncode == 1 else done.stderr)


def test_images_with_wrong_addresses_stay_within_memory(
    projects: Path, sanitized: Callable[[str], Path], tmp_path: Path
) -> None:
    """Words changed at random, the CRC right: refused, or simulated within all bounds, or ended with a text."""
    rng, shape = random.Random(0), EngineSize(4, 2)
    golden = shutil.copytree(projects / "reload/golden", tmp_path / "golden")
    words = np.fromfile(golden / "image.u32", dtype="<u4")
    sections = read_words(words, shape).sections
    manifest = json.loads((projects / "reload/manifest.json").read_text())
    largest = capacity_from(manifest["capacity"]).largest_words
    place, starts = len(words) - 1 - sum(map(len, sections.values())), {}
    for name, section in sections.items():
        starts[name] = place
        place += len(section)
    ended = []
    for number in range(100):
        changed = words.copy()
        for _ in range(rng.choice((1, 1, 2, 4))):
            if number % 2:  # any word, to any value
                changed[rng.randrange(len(words) - 1)] = rng.choice((0, 1, 7, 255, 2**31, 2**32 - 1, rng.randrange(64)))
            else:  # what the engine takes, for the word is within its bound
                name = rng.choice([name for name, section in sections.items() if len(section)])
                changed[starts[name] + rng.randrange(len(sections[name]))] = rng.randint(0, largest[name])
        changed[-1] = zlib.crc32(changed[:-1].tobytes())
        (golden / "image.u32").write_bytes(changed.tobytes())
        done = run_on(sanitized("engine, loaded"), golden)
        assert done.returncode in (0, 1, 2, 3)
        if done.returncode == 3:
            assert re.fullmatch(r"simulation: .* must be below \d+, got \d+\n", done.stderr)
            with pytest.raises(FormatError, match=r"^engine-image: "):  # the driver would not have sent it
                check_image(changed, shape)
        ended.append(done.returncode)
    assert ended.count(1) > 40 and ended.count(3) > 3


#: what of the vendor's header the engine uses
BEAT = """\
#include <ap_int.h>
template <int D, int U, int TI, int TD> struct ap_axiu {
  ap_uint<D> data;
  ap_uint<(D + 7) / 8> keep, strb;
  ap_uint<1> last;
};
"""


@pytest.mark.parametrize("name", TESTBENCHES)
def test_testbenches_run_with_the_vendors_streams(name: str, projects: Path, tmp_path: Path) -> None:
    """Nothing of the shim is there, and the testbench has no arguments, as in a component's first C simulation."""
    project, sources = TESTBENCHES[name]
    (tmp_path / "ap_axi_sdata.h").write_text(BEAT)
    command = [*tools.compiler(), "-std=c++14", "-D__AP_INT_SPECIAL_H__", "-D__AP_FIXED_SPECIAL_H__", "-Isrc"]
    command += ["-Iinclude", "-isystem", str(tools.ap_types()), f"-I{tmp_path}"]
    tools.run([*command, *sources, "-o", tmp_path / "testbench"], projects / project, "compiling")
    done = subprocess.run([tmp_path / "testbench"], cwd=projects / project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal" in done.stdout


def test_a_read_beyond_a_memory_ends_the_run(sanitizers: tuple[str, ...], tmp_path: Path) -> None:
    source = "int memory[4];\nint main(int count, char **) { return memory[count + 3]; }\n"
    (tmp_path / "beyond.cpp").write_text(source)
    tools.run([*headers.bare(), *sanitizers, "beyond.cpp", "-o", "beyond"], tmp_path, "compiling")
    done = subprocess.run([tmp_path / "beyond"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and done.stderr
