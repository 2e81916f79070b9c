"""The search behind a tuned table: every row gets the same trials, judged on validation parts of the training log.

Trial 0 is the row's configuration as it stands, the others are spread over its space (``benchmarks.tune.spread``). Each
is fitted to ``1 − validation`` of the log, once for each of the ``validation_seeds`` that draw the part left out, and
judged (with patience, stopped early) by the criterion on that part, whose rows weigh 1/p. The winner has the best mean
criterion; it is then fitted to the whole log for its mean best number of epochs. Only the winner meets the test set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data import DataUnavailable
from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.records import Record
from upliftlens.benchmarks.tables.run import planned, record_of
from upliftlens.benchmarks.tables.table import Where
from upliftlens.benchmarks.tune import require_searchable, spread


class Winner(NamedTuple):
    """The settings chosen, as changes of the row's configuration; their mean criterion; how many trials there were."""

    changes: tuple[str, ...]
    criterion: float
    trials: int


def search(
    content: Mapping[str, Any], options: Sequence[str], space: Mapping[str, Mapping[str, Any]], where: Where
) -> Winner:
    """The best of ``content["trials"]`` trials. A trial that fails on a part counts against the budget and can't win.

    Raises:
        UpliftlensError: if the configuration is wrong, the data can't be had, or every trial failed.
    """
    # What is wrong with the row itself, or a name in its space, is no failed trial.
    base = planned(options, (), where)
    for name in space:
        require_searchable(name, base.config)
    drawn = spread(space, content["trials"], content["search_seed"]) if space else [[]]
    best: Winner | None = None
    for number, changes in enumerate(drawn):
        try:
            parts = [
                record_of(planned(options, [*changes, *_trial(content, seed)], where))
                for seed in content["validation_seeds"]
            ]
        except DataUnavailable:
            raise
        except UpliftlensError as error:
            where.say(f"trial {number} failed: {error}")
            continue
        criterion = float(np.mean([record.diagnostics["validation"] for record in parts]))
        if best is None or _better(criterion, best.criterion, parts[0]):
            epochs = max(1, round(float(np.mean([record.diagnostics["best_epoch"] for record in parts]))))
            whole = (f"train.epochs={epochs}", "split.validation=0")
            best = Winner((*changes, *whole), criterion, len(drawn))
    if best is None:
        raise UpliftlensError(f"every trial of {' '.join(options)} failed: see the messages above")
    return best


def _trial(content: Mapping[str, Any], seed: int) -> list[str]:
    return ["trial=true", f"split.validation={content['validation']}", f"split.seed={seed}"]


def _better(criterion: float, other: float, record: Record) -> bool:
    higher = choose(record.diagnostics["monitor"]).metric.higher_is_better
    return criterion > other if higher else criterion < other
