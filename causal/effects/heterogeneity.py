"""Whom does recommending help? Effects of groups of logged rows, and tests of whether groups differ.

A group's effect is one of the estimators of ``causal.effects.uplift`` with weight 1 for the group's rows: per-user sums
T f64[U, 4] = (treated numerator, treated denominator, control numerator, control denominator), totals N1, D1, N0, D0,

    θ = N1/D1 − N0/D0
    ψ_u = (N1_u − (N1/D1)·D1_u)/D1 − (N0_u − (N0/D0)·D0_u)/D0        Σ_u ψ_u = 0
    var θ ≈ n/(n−1) Σ_u ψ_u²

n being the users with rows in the group. ψ is the first-order influence of a user, so all rows of a user move together
(clustered by user), and ψ^g − ψ^h is the influence on a difference of two groups, whatever rows they share. Intervals
and p-values are Student's with n − 1 degrees of freedom: unlike a bootstrap's they can be small enough to survive a
correction for many groups. Users are the sample; the items are taken as they are.

Levels that share no users (age, gender): Welch's (1951) test of equal means. Levels that do (genres, or quantiles of
what a user did): Hotelling's (1931) T² of the contrasts' ψ. With n_g and U users behind them both are exact for normal
per-user values and hold their level with few users; a level needs two users to be in a test.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from upliftlens.causal.effects.uplift import arm_difference
from upliftlens.causal.intervals import ratio

_SINGULAR = 1e-10  # correlation matrices: directions with less than this share of the largest one's variance are none


class Group(NamedTuple):
    """A group's effect θ, the influence ψ f64[U] of every user, and bool[U]: who has rows in it."""

    value: float
    influence: np.ndarray
    present: np.ndarray


class Estimate(NamedTuple):
    """A value with standard error, interval, and the two-sided p-value of "it is 0"; ``n`` users. NaN where n < 2."""

    value: float
    se: float
    lo: float
    hi: float
    p: float
    n: int


class Heterogeneity(NamedTuple):
    """A test of "all levels have the same effect": the F statistic, its degrees of freedom, and p."""

    statistic: float
    df1: float
    df2: float
    p: float


_UNTESTED = Heterogeneity(*(float("nan"),) * 4)


def group(sums: np.ndarray) -> Group:
    """The effect behind per-user sums f64[U, 4]; NaN where one of the arms is empty."""
    totals = sums.sum(axis=0)
    influence = np.zeros(len(sums))
    for sign, (top, bottom) in ((1, (0, 1)), (-1, (2, 3))):
        mean = ratio(totals[top], totals[bottom])
        influence += sign * ratio(sums[:, top] - mean * sums[:, bottom], np.full(len(sums), totals[bottom]))
    present = (sums[:, 1] != 0) | (sums[:, 3] != 0)
    return Group(float(arm_difference(totals)), np.where(present, influence, 0.0), present)


def estimate(value: float, influence: np.ndarray, n: int, level: float) -> Estimate:
    """A value whose users' influences are ``influence`` f64[U], with the interval of ``level`` in (0, 1)."""
    variance = _variance(influence, n)
    if not variance > 0:  # also NaN: an arm is empty, or a single user
        missing = float("nan")
        return Estimate(value, missing, missing, missing, missing, n)
    se = float(np.sqrt(variance))
    half = float(special.stdtrit(n - 1, 0.5 + level / 2)) * se
    p = float(2 * special.stdtr(n - 1, -abs(value) / se))
    return Estimate(value, se, value - half, value + half, p, n)


def against(first: Group, second: Group, level: float) -> Estimate:
    """First − second effect of two groups, which may share users and rows. n counts the users of ``first``."""
    return estimate(first.value - second.value, first.influence - second.influence, int(first.present.sum()), level)


def differ(levels: Sequence[Group], overall: Group, partition: bool) -> Heterogeneity:
    """Tests whether the levels of a feature have one effect; NaN where fewer than two can be tested.

    ``partition``: every row has one level, so that K levels make K − 1 contrasts; levels that overlap (genres) are each
    compared with the overall effect.
    """
    usable = [
        level
        for level in levels
        if np.isfinite(level.value) and _variance(level.influence, int(level.present.sum())) > 0
    ]
    if len(usable) < 2:
        return _UNTESTED
    if partition and (np.sum([level.present for level in usable], axis=0) <= 1).all():
        return _welch(usable)
    reference, compared = (usable[-1], usable[:-1]) if partition else (overall, usable)
    contrasts = np.stack([level.influence - reference.influence for level in compared], axis=1)
    return _hotelling(np.array([level.value - reference.value for level in compared]), contrasts)


def _variance(influence: np.ndarray, n: int) -> float:
    return float(n / (n - 1) * (influence**2).sum()) if n > 1 else float("nan")


def _welch(levels: Sequence[Group]) -> Heterogeneity:
    k = len(levels)
    count = np.array([level.present.sum() for level in levels], np.float64)
    value = np.array([level.value for level in levels])
    weight = 1 / np.array([_variance(level.influence, int(n)) for level, n in zip(levels, count, strict=True)])
    share = weight / weight.sum()
    centre = (share * value).sum()
    spread = ((1 - share) ** 2 / (count - 1)).sum()
    statistic = (weight * (value - centre) ** 2).sum() / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    df2 = (k**2 - 1) / (3 * spread)
    return Heterogeneity(float(statistic), k - 1.0, float(df2), float(special.fdtrc(k - 1, df2, statistic)))


def _hotelling(differences: np.ndarray, influence: np.ndarray) -> Heterogeneity:
    n = int((influence != 0).any(axis=1).sum())
    covariance = n / max(n - 1, 1) * influence.T @ influence
    moves = np.diag(covariance) > 0  # a level that holds every row is the overall effect
    covariance, differences = covariance[np.ix_(moves, moves)], differences[moves]
    if n < 2 or not len(differences):
        return _UNTESTED
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    kept = values > _SINGULAR * values[-1]  # levels may determine each other, as "old" and "new" films do
    rank = int(kept.sum())
    if n <= rank:
        return _UNTESTED
    along = vectors.T[kept] @ (differences / scale)
    statistic = float((along**2 / values[kept]).sum() * (n - rank) / (rank * (n - 1)))
    return Heterogeneity(statistic, float(rank), float(n - rank), float(special.fdtrc(rank, n - rank, statistic)))
