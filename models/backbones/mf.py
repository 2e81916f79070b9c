"""Biased matrix factorisation (Koren et al. 2009): score(u, i) = p_u·q_i + b_u + b_i (+ the learned constant).

Penalty: ‖P‖² + ‖Q‖² + ``bias_penalty``·(‖b_user‖² + ‖b_item‖²). Factors start at N(0, init²), biases at 0.
"""

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from flax import nnx

from upliftlens.causal.options import AtLeast
from upliftlens.models.contract import Array, Backbone, TrainingData


@dataclass(frozen=True)
class MFOptions:
    """``dim``: number of factors; ``init``: sd of the factors at the start; ``bias_penalty``: share of λ on biases."""

    dim: Annotated[int, AtLeast(1)]
    init: Annotated[float, AtLeast(0)]
    bias_penalty: Annotated[float, AtLeast(0)]


class MF(nnx.Module):
    """The factors and biases of users and items."""

    def __init__(self, options: MFOptions, data: TrainingData, rngs: nnx.Rngs) -> None:
        self.bias_penalty = options.bias_penalty
        normal = nnx.initializers.normal(options.init)
        self.user = nnx.Param(normal(rngs.params(), (data.n_users, options.dim)))
        self.item = nnx.Param(normal(rngs.params(), (data.n_items, options.dim)))
        self.user_bias = nnx.Param(jnp.zeros(data.n_users))
        self.item_bias = nnx.Param(jnp.zeros(data.n_items))

    def __call__(self, users: Array, items: Array) -> Array:
        """f32[B] from users i32[B], items i32[B]."""
        # A product with a vector of ones: `.sum(-1)` can become a slow fusion that writes out the (B, dim) array.
        interaction = (self.user_factors(users) * self.item_factors(items)) @ jnp.ones(self.user.shape[1])
        return interaction + self.user_bias[users] + self.item_bias[items]

    def score_all(self, users: Array) -> Array:
        """f32[B, n_items] from users i32[B]."""
        scores = self.user_factors(users) @ self.item_factors(slice(None)).T
        return scores + self.user_bias[users][:, None] + self.item_bias[...]

    def user_factors(self, index: Array | slice) -> Array:
        """p_u, f32[B, dim], for an index array, or every row for ``slice(None)``."""
        return self.user[index]

    def item_factors(self, index: Array | slice) -> Array:
        """q_i, f32[B, dim]."""
        return self.item[index]

    def penalty(self) -> Array:
        """f32[], what λ multiplies."""
        biases = jnp.sum(self.user_bias[...] ** 2) + jnp.sum(self.item_bias[...] ** 2)
        return jnp.sum(self.user[...] ** 2) + jnp.sum(self.item[...] ** 2) + self.bias_penalty * biases


model = Backbone("mf", MFOptions, MF)
