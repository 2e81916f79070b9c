"""The layout pairs: minibatches of observed rows, with a sample of all pairs D where an objective sums over D."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.training.rows import Feed, Order, Wants, density_of, rows_of, steps_of
from upliftlens.causal.sample import Batch, Sample
from upliftlens.models.contract import Array, Link, TrainingData


class _Pairs(NamedTuple):
    packed: Array
    density: Array | None
    exposure: Array | None


def pairs(data: TrainingData, link: Link, size: int | None, wants: Wants) -> Feed:
    """The feed of the layout: each step draws pairs of D uniformly, weighted so that the expectation is the mean."""
    rows = rows_of(data, link, wants)
    n_steps, size = steps_of(len(rows.user), size)
    extra = n_steps * size - len(rows.user)
    scaled = rows.weight * (n_steps / max(rows.weight.sum(), 1))
    floats = [column for column in (rows.target, scaled, rows.propensity, rows.treated) if column is not None]
    columns = [np.pad(ids, (0, extra)) for ids in (rows.user, rows.item)]
    columns += [np.pad(column.astype(np.float32), (0, extra)).view(np.int32) for column in floats]
    drawn = max(1, round(wants.share * size))

    def order(rng: np.random.Generator) -> Order:
        picked = rng.permutation(n_steps * size).astype(np.int32).reshape(n_steps, size)
        if not wants.everything:
            return picked
        ends = (data.n_users, data.n_items)
        users, items = (rng.integers(0, end, (n_steps, drawn), np.int32) for end in ends)
        left = np.arange(users.size)  # pairs that were just drawn: only they may lie outside of K
        while wants.kept is not None and len(left := left[~wants.kept.of(users.flat[left], items.flat[left])]):
            users.flat[left], items.flat[left] = (rng.integers(0, end, len(left), np.int32) for end in ends)
        return picked, users, items

    # Four 4-byte columns in one row: a shuffled gather then touches one cache line per pair instead of four.
    packed = jnp.asarray(np.stack(columns, axis=1))
    exposure = None if wants.exposure is None else jnp.asarray(wants.exposure)
    return Feed(_Pairs(packed, density_of(data, rows, wants), exposure), order, _cut, n_steps)


def _cut(arrays: _Pairs, index: Any) -> Batch:
    index, *drawn = index if isinstance(index, tuple) else (index,)
    rows = arrays.packed[index]
    as_float = jax.lax.bitcast_convert_type(rows[:, 2:], jnp.float32)
    more = (as_float[:, column] for column in range(2, as_float.shape[1]))
    observed = Sample(rows[:, 0], rows[:, 1], as_float[:, 0], as_float[:, 1], None, *more)
    everything = None
    if drawn:
        users, items = drawn
        # The rating of a pair of D is unknown: its target is never read.
        p = None if arrays.exposure is None else arrays.exposure[users, items]
        shares = jnp.full(users.shape, 1 / users.shape[0])
        everything = Sample(users, items, jnp.zeros(users.shape), shares, propensity=p)
    return Batch(observed, everything, arrays.density)
