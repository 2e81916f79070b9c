"""What a reader has to know of single numbers of a table, found in the runs behind them: a sign, and a sentence."""

from collections.abc import Sequence

from upliftlens.benchmarks.reports.selection import measured_by
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.benchmarks.tables.cells import Cell, Ran, sides

MARKS = {
    "budget": ("†", "its settings were chosen with fewer trials than those of other rows (with one: as configured)."),
    "test": ("‡", "its settings were chosen on the test set, so the value is too good."),
    "sampled": ("§", "ranks the test items of a user only, not all items: no estimate of a value over all items."),
    "protocol": ("¶", "of other data, another split or other options of measuring than the column's first row."),
}
"""The sign of each mark and what it says."""

_SAMPLED = "/test-items"  # how the names of metrics end that rank a sample of the items


def marked(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with their marks; a cell without runs gets none."""
    most = max((run.trials for cell in cells for run in cell.runs), default=1)
    first: dict[str, set[str]] = {}
    for cell in cells:
        if cell.runs:
            first.setdefault(cell.column, protocols(sides(cell)[0], cell.metric))
    return [cell._replace(marks=_marks(cell, most, first[cell.column])) if cell.runs else cell for cell in cells]


def protocols(runs: Sequence[Ran], metric: str) -> set[str]:
    """On which data, split and options of measuring runs were measured, as keys; folds and worlds make several."""
    return {
        canonical_key(
            {
                "data": run.data["fingerprint"],
                "split": run.split["fingerprint"],
                "measured": measured_by(run.config, [metric] if metric else ()),
            }
        )
        for run in runs
    }


def _marks(cell: Cell, most: int, first: set[str]) -> tuple[str, ...]:
    of_sides = [protocols(side, cell.metric) for side in sides(cell) if side]
    holds = {
        "budget": any(run.trials < most for run in cell.runs),
        "test": any(run.on_test for run in cell.runs),
        "sampled": cell.metric.endswith(_SAMPLED),
        "protocol": any(side != first for side in of_sides),
    }
    return tuple(name for name in MARKS if holds[name])
