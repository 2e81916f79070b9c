"""Which pairs of a log of recommendations a pairwise loss is summed over: drawn on the host, anew for every epoch."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions


class Triples(NamedTuple):
    """Drawn pairs of a pairwise loss: ``row`` i[n] into the log says user and item, ``negative`` i[n] is the other."""

    row: np.ndarray
    negative: np.ndarray


DrawTriples = Callable[[np.random.Generator, int], Triples]
"""``draw(rng, n)`` gives exactly ``n`` triples."""


def whole_passes(rng: np.random.Generator, n_rows: int, count: int) -> np.ndarray:
    """i[count] row numbers: whole passes, and a sample without replacement for the rest, so all are drawn alike."""
    passes = [rng.permutation(n_rows) for _ in range(-(-count // n_rows))]
    return rng.permutation(np.concatenate(passes)[:count])


def against_any_item(
    usable: Callable[[Interactions], np.ndarray],
) -> Callable[[Interactions, Mapping[str, float]], DrawTriples]:
    """Draws of a row with Y > 0 among the ``usable(log)`` bool[N], against an item uniform over all items.

    The draws raise UpliftlensError for a log without such a row.
    """

    def triples(log: Interactions, hp: Mapping[str, float]) -> DrawTriples:
        rows = np.flatnonzero((log.value > 0) & usable(log))
        if not len(rows):
            raise UpliftlensError("the log has no row with an outcome above 0 that this objective could use")

        def draw(rng: np.random.Generator, n: int) -> Triples:
            return Triples(rows[whole_passes(rng, len(rows), n)], rng.integers(0, log.n_items, n))

        return draw

    return triples


def positive_probability(treated: Array, outcome: Array, alpha: Array | float) -> Array:
    """P(the row counts as a positive): Y where recommended, α·(1 − Y) where not."""
    return treated * outcome + (1 - treated) * alpha * (1 - outcome)


def class_pairs(log: Interactions, hp: Mapping[str, float]) -> DrawTriples:
    """Draws of a positive row, over the whole log in proportion to P(positive), against a negative row of its user.

    The negative one is drawn in proportion to 1 − P(positive); ``hp["alpha"]`` is the coin's probability.

    Raises:
        UpliftlensError: if no user has a row that can be positive and one that can be negative.
    """
    order = np.argsort(log.user, kind="stable")
    user = log.user[order]
    positive = positive_probability(log.treated[order].astype(np.float64), log.value[order], hp["alpha"])
    negative_mass = np.concatenate([[0.0], np.cumsum(1 - positive)])
    edges = np.searchsorted(user, np.arange(log.n_users + 1))
    low, high = negative_mass[edges[:-1]], negative_mass[edges[1:]]
    positive_mass = np.cumsum(positive * (high > low)[user])
    if not positive_mass[-1] > 0:
        raise UpliftlensError("no user of the log has a row that can count as a positive and one that can't")

    def draw(rng: np.random.Generator, n: int) -> Triples:
        first = np.searchsorted(positive_mass, rng.random(n) * positive_mass[-1], side="right")
        first = np.minimum(first, len(user) - 1)
        owner = user[first]
        place = low[owner] + rng.random(n) * (high - low)[owner]
        second = np.searchsorted(negative_mass[1:], place, side="right")
        # Rounding could carry a draw at the very end of a user's stretch into the next one.
        second = np.clip(second, edges[owner], edges[owner + 1] - 1)
        return Triples(order[first], log.item[order[second]])

    return draw
