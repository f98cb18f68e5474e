"""Stand for yosys' own program where it is a Python module: scripts of plain `yosys` lines in Tcl, which that lacks.

yosys [-l LOG] -p 'tcl FILE'
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    from pyosys import libyosys

    (word,) = [word for word in sys.argv[1:] if word.startswith("tcl ")]
    design = libyosys.Design()
    for line in Path(word.removeprefix("tcl ").strip()).read_text().splitlines():
        if line and not line.startswith("#"):
            command, _, rest = line.partition(" ")
            assert command == "yosys", line
            libyosys.run_pass(rest, design)


if __name__ == "__main__":
    main()
