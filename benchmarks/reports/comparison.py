"""Is one method better than another? Paired over users and seeds, with direction, effect size and Holm's correction.

All methods are resampled with the same users and seeds (``causal.intervals``), so that an easy user or a lucky split
cancels out. The replicates of a method are therefore computed once, and the difference of two methods is the difference
of their replicates. A difference is claimed if its interval doesn't hold 0 and its p, corrected by Holm for all
differences of its family, is at most 1 − level.
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
    Summary,
    across_seeds,
    holm,
    informative,
    interval,
    paired,
    percentile,
    replicates,
    value,
)


class Replicated(NamedTuple):
    """A metric over the S runs of a method: the mean over runs, and ``drawn`` f64[S, R], R replicates per run.

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
    """``difference`` = first − second with its interval, in the unit and direction of the metric; NaN bounds if n < 2.

    ``effect``: standardised difference per user, positive if the first is better. ``p``: two-sided; ``p_holm``:
    corrected for all comparisons of the family. ``n``: number of distinct users. ``differs``: whether the difference
    is claimed. It is usually ``about`` the methods, and ``better`` names the better of the two. If a side has a single
    run of a method that depends on the seed, it is about these two fits only, and ``better`` is "undecided".
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


def replicated(runs: Sequence[Evaluation], metric: str, resampling: Resampling) -> Replicated:
    """A metric over the runs of a method, one run per seed or fold.

    Raises:
        UpliftlensError: if a run lacks the metric.
    """
    statistics = [statistic_of(run, metric) for run in runs]
    drawn, _ = replicates(statistics, resampling)
    defined = np.unique(np.concatenate([statistic.units[informative(statistic)] for statistic in statistics]))
    users = tuple(statistic.units for statistic in statistics)
    return Replicated(float(np.mean([value(statistic) for statistic in statistics])), drawn, users, defined)


def over_seeds(runs: Sequence[Evaluation], metric: str, resampling: Resampling) -> Summary:
    """A table's entry: the mean over runs (seeds or folds) of a metric, with its interval over users × runs.

    ``n`` counts the distinct users for whom it is defined in some run.

    Raises:
        UpliftlensError: if a run lacks the metric.
    """
    mean, drawn, _, defined = replicated(runs, metric, resampling)
    limits = choose(metric).metric.limits
    return interval(mean, across_seeds(drawn, resampling), len(defined), resampling.level, limits)


def bounds(metric: Replicated, resampling: Resampling) -> tuple[float, float]:
    """The interval of the mean over users × runs."""
    return percentile(across_seeds(metric.drawn, resampling), resampling.level)


def difference(label: str, first: Replicated, second: Replicated, resampling: Resampling) -> Difference:
    """First − second; with several runs the seeds are resampled too, so the interval is about methods, not these runs.

    Raises:
        UpliftlensError: if the two sides don't have the same users, run by run.
    """
    if len(first.users) != len(second.users):
        raise UpliftlensError(
            f"comparison '{label}': {len(first.users)} runs against {len(second.users)}; "
            "it needs the same seeds on both sides"
        )
    for number, users in enumerate(zip(first.users, second.users), 1):
        if not np.array_equal(*users):
            raise UpliftlensError(
                f"comparison '{label}': run {number} of each side has different test users; compare runs of one split"
            )
    n = len(np.union1d(first.defined, second.defined))
    drawn = across_seeds(first.drawn - second.drawn, resampling)
    return paired(first.mean - second.mean, drawn, n, resampling.level)


def decided(family: Sequence[Difference], higher_is_better: bool, level: float) -> list[Decided]:
    """The differences of a family, with p corrected for their number and the better side of each."""

    def better(difference: Difference, p: float) -> Literal["first", "second", "undecided"]:
        if not _excludes_0(difference) or p > 1 - level:
            return "undecided"
        return "first" if (difference.value > 0) == higher_is_better else "second"

    corrected = holm([difference.p for difference in family])
    return [Decided(*difference, p, better(difference, p)) for difference, p in zip(family, corrected, strict=True)]


def _excludes_0(difference: Difference | Decided) -> bool:
    return difference.lo > 0 or difference.hi < 0  # False for NaN bounds


def in_a_cell(difference: Decided, first: str = "better", second: str = "worse") -> str:
    """The verdict on a difference, with its corrected p, for the cell of a table.

    ``first``, ``second``: what it says where that side is the better.
    """
    undecided = "undecided after correction" if _excludes_0(difference) else "undecided: the interval holds 0"
    words = {"first": first, "second": second, "undecided": undecided}[difference.better]
    return f"{words} (p {difference.p_holm:.2g})"


def differences(
    pairs: Mapping[str, tuple[Replicated, Replicated]], metric: str, resampling: Resampling
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


def compare(
    pairs: Mapping[str, tuple[Sequence[Evaluation], Sequence[Evaluation]]], name: str, resampling: Resampling
) -> dict[str, Comparison]:
    """Compare several pairs of methods on one metric; the p-values are corrected for the number of pairs (Holm).

    Each side of a pair is the runs of a method, one per seed or fold, in the same order. The effect is d / (√n · SD of
    d over resamples of users): for a metric that is a mean of per-user values this is Cohen's d_z, the mean over the
    standard deviation of the per-user differences.

    Raises:
        UpliftlensError: as ``differences``, or if a run lacks the metric.
    """
    sides = {}
    for label, (first, second) in pairs.items():
        if not (first and second):
            raise UpliftlensError(f"comparison '{label}': it needs a run on both sides")
        sides[label] = replicated(first, name, resampling), replicated(second, name, resampling)
    family = differences(sides, name, resampling)
    of_fits = {label: any(len(side) == 1 and side[0].random for side in both) for label, both in pairs.items()}
    return {label: _comparison(name, *sides[label], family[label], of_fits[label]) for label in pairs}


def _comparison(name: str, first: Replicated, second: Replicated, decision: Decided, of_fits: bool) -> Comparison:
    n = len(np.union1d(first.defined, second.defined))
    spread = float(np.nanstd((first.drawn - second.drawn).mean(axis=0)))
    sign = 1.0 if choose(name).metric.higher_is_better else -1.0
    value, lo, hi, p, p_holm, better = decision
    effect = sign * value / (spread * np.sqrt(n)) if spread > 0 else float("nan")
    differs = better != "undecided"
    comparison = Comparison(name, first.mean, second.mean, value, lo, hi, effect, p, p_holm, n, better, differs)
    return comparison._replace(better="undecided", about="fits") if of_fits else comparison


def verdict(comparison: Comparison, first: str, second: str, level: float) -> str:
    """The result of the comparison in a sentence; ``level`` in (0, 1)."""
    if comparison.about == "fits":
        differ = "differ" if comparison.differs else "can't be told apart"
        return f"these two fits {differ} (level {level:.0%}); what other seeds would give, one run can't say."
    if comparison.better == "undecided":
        return f"undecided: the difference may be chance at level {level:.0%}."
    better = first if comparison.better == "first" else second
    return f"{better} is better: the difference is not chance at level {level:.0%}."


def in_words(comparison: Comparison, first: str, second: str, level: float) -> list[str]:
    """Lines for a reader: both values, their difference with its interval, the verdict, and what the words mean."""
    difference = f"{comparison.difference:+.4f} [{comparison.lo:+.4f}, {comparison.hi:+.4f}]"
    return [
        f"  {first:<24} {comparison.first:.4f}",
        f"  {second:<24} {comparison.second:.4f}",
        f"  {'difference':<24} {difference}, p = {comparison.p:.3g}, effect {comparison.effect:+.2f}",
        verdict(comparison, first, second, level),
        f"[…]: {level:.0%} interval. p: how often chance alone would make the difference as large. effect: the",
        "difference over the spread of the users' differences, above 0 where the first is better; 0.2 is small.",
    ]
