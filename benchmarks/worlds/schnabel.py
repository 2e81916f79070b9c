"""The semi-synthetic world of Schnabel et al. 2016, section 6, as a data set: real tastes, known exposure.

A real log is completed by MF and cut into ratings at a fixed marginal; every pair then has a rating and a known
propensity, and may be observed. What a method sees is the drawn log; the test pairs are drawn uniformly.
"""

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from upliftlens.benchmarks.data.build import sealed
from upliftlens.benchmarks.data.contract import DataSource
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.registry import configure, load
from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.system.talk import Say
from upliftlens.benchmarks.worlds.config import SchnabelConfig
from upliftlens.benchmarks.worlds.drawn import log_and_test, logged
from upliftlens.causal.errors import located
from upliftlens.causal.worlds.schnabel import exposure, rebucket


class _Truth(NamedTuple):
    ratings: np.ndarray
    exposure: np.ndarray


def generate(config: SchnabelConfig, base: Dataset) -> Dataset:
    """The world's log and test set over the base's users, items and features.

    Raises:
        UpliftlensError: if the marginal or the density can't be, or the test set would leave no pair to observe.
    """
    truth = _truth(config, base)
    log, test = log_and_test(truth.ratings, truth.exposure, config.test_per_user, config.draw)
    return sealed(
        replace(
            base,
            name=config.name,
            log=log,
            test=test,
            test_kind="mar",
            propensity=None,
            scale=config.scale,
            relevance=config.relevance,
            feedback=config.feedback,
            terms=config.terms,
            source=f"drawn from {base.name} (draw {config.draw})",
            fingerprint="",
            world=World(partial(propensity_of, config, base), partial(ratings_of, config, base)),
        )
    )


def propensity_of(config: SchnabelConfig, base: Dataset) -> np.ndarray:
    """P(the log holds the pair), f32[U, I]: test pairs never enter the log."""
    return logged(_truth(config, base).exposure, config.test_per_user)


def ratings_of(config: SchnabelConfig, base: Dataset) -> np.ndarray:
    """The rating f64[U, I] of every pair."""
    return _truth(config, base).ratings.astype(np.float64)


def _truth(config: SchnabelConfig, base: Dataset) -> _Truth:
    key = replace(config, draw=0, test_per_user=1)
    return _completed(key, _Base(base))


class _Base:
    """A data set that equals another one of its fingerprint, so that it can be part of a cache's key."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Base) and other.dataset.fingerprint == self.dataset.fingerprint

    def __hash__(self) -> int:
        return hash(self.dataset.fingerprint)


@lru_cache(maxsize=2)
def _completed(config: SchnabelConfig, base: _Base) -> _Truth:
    from upliftlens.benchmarks.worlds.completion import complete  # it trains a model: slow to load

    with located(f"data={config.name}"):
        ratings = rebucket(complete(base.dataset.log, config.completion), np.asarray(config.marginal))
        return _Truth(ratings, exposure(ratings, config.alpha, config.density))


def _load(config: SchnabelConfig, cache: Path, say: Say | None) -> Dataset:
    return generate(config, load(configure(config.base), cache, say))


source = DataSource("schnabel", SchnabelConfig, _load)
