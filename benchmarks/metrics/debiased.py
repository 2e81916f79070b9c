"""Debiased values of pair-decomposable metrics on a test log that is missing not at random.

With e the error of a test pair, p = P(the pair is in the test log), D all users × items, O the test log:

    rmse/ips        √(Σ_O (e/p) / |D|)                        e = (r − clip(r̂))²
    rmse/snips      √(Σ_O (e/p) / Σ_O (1/p))
    rmse/clipped    √(Σ_O (e/max(p, floor)) / |D|)            floor: ``metrics.debiased.floor``
    rmse/eib        √(mean_D ê + Σ_O (e − ê)/|D|)             needs no p
    rmse/dr         √(mean_D ê + Σ_O ((e − ê)/p) / |D|)
    rmse/sndr       √(mean_D ê + Σ_O ((e − ê)/p) / Σ_O (1/p))
    rmse/stable-dr  √(Σ_O (e/p') / Σ_O (1/p'))               Σ_O (ê − mean_D ê)/p' = 0
    mae/*           as rmse/*, without the root: e = |r − clip(r̂)|
    brier/*         as rmse/*, without the root: e = (y − p̂)²
    logloss/*       as rmse/*, without the root: e = −[y ln p̂ + (1 − y) ln(1 − p̂)]

They estimate the plain metric over all pairs, if p is right (eib: if ê is right; dr, sndr: if one of the two is). The
record's diagnostics judge p. The sums are those of ``causal.risk`` by user, with NumPy in float64, so that numerator,
denominator and each user's part of Σ_D ê are recomputed in every resample of users. |D| and the ê of users without a
test row are divided equally among the test users. StableDR's p' is solved for once, on the whole test log, and kept in
resamples.

Where the propensity is trimmed (``propensity.trim``) the weighted ones are sums over the pairs that are kept, K, and
estimate the plain metric over all of these; eib stays one over D. |K_u| differs by user, so K is not divided equally:
each test user brings |K_u| of his own; only the pairs of users without a test row are divided equally.

ê is the expected error of the prediction r̂ under the outcome model ``causal.effects.outcome_means.additive_means``,
fitted to the method's training rows: values N(g, σ²), with (g − r̂)² + σ² and E|N(g − r̂, σ²)|; labels with
probability g clipped to [0, 1]. A doubly-robust estimate of a positive mean may be negative; its root is undefined.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import erf

from upliftlens.benchmarks.metrics import pairs as plain_metrics
from upliftlens.benchmarks.metrics.metric import Imputed, Metric, Pairs, quotient
from upliftlens.causal import risk
from upliftlens.causal.intervals import ratio

_BLOCK = 1_000_000  # pairs of D whose imputed errors are held at once


class _Kind(NamedTuple):
    """A metric's errors: ``observed(pairs)`` f64[N]; ``expected(r̂, g, σ)`` for values N(g, σ²) or labels of mean g."""

    plain: Metric
    observed: Callable[[Pairs], np.ndarray]
    expected: Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def _expected_absolute(prediction: np.ndarray, mean: np.ndarray, sd: float) -> np.ndarray:
    """The mean of a folded normal."""
    gap = np.abs(mean - prediction)
    if sd == 0:
        return gap
    return sd * np.sqrt(2 / np.pi) * np.exp(-((gap / sd) ** 2) / 2) + gap * erf(gap / (sd * np.sqrt(2)))


def _expected_log(prediction: np.ndarray, mean: np.ndarray, sd: float) -> np.ndarray:
    share = np.clip(mean, 0, 1)
    p = np.clip(prediction, plain_metrics.LOWEST_PROBABILITY, 1 - plain_metrics.LOWEST_PROBABILITY)
    return -share * np.log(p) - (1 - share) * np.log1p(-p)


def _expected_brier(prediction: np.ndarray, mean: np.ndarray, sd: float) -> np.ndarray:
    share = np.clip(mean, 0, 1)
    return share * (1 - prediction) ** 2 + (1 - share) * prediction**2


_KINDS = (
    _Kind(
        plain_metrics.rmse, plain_metrics.squared_errors, lambda prediction, mean, sd: (mean - prediction) ** 2 + sd**2
    ),
    _Kind(plain_metrics.mae, plain_metrics.absolute_errors, _expected_absolute),
    _Kind(plain_metrics.logloss, plain_metrics.log_errors, _expected_log),
    _Kind(plain_metrics.brier, plain_metrics.brier_errors, _expected_brier),
)


