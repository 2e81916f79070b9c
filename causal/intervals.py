"""Intervals by resampling users: one bootstrap for every metric, for one run, for a table and for a paired comparison.

A metric keeps a row of sums per user, T f64[U, S], and turns their total into its value: value = reduce(Σ_u T_u).
A resample draws U users with replacement. If w_u says how often u was drawn, the replicate is reduce(Σ_u w_u T_u):
numerator and denominator move together, so ratios, roots and pooled AUC are all *recomputed* per resample.

Metrics that count *distinct* things (coverage, Gini) can't be resampled so: a resample holds only 63 % of the users,
so it shows fewer distinct items, and varies less, than a sample of users does. Their replicates are linear in the
users' weights instead, with the slopes of the jackknife: value + √((U−1)/U) Σ_u w_u (V̄ − V_u), where V_u is the value
without user u and V̄ the mean of these. Their variance is the jackknife's, (U−1)/U Σ_u (V_u − V̄)², on average no less
than the true one (Efron & Stein 1981). Intervals of nominal 95 % held the expected value of as many users in 93–99 % of
simulations, with 40 to 900 users whose lists differ (resampled and moved to the value: 78–96 %). Where all lists
together show few dozen items (popularity), coverage is a small whole number and the intervals of both methods are too
narrow: 51–65 %. Metrics of pairs can resample users *and* items instead (``causal.crossed``).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy import sparse

from upliftlens.causal.crossed import Crossed, items_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import AtLeast, Before, Within

Sums: TypeAlias = np.ndarray | sparse.csr_array
"""f64[U, S], a row per user; sparse where S is large (a column per item, or per distinct score)."""

_CELLS = 1_000_000  # floats in one block of weights: bounds memory, changes no number


@dataclass(frozen=True)
class Resampling:
    """``level`` of the interval, e.g. 0.95; number of ``resamples``, at least one beyond each bound; ``seed``."""

    level: Annotated[float, Within(0, 1, "()")]
    resamples: Annotated[int, AtLeast(1)]
    seed: Annotated[int, AtLeast(0)]

    def __post_init__(self) -> None:
        if self.resamples * (1 - self.level) < 2 - 1e-9:  # else the bounds are the least and the largest of them
            least = math.ceil(2 / (1 - self.level) - 1e-9)
            raise UpliftlensError(
                f"resamples must be at least {least} for a level of {self.level:g}, got {self.resamples}"
            )


@dataclass(frozen=True)
class Interval(Resampling):
    """``over``: what is resampled: the users alone, or users and, independently, items (metrics of pairs only)."""

    over: Annotated[Literal["users", "users-items"], Before("users")] = "users"


class Summary(NamedTuple):
    """A value over ``n`` users with its interval; ``lo`` and ``hi`` are NaN where n < 2."""

    value: float
    lo: float
    hi: float
    n: int


class Statistic(NamedTuple):
    """What a metric keeps of one run.

    ``units`` i64[U]: the users' ids, distinct, which pair the rows of one run with those of another.
    ``sums`` f64[U, S]; ``reduce(totals f64[S, R]) -> f64[R]`` turns R totals into R values, NaN where undefined.
    ``without(sums) -> f64[U]``: the value without each user, for what counts distinct things; None: it is recomputed.
    ``crossed``: sums are f64[U, C] by item; users and items are resampled.
    """

    units: np.ndarray
    sums: Sums
    reduce: Callable[[np.ndarray], np.ndarray]
    without: Callable[[Sums], np.ndarray] | None = None
    crossed: Crossed | None = None


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator elementwise, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)


def quotient(totals: np.ndarray) -> np.ndarray:
    """The reduction of means and ratios: totals[0] / totals[1], NaN where that is 0."""
    return ratio(totals[0], totals[1])


def mean_of(per_user: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """The sums f64[U, 2] of a mean of per-user values over the users for whom it is ``defined``, for ``quotient``."""
    return np.stack([np.where(defined, per_user, 0.0), defined.astype(np.float64)], axis=1)


def value(statistic: Statistic) -> float:
    """The metric itself: every user counts once."""
    totals = np.asarray(statistic.sums.sum(axis=0), np.float64).reshape(-1, 1)
    return float(statistic.reduce(totals if statistic.crossed is None else statistic.crossed.totals(totals))[0])


def informative(statistic: Statistic) -> np.ndarray:
    """bool[U]: the users whose row isn't all zero, i.e. for whom the metric is defined."""
    return np.asarray(abs(statistic.sums).sum(axis=1)).ravel() > 0


