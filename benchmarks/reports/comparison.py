"""Is one method better than another? Paired over users and seeds, with direction, effect size and Holm's correction.

All that is compared sees the same resamples of users and of seeds (``causal.intervals``): an easy user or a lucky split
cancels out. A method's replicates are therefore made once, and the difference of two methods is the difference of their
replicates. A difference is claimed if its interval doesn't hold 0 and its p, corrected by Holm for all differences of
its family, is at most 1 − level.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, statistic_of
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import (
    Difference,
    Resampling,
    across_seeds,
    holm,
    informative,
    paired,
    percentile,
    replicates,
    value,
)

Contenders = tuple[Sequence[Evaluation], Sequence[Evaluation]]
"""Runs of the first and of the second method, one per seed or fold, in the same order."""


class Evidence(NamedTuple):
    """What runs say about a metric: the mean over them, and replicates f64[S, R] of each run's value.

    ``users[s]`` i64[U]: the users of run s; ``defined`` i64[U]: those for whom the metric is defined in some run.
    """

    mean: float
    drawn: np.ndarray
    users: tuple[np.ndarray, ...]
    defined: np.ndarray


class Decided(NamedTuple):
    """A paired difference first − second in its family: ``p_holm`` is p corrected for the number of differences."""

    value: float
    lo: float
    hi: float
    p: float
    p_holm: float
    better: Literal["first", "second", "undecided"]


class Comparison(NamedTuple):
    """``difference`` = first − second with its interval, in the metric's own direction; NaN bounds where n < 2.

    ``effect``: standardised difference per user, positive where the first is better. ``p``: two-sided; ``p_holm``:
    corrected for all comparisons made together. ``n``: distinct users behind it. ``differs``: whether the difference
    is claimed. It is ``about`` the methods, and ``better`` says which is; or, where a single run of a method that the
    seed changes is on a side, about these two fits only, and of the methods nothing is decided.
    """

    metric: str
    first: float
    second: float
    difference: float
    lo: float
    hi: float
    effect: float
    p: float
    p_holm: float
    n: int
    better: Literal["first", "second", "undecided"]
    differs: bool
    about: Literal["methods", "fits"] = "methods"


def evidence(runs: Sequence[Evaluation], metric: str, resampling: Resampling) -> Evidence:
    """What the runs of a method, one per seed or fold, say about a metric.

    Raises:
        UpliftlensError: if a run lacks the metric.
    """
    statistics = [statistic_of(run, metric) for run in runs]
    drawn, _ = replicates(statistics, resampling)
    defined = np.unique(np.concatenate([statistic.units[informative(statistic)] for statistic in statistics]))
    users = tuple(statistic.units for statistic in statistics)
    return Evidence(float(np.mean([value(statistic) for statistic in statistics])), drawn, users, defined)


def bounds(known: Evidence, resampling: Resampling) -> tuple[float, float]:
    """The interval of the mean over users × runs."""
    return percentile(across_seeds(known.drawn, resampling), resampling.level)


def difference(label: str, first: Evidence, second: Evidence, resampling: Resampling) -> Difference:
    """First − second; with more than one run the seeds are resampled too, so it is about methods, not these runs.

    Raises:
        UpliftlensError: if the two sides don't have the same users, run by run.
    """
    if len(first.users) != len(second.users):
        counts = f"{len(first.users)} runs against {len(second.users)}"
        raise UpliftlensError(f"comparison '{label}': {counts}; it needs the same seeds on both sides")
    for number, users in enumerate(zip(first.users, second.users), 1):
        if not np.array_equal(*users):
            raise UpliftlensError(
                f"comparison '{label}': run {number} of each side has different test users; compare runs of one split"
            )
    n = len(np.union1d(first.defined, second.defined))
    drawn = across_seeds(first.drawn - second.drawn, resampling)
    return paired(first.mean - second.mean, drawn, n, resampling.level)


def decided(family: Sequence[Difference], higher_is_better: bool, level: float) -> list[Decided]:
    """The differences of a family, their p corrected for their number, and which side of each is better."""
    corrected = holm([item.p for item in family])
    return [
        Decided(*item, p, _better(item, p, higher_is_better, level)) for item, p in zip(family, corrected, strict=True)
    ]


def _better(one: Difference, p: float, up: bool, level: float) -> Literal["first", "second", "undecided"]:
    if not _excludes_0(one) or p > 1 - level:
        return "undecided"
    return "first" if (one.value > 0) == up else "second"


def _excludes_0(one: Difference | Decided) -> bool:
    return one.lo > 0 or one.hi < 0  # a bound that is not a number is no evidence


def in_a_cell(one: Decided) -> str:
    """What a difference means, for the cell of a table; its p is the corrected one."""
    undecided = "undecided after correction" if _excludes_0(one) else "undecided: the interval holds 0"
    words = {"first": "better", "second": "worse", "undecided": undecided}[one.better]
    return f"{words} (p {one.p_holm:.2g})"


def differences(
    pairs: Mapping[str, tuple[Evidence, Evidence]], metric: str, resampling: Resampling
) -> dict[str, Decided]:
    """Paired differences of a family of comparisons on one metric.

    Raises:
        UpliftlensError: as ``difference``, or if there are too few resamples for so many comparisons.
    """
    family = [difference(label, *sides, resampling) for label, sides in pairs.items()]
    if len(family) / (resampling.resamples + 1) > 1 - resampling.level:
        raise UpliftlensError(
            f"{len(family)} comparisons corrected for their number need more than {resampling.resamples} resamples, "
            "or none could ever be told from chance: raise interval.resamples"
        )
    return dict(zip(pairs, decided(family, choose(metric).metric.higher_is_better, resampling.level), strict=True))


def compare(pairs: Mapping[str, Contenders], name: str, resampling: Resampling) -> dict[str, Comparison]:
    """Compare several pairs of methods on one metric; the p-values are corrected for the number of pairs (Holm).

    The effect is d / (√n · SD of d over resamples of users): for a metric that is a mean of per-user values this is
    Cohen's d_z, the mean over the standard deviation of the per-user differences.

    Raises:
        UpliftlensError: as ``differences``, or if a run lacks the metric.
    """
    for label, both in pairs.items():
        if not all(both):
            raise UpliftlensError(f"comparison '{label}': it needs a run on both sides")
    sides = {
        label: (evidence(first, name, resampling), evidence(second, name, resampling))
        for label, (first, second) in pairs.items()
    }
    family = differences(sides, name, resampling)
    alone = {label: any(len(side) == 1 and side[0].random for side in both) for label, both in pairs.items()}
    return {label: _comparison(name, *sides[label], family[label], alone[label]) for label in pairs}


def _comparison(name: str, first: Evidence, second: Evidence, one: Decided, alone: bool) -> Comparison:
    n = len(np.union1d(first.defined, second.defined))
    spread = float(np.nanstd((first.drawn - second.drawn).mean(axis=0)))
    sign = 1.0 if choose(name).metric.higher_is_better else -1.0
    effect = sign * one.value / (spread * np.sqrt(n)) if spread > 0 else float("nan")
    comparison = Comparison(
        name, first.mean, second.mean, *one[:3], effect, one.p, one.p_holm, n, one.better, one.better != "undecided"
    )
    return comparison._replace(better="undecided", about="fits") if alone else comparison


def verdict(found: Comparison, first: str, second: str, level: float) -> str:
    """What the comparison says, in a sentence; ``level`` as in (0, 1)."""
    if found.about == "fits":
        said = "differ" if found.differs else "can't be told apart"
        return f"these two fits {said} (level {level:.0%}); what other seeds would give, one run can't say."
    if found.better == "undecided":
        return f"undecided: the difference may be chance at level {level:.0%}."
    better = first if found.better == "first" else second
    return f"{better} is better: the difference is not chance at level {level:.0%}."


def in_words(found: Comparison, first: str, second: str, level: float) -> list[str]:
    """Lines for a reader: both values, their difference with its interval, the verdict, and what the words mean."""
    interval = f"[{found.lo:+.4f}, {found.hi:+.4f}]"
    return [
        f"  {first:<24} {found.first:.4f}",
        f"  {second:<24} {found.second:.4f}",
        f"  {'difference':<24} {found.difference:+.4f} {interval}, p = {found.p:.3g}, effect {found.effect:+.2f}",
        verdict(found, first, second, level),
        f"[…]: {level:.0%} interval. p: how often chance alone would make the difference as large. effect: the",
        "difference over the spread of the users' differences, above 0 where the first is better; 0.2 is small.",
    ]
