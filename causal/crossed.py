"""Sums over pairs (user, item), for intervals over new users and new items: the pigeonhole bootstrap (Owen 2007).

A metric of pairs turns totals Σ T_ui into its value. A resample draws the users and, independently, the items with
replacement. If w_u and v_i say how often, a pair counts w_u·v_i times: the replicate is reduce(Σ w_u v_i T_ui). No
resampling of two crossed factors has the right variance in expectation (McCullagh 2000); this is on the safe side:
nearly right where effects of users and items make most of it, up to three times too large where pairs are independent.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from upliftlens.causal.errors import UpliftlensError

CHOICE = "by --where config.metrics.interval.over=users-items or --where 'config.metrics.interval.over!=users-items'"
"""The conditions that choose runs of one kind; != also finds records from before there were two."""


class Crossed(NamedTuple):
    """The C columns of a statistic's sums f64[U, C]: column c is of item ``item[c]`` and adds to total ``total[c]``.

    ``item``, ``total`` i64[C]; ``fixed`` f64[S] is added to the S totals in every resample. ``items`` i64[I]: what is
    drawn from, the items of all pairs, ascending, also those whose sums are 0: two methods draw the same.
    """

    item: np.ndarray
    total: np.ndarray
    fixed: np.ndarray
    items: np.ndarray

    def resampled(self, columns: np.ndarray, items: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """f64[S, R]: the totals in R resamples that hold ``items`` i64[I], ascending, ``counts`` f64[I, R] times."""
        return self.totals(columns * counts[np.searchsorted(items, self.item)])

    def totals(self, columns: np.ndarray) -> np.ndarray:
        """f64[S, R] from the columns' sums f64[C, R]."""
        place = np.arange(len(self.total))
        fold = sparse.csr_array((np.ones(len(place)), (self.total, place)), shape=(len(self.fixed), len(place)))
        return np.asarray(fold @ columns) + self.fixed[:, None]


def crossed(
    terms: np.ndarray | sparse.csr_array, row: np.ndarray, item: np.ndarray, n_users: int, fixed: np.ndarray
) -> tuple[sparse.csr_array, Crossed]:
    """Sums f64[U, C] with their columns, from ``terms`` f64[N, S] of pairs: user ``row`` i[N] of U, ``item`` i[N]."""
    entries, n_items = sparse.coo_array(terms), int(item.max()) + 1
    pair, total = entries.coords
    codes, column = np.unique(total.astype(np.int64) * n_items + item[pair], return_inverse=True)
    sums = sparse.csr_array((entries.data, (row[pair], column)), shape=(n_users, len(codes)))
    return sums, Crossed(codes % n_items, codes // n_items, fixed, np.unique(item).astype(np.int64))


def items_of(tables: Sequence[Crossed | None]) -> np.ndarray | None:
    """The items i64[I] of some statistics, ascending; None where their sums aren't by item.

    Raises:
        UpliftlensError: if the sums of some are by item, and of others not.
    """
    by_item = [table.items for table in tables if table is not None]
    if len(by_item) not in (0, len(tables)):
        raise UpliftlensError(
            "some of these runs have metrics.interval.over=users-items, others users: run all with the same, or choose "
            + CHOICE
        )
    return np.unique(np.concatenate(by_item)) if by_item else None
