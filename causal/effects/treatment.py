"""Logs of a recommender: what it recommended, with which probability, and the outcome of every logged pair."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import check_ids


@dataclass(frozen=True)
class UpliftLog:
    """N logged (user, item) pairs, on the host. One row per pair; a pair without a row was not logged at all.

    ``user``, ``item`` i32[N]; ``treated`` bool[N], Z = the pair was recommended; ``outcome`` f32[N] in [0, 1],
    Y = Z·Y^T + (1 − Z)·Y^C; ``propensity`` f32[N] in [0, 1], the recorded e = P(Z = 1).
    """

    user: np.ndarray
    item: np.ndarray
    treated: np.ndarray
    outcome: np.ndarray
    propensity: np.ndarray
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: np.ndarray | slice) -> "UpliftLog":
        """The rows that an index array, a boolean mask or a slice picks, in that order."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            treated=self.treated[rows],
            outcome=self.outcome[rows],
            propensity=self.propensity[rows],
        )


class Overlap(NamedTuple):
    """Which rows an estimator may use.

    ``usable`` bool[N]: 0 < e < 1. ``always``, ``never``: how many rows have e = 1 and e = 0. Such a pair was never
    seen in one of its two arms, so no estimator can say what recommending it changes: it is left out, with its count.
    """

    usable: np.ndarray
    always: int
    never: int


def _in_unit_interval(name: str, column: np.ndarray) -> None:
    bad = ~((column >= 0) & (column <= 1))  # NaN compares false, so it counts as bad
    if bad.any():
        row = int(np.argmax(bad))
        raise UpliftlensError(f"{name} must lie in [0, 1]: row {row} has {column[row]} ({int(bad.sum())} such rows)")


def uplift_log(
    user: np.ndarray,
    item: np.ndarray,
    treated: np.ndarray,
    outcome: np.ndarray,
    propensity: np.ndarray,
    n_users: int,
    n_items: int,
) -> UpliftLog:
    """A checked log from columns of equal length.

    Raises:
        UpliftlensError: if the columns differ in length, are empty, or hold an id outside of the universe, a treatment
            other than 0 and 1, an outcome or propensity outside of [0, 1], a treated row with propensity 0 or an
            untreated one with propensity 1, a pair twice, or no treated or no untreated row at all.
    """
    columns = [np.asarray(column) for column in (user, item, treated, outcome, propensity)]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise UpliftlensError(f"the columns must be equally long, got shapes {[column.shape for column in columns]}")
    user, item = columns[0].astype(np.int32), columns[1].astype(np.int32)
    check_ids(user, item, n_users, n_items)
    if not np.isin(columns[2], (0, 1)).all():
        raise UpliftlensError("treated must be 0 or 1 in every row")
    treated = columns[2].astype(bool)
    outcome, propensity = columns[3].astype(np.float32), columns[4].astype(np.float32)
    _in_unit_interval("outcome", outcome)
    _in_unit_interval("propensity", propensity)
    if not treated.any():
        raise UpliftlensError(
            "the log has no treated row: nothing was recommended, so no uplift can be learned from it"
        )
    if treated.all():
        raise UpliftlensError("the log has no untreated row: without a comparison no uplift can be learned from it")
    impossible = int((treated & (propensity == 0)).sum() + (~treated & (propensity == 1)).sum())
    if impossible:
        raise UpliftlensError(f"{impossible} rows are treated with propensity 0 or untreated with propensity 1")
    pairs = user.astype(np.int64) * n_items + item
    # A dense log in row-major order is the common case and needs no sort.
    if not (np.diff(pairs) > 0).all() and len(np.unique(pairs)) < len(pairs):
        raise UpliftlensError("a (user, item) pair has more than one row: aggregate the log first")
    return UpliftLog(user, item, treated, outcome, propensity, n_users, n_items)


def overlap(log: UpliftLog) -> Overlap:
    """The rows with 0 < e < 1 and the counts of the others.

    Raises:
        UpliftlensError: if no row has overlap.
    """
    always, never = log.propensity >= 1, log.propensity <= 0
    usable = ~(always | never)
    if not usable.any():
        raise UpliftlensError(
            f"no overlap: all {len(log)} rows have propensity 0 or 1 ({int(always.sum())} always recommended, "
            f"{int(never.sum())} never), so treated and untreated outcomes cannot be compared"
        )
    return Overlap(usable, int(always.sum()), int(never.sum()))
