"""RP3β: a random walk of three steps from a user, with less weight on popular items.

Paudel, Christoffel, Newell & Bernstein, ACM TiiS 2017, "Updatable, accurate, diverse, and scalable recommendations for
interactive applications". Steps go from a user to an item, to another user, to another item:

    p_ui = X_ui / Σ_j X_uj      q_iu = X_ui / d_i      d_i = Σ_v X_vi                       transition probabilities
    W_ji = Σ_v q_jv^alpha · p_vi^alpha / d_i^beta for i ≠ j, 0 on the diagonal
    N_j  = the ``neighbours`` items i with the largest W_ji (ties: the lower index)
    s_ui = Σ_{j: i in N_j} p_uj^alpha · W_ji

X is the history matrix of ``models.solvers.history``, X_u the history of the query: a new user has scores, too; an
item's popularity d is its number of users in 0/1 histories. The paper keeps all of W; here the strongest steps from
each item are kept. Nothing is minimised: the step's loss is 0.

Time: 2·U·I² operations for W, in dense blocks of users.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import Above, AtLeast, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.query import history_matrix
from upliftlens.models.solvers.history import (
    History,
    Spans,
    gram_bytes,
    in_blocks,
    over_users,
    spans,
    with_history,
)


@dataclass(frozen=True)
class Options:
    """``neighbours`` kept for each item (at most all); powers ``alpha`` and ``beta``; ``history``: what X holds."""

    neighbours: Annotated[int, AtLeast(1)]
    alpha: Annotated[Traced[float], Above(0)]
    beta: Annotated[Traced[float], AtLeast(0)]
    history: History


class State(NamedTuple):
    """``weights`` f32[n_items, n_items] is W, 0 where i is not in N_j; ``alpha`` f32[]."""

    weights: Array
    alpha: Array


def walk(x: Array, alpha: Array) -> Array:
    """p^alpha of rows x f32[B, n_items]: the powers of the first step's probabilities; 0 for an empty history."""
    total = jnp.sum(x, axis=1, keepdims=True)
    return jnp.where(x > 0, x / jnp.where(total > 0, total, 1.0), 0.0) ** alpha


def weights(data: TrainingData, where: Spans, alpha: Array, beta: Array, neighbours: int) -> Array:
    """W f32[n_items, n_items], with the ``neighbours`` largest of each row, 0 elsewhere."""

    def add(total: tuple[Array, Array], x: Array) -> tuple[Array, Array]:
        paths, popularity = total
        return paths + jnp.matmul((x**alpha).T, walk(x, alpha), precision="highest"), popularity + jnp.sum(x, axis=0)

    start = jnp.zeros((data.n_items, data.n_items)), jnp.zeros(data.n_items)
    paths, popularity = over_users(data, where, add, start)
    popularity = jnp.where(popularity > 0, popularity, 1.0)  # without users an item has no path either
    every = jnp.fill_diagonal(paths / popularity[:, None] ** alpha / popularity**beta, 0.0, inplace=False)
    value, index = jax.lax.top_k(every, neighbours)
    return jnp.zeros_like(every).at[jnp.arange(data.n_items)[:, None], index].set(value)


def _init(key: Array, data: TrainingData, hp: Hyper) -> State:
    return State(jnp.zeros((data.n_items, data.n_items)), hp.model["alpha"])


def _score(state: State, data: TrainingData, at: Query) -> Array:
    return jnp.matmul(walk(history_matrix(at, data.n_items), state.alpha), state.weights, precision="highest")


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    def pairs(at: Query, items: Array) -> Array:
        return jnp.sum(walk(history_matrix(at, data.n_items), state.alpha) * state.weights.T[items], axis=1)

    return in_blocks(pairs, at, items)


@lru_cache
def _build(neighbours: int) -> Method:
    """The Method of a structure; cached, so that it compiles once for all powers."""

    def step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
        alpha, beta = hp.model["alpha"], hp.model["beta"]
        solution = weights(data, spans(data), alpha, beta, min(neighbours, data.n_items))
        return State(solution, alpha), jnp.zeros(())

    closed = Method(_init, step, _score, _predict, layout="full", link="rank", max_epochs=1, random=False)
    return closed._replace(history="all", new_users="all")


def _memory(options: Options, n_users: int, n_items: int) -> int:
    # After the paths: the state, every step, and the kept ones with their places.
    kept = 8 * n_items * min(options.neighbours, n_items)
    return max(gram_bytes(n_users, n_items), 4 * 3 * n_items**2 + kept)


model = Solver("rp3beta", Options, lambda options: with_history(_build(options.neighbours), options.history), _memory)
