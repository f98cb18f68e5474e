"""Pictures of an evaluation; they need matplotlib, importing this does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.evaluate.evaluation import Evaluation, scores
from pcedge.evaluate.roc import auroc, roc
from pcedge.extras import needing

#: suffixes of a plot, and what keeps its bytes the same from run to run
FORMATS: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}

#: classes beyond which only some are named on their axis
NAMED_CLASSES = 20

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"  # told apart by colour-blind readers too


def need_matplotlib() -> None:
    """Check that plots can be drawn.

    Raises:
        MissingToolError: matplotlib is not installed, or too old.
    """
    with needing("matplotlib", "plot", "drawing a plot"):
        import matplotlib  # noqa: F401


def draw(found: Evaluation, path: Path, suffix: str, title: str = "") -> None:
    """Draw the loss over records, against the float bits and by class, and the ROC curves, as far as there are any.

    Args:
        found: the evaluation.
        path: the file to write.
        suffix: its format, of `FORMATS`.
        title: what stands above all.

    Raises:
        MissingToolError: matplotlib is not installed, or too old.
    """
    need_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    panels = [_loss, _against_float]
    if found.labels is not None:
        panels.append(_by_class)
    if found.ood is not None:
        panels.append(_roc)
    columns = 2 if len(panels) != 3 else 3
    lines = -(-len(panels) // columns)
    # A figure of its own has the Agg canvas: neither a display nor pyplot's state is touched.
    with matplotlib.rc_context({"svg.hashsalt": "pcedge", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False}):  # fmt: skip
        figure = Figure(figsize=(5.2 * columns, 4.0 * lines), layout="constrained")
        figure.suptitle(title, parse_math=False)  # a name may hold dollar signs
        axes = np.atleast_1d(figure.subplots(lines, columns)).ravel()
        for panel, axis in zip(panels, axes, strict=True):
            panel(axis, found)
        figure.savefig(path, format=suffix[1:], dpi=150, metadata=FORMATS[suffix])


def draw_curve(points: Sequence[tuple[int, float, float]], path: Path, suffix: str, step: str) -> None:
    """Draw a learning curve: bits a value of train and of held-out data over the steps.

    Args:
        points: (step, train bits, held-out bits), nan where there are none.
        path: the file to write.
        suffix: its format, of `FORMATS`.
        step: what a step is called.

    Raises:
        MissingToolError: matplotlib is not installed, or too old.
    """
    need_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "pcedge", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False}):  # fmt: skip
        figure = Figure(figsize=(5.2, 4.0), layout="constrained")
        axis = figure.subplots()
        axis.set(xlabel=step, ylabel="bits a value", title="Learning curve")
        steps, train, valid = np.array(points, dtype=float).reshape(-1, 3).T
        for name, bits, colour in (("train", train, BLUE), ("held out", valid, ORANGE)):
            seen = np.isfinite(bits)
            if seen.any():
                mark = "o" if seen.sum() < 30 else ""
                axis.plot(steps[seen], bits[seen], color=colour, marker=mark, markersize=3, label=name)
        if axis.lines:
            axis.legend(frameon=False)
        figure.savefig(path, format=suffix[1:], dpi=150, metadata=FORMATS[suffix])


def _loss(axis: Any, evaluation: Evaluation) -> None:
    """Draw the distribution of the loss over the records."""
    described = evaluation.loss
    axis.set(xlabel="loss, bits a record", ylabel="records", title="Loss over records")
    if not described.count:
        return
    loss = evaluation.bits.loss[np.isfinite(evaluation.bits.loss)]
    axis.hist(loss, bins=min(80, max(10, int(2 * np.sqrt(len(loss))))), color=BLUE, alpha=0.8)
    axis.set_yscale("symlog", linthresh=1)  # a few bad records among thousands of good ones stay visible
    axis.set_ylim(bottom=0)
    marks = [("mean", described.mean, GREY, "-"), ("99.9 %", described.quantiles["99.9"], ORANGE, "--"),
             ("worst", described.quantiles["max"], ORANGE, ":")]  # fmt: skip
    for name, value, colour, style in marks:
        assert value is not None
        axis.axvline(value, color=colour, linestyle=style, label=f"{name}: {value:.3g}")
    axis.legend(frameon=False)


def _against_float(axis: Any, evaluation: Evaluation) -> None:
    """Draw every record's loss against its float bits."""
    axis.set(xlabel="float circuit, bits a record", ylabel="loss, bits a record", title="Loss against float bits")
    worst = evaluation.worst()
    if worst is None:
        return
    x, y = evaluation.bits.float_bits, evaluation.bits.loss
    axis.scatter(x, y, s=6, alpha=0.5, color=BLUE, linewidths=0, rasterized=True)
    axis.axhline(0, color=GREY, linewidth=0.8)
    point = (worst["float_bits"], worst["loss"])
    axis.plot(*point, "o", color=ORANGE, fillstyle="none", markersize=9)
    left = worst["float_bits"] <= (x[np.isfinite(x)].min() + x[np.isfinite(x)].max()) / 2
    axis.annotate(
        f"worst: record {worst['record']}", point, xytext=(9 if left else -9, 0), textcoords="offset points",
        ha="left" if left else "right", va="center", color=ORANGE,
    )  # fmt: skip


def _by_class(axis: Any, evaluation: Evaluation) -> None:
    """Draw the loss of each class: quartiles as a box, 1 % to 99 % as whiskers, what is outside as dots."""
    assert evaluation.labels is not None
    axis.set(xlabel="class", ylabel="loss, bits a record", title="Loss by class")
    names = np.unique(evaluation.labels)
    chosen = [evaluation.bits.loss[(evaluation.labels == name) & np.isfinite(evaluation.bits.loss)] for name in names]
    axis.boxplot(
        chosen, positions=np.arange(len(names)), whis=(1, 99), widths=0.6, showmeans=True, manage_ticks=False,
        flierprops={"marker": ".", "markersize": 4, "markeredgecolor": ORANGE, "markerfacecolor": ORANGE},
        medianprops={"color": BLUE}, meanprops={"marker": "_", "markeredgecolor": GREY, "markersize": 12},
    )  # fmt: skip
    axis.axhline(0, color=GREY, linewidth=0.8)
    ticks = np.arange(0, len(names), -(-len(names) // NAMED_CLASSES))
    axis.set_xticks(ticks, [str(names[tick]) for tick in ticks])


def _roc(axis: Any, evaluation: Evaluation) -> None:
    """Draw the ROC curves of the data against the out-of-distribution records."""
    assert evaluation.ood is not None
    styles = {"float": (GREY, "-", 3.0), "likelihood": (BLUE, "-", 1.2), "intervals": (ORANGE, "--", 1.2)}
    for name, mine, other in scores(evaluation.bits, evaluation.ood):
        colour, style, width = styles[name]
        label = f"{name}: AUROC {auroc(-mine, -other):.5f}"
        axis.plot(*roc(-mine, -other), color=colour, linestyle=style, linewidth=width, label=label)
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
    axis.set(xlabel="out-of-distribution records accepted", ylabel="data accepted", title="Data told from others")
    axis.set_aspect("equal")
    axis.legend(frameon=False, loc="lower right")
