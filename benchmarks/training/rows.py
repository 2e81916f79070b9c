"""The parts of every feed: the rows that an objective sums over, and how many of them a step takes.

A feed is three things: arrays put on the device once, an order drawn on the host each epoch (a permutation by NumPy
costs a fraction of one on the device), and a pure function that cuts one batch out of the arrays inside the compiled
epoch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.objectives.triples import DrawTriples
from upliftlens.causal.propensities.trimming import Kept
from upliftlens.causal.sample import Batch
from upliftlens.models.contract import Array, Link, TrainingData

Order = Any  # a pytree of arrays whose first axis is the step


class Feed(NamedTuple):
    """The supply of batches of one epoch after another, for one set of rows; fits of many seeds may share it.

    ``order(rng)`` draws an epoch's order; ``cut(arrays, index)`` is the batch of one step (pure, the same function for
    every feed of its layout, so that programs are shared).
    """

    arrays: Any
    order: Callable[[np.random.Generator], Order]
    cut: Callable[[Any, Any], Batch | None]
    n_steps: int


class Wants(NamedTuple):
    """What an objective reads besides the observed rows, or in place of them.

    ``propensity`` f32[N], of the log's rows (padding may hold anything), or None; ``everything``: whether it sums over
    D, all users × items; ``share``: pairs drawn from D per observed row where D isn't summed exactly.
    ``exposure`` f32[U, I]: the propensity of every pair, for objectives that read it off O, or None.
    ``recommendations``: the rows are those of the log of recommendations, with their treatments and propensities;
    ``triples`` draws from that log for a pairwise loss. ``kept``: the pairs of O and D that trimming leaves; None: all.
    """

    propensity: np.ndarray | None = None
    everything: bool = False
    share: float = 1.0
    recommendations: bool = False
    triples: DrawTriples | None = None
    exposure: np.ndarray | None = None
    kept: Kept | None = None


NOTHING = Wants()
"""For objectives that read the observed rows alone: the cheapest batches."""


class Rows(NamedTuple):
    """The rows that are summed over, on the host; columns of equal length."""

    user: np.ndarray
    item: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    propensity: np.ndarray | None
    treated: np.ndarray | None


def rows_of(data: TrainingData, link: Link, wants: Wants) -> Rows:
    """The observed rows, or those of the log of recommendations.

    The target depends on the link: the value ("rating"), or 1 for a positive row ("probability", "rank"); in a log of
    recommendations it is the outcome.
    """
    if wants.recommendations:
        rows = data.recommendations
        assert rows is not None, "the harness has refused data without recommendations"
        columns = (rows.user, rows.item, rows.value, rows.weight, rows.propensity, rows.treated)
        return Rows(*map(np.asarray, columns))
    log = data.log
    target = log.value if link == "rating" else data.positive
    user, item, weight = (np.asarray(column) for column in (log.user, log.item, log.weight))
    if wants.kept is not None:
        weight = weight * wants.kept.of(user, item)
        if not weight.any():
            raise UpliftlensError("propensity.trim leaves no training row to weigh: lower it")
    return Rows(user, item, np.asarray(target), weight, wants.propensity, None)


def steps_of(n_rows: int, size: int | None) -> tuple[int, int]:
    """Number of steps and rows per step that cover ``n_rows`` evenly with at most ``size`` rows each (None: all)."""
    n_steps = 1 if size is None else max(1, -(-n_rows // size))
    return n_steps, -(-n_rows // n_steps)


def n_pairs_of(data: TrainingData, wants: Wants) -> int:
    """|D|, or the number of its pairs that trimming leaves."""
    return data.n_users * data.n_items if wants.kept is None else wants.kept.n_pairs


def density_of(data: TrainingData, rows: Rows, wants: Wants) -> Array | None:
    """f32[]: the share of D, all users × items, that is observed; None where it isn't read. Trimming leaves K of D."""
    if wants.propensity is None and not wants.everything:
        return None
    return jnp.float32(rows.weight.sum() / n_pairs_of(data, wants))
