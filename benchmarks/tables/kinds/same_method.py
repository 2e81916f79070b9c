"""A method against itself (an A/A test): how often two groups of its runs are called different.

The runs of a row differ in their seeds only. They are divided into pairs of disjoint groups of S runs, at random and
``divisions`` times. The value is the share of pairs with p ≤ 1 − level, by the same computation as `compare`'s. No
difference between the groups is one between methods, so more than 1 − level is too many. The interval is that of as
many independent pairs as one division holds (Clopper-Pearson): divisions share their runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
from scipy import stats

from upliftlens.benchmarks.reports.comparison import Replicated, difference
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.run import (
    NamedChanges,
    Names,
    RunsOptions,
    behind,
    measured,
    of_runs,
    part,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Job, TableKind, Where, within
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.options import SEEDS, AtLeast, Distinct, Within


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """The options of each of the ``rows``; which ``metrics``; ``sides``: how many runs a group has.

    ``most``: the share of false verdicts that is asked for.
    """

    rows: NamedChanges
    metrics: Names
    sides: Annotated[tuple[Annotated[int, AtLeast(1)], ...], Distinct()]
    divisions: Annotated[int, AtLeast(1)]
    seed: Annotated[int, SEEDS]
    interval: Resampling
    most: Annotated[float, Within(0, 1)]

    def __post_init__(self) -> None:
        if 2 * max(self.sides, default=0) > len(self.seeds):
            raise UpliftlensError(
                f"sides={list(self.sides)} of {len(self.seeds)} seeds: two groups of {max(self.sides)} runs need "
                f"{2 * max(self.sides)} seeds: add some to seeds, or leave out the larger sides"
            )


def same_method_cells(definition: Options, where: Where) -> list[Cell]:
    """The share of false verdicts by row and metric, for every number of runs on a side.

    Raises:
        UpliftlensError: if a run fails.
    """
    cells = []
    for job in jobs(definition, where):
        row, (plans,) = job.of, job.plans(None)
        runs = runs_of(plans)
        for metric in definition.metrics:
            whole = measured(runs, metric, definition.interval)
            for size in definition.sides:
                share, pairs = _called_different(whole.value, size, definition)
                interval = _independent(share, pairs)
                verdict = within(*interval, 0, definition.most)
                name, column = f"{row} {metric}", f"{size} v {size}"
                cell = Cell(name, column, share, *interval, None, verdict, *behind(whole.records))
                cells.append(of_runs(cell, "", whole))
                where.say(f"{name}, {column}: {share:.3f}")
    return cells


def jobs(definition: Options, where: Where) -> Iterator[Job]:
    """The runs of each row; nothing is searched."""
    for row, options in definition.rows.items():
        plans = partial(_plans, definition, options, where)
        yield Job(row, 0, lambda runs: None, len(definition.seeds), plans)


def _plans(definition: Options, options: Sequence[str], where: Where, chosen: None) -> list[list[Plan]]:
    return [[planned([*definition.common, *options], [f"seed={seed}"], where) for seed in definition.seeds]]


def _called_different(whole: Replicated, size: int, definition: Options) -> tuple[float, int]:
    """The share of pairs that are called different, and how many pairs a division holds."""
    rng = np.random.default_rng([definition.seed, size])
    pairs, called = len(whole.values) // (2 * size), []
    for _ in range(definition.divisions):
        groups = rng.permutation(len(whole.values))[: 2 * size * pairs].reshape(pairs, 2, size)
        for first, second in groups:
            sides = (part(whole, first), part(whole, second))
            called.append(difference("", *sides, definition.interval).p <= 1 - definition.interval.level)
    return float(np.mean(called)), pairs


def _independent(share: float, pairs: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share of independent ``pairs``; share·pairs need not be whole."""
    events = share * pairs
    low = stats.beta.ppf(0.025, events, pairs - events + 1) if events > 0 else 0.0
    high = stats.beta.ppf(0.975, events + 1, pairs - events) if events < pairs else 1.0
    return float(low), float(high)


kind = TableKind("same-method", Options, same_method_cells, jobs=jobs)
