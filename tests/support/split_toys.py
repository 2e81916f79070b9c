"""Logs and data sets for the tests of splits."""

from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from upliftlens import configs
from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.data.dataset import Dataset, Features
from upliftlens.benchmarks.splits.kinds import SplitOptions
from upliftlens.causal.interactions import Interactions, interactions

FOLDER = Path(configs.__file__).parent / "split"


def config(name: str, **changes: object) -> SplitOptions:
    """The split as its YAML file states it, with some options changed."""
    values = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.yaml"))
    return typed(entry("splits", name).value.options, {**values, **changes}, "split")


def dataset(log: Interactions, test: Interactions | None = None) -> Dataset:
    def table(n: int) -> pd.DataFrame:
        return pd.DataFrame({"id": [str(i) for i in range(n)]})

    return Dataset(
        name="toy",
        log=log,
        users=table(log.n_users),
        items=table(log.n_items),
        user_features=Features((), np.zeros((log.n_users, 0), np.float32)),
        item_features=Features((), np.zeros((log.n_items, 0), np.float32)),
        scale=(1, 5),
        relevance=4,
        feedback="explicit",
        terms="",
        source="",
        fingerprint="toy",
        test=test,
        test_kind=None if test is None else "mar",
    )


def random_log(seed: int, n_users: int = 12, n_items: int = 15, share: float = 0.6) -> Interactions:
    """Each pair at most once, in random order, with ties in time."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(n_users * n_items)[: round(share * n_users * n_items)]
    value, time = rng.integers(1, 6, len(pairs)), 1000 + rng.integers(0, 40, len(pairs))
    return interactions(pairs // n_items, pairs % n_items, value, n_users, n_items, time=time)


def key(log: Interactions) -> np.ndarray:
    return log.user.astype(np.int64) * log.n_items + log.item


def same_rows(a: Interactions, b: Interactions) -> bool:
    columns = ("user", "item", "value", "weight", "time")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in columns)


def with_overlap() -> Dataset:
    """Three of the four test pairs are in the log too."""
    log = interactions([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [1, 2, 3, 4, 5, 1], 3, 3)
    return dataset(log, interactions([0, 1, 2, 2], [0, 1, 0, 2], [1, 4, 5, 3], 3, 3))
