"""A Gaussian mixture of scikit-learn in C, by emlearn and by pcedge: python benchmarks/emlearn_mixture.py [--write].

The same fitted mixture, compiler and emulated Cortex-M3 for both. Printed are bytes of ROM and RAM, instructions a
record, and the largest difference between the scores that the device gives and those of the notebook, in nats: of
emlearn to `score_samples`, of pcedge to `record_scores` of its integer circuit, whose loss against the float one has
a column of its own. The area under the ROC curve is of test records against the same with permuted columns.

emlearn's code calls expf and logf, so it needs newlib: apt-get install libnewlib-arm-none-eabi, or that package and
libnewlib-dev unpacked anywhere (`dpkg -x`), with the folder named by --newlib. Without it emlearn is left out.
"""

from __future__ import annotations

import argparse
import math
import struct
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import table, write_section

import pcedge
from pcedge.circuit import Circuit, log_likelihood
from pcedge.engines import ReferenceEngine
from pcedge.evaluate.roc import auroc
from pcedge.evaluate.scores import record_scores
from pcedge.export import write_c99
from pcedge.export.project.directory import template
from pcedge.files import scratch
from pcedge.simulate.mcu import _FLAGS, CORES, _emulate
from pcedge.toolchain.tools import run

CORE = CORES[1]

#: symbols of a variable, at most
SYMBOLS = 64

BENCH = """
#include "bench.h"
int device_score(const void *input, void *output);
static union { double align; unsigned char bytes[INPUT_BYTES]; } input;
void bench(void) {
  while (bench_read(input.bytes, INPUT_BYTES)) {
    uint32_t words[2] = {0, 0};
    bench_begin();
    words[1] = (uint32_t)device_score(input.bytes, &words[0]);
    bench_end();
    bench_write(words, sizeof words);
  }
  const uint64_t instructions = bench_instructions();
  const uint32_t stack = bench_stack();
  bench_write(&instructions, sizeof instructions);
  bench_write(&stack, sizeof stack);
}
"""

EMLEARN = """
static float components[%d];
int device_score(const void *input, void *output) {
  return -(int)mixture_score((const float *)input, %d, components, (float *)output);
}
"""

PCEDGE = """
#include "pcedge_grid.h"
static pcedge_t machine;
static pcedge_symbol_t record[PCEDGE_VARIABLES];
int device_score(const void *input, void *output) {
  for (uint32_t v = 0; v < PCEDGE_VARIABLES; ++v) {
    pcedge_status_t status = %s(v, ((const %s *)input)[v], &record[v]);
    if (status != PCEDGE_OK) return (int)status;
  }
  return (int)pcedge_score(&machine, record, (uint32_t *)output);
}
"""


@dataclass(frozen=True)
class Measured:
    """Hold what a device gave and took."""

    #: 32 bits a record
    scores: NDArray[np.uint32]
    rom: int
    ram: int
    stack: int
    #: a record
    instructions: int


