"""Deep MLP over concatenated embeddings: score(u, i) = dense([p_u; q_i]) + b_u + b_i (+ the learned constant).

The layers are those of ``models.backbones.dense``, with one output (the MLP part of He et al. 2017, with biases).
"""

import jax.numpy as jnp
from flax import nnx

from upliftlens.models.backbones.dense import Dense, DenseOptions
from upliftlens.models.contract import Array, Backbone, TrainingData


class MLP(nnx.Module):
    """Embeddings, biases and a stack of dense layers."""

    def __init__(self, options: DenseOptions, data: TrainingData, rngs: nnx.Rngs) -> None:
        normal = nnx.initializers.normal(options.init)
        self.user = nnx.Param(normal(rngs.params(), (data.n_users, options.dim)))
        self.item = nnx.Param(normal(rngs.params(), (data.n_items, options.dim)))
        self.user_bias = nnx.Param(jnp.zeros(data.n_users))
        self.item_bias = nnx.Param(jnp.zeros(data.n_items))
        self.dense = Dense((2 * options.dim, *options.layers, 1), options.dropout, rngs)

    def __call__(self, users: Array, items: Array) -> Array:
        """f32[B] from users i32[B], items i32[B]."""
        return self.tower(*self.embed(users, items)) + self.user_bias[users] + self.item_bias[items]

    def embed(self, users: Array, items: Array) -> tuple[Array, Array]:
        """p_u and q_i, f32[B, dim] each, for objectives whose modules share embeddings."""
        return self.user[users], self.item[items]

    def tower(self, user: Array, item: Array) -> Array:
        """f32[B]: the dense layers over one embedding of each side."""
        return self.dense(jnp.concatenate([user, item], axis=-1))[:, 0]


model = Backbone("mlp", DenseOptions, MLP)
