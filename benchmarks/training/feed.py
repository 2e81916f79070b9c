"""From training data to the batches of one epoch: the layouts, the rule that chooses one, and its feed.

A layout is a function (data, link, size, wants) -> Feed in a file of this folder, and a line in ``FEEDS``. ``size`` is
the largest number of rows (or users) per step, None for all.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from upliftlens.benchmarks.training.pairs import pairs
from upliftlens.benchmarks.training.rows import NOTHING, Feed, Wants
from upliftlens.benchmarks.training.tiles import tiles
from upliftlens.benchmarks.training.triples import triples
from upliftlens.models.contract import Layout, Link, TrainingData


def full(data: TrainingData, link: Link, size: int | None, wants: Wants) -> Feed:
    """The feed of the layout full: one step per epoch without a batch."""
    return Feed(None, lambda rng: np.zeros((1, 0), np.int32), _cut_nothing, 1)


def _cut_nothing(arrays: Any, index: Any) -> None:
    return None


FEEDS: Mapping[Layout, Callable[[TrainingData, Link, int | None, Wants], Feed]] = {
    "pairs": pairs,
    "tiles": tiles,
    "triples": triples,
    "full": full,
}
"""The builder of every layout's feed."""

READS: Mapping[Layout, frozenset[str]] = {
    "pairs": frozenset({"batch_size", "everything_share"}),
    "tiles": frozenset({"tile_users"}),
    "triples": frozenset({"batch_size"}),
    "full": frozenset(),
}
"""The options of ``train`` about the size of batches that a layout reads."""


def choose_layout(layout: str, pairwise: bool, dense: bool, n_users: int, n_items: int, dense_cells: int) -> Layout:
    """The layout for ``train.layout``, with the rule of "auto".

    A pairwise loss needs triples. Otherwise auto is dense tiles (a block of users × all items) where the backbone
    scores all items at once (``dense``) and users × items ≤ ``dense_cells``: a tile needs no scatter and no shuffle of
    rows. Else it is minibatches of pairs.
    """
    if pairwise:
        return "triples"
    if layout == "auto":
        return "tiles" if dense and n_users * n_items <= dense_cells else "pairs"
    return "tiles" if layout == "tiles" else "pairs"


def feed(
    data: TrainingData,
    layout: Layout,
    link: Link,
    batch_size: int | None,
    tile_users: int | None,
    wants: Wants = NOTHING,
) -> Feed:
    """The feed of a layout. ``batch_size`` counts rows (pairs, triples), ``tile_users`` users; None takes all.

    Raises:
        UpliftlensError: for data that the layout can't hold.
    """
    return FEEDS[layout](data, link, tile_users if layout == "tiles" else batch_size, wants)
