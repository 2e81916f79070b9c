"""What is drawn from a world whose every pair has a rating and a known exposure: a log, and a test set at random."""

import numpy as np

from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions


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
