"""The oracle: ranks by the true effect τ of recommending, in worlds that know it. The ceiling of every uplift metric.

It learns nothing and is shown nothing. After training the harness puts the true effects, f32[n_users, n_items], in the
place of its state: the only model for which it does so.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from upliftlens.models.contract import Array, Hyper, Method, Solver, TrainingData


@dataclass(frozen=True)
class Options:
    """Nothing to choose."""


def _init(key: Array, data: TrainingData, hp: Hyper) -> Array:
    return jnp.zeros((data.n_users, data.n_items))


def _step(state: Array, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[Array, Array]:
    return state, jnp.zeros(())


def _score(state: Array, data: TrainingData, users: Array) -> Array:
    return state[users]


def _predict(state: Array, data: TrainingData, users: Array, items: Array) -> Array:
    return state[users, items]


def _method(options: Options) -> Method:
    return Method(_init, _step, _score, _predict, layout="full", link="rank", max_epochs=1)


def _memory(options: Options, n_users: int, n_items: int) -> int:
    return 2 * 4 * n_users * n_items


model = Solver("oracle", Options, _method, _memory, needs="truth")
