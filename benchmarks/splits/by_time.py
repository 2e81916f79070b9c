"""Splits that keep the future out of training: by the last rows of each user, or by one time for all users.

Neither draws its parts at random, so no part's propensity follows from that of the log.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.kinds import SplitKind, SplitOptions
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, take
from upliftlens.causal.options import AtLeast, Within


@dataclass(frozen=True)
class LeaveLastOptions(SplitOptions):
    """The last ``n`` rows of each user test."""

    n: Annotated[int, AtLeast(1)]


@dataclass(frozen=True)
class TemporalOptions(SplitOptions):
    """The latest ``share`` of all rows tests. ``moments``: of each user, one when the test begins, or one at each time
    at which the user has held out rows.
    """

    share: Annotated[float, Within(0, 1, "()")]
    moments: Literal["one", "each"]

    @property
    def each_moment(self) -> bool:
        """Whether each held out row is asked for at its own time."""
        return self.moments == "each"


def _last_of_users(dataset: Dataset, options: LeaveLastOptions) -> np.ndarray:
    """The last n rows of each user with more than n; equal times keep the order of the file."""
    size = np.bincount(dataset.log.user, minlength=dataset.log.n_users)
    return _last(dataset.log, _times(dataset.log, options), np.where(size > options.n, options.n, 0))


def _last_rows(log: Interactions, rows: np.ndarray, options: LeaveLastOptions) -> np.ndarray:
    """The last ⌈validation·m⌉ of the m training rows of each user with two or more."""
    part = take(log, rows)
    size = np.bincount(part.user, minlength=log.n_users)
    n = np.where(size > 1, np.ceil(options.validation * size), 0).astype(np.int64)
    return _last(part, _times(part, options), n)


def _latest_rows(log: Interactions, rows: np.ndarray, options: TemporalOptions) -> np.ndarray:
    time = _times(log, options)[rows]
    return _latest(time, options.validation) if options.validation else np.zeros(len(rows), bool)


def _times(log: Interactions, options: SplitOptions) -> np.ndarray:
    if log.time is None:
        raise UpliftlensError(
            f"split '{options.name}' needs the time of each rating, which this data set lacks: use split=kfold"
        )
    return log.time


def _last(log: Interactions, time: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The last n[u] rows of each user u by time, then by position, as a mask."""
    order = np.lexsort((time, log.user))
    end = np.cumsum(np.bincount(log.user, minlength=log.n_users))
    mask = np.zeros(len(order), bool)
    mask[order] = np.arange(len(order)) >= (end - n)[log.user[order]]
    return mask


def _latest(time: np.ndarray, share: float) -> np.ndarray:
    """Every row from the time at which the latest ``share`` begins: rows of one second stay together."""
    first = len(time) - max(round(share * len(time)), 1)
    return time >= np.partition(time, first)[first]


leave_last = SplitKind("leave_last", LeaveLastOptions, _last_of_users, _last_rows, order="user")
temporal = SplitKind(
    "temporal",
    TemporalOptions,
    lambda dataset, options: _latest(_times(dataset.log, options), options.share),
    _latest_rows,
    order="global",
)
