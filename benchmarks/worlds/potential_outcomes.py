"""Worlds of potential outcomes as data sets: three logs of every pair, and the truth behind them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from upliftlens.benchmarks.data.build import sealed
from upliftlens.benchmarks.data.contract import DataSource
from upliftlens.benchmarks.data.dataset import Dataset, Features
from upliftlens.benchmarks.data.registry import load
from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.system.talk import Say
from upliftlens.benchmarks.worlds.config import UpliftRatingsConfig, UpliftSyntheticConfig
from upliftlens.benchmarks.worlds.drawn import generated
from upliftlens.benchmarks.worlds.frozen import frozen_world
from upliftlens.causal.errors import located
from upliftlens.causal.interactions import concatenate, interactions
from upliftlens.causal.worlds.potential import PotentialWorld, draw
from upliftlens.causal.worlds.potential_generated import generate

DRAWS = 3  # train, validation, test


def from_world(world: PotentialWorld, like: Dataset, config: UpliftRatingsConfig | UpliftSyntheticConfig) -> Dataset:
    """Three logs of a world, drawn with the seeds 3·draw, 3·draw + 1, 3·draw + 2, and the world behind its door.

    ``like`` gives the users and the items with their features. Every pair has a row in every log: ``log`` holds the
    training draw, then the validation draw, ``test`` the test draw.

    Raises:
        UpliftlensError: if a draw treats nobody, or everybody.
    """
    seeds = [DRAWS * config.draw + part for part in range(DRAWS)]
    with located(f"data set '{config.name}'"):
        train, validation, test = (draw(world, seed) for seed in seeds)
    return sealed(
        replace(
            like,
            name=config.name,
            log=concatenate(train, validation),
            test=test,
            test_kind="mar",
            scale=config.scale,
            relevance=config.relevance,
            feedback=config.feedback,
            terms=config.terms,
            source=f"{like.source}, draw {config.draw}",
            propensity=None,
            redrawn=True,
            world=World(potential=world, test_seed=seeds[-1]),
        )
    )


def synthetic(config: UpliftSyntheticConfig) -> Dataset:
    """The generated world of these options; the only feature is the users' group, on which the effect depends.

    Raises:
        UpliftlensError: if an option is out of its range.
    """
    with located("data"):
        world, group = generate(config, config.draw)
    nothing = interactions(np.zeros(0), np.zeros(0), np.zeros(0), config.n_users, config.n_items)
    groups = Features(("group=0", "group=1"), np.stack([group == 0, group == 1], axis=1).astype(np.float32))
    like = generated(config, nothing, "generated", groups)
    like = replace(like, users=like.users.assign(group=group.astype(str).astype(object)))
    return from_world(world, like, config)


def _fitted(config: UpliftRatingsConfig, cache: Path, say: Say | None) -> Dataset:
    base = load(config.base, cache, say)
    return from_world(frozen_world(base.log, base.fingerprint, config.world, cache, say), base, config)


generated_world = DataSource("uplift-synthetic", UpliftSyntheticConfig, lambda config, cache, say: synthetic(config))
fitted_world = DataSource("uplift-ratings", UpliftRatingsConfig, _fitted)
