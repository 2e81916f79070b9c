"""From the tables of a reader to a Dataset: filters, indices, features, fingerprint."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.features import Column, encode
from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions, time_bits


@dataclass(frozen=True)
class Raw:
    """What a reader returns.

    ``log``, ``test``: columns user, item (text or i64), value f32, optionally time i64 or f64, in file order.
    ``users``, ``items``: tables of text with column ``id``; they may hold ids that the log lacks, and lack ids of it.
    ``user_vectors``, ``item_vectors``: see ``features.encode``.
    ``propensity`` f32[*, *], rows and columns by id, where ids are whole numbers from 0.
    A log of recommendations also has the columns ``treated`` bool and ``propensity`` f64, P(what was done).
    ``estimated``: these propensities were estimated, since the file recorded none.
    ``validates`` bool[len(log)]: the rows that are given for validation.
    """

    log: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
    user_columns: tuple[Column, ...] = ()
    item_columns: tuple[Column, ...] = ()
    test: pd.DataFrame | None = None
    test_kind: Literal["mnar", "mar"] | None = None
    propensity: np.ndarray | None = None
    estimated: bool = False
    user_vectors: pd.DataFrame | None = None
    item_vectors: pd.DataFrame | None = None
    validates: np.ndarray | None = None


def ids_only() -> pd.DataFrame:
    """An empty table: nothing is known about these users or items."""
    return pd.DataFrame({"id": pd.Series([], dtype=object)})


def build(raw: Raw, config: DataConfig, source: str) -> Dataset:
    """Filter the log (duplicates, then lowest value, then k-core), number users and items, encode their features.

    Index i is the i-th of the sorted raw ids, whole numbers by size, other ids by code point. Users and items with a
    row in the filtered log or in the test set get an index; ids that only a table holds get none. Test rows of users or
    items that the filters removed are dropped.

    Raises:
        UpliftlensError: if no row survives the filters.
    """
    user, user_ids = _numbered(raw.log["user"], None if raw.test is None else raw.test["user"])
    item, item_ids = _numbered(raw.log["item"], None if raw.test is None else raw.test["item"])
    n = len(raw.log)
    kept, value = _filtered(raw.log, user[:n], item[:n], config)
    in_test = _surviving(user, n, kept) & _surviving(item, n, kept)
    rows = np.concatenate([kept, n + np.flatnonzero(in_test)])
    users, user = np.unique(user[rows], return_inverse=True)
    items, item = np.unique(item[rows], return_inverse=True)
    user_ids, item_ids = [user_ids[i] for i in users], [item_ids[i] for i in items]
    size, cut = (len(users), len(items)), len(kept)
    time = raw.log["time"].to_numpy()[kept] if "time" in raw.log else None
    test = None
    if raw.test is not None:
        test_time = raw.test["time"].to_numpy()[in_test] if "time" in raw.test else None
        test = interactions(user[cut:], item[cut:], raw.test["value"].to_numpy()[in_test], *size, time=test_time)
    user_table, item_table = _aligned(raw.users, user_ids), _aligned(raw.items, item_ids)
    propensity = None
    if raw.propensity is not None:
        propensity = raw.propensity[np.ix_([int(i) for i in user_ids], [int(i) for i in item_ids])]
    done = tuple(raw.log[name].to_numpy()[kept] for name in ("treated", "propensity") if name in raw.log)
    return sealed(
        Dataset(
            name=config.name,
            log=interactions(user[:cut], item[:cut], value, *size, time, *done),
            users=user_table,
            items=_titled(item_table),
            user_features=encode(user_table, raw.user_columns, raw.user_vectors),
            item_features=encode(item_table, raw.item_columns, raw.item_vectors),
            scale=config.scale,
            relevance=config.relevance,
            feedback=config.feedback,
            terms=config.terms,
            source=source,
            fingerprint="",
            test=test,
            test_kind=raw.test_kind if test is not None else None,
            validates=None if raw.validates is None else raw.validates[kept],
            propensity=propensity,
            estimated=raw.estimated,
        )
    )


def sealed(dataset: Dataset) -> Dataset:
    """The data set with its fingerprint: sha256 of all that can change a run's numbers, the same on every platform.

    Covered: ids, log, test set, given validation rows, features with their names, propensities, treatments, a world
    of potential outcomes, scale, relevance, feedback. Not covered: the name, titles and other text of the tables,
    terms and source; no number depends on them.
    """
    digest = hashlib.sha256(b"upliftlens data set 1\n")

    def add(label: str, *parts: object) -> None:
        for part in parts:
            if isinstance(part, np.ndarray):
                kind = "<f4" if part.dtype.kind == "f" else "<i8"
                blob = np.ascontiguousarray(part, kind).tobytes()
                head = f"{label} {kind}{list(part.shape)}\n"
            else:
                blob, head = json.dumps(part, ensure_ascii=True).encode(), f"{label} json\n"
            digest.update(head.encode() + hashlib.sha256(blob).digest())

    add("users", dataset.users["id"].tolist())
    add("items", dataset.items["id"].tolist())
    for label, log in (("log", dataset.log), ("test", dataset.test)):
        if log is not None:
            add(label, log.user, log.item, log.value, None if log.time is None else time_bits(log))
    add("user features", list(dataset.user_features.names), dataset.user_features.matrix)
    add("item features", list(dataset.item_features.names), dataset.item_features.matrix)
    scale = [float(x) for x in dataset.scale]
    add("meaning", scale, float(dataset.relevance), dataset.feedback, dataset.test_kind, dataset.propensity)
    for label, log in (("treatment", dataset.log), ("test treatment", dataset.test)):
        if log is not None and log.treated is not None:
            add(label, log.treated, treatment_propensity(log), dataset.estimated, dataset.redrawn)
    if dataset.validates is not None:
        add("validation", dataset.validates)
    if dataset.world is not None and dataset.world.fingerprint is not None:
        add("truth", dataset.world.fingerprint)
    return replace(dataset, fingerprint=digest.hexdigest())


def _numbered(log: pd.Series, test: pd.Series | None) -> tuple[np.ndarray, list[str]]:
    """i64 codes of the log's rows, then the test's, and the sorted ids as text that they point to."""
    codes, values = pd.factorize(log if test is None else pd.concat([log, test], ignore_index=True))
    ids = [str(value) for value in values]
    whole = all(re.fullmatch(r"0|-?[1-9]\d*", text) for text in ids)
    order = sorted(range(len(ids)), key=lambda i: int(ids[i]) if whole else ids[i])
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    return rank[codes], [ids[i] for i in order]


def _filtered(
    log: pd.DataFrame, user: np.ndarray, item: np.ndarray, config: DataConfig
) -> tuple[np.ndarray, np.ndarray]:
    rule = config.filter
    time = log["time"].to_numpy() if "time" in log else None
    index, value = merged(user, item, log["value"].to_numpy(), time, rule.duplicates)
    if rule.min_value is not None:
        enough = value >= rule.min_value
        index, value = index[enough], value[enough]
    core = k_core(user[index], item[index], rule.user_core, rule.item_core)
    if not core.any():
        raise UpliftlensError(
            f"data set '{config.name}': no row is left after data.filter (min_value={rule.min_value}, "
            f"user_core={rule.user_core}, item_core={rule.item_core}). Fix: lower them"
        )
    return index[core], value[core]


def _surviving(codes: np.ndarray, n: int, kept: np.ndarray) -> np.ndarray:
    """bool per test row: its code has a row in the filtered log, or had no row in the unfiltered log either."""
    return ~np.isin(codes[n:], np.setdiff1d(codes[:n], codes[kept]))


def _aligned(table: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    """One row per id, in order; '' where the table lacks the id."""
    return table.drop_duplicates("id").set_index("id").reindex(ids).fillna("").rename_axis("id").reset_index()


def _titled(items: pd.DataFrame) -> pd.DataFrame:
    """The table with an item's id in place of an unknown title."""
    if "title" not in items:
        return items
    return items.assign(title=items["title"].where(items["title"] != "", items["id"]))


