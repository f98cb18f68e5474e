"""The copies of the engine's contract in other languages, all written from `pcedge.drivers.contract`.

`python -m pcedge.export.engine.contract` writes them into a checkout; a test compares.
"""

from __future__ import annotations

from pathlib import Path

from pcedge.drivers import contract
from pcedge.drivers.contract import IMAGE_NAMES, INFO_NAMES, JOBS, LATENCIES, REGISTERS, STATUS_BITS, Status

_MADE = "made of pcedge/drivers/contract.py by `python -m pcedge.export.engine.contract`; do not edit"


def header() -> str:
    """Write hls/include/pcedge/parallel/registers.hpp."""
    jobs = "".join(f"  {job.name} = {int(job)}, ///< {text}\n" for job, text in JOBS.items())
    bits = "".join(f"  {bit.name} = {int(bit)}, ///< {text}\n" for bit, text in STATUS_BITS.items())
    info = "".join(
        f"  INFO_{name.upper()} = {index}, ///< {text}\n" for index, (name, text) in enumerate(INFO_NAMES.items())
    )
    image = "".join(
        f"  IMAGE_{name.upper()} = {index}, ///< {text}\n" for index, (name, text) in enumerate(IMAGE_NAMES.items())
    )
    latencies = "".join(f"constexpr unsigned {name}_LATENCY = {cycles};\n" for name, cycles in LATENCIES.items())
    return f"""// The contract with software: jobs, status bits, info words, image header (docs/registers.md).
// {_MADE}
// clang-format off
#ifndef PCEDGE_REGISTERS_HPP
#define PCEDGE_REGISTERS_HPP

#include <cstdint>

namespace pcedge {{

/// First word of info and of an image, the characters PCE1.
constexpr std::uint32_t MAGIC = {contract.MAGIC:#010x}u;
/// Versions of registers, streams and jobs, and of an image.
constexpr std::uint32_t ENGINE_VERSION = {contract.ENGINE_VERSION};
constexpr std::uint32_t IMAGE_FORMAT = {contract.IMAGE_VERSION};
/// A missing symbol on a stream.
constexpr std::uint32_t MISSING_WORD = {contract.MISSING_WORD:#x}u;

/// Cycles from an entry's last beat to when a reader may use it, beyond the writing itself; from the
/// last beat of an interval to what follows from it; from the request of a step to its numbers.
{latencies}
/// What the engine does, as its mode register says.
enum job_t {{
{jobs}  JOBS = {len(JOBS)}
}};

/// What the status register says: bits that are set until the next job.
enum status_t : std::uint32_t {{
  FINE = 0,
{bits}}};

/// Words of the info registers; the circuit's SHA-256 is the last eight, and what has no name is 0.
enum info_word_t : unsigned {{
{info}  INFO_WORDS = {contract.INFO_WORDS}
}};

/// Words of an image's header; the circuit's SHA-256 follows.
enum image_word_t : unsigned {{
{image}  IMAGE_WORDS = {len(IMAGE_NAMES)},
  IMAGE_SAME = {contract.IMAGE_SAME} ///< so many must be as in the build
}};

}} // namespace pcedge

#endif
"""


def page() -> str:
    """Write docs/registers.md."""
    rows = "\n".join(
        f"| {register.offset:#05x} | {register.name} | {register.words} | {register.access} | {register.meaning} |"
        for register in REGISTERS
    )
    jobs = "\n".join(f"| {int(job)} | {job.name} | {text} |" for job, text in JOBS.items())
    bits = "\n".join(f"| {int(bit)} | {bit.name} | {text} |" for bit, text in STATUS_BITS.items())
    info = "\n".join(f"| {index} | {name} | {text} |" for index, (name, text) in enumerate(INFO_NAMES.items()))
    image = "\n".join(f"| {index} | {name} | {text} |" for index, (name, text) in enumerate(IMAGE_NAMES.items()))
    first = contract.INFO_WORDS - contract.DIGEST_WORDS
    return f"""# Registers of the engine

<!-- {_MADE} -->

AXI4-Lite, words of 32 bits. `job`, `status`, `cycles`, `records` and `info` lie where the source says, `control` where
the vendor's tool puts it. The same table is in C++ (`hls/include/pcedge/parallel/registers.hpp`), SystemRDL
(`hls/registers.rdl`) and the driver (`pcedge/drivers/contract.py`); `make docs` makes a C header and a page of the
SystemRDL.

| offset | register | words | access | |
|---|---|---|---|---|
{rows}

| job | name | |
|---|---|---|
{jobs}

| bit of status | name | |
|---|---|---|
{bits}

| word of info | name | |
|---|---|---|
{info}
| {first} … {contract.INFO_WORDS - 1} | digest | SHA-256 of the circuit |

| word of an image | name | |
|---|---|---|
{image}
| {len(IMAGE_NAMES)} … {len(IMAGE_NAMES) + contract.DIGEST_WORDS - 1} | digest | SHA-256 of the circuit |

The first {contract.IMAGE_SAME} words of an image must be as in the build. Latencies, in cycles: {
        ", ".join(f"{name} {cycles}" for name, cycles in LATENCIES.items())
    }.
"""


def systemrdl() -> str:
    """Write hls/registers.rdl."""
    fields = {
        "control": [("start", 0, 0, "rw"), ("done", 1, 1, "r"), ("idle", 2, 2, "r")],
        "job": [("job", max(JOBS).bit_length() - 1, 0, "rw")],
        "status": [((bit.name or "").lower(), at, at, "r") for at, bit in enumerate(Status)],
    }
    blocks = []
    for register in REGISTERS:
        lines = [
            f"            field {{ sw = {access}; hw = {'w' if access == 'r' else 'r'}; }} {name}[{high}:{low}];"
            for name, high, low, access in fields.get(register.name, [("value", 31, 0, register.access)])
        ]
        many = f"[{register.words}]" if register.words > 1 else ""
        blocks.append(
            f'        reg {{\n            desc = "{register.meaning}";\n' + "\n".join(lines) + "\n"
            f"        }} {register.name}{many} @ {register.offset:#x};"
        )
    return f"""// {_MADE}
addrmap pcedge_engine {{
    name = "pcedge engine";
    desc = "Parallel engine of pcedge, version {contract.ENGINE_VERSION}";
    default regwidth = 32;
{chr(10).join(blocks)}
}};
"""


#: the copies by their place in a checkout
COPIES = {
    "hls/include/pcedge/parallel/registers.hpp": header,
    "docs/registers.md": page,
    "hls/registers.rdl": systemrdl,
}


def write(root: Path) -> None:
    """Write all copies into a checkout."""
    for name, text in COPIES.items():
        (root / name).write_text(text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path())
