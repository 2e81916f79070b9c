"""What a method is asked: its queries, with each user's interactions before the moment that is scored, and pairs."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions
from upliftlens.models.contract import Method, Query, TrainingData

# Pairs predicted per call, without and with histories: one compiled program whatever their number; changes no result.
_PAIRS, _PAIRS_WITH_HISTORY = 8192, 1024
_STEP = 64  # "all" interactions are filled up to a multiple of this: few shapes, so few programs


class Moments(NamedTuple):
    """The interactions of every user before the moment; host arrays.

    Those of user u are rows [begin_u, begin_{u+1}) of ``item`` i32[N + 1], ``value`` and ``positive`` f32[N + 1],
    oldest first; the last row is padding. ``begin`` i64[n_users + 1]. ``length``: L of the queries. ``new``: the users
    are no users that the method was trained on.
    """

    begin: np.ndarray
    item: np.ndarray
    value: np.ndarray
    positive: np.ndarray
    length: int
    new: bool

    def query(self, users: np.ndarray) -> Query:
        """The queries of users i[B], on the host."""
        end, count = self.begin[users + 1], np.diff(self.begin)[users]
        back = np.arange(self.length, 0, -1)
        row = np.where(back <= count[:, None], end[:, None] - back, len(self.item) - 1)
        user = np.full(len(users), -1) if self.new else users
        columns = self.item[row], self.value[row], self.positive[row]
        return Query(user.astype(np.int32), *columns)


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
    if reach == 0:
        nothing = np.zeros(1, np.float32)
        begin = np.zeros(data.n_users + 1, np.int64)
        return Moments(begin, np.full(1, -1, np.int32), nothing, nothing, 0, shown is not None)
    rows = np.flatnonzero(np.asarray(log.weight) > 0)
    user = np.asarray(log.user)[rows]
    time = np.zeros(len(rows)) if log.time is None else log.time[rows]  # training rows are in their order already
    rows = rows[np.lexsort((time, user))]
    count = np.bincount(user, minlength=data.n_users)
    begin = np.concatenate([[0], np.cumsum(count)])
    longest = int(count[users].max(initial=1))
    item, value, counts = (
        np.append(np.asarray(column)[rows], padding).astype(kind)
        for column, padding, kind in ((log.item, -1, np.int32), (log.value, 0, np.float32), (positive, 0, np.float32))
    )
    length = -(-longest // _STEP) * _STEP if reach == "all" else reach
    return Moments(begin, item, value, counts, length, shown is not None)


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
) -> np.ndarray:
    """f[N] of the pairs (user i[N], item i[N]), from the method's float32.

    Raises:
        UpliftlensError: for a NaN or infinite prediction, naming the pair.
    """
    out = np.empty(len(user), dtype)
    size = _PAIRS_WITH_HISTORY if known.length else _PAIRS
    for start in range(0, len(user), size):
        rows = slice(start, start + size)
        users, items = (np.resize(ids[rows], size).astype(np.int32) for ids in (user, item))
        out[rows] = np.asarray(_predict(method.predict, state, data, known.query(users), items))[: len(user) - start]
    bad = np.flatnonzero(~np.isfinite(out))
    if len(bad):
        where = f"user index {user[bad[0]]} and item index {item[bad[0]]}"
        raise UpliftlensError(
            f"the model's prediction for {where} is {out[bad[0]]}.\n"
            "Has training diverged? Try a smaller train.lr or more regularisation."
        )
    return out