class Rows(NamedTuple):
    """``kept`` i64[n] picks rows of the original columns, ascending; ``value`` f32[n] is their value after merging."""

    kept: np.ndarray
    value: np.ndarray


def repeated(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """bool[N]: True where an earlier row has the same pair. ``user`` and ``item`` are integer codes from 0."""
    return pd.DataFrame({"user": user, "item": item}).duplicated().to_numpy()


def merged(user: np.ndarray, item: np.ndarray, value: np.ndarray, time: np.ndarray | None, policy: str) -> Rows:
    """One row per pair. ``first`` and ``last`` go by time, ties and logs without time by file order.

    ``mean`` keeps the place and time of the last row with the mean value of all. ``error`` merges nothing: the
    readers have refused repeated pairs by then.
    """
    every = Rows(np.arange(len(user)), value)
    if policy == "error" or not repeated(user, item).any():
        return every
    pair = user.astype(np.int64) * (int(item.max()) + 1) + item
    order = np.argsort(pair, kind="stable") if time is None else np.lexsort((time, pair))
    starts = np.flatnonzero(np.r_[True, np.diff(pair[order]) != 0])
    ends = np.r_[starts[1:], len(order)]
    kept = order[starts] if policy == "first" else order[ends - 1]
    values = value[kept]
    if policy == "mean":
        sums = np.add.reduceat(value[order].astype(np.float64), starts)
        values = (sums / (ends - starts)).astype(np.float32)
    in_order = np.argsort(kept)
    return Rows(kept[in_order], values[in_order])


def k_core(user: np.ndarray, item: np.ndarray, user_core: int, item_core: int) -> np.ndarray:
    """bool[N]: the largest set of rows in which each user has at least ``user_core`` and each item ``item_core`` rows.

    Removing a user may leave an item short and the other way round, so both are repeated until nothing changes. The
    result does not depend on which side comes first: the largest such set is unique.
    """
    keep = np.ones(len(user), bool)
    while keep.any():
        users, items = np.bincount(user[keep]), np.bincount(item[keep])
        enough = (users[user[keep]] >= user_core) & (items[item[keep]] >= item_core)
        if enough.all():
            break
        keep[np.flatnonzero(keep)[~enough]] = False
    return keep
