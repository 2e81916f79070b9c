"""Small plugins of every kind as files of their own, as a user writes them."""

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

    def score(state, data, at):
        return jnp.broadcast_to(state, (at.user.shape[0], data.n_items))

    def predict(state, data, at, items):
        return state[items]

    return Method(init, step, score, predict, "full", "rating", max_epochs=1)


model = Solver("shrunken_mean", Options, method)
"""

OBJECTIVE = """
from dataclasses import dataclass

from upliftlens.causal.objectives.objective import Objective, Phase
from upliftlens.causal.options import Traced


@dataclass(frozen=True)
class Options:
    factor: Traced[float] = 1.0


def loss(view, batch, hp):
    rows = batch.observed
    return hp["factor"] * (rows.weight * view.error(view.score("prediction", rows), rows.target)).sum()


objective = Objective("scaled", Options, (Phase(loss, ("prediction",)),))
"""

LOSS = '''"""Twice the squared error, of nobody (Nemo 1870). It is here to be installed."""

from upliftlens.causal.losses import Loss

loss = Loss("doubled", lambda score, target: 2 * (score - target) ** 2, lambda score: score, "rating")
'''

DATA = """
from dataclasses import dataclass, replace

from upliftlens.benchmarks.data import DataSource, configure, load, sealed

SMALL = ("data.n_users=30", "data.n_items=20", "data.ratings_per_user=8", "data.test_per_user=2")


@dataclass(frozen=True)
class Options:
    name: str = "borrowed"
    draw: int = 0
    span: tuple[float, ...] = (1.0, 2.0)


def make(options, cache, say):
    base = load(configure("synthetic", [*SMALL, f"data.draw={options.draw}"]), cache)
    return sealed(replace(base, name=options.name))


source = DataSource("borrowed", Options, make)
"""

WORLD = """
from dataclasses import dataclass, replace

import numpy as np

from upliftlens.benchmarks.data import DataSource, World, configure, load, sealed

SMALL = ("data.n_users=30", "data.n_items=20", "data.ratings_per_user=8", "data.test_per_user=2")


@dataclass(frozen=True)
class Options:
    name: str = "flat"
    p: float = 0.5


def make(options, cache, say):
    base = load(configure("synthetic", SMALL), cache)
    world = World(propensity=lambda: np.full((30, 20), options.p, np.float32))
    return sealed(replace(base, name="flat", world=world))


source = DataSource("flat", Options, make)
"""

METRIC = """
import numpy as np

from upliftlens.benchmarks.metrics.metric import Metric, quotient


def sums(pairs, cutoff):
    count = np.bincount(pairs.row, minlength=pairs.n_users).astype(np.float64)
    return np.stack([7 * count, count], axis=1)


metric = Metric("seven", "pairs", sums, quotient, "pooled", True, (7.0, 7.0), "never")
"""

TABLE = """
from dataclasses import dataclass
from typing import Annotated

from upliftlens.benchmarks.tables.table import Cell, TableKind, TableOptions
from upliftlens.causal.options import Within


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions):
    number: Annotated[float, Within(0, 1)]


def cells(definition, where):
    return [Cell("row", "column", definition.number, 0.0, 1.0, None, "", ())]


def remarks(definition, cells):
    return [f"{len(cells)} cell"]


kind = TableKind("tiny", Options, cells, remarks, {"title": "Tiny", "number": 0.5})
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
