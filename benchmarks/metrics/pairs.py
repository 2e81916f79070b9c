"""Metrics of predictions: is the predicted value, probability or order of the test pairs right?

n test pairs (u, i) with value r, prediction r̂ and, where a label is needed, y = 1{r ≥ relevance}. All but ``auc/user``
are pooled over pairs, so a user counts as often as he has test rows.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import sparse

from upliftlens.benchmarks.metrics.metric import Metric, Pairs, mean_of, quotient, run_starts
from upliftlens.causal.intervals import ratio
from upliftlens.causal.losses import Link

LOWEST_PROBABILITY = 1e-7
"""Log loss keeps p̂ in [1e-7, 1 − 1e-7]: 1 − 1e-7 is about the largest float32 below 1."""

_RATING: frozenset[Link] = frozenset({"rating"})
_PROBABILITY: frozenset[Link] = frozenset({"probability"})


def _clipped(pairs: Pairs) -> np.ndarray:
    return np.clip(pairs.prediction, *pairs.scale)


def squared_errors(pairs: Pairs) -> np.ndarray:
    """(r − clip(r̂))², f64[N]."""
    return (pairs.value - _clipped(pairs)) ** 2


def absolute_errors(pairs: Pairs) -> np.ndarray:
    """|r − clip(r̂)|, f64[N]."""
    return np.abs(pairs.value - _clipped(pairs))


def log_errors(pairs: Pairs) -> np.ndarray:
    """−y ln p̂ − (1 − y) ln(1 − p̂), f64[N]."""
    p = np.clip(pairs.prediction, LOWEST_PROBABILITY, 1 - LOWEST_PROBABILITY)
    return -np.where(pairs.positive, np.log(p), np.log1p(-p))


def brier_errors(pairs: Pairs) -> np.ndarray:
    """(y − p̂)², f64[N]."""
    return (pairs.prediction - pairs.positive) ** 2


def _pooled(errors: Callable[[Pairs], np.ndarray], pairs: Pairs, cutoff: float) -> np.ndarray:
    """The sums of a pooled mean: each user's sum of errors and number of pairs, f64[U, 2]."""
    per_pair = (errors(pairs), np.ones(len(pairs.row)))
    return np.stack([np.bincount(pairs.row, values, pairs.n_users) for values in per_pair], axis=1)


def _root(totals: np.ndarray) -> np.ndarray:
    return np.sqrt(quotient(totals))


def _score_table(pairs: Pairs, cutoff: float) -> sparse.csr_array:
    """f64[U, 2G]: each user's negatives, then positives, per group of predictions in ascending order.

    A group is one distinct prediction, or a run of them with pairs of one class only, whose order changes no area.
    """
    _, group = np.unique(pairs.prediction, return_inverse=True)
    share = np.bincount(group, pairs.positive) / np.bincount(group)  # 0 or 1: one class
    starts = run_starts(share) | ((share > 0) & (share < 1))
    n_runs = int(starts.sum())
    column = (np.cumsum(starts) - 1)[group] + n_runs * pairs.positive
    return sparse.csr_array((np.ones(len(column)), (pairs.row, column)), shape=(pairs.n_users, 2 * n_runs))


def _area(totals: np.ndarray) -> np.ndarray:
    """P(random positive's score > random negative's) + ½ P(equal), from totals f64[2G, R]."""
    negatives, positives = np.split(totals, 2)
    below = np.cumsum(negatives, axis=0)
    wins = np.einsum("gr,gr->r", positives, below) - np.einsum("gr,gr->r", positives, negatives) / 2
    return ratio(wins, positives.sum(axis=0) * negatives.sum(axis=0))


def _area_per_user(pairs: Pairs, cutoff: float) -> np.ndarray:
    order = np.lexsort((pairs.prediction, pairs.row))
    row, prediction, positive = pairs.row[order], pairs.prediction[order], pairs.positive[order].astype(np.float64)
    starts = run_starts(row, prediction)
    group, user = np.cumsum(starts) - 1, row[starts]  # a group: equal predictions for one user
    ups, downs = np.bincount(group, positive), np.bincount(group, 1 - positive)
    n_positive, n_negative = (np.bincount(user, counts, pairs.n_users) for counts in (ups, downs))
    before_user = np.cumsum(n_negative) - n_negative
    below = np.cumsum(downs) - downs / 2 - before_user[user]
    wins = np.bincount(user, ups * below, pairs.n_users)  # a positive before a negative
    return mean_of(ratio(wins, n_positive * n_negative), n_positive * n_negative > 0)


def _of_errors(
    name: str,
    errors: Callable[[Pairs], np.ndarray],
    reduce: Callable[[np.ndarray], np.ndarray],
    most: float,
    links: frozenset[Link],
) -> Metric:
    """A function of the mean error over pairs."""
    sums = partial(_pooled, errors)
    return Metric(name, "pairs", sums, reduce, "pooled", False, (0.0, most), "never", links, by_pair="all")


rmse = _of_errors("rmse", squared_errors, _root, np.inf, _RATING)
"""√(Σ (r − clip(r̂))² / n); predictions are clipped to the scale first. Methods that predict ratings only."""

mae = _of_errors("mae", absolute_errors, quotient, np.inf, _RATING)
"""Σ |r − clip(r̂)| / n; predictions are clipped to the scale first. Methods that predict ratings only."""

logloss = _of_errors("logloss", log_errors, quotient, np.inf, _PROBABILITY)
"""−Σ [y ln p̂ + (1 − y) ln(1 − p̂)] / n in nats, p̂ kept in [1e-7, 1 − 1e-7]. Methods that predict probabilities only."""

brier = _of_errors("brier", brier_errors, quotient, 1.0, _PROBABILITY)
"""Σ (y − p̂)² / n (Brier 1950, for one of the two classes). Methods that predict probabilities only."""

auc = Metric(
    "auc", "pairs", _score_table, _area, "recomputed", True, (0.0, 1.0), "never", _RATING | _PROBABILITY, by_pair="all"
)
"""Pooled over all test pairs, of all users: (#{r̂⁺ > r̂⁻} + ½ #{r̂⁺ = r̂⁻}) / (#positive · #negative), Mann & Whitney's U.

It compares predictions of *different* users, so it isn't defined for scores that only order a user's items (link
"rank"): see ``auc/user``. Undefined unless both classes occur.
"""

auc_user = Metric("auc/user", "pairs", _area_per_user, quotient, "mean", True, (0.0, 1.0), "never")
"""The mean over users of the AUC of each user's own test pairs; users without both classes are left out."""

METRICS = (rmse, mae, logloss, brier, auc, auc_user)
