"""Calibration: among the test pairs to which a method gives the probability p̂, is the share of positive ones p̂?

The n test pairs, with label y and prediction p̂, lie in bins of p̂ (``metrics.calibration``), which the predictions
alone decide and which stay in resamples of users. In bin b there are n_b pairs; t_ub = Σ (p̂ − y) over those of user u.

    ece          Σ_b |Σ_u t_ub| / n = Σ_b (n_b/n)·|mean p̂ − mean y|
    ece/squared  Σ_b [(Σ_u t_ub)² − Σ_u t_ub²] / (n_b·n), an estimate of Σ_b (n_b/n)·(E mean p̂ − mean y)²

``ece`` is biased upwards: a calibrated method, too, has gaps by chance, about √(2/π)·Σ_b √(Σ p̂(1 − p̂))/n, and its
resamples have larger ones. So its interval does not hold 0, and says nothing about whether the method is calibrated.
``ece/squared`` says that: only products of the gaps of *different* users enter, so for a calibrated method its
expectation is 0, however few pairs a bin has and however much the labels of one user depend on each other. It may be
negative. Its interval is linear, by the jackknife, whose variance is on average no less than the true one.

A bin with the pairs of a single user adds 0 to ``ece/squared``, whatever its gap. If the gap of every pair were 1, the
value would be S = Σ_b (n_b/n)·(1 − Σ_u (n_ub/n_b)²), with the n_ub pairs of user u in bin b: 0 where no bin has pairs
of two users, and near 1 where all bins have pairs of many. Where S < 1/2, more than half of such a gap would not show,
and a value near 0 would read as calibrated: then ``ece/squared`` is absent.
"""

import numpy as np

from upliftlens.benchmarks.metrics.metric import CalibrationOptions, Metric, Pairs
from upliftlens.causal.calibration import bins_of
from upliftlens.causal.intervals import ratio
from upliftlens.causal.losses import Link

_LEAST_SHOWN = 0.5  # S, see above
_PROBABILITY: frozenset[Link] = frozenset({"probability"})


def _binned(pairs: Pairs, *columns: np.ndarray) -> list[np.ndarray]:
    """f64[U, B] of each column f64[N]: its sums by user and bin."""
    options = pairs.calibration
    assert isinstance(options, CalibrationOptions)
    cell = pairs.row * options.bins + bins_of(pairs.prediction, options.bins, options.binning)
    shape = (pairs.n_users, options.bins)
    return [np.bincount(cell, column, shape[0] * shape[1]).reshape(shape) for column in columns]


def _gaps(pairs: Pairs, cutoff: float) -> np.ndarray:
    """f64[U, 3B]: each user's number of pairs, Σ p̂ and Σ y in every bin."""
    return np.hstack(_binned(pairs, np.ones(len(pairs.row)), pairs.prediction, pairs.positive.astype(np.float64)))


def _absolute(totals: np.ndarray) -> np.ndarray:
    n, predicted, positive = np.split(totals, 3)
    return ratio(np.abs(predicted - positive).sum(axis=0), n.sum(axis=0))


def curve(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The reliability curve of totals f64[3B, R] of ``ece``: mean p̂ and share of positives, f64[B, R]; NaN if empty."""
    n, predicted, positive = np.split(totals, 3)
    return ratio(predicted, n), ratio(positive, n)


def _squared_gaps(pairs: Pairs, cutoff: float) -> np.ndarray:
    """f64[U, 3B]: each user's number of pairs, t and t² in every bin; all 0, so undefined, where S is too small."""
    n, gap = _binned(pairs, np.ones(len(pairs.row)), pairs.prediction - pairs.positive)
    of_gap_1 = _squared(np.hstack([n, n, n**2]).sum(axis=0)[:, None])[0]
    return np.hstack([n, gap, gap**2]) * (of_gap_1 >= _LEAST_SHOWN)


def _squared(totals: np.ndarray) -> np.ndarray:
    n, gap, square = np.split(totals, 3)
    between = np.divide(gap**2 - square, n, out=np.zeros_like(n), where=n > 0)
    return ratio(between.sum(axis=0), n.sum(axis=0))


def _squared_without(sums: np.ndarray) -> np.ndarray:
    """ece/squared without each user, f64[U]."""
    return _squared((sums.sum(axis=0) - sums).T)


ece = Metric(
    "ece", "pairs", _gaps, _absolute, "recomputed", False, (0.0, 1.0), "never", _PROBABILITY, reads="calibration"
)
"""Expected calibration error Σ_b (n_b/n)·|mean p̂ − mean y| in bins of p̂; above 0 by chance alone, see ece/squared."""

ece_squared = Metric(
    "ece/squared",
    "pairs",
    _squared_gaps,
    _squared,
    "recomputed",
    False,
    (-1.0, 1.0),
    "never",
    _PROBABILITY,
    without=_squared_without,
    reads="calibration",
    undefined="so few users have pairs in each bin that most of a gap would not show: lower metrics.calibration.bins",
)
"""Σ_b (n_b/n)·(mean p̂ − mean y)² without its bias: expected to be 0 for a calibrated method, so it may be negative."""

METRICS = (ece, ece_squared)
