"""Uplift learners as weighted training rows: what a pointwise or pairwise loss is summed over.

Every learner here is a transformation of the log. With s the score, x_uij = s_ui − s_uj, and the losses of
``causal.losses`` (logistic(s, y) = softplus(s) − y·s, so that y = 1 gives softplus(−s) and y = 0 gives softplus(s)):

    DLCE   w = Y·(Z/e − (1−Z)/(1−e)), capped     Σ |w|·logistic(x_uij, 1{w > 0}), j a random item     (Sato et al. 2020)
    BLCE   w = Y·(Z − (1−Z))                     the same without inverse propensities
    DLTO   w = Y·Z/e, capped                     the same, treated rows only
    ULRMF  Σ logistic(s_ui, label_ui)            label = P(the row counts as a positive), pointwise  (Sato et al. 2019)
    ULBPR  Σ logistic(x_uij, 1)                  i a positive and j a negative row of the same user  (Sato et al. 2019)

ULRMF and ULBPR count as positive what was recommended and bought and, with probability α, what was neither; everything
else is negative. ULRMF's loss is linear in its label, so the expectation over that coin is exact and nothing is drawn.
"""

from typing import NamedTuple

import numpy as np

from upliftlens.causal.treatment import UpliftLog
from upliftlens.causal.uplift import inverse_propensity


class Rows(NamedTuple):
    """Training rows for a pointwise loss, or for a pairwise one with a random item as the other of the pair.

    ``user``, ``item`` i32[M]; ``target`` f32[M] in [0, 1] is the loss's second argument; ``weight`` f32[M] > 0.
    """

    user: np.ndarray
    item: np.ndarray
    target: np.ndarray
    weight: np.ndarray


class Triples(NamedTuple):
    """Training triples i32[M]: ``item`` is to be ranked before ``negative``."""

    user: np.ndarray
    item: np.ndarray
    negative: np.ndarray


def _signed(log: UpliftLog, weight: np.ndarray) -> Rows:
    kept = np.flatnonzero(weight)
    if not len(kept):
        raise ValueError("the log has no row with an outcome above 0 that this learner could use")
    signed = weight[kept].astype(np.float32)
    return Rows(log.user[kept], log.item[kept], (signed > 0).astype(np.float32), np.abs(signed))


def dlce(log: UpliftLog, chi: float) -> Rows:
    """DLCE's rows; |w| is at most Y/χ. Rows without overlap are left out.

    Raises:
        ValueError: if χ is not in [0, 1), no row has overlap, or no row with overlap has an outcome above 0.
    """
    return _signed(log, log.outcome * np.where(log.treated, 1, -1) * inverse_propensity(log, chi))


def blce(log: UpliftLog) -> Rows:
    """BLCE's rows: DLCE without propensities, so rows without overlap stay in.

    Raises:
        ValueError: if no row has an outcome above 0.
    """
    return _signed(log, log.outcome * np.where(log.treated, 1, -1))


def dlto(log: UpliftLog, chi: float) -> Rows:
    """DLTO's rows: the treated ones of ``dlce``; the same errors."""
    return _signed(log, log.outcome * log.treated * inverse_propensity(log, chi))


def positive_probability(treated: np.ndarray, outcome: np.ndarray, alpha: float) -> np.ndarray:
    """f32[N], P(positive): Y where treated, α·(1 − Y) where not.

    Raises:
        ValueError: if α lies outside of [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
    return np.where(treated, outcome, alpha * (1 - outcome)).astype(np.float32)


def ulrmf(log: UpliftLog, alpha: float) -> Rows:
    """ULRMF's rows: every logged row with weight 1, its label in expectation over the α coin."""
    label = positive_probability(log.treated, log.outcome, alpha)
    return Rows(log.user, log.item, label, np.ones(len(log), np.float32))


def ulbpr(log: UpliftLog, alpha: float, n: int, rng: np.random.Generator) -> Triples:
    """``n`` draws of ULBPR's triples; those of users without a negative row are left out.

    A positive row is drawn over the whole log in proportion to P(positive), then a negative one of that user in
    proportion to 1 − P(positive): every draw flips the α coins anew.

    Raises:
        ValueError: if no row can be positive.
    """
    order = np.argsort(log.user, kind="stable")
    user, item = log.user[order], log.item[order]
    positive = positive_probability(log.treated, log.outcome, alpha)[order].astype(np.float64)
    mass = np.cumsum(positive)
    if not mass[-1] > 0:
        raise ValueError("no row of the log can count as a positive: nothing recommended was taken, and alpha is 0")
    first = np.minimum(np.searchsorted(mass, rng.random(n) * mass[-1], side="right"), len(mass) - 1)
    negative_mass = np.cumsum(1 - positive)
    edges = np.searchsorted(user, np.arange(log.n_users + 1))
    total = np.concatenate([[0.0], negative_mass])[edges]
    low, high = total[user[first]], total[user[first] + 1]
    second = np.searchsorted(negative_mass, low + rng.random(n) * (high - low), side="right")
    # Rounding could carry a draw at the very end of a user's stretch into the next one.
    second = np.clip(second, edges[user[first]], edges[user[first] + 1] - 1)
    kept = high > low
    return Triples(user[first][kept], item[first][kept], item[second][kept])
