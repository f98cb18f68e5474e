"""The plot of builds: area against rate, as SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from pcedge.evaluate.plot import need_matplotlib

#: colours that colour-blind readers tell apart too, and shapes, so that neither alone says which job it is
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_SHAPES = ("o", "s", "^", "D", "v", "P")


def area_against_rate(builds: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Draw LUTs against symbols a second, a point for each job of each build; give the SVG element.

    Args:
        builds: as `toolchain.building.read_build` gives them.
        names: what each is called.

    Returns:
        Nothing where no build has a rate.

    Raises:
        MissingToolError: matplotlib is not installed, or too old.
    """
    jobs = list(dict.fromkeys(job for build in builds for job in build["jobs"]))
    if not jobs:
        return ""
    need_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    text = StringIO()
    # Texts stay texts, that a reader can search and that look as the page does.
    options = {
        "svg.hashsalt": "pcedge", "svg.fonttype": "none", "font.size": 10, "axes.spines.top": False,
        "axes.spines.right": False,
    }  # fmt: skip
    with matplotlib.rc_context(options):
        figure = Figure(figsize=(8.6, 4.4), layout="constrained")
        axis = figure.subplots()
        for job, colour, shape in zip(jobs, _repeat(_COLOURS), _repeat(_SHAPES), strict=False):
            points = [
                (build["lut"], build["jobs"][job]["symbols_per_second"]) for build in builds if job in build["jobs"]
            ]
            axis.plot(*zip(*points, strict=True), shape, color=colour, label=job, markersize=7, linestyle="none")
        for build, name in zip(builds, names, strict=True):
            if build["jobs"]:
                top = max(rate["symbols_per_second"] for rate in build["jobs"].values())
                axis.annotate(
                    name, (build["lut"], top), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=9,
                    color="#5c6670", parse_math=False,
                )  # fmt: skip
        axis.set_yscale("log")
        axis.margins(y=0.15)
        axis.set_xlim(0, 1.2 * max(build["lut"] for build in builds) or 1)  # names need room on the right
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_minor_locator(NullLocator())
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_formatter(EngFormatter(sep=" "))
        axis.set_xlabel("LUT")
        axis.set_ylabel("symbols a second")
        axis.grid(True, which="major", color="#e3e7eb", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    # Who made it and what it is says the page itself.
    return re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", svg[svg.index("<svg") :])


def _repeat(values: Sequence[str]) -> list[str]:
    return list(values) * 20
