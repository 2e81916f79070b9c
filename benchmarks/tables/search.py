"""The search behind a tuned table: every row gets the same trials, judged on validation parts of the training log.

Trial 0 is the row's configuration as it stands, the next are spread over its space
(``benchmarks.sweeps.search.spread``), and
the last ``refining`` ones over the part of it, ``narrow`` of each range, around the best of those before (choices
have no nearer ones: where all are choices, no trial refines). Each is fitted to ``1 − validation`` of the log, once
for each of the ``validation_seeds`` that draw the part left out, and judged (with patience, stopped early) by the
criterion on that part, whose rows weigh 1/p. The winner has the best mean criterion; it is then fitted to the whole
log for its mean best number of epochs. Only the winner meets the test set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data import DataUnavailable
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.search import narrowed, require_searchable, spread
from upliftlens.benchmarks.tables.run import planned, record_of
from upliftlens.benchmarks.tables.table import Where
from upliftlens.causal.errors import UpliftlensError


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
    for name, entry in space.items():
        require_searchable(name, base.config)
        if "choices" not in entry and not isinstance(_stated(base.config, name), int | float | None):
            raise UpliftlensError(f"the search space gives {name} a range, but it is no number: give it choices")
    if not 0 <= content["refining"] < content["trials"]:
        raise UpliftlensError(
            f"refining={content['refining']} of trials={content['trials']}: set refining to at least 0 and below "
            "trials, or raise trials"
        )
    trials, seed = content["trials"], content["search_seed"]
    refining = content["refining"] if any("choices" not in entry for entry in space.values()) else 0
    drawn = spread(space, trials - refining, seed) if space else [[]]
    best = _best(content, options, drawn, None, where)
    if refining and best is not None:
        chosen = dict(change.split("=", 1) for change in best.changes)
        centre = {name: chosen.get(name, _stated(base.config, name)) for name in space}
        closer = spread(narrowed(space, centre, content["narrow"]), refining + 1, seed)[1:]
        best = _best(content, options, closer, best, where)
    if best is None:
        raise UpliftlensError(f"every trial of {' '.join(options)} failed: see the messages above")
    whole = (f"train.epochs={best.epochs}", "split.validation=0")
    return Winner((*best.changes, *whole), best.criterion, trials if space else 1)


class _Judged(NamedTuple):
    """A trial: its changes, its mean criterion, its mean best number of epochs."""

    changes: tuple[str, ...]
    criterion: float
    epochs: int


def _best(
    content: Mapping[str, Any],
    options: Sequence[str],
    drawn: Sequence[Sequence[str]],
    best: _Judged | None,
    where: Where,
) -> _Judged | None:
    """The best of the trials drawn and the best before them; None if there was none and each failed."""
    for changes in drawn:
        try:
            parts = [
                record_of(planned(options, [*changes, *_trial(content, seed)], where))
                for seed in content["validation_seeds"]
            ]
        except DataUnavailable:
            raise
        except UpliftlensError as error:
            where.say(f"the trial {' '.join(changes) or 'as it stands'} failed: {error}")
            continue
        criterion = float(np.mean([record.diagnostics["validation"] for record in parts]))
        if best is None or _better(criterion, best.criterion, parts[0]):
            epochs = max(1, round(float(np.mean([record.diagnostics["best_epoch"] for record in parts]))))
            best = _Judged(tuple(changes), criterion, epochs)
    return best


def _stated(config: Mapping[str, Any], name: str) -> Any:
    section, _, option = name.partition(".")
    return config[section][option]


def _trial(content: Mapping[str, Any], seed: int) -> list[str]:
    return ["trial=true", f"split.validation={content['validation']}", f"split.seed={seed}"]


def _better(criterion: float, other: float, record: Record) -> bool:
    higher = choose(record.diagnostics["monitor"]).metric.higher_is_better
    return criterion > other if higher else criterion < other
