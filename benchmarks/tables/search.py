"""The search behind a tuned table: every row gets the same trials, judged on validation parts of the training log.

Trials are spread over the row's space, the last ``refining`` ones around the best of those before (choices have no
nearer ones: where all are choices, no trial refines). Each is fitted to ``1 − validation`` of the log, once for each of
the ``validation_seeds`` that draw the part left out, and judged (with patience, stopped early) by the criterion on that
part, whose rows weigh 1/p. The winner has the best mean criterion; it is then fitted to the whole log for its mean best
number of epochs. Only the winner meets the test set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.sweeps import search as searches
from upliftlens.benchmarks.sweeps.space import Space, spread
from upliftlens.benchmarks.tables.run import planned, record_of
from upliftlens.benchmarks.tables.table import Where
from upliftlens.causal.errors import UpliftlensError


class Winner(NamedTuple):
    """The settings chosen, as changes of the row's configuration; their mean criterion; how many trials there were."""

    changes: tuple[str, ...]
    criterion: float
    trials: int


def search(content: Mapping[str, Any], options: Sequence[str], space: Space, where: Where) -> Winner:
    """The best of ``content["trials"]`` trials; of one, the options as they stand, where there is nothing to search.

    Raises:
        UpliftlensError: if the configuration is wrong, the data can't be had, or every trial failed.
    """
    if not 0 <= content["refining"] < content["trials"]:
        raise UpliftlensError(
            f"refining={content['refining']} of trials={content['trials']}: set refining to at least 0 and below "
            "trials, or raise trials"
        )

    def of(changes: Sequence[str]) -> Plan:
        return planned(options, changes, where)

    def failed(number: int, changes: Sequence[str], reason: str) -> None:
        where.say(f"the trial {' '.join(changes) or 'as it stands'} failed: {reason}")

    parts = [[f"split.validation={content['validation']}", f"split.seed={s}"] for s in content["validation_seeds"]]
    refining = content["refining"] if any("choices" not in entry for entry in space.values()) else 0
    rule = spread if space else lambda *drawn: [[]]
    budget, seed = content["trials"], content["search_seed"]
    trials, best = searches.search(of, record_of, space, rule, budget, seed, failed, parts, refining, content["narrow"])
    winner = trials[best]
    epochs = max(1, round(float(np.mean([record.diagnostics["best_epoch"] for record in winner.records]))))
    whole = (f"train.epochs={epochs}", "split.validation=0")
    return Winner((*winner.changes, *whole), winner.criterion, len(trials))
