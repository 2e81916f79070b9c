"""iALS: implicit alternating least squares (Hu, Koren & Volinsky, ICDM 2008; Rendle et al., RecSys 2022).

    minimise over V_u, W_i in R^dim, with s_ui = V_u·W_i,
        L = Σ_O c_ui·(1 − s_ui)²  +  alpha0·Σ_D s_ui²  +  l2·(Σ_u ν_u·‖V_u‖² + Σ_i ν_i·‖W_i‖²)
        ν_u = (n_u + alpha0·n_items)^nu        ν_i = (n_i + alpha0·n_users)^nu

O holds the positives, D all pairs; c is the row's weight and n_u, n_i are sums of it, so a pair with m rows
has the confidence m (as in Hu et al.). With ``history=graded`` O holds every rated pair, and c is its rating as a share
of the highest. nu = 1 scales the penalty with the terms that a row of factors takes part in.

With the items fixed each user's minimum solves A_u·V_u = b_u, where
    A_u = Σ_{i in O_u} c_ui·W_i·W_iᵀ + alpha0·WᵀW + l2·ν_u·1        b_u = Σ_{i in O_u} c_ui·W_i
One step is a half-sweep over the users and one over the items. Each takes ``cg_steps`` conjugate-gradient steps of all
rows at once, from the present factors: L never rises, and the fixed points are those of exact solves. A_u is never
formed: A_u·x is dim² operations for the shared part and 4·dim per positive, summed over chunks of the log, so memory is
a few times the factors. Time per step: (2·cg_steps + 3) passes over the positives.

A new user gets the factors V_u that minimise L given W and the history of the query, by an exact solve.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import Above, AtLeast, Before, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers.history import History, positives, with_history

_QUERIES = 16  # new users whose equations are solved at once
_CHUNK = 2**18  # floats of gathered factors alive at once: a chunk of the log stays in the processor's cache


@dataclass(frozen=True)
class Options:
    """Options of iALS.

    ``dim`` of the factors; ``cg_steps`` per half-sweep, dim of them being exact up to rounding; ``alpha0`` weighs all
    pairs against the positives; ``l2`` and ``nu`` set the penalty; factors start as N(0, ``init_scale``²/dim): at 0
    they would stay; ``history``: what a positive is.
    """

    dim: Annotated[int, AtLeast(1)]
    cg_steps: Annotated[int, AtLeast(1)]
    alpha0: Annotated[Traced[float], Above(0)]
    l2: Annotated[Traced[float], Above(0)]
    nu: Annotated[Traced[float], AtLeast(0)]
    init_scale: Annotated[Traced[float], Above(0)]
    history: Annotated[History, Before("binary")]


class State(NamedTuple):
    """``users`` f32[n_users, dim] and ``items`` f32[n_items, dim]: V and W; the options f32[] that fold a user in."""

    users: Array
    items: Array
    alpha0: Array
    l2: Array
    nu: Array


class Side(NamedTuple):
    """The log as one half-sweep reads it: each row's ``moving`` id (a user's or an item's, whose factors
    the half-sweep changes) and the ``fixed`` id on the other side.

    Shapes [chunks, rows]; ``weight`` is c, 0 in padding.
    """

    moving: Array
    fixed: Array
    weight: Array


def sides(data: TrainingData, dim: int) -> tuple[Side, Side]:
    """The log as the users' and as the items' half-sweep read it, in chunks."""
    n = data.log.user.shape[0]
    rows = max(1, min(n, _CHUNK // dim))
    fill = -n % rows
    user, item, weight = (
        jnp.pad(column, (0, fill)).reshape(-1, rows) for column in (data.log.user, data.log.item, positives(data))
    )
    return Side(user, item, weight), Side(item, user, weight)


def penalties(side: Side, n_moving: int, n_fixed: int, alpha0: Array, l2: Array, nu: Array) -> Array:
    """l2·(n_row + alpha0·n_fixed)^nu for each row of factors, f32[n_moving]."""
    count = jax.ops.segment_sum(side.weight.ravel(), side.moving.ravel(), n_moving)
    return l2 * (count + alpha0 * n_fixed) ** nu


def half_sweep(x: Array, others: Array, side: Side, alpha0: Array, penalty: Array, cg_steps: int) -> Array:
    """``cg_steps`` conjugate-gradient steps on A·x = b for every row of x f32[n_moving, dim], given the ``others``."""
    shared = alpha0 * jnp.matmul(others.T, others, precision="highest")

    def over_positives(target: float, x: Array) -> Array:
        """Σ over the positives of each row of c·(target − x·w)·w."""

        def add(total: Array, chunk: Side) -> tuple[Array, None]:
            w = others[chunk.fixed]
            score = _dot(x[chunk.moving], w)
            return total.at[chunk.moving].add((chunk.weight * (target - score))[:, None] * w), None

        return jax.lax.scan(add, jnp.zeros_like(x), side)[0]

    def everywhere(x: Array) -> Array:
        return jnp.matmul(x, shared, precision="highest") + penalty[:, None] * x

    def cg_step(_: int, carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        x, residual, direction, norm = carry
        image = everywhere(direction) - over_positives(0.0, direction)
        length = _divide(norm, jnp.sum(direction * image, axis=1))[:, None]
        x, residual = x + length * direction, residual - length * image
        new_norm = jnp.sum(residual * residual, axis=1)
        return x, residual, residual + _divide(new_norm, norm)[:, None] * direction, new_norm

    residual = over_positives(1.0, x) - everywhere(x)
    start = (x, residual, residual, jnp.sum(residual * residual, axis=1))
    return jax.lax.fori_loop(0, cg_steps, cg_step, start)[0]


def _dot(x: Array, y: Array) -> Array:
    # A product with ones: on CPU a plain sum over the last axis isn't vectorised.
    return jnp.matmul(x * y, jnp.ones(x.shape[1]), precision="highest")


def _divide(numerator: Array, denominator: Array) -> Array:
    # A row that is already solved has a residual of 0 and stays where it is.
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1.0), 0.0)


def objective(state: State, side: Side, alpha0: Array, user_penalty: Array, item_penalty: Array) -> Array:
    """L, f32[]; ``side`` is that of the users."""

    def add(total: Array, chunk: Side) -> tuple[Array, None]:
        score = _dot(state.users[chunk.moving], state.items[chunk.fixed])
        return total + jnp.sum(chunk.weight * (1 - score) ** 2), None

    observed = jax.lax.scan(add, jnp.zeros(()), side)[0]
    factors = state.users, state.items
    grams = [jnp.matmul(x.T, x, precision="highest") for x in factors]
    ridge = sum(jnp.sum(p * jnp.sum(x * x, axis=1)) for p, x in zip((user_penalty, item_penalty), factors))
    return observed + alpha0 * jnp.sum(grams[0] * grams[1]) + ridge


def folded_in(state: State, at: Query) -> Array:
    """V_u f32[B, dim] of the histories of the queries; positives of one item count each, as in the log."""
    n_items, dim = state.items.shape
    count = jnp.sum(at.positive, axis=1)
    penalty = state.l2 * (count + state.alpha0 * n_items) ** state.nu
    shared = state.alpha0 * jnp.matmul(state.items.T, state.items, precision="highest")

    def solved(query: tuple[Array, Array, Array]) -> Array:
        items, weight, penalty = query
        w = state.items[items]  # an item −1 has weight 0
        a = shared + penalty * jnp.eye(dim) + jnp.matmul((weight[:, None] * w).T, w, precision="highest")
        return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(a), jnp.matmul(weight, w, precision="highest"))

    return jax.lax.map(solved, (at.items, at.positive, penalty), batch_size=_QUERIES)


def _factors(state: State, at: Query) -> Array:
    """V_u f32[B, dim]: the user's row, or where there is none that of the history."""
    if not at.items.shape[1]:
        return state.users[at.user]
    return jnp.where(at.user[:, None] < 0, folded_in(state, at), state.users[at.user])


