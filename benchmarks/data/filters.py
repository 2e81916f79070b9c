"""Filters of a log's rows. Pure functions of columns; rows keep their order."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Rows(NamedTuple):
    """``kept`` i64[n] picks rows of the original columns, ascending; ``value`` f32[n] is their value after merging."""

    kept: np.ndarray
    value: np.ndarray


def repeated(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """bool[N]: True where an earlier row has the same pair. ``user`` and ``item`` are integer codes from 0."""
    return pd.DataFrame({"user": user, "item": item}).duplicated().to_numpy()


def merged(user: np.ndarray, item: np.ndarray, value: np.ndarray, time: np.ndarray | None, policy: str) -> Rows:
    """One row per pair. ``first`` and ``last`` go by time, ties and logs without time by file order.

    ``mean`` keeps the place and time of the last row with the mean value of all. ``error`` merges nothing: the
    readers have refused repeated pairs by then.
    """
    every = Rows(np.arange(len(user)), value)
    if policy == "error" or not repeated(user, item).any():
        return every
    pair = user.astype(np.int64) * (int(item.max()) + 1) + item
    order = np.argsort(pair, kind="stable") if time is None else np.lexsort((time, pair))
    starts = np.flatnonzero(np.r_[True, np.diff(pair[order]) != 0])
    ends = np.r_[starts[1:], len(order)]
    kept = order[starts] if policy == "first" else order[ends - 1]
    values = value[kept]
    if policy == "mean":
        sums = np.add.reduceat(value[order].astype(np.float64), starts)
        values = (sums / (ends - starts)).astype(np.float32)
    in_order = np.argsort(kept)
    return Rows(kept[in_order], values[in_order])


def k_core(user: np.ndarray, item: np.ndarray, user_core: int, item_core: int) -> np.ndarray:
    """bool[N]: the largest set of rows in which each user has at least ``user_core`` and each item ``item_core`` rows.

    Removing a user may leave an item short and the other way round, so both are repeated until nothing changes. The
    result does not depend on which side comes first: the largest such set is unique.
    """
    keep = np.ones(len(user), bool)
    while keep.any():
        users, items = np.bincount(user[keep]), np.bincount(item[keep])
        enough = (users[user[keep]] >= user_core) & (items[item[keep]] >= item_core)
        if enough.all():
            break
        keep[np.flatnonzero(keep)[~enough]] = False
    return keep
