"""Schnabel et al. 2016, section 6: how well do naive, IPS and SNIPS estimate a known error?

From any complete score matrix:

    ratings      scores ranked over the whole matrix and cut into 1..5 at the given marginal
    propensity   k for r ≥ 4, k·α^(4 − r) below, k such that a share ``density`` is observed in expectation
    predictions  REC_ONES   the truth, with as many random 1s raised to 5 as there are 5s;  REC_FOURS the same with 4s
                 ROTATED    r − 1, and 5 for r = 1
                 SKEWED     N(r, ((6 − r)/2)²) clipped to [0, 6]
                 COARSENED  3 for r ≤ 3, else 4
    losses       MAE: |r − r̂|;   DCG@k: I·1{rank ≤ k}·r/log2(1 + rank), rank among all items of the user by r̂, ties
                 in random order
    observation  o ~ B(p), drawn again and again

The MAE block depends on the marginal only, the DCG block also on which user has which ratings.

Standard deviations over draws, with e the loss and R its mean over D, in closed form (IPS) or to first order:

    IPS    √(Σ_D e²(1 − p)/p) / |D|
    SNIPS  √(Σ_D (e − R)²(1 − p)/p) / |D|
    naive  √(Σ_D (e − m)²·p(1 − p)) / Σ_D p,   m = Σ_D p·e/Σ_D p, also its mean
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.causal import risk
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array
from upliftlens.causal.worlds.grid import capacity_of, observed_rows

LEVELS = 5


class Spread(NamedTuple):
    """Expected value and standard deviation of an estimate over draws of o."""

    mean: float
    sd: float


class Estimates(NamedTuple):
    """The true mean over D of a loss, and the estimates of it in each draw, f64[draws]."""

    true: float
    naive: np.ndarray
    ips: np.ndarray
    snips: np.ndarray


def rebucket(scores: Array, marginal: Array) -> np.ndarray:
    """Ratings i64[U, I] in 1..5, ordered as the scores are over the whole matrix, with shares ``marginal`` of 1..5.

    Ties in the scores are split in file order.

    Raises:
        UpliftlensError: if the marginal does not name five positive shares that sum to 1, or a score is not finite.
    """
    scores, shares = np.asarray(scores), np.asarray(marginal, np.float64)
    if shares.shape != (LEVELS,) or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-3:
        raise UpliftlensError(f"a rating marginal is {LEVELS} positive shares that sum to 1, got {shares.tolist()}")
    if not np.isfinite(scores).all():
        raise UpliftlensError("a score of the completed matrix is NaN or infinite")
    ends = np.rint(np.cumsum(shares / shares.sum()) * scores.size).astype(int)
    ratings = np.empty(scores.size, np.int64)
    ratings[np.argsort(scores, axis=None, kind="stable")] = np.repeat(
        np.arange(1, LEVELS + 1), np.diff(ends, prepend=0)
    )
    return ratings.reshape(scores.shape)


def exposure(ratings: Array, alpha: float, density: float) -> np.ndarray:
    """p f64[U, I] = k·α^max(0, 4 − r) with mean ``density``.

    Raises:
        UpliftlensError: if ``alpha`` is not in (0, 1], or the density can't be reached, as k would exceed 1.
    """
    if not 0 < alpha <= 1:
        raise UpliftlensError(f"alpha must lie in (0, 1], got {alpha}")
    relative = alpha ** np.maximum(0.0, 4 - np.asarray(ratings, np.float64))
    k = density / relative.mean()
    if not 0 < k <= 1:
        raise UpliftlensError(
            f"a density of {density:g} can't be reached with alpha {alpha:g}: it must lie in (0, {relative.mean():.4g}]"
        )
    return k * relative


def predictions(ratings: Array, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The five prediction matrices f64[U, I] by name.

    Raises:
        UpliftlensError: if there are fewer 1s or 4s than 5s, so that too few can be raised.
    """
    r = np.asarray(ratings, np.float64)
    return {
        "REC_ONES": _raised(r, 1, rng),
        "REC_FOURS": _raised(r, 4, rng),
        "ROTATED": np.where(r == 1, LEVELS, r - 1),
        "SKEWED": np.clip(rng.normal(r, (6 - r) / 2), 0, 6),
        "COARSENED": np.where(r <= 3, 3.0, 4.0),
    }


