"""From training data to the batches of one epoch, per layout.

Each layout is three things: arrays put on the device once, an order drawn on the host each epoch (a permutation by
NumPy costs a fraction of one on the device), and a pure function that cuts one batch out of the arrays inside the
compiled epoch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.objectives.triples import DrawTriples, whole_passes
from upliftlens.causal.sample import Batch, Sample
from upliftlens.models.contract import Array, Layout, Link, TrainingData

Order = Any  # a pytree of arrays whose first axis is the step


class Feed(NamedTuple):
    """One fit's supply of batches.

    ``order(rng)`` draws an epoch's order; ``cut(arrays, index)`` is the batch of one step (pure, the same function for
    every feed of its layout, so that programs are shared).
    """

    arrays: Any
    order: Callable[[np.random.Generator], Order]
    cut: Callable[[Any, Any], Batch | None]
    n_steps: int


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


class Wants(NamedTuple):
    """What an objective reads beside the observed rows, or in their place.

    ``propensity`` f32[N], of the log's rows (padding may hold anything), or None; ``everything``: whether it sums over
    D, all users × items; ``share``: pairs drawn from D per observed row where D isn't summed exactly.
    ``recommendations``: rows are those of the log of recommendations, with their treatments and own propensities;
    ``triples`` draws from that log for a pairwise loss.
    """

    propensity: np.ndarray | None = None
    everything: bool = False
    share: float = 1.0
    recommendations: bool = False
    triples: DrawTriples | None = None

    @property
    def nothing(self) -> bool:
        """Whether the observed rows suffice."""
        return self.propensity is None and not self.everything


NOTHING = Wants()
"""The observed rows suffice: batches are as cheap as they can be."""


def feed(
    data: TrainingData,
    layout: Layout,
    link: Link,
    batch_size: int | None,
    tile_users: int | None,
    wants: Wants = NOTHING,
) -> Feed:
    """The feed of a layout.

    ``batch_size`` counts rows (pairs, triples), ``tile_users`` users; both are cut to what there is, None takes all.
    The link says what the target is: the value ("rating"), or 1 for a positive row ("probability", "rank"); in a log of
    recommendations it is the outcome.
    Tiles hold D exactly; the layout pairs draws from it uniformly, anew in each step, with weights that keep the
    expectation.
    """
    if layout == "full":
        return Feed(None, lambda rng: np.zeros((1, 0), np.int32), _cut_nothing, 1)
    if layout == "triples":
        return (
            _triples(data, batch_size, wants.propensity) if wants.triples is None else _drawn(data, batch_size, wants)
        )
    rows = _rows(data, link, wants)
    if layout == "tiles":
        return _tiles(data, rows, tile_users, wants)
    return _pairs(data, rows, batch_size, wants)


def _cut_nothing(arrays: Any, index: Any) -> None:
    return None


def _steps(n_rows: int, size: int | None) -> tuple[int, int]:
    """Number of steps and rows per step that cover ``n_rows`` evenly with at most ``size`` rows each (None: all)."""
    n_steps = 1 if size is None else max(1, -(-n_rows // size))
    return n_steps, -(-n_rows // n_steps)


class _Rows(NamedTuple):
    """The rows that are summed over, on the host; columns of equal length."""

    user: np.ndarray
    item: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    propensity: np.ndarray | None
    treated: np.ndarray | None


def _rows(data: TrainingData, link: Link, wants: Wants) -> _Rows:
    if wants.recommendations:
        rows = data.recommendations
        assert rows is not None, "the harness has refused data without recommendations"
        return _Rows(*map(np.asarray, (rows.user, rows.item, rows.outcome, rows.weight, rows.propensity, rows.treated)))
    log = data.log
    target = log.value if link == "rating" else data.positive
    user, item, weight = (np.asarray(column) for column in (log.user, log.item, log.weight))
    return _Rows(user, item, np.asarray(target), weight, wants.propensity, None)


def _density(data: TrainingData, rows: _Rows, wants: Wants) -> Array | None:
    if wants.nothing:
        return None
    return jnp.float32(rows.weight.sum() / (data.n_users * data.n_items))


class _Pairs(NamedTuple):
    packed: Array
    density: Array | None


def _pairs(data: TrainingData, rows: _Rows, batch_size: int | None, wants: Wants) -> Feed:
    n_steps, size = _steps(len(rows.user), batch_size)
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
        return (picked, *(rng.integers(0, end, (n_steps, drawn), np.int32) for end in ends))

    # Four 4-byte columns in one row: a shuffled gather then touches one cache line per pair instead of four.
    packed = jnp.asarray(np.stack(columns, axis=1))
    return Feed(_Pairs(packed, _density(data, rows, wants)), order, _cut_pairs, n_steps)


def _cut_pairs(arrays: _Pairs, index: Any) -> Batch:
    index, *drawn = index if isinstance(index, tuple) else (index,)
    rows = arrays.packed[index]
    as_float = jax.lax.bitcast_convert_type(rows[:, 2:], jnp.float32)
    more = (as_float[:, column] for column in range(2, as_float.shape[1]))
    observed = Sample(rows[:, 0], rows[:, 1], as_float[:, 0], as_float[:, 1], None, *more)
    everything = None
    if drawn:
        users, items = drawn
        # What a pair of D would have been rated is unknown: its target is never read.
        everything = Sample(users, items, jnp.zeros(users.shape), jnp.full(users.shape, 1 / users.shape[0]))
    return Batch(observed, everything, arrays.density)


class _Tiles(NamedTuple):
    targets: Array
    weights: Array
    propensities: Array | None
    treated: Array | None
    background: Array | None
    density: Array | None


def _tiles(data: TrainingData, rows: _Rows, tile_users: int | None, wants: Wants) -> Feed:
    n_steps, size = _steps(data.n_users, tile_users)
    weight, real = rows.weight, rows.weight > 0
    cells = (rows.user[real], rows.item[real])
    # One row more than there are users: an index beyond the last user finds a row of zeros.
    weights = np.zeros((data.n_users + 1, data.n_items), np.float32)
    np.add.at(weights, cells, weight[real])
    sums = np.zeros_like(weights)
    np.add.at(sums, cells, (weight * rows.target)[real].astype(np.float32))
    if len(cells[0]) != np.count_nonzero(weights):
        raise UpliftlensError(
            "a user has two rows for one item, which a dense tile can't hold: "
            "use data.filter.duplicates or train.layout=pairs"
        )
    targets = np.divide(sums, weights, out=sums, where=weights > 0)
    weights *= n_steps / max(weight.sum(), 1)
    propensities = treated = background = None
    if rows.propensity is not None:
        propensities = np.ones_like(weights)
        propensities[cells] = rows.propensity[real]
    if rows.treated is not None:
        treated = np.zeros_like(weights)
        treated[cells] = rows.treated[real]
    if wants.everything:
        background = np.full(data.n_users + 1, n_steps / (data.n_users * data.n_items), np.float32)
        background[-1] = 0

    def order(rng: np.random.Generator) -> Order:
        users = rng.permutation(n_steps * size).astype(np.int32)
        return np.minimum(users, data.n_users).reshape(n_steps, size)

    arrays: Any = (targets, weights, propensities, treated, background, _density(data, rows, wants))
    return Feed(_Tiles(*jax.tree.map(jnp.asarray, arrays)), order, _cut_tile, n_steps)


def _cut_tile(arrays: _Tiles, index: Array) -> Batch:
    users = jnp.minimum(index, arrays.targets.shape[0] - 2)
    target, weight = arrays.targets[index], arrays.weights[index]
    propensity = None if arrays.propensities is None else arrays.propensities[index]
    treated = None if arrays.treated is None else arrays.treated[index]
    everything = None
    if arrays.background is not None:
        share = jnp.broadcast_to(arrays.background[index][:, None], weight.shape)
        everything = Sample(users, None, target, share)
    observed = Sample(users, None, target, weight, propensity=propensity, treated=treated)
    return Batch(observed, everything, arrays.density)


def _triples(data: TrainingData, batch_size: int | None, propensity: np.ndarray | None) -> Feed:
    log = data.log
    rows = np.flatnonzero(np.asarray(data.positive) * np.asarray(log.weight) > 0)
    # The number of steps comes from the padded log, so that a fit with and without its validation rows share a program.
    n_steps, size = _steps(len(log), batch_size)
    if not len(rows):
        raise UpliftlensError("no training row is positive, so there is nothing to rank first: lower data.relevance")
    user, item = np.asarray(log.user)[rows], np.asarray(log.item)[rows]
    p = None if propensity is None or not len(rows) else propensity[rows].astype(np.float32)
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
        wanted = user.astype(np.int64) * n_items + negative
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        clash = np.flatnonzero(keys[place] == wanted)
        if not len(clash):
            break
        negative[clash] = rng.integers(0, n_items, len(clash))
    return negative


def _cut_triples(arrays: None, index: tuple[Array, ...]) -> Batch:
    user, item, negative, *propensity = index
    ones = jnp.ones(user.shape)
    return Batch(Sample(user, item, ones, ones / user.shape[0], negative, *propensity))


def _drawn(data: TrainingData, batch_size: int | None, wants: Wants) -> Feed:
    rows, draw = _rows(data, "rank", wants), wants.triples
    assert draw is not None and rows.propensity is not None and rows.treated is not None
    columns = (rows.user, rows.item, rows.target, rows.propensity, rows.treated)
    n_steps, size = _steps(len(data.log), batch_size)  # an epoch draws about as many triples as there are positives

    def order(rng: np.random.Generator) -> Order:
        row, negative = draw(rng, n_steps * size)
        picked = (*(column[row] for column in columns), negative.astype(np.int32))
        return tuple(column.reshape(n_steps, size) for column in picked)

    return Feed(None, order, _cut_drawn, n_steps)


def _cut_drawn(arrays: None, index: tuple[Array, ...]) -> Batch:
    user, item, outcome, propensity, treated, negative = index
    weight = jnp.full(user.shape, 1 / user.shape[0])
    return Batch(Sample(user, item, outcome, weight, negative, propensity, treated))
