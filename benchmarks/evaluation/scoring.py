"""What a method is asked: its queries, with each user's interactions before the moment that is scored, and pairs."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions, take
from upliftlens.models.contract import Method, Query, TrainingData

# Pairs predicted per call, without and with histories: one compiled program whatever their number; changes no result.
_PAIRS, _PAIRS_WITH_HISTORY = 8192, 1024
_STEP = 64  # "all" interactions are filled up to a multiple of this


class Moments(NamedTuple):
    """K moments with the interactions before each that a method is told; host arrays. Moment u is that of user u, where
    every user has one.

    ``user`` i[K]: −1 where the method was not trained on the user. The interactions of moment k are rows
    [begin_k, end_k), i64[K] each, of ``item`` i32[N + 1], ``value`` and ``positive`` f32[N + 1], oldest first; the last
    row is padding. ``length``: L of the queries.
    """

    user: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    item: np.ndarray
    value: np.ndarray
    positive: np.ndarray
    length: int

    def query(self, moment: np.ndarray) -> Query:
        """The queries of moments i[B], on the host."""
        begin, end = self.begin[moment][:, None], self.end[moment][:, None]
        row = end - np.arange(self.length, 0, -1)
        row = np.where(row >= begin, row, len(self.item) - 1)
        return Query(self.user[moment].astype(np.int32), self.item[row], self.value[row], self.positive[row])


def moments(
    method: Method, data: TrainingData, users: np.ndarray, shown: Interactions | None, relevant: Any
) -> Moments:
    """What the method is told of ``users``: their training rows, or, of users whom it was not trained on, the rows that
    are ``shown``, of which ``relevant`` bool[N] count as positives.

    Raises:
        UpliftlensError: if rows are shown of new users and the method has no score for such.
    """
    reach, log, positive = method.history, data.log, data.positive
    if shown is not None:
        if method.new_users is None:
            raise UpliftlensError("the model has no score for users whom it was not trained on")
        reach, log, positive = method.new_users, shown, relevant
    user = np.arange(data.n_users) if shown is None else np.full(data.n_users, -1)
    if reach == 0:
        nothing = np.zeros(data.n_users, np.int64)
        return Moments(user, nothing, nothing, *columns(take(log, slice(0)), np.zeros(0)), 0)
    rows = np.flatnonzero(np.asarray(log.weight) > 0)
    owner = np.asarray(log.user)[rows]
    time = np.zeros(len(rows)) if log.time is None else log.time[rows]  # training rows are in their order already
    rows = rows[np.lexsort((time, owner))]
    count = np.bincount(owner, minlength=data.n_users)
    end = np.cumsum(count)
    length = width(int(count[users].max(initial=1))) if reach == "all" else reach
    return Moments(user, end - count, end, *columns(log, positive, rows), length)


def columns(log: Interactions, positive: Any, rows: Any = slice(None)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``item``, ``value`` and ``positive`` of ``Moments``, of chosen rows of a log."""
    padded = ((log.item, -1, np.int32), (log.value, 0, np.float32), (positive, 0, np.float32))
    item, value, counts = (np.append(np.asarray(part)[rows], padding).astype(kind) for part, padding, kind in padded)
    return item, value, counts


def width(longest: int) -> int:
    """The L that holds ``longest`` interactions: few different ones, so few compiled programs."""
    return -(-longest // _STEP) * _STEP


@partial(jax.jit, static_argnums=0)
def _predict(
    predict: Callable[..., jax.Array], state: Any, data: TrainingData, at: Query, items: jax.Array
) -> jax.Array:
    return predict(state, data, at, items)


def predictions(
    method: Method,
    state: Any,
    data: TrainingData,
    known: Moments,
    user: Array,
    item: Array,
    dtype: type[np.floating[Any]],
    moment: Array | None = None,
) -> np.ndarray:
    """f[N] of the pairs (user i[N], item i[N]), from the method's float32; ``moment`` i[N]: where ``known`` has them,
    None where each user has one moment.

    Raises:
        UpliftlensError: for a NaN or infinite prediction, naming the pair.
    """
    out = np.empty(len(user), dtype)
    size = _PAIRS_WITH_HISTORY if known.length else _PAIRS
    for start in range(0, len(user), size):
        rows = slice(start, start + size)
        asked, items = (np.resize(ids[rows], size) for ids in (user if moment is None else moment, item))
        at = known.query(asked)
        out[rows] = np.asarray(_predict(method.predict, state, data, at, items.astype(np.int32)))[: len(user) - start]
    bad = np.flatnonzero(~np.isfinite(out))
    if len(bad):
        where = f"user index {user[bad[0]]} and item index {item[bad[0]]}"
        raise UpliftlensError(
            f"the model's prediction for {where} is {out[bad[0]]}.\n"
            "Has training diverged? Try a smaller train.lr or more regularisation."
        )
    return out
