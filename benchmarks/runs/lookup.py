"""Users and items by what a person types: raw ids and titles."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.errors import UpliftlensError, did_you_mean

_SHOWN = 4  # titles that an error lists
_NAMED = 3  # unknown names that an error lists
_YEAR = re.compile(r" \(\d{4}\)$")  # as MovieLens ends its titles


def user_indices(dataset: Dataset, users: Sequence[str]) -> np.ndarray:
    """i64[U]: the indices of raw user ids.

    Raises:
        UpliftlensError: for a user who is not in the data.
    """
    return _indices(
        dataset,
        "user",
        dataset.users["id"],
        users,
        "\nFor a user of whom you know some items give these instead: --history, in Python history=",
    )


def pair_indices(dataset: Dataset, users: Sequence[str], items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """i64[N] and i64[N]: the indices of pairs of raw ids.

    Raises:
        UpliftlensError: for more users than items or fewer, and for ids that are not in the data, with their places.
    """
    if len(users) != len(items):
        raise UpliftlensError(f"{len(users)} users and {len(items)} items make no pairs: give as many of each")
    more = "\nPairs are counted from 1: pair 1 is line 2 of a file with a header"
    sides = (("user", dataset.users["id"], users), ("item", dataset.items["id"], items))
    user, item = (_indices(dataset, *side, more, " (pair {})") for side in sides)
    return user, item


def some_of(names: Sequence[str]) -> str:
    """The first three of the names, and how many others there are."""
    others = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + others


def _indices(
    dataset: Dataset, what: str, column: pd.Series, names: Sequence[str], more: str, place: str = ""
) -> np.ndarray:
    """``more`` ends the error for unknown names; ``place`` says there where one stands, counted from 1."""
    known = pd.Index(column.astype(str))
    places = known.get_indexer(pd.Index([str(name) for name in names], dtype=object))
    if (places < 0).any():
        first: dict[str, int] = {}
        for number in np.flatnonzero(places < 0).tolist():
            first.setdefault(names[number], number + 1)
        missing = some_of([f"'{name}'{place.format(number)}" for name, number in first.items()])
        span = f"its {len(known)} ids run from '{known[0]}' to '{known[-1]}'"
        raise UpliftlensError(f"{dataset.name} has no {what} {missing}; {span}.{more}")
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
        raise UpliftlensError("the history names no item: write ids or titles, as in 'Toy Story;Heat'")
    bare = [_YEAR.sub("", title) for title in titles]
    matching = [_matching(name, ids, titles, bare) for name in names]
    if missing := [name for name, rows in zip(names, matching) if not len(rows)]:
        near = "".join(did_you_mean(name, bare) for name in missing[:_NAMED])
        absent = some_of([f"'{name}'" for name in missing])
        raise UpliftlensError(
            f"{dataset.name} has no item {absent}: {near}write an id or a title; several are separated by semicolons"
        )
    for name, rows in zip(names, matching):
        if len(rows) > 1:
            some = "; ".join(f"{titles[row]} (id {ids[row]})" for row in rows[:_SHOWN])
            raise UpliftlensError(f"'{name}' names {len(rows)} items of {dataset.name}: write the id. {some}")
    items = np.concatenate(matching)
    repeated = [name for place, name in enumerate(names) if items[place] in items[:place]]
    if repeated:
        raise UpliftlensError(f"the history names '{repeated[0]}' twice: once is enough")
    return items


def _matching(name: str, ids: np.ndarray, titles: np.ndarray, bare: list[str]) -> np.ndarray:
    """i64: the items that a name names, in the first way in which it names any; ``bare``: titles without the year."""
    lower, lower_bare = (np.array([title.casefold() for title in these]) for these in (titles, bare))
    key = name.casefold()
    ways = (ids == name, lower == key, lower_bare == key, np.char.startswith(lower, key))
    return next((rows for way in ways if len(rows := np.flatnonzero(way))), np.zeros(0, np.int64))
