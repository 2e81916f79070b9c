"""Rows of a user's log of recommendations: one for each pair, absent ones, what is refused, estimated propensities."""

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.config import UpliftLogConfig
from upliftlens.benchmarks.data.filters import merged
from upliftlens.causal.effects.treatment import overlap, uplift_log
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.propensities.treatment import additive_logistic

MOST_ROWS = 100_000_000  # that absent=zero may make: some 4 GB


def one_row_each(log: pd.DataFrame, duplicates: str) -> pd.DataFrame:
    """The log with one row of each pair, by the policy of data.filter.duplicates (``filters.merged``)."""
    user, item = (pd.factorize(log[side])[0] for side in ("user", "item"))
    time = log["time"].to_numpy() if "time" in log else None
    return log.iloc[merged(user, item, log["value"].to_numpy(), time, duplicates).kept].reset_index(drop=True)


def check_log(rows: Interactions, treated: np.ndarray, propensity: np.ndarray | None, where: str, fix: str) -> None:
    """Refuses a log from which nothing can be said of effects; ``propensity``: None where it has yet to be estimated.

    Raises:
        UpliftlensError: if nothing, or everything, was recommended, a propensity contradicts its treatment, no row has
            overlap (each with ``fix``), or no outcome is above 0.
    """
    unknown = np.full(len(rows), 0.5, np.float32)
    columns = (rows.user, rows.item, treated, rows.value, unknown if propensity is None else propensity)
    try:
        overlap(uplift_log(*columns, rows.n_users, rows.n_items))
    except ValueError as error:
        raise UpliftlensError(f"{where}: {error}. Fix: {fix}") from error
    if not (rows.value > 0).any():
        raise UpliftlensError(
            f"{where}: all {len(rows):,} outcomes are 0: nothing was ever taken, so there is no effect to learn or "
            "measure. Fix: check data.columns.outcome"
        )


def estimated(
    rows: Interactions, treated: np.ndarray, fitted: np.ndarray, config: UpliftLogConfig, where: str
) -> np.ndarray:
    """The propensities f32[N] that ``additive_logistic`` estimates from the ``fitted`` rows with the data's options.

    Raises:
        UpliftlensError: if they can't be estimated.
    """
    l2, iterations = config.propensity_l2, config.propensity_iterations
    with located(where):
        return additive_logistic(rows.user, rows.item, treated, rows.n_users, rows.n_items, l2, iterations, fitted)


def with_absent(log: pd.DataFrame, file: str) -> pd.DataFrame:
    """The rows, and behind them every pair of a user and an item without a row: untreated, outcome 0.

    Raises:
        UpliftlensError: if that would be more than ``MOST_ROWS`` rows.
    """
    (user, users), (item, items) = (pd.factorize(log[side]) for side in ("user", "item"))
    if (n := len(users) * len(items)) > MOST_ROWS:
        raise UpliftlensError(
            f"data.absent=zero: {len(users):,} users × {len(items):,} items of {file} would be {n:,} rows, more than "
            f"{MOST_ROWS:,}. Fix: data.absent=drop, or a file of fewer users or items"
        )
    missing = np.ones((len(users), len(items)), bool)
    missing[user, item] = False
    u, i = np.nonzero(missing)
    absent = {"user": users[u], "item": items[i], "value": np.zeros(len(u), np.float32), "treated": False}
    return pd.concat([log, pd.DataFrame(absent)], ignore_index=True)
