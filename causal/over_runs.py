"""The mean of a metric over runs, its interval over users and runs, and the paired difference of two such means.

Runs repeat a method over *sources*: seeds, folds, search seeds. With v_r the value of run r, and runs that vary over a
source with J levels (5 folds, say), m_j is the mean of the runs of level j, and s² = Σ_j (m_j − m̄)²/(J − 1). The mean's
variance over that source is estimated by

    s² (1/J + ρ/(1 − ρ)),   ρ: the correlation of two levels' values

since E s² = σ²(1 − ρ) and Var m̄ = σ²(1/J + (J − 1)/J·ρ), with σ² the variance of one m_j. Seeds are independent, ρ = 0.

**Folds** are not: each row trains in all folds but one, so that the folds of one log err together. What is estimated is
the expected value of a fit to such a share of such rows, for new users, training rows and test rows (not of the fit to
all rows that one deploys). No unbiased estimate of that variance exists: one log doesn't show ρ (Bengio & Grandvalet,
JMLR 2004). It is set instead, from T = test rows / training rows of a fold, 1/(k − 1) with k folds:

- a value of *test rows* (errors, ranks): ρ = share of rows that test, so ρ/(1 − ρ) = T (Nadeau & Bengio, Machine
  Learning 2003). Test rows, which folds don't share, make most of σ².
- a value of the *model alone* (coverage or popularity of its lists): only training rows matter, and if each adds its
  part to the value, ρ is the share of rows that two training sets have in common, about 1 − share that tests, so
  ρ/(1 − ρ) = 1/T. (For k folds (k − 2)/(k − 1), which gives the variance of the jackknife that leaves out a fold.)

Neither is always right: the interval is mostly too wide for the first kind and often too narrow for the second, since
the same users train in all folds. ``upliftlens table coverage-folds`` says how often it holds what it should.
"""

import math
from collections.abc import Hashable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from scipy import special

from upliftlens.causal.intervals import percentile


class Source(NamedTuple):
    """A source of spread: ``level`` i64[S] of each run (its seed, its fold, numbered anyhow); ``shared``: ρ/(1 − ρ)."""

    level: np.ndarray
    shared: float = 0.0


def numbered(names: Sequence[Hashable]) -> np.ndarray:
    """i64[S]: the names as numbers, equal names alike, for ``Source.level``."""
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], np.int64)


class Spread(NamedTuple):
    """The standard ``error`` of a mean over the levels of a source, with ``freedom`` = number of levels − 1."""

    error: float
    freedom: int


class Pooled(NamedTuple):
    """The mean of a value over runs, and how far it would vary.

    ``users`` f64[R]: its deviations over resamples of the users. ``spreads``: over each source that varies; none for a
    single run, which says nothing about other runs.
    """

    mean: float
    users: np.ndarray
    spreads: tuple[Spread, ...] = ()


class Difference(NamedTuple):
    """First − second, paired: ``value`` with its interval, and the two-sided p of "no difference".

    ``least``: the least p that the resamples allow; a p that is equal to it may be smaller.
    """

    value: float
    lo: float
    hi: float
    p: float
    least: float


def pooled(values: np.ndarray, drawn: np.ndarray, sources: Sequence[Source] = ()) -> Pooled:
    """The mean of the ``values`` f64[S] of runs, whose replicates f64[S, R] see the same resamples.

    ``sources``: over what the runs vary; empty: each is a run of its own, independent of the others.

    The users' part and each source's part vary independently, and each is estimated on its own: a source's by s² (see
    the module), which also holds the noise of user × level. That noise is in the mean's replicates, too; it is taken
    out of them, so that it counts once: its variance is the mean square, over resamples, of the levels' distance from
    their mean (÷ J − 1). A user who is tested in several folds is drawn in all of them at once.
    """
    mean = float(np.mean(values))
    users, mixed, spreads = drawn.mean(axis=0) - mean, 0.0, list[Spread]()
    for level, shared in sources or [Source(np.arange(len(values)))]:
        names, runs = np.unique(level, return_counts=True)
        if (n := len(names)) == 1:
            continue
        means = np.array([values[level == name].mean() for name in names])
        replicated = np.stack([drawn[level == name].mean(axis=0) for name in names])
        mixed += np.nanvar(replicated - replicated.mean(axis=0), axis=1).sum() / (n - 1) / n
        deviation = float(np.std(means, ddof=1))
        weight = int(runs.sum()) ** 2 / int((runs**2).sum())  # n where each level has as many runs
        spreads.append(Spread(deviation * math.sqrt(1 + weight * shared) / math.sqrt(weight), n - 1))
    both = np.nanvar(users) if spreads else 0.0
    kept = math.sqrt(max(0.0, 1 - mixed / both)) if both > 0 else 1.0
    return Pooled(mean, kept * users if spreads else users, tuple(spread for spread in spreads if spread.error))


def bounds(pooled: Pooled, level: float) -> tuple[float, float]:
    """The interval of a mean over users and runs: mean − √(q² + Σ t²e²), and above alike.

    q: the percentile of the users' part on that side; e: the error over a source; t: Student's for its degrees of
    freedom. With few runs no estimate of their spread is certain, and a normal quantile in place of t would cover too
    seldom. A single run has the users' part alone: its interval takes that run as it is, and a second run may widen it
    many times.
    """
    low, high = percentile(pooled.users, level)
    if not pooled.spreads:
        return pooled.mean + low, pooled.mean + high
    runs = [float(-special.stdtrit(freedom, (1 - level) / 2)) * error for error, freedom in pooled.spreads]
    return pooled.mean - math.hypot(low, *runs), pooled.mean + math.hypot(high, *runs)


def half_widths(pooled: Pooled) -> np.ndarray:
    """f64[R]: the half-widths of symmetric intervals at the levels 1 − k/(R + 1), k = 1 … R, which fall with k.

    h_k = √(q_k² + Σ t_k²e²): q_k the k-th largest |deviation| over resamples of the users, t_k Student's quantile of
    that level. Undefined resamples are left out.
    """
    apart = np.sort(np.abs(pooled.users[np.isfinite(pooled.users)]))[::-1]
    chance = np.arange(1, len(apart) + 1) / (len(apart) + 1)
    return reduce(np.hypot, (-special.stdtrit(freedom, chance / 2) * error for error, freedom in pooled.spreads), apart)


def difference_of(pooled: Pooled, n: int, level: float) -> Difference:
    """The paired difference over ``n`` units: its symmetric interval, and the p of "no difference" by the same widths.

    p = (1 + #{k: h_k ≥ |d|}) / (R + 1): the least 1 − level whose interval leaves out 0, so p ≤ 1 − level just where
    the interval does. For a single run it is the p of resampled users under the null (Hall & Wilson 1991). It is never
    below 1/(R + 1). One unit decides nothing, nor does a value that is undefined in many resamples: no bounds, p = 1.
    """
    widths, resamples = half_widths(pooled), len(pooled.users)
    if n < 2 or len(widths) < level * resamples:
        return Difference(pooled.mean, float("nan"), float("nan"), 1.0, 1.0)
    tolerance = 1e-12 * max(1.0, abs(pooled.mean))  # equal up to rounding counts as equal
    least = 1 / (1 + len(widths))
    half = float(widths[max(1, math.floor((1 - level) / least + 1e-9)) - 1])
    p = least * (1 + int((widths >= abs(pooled.mean) - tolerance).sum()))
    return Difference(pooled.mean, pooled.mean - half, pooled.mean + half, p, least)