def _raised(ratings: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    n_top, candidates = int((ratings == LEVELS).sum()), np.flatnonzero(ratings == level)
    if len(candidates) < n_top:
        raise UpliftlensError(
            f"{n_top} ratings of {level} are to be raised to {LEVELS}, but there are {len(candidates)}"
        )
    raised = ratings.copy()
    raised.ravel()[rng.choice(candidates, n_top, replace=False)] = LEVELS
    return raised


def absolute_error(ratings: Array, prediction: Array) -> np.ndarray:
    """|r − r̂|, f64[U, I]: its mean over D is the MAE."""
    return np.abs(np.asarray(ratings, np.float64) - prediction)


def dcg(ratings: Array, prediction: Array, k: int, rng: np.random.Generator) -> np.ndarray:
    """I·1{rank ≤ k}·r/log2(1 + rank), f64[U, I]: its mean over D is the mean of the users' DCG@k.

    rank = 1 for the user's highest prediction; equal predictions are put in a random order.
    """
    ratings = np.asarray(ratings, np.float64)
    order = np.lexsort((rng.random(ratings.shape), -np.asarray(prediction)), axis=1)[:, :k]
    loss = np.zeros(ratings.shape)
    gain = np.take_along_axis(ratings, order, axis=1) / np.log2(np.arange(2, order.shape[1] + 2))
    np.put_along_axis(loss, order, ratings.shape[1] * gain, axis=1)
    return loss


def estimates(
    losses: Mapping[str, Array], propensity: Array, draws: int, rng: np.random.Generator
) -> dict[str, Estimates]:
    """The estimates of ``risk.naive``, ``risk.ips`` and ``risk.snips`` for each loss f[U, I], over draws of o ~ B(p).

    Raises:
        UpliftlensError: if a propensity is not in (0, 1], or a draw observes nothing.
    """
    p = np.asarray(propensity, np.float64).ravel()
    risk.check_propensity(p)
    stacked = np.stack([np.asarray(loss).ravel() for loss in losses.values()])
    capacity = capacity_of(p)
    values = np.empty((draws, 3, len(stacked)))
    for draw in range(draws):
        rows, weight = observed_rows(p, rng, capacity)
        if not weight.any():
            raise UpliftlensError("a draw observed no pair at all: raise the density or take a larger world")
        values[draw] = _estimate(stacked[:, rows], p[rows], weight.astype(np.float32), n_pairs=p.size)
    return {
        name: Estimates(float(stacked[at].mean()), *(values[:, estimator, at] for estimator in range(3)))
        for at, name in enumerate(losses)
    }


@partial(jax.jit, static_argnames="n_pairs")
def _estimate(losses: Array, propensity: Array, weight: Array, n_pairs: int) -> Array:
    """f[3, L] for losses f[L, N]: naive, ips, snips."""
    over_losses = [jax.vmap(e, in_axes=(0, None, None, None)) for e in (risk.naive, risk.ips, risk.snips)]
    return jnp.stack([estimator(losses, propensity, float(n_pairs), weight) for estimator in over_losses])


def spreads(loss: Array, propensity: Array) -> dict[str, Spread]:
    """Mean and standard deviation over draws of "naive", "ips" and "snips" for a loss f[U, I], without drawing."""
    e, p = np.asarray(loss, np.float64), np.asarray(propensity, np.float64)
    true, variance = float(e.mean()), (1 - p) / p
    seen = float((p * e).sum() / p.sum())
    return {
        "naive": Spread(seen, float(np.sqrt(((e - seen) ** 2 * p * (1 - p)).sum()) / p.sum())),
        "ips": Spread(true, float(np.sqrt((e**2 * variance).sum()) / e.size)),
        "snips": Spread(true, float(np.sqrt(((e - true) ** 2 * variance).sum()) / e.size)),
    }
