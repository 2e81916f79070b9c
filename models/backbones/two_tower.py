"""Two towers with features: score(u, i) = f(u)·g(i) + b_u + b_i (+ the learned constant).

f(u) = tower([p_u; A x_u]), g(i) = tower([q_i; B z_i]): an id embedding beside a linear embedding of the features,
through the layers of ``models.backbones.dense`` (Covington et al. 2016; Yi et al. 2019). Without
features the towers see the ids alone.
"""

import jax.numpy as jnp
from flax import nnx

from upliftlens.models.backbones.dense import Dense, DenseOptions
from upliftlens.models.contract import Array, Backbone, TrainingData


class Tower(nnx.Module):
    """One side: ids and features to f32[B, dim]."""

    def __init__(self, options: DenseOptions, features: Array, rngs: nnx.Rngs) -> None:
        n, width = features.shape
        self.id = nnx.Param(nnx.initializers.normal(options.init)(rngs.params(), (n, options.dim)))
        self.bias = nnx.Param(jnp.zeros(n))
        self.features = nnx.Variable(jnp.asarray(features))
        self.embed = nnx.Linear(width, options.dim, use_bias=False, rngs=rngs) if width else None
        widths = (options.dim * (2 if width else 1), *options.layers, options.dim)
        self.dense = Dense(widths, options.dropout, rngs)

    def __call__(self, index: Array | slice) -> Array:
        """f32[B, dim] for an index array, or every row for ``slice(None)``."""
        return self.dense(self.inputs(index))

    def inputs(self, index: Array | slice) -> Array:
        """f32[B, dim or 2·dim]: the embeddings of id and features."""
        x = self.id[index]
        if self.embed is not None:
            x = jnp.concatenate([x, self.embed(self.features[index])], axis=-1)
        return x


class TwoTower(nnx.Module):
    """Both towers."""

    def __init__(self, options: DenseOptions, data: TrainingData, rngs: nnx.Rngs) -> None:
        self.user = Tower(options, data.user_features, rngs)
        self.item = Tower(options, data.item_features, rngs)

    def __call__(self, users: Array, items: Array) -> Array:
        """f32[B] from users i32[B], items i32[B]."""
        return jnp.sum(self.user(users) * self.item(items), axis=-1) + self.user.bias[users] + self.item.bias[items]

    def embed(self, users: Array, items: Array) -> tuple[Array, Array]:
        """The inputs of both towers, for objectives whose modules share embeddings."""
        return self.user.inputs(users), self.item.inputs(items)

    def tower(self, user: Array, item: Array) -> Array:
        """f32[B]: f·g of the inputs of each side."""
        return jnp.sum(self.user.dense(user) * self.item.dense(item), axis=-1)

    def score_all(self, users: Array) -> Array:
        """f32[B, n_items] from users i32[B]; the item tower runs once for the whole block."""
        return self.user(users) @ self.item(slice(None)).T + self.user.bias[users][:, None] + self.item.bias[...]


model = Backbone("two_tower", DenseOptions, TwoTower)
