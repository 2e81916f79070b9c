"""Qini and uplift curves over the pooled ranking of all logged rows, and the areas under them.

Rows of all users are ranked together by score. Over the first share q of them, n_T, n_C are the weights of treated and
control rows, Y_T, Y_C their weighted outcomes:

    Qini(q)   = Y_T − Y_C·n_T/n_C                        (Radcliffe 2007; weighted outcomes)
    uplift(q) = q·(Y_T/n_T − Y_C/n_C)                    (Jaskowski & Jaroszewicz 2012; effect per row of the log)
    AUUC      = ∫ uplift dq − uplift(1)/2                the random line is q·uplift(1)
    Qini area = (∫ Qini dq − Qini(1)/2) / n_T(1)

An arm without a row so far counts with mean outcome 0. With weight 1 the curves compare raw means and are confounded
wherever exposure depends on taste; with weight 1/e and 1/(1−e) (``uplift.inverse_propensity``) they are debiased.
The curve has a point after each of ``points`` equal shares of the ranking; rows of equal score are never parted.
"""

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.intervals import ratio

COLUMNS = 5  # rows, treated weight, treated outcome, control weight, control outcome


def groups(score: np.ndarray, points: int) -> np.ndarray:
    """i64[N] in [0, points): which share of the pooled ranking, best first, each row falls into.

    A row's place is that of the last row with its score, so ties share a group and the order of rows doesn't matter.

    Raises:
        UpliftlensError: if a score is NaN, or there is no row.
    """
    if not len(score) or np.isnan(score).any():
        raise UpliftlensError(f"the {len(score)} scores must be at least one and none NaN")
    order = np.argsort(score)
    ranked, at = score[order], np.arange(len(score))
    starts = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    place = np.empty(len(score), np.int64)
    place[order] = len(score) - np.maximum.accumulate(np.where(starts, at, 0))
    return -(-place * points // len(score)) - 1


def curve_sums(log: Interactions, group: np.ndarray, weight: np.ndarray, points: int) -> np.ndarray:
    """f64[U, 5·points]: per user and group, for ``auuc`` and ``qini_area``; ``weight`` f[N], 0 leaves a row out."""
    treated, control = weight * log.treated, weight * ~log.treated
    counted = (weight > 0).astype(np.float64)
    return _per_cell(log, group, points, (counted, treated, treated * log.value, control, control * log.value))


def true_sums(log: Interactions, group: np.ndarray, tau: np.ndarray, points: int) -> np.ndarray:
    """f64[U, 5·points], the truth in the shape of ``curve_sums``: each row counts in both arms, with outcomes τ and 0.

    Its uplift curve is q·(mean true effect of the first q), its AUUC the true one.
    """
    ones = np.ones(len(log))
    effect = tau[log.user, log.item].astype(np.float64)
    return _per_cell(log, group, points, (ones, ones, effect, ones, np.zeros(len(log))))


def _per_cell(log: Interactions, group: np.ndarray, points: int, columns: tuple[np.ndarray, ...]) -> np.ndarray:
    cell = log.user * np.int64(points) + group
    sums = [np.bincount(cell, column, minlength=log.n_users * points) for column in columns]
    return np.concatenate([column.reshape(log.n_users, points) for column in sums], axis=1)


def _cumulated(totals: np.ndarray) -> tuple[np.ndarray, ...]:
    """Totals f64[5·G, R] -> share, treated weight, treated mean, control mean: f64[G + 1, R] each, from 0."""
    columns = totals.reshape(COLUMNS, -1, totals.shape[1])
    sums = np.concatenate([np.zeros_like(columns[:, :1]), columns], axis=1).cumsum(axis=1)
    rows, n_treated, y_treated, n_control, y_control = sums
    means = [np.nan_to_num(ratio(y, n)) for y, n in ((y_treated, n_treated), (y_control, n_control))]
    return ratio(rows, np.broadcast_to(rows[-1], rows.shape)), n_treated, means[0], means[1]


def _area_over_random(share: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.trapezoid(value, share, axis=0) - 0.5 * value[-1]


def uplift_curves(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Totals f64[5·G, R] of ``curve_sums`` -> share and value of R uplift curves, f64[G + 1, R] each."""
    share, _, treated, control = _cumulated(totals)
    return share, share * (treated - control)


def qini_curves(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Totals f64[5·G, R] of ``curve_sums`` -> share and value of R Qini curves, f64[G + 1, R] each."""
    share, n_treated, treated, control = _cumulated(totals)
    return share, n_treated * (treated - control)


def auuc(totals: np.ndarray) -> np.ndarray:
    """Reduction f64[5·G, R] -> f64[R] of ``curve_sums``: area under the uplift curve minus the random line's."""
    return _area_over_random(*uplift_curves(totals))


def qini_area(totals: np.ndarray) -> np.ndarray:
    """Reduction f64[5·G, R] -> f64[R] of ``curve_sums``: area over the random line, per treated weight."""
    share, value = qini_curves(totals)
    return ratio(_area_over_random(share, value), totals.reshape(COLUMNS, -1, totals.shape[1])[1].sum(axis=0))
