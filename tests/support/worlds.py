"""Small data for tests: plain NumPy, no data set needed."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.config.plugins import entries
from upliftlens.causal.interactions import interactions, padded
from upliftlens.models.contract import Hyper, TrainingData

_EVERY = entries("losses")
LOSSES = {name: _EVERY[name].value for name in ("squared", "absolute", "logistic", "bpr", *_EVERY)}
"""Every loss by its name, the plainest first."""

USERS, ITEMS = 23, 17


def training_data(
    seed: int = 0, n: int = 180, capacity: int = 256, n_users: int = USERS, n_items: int = ITEMS
) -> TrainingData:
    """Distinct random pairs with ratings 1..5 that follow biases and one taste, and features of both sides."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(n_users * n_items, n, replace=False)
    user, item = cells // n_items, cells % n_items
    taste = rng.normal(size=n_users)[user] * rng.normal(size=n_items)[item]
    score = 3.2 + rng.normal(size=n_users)[user] * 0.5 + rng.normal(size=n_items)[item] * 0.7 + taste
    value = np.clip(np.round(score), 1, 5)
    log = replace(padded(interactions(user, item, value, n_users, n_items), capacity), time=None)
    positive = ((log.value >= 4) & (log.weight > 0)).astype(np.float32)
    features = rng.normal(size=(n_users, 3)).astype(np.float32), rng.normal(size=(n_items, 2)).astype(np.float32)
    return jax.tree.map(jnp.asarray, TrainingData(log, positive, *features, (1.0, 5.0)))


def hyper(lr: float = 0.05, l2: float = 1.0, steps: int = 100) -> Hyper:
    """Traced floats of a gradient method."""
    return Hyper({}, {}, {"lr": jnp.float32(lr), "l2": jnp.float32(l2), "steps": jnp.float32(steps)})


def rows(data: TrainingData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """user, item and value of the real rows, float64."""
    real = np.asarray(data.log.weight) > 0
    return (
        np.asarray(data.log.user)[real],
        np.asarray(data.log.item)[real],
        np.asarray(data.log.value)[real].astype(np.float64),
    )
