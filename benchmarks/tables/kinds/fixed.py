"""Tables of fixed settings: each row is trained as its options stand, by repeated k-fold cross-validation. No tuning.

A division s of the rows into k folds has the mean m_s of the metric's values on its folds: what a paper with one
division reports. The cell is the mean of the S means, m ± t·sd(m_s)/√S with Student's t of S − 1 degrees of freedom.
Divisions are drawn independently, and every fold is trained with another seed, k·s + fold, so the interval is about
other divisions and seeds. It takes users and items as they are, as the published number of the same data does. The
spread between the folds of a division is larger, but not that of their mean: what one fold lacks another has.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
from scipy import stats

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.runs.many import run_many
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.run import NamedChanges, Names, Seeds, behind, measured, of_runs, planned, runs_of
from upliftlens.benchmarks.tables.table import Job, TableKind, TableOptions, Where, judged
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.options import AtLeast, Within

_ALONE = Resampling(0.95, 50, 0)  # of single runs, for their committed records: few resamples, as no cell reads them


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions):
    """What is ``common`` to all runs, the options of each of the ``rows``, and ``metrics``, a column each.

    ``folds``: k; ``divisions``: their seeds, from which those of training follow; ``level`` of the intervals.
    """

    common: tuple[str, ...]
    rows: NamedChanges
    metrics: Names
    folds: Annotated[int, AtLeast(2)]
    divisions: Seeds
    level: Annotated[float, Within(0, 1, "()")]

    def __post_init__(self) -> None:
        for name in self.metrics:
            choose(name)  # raises for one that is no metric
        if len(self.divisions) < 2:
            raise UpliftlensError(
                f"divisions={list(self.divisions)}: an interval over divisions needs two or more: add another seed"
            )

    @property
    def column_names(self) -> Iterable[str]:
        """The columns of the table."""
        return self.metrics

    @property
    def fixed(self) -> str:
        """What the runs of the table share, so that its intervals say nothing about other ones."""
        return "users and items"


def fixed_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of every row and metric, with intervals over divisions.

    Raises:
        UpliftlensError: if a run fails.
    """
    cells = []
    for job in jobs(definition, where):
        (plans,) = job.plans(job.choose(run_many))
        runs = runs_of(plans)
        for metric in definition.metrics:
            values = np.array([record.metrics[metric].value for record in runs.records])
            means = values.reshape(-1, definition.folds).mean(axis=1)
            mean, error = float(means.mean()), float(stats.sem(means))
            half = float(stats.t.ppf((1 + definition.level) / 2, len(means) - 1)) * error
            verdict = judged(definition, job.of, metric, mean - half, mean + half)
            cell = Cell(job.of, metric, mean, mean - half, mean + half, *verdict, *behind(runs.records))
            cells.append(of_runs(cell, "mean", measured(runs, metric, _ALONE)))
            spread = float(means.std(ddof=1))
            where.say(f"{job.of} {metric}: {mean:.4f}, sd between {len(means)} divisions {spread:.5f}")
    return cells


def jobs(definition: Options, where: Where) -> Iterator[Job]:
    """The runs of each row; nothing is chosen."""
    n_runs = len(definition.divisions) * definition.folds
    for row, options in definition.rows.items():
        yield Job(row, 0, lambda runner: None, n_runs, partial(_plans, definition, options, where))


def _plans(definition: Options, options: Sequence[str], where: Where, chosen: None) -> list[list[Plan]]:
    """The plans of a row's runs, division by division."""
    words = [*definition.common, *options, "split=kfold", f"split.folds={definition.folds}"]
    metrics = f"metrics.names=[{','.join(definition.metrics)}]"
    changes = (
        [f"split.seed={seed}", f"seed={definition.folds * seed + fold}", f"split.fold={fold}", metrics]
        for seed in definition.divisions
        for fold in range(definition.folds)
    )
    return [[planned(words, change, where) for change in changes]]


kind = TableKind("fixed", Options, fixed_cells, jobs=jobs)
