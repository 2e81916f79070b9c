"""The grid world (causal/worlds/grid.py) as a data set: outcomes, exposure and predictions chosen freely, the truth
known.

What a method sees is the drawn log; the test pairs are drawn uniformly. ``world_of`` also gives what the estimators of
table robustness are given.
"""

from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from upliftlens.benchmarks.data.build import sealed
from upliftlens.benchmarks.data.contract import DataSource
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.worlds.config import GridConfig
from upliftlens.benchmarks.worlds.drawn import generated, log_and_test, logged
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.worlds.grid import Grid, GridOptions, Knobs, grid

TRUE = Knobs(0.0, 0.0, 0.0)


@lru_cache(maxsize=2)
def world_of(config: GridConfig, knobs: Knobs) -> Grid:
    """The world with its truth, flat over users × items: for evaluation only. The knobs don't change its pairs.

    Raises:
        UpliftlensError: if an option or a knob is out of its range, or the density can't be reached.
    """
    n_pairs = config.n_users * config.n_items
    different = len(set(config.levels)) == len(config.levels) > 1
    if not different or not config.scale[0] <= min(config.levels) <= max(config.levels) <= config.scale[1]:
        raise UpliftlensError(
            f"data.levels must be two or more different outcomes in data.scale={list(config.scale)}, "
            f"got {list(config.levels)}"
        )
    rng = np.random.default_rng([config.draw, 2])  # 0 and 1 are those of the test set and the log (drawn.py)
    users, items = (rng.standard_normal((n, config.dim)) for n in (config.n_users, config.n_items))
    taste = np.sqrt(config.structure / config.dim) * users @ items.T
    order = np.argsort(taste.ravel() + np.sqrt(1 - config.structure) * rng.standard_normal(n_pairs))
    ranks = np.empty(n_pairs)
    ranks[order] = (np.arange(n_pairs) + 0.5) / n_pairs
    with located("data"):
        options = GridOptions(
            n_pairs, config.levels, config.shares, config.exposure, config.density, config.prediction, config.loss
        )
        return grid(options, knobs, rng, ranks)


def generate(config: GridConfig) -> Dataset:
    """The world's log and test set, every user and item included.

    Raises:
        UpliftlensError: as ``world_of``, and if the test set would leave no pair to observe.
    """
    log, test = log_and_test(ratings_of(config), _square(config, TRUE, "exposure"), config.test_per_user, config.draw)
    recorded = None
    if config.misspecification is not None:
        wrong = replace(TRUE, propensity=config.misspecification)
        recorded = logged(_square(config, wrong, "propensity"), config.test_per_user)
    drawn = generated(config, log, f"generated (draw {config.draw})")
    world = World(partial(propensity_of, config), partial(ratings_of, config))
    return sealed(replace(drawn, test=test, test_kind="mar", propensity=recorded, world=world))


def propensity_of(config: GridConfig) -> np.ndarray:
    """P(the log holds the pair), f32[U, I]."""
    return logged(_square(config, TRUE, "exposure"), config.test_per_user)


def ratings_of(config: GridConfig) -> np.ndarray:
    """The outcome f64[U, I] of every pair."""
    return _square(config, TRUE, "outcome")


def _square(config: GridConfig, knobs: Knobs, column: str) -> np.ndarray:
    values: np.ndarray = getattr(world_of(config, knobs), column)
    return values.reshape(config.n_users, config.n_items)


source = DataSource("grid", GridConfig, lambda config, cache, say: generate(config))
