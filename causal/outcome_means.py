"""The plainest outcome model for doubly-robust estimates: every item's mean outcome with and without recommending."""

import numpy as np

from upliftlens.causal.treatment import UpliftLog


def outcome_means(log: UpliftLog, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """m1, m0 f64[I]: predictions of Y^T and Y^C for every item.

    m_a(i) = (Σ_{rows of i in arm a} Y + s·ȳ_a) / (n_a(i) + s), with ȳ_a the mean outcome of the arm and s the
    ``shrinkage``, in rows. An arm without a row predicts 0. Fit it to other outcomes than it helps to average.

    Raises:
        ValueError: if the shrinkage is not positive.
    """
    if not shrinkage > 0:
        raise ValueError(f"the shrinkage must be positive, got {shrinkage}")

    def arm(rows: np.ndarray) -> np.ndarray:
        total = np.bincount(log.item[rows], log.outcome[rows], log.n_items)
        count = np.bincount(log.item[rows], minlength=log.n_items)
        mean = float(log.outcome[rows].mean(dtype=np.float64)) if rows.any() else 0.0
        return (total + shrinkage * mean) / (count + shrinkage)

    return arm(log.treated), arm(~log.treated)
