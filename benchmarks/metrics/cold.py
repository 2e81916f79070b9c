"""Metrics of warm and of cold test rows apart: does a method know users and items that it never saw?

A test row is cold if the method learned from no row of its user, or from none of its item; else it is warm.

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
from upliftlens.causal.intervals import Sums


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
