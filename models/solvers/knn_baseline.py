"""kNN-baseline: a neighbourhood on the residuals of regularised biases (Koren, TKDD 2010, section 2.2, eq. 3).

    r̂_ui = b_ui + Σ_{v in N} s_uv·(r_vi − b_vi) / Σ_{v in N} s_uv            b_ui = μ + b_u + b_i of ``baseline``
    N: among those who rated i the ``neighbours`` most similar to u, of them those with s > 0; no such v: r̂ = b_ui
    msd                s_uv = 1 / (1 + mean over common items of (r_ui − r_vi)²), 0 without a common item
    pearson_baseline   s_uv = (n − 1)/(n − 1 + shrinkage) · Σ d_ui·d_vi / √(Σ d_ui²·Σ d_vi²) over the n common items,
                       d_ui = r_ui − b_ui; 0 for n < 2
``by`` item: the same with users and items exchanged. Nobody is a neighbour of themselves. Ties: the lower index.
Several rows of a pair count as their mean. Nothing is minimised: the step's loss is 0. All matrices are dense.

Time: 2·U²·I operations for each product of a similarity; scoring takes U·I per user (``by`` item: I²).
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import Above, AtLeast, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers.baseline import Biases, start, swept
from upliftlens.models.solvers.history import in_blocks


@dataclass(frozen=True)
class Options:
    """``similarity`` of whom (``by``), its ``shrinkage`` in common ratings (pearson_baseline only), and how many
    ``neighbours`` count; ``l2_user``, ``l2_item`` of the biases, and the ``sweeps`` that estimate them."""

    by: Literal["user", "item"]
    similarity: Literal["msd", "pearson_baseline"]
    neighbours: Annotated[int, AtLeast(1)]
    shrinkage: Annotated[Traced[float], AtLeast(0)]
    l2_user: Annotated[Traced[float], Above(0)]
    l2_item: Annotated[Traced[float], Above(0)]
    sweeps: Annotated[int, AtLeast(1)]


class State(NamedTuple):
    """``biases``; ``neighbours`` i32[n, n] of each user (or item) from the most similar one on, and their
    ``similarity`` f32[n, n], 0 for oneself. All of them: which ones rated an item differs by item."""

    biases: Biases
    neighbours: Array
    similarity: Array


class Rated(NamedTuple):
    """Whether each pair was rated, its rating and its residual d, f32[n_users, n_items]; the last two 0 elsewhere."""

    rated: Array
    rating: Array
    residual: Array


def rated(data: TrainingData, biases: Biases) -> Rated:
    """The log as dense matrices."""
    log, zeros = data.log, jnp.zeros((data.n_users, data.n_items))
    weight = zeros.at[log.user, log.item].add(log.weight)
    total = zeros.at[log.user, log.item].add(log.weight * log.value)
    there = weight > 0
    rating = jnp.where(there, total / jnp.where(there, weight, 1.0), 0.0)
    offset = biases.of(jnp.arange(data.n_users)[:, None], jnp.arange(data.n_items))
    return Rated(there.astype(jnp.float32), rating, jnp.where(there, rating - offset, 0.0))


def _product(x: Array, y: Array) -> Array:
    return jnp.matmul(x, y.T, precision="highest")


def msd(known: Rated) -> Array:
    """s f32[n, n] of the rows."""
    common = _product(known.rated, known.rated)
    squares = _product(known.rating**2, known.rated)
    distance = jnp.maximum(squares + squares.T - 2 * _product(known.rating, known.rating), 0.0)
    return jnp.where(common > 0, 1 / (1 + distance / jnp.maximum(common, 1.0)), 0.0)


def pearson_baseline(known: Rated, shrinkage: Array) -> Array:
    """s f32[n, n] of the rows."""
    common = _product(known.rated, known.rated)
    squares = _product(known.residual**2, known.rated)
    norm = jnp.sqrt(squares * squares.T)
    support = jnp.maximum(common - 1, 0.0)
    defined = (support > 0) & (norm > 0)
    share = support / jnp.where(defined, support + shrinkage, 1.0)
    return jnp.where(defined, share * _product(known.residual, known.residual) / jnp.where(defined, norm, 1.0), 0.0)


def adjustment(neighbours: Array, similarity: Array, there: Array, residual: Array, most: int) -> Array:
    """f32[]: what at ``most`` so many neighbours add to b_ui.

    ``neighbours`` i32[n] and ``similarity`` f32[n]: a row of the state. ``there`` f32[n], 1 for those with a rating,
    and their ``residual`` f32[n], by their number.
    """
    there = there[neighbours]
    weight = jnp.where((there > 0) & (jnp.cumsum(there) <= most), jnp.maximum(similarity, 0.0), 0.0)
    total = jnp.sum(weight)
    return jnp.where(total > 0, jnp.sum(weight * residual[neighbours]) / jnp.where(total > 0, total, 1.0), 0.0)


@lru_cache
def _build(by: str, similarity: str, most: int, sweeps: int) -> Method:
    """The Method of a structure; cached, so that it compiles once for all values of the traced options."""
    by_user, adjusted = by == "user", partial(adjustment, most=most)

    def init(key: Array, data: TrainingData, hp: Hyper) -> State:
        n = data.n_users if by_user else data.n_items
        return State(start(data), jnp.zeros((n, n), jnp.int32), jnp.zeros((n, n)))

    def step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
        biases = jax.lax.fori_loop(0, sweeps, lambda _, now: swept(now, data, hp), start(data))
        known = rated(data, biases)
        if not by_user:
            known = Rated(*(part.T for part in known))
        alike = msd(known) if similarity == "msd" else pearson_baseline(known, hp.model["shrinkage"])
        alike = jnp.fill_diagonal(alike, 0.0, inplace=False)
        order = jnp.argsort(-alike, axis=1)
        return State(biases, order.astype(jnp.int32), jnp.take_along_axis(alike, order, axis=1)), jnp.zeros(())

    def score(state: State, data: TrainingData, at: Query) -> Array:
        known, near, alike = rated(data, state.biases), state.neighbours, state.similarity

        def added(user: Array) -> Array:
            if by_user:
                return jax.vmap(adjusted, (None, None, 1, 1))(near[user], alike[user], known.rated, known.residual)
            return jax.vmap(adjusted, (0, 0, None, None))(near, alike, known.rated[user], known.residual[user])

        return state.biases.of(at.user[:, None], jnp.arange(data.n_items)) + jax.lax.map(added, at.user)

    def predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
        known = rated(data, state.biases)
        there, residual = (part.T if by_user else part for part in known[::2])

        def pairs(at: Query, items: Array) -> Array:
            row, column = (at.user, items) if by_user else (items, at.user)
            return jax.vmap(adjusted)(state.neighbours[row], state.similarity[row], there[column], residual[column])

        return state.biases.of(at.user, items) + in_blocks(pairs, at, items)

    return Method(init, step, score, predict, layout="full", link="rating", max_epochs=1, random=False)


def _memory(options: Options, n_users: int, n_items: int) -> int:
    n = n_users if options.by == "user" else n_items
    return 4 * (7 * n_users * n_items + 8 * n**2)


model = Solver(
    "knn_baseline",
    Options,
    lambda options: _build(options.by, options.similarity, options.neighbours, options.sweeps),
    _memory,
    needs="ratings",
)
