"""What a training step reads: weighted samples of pairs, in any layout."""

from typing import NamedTuple

import jax.numpy as jnp

from upliftlens.causal.interactions import Array


class Sample(NamedTuple):
    """A weighted sample of pairs: Σ weight·f(pair) is an unbiased estimate of the mean of f over O, or over D.

    Sparse: ``users`` i32[B], ``items`` i32[B], ``target`` f32[B], ``weight`` f32[B].
    Tile:   ``users`` i32[B], ``items`` None, ``target`` f32[B, n_items], ``weight`` f32[B, n_items].
    Triple: as sparse, with ``negatives`` i32[B]; the score of a row is s(user, item) − s(user, negative).

    ``propensity``, of the shape of ``weight``, is P(what the row records): that the pair is observed or, in a sample of
    a log of recommendations, that it was treated as it was. Read only where the weight is positive. A sample of D has
    it only for objectives that need it "everywhere".
    In a sample of a log of recommendations the target is the outcome Y, and ``treated`` is 1 where the pair was
    recommended, else 0.
    The weights carry the scale, so an objective that is linear in its sums has an unbiased minibatch gradient in every
    layout.
    """

    users: Array
    items: Array | None
    target: Array
    weight: Array
    negatives: Array | None = None
    propensity: Array | None = None
    treated: Array | None = None


class Batch(NamedTuple):
    """``observed``: a sample of O, the observed pairs; ``everything``: of D = users × items, if the objective needs it.

    In a log of recommendations O is all logged pairs, recommended or not.

    ``density`` f32[] is |O|/|D|: it turns a mean over O into a sum over O per pair of D.
    """

    observed: Sample
    everything: Sample | None = None
    density: Array | None = None


def pair_ids(sample: Sample) -> tuple[Array, Array]:
    """users i32[B'] and items i32[B'] of a sample's pairs; a tile's are those of its flattened arrays."""
    if sample.items is not None:
        return sample.users, sample.items
    items = jnp.broadcast_to(jnp.arange(sample.weight.shape[1], dtype=jnp.int32), sample.weight.shape)
    return jnp.broadcast_to(sample.users[:, None], sample.weight.shape).ravel(), items.ravel()
