"""SVD and SVD++: factors of ratings by stochastic gradient descent, rating by rating (Koren, KDD 2008; Hug 2020).

    r̂_ui = μ + b_u + b_i + q_i·(p_u + z_u)      z_u = 0 (SVD),  |N(u)|^(−½)·Σ_{j in N(u)} y_j (SVD++)
    minimise   Σ_O [(r_ui − r̂_ui)² + l2·(b_u² + b_i² + ‖p_u‖² + ‖q_i‖² + Σ_{j in N(u)} ‖y_j‖² (SVD++))]

N(u) holds the items that u rated, μ the mean rating. For one rating after the other, e = r_ui − r̂_ui and
    b ← b + lr·(e − l2·b)      p_u ← p_u + lr·(e·q_i − l2·p_u)      q_i ← q_i + lr·(e·(p_u + z_u) − l2·q_i)
    y_j ← y_j + lr·(e·|N(u)|^(−½)·q_i − l2·y_j) for all j in N(u)
where the right-hand sides are those before the step; a row's lr is multiplied by its weight. One step of the method is
one pass over the log, user by user, each user's rows in their order: that of Surprise (Hug 2020).

Within the rows of a user all y_j of N(u) change by one rule: y_j = a·y_j(before) + c with the scalar a and the vector c
of the user. So a rating costs O(dim) with SVD++, too, and y is written once per user; nothing is approximate.
Several rows of a pair count as one with their mean rating and the sum of their weights. Factors start as
N(0, ``init``²), those of users and items without ratings as 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.options import Above, AtLeast, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers.baseline import Biases, start
from upliftlens.models.solvers.history import spans

_STRIDE = 32  # rows of a user whose q and y are read and written at once; changes no number beyond rounding


@dataclass(frozen=True)
class Options:
    """``dim`` of the factors; ``lr``; ``l2``: penalty per rating; ``init``: sd of the factors at the start."""

    dim: Annotated[int, AtLeast(1)]
    lr: Annotated[Traced[float], Above(0)]
    l2: Annotated[Traced[float], AtLeast(0)]
    init: Annotated[Traced[float], AtLeast(0)]


class State(NamedTuple):
    """``biases``; ``users`` f32[n_users, dim], ``items`` f32[n_items, dim]: P and Q; ``implicit`` f32[n_items, dim]: y;
    ``tastes`` f32[n_users, dim]: p_u + z_u. SVD has no y, f32[n_items, 0]."""

    biases: Biases
    users: Array
    items: Array
    implicit: Array
    tastes: Array


class _Passed(NamedTuple):
    """What the rows of a user have changed so far: the user's bias, p, a and c; and Σ weight·e² of all users."""

    bias: Array
    p: Array
    a: Array
    c: Array
    squares: Array


def merged(data: TrainingData) -> tuple[Array, Array]:
    """Weight and value f32[N] of each row of the log, where several rows of a pair are one: the first, with the sum of
    their weights and their mean value. The others have weight 0."""
    weight, n = jnp.maximum(data.log.weight, 0.0), data.log.weight.shape[0]
    user = jnp.where(weight > 0, data.log.user, data.n_users)
    order = jnp.lexsort((data.log.item, user))  # stable: the rows of a pair stay in their order
    pair = jnp.stack([user, jnp.asarray(data.log.item)])[:, order]
    first = jnp.any(pair != jnp.roll(pair, 1, axis=1), axis=0).at[0].set(True)
    number = jnp.cumsum(first) - 1
    total = jax.ops.segment_sum(weight[order], number, n)
    mean = jax.ops.segment_sum((weight * data.log.value)[order], number, n) / jnp.where(total > 0, total, 1.0)
    zeros = jnp.zeros(n)
    return zeros.at[order].set(jnp.where(first, total[number], 0.0)), zeros.at[order].set(mean[number])


