"""What a recommendation list changes: measured against a world's truth, and estimated from a log.

Every function returns sums per user; a reduction turns their total over users into the value, so that a resample of
users recomputes ratios (``causal.intervals``). For a user u with list L_u (items that may not be recommended left out):

    CP@N  = mean over users of (1/|L_u|) Σ_{i∈L_u} τ_ui
    CDCG  = mean over users of Σ_i τ_ui / log2(1 + rank_ui)              over all ranked items
    CAR   = mean over users of the mean over ranked items of τ_ui·rank_ui     (lower is better)
    V(π)  = mean over users of Σ_i π(i|u) τ_ui

With τ = Y^T − Y^C of one draw instead of μ1 − μ0 they are the metrics ``…/realised``; with the τ of a frozen
semi-synthetic world, ``…/semi`` (Sato et al. 2019, 2020). From a log, with a weight w per row (1 in L and 0 outside
for uplift@N; π(i|u) for the policy value) and e clipped to e ≥ χ where Z = 1, e ≤ 1 − χ where Z = 0 (the log's
``propensity``, P(what was done), to at least χ):

    naive  Σ wZY/Σ wZ − Σ w(1−Z)Y/Σ w(1−Z)
    IPS    [Σ wZY/e − Σ w(1−Z)Y/(1−e)] / Σ w
    SNIPS  Σ(wZY/e)/Σ(wZ/e) − Σ(w(1−Z)Y/(1−e))/Σ(w(1−Z)/(1−e))
    DR     Σ w[m1 + Z(Y−m1)/e − m0 − (1−Z)(Y−m0)/(1−e)] / Σ w

Sums run over the rows of all users (pooled). All four are a treated ratio minus a control ratio: a user's sums are
f64[U, 4] = treated numerator, treated denominator, control numerator, control denominator. Each arm is a risk estimator
of ``causal.risk`` whose loss is the outcome: O is the arm's rows with weight wZ or w(1 − Z) and propensity e or 1 − e,
D all rows with weight w. DR is its doubly robust form with ê = m1 or m0.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from upliftlens.causal import risk
from upliftlens.causal.effects.treatment import overlap
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.intervals import mean_of, quotient, ratio


def arm_difference(totals: np.ndarray) -> np.ndarray:
    """totals[0]/totals[1] − totals[2]/totals[3]: the reduction of the estimators' sums f64[U, 4].

    NaN where one of the arms is empty.
    """
    return quotient(totals[:2]) - quotient(totals[2:])


def causal_precision(tau: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """CP@N: sums f64[U, 2] for ``quotient``; ``tau`` f[U, I], ``lists`` i[U, N] items, −1 where a list ends."""
    shown = lists >= 0
    length = shown.sum(axis=1)
    effect = np.where(shown, np.take_along_axis(tau, np.maximum(lists, 0), axis=1), 0.0).sum(axis=1, dtype=np.float64)
    return mean_of(ratio(effect, length.astype(np.float64)), length > 0)


def causal_dcg(tau: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """CDCG: sums f64[U, 2] for ``quotient``; ``rank`` i[U, I] from 1, 0 where an item isn't ranked."""
    ranked = rank > 0
    discount = np.divide(1.0, np.log2(1.0 + rank), out=np.zeros(rank.shape), where=ranked)
    return mean_of((tau * discount).sum(axis=1), ranked.sum(axis=1) > 0)


