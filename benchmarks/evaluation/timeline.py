"""Several moments per user: each time at which a user has held out rows is one, and all rows before it are known.

At moment q of user u at time t a method is asked for u's scores. What it was trained on stays the same; it is told the
rows of u before t, those seen and those held out. They are no candidates, unless tested at t. Relevant are the held out
positives of t. Rows of one user and one time belong to one moment, so none of them is known to another.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from upliftlens.benchmarks.evaluation.ranking import Targets, distinct
from upliftlens.benchmarks.evaluation.scoring import Moments, columns, width
from upliftlens.benchmarks.metrics.metric import Metric, mean_of, run_starts
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, concatenate, take
from upliftlens.causal.intervals import Sums, ratio
from upliftlens.models.contract import Method, TrainingData
from upliftlens.models.query import Reach


class Timeline(NamedTuple):
    """Q moments, sorted by user and time. ``log``: all rows that are seen or held out, sorted by user and time; rows
    [begin_q, end_q) lie before moment q, of ``user`` i64[Q]; ``begin``, ``end`` i64[Q]. ``of_row`` i64[N]: the moment
    of each held out row.
    """

    log: Interactions
    user: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    of_row: np.ndarray


def timeline(rows: Interactions, seen: Interactions) -> Timeline:
    """The moments of held out ``rows``.

    Raises:
        UpliftlensError: without times.
    """
    log = concatenate(take(seen, np.asarray(seen.weight) > 0), rows)
    if log.time is None or rows.time is None:
        raise UpliftlensError("several moments per user need the time of each row: use split.moments=one")
    order = np.lexsort((rows.time, rows.user))
    user, time = rows.user[order].astype(np.int64), rows.time[order]
    first = run_starts(user, time) if len(order) else np.zeros(0, bool)
    of_row = np.empty(len(order), np.int64)
    of_row[order] = np.cumsum(first) - 1
    user, time = user[first], time[first]
    times, code = np.unique(log.time, return_inverse=True)
    keys = log.user.astype(np.int64) * len(times) + code
    order = np.argsort(keys, kind="stable")  # of equal times, the order of the file
    begin, end = (np.searchsorted(keys[order], user * len(times) + at) for at in (0, np.searchsorted(times, time)))
    log = take(log, order)
    return Timeline(log, user, begin, end, of_row)


def targets_at(line: Timeline, rows: Interactions, relevant: np.ndarray) -> Targets:
    """What to rank at every moment, from the held out rows and which of them are relevant, bool[N]."""
    n = rows.n_items
    keys = line.of_row * n + rows.item
    tested, item = np.divmod(distinct(keys), n)
    pairs, first = np.unique(line.log.user.astype(np.int64) * n + line.log.item, return_index=True)
    known = first[np.searchsorted(pairs, line.user[tested] * n + item)] < line.end[tested]
    return Targets(
        line.user,
        np.arange(len(line.user)),
        *np.divmod(distinct(keys[relevant]), n),
        line.log.item,
        line.begin,
        line.end,
        tested,
        item,
        int(known.sum()),
    )


def moments_at(method: Method, data: TrainingData, line: Timeline, relevant: np.ndarray) -> Moments:
    """What the method is told at every moment; ``relevant`` bool[M]: the rows of ``line.log`` that count as positives.

    A user without a training row is new to a method that scores new users, at every moment.
    """
    trained = np.zeros(data.n_users, bool)
    trained[np.asarray(data.log.user)[np.asarray(data.log.weight) > 0]] = True
    new = ~trained[line.user] & (method.new_users is not None)
    before = line.end - line.begin

    def given(reach: Reach | None) -> np.ndarray:
        return before if reach == "all" else np.minimum(before, reach or 0)

    count = np.where(new, given(method.new_users), given(method.history))
    longest = int(count.max(initial=0))
    user = np.where(new, -1, line.user)
    length = width(longest) if "all" in (method.history, method.new_users) else longest
    return Moments(user, line.end - count, line.end, *columns(line.log, relevant), length)


def summed(metric: Metric, sums: Sums, owner: np.ndarray, n_users: int) -> Sums:
    """Sums of moments [Q, S] as sums of users [U, S]; ``owner`` i[Q]: the position of the moment's user.

    A user's value of a mean is the mean over the moments at which it is defined. Totals are added; where a metric
    counts the lists that hold an item (coverage, Gini), each user counts once.
    """
    member = sparse.csr_array((np.ones(len(owner)), (owner, np.arange(len(owner)))), shape=(n_users, len(owner)))
    total = member @ sums
    if metric.kind == "mean":
        return mean_of(ratio(total[:, 0], total[:, 1]), total[:, 1] > 0)
    return total if metric.without is None else (total > 0).astype(np.float64)
