"""Metrics by group of users: for whom does a method work?

A finished run keeps each metric's sums per user, so groups are looked at afterwards, without measuring again. The value
of a group is the metric over its users alone. Its difference is to all *other* users, resampled together with them;
p is corrected for the groups of a feature (Holm). It says that groups differ, not why.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from upliftlens.benchmarks.config.choices import default
from upliftlens.benchmarks.config.compose import prepare_overrides
from upliftlens.benchmarks.config.sections import typed_section
from upliftlens.benchmarks.data import load
from upliftlens.benchmarks.evaluation.evaluation import Evaluation, sources_of, statistic_of
from upliftlens.benchmarks.metrics.registry import choose, in_full
from upliftlens.benchmarks.reports.comparison import decided, in_a_cell
from upliftlens.benchmarks.reports.effect_features import levels_of
from upliftlens.benchmarks.reports.methods import evaluations, finished, one_per_pairing, pairing, runs_of
from upliftlens.benchmarks.reports.pooling import require_one_experiment, require_one_interval, require_one_world
from upliftlens.benchmarks.reports.repeats import once_per_fit
from upliftlens.benchmarks.reports.sheet import Row, Sheet
from upliftlens.benchmarks.runs.opened import current
from upliftlens.benchmarks.runs.records import Record, Summary
from upliftlens.benchmarks.runs.store import Store, readable_records
from upliftlens.benchmarks.system.talk import Say
from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.intervals import (
    Interval,
    Resampling,
    Statistic,
    informative,
    replicates,
    value,
)
from upliftlens.causal.over_runs import Difference, bounds, difference_of, pooled

EXPLAINED = (
    "value: of the group's users alone, with its interval over users (and runs). difference: to all other users; p: "
    "how often chance alone would make it as large, corrected for the groups of the feature (Holm). Users were not "
    "assigned to groups at random: a difference says nothing about its cause."
)


class Group(NamedTuple):
    """Users of one level of a feature: ``users`` of them are measured; the metric's value, and its difference to that
    of all others, None for the second of two groups that are each other's complement: it is the first one's, mirrored.
    """

    name: str
    users: int
    value: Summary
    difference: Difference | None


def groups(
    store: Store, cache: Path, methods: Sequence[str], by: str, metrics: Sequence[str], where: Sequence[str], say: Say
) -> Sheet:
    """A row per method, metric and group of users; ``by``: a column of the data set's table of users.

    Raises:
        UpliftlensError: for an unknown method, metric or column, a column without groups, or a metric that counts
            distinct items, whose values depend on how many users there are.
    """
    names = [in_full(metric) for metric in metrics]
    records = finished(readable_records(store), where)
    rows: list[Row] = []
    for method in methods:
        named = runs_of(once_per_fit(records, names), method)
        runs = one_per_pairing(named, sorted(set(map(pairing, named))), method)
        require_one_experiment(runs, names)
        require_one_world(runs, names)
        require_one_interval(runs)
        levels, member = _levels(runs[0], cache, by, say)
        interval = Interval(**runs[0].config["metrics"]["interval"])
        loaded = evaluations(store, runs)
        for metric in names:
            with located(method):
                found, small = measured(loaded, metric, levels, member, interval)
            if small:
                say(f"{metric} by {by}: {', '.join(small)}: fewer than {_LEAST} users, left out")
            rows += _rows(method, metric, by, found, interval)
    return Sheet(["method", "metric", by, "users", "verdict"], ["value", "difference"], rows)


_LEAST = int(default("min_users", "effects.yaml"))


def measured(
    runs: Sequence[Evaluation], metric: str, levels: Sequence[str], member: np.ndarray, resampling: Resampling
) -> tuple[list[Group], list[str]]:
    """The groups of a metric, and the names of those that are too small; ``member`` bool[n_users, K].

    Raises:
        UpliftlensError: if a run lacks the metric, or it counts distinct items.
    """
    statistics = [statistic_of(run, metric) for run in runs]
    if statistics[0].without is not None or statistics[0].crossed is not None:
        raise UpliftlensError(f"{metric} can't be measured by group: it is no sum over users")
    defined = np.unique(np.concatenate([each.units[informative(each)] for each in statistics]))
    counts = member[defined].sum(axis=0)
    kept = np.flatnonzero((counts >= _LEAST) & (len(defined) - counts >= _LEAST))
    if not len(kept):
        return [], [level for level, count in zip(levels, counts, strict=True) if count]
    parts = [part for each in statistics for part in _parts(each, member, kept)]
    values = np.array([value(part) for part in parts]).reshape(len(runs), len(kept), 2)
    drawn = replicates([*statistics, *parts], resampling)[0][len(statistics) :].reshape(*values.shape, -1)
    limits, found, sources = choose(metric).metric.limits, [], sources_of(runs, metric)
    mirrored = len(kept) == 2 and bool((member[defined][:, kept].sum(axis=1) == 1).all())
    for place, level in enumerate(kept.tolist()):
        inside, outside = values[:, place].T
        low, high = np.clip(bounds(pooled(inside, drawn[:, place, 0], sources), resampling.level), *limits)
        apart = pooled(inside - outside, drawn[:, place, 0] - drawn[:, place, 1], sources)
        summary = Summary(float(inside.mean()), float(low), float(high), int(counts[level]))
        difference = None if mirrored and place else difference_of(apart, len(defined), resampling.level)
        found.append(Group(levels[level], int(counts[level]), summary, difference))
    return found, [levels[level] for level in range(len(levels)) if level not in kept and counts[level]]


def _parts(statistic: Statistic, member: np.ndarray, kept: np.ndarray) -> Iterator[Statistic]:
    """The statistic of each group's users, and of all others."""
    for level in kept:
        for inside in (True, False):
            rows = member[statistic.units, level] == inside
            yield statistic._replace(units=statistic.units[rows], sums=statistic.sums[rows])


def _rows(method: str, metric: str, by: str, found: Sequence[Group], interval: Resampling) -> Iterator[Row]:
    tested = [group.difference for group in found if group.difference is not None]
    decisions = iter(decided(tested, choose(metric).metric.higher_is_better, interval.level))
    for group in found:
        cells = {"method": method, "metric": metric, by: group.name, "users": str(group.users)}
        values = {"value": group.value}
        if group.difference is not None:
            decision = next(decisions)
            cells["verdict"] = in_a_cell(decision, interval.level)
            values["difference"] = Summary(*decision[:3], group.users)
        yield Row(cells, values)


def _levels(record: Record, cache: Path, by: str, say: Say) -> tuple[Sequence[str], np.ndarray]:
    """The groups of a column of the table of users, and bool[n_users, K]: who is in them."""
    prepare_overrides([])
    dataset = load(typed_section(current(record, {}), "data"), cache, None)
    if dataset.fingerprint != record.data["fingerprint"]:
        raise UpliftlensError(f"run {record.key} was made from other data than {dataset.name} are now: run it again")
    columns: Mapping[str, object] = {str(name): None for name in dataset.users.columns if name != "id"}
    if by not in columns:
        raise unknown(f"column of {dataset.name}'s users", by, columns or ["none: give a table, data.users=FILE"])
    limits = int(default("max_levels", "effects.yaml")), int(default("bins", "effects.yaml"))
    split = levels_of(dataset.users[by], *limits)
    if isinstance(split, str):
        raise UpliftlensError(f"'{by}' of {dataset.name} makes no groups: {split}")
    return split
