"""User-kNN: what people with a similar history like (Resnick et al., CSCW 1994; Herlocker et al., SIGIR 1999).

    w_uv = X_u·X_v / (‖X_u‖·‖X_v‖ + shrinkage), v ≠ u    cosine, damped for users with few items in common
    N_u  = the ``neighbours`` users v with the largest w_uv (ties: the lower index)
    s_ui = Σ_{v in N_u} w_uv·X_vi

X is the history matrix of ``models.solvers.history``; a new user's row is the history of the query, whose neighbours
are sought when it is scored. The sources predict ratings and divide by Σ w_uv; for ranking, an item that many
neighbours have should outweigh an item of few. Nothing is minimised: the step's loss is 0.

Time: 2·U²·I operations for the similarities, in blocks of users; only n_users × neighbours of them are kept. Scoring
rebuilds the history of each neighbour.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import AtLeast, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.query import history_matrix
from upliftlens.models.solvers.history import History, Spans, history, in_blocks, spans, with_history

_USERS = 256  # users whose neighbours are sought at once, and users that they are compared with at once


@dataclass(frozen=True)
class Options:
    """``neighbours``: how many are kept for each user (at most all); ``shrinkage``: in items; ``history``: X."""

    neighbours: Annotated[int, AtLeast(1)]
    shrinkage: Annotated[Traced[float], AtLeast(0)]
    history: History


class State(NamedTuple):
    """``neighbours`` i32[n_users, K] and their ``similarity`` f32[n_users, K]; ``spans`` finds a user's history;
    ``shrinkage`` f32[]."""

    neighbours: Array
    similarity: Array
    spans: Spans
    shrinkage: Array


def nearest(
    x: Array, users: Array, data: TrainingData, where: Spans, shrinkage: Array, neighbours: int
) -> tuple[Array, Array]:
    """The most similar users of each history x f32[B, n_items], i32[B, neighbours], and w f32[B, neighbours].

    ``users`` i32[B]: whose histories they are; nobody is a neighbour of themselves. An empty history has similarity 0
    to all.
    """

    def against(start: Array) -> Array:
        others = start + jnp.arange(_USERS, dtype=jnp.int32)
        y = history(data, where, others)
        divisor = jnp.linalg.norm(x, axis=1)[:, None] * jnp.linalg.norm(y, axis=1) + shrinkage
        common = jnp.where(users[:, None] == others, 0.0, jnp.matmul(x, y.T, precision="highest"))
        return jnp.where(divisor > 0, common / jnp.where(divisor > 0, divisor, 1.0), 0.0)

    similarity = jnp.moveaxis(jax.lax.map(against, _starts(data)), 0, 1).reshape(x.shape[0], -1)[:, : data.n_users]
    value, index = jax.lax.top_k(similarity, neighbours)
    return index, value


def _starts(data: TrainingData) -> Array:
    """The first user of each block; ids past the last user, in the last block, have no history."""
    return jnp.arange(0, data.n_users, _USERS, dtype=jnp.int32)


def _step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
    shrinkage, neighbours = hp.model["shrinkage"], state.neighbours.shape[1]

    def block(start: Array) -> tuple[Array, Array]:
        users = start + jnp.arange(_USERS, dtype=jnp.int32)
        return nearest(history(data, state.spans, users), users, data, state.spans, shrinkage, neighbours)

    index, similarity = (part.reshape(-1, neighbours)[: data.n_users] for part in jax.lax.map(block, _starts(data)))
    return State(index, similarity, state.spans, shrinkage), jnp.zeros(())


def _score(state: State, data: TrainingData, at: Query) -> Array:
    index, similarity = state.neighbours[at.user], state.similarity[at.user]
    if at.items.shape[1]:  # among the users may be new ones, for whom no neighbours are stored
        x, k, new = history_matrix(at, data.n_items), state.neighbours.shape[1], at.user[:, None] < 0
        sought = nearest(x, at.user, data, state.spans, state.shrinkage, k)
        index, similarity = (jnp.where(new, *pair) for pair in zip(sought, (index, similarity), strict=True))

    def add(total: Array, neighbour: tuple[Array, Array]) -> tuple[Array, None]:
        other, similarity = neighbour
        return total + similarity[:, None] * history(data, state.spans, other), None

    return jax.lax.scan(add, jnp.zeros((at.user.shape[0], data.n_items)), (index.T, similarity.T))[0]


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    def pairs(at: Query, items: Array) -> Array:
        return jnp.take_along_axis(_score(state, data, at), items[:, None], axis=1)[:, 0]

    return in_blocks(pairs, at, items)


@lru_cache
def _build(neighbours: int) -> Method:
    """The Method of a structure; cached, so that it compiles once for all values of the shrinkage."""

    def init(key: Array, data: TrainingData, hp: Hyper) -> State:
        shape = data.n_users, min(neighbours, data.n_users)
        return State(jnp.zeros(shape, jnp.int32), jnp.zeros(shape), spans(data), hp.model["shrinkage"])

    closed = Method(init, _step, _score, _predict, layout="full", link="rank", max_epochs=1, random=False)
    return closed._replace(new_users="all")


def _memory(options: Options, n_users: int, n_items: int) -> int:
    # The neighbours, similarities of a block to all in three copies, and histories of two blocks, one transposed.
    kept = 8 * n_users * min(options.neighbours, n_users)
    return kept + 4 * _USERS * (3 * n_users + 3 * n_items) + 8 * n_users


model = Solver("user_knn", Options, lambda options: with_history(_build(options.neighbours), options.history), _memory)
