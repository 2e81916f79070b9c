"""The search of ``tune`` and of tables: trials of a configuration, scored in the same way, and the best of them.

Trials are drawn from a space by a rule; the last ``refining`` of them from the part of the space, ``narrow`` of each
range, around the best of those before. Every trial is a run of its own in the store, one for each of its ``parts``.
Usually a part is ``trial=true``: fitted on training rows, scored on validation rows, never shown the test set.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.runs.many import NoData, Runner, record_of, run_many
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.space import Rule, Space, full_name, narrowed, stated
from upliftlens.benchmarks.sweeps.tell import tell_done
from upliftlens.causal.errors import UpliftlensError


class Trial(NamedTuple):
    """The changes that a trial makes; its records, one per part, and their mean criterion: none if it failed."""

    changes: tuple[str, ...]
    records: tuple[Record, ...]
    criterion: float


class Search(NamedTuple):
    """The trials in their order, and the position of the best."""

    trials: tuple[Trial, ...]
    best: int


def on_validation(record: Record) -> tuple[str, float]:
    """The name of the criterion and its value on validation rows."""
    return record.diagnostics["monitor"], record.diagnostics["validation"]


def search(
    planned: Callable[[Sequence[str]], Plan],
    config: Mapping[str, Any],
    space: Space,
    rule: Rule,
    budget: int,
    seed: int,
    say: Callable[[str], None],
    parts: Sequence[Sequence[str]] = (("trial=true",),),
    refining: int = 0,
    narrow: float = 1.0,
    scored: Callable[[Record], tuple[str, float]] = on_validation,
    watched: bool = False,
    runs: Runner = run_many,
) -> Search:
    """The best of ``budget`` trials: by the direction of its criterion, the earliest of equals.

    ``planned(changes)`` is the plan of the configuration ``config`` with those changes; ``parts``: the changes that
    make each part of a trial; ``scored(record)``: the name and the value of the criterion. With nothing in the space,
    the only trial is the configuration as it stands. ``watched``: as in ``run_many``, and a line of each run is
    printed. ``say`` reports a trial that fails in a part; it counts and can't win. ``runs``: what gives the outcomes.

    Raises:
        UpliftlensError: if the configuration or the space is wrong, the data can't be loaded, every trial failed, or
            trials were scored by different criteria.
    """
    values = {full_name(name): stated(name, entry, config) for name, entry in space.items()}
    trials: list[Trial] = []
    total = budget if space else 1

    def judge(drawn: Sequence[Sequence[str]]) -> None:
        records: list[list[Record]] = [[] for _ in drawn]
        batch: list[tuple[int, Plan]] = []

        def failed(place: int, error: UpliftlensError) -> None:
            say(f"trial {len(trials) + place + 1} ({' '.join(drawn[place]) or 'as configured'}) failed: {error}")

        for place, changes in enumerate(drawn):
            try:
                batch += [(place, plan) for plan in [planned([*changes, *part]) for part in parts]]
            except UpliftlensError as error:
                if not changes:  # an error in the configuration itself is no failed trial
                    raise
                failed(place, error)
        outcomes = runs([plan for _, plan in batch], watched)
        for (place, plan), outcome in zip(batch, outcomes, strict=True):
            try:
                number, options = f"trial {len(trials) + place + 1} of {total}", " ".join(drawn[place])
                done = tell_done(plan, outcome, number, options) if watched else record_of(plan, outcome)
                records[place].append(done)
            except NoData:
                raise
            except UpliftlensError as error:
                failed(place, error)
        for changes, of_trial in zip(drawn, records, strict=True):
            whole = of_trial if len(of_trial) == len(parts) else []
            criterion = float(np.mean([scored(record)[1] for record in whole])) if whole else float("nan")
            trials.append(Trial(tuple(changes), tuple(whole), criterion))

    judge(rule(space, budget - refining, seed) if space else [[]])
    best = _best(trials, scored)
    if refining:
        chosen = values | dict(change.split("=", 1) for change in trials[best].changes)
        closer = narrowed(space, {name: chosen[full_name(name)] for name in space}, narrow)
        judge(rule(closer, refining + 1, seed)[1:])
        best = _best(trials, scored)
    return Search(tuple(trials), best)


def _best(trials: Sequence[Trial], scored: Callable[[Record], tuple[str, float]]) -> int:
    done = [number for number, trial in enumerate(trials) if trial.records]
    if not done:
        raise UpliftlensError("every trial failed: see the messages above")
    names = {scored(record)[0] for number in done for record in trials[number].records}
    if len(names) > 1:
        raise UpliftlensError(f"the trials were scored by {' and '.join(sorted(names))}: set train.monitor to one")
    sign = -1 if choose(names.pop()).metric.higher_is_better else 1
    return min(done, key=lambda number: sign * trials[number].criterion)
