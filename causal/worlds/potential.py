"""Worlds with known potential outcomes: for every pair, what happens with a recommendation and what without."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from upliftlens.causal.effects.treatment import checked_log
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.interactions import Interactions


@dataclass(frozen=True)
class PotentialWorld:
    """The truth about U users × I items; host-side arrays f32[U, I] with values in [0, 1].

    ``mu1`` = P(Y^T = 1), ``mu0`` = P(Y^C = 1), ``propensity`` e = P(Z = 1), the probability that the logging policy
    recommends the pair. ``recorded`` is the propensity that a log reports: e itself, unless confounding is hidden.
    """

    mu1: np.ndarray
    mu0: np.ndarray
    propensity: np.ndarray
    recorded: np.ndarray

    @property
    def tau(self) -> np.ndarray:
        """τ = μ1 − μ0, f32[U, I]: what recommending changes."""
        return self.mu1 - self.mu0


def potential_world(
    mu1: np.ndarray, mu0: np.ndarray, propensity: np.ndarray, recorded: np.ndarray | None = None
) -> PotentialWorld:
    """A checked world; ``recorded`` defaults to the true propensity.

    Raises:
        UpliftlensError: if the shapes differ or a probability lies outside of [0, 1].
    """
    parts = {"mu1": mu1, "mu0": mu0, "propensity": propensity, "recorded": propensity if recorded is None else recorded}
    arrays = {name: np.asarray(part, np.float32) for name, part in parts.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or arrays["mu1"].ndim != 2:
        raise UpliftlensError(f"mu1, mu0 and the propensities must share one [users, items] shape, got {shapes}")
    for name, array in arrays.items():
        if not ((array >= 0) & (array <= 1)).all():
            raise UpliftlensError(f"{name} must lie in [0, 1], got values from {array.min()} to {array.max()}")
    return PotentialWorld(**arrays)


def fingerprint(world: PotentialWorld) -> str:
    """sha256 over the shape and the bytes of all four arrays."""
    digest = sha256(repr(world.mu1.shape).encode())
    for array in (world.mu1, world.mu0, world.propensity, world.recorded):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def ranks(scores: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """i32[U, I]: 1 for the best-scored item of each row; 0 where the score is −∞, which means: not ranked.

    ``tie`` i[I]: the place of each item among items of equal score; smaller is better.
    """
    by_tie = np.argsort(tie)
    order = by_tie[np.argsort(-scores[:, by_tie], axis=1, kind="stable")]
    rank = np.empty(scores.shape, np.int32)
    np.put_along_axis(rank, order, np.arange(1, scores.shape[1] + 1, dtype=np.int32)[None, :], axis=1)
    rank[np.isneginf(scores)] = 0
    return rank


EXPOSURES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "log-rank": lambda rank, b: 1.0 / np.log2(rank + 1.0) ** b,  # the ML-100K world of Sato et al. (2020)
    "rank": lambda rank, b: 1.0 / np.asarray(rank, np.float64) ** b,  # their ML-1M world
}
"""Exposure by rank, up to scale; b is the strength, 0 a randomised policy."""


def rescaled(exposure: np.ndarray, per_user: float, floor: float, cap: float) -> np.ndarray:
    """f32[U, I]: clip(c·exposure, floor, cap), with c such that the mean user gets ``per_user`` recommendations.

    This is the limit of "rescale, clip, repeat": clipping moves recommendations to the pairs below the cap. The
    expected number grows with c, so bisection gives c, to the precision of a double.

    Args:
        exposure: f[U, I], positive, up to scale.
        per_user: requested mean over users of Σ_i e.
        floor: smallest propensity of any pair.
        cap: largest; 1 lets pairs be recommended always, which leaves them without overlap.

    Raises:
        UpliftlensError: if no scale can reach ``per_user`` between floor and cap, or an exposure is 0 or infinite.
    """
    n_items = exposure.shape[1]
    if not floor * n_items < per_user < cap * n_items:
        raise UpliftlensError(
            f"{per_user} recommendations per user cannot be reached with {n_items} items and propensities "
            f"between {floor} and {cap}"
        )

    if not ((exposure > 0) & np.isfinite(exposure)).all():
        raise UpliftlensError("the exposure of some pairs is 0 or infinite: lower exponent or confounding")

    def mean_count(scale: float) -> float:
        return float(np.clip(scale * exposure, floor, cap).sum() / len(exposure))

    low, high = 0.0, 1.0
    while mean_count(high) < per_user:
        low, high = high, 2 * high
    while (middle := 0.5 * (low + high)) not in (low, high):
        low, high = (middle, high) if mean_count(middle) < per_user else (low, middle)
    return np.clip(high * exposure, floor, cap).astype(np.float32)


def exposure_by_rank(
    preference: np.ndarray, rule: str, b: float, per_user: float, floor: float, cap: float
) -> np.ndarray:
    """The logging policy f32[U, I] that recommends by each user's rank of ``preference``, best first.

    Raises:
        UpliftlensError: if ``rule`` is not one of ``EXPOSURES``, or ``per_user`` cannot be reached.
    """
    if rule not in EXPOSURES:
        raise unknown("exposure rule", rule, EXPOSURES)
    # Every row holds the same numbers in another order: scale the sequence once, then look it up by rank.
    by_rank = EXPOSURES[rule](np.arange(1, preference.shape[1] + 1), b)
    rank = ranks(preference, np.arange(preference.shape[1]))
    return rescaled(by_rank[None, :], per_user, floor, cap)[0][rank - 1]


def _sampled(world: PotentialWorld, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z, Y^T, Y^C: bool[U, I] each."""
    rng = np.random.default_rng(seed)
    shape = world.mu1.shape
    treated = rng.random(shape, np.float32) < world.propensity
    with_it = rng.random(shape, np.float32) < world.mu1
    return treated, with_it, rng.random(shape, np.float32) < world.mu0


def draw(world: PotentialWorld, seed: int) -> Interactions:
    """One log of the world over all its pairs, in row-major order: user 0's items, then user 1's, ...

    Z ~ B(e), Y^T ~ B(μ1), Y^C ~ B(μ0), independent; Y = Z·Y^T + (1 − Z)·Y^C. Only Z, Y and the recorded propensity
    are in the log. Train, validation and test are three draws with three seeds.
    """
    treated, with_it, without = _sampled(world, seed)
    n_users, n_items = world.mu1.shape
    return checked_log(
        np.repeat(np.arange(n_users, dtype=np.int32), n_items),
        np.tile(np.arange(n_items, dtype=np.int32), n_users),
        treated.ravel(),
        np.where(treated, with_it, without).ravel(),
        world.recorded.ravel(),
        n_users,
        n_items,
    )


def realised(world: PotentialWorld, seed: int) -> np.ndarray:
    """f32[U, I]: Y^T − Y^C of the draw with that seed, what recommending each pair would have changed in it."""
    _, with_it, without = _sampled(world, seed)
    return with_it.astype(np.float32) - without.astype(np.float32)
