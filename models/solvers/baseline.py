"""Baseline: regularised biases of users and items by alternating least squares (Koren, TKDD 2010, section 2.1).

    minimise over b   Σ_O (r_ui − μ − b_u − b_i)² + l2_user·Σ_u b_u² + l2_item·Σ_i b_i²
    b_i ← Σ_{u rated i} (r_ui − μ − b_u) / (l2_item + n_i), then b_u likewise        one sweep, from b = 0
    r̂_ui = μ + b_u + b_i

μ is the mean rating; rows count by their weights. Each half of a sweep is an exact minimum, so the objective never
rises. ``additive`` is the same model with one λ, solved until it converges.
"""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import Above, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData


@dataclass(frozen=True)
class Options:
    """``l2_user``, ``l2_item``: penalties, in ratings that a user or an item has beside theirs with the mean value."""

    l2_user: Annotated[Traced[float], Above(0)]
    l2_item: Annotated[Traced[float], Above(0)]


class Biases(NamedTuple):
    """``mean`` f32[], ``user`` f32[n_users], ``item`` f32[n_items]: μ and b."""

    mean: Array
    user: Array
    item: Array

    def of(self, users: Array, items: Array) -> Array:
        """μ + b_u + b_i for index arrays that broadcast."""
        return self.mean + self.user[users] + self.item[items]


def mean_rating(data: TrainingData) -> Array:
    """μ f32[]: the weighted mean of the values."""
    return jnp.sum(data.log.weight * data.log.value) / jnp.sum(data.log.weight)


def start(data: TrainingData) -> Biases:
    """The mean, without biases."""
    return Biases(mean_rating(data), jnp.zeros(data.n_users), jnp.zeros(data.n_items))


def swept(biases: Biases, data: TrainingData, hp: Hyper) -> Biases:
    """The biases after one more sweep."""
    log = data.log

    def solved(ids: Array, n: int, l2: Array, others: Array) -> Array:
        total = jax.ops.segment_sum(log.weight * (log.value - biases.mean - others), ids, n)
        return total / (l2 + jax.ops.segment_sum(log.weight, ids, n))

    item = solved(log.item, data.n_items, hp.model["l2_item"], biases.user[log.user])
    return Biases(biases.mean, solved(log.user, data.n_users, hp.model["l2_user"], item[log.item]), item)


def _step(state: Biases, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[Biases, Array]:
    new, log = swept(state, data, hp), data.log
    squares = jnp.sum(log.weight * (log.value - new.of(log.user, log.item)) ** 2)
    penalty = hp.model["l2_user"] * jnp.sum(new.user**2) + hp.model["l2_item"] * jnp.sum(new.item**2)
    return new, (squares + penalty) / jnp.sum(log.weight)


def _score(state: Biases, data: TrainingData, at: Query) -> Array:
    return state.of(at.user[:, None], jnp.arange(data.n_items))


_METHOD = Method(
    lambda key, data, hp: start(data),
    _step,
    _score,
    lambda state, data, at, items: state.of(at.user, items),
    layout="full",
    link="rating",
    random=False,
)
model = Solver("baseline", Options, lambda options: _METHOD, needs="ratings")
