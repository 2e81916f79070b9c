"""A complete score matrix from a log of ratings, by matrix factorisation: what semi-synthetic worlds stand on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.training.feed import feed
from upliftlens.benchmarks.training.loop import fit
from upliftlens.benchmarks.worlds.config import CompletionConfig
from upliftlens.causal.interactions import Interactions, padded
from upliftlens.causal.losses import squared
from upliftlens.causal.objectives.objective import naive
from upliftlens.models.backbones.mf import MFOptions, model
from upliftlens.models.contract import Hyper, TrainingData
from upliftlens.models.gradient import gradient_method
from upliftlens.models.query import of_users

TILE = 128


def complete(log: Interactions, config: CompletionConfig) -> np.ndarray:
    """Predicted ratings f64[n_users, n_items] of every pair; not clipped."""
    rows = replace(padded(log, len(log)), time=None)
    no_features = jnp.zeros((log.n_users, 0)), jnp.zeros((log.n_items, 0))
    data = TrainingData(jax.tree.map(jnp.asarray, rows), jnp.zeros(len(log)), *no_features)
    method = gradient_method(
        model, MFOptions(config.dim, config.init, config.bias_penalty), squared, naive, "adam", "cosine", "tiles"
    )
    source = feed(data, "tiles", "rating", len(log), TILE)
    train = {"lr": config.lr, "l2": config.l2, "steps": config.epochs * source.n_steps}
    hp = Hyper({}, {}, {name: jnp.float32(value) for name, value in train.items()})
    state = fit(method, data, source, hp, config.seed, config.epochs, None, lambda number, line: None).state
    return np.asarray(method.score(state, data, of_users(jnp.arange(log.n_users))), np.float64)
