"""How figures are drawn: forest plots, lines with bands, points with intervals, reliability curves, histograms;
to .png, .svg or .pdf.

No display is needed. Colours are Okabe & Ito's without yellow, which colour-blind readers can distinguish; lines also
differ in their dashes, points in their shape. matplotlib is imported when the first figure is drawn.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
DASHES = ("-", "--", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FORMATS = (".png", ".svg", ".pdf")
_UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


class ForestRow(NamedTuple):
    """``value`` with its interval; NaN makes the label a heading. ``reference`` (the truth) is drawn if not NaN."""

    label: str
    value: float
    lo: float
    hi: float
    reference: float
    marked: bool


class Line(NamedTuple):
    """f64[G] each; ``lo`` and ``hi`` bound the band, None without a band. Lines of the same ``colour`` belong together.

    ``reference``: dotted, the line to compare with the others of its colour.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    colour: int
    lo: np.ndarray | None = None
    hi: np.ndarray | None = None
    reference: bool = False


class Histogram(NamedTuple):
    """A panel: shares f64[B] of the observed and of all pairs in bins with ``edges`` f64[B + 1]."""

    title: str
    edges: np.ndarray
    observed: np.ndarray
    everything: np.ndarray


class Reliability(NamedTuple):
    """f64[B] each, of the bins that hold pairs: mean prediction, share of positives with its interval, test pairs."""

    predicted: np.ndarray
    share: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    pairs: np.ndarray


def forest_plot(rows: Sequence[ForestRow], title: str, x_label: str, overall: bool = True) -> "Figure":
    """A row per line, from the top: the value with its interval; filled if ``marked``; the reference as a cross.

    ``overall``: the first row is that of all, and a dashed line goes through it.
    """
    height = 1.4 + 0.22 * len(rows)
    figure, axes = _axes(title, 7.5, height)
    if overall and (first := next((row for row in rows if row.value == row.value), None)) is not None:
        axes.axvline(first.value, color="0.6", linewidth=0.8, linestyle="--", label=f"{first.label} effect")
    axes.axvline(0, color="0.6", linewidth=0.8)
    for marked, name in ((True, "differs (corrected)"), (False, "no difference shown")):
        chosen = [(place, row) for place, row in enumerate(rows) if row.marked == marked and row.value == row.value]
        if not chosen:
            continue
        place, value = [at for at, _ in chosen], np.array([row.value for _, row in chosen])
        ends = _bars(value, *np.array([(row.lo, row.hi) for _, row in chosen]).T)
        colour, face = COLOURS[1 if marked else 0], None if marked else "white"
        axes.errorbar(
            value, place, xerr=ends, color=colour, mfc=face, fmt="o", markersize=4.5, elinewidth=1.2, label=name
        )
    if known := [(place, row.reference) for place, row in enumerate(rows) if row.reference == row.reference]:
        axes.plot([value for _, value in known], [place for place, _ in known], "kx", markersize=5, label="true effect")
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8)
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        if row.value != row.value:
            tick.set_fontweight("bold")
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=x_label)
    axes.tick_params(axis="y", length=0)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.45 / (height - 1.1)), ncols=4, frameon=False)
    return figure


def line_plot(lines: Sequence[Line], title: str, x_label: str, y_label: str, with_0: bool = True) -> "Figure":
    """Lines with their bands; references share one entry of the legend, by the label of the first.

    ``with_0``: a thin line at 0 belongs to the figure, however far from it the values lie.
    """
    figure, axes = _axes(title, 7.0, 4.8)
    for line in lines:
        colour = COLOURS[line.colour % len(COLOURS)]
        dash = ":" if line.reference else DASHES[line.colour // len(COLOURS) % len(DASHES)]
        axes.plot(line.x, line.y, color=colour, linestyle=dash, label=None if line.reference else line.label)
        _band(axes, line, colour)
    if (first := next((line for line in lines if line.reference), None)) is not None:
        axes.plot([], [], color="0.3", linestyle=":", label=first.label)
    _finish(axes, x_label, y_label, with_0)
    return figure


def panel_plot(panels: Mapping[str, Sequence[Line]], title: str, y_label: str) -> "Figure":
    """A panel of lines with bands for each label of an x-axis, side by side with the same y-axis and one legend.

    All panels hold the same lines; each point of a line has a marker.
    """
    figure = _figure(4.2 * len(panels), 4.2)
    figure.set_layout_engine("constrained")
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (x_label, lines) in zip(row, panels.items(), strict=True):
        for line in lines:
            colour, marker, dash = (kinds[line.colour % len(kinds)] for kinds in (COLOURS, MARKERS, DASHES))
            axes.plot(line.x, line.y, dash, color=colour, marker=marker, markersize=4, label=line.label)
            _band(axes, line, colour)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.set_xlabel(x_label)
    row[0].set_ylabel(y_label)
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure


def reliability_plot(curves: Mapping[str, Reliability], title: str) -> "Figure":
    """A curve per method beside the diagonal, each bin with its interval; below, how many pairs the bins hold."""
    figure = _figure(6.2, 7.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle="--", label="calibrated")
    for place, (label, curve) in enumerate(curves.items()):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]
        ends = _bars(curve.share, curve.lo, curve.hi)
        upper.errorbar(curve.predicted, curve.share, yerr=ends, color=colour, marker=marker, markersize=4, label=label)
        lower.plot(curve.predicted, curve.pairs, color=colour, marker=marker, markersize=4)
    upper.set_title(title, fontsize=10)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    lower.set_ylim(bottom=0)
    lower.set_ylabel("test pairs")
    _finish(upper, "", "share of positive pairs")
    lower.set_xlabel("predicted probability, mean of the bin")
    return figure


