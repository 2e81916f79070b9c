"""The Gini coefficient: how unequally a total is distributed."""

import numpy as np

from upliftlens.causal.intervals import ratio


def gini(amounts: np.ndarray) -> np.ndarray:
    """G f64[...] of amounts f[n, ...] ≥ 0 over the first axis: 0 if all are equal, (n − 1)/n if one holds everything.

    G = Σ_j (2j − n − 1)·x_(j) / (n·Σx), x sorted ascending, j from 1: half the relative mean absolute difference.
    NaN where the total is 0.
    """
    x = np.sort(np.asarray(amounts, np.float64), axis=0)
    return ratio(rank_coefficients(len(x)) @ x, len(x) * x.sum(axis=0))


def rank_coefficients(n: int) -> np.ndarray:
    """2j − n − 1 for the ranks j = 1 … n, i64[n]: the weight of each sorted amount in the Gini coefficient."""
    return 2 * np.arange(1, n + 1) - n - 1
