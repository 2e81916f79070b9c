"""Simple outcome models for doubly robust estimates: means by item, or by user and item."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions


def outcome_means(log: Interactions, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """m1, m0 f64[I]: predictions of Y^T and Y^C for every item.

    m_a(i) = (Σ_{rows of i in arm a} Y + s·ȳ_a) / (n_a(i) + s), with ȳ_a the mean outcome of the arm and s the
    ``shrinkage``, in rows. An arm without a row predicts 0. Fit it to other rows than the estimate uses.

    Raises:
        UpliftlensError: if the shrinkage is not positive.
    """
    if not shrinkage > 0:
        raise UpliftlensError(f"the shrinkage must be positive, got {shrinkage}")

    def arm(rows: np.ndarray) -> np.ndarray:
        total = np.bincount(log.item[rows], log.value[rows], log.n_items)
        count = np.bincount(log.item[rows], minlength=log.n_items)
        mean = float(log.value[rows].mean(dtype=np.float64)) if rows.any() else 0.0
        return (total + shrinkage * mean) / (count + shrinkage)

    return arm(log.treated), arm(~log.treated)


class AdditiveMeans(NamedTuple):
    """Outcomes of pairs as N(mean + user_u + item_i, sd²): ``user`` f64[U], ``item`` f64[I]."""

    mean: float
    user: np.ndarray
    item: np.ndarray
    sd: float

    def of(self, users: Array, items: Array) -> np.ndarray:
        """Expected outcomes f64 of pairs, by index arrays that broadcast."""
        return self.mean + self.user[users] + self.item[items]


def additive_means(log: Interactions, outcome: Array, shrinkage: float) -> AdditiveMeans:
    """Ridge regression of the rows' ``outcome`` f[N] on user and item, by least squares; padding counts nothing.

    m is the mean outcome; a, b minimise Σ (y − m − a_u − b_i)² + s·(‖a‖² + ‖b‖²), s the ``shrinkage``, in rows, so a
    user or item without a row has 0. sd² is the rows' mean squared residual. It ignores why rows are missing: it is
    unbiased only if, given user and item, exposure does not depend on the outcome.

    Raises:
        UpliftlensError: if the shrinkage is not positive, or there is no row.
    """
    rows = np.flatnonzero(np.asarray(log.weight) > 0)
    if not shrinkage > 0:
        raise UpliftlensError(f"the shrinkage must be positive, got {shrinkage}")
    if not len(rows):
        raise UpliftlensError("an outcome model needs at least one training row")
    user, item, y = (np.asarray(column)[rows] for column in (log.user, log.item, outcome))
    y = y.astype(np.float64)
    mean = float(y.mean())
    at = np.concatenate([user, log.n_users + item.astype(np.int64)])
    design = sparse.csr_array(
        (np.ones(2 * len(rows)), (np.tile(np.arange(len(rows)), 2), at)), (len(rows), log.n_users + log.n_items)
    )
    effects = lsqr(design, y - mean, damp=np.sqrt(shrinkage), atol=1e-10, btol=1e-10)[0]
    sd = float(np.sqrt(((y - mean - design @ effects) ** 2).mean()))
    return AdditiveMeans(mean, effects[: log.n_users], effects[log.n_users :], sd)
