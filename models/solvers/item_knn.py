"""Item-kNN: items that are liked by the same people (Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS 2004).

    G = XᵀX                                             G_ij = number of users with both, for 0/1 histories
    w_ij = G_ij / (√(G_ii·G_jj) + shrinkage), i ≠ j      cosine, damped for pairs that few users support
    N_i  = the ``neighbours`` items j with the largest w_ij (ties: the lower index)
    s_ui = Σ_{j in N_i} w_ij·X_uj

X is the history matrix of ``models.solvers.history``, X_u the history of the query: a new user has scores, too. The sum
isn't divided by Σ w_ij: for ranking, items with much evidence should outweigh items with little. Only n_items ×
neighbours similarities are kept. Nothing is minimised: the step's loss is 0.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import AtLeast, Before, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.query import history_matrix
from upliftlens.models.solvers.history import History, gram, gram_bytes, in_blocks, spans, with_history

_ITEMS = 256  # items whose neighbours are sought at once


@dataclass(frozen=True)
class Options:
    """``neighbours``: how many are kept for each item (at most all); ``shrinkage``: in users; ``history``: X."""

    neighbours: Annotated[int, AtLeast(1)]
    shrinkage: Annotated[Traced[float], AtLeast(0)]
    history: Annotated[History, Before("binary")]


class State(NamedTuple):
    """``neighbours`` i32[n_items, K] and their ``similarity`` f32[n_items, K]."""

    neighbours: Array
    similarity: Array


def similarities(counts: Array, shrinkage: Array, neighbours: int) -> tuple[Array, Array]:
    """The most similar items of each item, i32[I, neighbours], and w f32[I, neighbours], from G f32[I, I].

    An item without positives has similarity 0 to all.
    """
    norm = jnp.sqrt(jnp.diagonal(counts))

    def nearest(item: Array) -> tuple[Array, Array]:
        divisor = norm[item] * norm + shrinkage
        row = jnp.where(divisor > 0, counts[item] / jnp.where(divisor > 0, divisor, 1.0), 0.0).at[item].set(0.0)
        value, index = jax.lax.top_k(row, neighbours)
        return index, value

    return jax.lax.map(nearest, jnp.arange(counts.shape[0]), batch_size=_ITEMS)


def _step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
    index, similarity = similarities(gram(data, spans(data)), hp.model["shrinkage"], state.neighbours.shape[1])
    return State(index, similarity), jnp.zeros(())


def _score(state: State, data: TrainingData, at: Query) -> Array:
    # Items run along the rows: then each neighbour is a gather of whole rows of B floats, which is fast.
    x = history_matrix(at, data.n_items).T

    def add(total: Array, neighbour: tuple[Array, Array]) -> tuple[Array, None]:
        index, similarity = neighbour
        return total + similarity[:, None] * x[index], None

    return jax.lax.scan(add, jnp.zeros_like(x), (state.neighbours.T, state.similarity.T))[0].T


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    def pairs(at: Query, items: Array) -> Array:
        x = jnp.take_along_axis(history_matrix(at, data.n_items), state.neighbours[items], axis=1)
        return jnp.sum(state.similarity[items] * x, axis=1)

    return in_blocks(pairs, at, items)


@lru_cache
def _build(neighbours: int) -> Method:
    """The Method of a structure; cached, so that it compiles once for all values of the shrinkage."""

    def init(key: Array, data: TrainingData, hp: Hyper) -> State:
        shape = data.n_items, min(neighbours, data.n_items)
        return State(jnp.zeros(shape, jnp.int32), jnp.zeros(shape))

    closed = Method(init, _step, _score, _predict, layout="full", link="rank", max_epochs=1, random=False)
    return closed._replace(history="all", new_users="all")


def _memory(options: Options, n_users: int, n_items: int) -> int:
    return gram_bytes(n_users, n_items) + 8 * n_items * min(options.neighbours, n_items) + 8 * _ITEMS * n_items


model = Solver("item_knn", Options, lambda options: with_history(_build(options.neighbours), options.history), _memory)