def _score(state: State, data: TrainingData, at: Query) -> Array:
    return jnp.matmul(_factors(state, at), state.items.T, precision="highest")


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    return jnp.sum(_factors(state, at) * state.items[items], axis=1)


@lru_cache
def _build(dim: int, cg_steps: int) -> Method:
    """The Method of a structure; its step returns the new factors and L per user. Cached: it compiles once for all
    values of the traced options."""

    def init(key: Array, data: TrainingData, hp: Hyper) -> State:
        scale = hp.model["init_scale"] / dim**0.5
        keys = jax.random.split(key)
        users, items = (scale * jax.random.normal(k, (n, dim)) for k, n in zip(keys, (data.n_users, data.n_items)))
        return State(users, items, *_folding(hp))

    def step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
        alpha0, l2, nu = _folding(hp)
        by_user, by_item = sides(data, dim)
        user_penalty = penalties(by_user, data.n_users, data.n_items, alpha0, l2, nu)
        item_penalty = penalties(by_item, data.n_items, data.n_users, alpha0, l2, nu)
        users = half_sweep(state.users, state.items, by_user, alpha0, user_penalty, cg_steps)
        new = State(users, half_sweep(state.items, users, by_item, alpha0, item_penalty, cg_steps), alpha0, l2, nu)
        return new, objective(new, by_user, alpha0, user_penalty, item_penalty) / data.n_users

    return Method(init, step, _score, _predict, layout="full", link="rank", new_users="all")


def _folding(hp: Hyper) -> tuple[Array, Array, Array]:
    return hp.model["alpha0"], hp.model["l2"], hp.model["nu"]


def _memory(options: Options, n_users: int, n_items: int) -> int:
    # Factors before and after, right-hand side, and four arrays of the conjugate gradients, of the larger side at most.
    return 4 * options.dim * (2 * (n_users + n_items) + 6 * max(n_users, n_items)) + 4 * 4 * _CHUNK


model = Solver(
    "ials", Options, lambda options: with_history(_build(options.dim, options.cg_steps), options.history), _memory
)
