"""EASE through its dual: a matrix of users × users where the primal solution keeps one of items × items.

    K    = (XXᵀ + l2·I)⁻¹ in R^(U×U)
    P    = (XᵀX + l2·I)⁻¹ = (I − XᵀKX) / l2              (Woodbury), so P_jj = (1 − x_jᵀKx_j) / l2, x_j column j of X
    X_uP = (KX)_u for a user u of X, and (x − xXᵀKX) / l2 for a new user with history x
    s_u  = X_uB = X_u − X_uP / (P_11, …, P_II), item by item

The same scores as of ``models.solvers.ease``, up to rounding; no matrix of items × items, and no dense X, is formed.
P_jj has a relative error of about 1e-7 / (l2·P_jj): an l2 far below the number of users of an item costs digits.

Time: U³ operations for the inverse, and for XXᵀ, for all P_jj and for the scores of all users 2·N·U each, with N the
rows of the log. A new user costs 2·U² + 4·N.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.models.contract import Array, Query, TrainingData
from upliftlens.models.query import history_matrix
from upliftlens.models.solvers.history import history, positives, spans

_BLOCK = 1024  # users at once, and the side of the tiles of K: wide enough for fast matrix products
_ROWS = 4096  # rows of the log per turn of a sum: their share of a dense block stays in cache


class State(NamedTuple):
    """``inverse`` f32[V, V]: K, filled up to V ≥ n_users, a multiple of a block; ``diagonal`` f32[I]: P_jj; ``entry``
    f32[N]: X by row of the log, 0 in rows that repeat a pair; ``l2`` f32[]."""

    inverse: Array
    diagonal: Array
    entry: Array
    l2: Array


def init(data: TrainingData, l2: Array) -> State:
    """Space for a state."""
    side = _side(data.n_users)
    return State(jnp.zeros((side, side)), jnp.zeros(data.n_items), jnp.zeros(data.log.user.shape), l2)


def solve(state: State, data: TrainingData, l2: Array) -> tuple[State, Array]:
    """The solution, in the place of ``state``, and the minimum of the primal objective f32[], Σ_j (1/P_jj − l2)."""
    log, where, entry = data.log, spans(data), entries(data)
    side, block = state.inverse.shape[0], _block(data.n_users)

    def columns(b: Array) -> tuple[Array, Array]:
        users = b * block + jnp.arange(block, dtype=jnp.int32)
        return users, history(data, where, users).T

    def regularised(b: Array, a: Array) -> Array:
        users, x = columns(b)
        ridge = jnp.where(jnp.arange(side)[:, None] == users, l2, 0.0)
        return jax.lax.dynamic_update_slice_in_dim(a, _sums(log.user, log.item, entry, x, side) + ridge, b * block, 1)

    def quadratic(b: Array, total: Array) -> Array:
        weights = jax.lax.dynamic_slice_in_dim(inverse, b * block, block, 1)
        return total + jnp.sum(columns(b)[1] * _sums(log.item, log.user, entry, weights, data.n_items), axis=1)

    turns = side // block
    inverse = inverted(jax.lax.fori_loop(0, turns, regularised, state.inverse), block)
    diagonal = (1 - jax.lax.fori_loop(0, turns, quadratic, jnp.zeros(data.n_items))) / l2
    return State(inverse, diagonal, entry, l2), jnp.sum(1 / diagonal - l2)


def score(state: State, data: TrainingData, at: Query) -> Array:
    """s f32[B, n_items]. A user of X is scored by their row of K, a new user by the history of the query."""
    log, x, new = data.log, history_matrix(at, data.n_items), at.user < 0

    def folded_in() -> Array:
        common = _sums(log.user, log.item, state.entry, x.T, state.inverse.shape[0])
        return jnp.where(new, jnp.matmul(state.inverse, common, precision="highest"), rows)

    rows = state.inverse[at.user].T
    weights = jax.lax.cond(new.any(), folded_in, lambda: rows)
    product = _sums(log.item, log.user, state.entry, weights, data.n_items).T
    return x - jnp.where(new[:, None], (x - product) / state.l2, product) / state.diagonal


def memory(n_users: int, n_items: int) -> int:
    """Bytes at the peak of ``solve``: K, four blocks of histories, and three of columns of K."""
    side, block = _side(n_users), _block(n_users)
    return 4 * (side**2 + block * (4 * n_items + 3 * side))


def entries(data: TrainingData) -> Array:
    """f32[N]: the entry of X that a row of the log stands for; 0 if it is no positive, or if its pair has an earlier
    row, or a later one with a larger entry."""
    value = jnp.where(positives(data) > 0, data.positive, 0.0)
    user, item = jnp.asarray(data.log.user), jnp.asarray(data.log.item)
    order = jnp.lexsort((-value, item, user))
    again = (
        jnp.zeros(order.shape, bool)
        .at[1:]
        .set(
            (jnp.diff(user[order]) == 0) & (jnp.diff(item[order]) == 0),
        )
    )
    return jnp.zeros_like(value).at[order].set(jnp.where(again, 0.0, value[order]))


def inverted(a: Array, block: int) -> Array:
    """The inverse of a symmetric positive definite a f32[V, V], V a multiple of ``block``, in its place.

    A sweep of tiles (Gauss-Jordan elimination): with C the columns of block k and D = A_kk⁻¹, A becomes A − CDCᵀ, the
    block's columns CD, and A_kk −D; after all blocks A is −a⁻¹. Only tiles on and below the diagonal are computed. (A
    Cholesky factorisation of a whole matrix of this size ends the process with some builds of OpenBLAS.)
    """
    count, eye = a.shape[0] // block, jnp.eye(block)
    lower, left = (jnp.asarray(side, jnp.int32) for side in np.tril_indices(count))

    def tile(a: Array, i: Array, j: Array) -> Array:
        return jax.lax.dynamic_slice(a, (i * block, j * block), (block, block))

    def panel(a: Array, k: Array) -> Array:
        places = jnp.arange(count, dtype=jnp.int32)
        return jax.lax.map(lambda i: jnp.where(i >= k, tile(a, i, k), tile(a, k, i).T), places)

    def sweep(k: Array, a: Array) -> Array:
        pivot = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(tile(a, k, k)), eye)
        column = panel(a, k)
        swept, across = jnp.matmul(column, pivot, precision="highest"), jnp.swapaxes(column, 1, 2)

        def update(t: Array, a: Array) -> Array:
            i, j = lower[t], left[t]
            new = tile(a, i, j) - jnp.matmul(swept[i], across[j], precision="highest")
            return jax.lax.dynamic_update_slice(a, new, (i * block, j * block))

        def pivoted(i: Array, a: Array) -> Array:
            new = jnp.where(i == k, -pivot, jnp.where(i > k, swept[i], swept[i].T))
            return jax.lax.dynamic_update_slice(a, new, (jnp.maximum(i, k) * block, jnp.minimum(i, k) * block))

        return jax.lax.fori_loop(0, count, pivoted, jax.lax.fori_loop(0, lower.shape[0], update, a))

    def mirror(k: Array, a: Array) -> Array:
        column = panel(a, k)
        return jax.lax.fori_loop(
            0, count, lambda i, a: jax.lax.dynamic_update_slice(a, column[i], (i * block, k * block)), a
        )

    return -jax.lax.fori_loop(0, count, mirror, jax.lax.fori_loop(0, count, sweep, a))


def _sums(into: Array, of: Array, entry: Array, dense: Array, size: int) -> Array:
    """f32[size, B]: in row r the sum of entry_n · dense[of_n] over the rows n with into_n = r. dense f32[*, B]."""
    fill = -into.shape[0] % _ROWS
    into, of, entry = (jnp.pad(jnp.asarray(column), (0, fill)).reshape(-1, _ROWS) for column in (into, of, entry))

    def turn(t: Array, total: Array) -> Array:
        return total.at[into[t]].add(entry[t][:, None] * dense[of[t]])

    return jax.lax.fori_loop(0, into.shape[0], turn, jnp.zeros((size, dense.shape[1])))


def _block(n_users: int) -> int:
    return min(_BLOCK, n_users)


def _side(n_users: int) -> int:
    """n_users, rounded up to a multiple of the block."""
    return -(-n_users // _block(n_users)) * _block(n_users)
