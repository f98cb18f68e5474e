"""Sections of docs/results.md, each written by the benchmark that measures it."""

from __future__ import annotations

import platform
import textwrap
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs/results.md"
HEAD = (
    "# Results\n\nEach section is written by the command that it names. Ratios are measured side by side in one run.\n"
)


def write_section(title: str, command: str, lines: list[str]) -> None:
    """Put a section into docs/results.md, in place of an older one of the same title."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEAD
    parts = text.split("\n## ")
    kept = [part for part in parts[1:] if part.split("\n", 1)[0] != title]
    body = "\n".join(
        [title, "", f"`{command}` on {platform.machine()}, Python {platform.python_version()}.", "", *_wrapped(lines)]
    )
    kept.append(body + "\n")
    RESULTS.write_text("\n## ".join([parts[0].rstrip() + "\n", *sorted(kept)]), encoding="utf-8")


def _wrapped(lines: list[str]) -> list[str]:
    """Wrap text at 120 columns; rows of tables stay."""
    wrapper = textwrap.TextWrapper(120, break_long_words=False, break_on_hyphens=False)
    return [piece for line in lines for piece in ([line] if line.startswith("|") else wrapper.wrap(line) or [""])]


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Make the lines of a Markdown table."""
    rule = "|" + "---|" * len(columns)
    return ["| " + " | ".join(columns) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]
