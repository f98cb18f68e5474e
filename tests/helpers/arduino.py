"""An Arduino core of a few lines for the Cortex-M3 that QEMU emulates, and what builds and runs a sketch with it."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

#: a board of the builder: hardware/NAME, and in cores/mps2 what a sketch is linked to
_FILES = {
    "platform.txt": """
tools.ctags.cmd.path=arduino-ctags
tools.ctags.pattern="{cmd.path}" -u --language-force=c++ -f - --c++-kinds=svpf --fields=KSTtzns \
--line-directives "{source_file}"
""",
    "test/arm/boards.txt": """
mps2.name=MPS2
mps2.build.board=MPS2
mps2.build.core=mps2
""",
    "test/arm/platform.txt": """
name=QEMU
version=1.0.0
flags=-mcpu=cortex-m3 -mthumb -Os -ffreestanding -ffunction-sections -fdata-sections \
-Wall -Wextra -Werror -DARDUINO={runtime.ide.version}
recipe.c.o.pattern=arm-none-eabi-gcc {flags} -std=gnu11 -c {includes} "{source_file}" -o "{object_file}"
recipe.cpp.o.pattern=arm-none-eabi-gcc {flags} -xc++ -std=gnu++11 -fno-exceptions -fno-rtti \
-c {includes} "{source_file}" -o "{object_file}"
recipe.ar.pattern=arm-none-eabi-ar rcs "{archive_file_path}" "{object_file}"
recipe.c.combine.pattern=arm-none-eabi-gcc {flags} -nostdlib -nostartfiles -Wl,--gc-sections \
-T "{build.core.path}/link.ld" {object_files} "{build.path}/{archive_file}" -lgcc \
-o "{build.path}/{build.project_name}.elf"
recipe.size.pattern=arm-none-eabi-size -A "{build.path}/{build.project_name}.elf"
recipe.size.regex=^(?:\\.text)\\s+([0-9]+).*
""",
    "test/arm/cores/mps2/Arduino.h": """
#pragma once
#include <stddef.h>
#include <stdint.h>
struct Uart {
  void begin(unsigned long baud);
  void setTimeout(unsigned long) {}
  size_t readBytes(char *bytes, size_t count);
  size_t write(uint8_t byte);
  size_t write(const uint8_t *bytes, size_t count);
};
extern Uart Serial;
void setup();
void loop();
""",
    "test/arm/cores/mps2/main.cpp": """
#include "Arduino.h"
extern "C" {
extern uint32_t bss_begin[], bss_end[], stack_top[];
void reset();
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
}
__attribute__((section(".vectors"), used)) static void *const vectors[2] = {stack_top, (void *)reset};
static volatile uint32_t *const uart = (volatile uint32_t *)0x40004000u; // data, state, control, …, divider
Uart Serial;
void Uart::begin(unsigned long) {
  uart[4] = 16;
  uart[2] = 3;
}
size_t Uart::readBytes(char *bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    while (!(uart[1] & 2u)) {
    }
    bytes[i] = (char)uart[0];
  }
  return count;
}
size_t Uart::write(uint8_t byte) {
  while (uart[1] & 1u) {
  }
  uart[0] = byte;
  return 1;
}
size_t Uart::write(const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; ++i)
    write(bytes[i]);
  return count;
}
void *memcpy(void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; ++i)
    ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
  return to;
}
void *memset(void *to, int value, size_t size) {
  for (size_t i = 0; i < size; ++i)
    ((volatile uint8_t *)to)[i] = (uint8_t)value;
  return to;
}
void reset() {
  for (volatile uint32_t *word = bss_begin; word < bss_end; ++word)
    *word = 0;
  setup();
  for (;;)
    loop();
}
""",
    "test/arm/cores/mps2/link.ld": """
ENTRY(reset)
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 4M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
  .ARM.exidx : { *(.ARM.exidx*) } > FLASH
  .data : { *(.data*) } > RAM
  .bss (NOLOAD) : { bss_begin = .; *(.bss*) *(COMMON) . = ALIGN(8); bss_end = .; } > RAM
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
""",
}

TOOLS = ("arduino-builder", "arduino-ctags", "arm-none-eabi-gcc", "qemu-system-arm")


def build_sketch(library: Path, folder: Path) -> Path:
    """Build the example of a library with arduino-builder; give the program."""
    hardware, out = folder / "hardware", folder / "built"
    for name, text in _FILES.items():
        (hardware / name).parent.mkdir(parents=True, exist_ok=True)
        (hardware / name).write_text(text.lstrip())
    out.mkdir()
    command: list[str | Path] = [
        "arduino-builder", "-compile", "-hardware", hardware, "-tools", "/usr/bin", "-libraries", library.parent,
        "-fqbn", "test:arm:mps2", "-build-path", out, "-warnings", "all", library / "examples/uart/uart.ino",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "uart.ino.elf"


class Board:
    """Talk to a program in QEMU through its UART."""

    def __init__(self, program: Path) -> None:
        """Start it."""
        command = ["qemu-system-arm", "-machine", "mps2-an385", "-display", "none", "-monitor", "none"]
        self.process = subprocess.Popen(
            [*command, "-serial", "stdio", "-kernel", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Board:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self, count: int, seconds: float = 20) -> bytes:
        """Read so many bytes."""
        assert self.process.stdout is not None
        out, pipe, end = b"", self.process.stdout.fileno(), time.monotonic() + seconds
        while len(out) < count and time.monotonic() < end:
            if select.select([pipe], [], [], 0.5)[0]:
                out += os.read(pipe, count - len(out))
        assert len(out) == count, f"the board must answer with {count} bytes, got {out!r}"
        return out

    def answers(self, messages: Sequence[bytes], parts: int = 1) -> list[list[bytes] | None]:
        """Send messages one by one; give the parts of each answer, None where the message was refused."""
        found: list[list[bytes] | None] = []
        for message in messages:
            self.send(message)
            sizes = int.from_bytes(self.read(2), "little")
            if sizes == 65535:
                found.append(None)
                continue
            pieces = [self.read(sizes)]
            while len(pieces) < parts:
                pieces.append(self.read(int.from_bytes(self.read(2), "little")))
            found.append(pieces)
        return found
