"""Metrics beyond accuracy: what is recommended, whoever it is for.

For the first k recommendations to every user with test rows: c_i is the number of lists that hold item i, n the number
of items in the universe, those without a training row included.
"""

import numpy as np
from scipy import sparse

from upliftlens.benchmarks.metrics.metric import Lists, Metric, mean_of, quotient
from upliftlens.causal import inequality
from upliftlens.causal.inequality import rank_coefficients
from upliftlens.causal.intervals import ratio


def _exposure(lists: Lists, k: float) -> sparse.csr_array:
    """1{item i is among the first k of user u}, sparse f64[U, n_items]."""
    items = lists.items[:, : int(k)]
    user, place = np.nonzero(items >= 0)
    shape = (len(items), len(lists.popularity))
    return sparse.csr_array((np.ones(len(user)), (user, items[user, place])), shape=shape)


def _share_shown(totals: np.ndarray) -> np.ndarray:
    return (totals > 0).mean(axis=0)


def _popularity(lists: Lists, k: float) -> np.ndarray:
    items = lists.items[:, : int(k)]
    shown = (items >= 0).sum(axis=1)
    total = np.where(items >= 0, lists.popularity[items], 0.0).sum(axis=1)
    return mean_of(ratio(total, shown.astype(np.float64)), shown > 0)


def _shown_without(exposure: sparse.csr_array) -> np.ndarray:
    """coverage@k without each user, f64[U]: their items that nobody else is shown are lost."""
    counts = np.asarray(exposure.sum(axis=0))
    return ((counts > 0).sum() - exposure @ (counts == 1).astype(np.float64)) / len(counts)


def _inequality_without(exposure: sparse.csr_array) -> np.ndarray:
    """gini@k without each user, f64[U], in O(Σ k log Σ k): the others' counts need no sorting again.

    One less of the count of rank i takes its coefficient 2i − n − 1 from the numerator. Of equal counts those of the
    lowest ranks are lowered, j of them the first j, so that the counts stay sorted.
    """
    counts = np.asarray(exposure.sum(axis=0))
    n, ordered = len(counts), np.sort(counts)
    coefficients = rank_coefficients(n)
    user, item = exposure.nonzero()
    first = np.searchsorted(ordered, counts[item])  # ranks below that of the first equal count
    order = np.lexsort((first, user))
    user, first = user[order], first[order]
    starts = np.r_[True, (np.diff(user) != 0) | (np.diff(first) != 0)] if len(user) else np.zeros(0, bool)
    place = np.arange(len(user))
    equal = place - np.maximum.accumulate(np.where(starts, place, 0))
    lost = np.bincount(user, coefficients[first + equal], exposure.shape[0])
    shown = np.bincount(user, minlength=exposure.shape[0])
    return ratio(coefficients @ ordered - lost, n * (counts.sum() - shown))


coverage = Metric(
    "coverage",
    "lists",
    _exposure,
    _share_shown,
    "recomputed",
    True,
    (0.0, 1.0),
    "required",
    without=_shown_without,
    version=2,
)
"""coverage@k = #{i: c_i ≥ 1} / n. It grows with the number of users: compare only on the same users."""

gini = Metric(
    "gini",
    "lists",
    _exposure,
    inequality.gini,
    "recomputed",
    False,
    (0.0, 1.0),
    "required",
    without=_inequality_without,
    version=2,
)
"""gini@k = Σ_i (2i − n − 1) c_(i) / (n Σ c), c_(1) ≤ … ≤ c_(n): 0 if all are shown equally often, near 1 if one is."""

popularity = Metric("popularity", "lists", _popularity, quotient, "mean", False, (0.0, np.inf), "required")
"""popularity@k: number of training rows of the items shown, averaged over a user's list, then over users
(Abdollahpouri et al. 2019). Lower counts as better: less of what everybody knows already."""

METRICS = (coverage, gini, popularity)