def scatter_plot(points: Mapping[str, Sequence[Summary]], title: str, x_label: str, y_label: str) -> "Figure":
    """A point (x, y) per method with its interval in both directions; a legend holds the names: they can't overlap."""
    figure, axes = _axes(title, 7.0, 4.8)
    for place, (label, (x, y)) in enumerate(points.items()):
        ends = [
            None if np.isnan((side.lo, side.hi)).any() else _bars(*np.array([[side.value], [side.lo], [side.hi]]))
            for side in (x, y)
        ]
        axes.errorbar(
            [x.value],
            [y.value],
            xerr=ends[0],
            yerr=ends[1],
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[(place + place // len(COLOURS)) % len(MARKERS)],
            linestyle="none",
            elinewidth=0.9,
            label=label,
        )
    _finish(axes, x_label, y_label)
    return figure


def histogram_plot(panels: Sequence[Histogram], x_label: str) -> "Figure":
    """Two histograms in each panel; panels are above one another, with the same logarithmic x-axis and height."""
    figure = _figure(7.0, 2.6 * len(panels))
    highest = 1.05 * max(float(max(panel.observed.max(), panel.everything.max())) for panel in panels)
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        axes.stairs(panel.everything, panel.edges, fill=True, color=COLOURS[5], alpha=0.5, label="all pairs")
        axes.stairs(panel.observed, panel.edges, color=COLOURS[1], linewidth=1.5, label="observed pairs")
        axes.set_title(panel.title, fontsize=9)
        axes.set(xscale="log", ylim=(0, highest), ylabel="share of pairs")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    axes.set_xlabel(x_label)
    figure.tight_layout()
    return figure


def _bars(value: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """f64[2, N]: how far error bars reach below and above; 0 on a side where the interval leaves out the value."""
    return np.maximum(0, np.stack([value - lo, hi - value]))


def _band(axes: "Axes", line: Line, colour: str) -> None:
    if line.lo is not None and line.hi is not None:
        axes.fill_between(line.x, line.lo, line.hi, color=colour, alpha=0.15, linewidth=0)


def _finish(axes: "Axes", x_label: str, y_label: str, with_0: bool = True) -> None:
    """A line at 0, the labels, and a legend beside the axes."""
    if with_0:
        axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(xlabel=x_label, ylabel=y_label)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)


def check_path(path: Path) -> None:
    """Refuses a path whose suffix is no format of a figure; call it before expensive computations.

    Raises:
        UpliftlensError: for a suffix that is not in ``FORMATS``.
    """
    if path.suffix.lower() not in FORMATS:
        raise UpliftlensError(f"{path}: a figure is written as {', '.join(FORMATS)}: name the file like that")


def save(figure: "Figure", path: Path) -> None:
    """Writes a figure in the format that the suffix of the path names; equal figures give equal bytes.

    Raises:
        UpliftlensError: as ``check_path``, or for a path that can't be written.
    """
    check_path(path)
    from matplotlib import rc_context

    try:
        path.expanduser().parent.mkdir(parents=True, exist_ok=True)
        with rc_context({"svg.hashsalt": "upliftlens"}):
            figure.savefig(path.expanduser(), dpi=150, bbox_inches="tight", metadata=_UNDATED[path.suffix.lower()])
    except OSError as error:
        raise UpliftlensError(f"{path}: {error.strerror}: name a file that can be written") from None


def _figure(width: float, height: float) -> "Figure":
    """An empty figure, without a display and without global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UpliftlensError("figures need matplotlib, which is not installed: pip install matplotlib") from None
    return Figure(figsize=(width, height))


def _axes(title: str, width: float, height: float) -> "tuple[Figure, Axes]":
    figure = _figure(width, height)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
