"""The layout triples: a user, a positive item and another item, for losses of pairs of items."""

import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.training.rows import Feed, Order, Wants, rows_of, steps_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.objectives.triples import whole_passes
from upliftlens.causal.sample import Batch, Sample
from upliftlens.models.contract import Array, Link, TrainingData


def triples(data: TrainingData, link: Link, size: int | None, wants: Wants) -> Feed:
    """The feed of the layout: positive rows of the log, or rows that the objective draws from recommendations.

    Raises:
        UpliftlensError: if no row is positive.
    """
    if wants.triples is not None:
        return _drawn(data, size, wants)
    if wants.kept is not None:
        raise UpliftlensError(
            "propensity.trim is of pairs, and this loss is of two pairs at once: use propensity.trim=0"
        )
    log, propensity = data.log, wants.propensity
    rows = np.flatnonzero(np.asarray(data.positive) * np.asarray(log.weight) > 0)
    # The number of steps comes from the padded log, so that fits with and without validation rows share a program.
    n_steps, size = steps_of(len(log), size)
    if not len(rows):
        raise UpliftlensError("no training row is positive, so there is nothing to rank first: lower data.relevance")
    user, item = np.asarray(log.user)[rows], np.asarray(log.item)[rows]
    p = None if propensity is None else propensity[rows].astype(np.float32)
    keys = np.unique(user.astype(np.int64) * data.n_items + item)

    def order(rng: np.random.Generator) -> Order:
        picked = whole_passes(rng, len(rows), n_steps * size)
        negative = _negatives(rng, user[picked], keys, data.n_items)
        drawn = tuple(a.astype(np.int32).reshape(n_steps, size) for a in (user[picked], item[picked], negative))
        return drawn if p is None else (*drawn, p[picked].reshape(n_steps, size))

    return Feed(None, order, _cut_triples, n_steps)


def _negatives(rng: np.random.Generator, user: np.ndarray, keys: np.ndarray, n_items: int) -> np.ndarray:
    """One item per user, uniform over the items that the user has no positive row for (up to 20 rejections)."""
    negative = rng.integers(0, n_items, len(user))
    for _ in range(20):
        drawn = user.astype(np.int64) * n_items + negative
        place = np.minimum(np.searchsorted(keys, drawn), len(keys) - 1)
        clash = np.flatnonzero(keys[place] == drawn)
        if not len(clash):
            break
        negative[clash] = rng.integers(0, n_items, len(clash))
    return negative


def _cut_triples(arrays: None, index: tuple[Array, ...]) -> Batch:
    user, item, negative, *propensity = index
    ones = jnp.ones(user.shape)
    return Batch(Sample(user, item, ones, ones / user.shape[0], negative, *propensity))


def _drawn(data: TrainingData, size: int | None, wants: Wants) -> Feed:
    rows, draw = rows_of(data, "rank", wants), wants.triples
    assert draw is not None and rows.propensity is not None and rows.treated is not None
    columns = (rows.user, rows.item, rows.target, rows.propensity, rows.treated.astype(np.float32))
    n_steps, size = steps_of(len(data.log), size)  # an epoch draws about as many triples as there are positives

    def order(rng: np.random.Generator) -> Order:
        row, negative = draw(rng, n_steps * size)
        picked = (*(column[row] for column in columns), negative.astype(np.int32))
        return tuple(column.reshape(n_steps, size) for column in picked)

    return Feed(None, order, _cut_drawn, n_steps)


def _cut_drawn(arrays: None, index: tuple[Array, ...]) -> Batch:
    user, item, outcome, propensity, treated, negative = index
    weight = jnp.full(user.shape, 1 / user.shape[0])
    return Batch(Sample(user, item, outcome, weight, negative, propensity, treated))
