"""NMF: non-negative factors of ratings by regularised multiplicative updates (Luo et al., IEEE TII 2014, RSNMF).

    minimise over P, Q ≥ 0   Σ_O (r_ui − p_u·q_i)² + l2·(Σ_u n_u·‖p_u‖² + Σ_i n_i·‖q_i‖²)
    p_uf ← p_uf · Σ_i q_if·r_ui / (Σ_i q_if·r̂_ui + l2·n_u·p_uf)          sums over O_u, r̂_ui = p_u·q_i
    q_if ← q_if · Σ_u p_uf·r_ui / (Σ_u p_uf·r̂_ui + l2·n_i·q_if)          sums over O_i

One step updates P and Q at once, both from the factors before it, as the source and Surprise (Hug 2020) do. Factors
start as U(0, ``init``) and stay ≥ 0 where ratings are. Either update alone never raises the objective; both at once
may. A user or an item without ratings has no factors: for it r̂ is the mean rating.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import Above, AtLeast, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers.baseline import mean_rating


@dataclass(frozen=True)
class Options:
    """``dim`` of the factors; ``l2``: penalty per rating; ``init``: the largest factor at the start."""

    dim: Annotated[int, AtLeast(1)]
    l2: Annotated[Traced[float], AtLeast(0)]
    init: Annotated[Traced[float], Above(0)]


class State(NamedTuple):
    """``users`` f32[n_users, dim], ``items`` f32[n_items, dim]: P and Q; ``mean`` f32[]; the counts n_u and n_i."""

    users: Array
    items: Array
    mean: Array
    user_count: Array
    item_count: Array


def updated(x: Array, others: Array, ids: Array, other_ids: Array, weight: Array, value: Array, l2: Array) -> Array:
    """The factors ``x`` f32[n, dim] after their update; row k of the log joins ``ids[k]`` and ``other_ids[k]``."""
    mine, theirs = x[ids], others[other_ids]
    estimate = jnp.sum(mine * theirs, axis=1)
    above = jax.ops.segment_sum((weight * value)[:, None] * theirs, ids, x.shape[0])
    below = jax.ops.segment_sum(weight[:, None] * (estimate[:, None] * theirs + l2 * mine), ids, x.shape[0])
    return x * jnp.where(below > 0, above / jnp.where(below > 0, below, 1.0), 0.0)


def objective(users: Array, items: Array, data: TrainingData, l2: Array) -> Array:
    """f32[]: what is minimised."""
    p, q = users[data.log.user], items[data.log.item]
    squares = (data.log.value - jnp.sum(p * q, axis=1)) ** 2
    return jnp.sum(data.log.weight * (squares + l2 * jnp.sum(p * p + q * q, axis=1)))


def _step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
    log, l2 = data.log, hp.model["l2"]
    users = updated(state.users, state.items, log.user, log.item, log.weight, log.value, l2)
    items = updated(state.items, state.users, log.item, log.user, log.weight, log.value, l2)
    loss = objective(users, items, data, l2) / jnp.sum(log.weight)
    return state._replace(users=users, items=items), loss


def _score(state: State, data: TrainingData, at: Query) -> Array:
    known = (state.user_count[at.user][:, None] > 0) & (state.item_count > 0)
    return jnp.where(known, jnp.matmul(state.users[at.user], state.items.T, precision="highest"), state.mean)


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    known = (state.user_count[at.user] > 0) & (state.item_count[items] > 0)
    return jnp.where(known, jnp.sum(state.users[at.user] * state.items[items], axis=1), state.mean)


@lru_cache
def _build(dim: int) -> Method:
    """The Method of a structure; cached, so that it compiles once for all values of the traced options."""

    def init(key: Array, data: TrainingData, hp: Hyper) -> State:
        if data.scale[0] < 0:
            raise UpliftlensError(
                f"model=nmf is for ratings of 0 or more, and the scale begins at {data.scale[0]:g}: use model=svd"
            )
        log, sizes = data.log, (data.n_users, data.n_items)
        factors = [jax.random.uniform(k, (n, dim)) for k, n in zip(jax.random.split(key), sizes, strict=True)]
        counts = [jax.ops.segment_sum(log.weight, ids, n) for ids, n in zip((log.user, log.item), sizes, strict=True)]
        users, items = (hp.model["init"] * x for x in factors)
        return State(users, items, mean_rating(data), counts[0], counts[1])

    return Method(init, _step, _score, _predict, layout="full", link="rating")


def _memory(options: Options, n_users: int, n_items: int) -> int:
    return 4 * options.dim * 4 * (n_users + n_items)


model = Solver("nmf", Options, lambda options: _build(options.dim), _memory, needs="ratings")
