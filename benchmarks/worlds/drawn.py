"""What data sets that come out of code share: users and items known by their numbers, a drawn log and test set."""

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset, Features
from upliftlens.benchmarks.worlds.config import DrawnConfig
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions


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


def log_and_test(
    ratings: np.ndarray, exposure: np.ndarray, test_per_user: int, draw: int
) -> tuple[Interactions, Interactions]:
    """From ratings and exposure [U, I]: ``test_per_user`` pairs of each user, drawn uniformly, test; of the others a
    pair is in the log with its exposure's probability.

    Raises:
        UpliftlensError: if the test set would leave no pair to observe.
    """
    n_users, n_items = ratings.shape
    if not 0 < test_per_user < n_items:
        most = f"lie in 1 … {n_items - 1} (of {n_items} items)" if n_items > 1 else "leave an item: raise data.n_items"
        raise UpliftlensError(f"data.test_per_user must {most}, got {test_per_user}")
    test_stream, log_stream = (np.random.default_rng([draw, stream]) for stream in range(2))
    tested = np.zeros(ratings.shape, bool)
    order = np.argsort(test_stream.random(ratings.shape), axis=1)[:, :test_per_user]
    np.put_along_axis(tested, order, True, axis=1)
    seen = (log_stream.random(ratings.shape) < exposure) & ~tested
    # In random order, as splits and batches may go by the order of the file.
    rows = log_stream.permutation(np.argwhere(seen))
    log, test = (
        interactions(user, item, ratings[user, item], n_users, n_items)
        for user, item in (rows.T, np.argwhere(tested).T)
    )
    return log, test


def logged(exposure: np.ndarray, test_per_user: int) -> np.ndarray:
    """P(the log holds the pair), f32[U, I]: test pairs never enter the log."""
    return (exposure * (1 - test_per_user / exposure.shape[1])).astype(np.float32)
