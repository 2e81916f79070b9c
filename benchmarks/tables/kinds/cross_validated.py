"""Tables of runs: each cell's settings are chosen by cross-validation on the training log, then tested once per seed.

Every fit is a run in the result store, so an interrupted table resumes, and tables share their common runs.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Annotated, Any

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.runs.many import Runner, run_many
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.search import Search, search
from upliftlens.benchmarks.sweeps.space import grid
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.run import (
    NamedChanges,
    RunsOptions,
    configured,
    measured,
    measured_cell,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Job, TableKind, Where
from upliftlens.causal.options import AtLeast, Distinct

_RESAMPLES = 50  # of the folds' intervals: few, as they are not used


@dataclass(frozen=True)
class Column:
    """The ``metric`` of a column, and how its runs are trained and chosen: ``options``, and the ``criterion``."""

    metric: str
    criterion: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in (self.metric, self.criterion):
            choose(name)  # raises for one that is no metric


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """The points of the ``grid``, values by option, are compared over the ``folds`` with the first seed.

    ``rows``: the options of each.
    """

    folds: Annotated[int, AtLeast(2)]
    grid: Annotated[Mapping[str, Annotated[tuple[Any, ...], Distinct()]], Distinct()]
    rows: NamedChanges
    columns: Annotated[Mapping[str, Column], Distinct()]

    @property
    def column_names(self) -> Iterable[str]:
        """The columns of the table."""
        return self.columns


def cross_validated_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of every row and column, each with a training and criterion: mean over seeds, interval over users × seeds.

    Raises:
        UpliftlensError: if a run fails.
    """
    cells = []
    for job in jobs(definition, where):
        row, name, column = job.of
        search = job.choose(run_many)
        winner = " ".join(search.trials[search.best].changes)
        where.say(f"{row} {name}: {winner} by {column.criterion} over {definition.folds} folds")
        (plans,) = job.plans(search)
        runs = runs_of(plans, trials=search.trials)
        cells.append(measured_cell(definition, row, name, measured(runs, column.metric, definition.interval)))
    return cells


def jobs(definition: Options, where: Where) -> Iterator[Job]:
    """The search and the final runs of each cell."""
    points = math.prod(map(len, definition.grid.values()))
    for (row, of_row), (name, column) in product(definition.rows.items(), definition.columns.items()):
        options = [*definition.common, *of_row, *column.options]
        choose = partial(_searched, definition, options, column.criterion, where)
        plans = partial(_final, definition, options, column, where)
        yield Job((row, name, column), points * definition.folds, choose, len(definition.seeds), plans)


def _final(
    definition: Options, options: Sequence[str], column: Column, where: Where, search: Search
) -> list[list[Plan]]:
    """The plans of the best point, fitted to the whole log."""
    whole = [*options, "split=given", "split.validation=0"]
    changes = [*search.trials[search.best].changes, f"metrics.names=[{column.metric}]"]
    return [[planned(whole, [*changes, f"seed={seed}"], where) for seed in definition.seeds]]


def _searched(definition: Options, options: Sequence[str], criterion: str, where: Where, runs: Runner) -> Search:
    """The grid's points; the best has the best mean criterion over the folds, the first in a tie."""
    power = 2 if criterion.startswith("rmse") else 1  # mean squared errors are averaged, not their roots
    split = [*options, "split=kfold", f"split.folds={definition.folds}", "split.validation=0"]
    run = [f"seed={definition.seeds[0]}", f"metrics.names=[{criterion}]", f"metrics.interval.resamples={_RESAMPLES}"]

    def scored(record: Record) -> tuple[str, float]:
        return criterion, record.metrics[criterion].value ** power

    return search(
        lambda changes: planned(split, [*changes, *run], where),
        configured(split, run, where).content,
        {name: {"choices": values} for name, values in definition.grid.items()},
        grid,
        budget=0,  # all points
        seed=0,
        say=where.say,
        parts=[[f"split.fold={fold}"] for fold in range(definition.folds)],
        scored=scored,
        runs=runs,
    )


kind = TableKind("cross-validated", Options, cross_validated_cells, jobs=jobs)
