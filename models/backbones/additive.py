"""Additive biases: score(u, i) = b_u + b_i (+ the learned constant).

Under the squared loss this is a ridge regression on user and item indicators: the baseline for any model of
interactions.
"""

import jax.numpy as jnp
from flax import nnx

from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Array, Backbone, TrainingData


class Additive(nnx.Module):
    """One bias per user and per item."""

    def __init__(self, options: NoOptions, data: TrainingData, rngs: nnx.Rngs) -> None:
        self.user_bias = nnx.Param(jnp.zeros(data.n_users))
        self.item_bias = nnx.Param(jnp.zeros(data.n_items))

    def __call__(self, users: Array, items: Array) -> Array:
        """f32[B] from users i32[B], items i32[B]."""
        return self.user_bias[users] + self.item_bias[items]

    def score_all(self, users: Array) -> Array:
        """f32[B, n_items] from users i32[B]."""
        return self.user_bias[users][:, None] + self.item_bias[...]


model = Backbone("additive", NoOptions, Additive)
