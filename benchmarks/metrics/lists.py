"""Metrics beyond accuracy: which items are recommended, whether they are relevant or not.

For the first k recommendations to every user with test rows: c_i is the number of lists that hold item i; n is the
number of items of the data set, including items without a training row.
"""

import numpy as np
from scipy import sparse

from upliftlens.benchmarks.metrics.metric import Lists, Metric, mean_of, quotient, run_starts
from upliftlens.causal import inequality
from upliftlens.causal.intervals import ratio


def _exposure(lists: Lists, k: float) -> sparse.csr_array:
    """1{item i is among the first k items of user u}, sparse f64[U, n_items]."""
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
    """coverage@k without each user, f64[U]: the items on no other user's list are no longer covered."""
    counts = np.asarray(exposure.sum(axis=0))
    return ((counts > 0).sum() - exposure @ (counts == 1).astype(np.float64)) / len(counts)


def _inequality_without(exposure: sparse.csr_array) -> np.ndarray:
    """gini@k without each user, f64[U], in O(Σ k log Σ k), since the other users' counts need no new sorting.

    A count of rank i that falls by 1 takes its coefficient 2i − n − 1 from the numerator. If j of several equal counts
    fall, the j with the lowest ranks are lowered, so that the counts stay sorted.
    """
    counts = np.asarray(exposure.sum(axis=0))
    n, ordered = len(counts), np.sort(counts)
    coefficients = inequality.rank_coefficients(n)
    user, item = exposure.nonzero()
    first = np.searchsorted(ordered, counts[item])  # ranks below that of the first equal count
    order = np.lexsort((first, user))
    user, first = user[order], first[order]
    place = np.arange(len(user))
    equal = place - np.maximum.accumulate(np.where(run_starts(user, first), place, 0))
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
"""gini@k = Σ_i (2i − n − 1) c_(i) / (n Σ c), c_(1) ≤ … ≤ c_(n): 0 if all are shown equally, near 1 if only one is."""

popularity = Metric("popularity", "lists", _popularity, quotient, "mean", False, (0.0, np.inf), "required")
"""popularity@k: number of training rows of the items shown, averaged over a user's list, then over users
(Abdollahpouri et al. 2019). Lower counts as better: the lists hold fewer items that everybody knows."""

METRICS = (coverage, gini, popularity)
