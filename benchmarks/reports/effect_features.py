"""Features of users and items as groups of logged rows: the levels of each feature, and the users or items in them.

The values of a column of the user or item table are its levels (gender); cells are split at ``|`` (genres), and many
different numbers (age, year) are cut into quantiles. ``activity``, the number of a user's outcomes above 0, is computed
from the log. It would be circular to group rows by their own outcomes, so a row is grouped by what the user did in the
other half of the log.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.options import Above, AtLeast, Distinct, Within

ACTIVITY = "activity"


@dataclass(frozen=True)
class EffectsOptions:
    """What ``upliftlens effects`` estimates; configs/effects.yaml says what each option is."""

    estimator: Literal["naive", "ips", "snips", "dr"]
    features: Annotated[tuple[str, ...] | None, Distinct(empty=True)]
    bins: Annotated[int, AtLeast(2)]
    max_levels: Annotated[int, AtLeast(2)]
    min_users: Annotated[int, AtLeast(2)]
    correction: Literal["holm", "bh", "none"]
    level: Annotated[float, Within(0, 1, "()")]
    chi: Annotated[float, Within(0, 1, "[)")]
    shrinkage: Annotated[float, Above(0)]
    seed: Annotated[int, AtLeast(0)]


class Feature(NamedTuple):
    """``member`` bool[2, n, K]: whether a user (or item) is in a level, for the rows of each half of the log.

    ``partition``: no user (or item) is in two levels.
    """

    name: str
    side: Literal["user", "item"]
    levels: tuple[str, ...]
    member: np.ndarray
    partition: bool


def features(dataset: Dataset, log: Interactions, half: np.ndarray, options: EffectsOptions) -> list[Feature]:
    """The features of ``options``, or all that can be used, those of users first. ``half`` i8[N] in {0, 1} of rows.

    Raises:
        UpliftlensError: for a feature of ``options`` that is unknown or can't be used, with the reason.
    """
    items = [name for name in dataset.items.columns if name not in ("id", "title")]
    known = [*(name for name in dataset.users.columns if name != "id" and name not in items), ACTIVITY, *items]
    for name in options.features or ():
        if name not in known:
            raise unknown(f"feature of {dataset.name}", name, known)
    usable = []
    for name in known if options.features is None else options.features:
        if name == ACTIVITY:
            feature = _activity(log, half, options)
        else:
            feature = _column(name, "item" if name in items else "user", dataset, options)
        if isinstance(feature, Feature):
            usable.append(feature)
        elif options.features:
            raise UpliftlensError(f"feature '{name}' of {dataset.name} can't be used: {feature}")
    return usable


def _column(name: str, side: Literal["user", "item"], dataset: Dataset, options: EffectsOptions) -> Feature | str:
    """The feature, or why it can't be used."""
    cells = dataset.users[name] if side == "user" else dataset.items[name]
    split = levels_of(cells, options.max_levels, options.bins)
    if isinstance(split, str):
        return split
    levels, member = split
    partition = bool((member.sum(axis=1) <= 1).all())
    return Feature(name, side, levels, np.stack([member, member]), partition)


def levels_of(cells: pd.Series, max_levels: int, bins: int) -> tuple[tuple[str, ...], np.ndarray] | str:
    """The levels of a column and bool[n, K], which cells are in them; or why it has none."""
    texts = cells.fillna("").astype(str).tolist()
    tags = [[part for part in text.split("|") if part] for text in texts]
    values = sorted({tag for row in tags for tag in row})
    if len(values) > max_levels:
        numbers = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(np.float64)
        if np.isnan(numbers[[text != "" for text in texts]]).any():
            return f"it has {len(values)} values, more than max_levels={max_levels}"
        levels, member = _binned(numbers, bins)
    else:
        levels = tuple(values)
        member = np.array([[value in row for value in values] for row in tags], bool).reshape(len(tags), len(values))
    if len(levels) < 2:
        return "it has fewer than two values"
    return levels, member


def _activity(log: Interactions, half: np.ndarray, options: EffectsOptions) -> Feature | str:
    """Levels by the number of the user's outcomes in the half of the log that the row is not in."""
    taken = (log.value > 0).astype(np.float64)
    counts = np.stack([np.bincount(log.user[half != side], taken[half != side], log.n_users) for side in (0, 1)])
    levels, member = _binned(counts.ravel(), options.bins)
    if len(levels) < 2:
        return "all users have the same number of outcomes"
    return Feature(ACTIVITY, "user", levels, member.reshape(2, log.n_users, -1), True)


def _binned(numbers: np.ndarray, bins: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Quantile bins f[n] -> names "lowest to highest" and bool[n, K]; NaN is in none. Equal numbers share a bin."""
    known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf"))
    place = np.searchsorted(edges, numbers, side="left")
    member = (place[:, None] == np.arange(len(edges) + 1)) & np.isfinite(numbers)[:, None]
    member = member[:, member.any(axis=0)]
    return tuple(f"{numbers[level].min():g} to {numbers[level].max():g}" for level in member.T), member
