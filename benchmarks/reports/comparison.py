"""Is one method better than another? Paired over users and seeds, with direction, effect size and Holm's correction.

All methods are resampled with the same users (``causal.intervals``) and paired run by run, so that an easy user or a
lucky split cancels out. The replicates of a method are therefore computed once, and the difference of two methods is
the difference of their replicates. Interval and p come from the same widths (``difference_of``). A difference is
claimed if its p, corrected by Holm for all differences of its family, is at most 1 − level.

It is about new users and new seeds, and about new items where the runs have metrics.interval.over=users-items; over
several folds also about new training rows (``causal.over_runs``). Else the items, the training rows and the split are
those of the runs: with others the difference may be another one.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, sources_of, statistic_of
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.crossed import CHOICE, items_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import (
    Resampling,
    Summary,
    holm,
    informative,
    replicates,
    value,
)
from upliftlens.causal.options import Above
from upliftlens.causal.over_runs import Difference, Source, difference_of, pooled
from upliftlens.causal.over_runs import bounds as bounds_of


class Replicated(NamedTuple):
    """A metric over the S runs of a method: its ``values`` f64[S], and ``drawn`` f64[S, R], R replicates per run.

    ``users[s]`` i64[U]: the users of run s; ``defined`` i64[U]: those for whom the metric is defined in some run.
    ``items`` i64[I]: the items that were resampled, too, those of all runs; None: users alone. ``sources``: over what
    the runs vary (``causal.over_runs``); empty: each is independent of the others.
    """

    values: np.ndarray
    drawn: np.ndarray
    users: tuple[np.ndarray, ...]
    defined: np.ndarray
    items: np.ndarray | None = None
    sources: tuple[Source, ...] = ()

    @property
    def mean(self) -> float:
        """The mean over runs."""
        return float(np.mean(self.values))


class Decided(NamedTuple):
    """A paired difference first − second in its family: ``p_holm`` is p corrected for the number of differences."""

    value: float
    lo: float
    hi: float
    p: float
    least: float
    p_holm: float
    better: Literal["first", "second", "undecided"]


class Comparison(NamedTuple):
    """``difference`` = first − second with its interval, in the unit and direction of the metric; NaN bounds if n < 2.

    ``effect``: standardised difference per user, positive if the first is better. ``p``: two-sided, at least ``least``;
    ``p_holm``: corrected for all comparisons of the ``family`` (their number). ``n``: number of distinct users.
    ``differs``: whether the difference is claimed. ``margin``: the least difference that matters to the user, or None;
    ``within_margin``: whether the interval lies inside ±margin. It is usually ``about`` the methods, and ``better``
    names the better of the two. If a side has a single run of a method that depends on the seed, it is about these two
    fits only, and ``better`` is "undecided". ``over``: what was resampled. ``folds``: the number of splits of a side.
    """

    metric: str
    first: float
    second: float
    difference: float
    lo: float
    hi: float
    effect: float
    p: float
    least: float
    p_holm: float
    family: int
    n: int
    better: Literal["first", "second", "undecided"]
    differs: bool
    margin: float | None = None
    about: Literal["methods", "fits"] = "methods"
    over: Literal["users", "users-items"] = "users"
    folds: int = 1

    @property
    def within_margin(self) -> bool:
        """Whether the interval lies inside ±margin: then the difference is too small to matter."""
        return self.margin is not None and -self.margin < self.lo and self.hi < self.margin

    @property
    def beyond_margin(self) -> bool:
        """Whether the interval lies outside ±margin: then the difference is large enough to matter."""
        return self.margin is not None and (self.margin < self.lo or self.hi < -self.margin)

    @property
    def by_margin(self) -> str:
        """What a claimed difference is beside the margin, in words that follow "better"; empty without a margin."""
        if self.margin is None:
            return ""
        if self.within_margin:
            return ", but by less than the margin"
        return ", by more than the margin" if self.beyond_margin else ", perhaps by less than the margin"


def replicated(runs: Sequence[Evaluation], metric: str, resampling: Resampling) -> Replicated:
    """A metric over the runs of a method, one run per seed or fold.

    Raises:
        UpliftlensError: if a run lacks the metric.
    """
    statistics = [statistic_of(run, metric) for run in runs]
    drawn, _ = replicates(statistics, resampling)
    defined = np.unique(np.concatenate([statistic.units[informative(statistic)] for statistic in statistics]))
    users, items = tuple(each.units for each in statistics), items_of([each.crossed for each in statistics])
    values = np.array([value(statistic) for statistic in statistics])
    return Replicated(values, drawn, users, defined, items, sources_of(runs, metric))


def over_seeds(runs: Sequence[Evaluation], metric: str, resampling: Resampling) -> Summary:
    """A table's entry: the mean over runs (seeds or folds) of a metric, with its interval over users and runs.

    ``n`` counts the distinct users for whom it is defined in some run.

    Raises:
        UpliftlensError: if a run lacks the metric.
    """
    result = replicated(runs, metric, resampling)
    n, limits = len(result.defined), choose(metric).metric.limits
    low, high = bounds(result, resampling) if n > 1 else (float("nan"), float("nan"))
    return Summary(result.mean, float(np.clip(low, *limits)), float(np.clip(high, *limits)), n)


def bounds(metric: Replicated, resampling: Resampling) -> tuple[float, float]:
    """The interval of the mean over users and runs."""
    return bounds_of(pooled(metric.values, metric.drawn, metric.sources), resampling.level)


def difference(label: str, first: Replicated, second: Replicated, resampling: Resampling) -> Difference:
    """First − second; with several runs their spread counts too, so the interval is about methods, not these runs.

    Raises:
        UpliftlensError: if the two sides don't have the same users, run by run, or were not resampled alike: one over
            users and one over users and items, or over other items.
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
    if (first.items is None) != (second.items is None):
        raise UpliftlensError(
            f"comparison '{label}': one side is resampled over users and items, the other over users, so they are not "
            f"paired: run both with the same metrics.interval.over, or choose {CHOICE}"
        )
    if first.items is not None and second.items is not None and not np.array_equal(first.items, second.items):
        raise UpliftlensError(
            f"comparison '{label}': the sides have different test items, so their resamples of items are not paired: "
            "compare runs of one split"
        )
    n = len(np.union1d(first.defined, second.defined))
    apart = pooled(first.values - second.values, first.drawn - second.drawn, first.sources)
    return difference_of(apart, n, resampling.level)


