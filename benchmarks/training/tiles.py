"""The layout tiles: a block of users × all items as dense arrays, which need no scatter and no shuffle of rows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.training.rows import Feed, Order, Wants, density_of, n_pairs_of, rows_of, steps_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.sample import Batch, Sample
from upliftlens.models.contract import Array, Link, TrainingData


class _Tiles(NamedTuple):
    targets: Array
    weights: Array
    propensities: Array | None
    exposure: Array | None
    treated: Array | None
    background: Array | None
    density: Array | None


def tiles(data: TrainingData, link: Link, size: int | None, wants: Wants) -> Feed:
    """The feed of the layout; the tiles of an epoch cover D exactly.

    Raises:
        UpliftlensError: if a user has two rows for one item.
    """
    rows = rows_of(data, link, wants)
    n_steps, size = steps_of(data.n_users, size)
    weight, real = rows.weight, rows.weight > 0
    cells = (rows.user[real], rows.item[real])
    # One row more than there are users: an index beyond the last user reads a row of zeros.
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
    propensities = exposure = treated = background = None
    if wants.exposure is not None:
        exposure = np.pad(wants.exposure, ((0, 1), (0, 0)), constant_values=1)
    elif rows.propensity is not None:
        propensities = np.ones_like(weights)
        propensities[cells] = rows.propensity[real]
    if rows.treated is not None:
        treated = np.zeros_like(weights)
        treated[cells] = rows.treated[real]
    if wants.everything:
        background = np.full((data.n_users + 1, 1), n_steps / n_pairs_of(data, wants), np.float32)
        if wants.kept is not None:
            background = background * np.pad(wants.kept.everywhere(np.arange(data.n_users)), ((0, 1), (0, 0)))
        background[-1] = 0

    def order(rng: np.random.Generator) -> Order:
        users = rng.permutation(n_steps * size).astype(np.int32)
        return np.minimum(users, data.n_users).reshape(n_steps, size)

    arrays: Any = (targets, weights, propensities, exposure, treated, background, density_of(data, rows, wants))
    return Feed(_Tiles(*jax.tree.map(jnp.asarray, arrays)), order, _cut, n_steps)


def _cut(arrays: _Tiles, index: Array) -> Batch:
    users = jnp.minimum(index, arrays.targets.shape[0] - 2)
    cut = jax.tree.map(lambda column: column[index], arrays._replace(density=None))
    target, weight, propensity, exposure, treated, background, _ = cut
    everything = None
    if background is not None:
        everything = Sample(users, None, target, jnp.broadcast_to(background, weight.shape), propensity=exposure)
    propensity = propensity if exposure is None else exposure
    observed = Sample(users, None, target, weight, propensity=propensity, treated=treated)
    return Batch(observed, everything, arrays.density)
