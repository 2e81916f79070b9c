"""The split new_users (strong generalisation): whole users test. A method is shown some of their rows and predicts the
others.

Liang, Krishnan, Hoffman & Jebara, WWW 2018, "Variational autoencoders for collaborative filtering", section 4.1:
held-out users, 80 % of whose rows are shown. Validation users are held out in the same way; they train in the refit. No
part is a random sample of the log: a propensity of pairs of the trained users says nothing of others.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.at_random import stream
from upliftlens.benchmarks.splits.kinds import SplitKind, SplitOptions
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.options import Within

_TEST, _VALIDATION, _SHOWN = 0, 1, 2  # the streams of the split's seed


@dataclass(frozen=True)
class NewUsersOptions(SplitOptions):
    """``share`` of the users with two or more rows test, ``validation`` of the others validate; ``shown`` is the share
    of a held-out user's rows that a method is shown: at least one, and not all.
    """

    share: Annotated[float, Within(0, 1, "()")]
    shown: Annotated[float, Within(0, 1, "()")]


def _test_users(dataset: Dataset, options: NewUsersOptions) -> np.ndarray:
    if dataset.has_treatments:
        raise UpliftlensError(
            f"split=new_users is for logs of ratings or interactions, and {dataset.name} is one of recommendations: "
            "use split=kfold, or split=draws where it comes as three draws"
        )
    users = _drawn(dataset.log.user, dataset.log.n_users, options.share, options.seed, _TEST)
    return users[dataset.log.user]


def _validation_users(log: Interactions, rows: np.ndarray, options: NewUsersOptions) -> np.ndarray:
    user = log.user[rows]
    return _drawn(user, log.n_users, options.validation, options.seed, _VALIDATION)[user]


def _drawn(user: np.ndarray, n_users: int, share: float, seed: int, axis: int) -> np.ndarray:
    """bool[n_users]: a random ``share`` of the users with two or more of the rows."""
    able = np.flatnonzero(np.bincount(user, minlength=n_users) > 1)
    users = np.zeros(n_users, bool)
    users[stream(seed, axis).permutation(able)[: round(share * len(able))]] = True
    return users


def _shown(log: Interactions, rows: np.ndarray, options: NewUsersOptions) -> np.ndarray:
    user = log.user[rows]
    order = np.lexsort((stream(options.seed, _SHOWN).random(len(log))[rows], user))
    count = np.bincount(user, minlength=log.n_users)
    number = np.clip(np.round(options.shown * count), 1, count - 1).astype(np.int64)
    place = np.arange(len(rows)) - (np.cumsum(count) - count)[user[order]]  # of a row among those of its user
    shown = np.zeros(len(rows), bool)
    shown[order] = place < number[user[order]]
    return shown


new_users = SplitKind("new_users", NewUsersOptions, _test_users, _validation_users, shown=_shown)
