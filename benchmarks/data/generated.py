"""What the data sets that come out of code have in common: users and items are known by their numbers."""

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.config import DrawnConfig
from upliftlens.benchmarks.dataset import Dataset, Features
from upliftlens.causal.interactions import Interactions


def generated(
    config: DrawnConfig,
    log: Interactions,
    source: str,
    user_features: Features | None = None,
    item_features: Features | None = None,
) -> Dataset:
    """The data set of a generated log: no test set, not sealed yet, and no features where they are None."""
    return Dataset(
        name=config.name,
        log=log,
        users=_numbers(log.n_users),
        items=_numbers(log.n_items),
        user_features=_nothing(log.n_users) if user_features is None else user_features,
        item_features=_nothing(log.n_items) if item_features is None else item_features,
        scale=config.scale,
        relevance=config.relevance,
        feedback=config.feedback,
        terms=config.terms,
        source=source,
        fingerprint="",
    )


def _numbers(n: int) -> pd.DataFrame:
    return pd.DataFrame({"id": [str(i) for i in range(n)]}, dtype=object)


def _nothing(n: int) -> Features:
    return Features((), np.zeros((n, 0), np.float32))
