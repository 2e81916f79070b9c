"""A generated world as a data set: what a method may see of it, without the truth."""

from dataclasses import replace
from functools import partial

import numpy as np

from upliftlens.benchmarks.data.build import sealed
from upliftlens.benchmarks.data.contract import DataSource
from upliftlens.benchmarks.data.dataset import Dataset, Features
from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.system.environment import available_memory
from upliftlens.benchmarks.worlds.config import SyntheticConfig
from upliftlens.benchmarks.worlds.drawn import generated
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.worlds.synthetic import SyntheticWorld, synthetic_world

_ROW, _SIDE = 60, 100  # bytes of a row, with its copies while it is sorted, and of a user's or item's entry, at least


def world_of(config: SyntheticConfig) -> SyntheticWorld:
    """The world with its truth: for evaluation only.

    Raises:
        UpliftlensError: if an option is out of its range.
    """
    if config.scale != (1.0, float(len(config.shares))):
        raise UpliftlensError(
            f"data.scale must be [1,{len(config.shares)}]: data.shares names one share for each rating"
        )
    rows = config.n_users * (config.ratings_per_user + config.test_per_user)
    needed = _ROW * rows + (_SIDE + 8 * config.dim) * (config.n_users + config.n_items)
    free = available_memory()
    if needed > free:
        raise UpliftlensError(
            f"a world of {config.n_users:,} users and {config.n_items:,} items takes {needed / 2**30:.1f} GiB or more, "
            f"{free / 2**30:.1f} GiB are free: choose a smaller data.n_users or data.n_items"
        )
    with located("data"):
        return synthetic_world(config, config.draw)


def generate(config: SyntheticConfig) -> Dataset:
    """The world's log (missing not at random), its test set (at random) and features, every user and item included."""
    world = world_of(config)
    sides = _named(world.user_features, "user"), _named(world.item_features, "item")
    drawn = generated(config, world.log, f"generated (draw {config.draw})", *sides)
    recorded = None
    if config.misspecification is not None:
        recorded = world.truth.recorded_propensity(np.arange(config.n_users), config.misspecification)
    if len(world.test):
        drawn = replace(drawn, test=world.test, test_kind="mar")
    return sealed(replace(drawn, propensity=recorded, world=World(partial(propensity_of, config))))


def propensity_of(config: SyntheticConfig) -> np.ndarray:
    """P(the log holds the pair), f32[U, I]."""
    return world_of(config).truth.propensity(np.arange(config.n_users))


def _named(matrix: np.ndarray, side: str) -> Features:
    return Features(tuple(f"{side} feature {i}" for i in range(matrix.shape[1])), matrix.astype(np.float32))


source = DataSource("synthetic", SyntheticConfig, lambda config, cache, say: generate(config))
