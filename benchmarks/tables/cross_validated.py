"""Tables of runs: each cell's settings are chosen by cross-validation on the training log, then tested once per seed.

Every fit is a run in the result store, so an interrupted table resumes, and tables share their common runs.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.comparison import bounds, replicated
from upliftlens.benchmarks.reports.methods import evaluations
from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.tables.run import behind, planned, record_of
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where, judged
from upliftlens.causal.intervals import Resampling

_RESAMPLES = 50  # of the folds' intervals: few, as they are not used


def cross_validated_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Cells of every row and column, each with a training and criterion: mean over seeds, interval over users × seeds.

    Raises:
        UpliftlensError: if a run fails.
    """
    cells, resampling = [], Resampling(**content["interval"])
    for row, options_of_row in content["rows"].items():
        for column, training in content["columns"].items():
            options, metric = [*content["common"], *options_of_row, *training["options"]], training["metric"]
            winner = _winner(content, options, training["criterion"], where)
            where.say(f"{row} {column}: {' '.join(winner)} by {training['criterion']} over {content['folds']} folds")
            whole, changes = [*options, "split=given", "split.validation=0"], [*winner, f"metrics.names=[{metric}]"]
            records = [record_of(planned(whole, [*changes, f"seed={seed}"], where)) for seed in content["seeds"]]
            result = replicated(evaluations(Store(where.store), records), metric, resampling)
            low, high = bounds(result, resampling)
            published, verdict = judged(content, row, column, result.mean)
            cells.append(Cell(row, column, result.mean, low, high, published, verdict, *behind(records)))
    return cells


def _winner(content: Mapping[str, Any], options: Sequence[str], criterion: str, where: Where) -> list[str]:
    """The changes of the grid's point with the best mean criterion over the folds, the first in a tie."""
    sign = -1 if choose(criterion).metric.higher_is_better else 1
    power = 2 if criterion.startswith("rmse") else 1  # mean squared errors are averaged, not their roots
    split = [*options, "split=kfold", f"split.folds={content['folds']}", "split.validation=0"]
    run = [f"seed={content['seeds'][0]}", f"metrics.names=[{criterion}]", f"metrics.interval.resamples={_RESAMPLES}"]
    points = [
        [f"{name}={value}" for name, value in zip(content["grid"], values, strict=True)]
        for values in product(*content["grid"].values())
    ]
    scores = []
    for point in points:
        folds = [
            record_of(planned(split, [*point, *run, f"split.fold={fold}"], where)) for fold in range(content["folds"])
        ]
        scores.append(sign * float(np.mean([record.metrics[criterion].value ** power for record in folds])))
    return points[int(np.argmin(scores))]


kind = TableKind("cross-validated", cross_validated_cells)
