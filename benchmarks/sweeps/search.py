"""The search of ``tune`` and of tables: trials of a configuration, scored on validation rows, and the best of them.

Trial 0 is the configuration as it stands, the next are drawn from its space by a rule, and the last ``refining`` ones
from the part of the space, ``narrow`` of each range, around the best of those before. Every trial is a run of its own
in the store (``trial: true``), one for each of the validation ``parts``: fitted on training rows, scored on validation
rows, never shown the test set.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.runs.many import NoData
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.space import Rule, Space, full_name, narrowed, require_searchable
from upliftlens.causal.errors import UpliftlensError


class Trial(NamedTuple):
    """The changes that a trial makes, and its records, one per validation part; none if it failed."""

    changes: tuple[str, ...]
    records: tuple[Record, ...] = ()

    @property
    def criterion(self) -> float:
        """The mean of the criterion over the validation parts."""
        return float(np.mean([record.diagnostics["validation"] for record in self.records]))


class Search(NamedTuple):
    """The trials in their order, and the position of the best."""

    trials: tuple[Trial, ...]
    best: int


def search(
    planned: Callable[[Sequence[str]], Plan],
    run: Callable[[Plan], Record],
    space: Space,
    rule: Rule,
    budget: int,
    seed: int,
    failed: Callable[[int, Sequence[str], str], None],
    parts: Sequence[Sequence[str]] = ((),),
    refining: int = 0,
    narrow: float = 1.0,
) -> Search:
    """The best of ``budget`` trials: by the direction of its criterion, the earliest of equals.

    ``planned(changes)`` is the plan of the configuration with those changes; ``parts``: the changes that make each
    validation part. ``failed(number, changes, reason)`` reports a trial that fails on a part; it counts and can't win.

    Raises:
        UpliftlensError: if the configuration or the space is wrong, the data can't be loaded, every trial failed, or
            trials were scored by different criteria.
    """
    # An error in the configuration itself, or in the space, is no failed trial.
    first = [planned([*part, "trial=true"]) for part in parts]
    stated = {full_name(name): _stated(first[0].config, full_name(name), entry) for name, entry in space.items()}
    trials: list[Trial] = []

    def judge(drawn: Sequence[Sequence[str]]) -> None:
        for changes in drawn:
            records: tuple[Record, ...] = ()
            try:
                plans = [planned([*changes, *part, "trial=true"]) for part in parts] if trials else first
                records = tuple(map(run, plans))
            except NoData:
                raise
            except UpliftlensError as error:
                failed(len(trials), changes, str(error))
            trials.append(Trial(tuple(changes), records))

    judge(rule(space, budget - refining, seed))
    best = _best(trials)
    if refining:
        chosen = stated | dict(change.split("=", 1) for change in trials[best].changes)
        closer = narrowed(space, {name: chosen[full_name(name)] for name in space}, narrow)
        judge(rule(closer, refining + 1, seed)[1:])
        best = _best(trials)
    return Search(tuple(trials), best)


def _stated(config: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> Any:
    """The value that a configuration states for an option of the space."""
    require_searchable(name, config)
    section, _, option = name.partition(".")
    value = config[section][option]
    if isinstance(entry, Mapping) and "low" in entry and not isinstance(value, int | float | None):
        raise UpliftlensError(f"the search space gives {name} a range, but it is no number: give it choices")
    return value


def _best(trials: Sequence[Trial]) -> int:
    scored = [(number, trial) for number, trial in enumerate(trials) if trial.records]
    if not scored:
        raise UpliftlensError("every trial failed: see the messages above")
    monitors = {record.diagnostics["monitor"] for _, trial in scored for record in trial.records}
    if len(monitors) > 1:
        raise UpliftlensError(f"the trials were scored by {' and '.join(sorted(monitors))}: set train.monitor to one")
    sign = -1 if choose(monitors.pop()).metric.higher_is_better else 1
    return min(scored, key=lambda numbered: (sign * numbered[1].criterion, numbered[0]))[0]
