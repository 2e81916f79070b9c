"""Deep MLP over concatenated embeddings: score(u, i) = h_L(… h_1([p_u; q_i])) + b_u + b_i (+ the learned constant).

h_l = dropout(relu(W_l x + c_l)); the last layer is linear (the MLP part of He et al. 2017, with biases).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
from flax import nnx

from upliftlens.causal.options import at_least
from upliftlens.models.contract import Array, Backbone, TrainingData


@dataclass(frozen=True)
class MLPOptions:
    """Options of ``mlp``.

    ``dim``: embedding size; ``layers``: hidden widths; ``dropout``: share of hidden units dropped in training;
    ``init``: as in mf.
    """

    dim: int
    layers: tuple[int, ...]
    dropout: float
    init: float

    def __post_init__(self) -> None:
        at_least(1, dim=self.dim, **{f"layers[{place}]": width for place, width in enumerate(self.layers)})
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")


class MLP(nnx.Module):
    """Embeddings, biases and a stack of dense layers."""

    def __init__(self, options: MLPOptions, n_users: int, n_items: int, rngs: nnx.Rngs) -> None:
        normal = nnx.initializers.normal(options.init)
        self.user = nnx.Param(normal(rngs.params(), (n_users, options.dim)))
        self.item = nnx.Param(normal(rngs.params(), (n_items, options.dim)))
        self.user_bias = nnx.Param(jnp.zeros(n_users))
        self.item_bias = nnx.Param(jnp.zeros(n_items))
        widths = (2 * options.dim, *options.layers)
        self.hidden = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(widths)])
        self.dropout = nnx.Dropout(options.dropout, rngs=rngs)
        self.head = nnx.Linear(widths[-1], 1, rngs=rngs)

    def __call__(self, users: Array, items: Array) -> Array:
        """f32[B] from users i32[B], items i32[B]."""
        return self.tower(*self.embed(users, items)) + self.user_bias[users] + self.item_bias[items]

    def embed(self, users: Array, items: Array) -> tuple[Array, Array]:
        """p_u and q_i, f32[B, dim] each, for objectives whose modules share embeddings."""
        return self.user[users], self.item[items]

    def tower(self, user: Array, item: Array) -> Array:
        """f32[B]: the dense layers over one embedding of each side."""
        x = jnp.concatenate([user, item], axis=-1)
        for layer in self.hidden:
            x = self.dropout(nnx.relu(layer(x)))
        return self.head(x)[:, 0]


def _build(options: Any, data: TrainingData, rngs: nnx.Rngs) -> MLP:
    return MLP(options, data.n_users, data.n_items, rngs)


model = Backbone("mlp", MLPOptions, _build)
