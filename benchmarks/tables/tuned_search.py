"""The search behind a tuned table: the same number of trials for every row, on validation parts of the training log.

Trials are spread over the row's space, the last ``refining`` ones around the best of the earlier trials (not if the
space has choices only, which have no neighbours). Each is fitted to ``1 − validation`` of the log, once for each of the
``validation_seeds`` that draw the validation part, and scored (with patience, stopped early) by the criterion on that
part, whose rows weigh 1/p. The winner has the best mean criterion; it is then fitted to the whole log for its mean best
number of epochs. Only the winner is evaluated on the test set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.sweeps import search as searches
from upliftlens.benchmarks.sweeps.space import Space, spread
from upliftlens.benchmarks.tables.run import planned, record_of
from upliftlens.benchmarks.tables.table import Where
from upliftlens.causal.errors import UpliftlensError


class Winner(NamedTuple):
    """The chosen settings, as changes of the row's configuration; their mean criterion; the number of trials."""

    changes: tuple[str, ...]
    criterion: float
    trials: int


def search(content: Mapping[str, Any], options: Sequence[str], space: Space, where: Where) -> Winner:
    """The best of ``content["trials"]`` trials; with an empty space, a single trial of the options as they are.

    Raises:
        UpliftlensError: if the configuration is wrong, the data can't be loaded, or every trial failed.
    """
    if not 0 <= content["refining"] < content["trials"]:
        raise UpliftlensError(
            f"refining={content['refining']} of trials={content['trials']}: set refining to at least 0 and below "
            "trials, or raise trials"
        )

    def failed(number: int, changes: Sequence[str], reason: str) -> None:
        where.say(f"the trial {' '.join(changes) or 'as it stands'} failed: {reason}")

    parts = [[f"split.validation={content['validation']}", f"split.seed={s}"] for s in content["validation_seeds"]]
    trials, best = searches.search(
        lambda changes: planned(options, changes, where),
        record_of,
        space,
        spread if space else lambda *drawn: [[]],
        content["trials"],
        content["search_seed"],
        failed,
        parts,
        content["refining"] if any("choices" not in entry for entry in space.values()) else 0,
        content["narrow"],
    )
    winner = trials[best]
    epochs = max(1, round(float(np.mean([record.diagnostics["best_epoch"] for record in winner.records]))))
    changes = (*winner.changes, f"train.epochs={epochs}", "split.validation=0")
    return Winner(changes, winner.criterion, len(trials))
