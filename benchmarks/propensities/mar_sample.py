"""The user's sample of ratings missing at random, from which naive Bayes estimates P(r)."""

from pathlib import Path

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions

COLUMNS = ("user", "item", "value")


def read_mar_sample(path: str, dataset: Dataset) -> Interactions:
    """The rows of a CSV file with columns user, item and value, its ids those of the data set.

    Raises:
        UpliftlensError: if it can't be read, lacks a column or a row, or has an unknown id or value.
    """
    where = f"propensity.mar_path={path}"
    try:
        table = pd.read_csv(Path(path).expanduser(), dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' parser and decoder raise ValueErrors
        raise UpliftlensError(f"{where} can't be read: {error}") from error
    if lacking := [name for name in COLUMNS if name not in table]:
        raise UpliftlensError(
            f"{where}: there is no column {lacking[0]}: its first line must name user, item and value"
        )
    index = []
    for side, known in (("user", dataset.users), ("item", dataset.items)):
        index.append(pd.Index(known["id"]).get_indexer(table[side]))
        _require(index[-1] >= 0, table[side], f"{where}: {dataset.name} has no {side}")
    value = pd.to_numeric(table["value"], errors="coerce").to_numpy(np.float64)
    _require(np.isfinite(value), table["value"], f"{where}: no number is")
    return interactions(index[0], index[1], value, len(dataset.users), len(dataset.items))


def _require(right: np.ndarray, column: pd.Series, sentence: str) -> None:
    if not right.all():
        row = int(np.flatnonzero(~right)[0])
        raise UpliftlensError(f"{sentence} '{column.iloc[row]}' (line {row + 2})")
