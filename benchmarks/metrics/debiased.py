"""Debiased values of pair-decomposable metrics on a test log that is missing not at random.

With e the error of a test pair, p = P(the pair is in the test log), D all users × items:

    rmse/ips    √(Σ (e/p) / |D|)           rmse/snips    √(Σ (e/p) / Σ (1/p))            e = (r − clip(r̂))²
    mae/…, logloss/…, brier/…              the same without the root, with the errors of ``metrics.pairs``

They estimate what the plain metric would be over all pairs, if p is right: the record's diagnostics tell.
The sums are those of ``causal.risk`` by user, so that every resample of users is a ratio of its own.
"""

from collections.abc import Callable

import numpy as np

from upliftlens.benchmarks.metrics.metric import Metric, Pairs, quotient
from upliftlens.benchmarks.metrics.pairs import absolute_errors, brier, brier_errors, log_errors, logloss, mae, rmse
from upliftlens.benchmarks.metrics.pairs import squared_errors as squared
from upliftlens.causal.risk import check_propensity

Errors = Callable[[Pairs], np.ndarray]


def _sums(errors: Errors, self_normalised: bool) -> Callable[[Pairs, float], np.ndarray]:
    def sums(pairs: Pairs, cutoff: float) -> np.ndarray:
        check_propensity(pairs.propensity)
        inverse = 1 / np.asarray(pairs.propensity, np.float64)
        numerator = np.bincount(pairs.row, inverse * errors(pairs), pairs.n_users)
        if self_normalised:
            return np.stack([numerator, np.bincount(pairs.row, inverse, pairs.n_users)], axis=1)
        # D is shared out equally, so that it grows with the number of users that a resample draws.
        return np.stack([numerator, np.full(pairs.n_users, pairs.n_pairs / pairs.n_users)], axis=1)

    return sums


def _weighted(plain: Metric, errors: Errors, self_normalised: bool) -> Metric:
    return plain._replace(
        name=f"{plain.name}/{'snips' if self_normalised else 'ips'}",
        sums=_sums(errors, self_normalised),
        reduce=plain.reduce if plain.name == "rmse" else quotient,
        limits=(0.0, np.inf),
        weighted=True,
    )


METRICS = tuple(
    _weighted(plain, errors, self_normalised)
    for plain, errors in ((rmse, squared), (mae, absolute_errors), (logloss, log_errors), (brier, brier_errors))
    for self_normalised in (False, True)
)
