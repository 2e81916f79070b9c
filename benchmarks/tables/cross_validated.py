"""Tables of runs: each cell's settings are chosen by cross-validation on the training log, then tested once per seed.

Every fit is a run in the result store, so an interrupted table resumes, and tables share their common runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.search import search
from upliftlens.benchmarks.sweeps.space import grid
from upliftlens.benchmarks.tables.run import (
    NamedChanges,
    RunsOptions,
    configured,
    measured,
    measured_cell,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where
from upliftlens.causal.options import AtLeast, Distinct

_RESAMPLES = 50  # of the folds' intervals: few, as they are not used


@dataclass(frozen=True)
class Column:
    """The ``metric`` of a column, and how its runs are trained and chosen: ``options``, and the ``criterion``."""

    metric: str
    criterion: str
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """The points of the ``grid``, values by option, are compared over the ``folds`` with the first seed.

    ``rows``: the options of each.
    """

    folds: Annotated[int, AtLeast(2)]
    grid: Annotated[Mapping[str, Annotated[tuple[Any, ...], Distinct()]], Distinct()]
    rows: NamedChanges
    columns: Annotated[Mapping[str, Column], Distinct()]


def cross_validated_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of every row and column, each with a training and criterion: mean over seeds, interval over users × seeds.

    Raises:
        UpliftlensError: if a run fails.
    """
    cells = []
    for row, options_of_row in definition.rows.items():
        for name, column in definition.columns.items():
            options = [*definition.common, *options_of_row, *column.options]
            winner = _winner(definition, options, column.criterion, where)
            where.say(f"{row} {name}: {' '.join(winner)} by {column.criterion} over {definition.folds} folds")
            whole, changes = (
                [*options, "split=given", "split.validation=0"],
                [*winner, f"metrics.names=[{column.metric}]"],
            )
            runs = runs_of([planned(whole, [*changes, f"seed={seed}"], where) for seed in definition.seeds])
            cells.append(measured_cell(definition, row, name, measured(runs, column.metric, definition.interval)))
    return cells


def _winner(definition: Options, options: Sequence[str], criterion: str, where: Where) -> tuple[str, ...]:
    """The changes of the grid's point with the best mean criterion over the folds, the first in a tie."""
    power = 2 if criterion.startswith("rmse") else 1  # mean squared errors are averaged, not their roots
    split = [*options, "split=kfold", f"split.folds={definition.folds}", "split.validation=0"]
    run = [f"seed={definition.seeds[0]}", f"metrics.names=[{criterion}]", f"metrics.interval.resamples={_RESAMPLES}"]

    def scored(record: Record) -> tuple[str, float]:
        return criterion, record.metrics[criterion].value ** power

    trials, best = search(
        lambda changes: planned(split, [*changes, *run], where),
        configured(split, run, where).content,
        {name: {"choices": values} for name, values in definition.grid.items()},
        grid,
        budget=0,  # all points
        seed=0,
        say=where.say,
        parts=[[f"split.fold={fold}"] for fold in range(definition.folds)],
        scored=scored,
    )
    return trials[best].changes


kind = TableKind("cross-validated", Options, cross_validated_cells)
