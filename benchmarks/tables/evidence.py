"""Values and paired differences of a table's rows, with intervals over users × seeds.

All rows of a table see the same resamples of users and of seeds (``causal.intervals``), so a row's replicates are made
once and the difference of two rows is the difference of their replicates.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from upliftlens.benchmarks.evaluation.outcome import Evaluation, statistic_of
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling, across_seeds, holm, p_value, percentile, replicates, value


class Evidence(NamedTuple):
    """A row's metric: the mean over seeds, its replicates per seed f64[S, R], and the users i64[U] behind them."""

    mean: float
    drawn: np.ndarray
    users: np.ndarray


class Difference(NamedTuple):
    """First − second, its interval, p corrected by Holm for all differences of the family, and what that means."""

    value: float
    lo: float
    hi: float
    p: float
    verdict: str


def evidence(runs: Sequence[Evaluation], metric: str, resampling: Resampling) -> Evidence:
    """What the runs of a row, one per seed, say about a metric.

    Raises:
        UpliftlensError: if a run lacks the metric.
    """
    statistics = [statistic_of(one, metric) for one in runs]
    drawn, _ = replicates(statistics, resampling)
    users = np.unique(np.concatenate([one.units for one in statistics]))
    return Evidence(float(np.mean([value(one) for one in statistics])), drawn, users)


def bounds(found: Evidence, resampling: Resampling) -> tuple[float, float]:
    """The interval of a row's mean over users × seeds."""
    return percentile(across_seeds(found.drawn, resampling), resampling.level)


def differences(
    pairs: Mapping[str, tuple[Evidence, Evidence]], metric: str, resampling: Resampling
) -> dict[str, Difference]:
    """Paired differences of a family of comparisons on one metric.

    Raises:
        UpliftlensError: if the two sides of a comparison differ in their users or in the number of seeds, or there are
            too few resamples for so many comparisons.
    """
    raw: dict[str, tuple[float, tuple[float, float], float]] = {}
    for label, (first, second) in pairs.items():
        if first.drawn.shape != second.drawn.shape or not np.array_equal(first.users, second.users):
            raise UpliftlensError(f"{label}: the two sides have different test users or seeds")
        difference = first.mean - second.mean
        drawn = across_seeds(first.drawn - second.drawn, resampling)
        raw[label] = difference, percentile(drawn, resampling.level), p_value(difference, drawn)
    if len(raw) / (resampling.resamples + 1) > 1 - resampling.level:
        raise UpliftlensError(
            f"{len(raw)} comparisons corrected for their number need more than {resampling.resamples} resamples, "
            "or none could ever be told from chance: raise interval.resamples"
        )
    corrected = holm([p for _, _, p in raw.values()])
    up = choose(metric).metric.higher_is_better
    return {
        label: Difference(difference, low, high, p, verdict(difference, low, high, p, up, resampling.level))
        for (label, (difference, (low, high), _)), p in zip(raw.items(), corrected, strict=True)
    }


def verdict(difference: float, low: float, high: float, p: float, up: bool, level: float) -> str:
    """What a difference with its interval and corrected p means, where more is better (``up``) or worse."""
    if not (low > 0 or high < 0):  # nor is a bound that is not a number evidence
        return f"undecided: the interval holds 0 (p {p:.2g})"
    if p > 1 - level:
        return f"undecided after correction (p {p:.2g})"
    return f"{'better' if (difference > 0) == up else 'worse'} (p {p:.2g})"
