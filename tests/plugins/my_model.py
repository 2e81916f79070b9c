"""A model of one's own: users and items are points, and what is near is liked.

score(u, i) = b_u + b_i − ‖p_u − q_i‖² (+ the learned constant), after Zhang et al. 2018, "Metric Factorization".
"""

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from flax import nnx

from upliftlens.causal.options import AtLeast
from upliftlens.models.contract import Array, Backbone, TrainingData


@dataclass(frozen=True)
class DistanceOptions:
    """``dim``: dimensions of the space; ``init``: sd of the points at the start. The defaults are the configuration."""

    dim: Annotated[int, AtLeast(1)] = 16
    init: float = 0.1


class Distance(nnx.Module):
    """The points and biases of users and items."""

    def __init__(self, options: DistanceOptions, data: TrainingData, rngs: nnx.Rngs) -> None:
        normal = nnx.initializers.normal(options.init)
        self.user = nnx.Param(normal(rngs.params(), (data.n_users, options.dim)))
        self.item = nnx.Param(normal(rngs.params(), (data.n_items, options.dim)))
        self.user_bias = nnx.Param(jnp.zeros(data.n_users))
        self.item_bias = nnx.Param(jnp.zeros(data.n_items))

    def __call__(self, users: Array, items: Array) -> Array:
        """f32[B] from users i32[B], items i32[B]."""
        between = self.user[users] - self.item[items]
        return self.user_bias[users] + self.item_bias[items] - (between**2).sum(-1)

    def score_all(self, users: Array) -> Array:
        """f32[B, n_items]; optional: with it the model trains on dense tiles where they fit."""
        points, places = self.user[users], self.item[...]
        apart = (points**2).sum(-1)[:, None] + (places**2).sum(-1) - 2 * points @ places.T
        return self.user_bias[users][:, None] + self.item_bias[...] - apart


model = Backbone("distance", DistanceOptions, Distance)
