"""Solvers whose state is the whole matrix of scores, f32[n_users, n_items], computed in one step."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from upliftlens.models.contract import Array, Hyper, Method, Query, State, TrainingData


def matrix_method(solve: Callable[[TrainingData, Hyper], Array]) -> Method:
    """The Method that ranks by ``solve(data, hp)`` f32[n_users, n_items]. Nothing is minimised: its loss is 0.

    ``solve`` sees no key, so the seed changes nothing.
    """

    def step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
        return solve(data, hp), jnp.zeros(())

    return Method(_init, step, _score, _predict, layout="full", link="rank", max_epochs=1, random=False)


def matrix_bytes(options: Any, n_users: int, n_items: int) -> int:
    """Memory of the state before and after the step."""
    return 2 * 4 * n_users * n_items


def _init(key: Array, data: TrainingData, hp: Hyper) -> Array:
    return jnp.zeros((data.n_users, data.n_items))


def _score(state: Array, data: TrainingData, at: Query) -> Array:
    return state[at.user]


def _predict(state: Array, data: TrainingData, at: Query, items: Array) -> Array:
    return state[at.user, items]