def measure(folder: Path, sources: list[Path], flags: list[str], rows: list[bytes], newlib: Path | None) -> Measured:
    """Compile sources for the core, run them on records in QEMU, and count."""
    for name in ("bench.h", "semihosting.c"):
        (folder / name).write_text(template("c99", name))
    (folder / "bench.c").write_text(BENCH)
    # All that is measured, with what it needs of libraries, is one section; a model with initial values may lie in it.
    script = template("c99", "link.ld")
    ours = "{ *measured_*.o(.text* .rodata* .srodata* .data* .init*) *lib*.a:*(.text* .rodata* .data*) }"
    script = script.replace("{ *pcedge.o(.text* .rodata* .srodata*) *libgcc.a:*(.text* .rodata*) }", ours)
    script = script.replace("*pcedge.o(.data* .bss* .sdata* .sbss* COMMON)", "*measured_*.o(.bss* .sbss* COMMON)")
    lines = [line for line in script.splitlines() if "SIZEOF(.pcedge_data)" not in line]
    (folder / "link.ld").write_text("\n".join(lines))
    size = f"-DINPUT_BYTES={len(rows[0])}"
    command: list[str | Path] = [CORE.compiler, *CORE.flags, *_FLAGS, f"-I{folder}", size, *flags]
    objects = []
    for source in [*sources, folder / "bench.c", folder / "semihosting.c"]:
        objects.append(folder / f"{'measured_' if source in sources else ''}{source.stem}.o")
        run([*command, "-c", source, "-o", objects[-1]], folder, f"compiling {source.name}")
    names = ("flash_origin", "flash_size", "ram_origin", "ram_size", "entry")
    places = [f"-Wl,--defsym={n}={v}" for n, v in zip(names, (*CORE.flash, *CORE.ram, CORE.entry), strict=True)]
    libraries = ["-lgcc"] if newlib is None else [f"-L{newlib}", "-lm", "-lc", "-lgcc"]
    linking = [CORE.compiler, *CORE.flags, "-nostdlib", "-nostartfiles", "-Wl,--gc-sections", *places]
    run([*linking, "-T", folder / "link.ld", *objects, *libraries, "-o", folder / "image.elf"], folder, "linking")
    told = run([CORE.compiler.replace("gcc", "size"), "-A", folder / "image.elf"], folder, "size")
    sizes = dict(line.split()[:2] for line in told.splitlines() if line.startswith("."))
    (folder / "in.bin").write_bytes(b"".join(rows))
    _emulate(CORE, folder / "image.elf")
    data = (folder / "out.bin").read_bytes()
    words = np.frombuffer(data[: 8 * len(rows)], dtype="<u4").reshape(-1, 2)
    if words[:, 1].any():
        raise ValueError(f"record {int(words[:, 1].argmax())} must have a score, its status is {words[:, 1].max()}")
    instructions, stack = struct.unpack("<QI", data[8 * len(rows) :])
    rom, ram = int(sizes[".pcedge"]), int(sizes[".pcedge_data"])
    return Measured(words[:, 0].copy(), rom, ram, stack, instructions // len(rows))


def circuit_of(mixture: Any, train: NDArray[np.float64]) -> Circuit:
    """Make the circuit of a mixture with diagonal covariances, on grids chosen for its training data."""
    return pcedge.from_estimator(mixture, symbols=SYMBOLS, data=train)


def sets() -> dict[str, tuple[NDArray[np.float64], int, bool]]:
    """Give data, components, and whether they are whole numbers as an ADC gives them."""
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine

    digits, wine, cancer = load_digits().data, load_wine().data, load_breast_cancer().data
    scaled = {name: (x - x.mean(axis=0)) / x.std(axis=0) for name, x in (("wine", wine), ("cancer", cancer))}
    real = {"wine": (scaled["wine"], 3, False), "breast cancer": (scaled["cancer"], 6, False)}
    return real | {"digits": (digits, 10, True)}


def newlib_of(folder: Path | None) -> tuple[Path, list[str]] | None:
    """Find newlib: its libraries for the core, and flags with its headers; None where it is not there."""
    root = folder or Path("/")
    libraries, headers = root / "usr/lib/arm-none-eabi/newlib/thumb/v7-m/nofp", root / "usr/include/newlib"
    if not (libraries / "libm.a").is_file() or not (headers / "math.h").is_file():
        return None
    return libraries, [f"-isystem{headers}"]


def compare(name: str, data: NDArray[np.float64], components: int, whole: bool, newlib: Any) -> list[list[str]]:
    """Fit a mixture, and measure it by both; rows of the table."""
    from sklearn.mixture import GaussianMixture

    generator = np.random.default_rng(0)
    order = generator.permutation(len(data))
    train, test = np.split(data[order], [2 * len(data) // 3])
    mixture = GaussianMixture(components, covariance_type="diag", reg_covar=0.01, random_state=0).fit(train)
    odd = np.stack([generator.permutation(column) for column in test.T], axis=1)
    records = np.concatenate([test, odd])
    notebook = mixture.score_samples(records)
    rows = [[name, "scikit-learn, float64", *[""] * 5, _area(notebook, test)]]
    if newlib is not None:
        with np.errstate():  # the import makes numpy raise at every underflow
            import emlearn.common
            import emlearn.mixture

        libraries, flags = newlib
        with scratch() as folder:
            code = emlearn.mixture.generate_code(emlearn.mixture.Wrapper(mixture, None), name="mixture")
            (folder / "model.c").write_text(code + EMLEARN % (components, data.shape[1]))
            inputs = [row.tobytes() for row in records.astype("<f4")]
            flags = [*flags, f"-I{emlearn.common.get_include_dir()}"]
            found = measure(folder, [folder / "model.c"], flags, inputs, libraries)
        scores = found.scores.view(np.float32).astype(np.float64)
        apart = float(np.abs(scores - notebook).max())
        rows.append(_row(name, f"emlearn {version('emlearn')}", found, apart, 0.0, scores, test))
    circuit = circuit_of(mixture, train)
    integers = pcedge.to_integer(circuit)
    symbols = circuit.grid.symbols_of(records)  # type: ignore[union-attr]
    wanted = record_scores(ReferenceEngine(integers), symbols)
    with scratch() as folder:
        project = write_c99(integers, folder / "p")
        call = ("pcedge_grid_code", "int32_t") if whole else ("pcedge_grid_symbol", "double")
        (folder / "device.c").write_text(PCEDGE % call)
        inputs = [row.tobytes() for row in records.astype("<i4" if whole else "<f8")]
        flags = [f"-I{project / 'src'}", "-DPCEDGE_ONLY_SCORE"]
        found = measure(folder, [project / "src/pcedge.c", folder / "device.c"], flags, inputs, None)
    apart = float(np.abs(found.scores.astype(np.int64) - wanted).max()) * math.log(2) / 256
    floats, logs = log_likelihood(circuit, symbols), -found.scores.astype(np.float64) * math.log(2) / 256
    rows.append([name, "pcedge, float circuit on its grid", *[""] * 5, _area(floats, test)])
    loss = float((floats - logs)[: len(test)].mean())
    rows.append(_row(name, "pcedge, integers: W 12, L 15, A 16", found, apart, loss, logs, test))
    return rows


def _area(scores: NDArray[np.float64], test: NDArray[np.float64]) -> str:
    return f"{auroc(scores[: len(test)], scores[len(test) :]):.4f}"


def _row(
    name: str,
    what: str,
    found: Measured,
    apart: float,
    loss: float,
    scores: NDArray[np.float64],
    test: NDArray[np.float64],
) -> list[str]:
    differ = "0" if apart == 0 else f"{apart:.2g}"
    counts = [f"{number:,}" for number in (found.rom, found.ram, found.instructions)]
    return [name, what, *counts, differ, f"{loss:+.3f}" if loss else "", _area(scores, test)]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--newlib", type=Path, help="Where the package libnewlib-arm-none-eabi is unpacked.")
    parser.add_argument("--write", action="store_true", help="Write docs/results.md.")
    options = parser.parse_args()
    newlib = newlib_of(options.newlib)
    if newlib is None:
        print("emlearn is left out: it needs newlib (apt-get install libnewlib-arm-none-eabi)", file=sys.stderr)
    rows = [row for name, one in sets().items() for row in compare(name, *one, newlib)]
    columns = ["mixture", "by", "ROM", "RAM", "instructions a record", "device − notebook, nats"]
    columns += ["float − integers, nats", "AUROC"]
    lines = table(columns, rows)
    print("\n".join(lines))
    if options.write:
        write_section("A Gaussian mixture on a microcontroller", "python benchmarks/emlearn_mixture.py --write", [
            "One mixture of scikit-learn, diagonal covariances, in C by emlearn and by pcedge (64 symbols a variable, "
            "grids of the training data), gcc 12 -O2, emulated Cortex-M3. ROM has code, model, grid and what is needed "
            "of libraries. The largest difference between the device's scores and the notebook's: emlearn's against "
            "score_samples, pcedge's against its integer circuit in Python, whose loss against the float circuit on "
            "the same grid is the column beside. AUROC: test records against the same with permuted columns.",
            "", *lines,
        ])  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
