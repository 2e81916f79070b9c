"""Users and items by what a person types: raw ids and titles."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.errors import UpliftlensError, did_you_mean

_SHOWN = 4  # titles that an error lists
_YEAR = re.compile(r" \(\d{4}\)$")  # as MovieLens ends its titles


def user_indices(dataset: Dataset, users: Sequence[str]) -> np.ndarray:
    """i64[U]: the indices of raw user ids.

    Raises:
        UpliftlensError: for a user who is not in the data.
    """
    return _indices(dataset, "user", dataset.users["id"], users, "\nFor a user of whom you know some items: --history")


def item_ids(dataset: Dataset, items: Sequence[str]) -> np.ndarray:
    """i64[I]: the indices of raw item ids.

    Raises:
        UpliftlensError: for an item that is not in the data.
    """
    return _indices(dataset, "item", dataset.items["id"], items)


def _indices(dataset: Dataset, what: str, column: pd.Series, names: Sequence[str], more: str = "") -> np.ndarray:
    known = pd.Index(column.astype(str))
    places = known.get_indexer(pd.Index([str(name) for name in names], dtype=object))
    if len(missing := np.flatnonzero(places < 0)):
        others = f" ({len(missing)} such in all)" if len(missing) > 1 else ""
        raise UpliftlensError(
            f"{dataset.name} has no {what} '{names[missing[0]]}'{others}; its {len(known)} ids run from '{known[0]}' "
            f"to '{known[-1]}'.{more}"
        )
    return places.astype(np.int64)


def item_indices(dataset: Dataset, names: Sequence[str]) -> np.ndarray:
    """i64[L]: the item of each name: a raw id, a title with or without its year, or the beginning of a single title; in
    any case of letters.

    Raises:
        UpliftlensError: for a name of no item or of several, or an item that is named twice.
    """
    ids = dataset.items["id"].astype(str).to_numpy()
    titles = (dataset.items["title"] if "title" in dataset.items else dataset.items["id"]).astype(str).to_numpy()
    if not names:
        raise UpliftlensError('--history names no item: write ids or titles, as in --history "Toy Story;Heat"')
    found = np.array([_item(dataset.name, name, ids, titles) for name in names], np.int64)
    repeated = [name for place, name in enumerate(names) if found[place] in found[:place]]
    if repeated:
        raise UpliftlensError(f"--history names '{repeated[0]}' twice: once is enough")
    return found


def _item(data: str, name: str, ids: np.ndarray, titles: np.ndarray) -> int:
    bare = [_YEAR.sub("", title) for title in titles]
    lower, lower_bare = (np.array([title.casefold() for title in these]) for these in (titles, bare))
    key = name.casefold()
    for matches in (ids == name, lower == key, lower_bare == key, np.char.startswith(lower, key)):
        rows = np.flatnonzero(matches)
        if len(rows) == 1:
            return int(rows[0])
        if len(rows):
            some = "; ".join(f"{titles[row]} (id {ids[row]})" for row in rows[:_SHOWN])
            raise UpliftlensError(f"'{name}' names {len(rows)} items of {data}: write the id. {some}")
    raise UpliftlensError(f"{data} has no item '{name}': {did_you_mean(name, bare)}write an id or a title")
