"""A query: who is scored, and what is known of them at that moment.

A method that keeps a row of parameters for each user needs the user alone. One that scores a history (EASE, item-kNN,
a sequential model) needs the interactions before the moment, and can then score a user whom it never trained on.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.interactions import Array

Reach = int | Literal["all"]
"""How many interactions before the moment are needed: 0, the last n, or all."""


class Query(NamedTuple):
    """B moments that are scored, with the L interactions before each, the newest last, −1 on the left where fewer.

    ``user`` i32[B]: −1 for a user for whom the method has no row. ``items`` i32[B, L]. ``values`` f32[B, L]: ratings.
    ``positive`` f32[B, L]: 1 where the interaction counts as a positive, as in ``TrainingData``. Both 0 where items
    are −1. L is 0 for a method that needs no history.
    """

    user: Array
    items: Array
    values: Array
    positive: Array


def of_users(users: Array) -> Query:
    """A query for each of the users i32[B], without their histories."""
    nothing = jnp.zeros((users.shape[0], 0))
    return Query(jnp.asarray(users), nothing.astype(jnp.int32), nothing, nothing)


_STRIDE = 64  # interactions of each query taken per turn of a loop: some tens of microseconds of work for 256 queries


def history_matrix(at: Query, n_items: int) -> Array:
    """f32[B, n_items]: by item the largest ``positive`` among the interactions of each query, 0 without one.

    Time is in proportion to the longest history that the queries hold, not to L.
    """
    fill = -at.items.shape[1] % _STRIDE
    item = jnp.pad(at.items, ((0, 0), (fill, 0)), constant_values=-1)
    value = jnp.pad(at.positive, ((0, 0), (fill, 0)))
    rows, width = item.shape
    slot = jnp.arange(rows)[:, None]
    longest = jnp.max(jnp.sum(item >= 0, axis=1), initial=0)

    def turn(t: Array, x: Array) -> Array:
        first = width - (t + 1) * _STRIDE
        items, values = (jax.lax.dynamic_slice_in_dim(part, first, _STRIDE, 1) for part in (item, value))
        return x.at[slot, jnp.where(items < 0, n_items, items)].max(values, mode="drop")

    return jax.lax.fori_loop(0, (longest + _STRIDE - 1) // _STRIDE, turn, jnp.zeros((rows, n_items)))
