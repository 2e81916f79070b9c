"""Metrics of ranks: are the relevant items recommended, and at which ranks?

The ranks come from ``benchmarks/evaluation/ranking.py``, which scores all items and defines the candidates.

For a user with R ≥ 1 relevant test items at ranks r_1 < … < r_R among all candidates: h_k = #{j: r_j ≤ k} is the
number of hits at cut-off k. Each metric is the mean over such users; for users with R = 0 it is undefined: they are
left out and counted. (Other code counts them as 0, or as 1: published tables differ by up to .09.)
Without a cut-off k = ∞.
Where a user is asked for at several moments, the user's value is the mean over them (``moments.py``).
"""

import numpy as np

from upliftlens.benchmarks.metrics.metric import Metric, Ranks, mean_of, quotient
from upliftlens.causal.intervals import ratio


def _total(ranks: Ranks, per_item: np.ndarray) -> np.ndarray:
    return np.bincount(ranks.row, per_item, len(ranks.relevant))


def _hits(ranks: Ranks, k: float) -> np.ndarray:
    return _total(ranks, ranks.rank <= k)


def _most_hits(ranks: Ranks, k: float) -> np.ndarray:
    """min(k, R) per user: the hits of a perfect list."""
    return np.minimum(ranks.relevant, k)


def _recall(ranks: Ranks, k: float) -> np.ndarray:
    return mean_of(ratio(_hits(ranks, k), ranks.relevant), ranks.relevant > 0)


def _precision(ranks: Ranks, k: float) -> np.ndarray:
    return mean_of(_hits(ranks, k) / k, ranks.relevant > 0)


def _f1(ranks: Ranks, k: float) -> np.ndarray:
    return mean_of(2 * _hits(ranks, k) / (k + ranks.relevant), ranks.relevant > 0)


def _hit(ranks: Ranks, k: float) -> np.ndarray:
    return mean_of(np.minimum(_hits(ranks, k), 1.0), ranks.relevant > 0)


def _ndcg(ranks: Ranks, k: float) -> np.ndarray:
    gain = np.where(ranks.rank <= k, 1 / np.log2(ranks.rank + 1), 0.0)
    best = np.cumsum(1 / np.log2(np.arange(1, int(ranks.relevant.max(initial=0)) + 1) + 1))
    ideal = np.concatenate([[0.0], best])[_most_hits(ranks, k).astype(int)]
    return mean_of(ratio(_total(ranks, gain), ideal), ranks.relevant > 0)


def _precision_at_hits(ranks: Ranks, k: float) -> np.ndarray:
    first = np.cumsum(ranks.relevant) - ranks.relevant
    place = np.arange(len(ranks.row)) - first[ranks.row] + 1  # j of r_j
    precision = np.where(ranks.rank <= k, place / ranks.rank, 0.0)
    return mean_of(ratio(_total(ranks, precision), _most_hits(ranks, k)), ranks.relevant > 0)


def _reciprocal(ranks: Ranks, k: float) -> np.ndarray:
    best = np.zeros(len(ranks.relevant))
    np.maximum.at(best, ranks.row, np.where(ranks.rank <= k, 1 / ranks.rank, 0.0))
    return mean_of(best, ranks.relevant > 0)


recall = Metric("recall", "ranks", _recall, quotient, "mean", True, (0.0, 1.0), "required")
"""recall@k = h_k / R."""

precision = Metric("precision", "ranks", _precision, quotient, "mean", True, (0.0, 1.0), "required")
"""precision@k = h_k / k, also where a user has fewer than k candidates."""

f1 = Metric("f1", "ranks", _f1, quotient, "mean", True, (0.0, 1.0), "required")
"""f1@k = 2 h_k / (k + R): the harmonic mean of precision@k and recall@k *of each user*, then averaged."""

hit = Metric("hit", "ranks", _hit, quotient, "mean", True, (0.0, 1.0), "required")
"""hit@k = 1{h_k ≥ 1}, the hit rate."""

ndcg = Metric("ndcg", "ranks", _ndcg, quotient, "mean", True, (0.0, 1.0), "optional")
"""ndcg@k = Σ_{j: r_j ≤ k} 1/log2(r_j + 1) / Σ_{i=1}^{min(k, R)} 1/log2(i + 1), binary gains (Järvelin & Kekäläinen)."""

average_precision = Metric("map", "ranks", _precision_at_hits, quotient, "mean", True, (0.0, 1.0), "optional")
"""map@k = Σ_{j: r_j ≤ k} (j / r_j) / min(k, R); ``map`` is the classical average precision over the whole ranking."""

mrr = Metric("mrr", "ranks", _reciprocal, quotient, "mean", True, (0.0, 1.0), "optional")
"""mrr@k = 1/r_1 if r_1 ≤ k, else 0; ``mrr`` uses the whole ranking."""

METRICS = (recall, precision, f1, hit, ndcg, average_precision, mrr)
