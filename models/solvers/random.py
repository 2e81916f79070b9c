"""Random: a fixed random order of all items for each user. The baseline for every ranking metric.

s_ui = the i-th of n_items uniform draws in [0, 1) from the key of (seed, user); for a new user from that of (seed, sum
of the squared item numbers of the history). It learns nothing. The draws have 23 random bits, so among many thousand
items a few tie.
"""

from typing import Any

import jax
import jax.numpy as jnp

from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers.history import in_blocks


def _init(key: Array, data: TrainingData, hp: Hyper) -> Array:
    return jax.random.key_data(key)


def _step(state: Array, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[Array, Array]:
    return state, jnp.zeros(())


def _score(state: Array, data: TrainingData, at: Query) -> Array:
    key = jax.random.wrap_key_data(state)
    # The user's id is folded in, not its place in the block: the order doesn't depend on how users are blocked.
    user = jnp.where(at.user < 0, data.n_users + jnp.sum((at.items + 1) ** 2, axis=1), at.user)
    return jax.vmap(lambda user: jax.random.uniform(jax.random.fold_in(key, user), (data.n_items,)))(user)


def _predict(state: Array, data: TrainingData, at: Query, items: Array) -> Array:
    def pairs(at: Query, items: Array) -> Array:
        return jnp.take_along_axis(_score(state, data, at), items[:, None], axis=1)[:, 0]

    return in_blocks(pairs, at, items)


_METHOD = Method(_init, _step, _score, _predict, layout="full", link="rank", max_epochs=1, new_users="all")
model = Solver("random", NoOptions, lambda options: _METHOD)
