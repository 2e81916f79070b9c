"""Trimming: pairs that are hardly ever observed leave the estimate.

    K = {(u, i) ∈ D: p_ui ≥ threshold}      E Σ_{O∩K} (e/p) / |K| = mean_K e for the true p

It changes *what* is estimated: the mean over K, without bias, in place of the mean over D, which few heavy rows decide
(Crump et al. 2009). Clipping, max(p, floor), changes *how well*: every pair stays and the mean over D is estimated
still, with a bias, since rare pairs weigh too little.
"""

from typing import NamedTuple

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions
from upliftlens.causal.propensities.propensity import Propensity

_CELLS = 2_000_000  # pairs whose p are held at once


class Kept(NamedTuple):
    """K, for a propensity that is neither clipped nor scaled to a part of the log.

    ``by_user`` i64[n_users] is |K_u|, the number of a user's pairs that are in K.
    """

    propensity: Propensity
    threshold: float
    by_user: np.ndarray

    @property
    def n_pairs(self) -> int:
        """|K|."""
        return int(self.by_user.sum())

    def shared_out(self, users: Array) -> np.ndarray:
        """f64[U]: |K_u| of some users, and to each an equal part of the pairs of all others; their sum is |K|."""
        mine = self.by_user[users]
        return mine + (self.n_pairs - mine.sum()) / len(mine)

    def of(self, users: Array, items: Array) -> np.ndarray:
        """bool[N]: whether the pairs are in K."""
        return self.propensity.pairs(users, items, np.zeros(len(users), np.float32)) >= self.threshold

    def everywhere(self, users: Array) -> np.ndarray:
        """bool[B, n_items]: the same for all items of some users."""
        return self.propensity.everywhere(users) >= self.threshold


def trimmed(propensity: Propensity, log: Interactions, threshold: float) -> Kept:
    """K of the pairs with p ≥ ``threshold``.

    Raises:
        UpliftlensError: if ``threshold`` is not in (0, 1), p depends on the rating, or no row of the log would stay.
    """
    if not 0 < threshold < 1:
        raise UpliftlensError(f"the threshold of trimming must lie in (0, 1), got {threshold}")
    if not propensity.rating_free:
        raise UpliftlensError(
            f"the propensity '{propensity.name}' depends on the rating, so which pairs trim would leave out is not "
            "known where there is no rating: use trim=0, or another propensity"
        )
    step = max(1, _CELLS // log.n_items)
    blocks = (np.arange(start, min(start + step, log.n_users)) for start in range(0, log.n_users, step))
    kept = Kept(propensity, threshold, np.zeros(0, np.int64))
    kept = kept._replace(by_user=np.concatenate([kept.everywhere(users).sum(axis=1) for users in blocks]))
    if not kept.of(log.user, log.item).any():
        largest = propensity.pairs(log.user, log.item, log.value).max()
        raise UpliftlensError(
            f"trim={threshold:g} would leave out all {len(log):,} rows: their largest propensity is {largest:.3g}"
        )
    return kept
