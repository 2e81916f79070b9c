"""The figure of a table of robustness: error against how wrong the inputs are, a panel per knob."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from upliftlens.benchmarks.tables.table import Cell

FORMATS = ("svg", "png", "pdf")
COLOURS = (
    "#000000",
    "#0072B2",
    "#56B4E9",
    "#CC79A7",
    "#E69F00",
    "#D55E00",
    "#882255",
    "#009E73",
)  # Okabe & Ito, but for their yellow
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def draw_panels(
    cells: Sequence[Cell], knobs: Mapping[str, Sequence[float]], columns: Sequence[str], title: str, path: Path
) -> None:
    """Writes the figure; its format is that of the path's ending (.svg, .png, .pdf). Bands are the cells' intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    at = {(cell.row, cell.column): cell for cell in cells}
    figure = Figure(figsize=(4.2 * len(knobs), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(knobs), sharey=True, squeeze=False)[0]
    for axes, (knob, values) in zip(panels, knobs.items(), strict=True):
        styles = zip(columns, cycle(COLOURS), cycle(DASHES), cycle(MARKERS))
        for column, colour, dash, marker in styles:
            line = [at[f"{knob}={value:g}", column] for value in values]
            axes.plot(values, [cell.value for cell in line], dash, color=colour, marker=marker, ms=4, label=column)
            axes.fill_between(
                values, [cell.lo for cell in line], [cell.hi for cell in line], color=colour, alpha=0.15, lw=0
            )
        axes.set_xlabel(f"{knob}: how wrong")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("RMSE / truth")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
