"""Small models, a split and a propensity as files of their own, as a user writes them."""

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

SPLIT = """
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from upliftlens.benchmarks.splits.at_random import random_rows
from upliftlens.benchmarks.splits.kinds import Sampling, SplitKind, SplitOptions
from upliftlens.causal.options import AtLeast


@dataclass(frozen=True)
class Options(SplitOptions):
    name: str = "every_nth"
    validation: float = 0.1
    seed: int = 0
    n: Annotated[int, AtLeast(2)] = 4


def held_out(dataset, options):
    return np.arange(len(dataset.log)) % options.n == 0


kind = SplitKind("every_nth", Options, held_out, random_rows, Sampling(fit=True, validation=True, test=True))
"""

PROPENSITY = """
from dataclasses import dataclass

import numpy as np

from upliftlens.benchmarks.propensities.kinds import PropensityKind, PropensityOptions
from upliftlens.causal.propensities.propensity import Propensity


@dataclass(frozen=True)
class Options(PropensityOptions):
    name: str = "by_user"
    floor: float = 0.001
    normalise: bool = False
    power: float = 1.0


def fit(options, known):
    log = known.log
    p = (np.bincount(log.user, minlength=log.n_users) / log.n_items).astype(np.float32) ** options.power
    return Propensity(
        "by_user",
        lambda users, items, values: p[users],
        lambda users: np.repeat(p[users][:, None], log.n_items, axis=1),
        "exposure depends on the user only",
    )


kind = PropensityKind("by_user", Options, fit)
"""