def draws(n: int, resampling: Resampling, width: int, *stream: int) -> Iterator[np.ndarray]:
    """Blocks f64[n, r] of counts, r ≤ width, R columns in all: column j says how often each unit is in resample j.

    The draws don't depend on ``width``. Other numbers of a ``stream`` give independent ones.
    """
    rng = np.random.default_rng([resampling.seed, *stream] if stream else resampling.seed)
    for start in range(0, resampling.resamples, width):
        block = np.empty((n, min(width, resampling.resamples - start)))
        for column in range(block.shape[1]):
            block[:, column] = np.bincount(rng.integers(n, size=n), minlength=n)
        yield block


def replicates(statistics: Sequence[Statistic], resampling: Resampling) -> tuple[np.ndarray, int]:
    """The value of each statistic in each resample, f64[len(statistics), R], and the number of units drawn from.

    Those with ``without`` are linear in the weights (see the module); their mean over resamples is the value itself.

    All statistics see the *same* resample of the union of their users (and items), so their differences are paired.
    They must all have sums by item, or none.
    """
    items = items_of([statistic.crossed for statistic in statistics])
    units = np.unique(np.concatenate([statistic.units for statistic in statistics]))
    rows = [np.searchsorted(units, statistic.units) for statistic in statistics]
    transposed = [_transposed(statistic.sums) for statistic in statistics]
    slopes = [
        None if statistic.without is None else (value(statistic), _slopes(statistic.without(statistic.sums)))
        for statistic in statistics
    ]
    largest = max(len(units), *(statistic.sums.shape[1] for statistic in statistics))
    out, start = np.empty((len(statistics), resampling.resamples)), 0
    width = max(1, _CELLS // max(1, largest))
    of_items = repeat(None) if items is None else draws(len(items), resampling, width, 1)
    for weights, item_weights in zip(draws(len(units), resampling, width), of_items, strict=False):
        stop = start + weights.shape[1]
        for index, statistic in enumerate(statistics):
            counts = weights if len(rows[index]) == len(units) else weights[rows[index]]
            linear = slopes[index]
            if linear is not None:
                out[index, start:stop] = linear[0] + linear[1] @ counts
                continue
            totals, table = transposed[index] @ counts, statistic.crossed
            if table is not None and items is not None and item_weights is not None:
                totals = table.resampled(totals, items, item_weights)
            out[index, start:stop] = statistic.reduce(totals)
        start = stop
    return out, len(units)


def _transposed(sums: Sums) -> Sums:
    return sums.T.copy() if isinstance(sums, np.ndarray) else sums.T.tocsr()


def _slopes(without: np.ndarray) -> np.ndarray:
    """√((U−1)/U) (V̄ − V_u), exactly 0 where leaving out a user never changes the value."""
    n = len(without)
    apart = without[0] - without
    return np.sqrt((n - 1) / n) * (apart - apart.mean())


def percentile(replicated: np.ndarray, level: float) -> tuple[float, float]:
    """The central ``level`` share of the replicates; NaN, NaN where more than 1 − ``level`` of them are undefined.

    What is defined in some resamples only rests on few users (a single recommended row, say), and the spread of those
    resamples would be far too small.
    """
    defined = replicated[np.isfinite(replicated)]
    if not len(defined) or len(defined) < level * len(replicated):
        return float("nan"), float("nan")
    lo, hi = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)


def interval(value: float, replicated: np.ndarray, n: int, level: float, limits: tuple[float, float]) -> Summary:
    """The percentile interval of a value over ``n`` users, cut to ``limits``.

    One user says nothing about the spread between users: with n < 2 both bounds are NaN.
    """
    if n < 2:
        return Summary(value, float("nan"), float("nan"), n)
    lo, hi = percentile(replicated, level)
    return Summary(value, float(np.clip(lo, *limits)), float(np.clip(hi, *limits)), n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down correction: p-values that keep the chance of any false alarm among them at the level."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    return _in_given_order(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini & Hochberg's (1995) step-up correction: keeps the expected share of false among all alarms."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    return _in_given_order(np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1)), order)


def _in_given_order(corrected: np.ndarray, order: np.ndarray) -> list[float]:
    """Corrected p-values, at most 1, each put back to where its p-value was given."""
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(corrected, 1.0)
    return adjusted.tolist()
