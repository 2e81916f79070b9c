"""The conventions of published tables on test sets missing at random, only for comparison with those tables.

    auc/pooled              the AUC over all test pairs of all users: ``auc`` under the name in those tables
    ndcg@k/test-items       NDCG of the user's *test* items alone, ranked by prediction
    recall@k/test-items     positives among the first k of them / positives
    f1@k/test-items         harmonic mean of mean precision (k in the denominator) and mean recall
    mse                     Σ (r − clip(r̂))² / n: the square of ``rmse``

Users without a positive test item are left out (some public code counts them as NDCG 1). Tied items share their
places: each gets the mean discount, or the mean of 1{place ≤ k}, over the places that they take together.
"""

from typing import NamedTuple

import numpy as np

from upliftlens.benchmarks.metrics.metric import Metric, Pairs, mean_of, quotient, run_starts
from upliftlens.benchmarks.metrics.pairs import auc, rmse
from upliftlens.causal.intervals import ratio


class _Totals(NamedTuple):
    """Per user, f64[U]: gain Σ y/log2(1 + place) over places ≤ k, its largest possible value, hits and positives."""

    gain: np.ndarray
    ideal: np.ndarray
    hits: np.ndarray
    positives: np.ndarray


def _totals(pairs: Pairs, k: float) -> _Totals:
    order = np.lexsort((-pairs.prediction, pairs.row))
    row, prediction, positive = pairs.row[order], pairs.prediction[order], pairs.positive[order].astype(np.float64)
    count = np.bincount(row, minlength=pairs.n_users)
    place = np.arange(len(row)) - (np.cumsum(count) - count)[row] + 1
    top = (place <= k).astype(np.float64)
    discount = top / np.log2(1 + place)
    tie = np.cumsum(run_starts(row, prediction)) - 1
    shared = [(np.bincount(tie, values) / np.bincount(tie))[tie] for values in (discount, top)]
    positives = np.bincount(row, positive, pairs.n_users)
    per_pair = (shared[0] * positive, discount * (place <= positives[row]), shared[1] * positive)
    gain, ideal, hits = (np.bincount(row, values, pairs.n_users) for values in per_pair)
    return _Totals(gain, ideal, hits, positives)


def _ndcg(pairs: Pairs, k: float) -> np.ndarray:
    user = _totals(pairs, k)
    return mean_of(ratio(user.gain, user.ideal), user.positives > 0)


def _recall(pairs: Pairs, k: float) -> np.ndarray:
    user = _totals(pairs, k)
    return mean_of(ratio(user.hits, user.positives), user.positives > 0)


def _precision_and_recall(pairs: Pairs, k: float) -> np.ndarray:
    """f64[U, 3]: precision, recall, 1, for users with a positive."""
    user = _totals(pairs, k)
    return np.column_stack([user.hits / k, mean_of(ratio(user.hits, user.positives), user.positives > 0)])


def _harmonic(totals: np.ndarray) -> np.ndarray:
    precision, recall = ratio(totals[0], totals[2]), ratio(totals[1], totals[2])
    both = precision + recall
    return 2 * precision * recall / np.where(both == 0, 1, both)


auc_pooled = auc._replace(name="auc/pooled")
"""The AUC over the test pairs of all users: the same number as ``auc``, see there."""

mse = rmse._replace(name="mse", reduce=quotient)
"""The mean squared error of predictions clipped to the scale."""

ndcg = Metric("ndcg/test-items", "pairs", _ndcg, quotient, "mean", True, (0.0, 1.0), "required")
"""Mean over users of Σ y/log2(1 + place) over places ≤ k, divided by its largest possible value."""

recall = Metric("recall/test-items", "pairs", _recall, quotient, "mean", True, (0.0, 1.0), "required")
"""Mean over users of positives in the first k places / positives."""

f1 = Metric("f1/test-items", "pairs", _precision_and_recall, _harmonic, "recomputed", True, (0.0, 1.0), "required")
"""2PR/(P + R) of mean precision P, k in its denominator, and mean recall R."""

METRICS = (auc_pooled, mse, ndcg, recall, f1)
