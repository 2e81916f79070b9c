"""Metrics of warm and of cold test rows apart: does a method know users and items that it never saw?

A test row is cold if the method learned from no row of its user and was shown none (``split=new_users``), or learned
from none of its item; else it is warm.

    */warm  the metric of the warm test rows only
    */cold  the metric of the cold test rows only

A relevant item is cold if its row is. Its rank is that among all candidates; relevant items of the other part do not
count.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from upliftlens.benchmarks.metrics import pairs, ranking
from upliftlens.benchmarks.metrics.metric import Metric, Pairs, Ranks
from upliftlens.causal.interactions import Array, Interactions
from upliftlens.causal.intervals import Sums


def is_cold(log: Interactions, user: Array, item: Array, has_history: np.ndarray | None = None) -> np.ndarray:
    """bool[N]: pairs (user i[N], item i[N]) whose user, or whose item, has no row in the training log; a user of whom
    the method is given rows (``has_history`` bool[N]) is not cold.
    """
    trained = np.asarray(log.weight) > 0
    users, items = (np.asarray(column)[trained] for column in (log.user, log.item))
    known_users, known_items = np.zeros(log.n_users, bool), np.zeros(log.n_items, bool)
    known_users[users], known_items[items] = True, True
    known = known_users[np.asarray(user)] | (False if has_history is None else has_history)
    return ~(known & known_items[np.asarray(item)])


def _part(evidence: Pairs | Ranks, cold: bool) -> Pairs | Ranks:
    """The evidence of cold rows, or of warm ones; every user stays."""
    assert evidence.cold is not None
    kept = evidence.cold == cold
    row = evidence.row[kept]
    if isinstance(evidence, Ranks):
        relevant = np.bincount(row, minlength=len(evidence.relevant)).astype(np.float64)
        return Ranks(row, evidence.rank[kept], relevant)
    return evidence.take(kept)


def _sums(sums: Callable[[Any, float], Sums], cold: bool, evidence: Pairs | Ranks, cutoff: float) -> Sums:
    return sums(_part(evidence, cold), cutoff)


def _metric(whole: Metric, cold: bool) -> Metric:
    return whole._replace(name=f"{whole.name}/{'cold' if cold else 'warm'}", sums=partial(_sums, whole.sums, cold))


_WHOLE = (pairs.rmse, pairs.mae, pairs.logloss, pairs.brier, ranking.recall, ranking.ndcg)
METRICS = tuple(_metric(whole, cold) for whole in _WHOLE for cold in (False, True))