def decided(family: Sequence[Difference], higher_is_better: bool, level: float) -> list[Decided]:
    """The differences of a family, with p corrected for their number and the better side of each."""

    def better(difference: Difference, p: float) -> Literal["first", "second", "undecided"]:
        if p > 1 - level:
            return "undecided"
        return "first" if (difference.value > 0) == higher_is_better else "second"

    corrected = holm([difference.p for difference in family])
    return [Decided(*difference, p, better(difference, p)) for difference, p in zip(family, corrected, strict=True)]


def _excludes_0(difference: Difference | Decided | Comparison) -> bool:
    return difference.lo > 0 or difference.hi < 0  # False for NaN bounds


def in_a_cell(difference: "Decided | Comparison", level: float, first: str = "better", second: str = "worse") -> str:
    """The verdict on a difference at ``level``, with its corrected p, for the cell of a table.

    ``first``, ``second``: what it says where that side is the better.
    """
    chance = p_in_words(difference, difference.p_holm, level)
    if isinstance(difference, Comparison) and difference.about == "fits":
        differ = "two fits that differ" if difference.differs else "two fits that can't be told apart"
        return f"{differ} ({chance})"
    undecided = "undecided after correction" if _excludes_0(difference) else "undecided: the interval holds 0"
    if isinstance(difference, Comparison):
        undecided = "the same" if difference.within_margin else undecided
        first, second = (f"{word}{difference.by_margin}" for word in (first, second))
    words = {"first": first, "second": second, "undecided": undecided}[difference.better]
    return f"{words} ({chance})"


def p_in_words(decision: "Decided | Comparison", p: float, level: float) -> str:
    """``p = 0.03``, or ``p ≤ 0.001`` where the resamples allow no smaller one. ``p``: the decision's, or corrected."""
    return f"p {'≤' if decision.p <= decision.least * (1 + 1e-9) else '='} {rounded_p(p, level)}"


def rounded_p(p: float, level: float) -> str:
    """p in two digits; in more where a p above 1 − ``level`` would else read as 1 − ``level``."""
    digits, alarm = 2, round(1 - level, 9)  # 1 − 0.9 is 0.09999999999999998
    while p > alarm >= float(f"{p:.{digits}g}"):
        digits += 1
    return f"{p:.{digits}g}"


def differences(
    pairs: Mapping[str, tuple[Replicated, Replicated]], higher_is_better: bool, resampling: Resampling
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
    return dict(zip(pairs, decided(family, higher_is_better, resampling.level), strict=True))


def compare(
    pairs: Mapping[str, tuple[Sequence[Evaluation], Sequence[Evaluation]]],
    name: str,
    resampling: Resampling,
    margin: float | None = None,
) -> dict[str, Comparison]:
    """Compare several pairs of methods on one metric; the p-values are corrected for the number of pairs (Holm).

    Each side of a pair is the runs of a method, one per seed or fold, in the same order. The effect is d / (√n · SD of
    d over resamples): for a metric that is a mean of per-user values this is Cohen's d_z, the mean over the standard
    deviation of the per-user differences; where items are resampled, too, it is smaller than that.

    Raises:
        UpliftlensError: as ``differences``, if a run lacks the metric, or for a margin that is not above 0.
    """
    if margin is not None:
        Above(0).check("margin", margin)
    sides = {}
    for label, (first, second) in pairs.items():
        if not (first and second):
            raise UpliftlensError(f"comparison '{label}': it needs a run on both sides")
        sides[label] = replicated(first, name, resampling), replicated(second, name, resampling)
    higher_is_better = choose(name).metric.higher_is_better
    family = differences(sides, higher_is_better, resampling)
    sign = 1.0 if higher_is_better else -1.0
    compared = {}
    for label, both in pairs.items():
        (left, right), decision = sides[label], family[label]
        n = len(np.union1d(left.defined, right.defined))
        spread = float(np.nanstd((left.drawn - right.drawn).mean(axis=0)))
        of_fits = any(len(side) == 1 and side[0].random for side in both)
        compared[label] = Comparison(
            metric=name,
            first=left.mean,
            second=right.mean,
            difference=decision.value,
            lo=decision.lo,
            hi=decision.hi,
            effect=sign * decision.value / (spread * np.sqrt(n)) if spread > 0 else float("nan"),
            p=decision.p,
            least=decision.least,
            p_holm=decision.p_holm,
            family=len(pairs),
            n=n,
            better="undecided" if of_fits else decision.better,
            differs=decision.better != "undecided",
            margin=margin,
            about="fits" if of_fits else "methods",
            over="users" if left.items is None else "users-items",
            folds=len(set(left.sources[0].level)) if left.sources else 1,
        )
    return compared
