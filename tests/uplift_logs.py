"""Tiny worlds and logs for the uplift tests."""

import numpy as np

from upliftlens.causal.potential import PotentialWorld, potential_world
from upliftlens.causal.treatment import UpliftLog


def log_of(
    treated: np.ndarray, outcome: np.ndarray, propensity: np.ndarray, logged: np.ndarray | None = None
) -> UpliftLog:
    """An unchecked log from [U, I] matrices: enumerations also meet logs without a treated row."""
    user, item = np.nonzero(np.ones(treated.shape) if logged is None else logged)
    return UpliftLog(
        user.astype(np.int32),
        item.astype(np.int32),
        treated[user, item].astype(bool),
        outcome[user, item].astype(np.float32),
        propensity[user, item].astype(np.float32),
        *treated.shape,
    )


def random_world(n_users: int, n_items: int, seed: int) -> PotentialWorld:
    """Exposure follows μ0, so that raw means are confounded."""
    rng = np.random.default_rng(seed)
    mu0 = rng.uniform(0.05, 0.9, (n_users, n_items))
    mu1 = np.clip(mu0 + rng.normal(0.1, 0.3, mu0.shape), 0.02, 0.98)
    return potential_world(mu1, mu0, 0.1 + 0.8 * mu0)


def random_log(n_users: int, n_items: int, seed: int, share: float = 0.8) -> tuple[UpliftLog, PotentialWorld]:
    """A draw of ``random_world`` of which only ``share`` of the pairs are logged, and some have no overlap."""
    world = random_world(n_users, n_items, seed)
    rng = np.random.default_rng(seed + 1)
    e = np.where(rng.random(world.mu1.shape) < 0.1, rng.integers(0, 2, world.mu1.shape), world.propensity)
    treated = rng.random(e.shape) < e
    outcome = rng.random(e.shape) < np.where(treated, world.mu1, world.mu0)
    return log_of(treated, outcome, e, rng.random(e.shape) < share), world
