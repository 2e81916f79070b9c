"""Two towers with features: score(u, i) = f(u)·g(i) + b_u + b_i (+ the learned constant).

f(u) = tower([p_u; A x_u]), g(i) = tower([q_i; B z_i]): an id embedding beside a linear embedding of the features,
through dense layers with relu in between and a linear last layer (Covington et al. 2016; Yi et al. 2019). Without
features the towers see the ids alone.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
from flax import nnx

from upliftlens.causal.options import at_least
from upliftlens.models.contract import Array, Backbone, TrainingData


@dataclass(frozen=True)
class TwoTowerOptions:
    """Options of ``two_tower``.

    ``dim``: size of embeddings and tower outputs; ``layers``: hidden widths; ``dropout``: as in mlp;
    ``init``: sd of the id embeddings.
    """

    dim: int
    layers: tuple[int, ...]
    dropout: float
    init: float

    def __post_init__(self) -> None:
        at_least(1, dim=self.dim, **{f"layers[{place}]": width for place, width in enumerate(self.layers)})
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")


class Tower(nnx.Module):
    """One side: ids and features to f32[B, dim]."""

    def __init__(self, options: TwoTowerOptions, features: Array, rngs: nnx.Rngs) -> None:
        n, width = features.shape
        self.id = nnx.Param(nnx.initializers.normal(options.init)(rngs.params(), (n, options.dim)))
        self.bias = nnx.Param(jnp.zeros(n))
        self.features = nnx.Variable(jnp.asarray(features))
        self.embed = nnx.Linear(width, options.dim, use_bias=False, rngs=rngs) if width else None
        widths = (options.dim * (2 if width else 1), *options.layers, options.dim)
        self.dense = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(widths)])
        self.dropout = nnx.Dropout(options.dropout, rngs=rngs)

    def __call__(self, index: Array | slice) -> Array:
        """f32[B, dim] for an index array, or every row for ``slice(None)``."""
        return self.layers(self.inputs(index))

    def inputs(self, index: Array | slice) -> Array:
        """f32[B, dim or 2·dim]: the embeddings of id and features."""
        x = self.id[index]
        if self.embed is not None:
            x = jnp.concatenate([x, self.embed(self.features[index])], axis=-1)
        return x

    def layers(self, x: Array) -> Array:
        """f32[B, dim] of ``inputs``."""
        for layer in self.dense[:-1]:
            x = self.dropout(nnx.relu(layer(x)))
        return self.dense[-1](x)


class TwoTower(nnx.Module):
    """Both towers."""

    def __init__(self, options: TwoTowerOptions, data: TrainingData, rngs: nnx.Rngs) -> None:
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
        return jnp.sum(self.user.layers(user) * self.item.layers(item), axis=-1)

    def score_all(self, users: Array) -> Array:
        """f32[B, n_items] from users i32[B]; the item tower runs once for the whole block."""
        return self.user(users) @ self.item(slice(None)).T + self.user.bias[users][:, None] + self.item.bias[...]


def _build(options: Any, data: TrainingData, rngs: nnx.Rngs) -> TwoTower:
    return TwoTower(options, data, rngs)


model = Backbone("two_tower", TwoTowerOptions, _build)
