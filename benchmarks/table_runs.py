"""Tables of runs: each row's settings are chosen by cross-validation of the training log, then tested once per seed.

Every fit is a run of its own in the result store, so a table resumes, and a second table shares what it can.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from upliftlens.benchmarks.experiment import run
from upliftlens.benchmarks.metrics import choose
from upliftlens.benchmarks.plan import plan
from upliftlens.benchmarks.prepare import Reporter
from upliftlens.benchmarks.records import Record
from upliftlens.benchmarks.table import Cell, Where, judged


def cross_validated_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Cells of the rows' winners: the mean over seeds of the squared metric.

    The interval is over users: the lowest and highest end that a seed has.

    Raises:
        UpliftlensError: if a run fails.
    """
    cells = []
    for row, own in content["rows"].items():
        options = [*content["common"], *own]
        winner = _winner(content, options, where)
        where.say(f"{row}: {' '.join(winner)} by {content['criterion']} over {content['folds']} folds")
        columns = content["columns"]
        final = [
            _run(
                [
                    *options,
                    *winner,
                    "split=given",
                    "split.validation=0",
                    f"seed={seed}",
                    f"metrics.names=[{','.join(columns.values())}]",
                ],
                where,
            )
            for seed in content["seeds"]
        ]
        keys = tuple(record.key for record in final)
        for column, metric in columns.items():
            found = [record.metrics[metric] for record in final]
            value = float(np.mean([one.value**2 for one in found]))
            low, high = min(one.lo**2 for one in found), max(one.hi**2 for one in found)
            cells.append(Cell(row, column, value, low, high, *judged(content, row, column)(value), keys))
    return cells


def _winner(content: Mapping[str, Any], options: Sequence[str], where: Where) -> list[str]:
    """Overrides of the grid's point with the best mean criterion over the folds, first one of equals."""
    criterion = content["criterion"]
    sign = -1 if choose(criterion).metric.higher_is_better else 1
    scores = []
    points = [
        [f"{name}={value}" for name, value in zip(content["grid"], values, strict=True)]
        for values in product(*content["grid"].values())
    ]
    for point in points:
        folds = [
            _run(
                [
                    *options,
                    *point,
                    "split=kfold",
                    f"split.folds={content['folds']}",
                    f"split.fold={fold}",
                    "split.validation=0",
                    f"seed={content['seeds'][0]}",
                    f"metrics.names=[{criterion}]",
                    "metrics.interval.resamples=50",
                ],
                where,
            )
            for fold in range(content["folds"])
        ]
        # Errors average as squares: a fold's criterion may be a root.
        scores.append(sign * float(np.mean([record.metrics[criterion].value ** 2 for record in folds])))
    return points[int(np.argmin(scores))]


def _run(overrides: Sequence[str], where: Where) -> Record:
    from upliftlens.benchmarks.compute import composed

    config = composed([*overrides, f"store={where.store}", f"cache={where.cache}", "progress=false", "group=table"])
    return run(plan(config), Reporter(lambda sentence: None, lambda stage, number, total, line: None))[0]