def _by_user(estimator: risk.WeightedRisk, errors: np.ndarray, p: np.ndarray | None, pairs: Pairs) -> np.ndarray:
    """Numerator and denominator of each test user, f64[U, 2]."""
    terms = estimator.terms(np.asarray(errors, np.float64), None if p is None else np.asarray(p, np.float64))
    return np.stack(risk.by_user(terms, pairs.row, pairs.n_users, pairs.pairs_per_user), axis=1)


def _weighted_sums(kind: _Kind, name: str, pairs: Pairs, cutoff: float) -> np.ndarray:
    estimator = risk.snips if name == "snips" else risk.ips
    if name == "clipped":
        assert pairs.options is not None
        estimator = risk.clipped_ips(pairs.options.floor)
    return _by_user(estimator, kind.observed(pairs), pairs.propensity, pairs)


def _imputed_errors(kind: _Kind, known: Imputed) -> tuple[np.ndarray, np.ndarray]:
    """ê of the test pairs f64[N], and each test user's part of Σ_D ê, f64[U]."""
    n_users, n_items = known.prediction.shape
    low, high = known.pairs.scale if "rating" in kind.plain.links else (0.0, 1.0)

    def expected(prediction: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return kind.expected(np.clip(np.asarray(prediction, np.float64), low, high), mean, known.outcome.sd)

    errors = expected(known.pairs.prediction, known.outcome.of(known.users[known.pairs.row], known.item))
    total, step = np.empty(n_users), max(1, _BLOCK // n_items)
    for start in range(0, n_users, step):
        users = np.arange(start, min(start + step, n_users))
        means = known.outcome.of(users[:, None], np.arange(n_items))
        counted = True if known.kept is None else known.kept.everywhere(users)
        total[users] = expected(known.prediction[users], means).sum(axis=1, where=counted)
    tested = total[known.users]
    return errors, tested + (total.sum() - tested.sum()) / len(tested)


def _imputed_sums(kind: _Kind, name: str, known: Imputed, cutoff: float) -> np.ndarray:
    pairs = known.pairs
    errors, p = kind.observed(pairs), pairs.propensity
    imputed, everywhere = _imputed_errors(kind, known)
    if name == "stable-dr":
        risk.check_propensity(p)
        balanced = risk.balanced_propensity(np.asarray(p, np.float64), imputed, everywhere.sum() / pairs.n_pairs)
        if not np.isfinite(balanced).all():  # no p' balances these errors
            return np.full((pairs.n_users, 2), np.nan)
        return _by_user(risk.snips, errors, balanced, pairs)
    estimator = {"eib": risk.observed_part, "dr": risk.ips, "sndr": risk.snips}[name]
    n_pairs = np.full(pairs.n_users, pairs.pairs_per_user)
    return np.column_stack([everywhere, n_pairs, _by_user(estimator, errors - imputed, p, pairs)])


def _robust(totals: np.ndarray) -> np.ndarray:
    """mean_D ê and the correction, from totals f64[4, R]."""
    return ratio(totals[0], totals[1]) + ratio(totals[2], totals[3])


def _root(reduce: Callable[[np.ndarray], np.ndarray], totals: np.ndarray) -> np.ndarray:
    result = reduce(totals)
    return np.sqrt(np.where(result >= 0, result, np.nan))


def _metric(kind: _Kind, name: str) -> Metric:
    weighed = name in ("ips", "snips", "clipped")
    reduce = quotient if weighed or name == "stable-dr" else _robust
    rooted = kind.plain.name == "rmse"
    return kind.plain._replace(
        name=f"{kind.plain.name}/{name}",
        evidence="pairs" if weighed else "imputed",
        sums=partial(_weighted_sums if weighed else _imputed_sums, kind, name),
        reduce=partial(_root, reduce) if rooted else reduce,
        kind="recomputed" if reduce is _robust else kind.plain.kind,
        limits=(-np.inf if name in ("dr", "sndr") and not rooted else 0.0, np.inf),
        weighted=name != "eib",
        by_pair="no" if not weighed else "all" if name == "snips" else "numerator",
        reads=None if name in ("ips", "snips") else "debiased",
    )


ESTIMATORS = ("ips", "snips", "clipped", "eib", "dr", "sndr", "stable-dr")
METRICS = tuple(_metric(kind, name) for kind in _KINDS for name in ESTIMATORS)
