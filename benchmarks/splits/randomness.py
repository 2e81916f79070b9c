"""Do the test rows look like a random sample of the log: by user, by item and by time?

Were n of N rows drawn at random, each set of n rows would be as likely as any other. Then with n_g rows of a group g
(a user, or an item), k_g of them tested, and π = n/N:

    X² = Σ_g (k_g − π·n_g)² / (n_g·π·(1 − π)),  with mean (G − 1)·N/(N − 1), is about χ² with G − 1 degrees of freedom;
    z = (mean rank of the tested times − mean rank of all) / √(σ²·(N − n)/(n·(N − 1)))  has mean 0 and variance 1,

with σ² the variance of the N ranks; equal times share their mean rank.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from upliftlens.causal.interactions import Interactions, concatenate

_LEAST = 5.0  # rows expected in either part of a group: with fewer, X² is far from χ²
_SURELY = 1e-6  # p below this: k-fold splits by the thousand pass


@dataclass(frozen=True)
class EqualShares:
    """Whether all groups have the same share of tested rows: X²/df, about 1 if drawn at random, and P(a larger X²)."""

    chi2_per_df: float
    df: int
    p: float


@dataclass(frozen=True)
class TimeShift:
    """Whether tested rows are later (z > 0) or earlier than the others, and P(a larger |z|) if drawn at random."""

    z: float
    p: float


@dataclass(frozen=True)
class Randomness:
    """Tests of "the test rows are a random sample of all rows"; None where there are too few rows, or no times."""

    user: EqualShares | None
    item: EqualShares | None
    time: TimeShift | None

    def doubts(self) -> tuple[str, ...]:
        """Why the test rows are surely no random sample, a clause each; none does not prove that they are."""
        clauses = [
            f"{name}s differ in their share of tested rows (χ²/df = {shares.chi2_per_df:.3g})"
            for name, shares in (("user", self.user), ("item", self.item))
            if shares is not None and shares.p < _SURELY
        ]
        if self.time is not None and self.time.p < _SURELY:
            order = "later" if self.time.z > 0 else "earlier"
            clauses.append(f"test rows are {order} than the others (z = {self.time.z:.3g})")
        return tuple(clauses)


def randomness(fit: Interactions, test: Interactions) -> Randomness:
    """The tests of the rows ``test`` among all rows, those of ``fit`` and ``test``."""
    if not len(fit) or not len(test):
        return Randomness(None, None, None)
    rows = concatenate(fit, test)
    tested = np.arange(len(rows)) >= len(fit)
    return Randomness(
        equal_shares(rows.user, tested),
        equal_shares(rows.item, tested),
        None if rows.time is None else time_shift(rows.time, tested),
    )


def equal_shares(group: np.ndarray, tested: np.ndarray, least: float = _LEAST) -> EqualShares | None:
    """X² of the groups i[N] of rows, of which those ``tested`` bool[N]; None for fewer than two groups.

    Groups with fewer than ``least`` > 0 expected rows in either part count together, as a further group.
    """
    size, hits = np.bincount(group), np.bincount(group, tested)
    least_size = least / min(tested.mean(), 1 - tested.mean())
    few = size < least_size
    size, hits = (np.append(count[~few], count[few].sum()) for count in (size, hits))
    enough = size >= least_size
    size, hits = size[enough], hits[enough]
    share = hits.sum() / max(size.sum(), 1)
    if len(size) < 2 or not 0 < share < 1:
        return None
    chi2 = float(((hits - share * size) ** 2 / (size * share * (1 - share))).sum())
    df = len(size) - 1
    return EqualShares(chi2 / df, df, float(stats.chi2.sf(chi2, df)))


def time_shift(time: np.ndarray, tested: np.ndarray) -> TimeShift | None:
    """z of the times [N] of rows, of which those ``tested`` bool[N]; None if all times are equal."""
    rank, n_rows, n = stats.rankdata(time), len(time), int(tested.sum())
    variance = rank.var() * (n_rows - n) / (n * (n_rows - 1))
    if not variance:
        return None
    z = float((rank[tested].mean() - rank.mean()) / np.sqrt(variance))
    return TimeShift(z, float(2 * stats.norm.sf(abs(z))))
