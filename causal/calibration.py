"""Bins of predicted probabilities: the parts of a log in which the mean prediction is compared with the frequency."""

from typing import Literal

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array

Binning = Literal["equal-mass", "equal-width"]


def bins_of(probability: Array, n: int, binning: Binning) -> np.ndarray:
    """The bin i64[N], in [0, n), of each probability f[N].

    "equal-width": [0, 1/n), …, [1 − 1/n, 1]. "equal-mass": the sorted probabilities in n runs of about equal length;
    equal ones stay together, in the bin of the middle of their places, so that few distinct values get bins apart.

    Raises:
        UpliftlensError: if a probability is not in [0, 1].
    """
    p = np.asarray(probability, np.float64)
    bad = p[~((p >= 0) & (p <= 1 + 1e-6))]  # a NaN fails both comparisons; float32 may round above 1
    if len(bad):
        raise UpliftlensError(
            f"calibration is of probabilities: {len(bad):,} of {p.size:,} are not in [0, 1], the first is {bad[0]:g}"
        )
    place = p
    if binning == "equal-mass":
        ordered = np.sort(p)
        place = (np.searchsorted(ordered, p, side="left") + np.searchsorted(ordered, p, side="right")) / 2 / p.size
    return np.minimum((place * n).astype(np.int64), n - 1)
