"""Dense history rows of a block of users, built from the log inside a compiled program.

The history matrix X in [0, 1]^(U×I) is by the option ``history`` of a solver
    binary   X_ui = 1 if any row of the log with weight > 0 is a positive of (u, i)
    graded   X_ui = value / highest value of the scale, of every row with weight > 0: a low rating is a weak interest.
             Values below 0 count as 0
and 0 elsewhere; a pair with several rows counts once, with the largest. All of X would take 4·U·I bytes (11 GB for 138
thousand users × 20 thousand items), so it is never kept. What is kept is where each user's rows lie in the log, 8 bytes
a user; a block of B users costs 4·B·I bytes for as long as it is used, and time in proportion to the longest history of
the block.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.errors import UpliftlensError
from upliftlens.models.contract import Array, Method, Query, TrainingData

History = Literal["binary", "graded"]

_STRIDE = 64  # rows of each user taken per turn of the loop: some tens of microseconds of work for 256 users
_PAIRS = 256  # pairs predicted at once: bounds the histories in memory
_BLOCK = 1024  # users per matrix product of histories: wide enough to be bound by arithmetic, not by memory


class Spans(NamedTuple):
    """Rows [begin_u, end_u) of the log hold every positive of user u; both i32[n_users], empty where end_u = 0.

    In a log that is sorted by user a span holds nothing else but perhaps padding. In any other order histories are
    still right, only slower: each row's user and weight are checked.
    """

    begin: Array
    end: Array


@lru_cache(maxsize=64)
def with_history(method: Method, kind: History) -> Method:
    """``method``, which learns from ``data.positive``, on histories of that ``kind``; cached, so it compiles once."""

    def learning(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda first, data, *others: function(first, graded(data), *others)

    def scoring(function: Callable[..., Any]) -> Callable[..., Any]:
        def on_grades(state: Any, data: TrainingData, at: Query, *items: Array) -> Array:
            known = at._replace(positive=jnp.where(at.items >= 0, grades(at.values, data), 0.0))
            return function(state, graded(data), known, *items)

        return on_grades

    if kind == "binary":
        return method
    return method._replace(
        init=learning(method.init),
        step=learning(method.step),
        score=scoring(method.score),
        predict=scoring(method.predict),
    )


def graded(data: TrainingData) -> TrainingData:
    """``data`` whose ``positive`` is the grade of every row; 0 in padding."""
    return replace(data, positive=jnp.where(data.log.weight > 0, grades(data.log.value, data), 0.0))


def grades(values: Array, data: TrainingData) -> Array:
    """Values as shares of the highest one of the scale, at least 0; any shape."""
    if data.scale[1] <= 0:
        raise UpliftlensError(f"history=graded divides by the top of the scale, {data.scale[1]:g}: use history=binary")
    return jnp.maximum(values, 0.0) / data.scale[1]


def positives(data: TrainingData) -> Array:
    """f32[N]: ``positive`` × ``weight`` of each row of the log; 0 in padding."""
    return data.positive * data.log.weight


def spans(data: TrainingData) -> Spans:
    """Where in the log each user's positives lie; O(N), once per fit."""
    rows = jnp.arange(data.log.user.shape[0], dtype=jnp.int32)
    counts = positives(data) > 0
    # A row that doesn't count is sent to the user id past the end, which a scatter drops.
    user = jnp.where(counts, data.log.user, data.n_users)
    begin = jnp.full(data.n_users, rows.shape[0], jnp.int32).at[user].min(rows, mode="drop")
    end = jnp.zeros(data.n_users, jnp.int32).at[user].max(rows + 1, mode="drop")
    return Spans(begin, end)


def history(data: TrainingData, where: Spans, users: Array) -> Array:
    """f32[B, n_items]: the rows of X for ``users`` i32[B]. ``where`` must come from the same ``data``.

    A user id ≥ n_users has an empty history, so that a last block may be ragged.
    """
    value = jnp.where(positives(data) > 0, data.positive, 0.0)
    owner, item = jnp.asarray(data.log.user), jnp.asarray(data.log.item)
    begin = where.begin.at[users].get(mode="fill", fill_value=0)
    end = where.end.at[users].get(mode="fill", fill_value=0)
    turns = (jnp.max(end - begin, initial=0) + _STRIDE - 1) // _STRIDE
    slot = jnp.arange(users.shape[0])[:, None]

    def turn(t: Array, x: Array) -> Array:
        row = begin[:, None] + t * _STRIDE + jnp.arange(_STRIDE)
        theirs = (row < end[:, None]) & (owner[row] == users[:, None])
        return x.at[slot, item[row]].max(jnp.where(theirs, value[row], 0.0))

    return jax.lax.fori_loop(0, turns, turn, jnp.zeros((users.shape[0], data.n_items), jnp.float32))


def over_users(data: TrainingData, where: Spans, add: Callable[[Any, Array], Any], start: Any) -> Any:
    """``start``, to which ``add(total, histories f32[B, n_items])`` was applied with every user's row of X, in blocks.

    The last block is filled up with empty histories.
    """
    block = min(_BLOCK, data.n_users)

    def turn(b: Array, total: Any) -> Any:
        return add(total, history(data, where, b * block + jnp.arange(block, dtype=jnp.int32)))

    return jax.lax.fori_loop(0, -(-data.n_users // block), turn, start)


def gram(data: TrainingData, where: Spans) -> Array:
    """G = XᵀX, f32[n_items, n_items]; of 0/1 histories the number of users with both items, exact below 2²⁴ users.

    2·U·I² operations in dense blocks of users.
    """

    def add(g: Array, x: Array) -> Array:
        return g + jnp.matmul(x.T, x, precision="highest")

    return over_users(data, where, add, jnp.zeros((data.n_items, data.n_items), jnp.float32))


def gram_bytes(n_users: int, n_items: int) -> int:
    """Peak bytes of ``spans`` and ``gram``: the sum and one addend, and a block of histories with its transpose."""
    return 4 * (2 * n_items**2 + 2 * min(_BLOCK, n_users) * n_items + 2 * n_users)


def in_blocks(predict: Callable[[Query, Array], Array], at: Query, items: Array) -> Array:
    """``predict(at, items i32[256]) -> f32[256]`` over pairs of any number, 256 queries and items after the other.

    For methods that need a row of n_items numbers per pair. The last block is filled up with zeros.
    """
    count = items.shape[0]
    fill = -count % _PAIRS

    def blocks(column: Array) -> Array:
        filled = jnp.pad(column, ((0, fill), *((0, 0) for _ in column.shape[1:])))
        return filled.reshape(filled.shape[0] // _PAIRS, _PAIRS, *column.shape[1:])

    return jax.lax.map(lambda block: predict(*block), jax.tree.map(blocks, (at, items))).reshape(-1)[:count]
