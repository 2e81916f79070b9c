"""Popularity: every user is shown what most people liked.

s_ui = n_i = Σ over rows of the log with item i of positive · weight: the number of positives of the item. The weights
of padding are 0. A pair with several rows counts each time.
"""

from typing import Any

import jax
import jax.numpy as jnp

from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers.history import positives


def _init(key: Array, data: TrainingData, hp: Hyper) -> Array:
    return jnp.zeros(data.n_items)


def _step(state: Array, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[Array, Array]:
    return jax.ops.segment_sum(positives(data), data.log.item, data.n_items), jnp.zeros(())


def _score(state: Array, data: TrainingData, at: Query) -> Array:
    return jnp.broadcast_to(state, (at.user.shape[0], data.n_items))


def _predict(state: Array, data: TrainingData, at: Query, items: Array) -> Array:
    return state[items]


_METHOD = Method(_init, _step, _score, _predict, layout="full", link="rank", max_epochs=1, random=False, new_users=0)
model = Solver("popularity", NoOptions, lambda options: _METHOD)
