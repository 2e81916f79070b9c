"""Normal: random ratings, the floor of every error of ratings (the ``NormalPredictor`` of Surprise, Hug 2020).

    r̂_ui ~ N(μ, σ²), one draw for each pair from the key of (seed, user, item)

μ and σ² are the weighted mean and variance of the training ratings, as by maximum likelihood. Metrics clip r̂ to the
scale, as Surprise does.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers.baseline import mean_rating


class State(NamedTuple):
    """``mean`` and ``deviation`` f32[]; ``key``: the data of a random key."""

    mean: Array
    deviation: Array
    key: Array


def _init(key: Array, data: TrainingData, hp: Hyper) -> State:
    return State(jnp.zeros(()), jnp.zeros(()), jax.random.key_data(key))


def _step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
    mean, weight = mean_rating(data), data.log.weight
    variance = jnp.sum(weight * (data.log.value - mean) ** 2) / jnp.sum(weight)
    return State(mean, jnp.sqrt(variance), state.key), variance


def _score(state: State, data: TrainingData, at: Query) -> Array:
    items = jnp.arange(data.n_items)
    return jax.vmap(lambda user: _predict(state, data, at._replace(user=jnp.full_like(items, user)), items))(at.user)


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    key = jax.random.wrap_key_data(state.key)
    keys = jax.vmap(lambda user, item: jax.random.fold_in(jax.random.fold_in(key, user), item))(at.user, items)
    return state.mean + state.deviation * jax.vmap(jax.random.normal)(keys)


_METHOD = Method(_init, _step, _score, _predict, layout="full", link="rating", max_epochs=1)
model = Solver("normal", NoOptions, lambda options: _METHOD, needs="ratings")
