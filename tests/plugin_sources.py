"""Small models as files of their own, as a user writes them."""

BACKBONE = """
from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx

from upliftlens.models.contract import Backbone


@dataclass(frozen=True)
class Options:
    dim: int = 4
    scale: float = 0.1


class Net(nnx.Module):
    def __init__(self, options, data, rngs):
        normal = nnx.initializers.normal(options.scale)
        self.user = nnx.Param(normal(rngs.params(), (data.n_users, options.dim)))
        self.item = nnx.Param(normal(rngs.params(), (data.n_items, options.dim)))

    def __call__(self, users, items):
        return jnp.sum(self.user[users] * self.item[items], axis=-1)


model = Backbone("mine", Options, Net)
"""

SOLVER = """
from dataclasses import dataclass

import jax.numpy as jnp

from upliftlens.models.contract import Method, Solver, Traced


@dataclass(frozen=True)
class Options:
    shrink: Traced[float] = 5.0


def method(options):
    def init(key, data, hp):
        return jnp.zeros(data.n_items)

    def step(state, data, batch, key, hp):
        log = data.log
        total = jnp.zeros(data.n_items).at[log.item].add(log.weight * log.value)
        count = jnp.zeros(data.n_items).at[log.item].add(log.weight)
        return total / (count + hp.model["shrink"]), jnp.zeros(())

    def score(state, data, users):
        return jnp.broadcast_to(state, (users.shape[0], data.n_items))

    def predict(state, data, users, items):
        return state[items]

    return Method(init, step, score, predict, "full", "rating", max_epochs=1)


model = Solver("shrunken_mean", Options, method)
"""
