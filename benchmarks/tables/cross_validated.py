"""Tables of runs: each cell's settings are chosen by cross-validation of the training log, then tested once per seed.

Every fit is a run of its own in the result store, so a table resumes, and a second table shares what it can.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.comparison import bounds, evidence
from upliftlens.benchmarks.tables.run import evaluation_of, planned, record_of
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where, judged
from upliftlens.causal.intervals import Resampling

UNREAD = 50  # resamples of the folds' intervals, which nobody reads: few are soon done


def cross_validated_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Cells of every row and column, each with its own training and criterion: the mean over seeds of the metric.

    The interval is over users × seeds.

    Raises:
        UpliftlensError: if a run fails.
    """
    cells, resampling = [], Resampling(**content["interval"])
    for row, mine in content["rows"].items():
        for column, training in content["columns"].items():
            options, metric = [*content["common"], *mine, *training["options"]], training["metric"]
            winner = _winner(content, options, training["criterion"], where)
            where.say(f"{row} {column}: {' '.join(winner)} by {training['criterion']} over {content['folds']} folds")
            measured = [*winner, f"metrics.names=[{metric}]"]
            records = [
                record_of(
                    planned([*options, "split=given", "split.validation=0"], [*measured, f"seed={seed}"], where),
                )
                for seed in content["seeds"]
            ]
            result = evidence([evaluation_of(record, where) for record in records], metric, resampling)
            low, high = bounds(result, resampling)
            keys = tuple(record.key for record in records)
            mar = any(record.diagnostics["uses_mar_data"] for record in records)
            cells.append(
                Cell(row, column, result.mean, low, high, *judged(content, row, column)(result.mean), keys, mar)
            )
    return cells


def _winner(content: Mapping[str, Any], options: Sequence[str], criterion: str, where: Where) -> list[str]:
    """Changes to the grid's point with the best mean criterion over the folds, first one of equals."""
    sign = -1 if choose(criterion).metric.higher_is_better else 1
    power = 2 if criterion.startswith("rmse") else 1  # a root's squares are what averages
    split = [*options, "split=kfold", f"split.folds={content['folds']}", "split.validation=0"]
    run = [f"seed={content['seeds'][0]}", f"metrics.names=[{criterion}]", f"metrics.interval.resamples={UNREAD}"]
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
