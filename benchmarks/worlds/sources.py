"""Data sets that are computed, by format: generated in code, or built on top of another data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data.config import BaseConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.system.talk import Say
from upliftlens.benchmarks.worlds import grid, schnabel, synthetic
from upliftlens.benchmarks.worlds import potential_outcomes as uplift
from upliftlens.benchmarks.worlds.config import (
    GridConfig,
    SchnabelConfig,
    SyntheticConfig,
    UpliftRatingsConfig,
    UpliftSyntheticConfig,
)
from upliftlens.benchmarks.worlds.frozen import frozen_world

Base = Callable[[Any], Dataset]
"""Loads the data set that a world is built on, by its name or its typed options."""


class World(NamedTuple):
    """How data sets of one format are made, of typed ``options``.

    ``propensity``: P(the log holds the pair) f32[U, I]; ``ratings``: the rating f64[U, I] of every pair. None where
    the world doesn't know them.
    """

    options: type[BaseConfig]
    load: Callable[[Any, Base, Path, Say | None], Dataset]
    propensity: Callable[[Any, Base], np.ndarray] | None = None
    ratings: Callable[[Any, Base], np.ndarray] | None = None


def _uplift_ratings(config: UpliftRatingsConfig, base: Base, cache: Path, say: Say | None) -> Dataset:
    made = base(config.base)
    return uplift.from_world(frozen_world(made.log, made.fingerprint, config.world, cache, say), made, config)


WORLDS: dict[str, World] = {
    "synthetic": World(
        SyntheticConfig,
        lambda config, *_: synthetic.generate(config),
        lambda config, _: synthetic.propensity_of(config),
    ),
    "grid": World(
        GridConfig,
        lambda config, *_: grid.generate(config),
        lambda config, _: grid.propensity_of(config),
        lambda config, _: grid.ratings_of(config),
    ),
    "schnabel": World(
        SchnabelConfig,
        lambda config, base, *_: schnabel.generate(config, base(config.base)),
        lambda config, base: schnabel.propensity_of(config, base(config.base)),
        lambda config, base: schnabel.ratings_of(config, base(config.base)),
    ),
    "uplift-synthetic": World(UpliftSyntheticConfig, lambda config, *_: uplift.synthetic(config)),
    "uplift-ratings": World(UpliftRatingsConfig, _uplift_ratings),
}
