"""One HTML page of builds: a plot of area against rate, and of each build units, critical path and memories.

It needs no network: styles and the plot stand in it, and no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path, PurePath
from typing import Any

from pcedge import __version__
from pcedge.export.open_target import FAMILIES
from pcedge.toolchain.page_plot import area_against_rate

#: columns of amounts, by their names in a build
_AMOUNTS = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram": "block RAM"}

_STYLE = """
:root { --ink: #1c2126; --soft: #5c6670; --line: #d9dee3; --fill: #0072b2; --route: #d55e00; --logic: #0072b2;
        --clock: #6f7a85; --paper: #ffffff; --shade: #f4f6f8; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 2rem 1.5rem 4rem; color: var(--ink); background: var(--paper);
       font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.25rem; margin: 3rem 0 .25rem; padding-top: 1rem;
     border-top: 2px solid var(--ink); } h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p { margin: .25rem 0 .75rem; max-width: 46rem; } .soft { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .82rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th.n, td.n { text-align: right; white-space: nowrap; }
tr.sum td { font-weight: 600; border-top: 2px solid var(--line); }
td.name { white-space: nowrap; } td.name code { overflow-wrap: normal; } a { color: var(--fill); }
td.bar { width: 26%; min-width: 8rem; vertical-align: middle; }
.b { display: block; height: .7rem; min-width: 2px; background: var(--fill); border-radius: 2px; }
.b.routing { background: var(--route); } .b.clk-to-q, .b.setup { background: var(--clock); }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.card { background: var(--shade); border-radius: 6px; padding: .6rem .9rem; min-width: 8.5rem; }
.card b { display: block; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .82rem; } .bad { color: #b3261e; }
code { font: .84em/1.4 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; overflow-wrap: anywhere; }
.key i { display: inline-block; width: .8rem; height: .7rem; border-radius: 2px; margin: 0 .3rem 0 .9rem; }
.plot text { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif !important; }
.plot svg { max-width: 100%; height: auto; } details { margin-top: 1rem; } summary { cursor: pointer; }
"""


def write_page(builds: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the page of some builds.

    Args:
        builds: as `toolchain.building.read_build` gives them, at least one.
        path: the file.

    Raises:
        MissingToolError: matplotlib, which draws the plot, is not installed.
    """
    names = labels(builds)
    plot = area_against_rate(builds, names)
    parts = [
        "<h1>Builds of pcedge</h1>",
        f'<p class="soft">{len(builds)} build{"s" if len(builds) > 1 else ""}; area after packing and frequency after '
        f"routing, of the best seed. pcedge {escape(__version__)}.</p>",
        _overview(builds, names),
    ]
    if plot:
        parts += [
            "<h3>Area against rate</h3>",
            '<p class="soft">A point is a job of a build: up and left is better.</p>',
            f'<div class="plot">{plot}</div>',
        ]
    parts += [_build(build, name, number) for number, (build, name) in enumerate(zip(builds, names, strict=True))]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Builds of pcedge</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>\n{chr(10).join(parts)}\n</body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def labels(builds: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name builds as short as it can be done: by the project's folder, and the device where it has several."""
    folders = [PurePath(build["out"]).name for build in builds]
    if len({build["out"] for build in builds}) != len(set(folders)):
        folders = [str(build["out"]) for build in builds]
    several = len({build["target"] for build in builds}) > 1
    return [f"{f} · {b['target']}" if several else f for f, b in zip(folders, builds, strict=True)]


def _overview(builds: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Write a line for each job of each build; what is of the whole build stands once."""
    columns = ["build", *_AMOUNTS.values(), "MHz", "bits/symbol", "job", "cycles/symbol", "symbols/s"]
    lines = []
    for number, (build, name) in enumerate(zip(builds, names, strict=True)):
        met = "" if build["met"] else ' class="bad"'
        whole = [
            f'<a href="#build-{number}">{escape(name)}</a>', *(_share(build, amount) for amount in _AMOUNTS),
            f"<span{met}>{build['fmax_mhz']:.1f}</span>", _number(build["bits_per_symbol"], ".3f"),
        ]  # fmt: skip
        jobs = [
            [escape(job), _number(rate["cycles_per_symbol"], ".2f"), _number(rate["symbols_per_second"])]
            for job, rate in build["jobs"].items()
        ] or [["", "", ""]]
        span = f' rowspan="{len(jobs)}"'
        first = "".join(f'<td class="{"n" if n else "name"}"{span}>{cell}</td>' for n, cell in enumerate(whole))
        for line, cells in enumerate(jobs):
            own = "".join(f"<td{' class=n' if n else ''}>{cell}</td>" for n, cell in enumerate(cells))
            lines.append(f"<tr>{'' if line else first}{own}</tr>")
    return _framed(columns, {1, 2, 3, 4, 5, 6, 8, 9}, "".join(lines))


def _build(build: Mapping[str, Any], name: str, number: int) -> str:
    met = "asked, met" if build["met"] else '<span class="bad">asked, missed</span>'
    cards = [
        (f"{build['fmax_mhz']:.1f} MHz", f"{build['asked_mhz']:.1f} {met}"),
        *(
            (_number(build[a]), f"{title}, of {_number(build['available'][a])}") for a, title in _AMOUNTS.items()
        ),
        *(
            (_number(rate["symbols_per_second"]), f"{escape(job)}: symbols a second")
            for job, rate in build["jobs"].items()
        ),
    ]  # fmt: skip
    shown = "".join(f'<div class="card"><b>{value}</b><span>{text}</span></div>' for value, text in cards)
    bitstream = f"Bitstream <code>{escape(build['bitstream'])}</code>." if build["bitstream"] else "No bitstream."
    if build["fenced"]:
        bitstream = "No bitstream: the top has more ports than the package has pins, and stands between registers."
    parts = [
        f'<h2 id="build-{number}">{escape(name)}</h2>',
        f'<p class="soft">{escape(build["top"])} for {escape(build["part"])}, seed {build["seed"]}. {bitstream}</p>',
        f'<div class="cards">{shown}</div>',
        _units(build), _path(build), _memories(build), _details(build),
    ]  # fmt: skip
    return "\n".join(parts)


def _units(build: Mapping[str, Any]) -> str:
    units: Mapping[str, Any] = build["units"]
    most = max((unit["lut"] for unit in units.values()), default=0)
    rows = []
    for name, unit in sorted(units.items(), key=lambda item: -item[1]["lut"]):
        where = ", ".join(unit["sources"][:2]) or unit["net"] or ""
        rows.append([
            f"<code>{escape(name)}</code>", *(_number(unit[amount]) for amount in _AMOUNTS), _bar(unit["lut"], most),
            _number(unit["fmax_mhz"], ".1f"), f"<code>{escape(where)}</code>",
        ])  # fmt: skip
    total = {amount: sum(unit[amount] for unit in units.values()) for amount in _AMOUNTS}
    rows.append(
        ["all units", *(_number(total[amount]) for amount in _AMOUNTS), "", _number(build["fmax_mhz"], ".1f"), ""]
    )
    columns = ["unit", *_AMOUNTS.values(), "LUT", "MHz", "its slowest signal"]
    return (
        "<h3>Units</h3><p class=\"soft\">Cells of the netlist before packing, by source file; tables that no source "
        "names count where the registers are that they feed. MHz: what the latest arrival at a register of the unit leaves, "
        "setup not counted.</p>" + _table(columns, rows, numbers={1, 2, 3, 4, 6}, bars={5}, summed=True)
    )  # fmt: skip


def _path(build: Mapping[str, Any]) -> str:
    path: Sequence[Mapping[str, Any]] = build["critical_path"]
    if not path:
        return ""
    most = max(step["delay_ns"] for step in path)
    total, rows = 0.0, []
    for step in path:
        total += step["delay_ns"]
        what = step["net"] or step["to"]
        where = f' <code class="soft">{escape(", ".join(step["sources"][:2]))}</code>' if step["sources"] else ""
        rows.append([
            escape(step["kind"]), f"{step['delay_ns']:.2f}", f"{total:.2f}", _bar(step["delay_ns"], most, step["kind"]),
            f"<code>{escape(what)}</code>{where}",
        ])  # fmt: skip
    routing = sum(step["delay_ns"] for step in path if step["kind"] == "routing")
    start, end = escape(path[0]["from"]), escape(path[-1]["to"])
    key = "".join(f'<i class="b {kind}"></i>{kind}' for kind in ("logic", "routing", "clk-to-q"))
    return (
        f'<h3>Critical path: {total:.2f} ns, {100 * routing / total if total else 0:.0f} % routing</h3>'
        f'<p class="soft key">From <code>{start}</code> to <code>{end}</code>.{key}</p>'
        + _table(["step", "ns", "sum", "", "net or cell"], rows, numbers={1, 2}, bars={3})
    )  # fmt: skip


def _memories(build: Mapping[str, Any]) -> str:
    memories: Mapping[str, int] = build["memories"]
    if not memories:
        return ""
    most, size = max(memories.values()), FAMILIES[build["family"]].bram_bits
    rows = [
        [escape(name), _number(bits), _number(-(-bits // size)), _bar(bits, most)]
        for name, bits in sorted(memories.items(), key=lambda item: -item[1])
    ]
    rows.append(["all memories", _number(sum(memories.values())), "", ""])
    kind = escape(build["bram_kind"])
    return (
        f"<h3>Memory map</h3><p class=\"soft\">Bits by memory, and how many {kind} these are at least; the design has "
        f"{_number(build['bram'])}.</p>"
        + _table(["memory", "bits", f"{kind} at least", ""], rows, numbers={1, 2}, bars={3}, summed=True)
    )  # fmt: skip


def _details(build: Mapping[str, Any]) -> str:
    seeds = [
        [escape(seed), _number(one.get("fmax_mhz"), ".1f"), escape(one.get("error", ""))]
        for seed, one in build["seeds"].items()
    ]
    cells = [[f"<code>{escape(kind)}</code>", _number(count)] for kind, count in build["cells"].items()]
    tools = [[escape(name), f"<code>{escape(str(tool))}</code>"] for name, tool in build["tools"].items() if tool]
    return (
        "<details><summary>Seeds, cells, tools</summary>"
        + _table(["seed", "MHz", ""], seeds, numbers={1}) + _table(["cell", "number"], cells, numbers={1})
        + _table(["tool", "version"], tools) + "</details>"
    )  # fmt: skip


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = (), bars: Iterable[int] = (),
    summed: bool = False,
) -> str:  # fmt: skip
    """Write a table of cells that are HTML; with `summed` the last row is a sum."""
    right, wide, rows = set(numbers), set(bars), list(rows)

    def kind(column: int) -> str:
        return (
            ' class="n"' if column in right else ' class="bar"' if column in wide else "" if column else ' class="name"'
        )

    body = "".join(
        f"<tr{' class=sum' if summed and number == len(rows) - 1 else ''}>"
        + "".join(f"<td{kind(column)}>{cell}</td>" for column, cell in enumerate(row)) + "</tr>"
        for number, row in enumerate(rows)
    )  # fmt: skip
    return _framed(columns, right, body)


def _framed(columns: Sequence[str], right: set[int], body: str) -> str:
    """Put a head above the lines of a table, and let it be moved where it is wider than the page."""
    head = "".join(f"<th{' class=n' if n in right else ''}>{escape(title)}</th>" for n, title in enumerate(columns))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _share(build: Mapping[str, Any], amount: str) -> str:
    there = build["available"][amount]
    share = f' <span class="soft">{100 * build[amount] / there:.0f} %</span>' if there else ""
    return _number(build[amount]) + share


def _bar(value: float, most: float, kind: str = "") -> str:
    return f'<span class="b {escape(kind)}" style="width:{100 * value / most:.1f}%"></span>' if most and value else ""


def _number(value: float | None, form: str = ",") -> str:
    return "" if value is None else f"{value:{form}}"
