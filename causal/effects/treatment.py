"""Logs of recommendations: what was recommended, with which probability, and the outcome of every logged pair.

They are ``Interactions`` with the columns ``treated`` and ``propensity``.
"""

from typing import NamedTuple

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions, check_ids, interactions


def action_propensity(treated: np.ndarray, e: np.ndarray) -> np.ndarray:
    """f64[N], P(what was done) from e[N] = P(Z = 1): e where treated, 1 − e where not.

    Where e > 0 it stays below 1, however small e is.
    """
    e = np.asarray(e, np.float64)
    not_done = np.minimum(1 - e, np.where(e > 0, np.nextafter(1.0, 0.0), 1.0))
    return np.where(treated, e, not_done)


def treatment_propensity(log: Interactions) -> Array:
    """e = P(Z = 1) of each row of a log of recommendations, in the precision of its column."""
    assert log.treated is not None and log.propensity is not None, "not a log of recommendations"
    return np.where(log.treated, log.propensity, 1 - log.propensity)


class Overlap(NamedTuple):
    """Which rows an estimator may use.

    ``usable`` bool[N]: 0 < e < 1. ``always``, ``never``: how many rows have e = 1 and e = 0. Such a pair was never
    seen in one of its two arms, so no estimator can say what recommending it changes: it is left out, with its count.
    """

    usable: np.ndarray
    always: int
    never: int


def without_overlap(log: Interactions) -> np.ndarray:
    """bool[N]: the rows with e = 0 or 1."""
    e = treatment_propensity(log)
    return np.asarray((e <= 0) | (e >= 1))


def _in_unit_interval(name: str, column: np.ndarray) -> None:
    bad = ~((column >= 0) & (column <= 1))  # NaN compares false, so it counts as bad
    if bad.any():
        row = int(np.argmax(bad))
        raise UpliftlensError(f"{name} must lie in [0, 1]: row {row} has {column[row]} ({int(bad.sum())} such rows)")


def checked_log(
    user: np.ndarray,
    item: np.ndarray,
    treated: np.ndarray,
    outcome: np.ndarray,
    propensity: np.ndarray,
    n_users: int,
    n_items: int,
) -> Interactions:
    """A checked log from columns [N]; ``propensity`` is e = P(Z = 1), in [0, 1], rounded to float32.

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
    recorded = action_propensity(treated, propensity)
    return interactions(user, item, outcome, n_users, n_items, treated=treated, propensity=recorded)


def overlap(log: Interactions) -> Overlap:
    """The rows with 0 < e < 1 and the counts of the others.

    Raises:
        UpliftlensError: if no row has overlap.
    """
    e = treatment_propensity(log)
    always, never = e >= 1, e <= 0
    usable = ~(always | never)
    if not usable.any():
        raise UpliftlensError(
            f"no overlap: all {len(log)} rows have propensity 0 or 1 ({int(always.sum())} always recommended, "
            f"{int(never.sum())} never), so treated and untreated outcomes cannot be compared"
        )
    return Overlap(usable, int(always.sum()), int(never.sum()))