@lru_cache
def _build(dim: int, with_implicit: bool) -> Method:
    """The Method of a structure; cached, so that it compiles once for all values of the traced options."""

    def init(key: Array, data: TrainingData, hp: Hyper) -> State:
        def factors(key: Array, ids: Array, n: int) -> Array:
            rated = jax.ops.segment_sum(data.log.weight, ids, n)[:, None] > 0
            return jnp.where(rated, hp.model["init"] * jax.random.normal(key, (n, dim)), 0.0)

        keys = jax.random.split(key, 3)
        users = factors(keys[0], data.log.user, data.n_users)
        items = factors(keys[1], data.log.item, data.n_items)
        implicit = factors(keys[2], data.log.item, data.n_items) if with_implicit else jnp.zeros((data.n_items, 0))
        return State(start(data), users, items, implicit, users)

    def step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
        lr, l2, mean = hp.model["lr"], hp.model["l2"], state.biases.mean
        where = spans(replace(data, positive=jnp.ones_like(data.log.weight)))
        owner, item = jnp.asarray(data.log.user), jnp.asarray(data.log.item)
        weight, value = merged(data)
        first = (weight > 0).astype(jnp.float32)
        n_rated = jax.ops.segment_sum(first, owner, data.n_users)
        root = jnp.sqrt(jnp.maximum(n_rated, 1.0))

        def over_rows(user: Array, add: Callable[[Any, Array, Array], Any], total: Any) -> Any:
            """``total``, to which ``add(total, rows i32[S], theirs bool[S])`` was applied for all rows of the user."""
            begin, end = where.begin[user], where.end[user]

            def turn(t: Array, total: Any) -> Any:
                rows = begin + t * _STRIDE + jnp.arange(_STRIDE)
                return add(total, rows, (rows < end) & (owner[rows] == user))

            return jax.lax.fori_loop(0, (end - begin + _STRIDE - 1) // _STRIDE, turn, total)

        def of_user(user: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            state, squares = carry
            before = jnp.zeros(dim)  # Σ y_j before the user's rows
            if with_implicit:

                def summed(total: Array, rows: Array, theirs: Array) -> Array:
                    return total + jnp.sum((theirs * first[rows])[:, None] * state.implicit[item[rows]], axis=0)

                before = over_rows(user, summed, before)

            def rate(now: _Passed, row: tuple[Array, ...]) -> tuple[_Passed, tuple[Array, Array]]:
                q, b, value, weight = row
                taste = now.p + (now.a * before + n_rated[user] * now.c) / root[user] if with_implicit else now.p
                e, lr_now = value - (mean + now.bias + b + jnp.sum(q * taste)), lr * weight
                passed = _Passed(
                    now.bias + lr_now * (e - l2 * now.bias),
                    now.p + lr_now * (e * q - l2 * now.p),
                    now.a * (1 - lr_now * l2),
                    now.c * (1 - lr_now * l2) + lr_now * e / root[user] * q,
                    now.squares + weight * e * e,
                )
                return passed, (lr_now * (e * taste - l2 * q), lr_now * (e - l2 * b))

            def rated(carry: Any, rows: Array, theirs: Array) -> Any:
                now, items, item_bias = carry
                i, counts = item[rows], jnp.where(theirs, weight[rows], 0.0)
                now, (of_q, of_b) = jax.lax.scan(rate, now, (items[i], item_bias[i], value[rows], counts))
                return now, items.at[i].add(of_q), item_bias.at[i].add(of_b)

            biases = state.biases
            now = _Passed(biases.user[user], state.users[user], jnp.ones(()), jnp.zeros(dim), squares)
            now, items, item_bias = over_rows(user, rated, (now, state.items, biases.item))

            def written(y: Array, rows: Array, theirs: Array) -> Array:
                change = (now.a - 1) * y[item[rows]] + now.c
                return y.at[item[rows]].add((theirs * first[rows])[:, None] * change)

            return State(
                Biases(mean, biases.user.at[user].set(now.bias), item_bias),
                state.users.at[user].set(now.p),
                items,
                over_rows(user, written, state.implicit) if with_implicit else state.implicit,
                state.tastes,
            ), now.squares

        new, squares = jax.lax.fori_loop(0, data.n_users, of_user, (state, jnp.zeros(())))
        tastes = new.users
        if with_implicit:
            tastes += jax.ops.segment_sum(first[:, None] * new.implicit[item], owner, data.n_users) / root[:, None]
        return new._replace(tastes=tastes), squares / jnp.sum(weight)

    return Method(init, step, _score, _predict, layout="full", link="rating")


def _score(state: State, data: TrainingData, at: Query) -> Array:
    taste = jnp.matmul(state.tastes[at.user], state.items.T, precision="highest")
    return state.biases.of(at.user[:, None], jnp.arange(data.n_items)) + taste


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    return state.biases.of(at.user, items) + jnp.sum(state.tastes[at.user] * state.items[items], axis=1)


def _solver(name: str, with_implicit: bool) -> Solver:
    def memory(options: Options, n_users: int, n_items: int) -> int:
        return 2 * 4 * options.dim * (2 * n_users + (1 + with_implicit) * n_items)

    return Solver(name, Options, lambda options: _build(options.dim, with_implicit), memory, needs="ratings")


svd = _solver("svd", with_implicit=False)
svdpp = _solver("svdpp", with_implicit=True)
