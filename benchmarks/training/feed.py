"""From training data to the batches of one epoch: which layout there is, and its feed.

A layout is a file of this folder with a function (data, link, sizes, wants) -> Feed, and a line of ``FEEDS``.
"""

from collections.abc import Callable, Mapping

from upliftlens.benchmarks.training.full import full
from upliftlens.benchmarks.training.pairs import pairs
from upliftlens.benchmarks.training.rows import NOTHING as NOTHING
from upliftlens.benchmarks.training.rows import Feed as Feed
from upliftlens.benchmarks.training.rows import Sizes, Wants
from upliftlens.benchmarks.training.tiles import tiles
from upliftlens.benchmarks.training.triples import triples
from upliftlens.models.contract import Layout, Link, TrainingData

FEEDS: Mapping[Layout, Callable[[TrainingData, Link, Sizes, Wants], Feed]] = {
    "pairs": pairs,
    "tiles": tiles,
    "triples": triples,
    "full": full,
}
"""The builder of every layout's feed."""


def choose_layout(wanted: str, pairwise: bool, dense: bool, n_users: int, n_items: int, dense_cells: int) -> Layout:
    """The documented rule behind ``train.layout=auto``.

    A pairwise loss needs triples. Otherwise dense tiles (a block of users × all items) where the backbone scores all
    items at once (``dense``) and users × items ≤ ``dense_cells``: there a tile costs no scatter and no shuffle of rows.
    Else minibatches of pairs.
    """
    if pairwise:
        return "triples"
    if wanted == "auto":
        return "tiles" if dense and n_users * n_items <= dense_cells else "pairs"
    return "tiles" if wanted == "tiles" else "pairs"


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
        ValueError: for data that the layout can't hold.
    """
    return FEEDS[layout](data, link, Sizes(batch_size, tile_users), wants)