def causal_average_rank(tau: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """CAR: sums f64[U, 2] for ``quotient``; lower is better. ``rank`` as in ``causal_dcg``."""
    count = (rank > 0).sum(axis=1).astype(np.float64)
    return mean_of(ratio((tau.astype(np.float64) * rank).sum(axis=1), count), count > 0)


def uniform_policy(lists: np.ndarray, n_items: int) -> np.ndarray:
    """π f64[U, n_items]: uniform over each user's list i[U, N] (−1 where it ends); zeros where a list is empty."""
    member = membership(lists, n_items).astype(np.float64)
    return np.divide(member, member.sum(axis=1, keepdims=True), out=member, where=member > 0)


def logged_policy(e: np.ndarray) -> np.ndarray:
    """π f64[U, I] of the logging policy: an item's share e/Σ_i e of what the user is expected to be recommended."""
    e = e.astype(np.float64)
    total = e.sum(axis=1, keepdims=True)
    return np.divide(e, total, out=np.zeros(e.shape), where=total > 0)


def membership(lists: np.ndarray, n_items: int) -> np.ndarray:
    """bool[U, n_items]: whether an item is in the user's list i[U, N] (−1 where it ends)."""
    member = np.zeros((len(lists), n_items), bool)
    user, place = np.nonzero(lists >= 0)
    member[user, lists[user, place]] = True
    return member


def row_weights(log: Interactions, per_pair: np.ndarray) -> np.ndarray:
    """f64[N]: the entry of ``per_pair`` [U, I] (membership, or a policy) of every logged row."""
    return per_pair[log.user, log.item].astype(np.float64)


def _usable(log: Interactions, weight: np.ndarray) -> np.ndarray:
    return np.where(overlap(log).usable, weight, 0.0)


def inverse_propensity(log: Interactions, chi: float) -> np.ndarray:
    """f64[N]: 1/max(e, χ) where treated, 1/max(1 − e, χ) where not; 0 where there is no overlap.

    Raises:
        UpliftlensError: if χ is not in [0, 1), or no row has overlap.
    """
    ones = np.ones(len(log))
    return _clipped(chi).terms(ones, log.propensity, _usable(log, ones)).numerator


def _clipped(chi: float) -> risk.WeightedRisk:
    if not 0 <= chi < 1:
        raise UpliftlensError(f"the clipping constant chi must lie in [0, 1), got {chi}")
    return risk.clipped_ips(chi) if chi else risk.ips


def _per_user(log: Interactions, columns: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([np.bincount(log.user, column, minlength=log.n_users) for column in columns], axis=1)


ESTIMATORS = ("naive", "ips", "snips", "dr")


def estimate(
    name: str,
    log: Interactions,
    weight: np.ndarray,
    chi: float,
    m1: np.ndarray | float | None = None,
    m0: np.ndarray | float | None = None,
) -> np.ndarray:
    """Sums f64[U, 4] of one of ``ESTIMATORS`` by its name; see the module for the formulas.

    naive  the difference of mean outcomes: biased wherever what is recommended depends on taste; ``chi`` is not read
    ips    unbiased for χ = 0 and true propensities
    snips  consistent, biased by O(1/n), and never outside of [−1, 1]
    dr     for χ = 0 unbiased if either the propensities or the predictions are right (Robins et al. 1994). ``m1``,
           ``m0`` f[N] predict Y^T and Y^C and were not fitted to this log's outcomes; the others don't read them

    Raises:
        UpliftlensError: if there is no such estimator, χ is not in [0, 1), or no row has overlap.
    """
    if name not in ESTIMATORS:
        raise unknown("estimator", name, ESTIMATORS)
    estimator = risk.naive if name == "naive" else _clipped(chi)
    if name == "snips":
        estimator = replace(estimator, self_normalised=True)
    if name != "dr":
        m1 = m0 = 0.0
    assert m1 is not None and m0 is not None, "dr needs predicted outcomes"
    usable = _usable(log, weight)
    columns: list[np.ndarray] = []
    for arm, predicted in ((log.treated, m1), (~log.treated, m0)):
        terms = estimator.terms(log.value - predicted, log.propensity, usable * arm)
        columns += [usable * predicted + terms.numerator, usable if terms.denominator is None else terms.denominator]
    return _per_user(log, columns)


def per_user_mean(sums: np.ndarray) -> np.ndarray:
    """Sums f64[U, 2] of the mean over users of a user's arm difference, from sums f64[U, 4].

    The ``/user-mean`` of Sato et al. (2019), for comparison with papers: a user without rows in both arms drops out,
    which biases it.
    """
    difference = arm_difference(sums.T)
    return mean_of(difference, np.isfinite(difference))


def true_uplift(log: Interactions, weight: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Sums f64[U, 2] for ``quotient``: Σ wτ / Σ w over the rows with overlap: what the estimators estimate."""
    usable = _usable(log, weight)
    return _per_user(log, (usable * tau[log.user, log.item], usable))
