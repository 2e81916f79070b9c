"""Biased matrix factorisation with features: score(u, i) = (p_u + W x_u)·(q_i + V z_i) + b_u + b_i (+ the constant).

x_u and z_i are the features of user and item, so that those with few ratings borrow from others with the same features
(Chen et al. 2012, "SVDFeature"). Penalty: that of ``mf`` + ‖W‖² + ‖V‖². W and V start at 0 and all else as in ``mf``,
which this is, bit by bit, where there are no features.
"""

import jax.numpy as jnp
from flax import nnx

from upliftlens.models.backbones.mf import MF, MFOptions
from upliftlens.models.contract import Array, Backbone, TrainingData


class FeatureMF(MF):
    """The factors and biases of ``mf``, and what each feature adds to the factors."""

    def __init__(self, options: MFOptions, data: TrainingData, rngs: nnx.Rngs) -> None:
        super().__init__(options, data, rngs)
        self.user_features = nnx.Variable(jnp.asarray(data.user_features))
        self.item_features = nnx.Variable(jnp.asarray(data.item_features))
        self.user_weights = nnx.Param(jnp.zeros((data.user_features.shape[1], options.dim)))
        self.item_weights = nnx.Param(jnp.zeros((data.item_features.shape[1], options.dim)))

    def user_factors(self, index: Array | slice) -> Array:
        """p_u + W x_u, f32[B, dim]."""
        return self.user[index] + self.user_features[index] @ self.user_weights[...]

    def item_factors(self, index: Array | slice) -> Array:
        """q_i + V z_i, f32[B, dim]."""
        return self.item[index] + self.item_features[index] @ self.item_weights[...]

    def penalty(self) -> Array:
        """f32[], what λ multiplies."""
        return super().penalty() + jnp.sum(self.user_weights[...] ** 2) + jnp.sum(self.item_weights[...] ** 2)


model = Backbone("mf_features", MFOptions, FeatureMF)
