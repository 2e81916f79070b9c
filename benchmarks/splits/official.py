"""The official folds of MovieLens 100K, rebuilt from the order of ``u.data``.

The archive's own script ``mku.sh`` cuts ``u.data`` with head and tail: ``uK.test`` holds rows (K−1)·20000 …
K·20000−1. ``ua.test`` holds each user's ratings 1–10 in the order of the file, ``ub.test`` 11–20.

No test file is a random sample. The order of ``u.data`` is random by item, but not by user: ``u1.test`` … ``u5.test``
have rows of 459, 653, 869, 923 and 927 of the 943 users, up to 81 % of a user's rows, and χ²/df of the users' shares
is 11 to 34 (``randomness.py``; 1 for random rows). So the tested rows have no known propensity, and metrics such as
``rmse/ips`` are absent. A propensity that is fitted to the training rows is that of those rows, whatever the cut, and
the validation rows are a random sample of them: both are weighed as in other splits. But one that depends on the item
only, such as ``popularity``, does not know that the cut took more rows of some users than of others.
"""

import hashlib

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.at_random import random_rows
from upliftlens.benchmarks.splits.kinds import Sampling, SplitKind, SplitOptions
from upliftlens.causal.errors import UpliftlensError

U_DATA = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
FOLDS = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")


def official_test_rows(dataset: Dataset, fold: str) -> np.ndarray:
    """The mask bool[100000] of the rows of an official test file.

    Raises:
        UpliftlensError: unless the log is, row by row, the unfiltered ``u.data``.
    """
    if hashlib.sha256(_as_u_data(dataset)).hexdigest() != U_DATA:
        raise UpliftlensError(
            f"split '{fold}' is defined on the 100,000 rows of MovieLens 100K as shipped, and {dataset.name} has "
            f"{len(dataset.log):,} other rows: use data=ml-100k without filters, or split=kfold"
        )
    return fold_of_rows(dataset.log.user, fold)


def fold_of_rows(user: np.ndarray, fold: str) -> np.ndarray:
    """The mask of an official fold's test rows, for the users i32[N] of the rows in the order of the file."""
    if fold in ("ua", "ub"):
        earlier = pd.Series(user).groupby(user).cumcount().to_numpy()  # rows of the same user
        return earlier // 10 == ("ua", "ub").index(fold)
    return np.arange(len(user)) // 20_000 == int(fold[1]) - 1


def _as_u_data(dataset: Dataset) -> bytes:
    """The log in the format of ``u.data``: raw user id, raw item id, rating, seconds; b"" for a log of another size."""
    log = dataset.log
    if len(log) != 100_000 or log.time is None:
        return b""
    users, items = (table["id"].to_numpy(dtype=str) for table in (dataset.users, dataset.items))
    columns = (users[log.user], items[log.item], log.value.astype(np.int64).astype(str), log.time.astype(str))
    return "".join("\t".join(row) + "\n" for row in zip(*columns)).encode()


def _kind(fold: str) -> SplitKind:
    version = 1 if fold in ("ua", "ub") else 2  # version 1 of the others took their test rows for a random sample
    sampling = Sampling(validation=True)
    return SplitKind(
        fold, SplitOptions, lambda data, _: official_test_rows(data, fold), random_rows, sampling, version=version
    )


u1, u2, u3, u4, u5, ua, ub = map(_kind, FOLDS)
