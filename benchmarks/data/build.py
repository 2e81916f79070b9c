"""From what a reader found in files to a Dataset: filters, indices, features, fingerprint."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.dataset import Dataset, Features, Treatment
from upliftlens.benchmarks.data.features import Column, encode
from upliftlens.benchmarks.data.filters import k_core, merged
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions, time_bits


@dataclass(frozen=True)
class Raw:
    """What a reader returns.

    ``log``, ``test``: columns user, item (text or i64), value f32, optionally time i64 or f64, in file order.
    ``users``, ``items``: tables of text with column ``id``; they may hold ids without a row and miss ids with one.
    ``propensity`` f32[*, *], rows and columns by id, where ids are whole numbers from 0.
    A log of recommendations has the columns ``treated`` bool and ``treatment_propensity`` f32 besides.
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


def ids_only() -> pd.DataFrame:
    """The table of a side about which nothing is known."""
    return pd.DataFrame({"id": pd.Series([], dtype=object)})


def build(raw: Raw, config: DataConfig, source: str) -> Dataset:
    """Filter the log (duplicates, then lowest value, then k-core), number users and items, encode their features.

    Index i is the i-th of the sorted raw ids, whole numbers by size, other ids by code point. The universe is who and
    what has a row in the filtered log or in the test set: ids that only a table knows have no index, and test rows of
    users or items that the filters removed are dropped.

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
    treatment = None
    if "treated" in raw.log:
        treated, recorded = (raw.log[name].to_numpy()[kept] for name in ("treated", "treatment_propensity"))
        treatment = Treatment(treated, recorded, estimated=raw.estimated, redrawn=False)
    return sealed(
        Dataset(
            name=config.name,
            log=interactions(user[:cut], item[:cut], value, *size, time=time),
            users=user_table,
            items=item_table,
            user_features=encode(user_table, raw.user_columns),
            item_features=encode(item_table, raw.item_columns),
            scale=config.scale,
            relevance=config.relevance,
            feedback=config.feedback,
            terms=config.terms,
            source=source,
            fingerprint="",
            test=test,
            test_kind=raw.test_kind if test is not None else None,
            propensity=propensity,
            treatment=treatment,
        )
    )


def sealed(dataset: Dataset) -> Dataset:
    """The data set with its fingerprint: sha256 of all that a run can see, the same on every platform.

    Covered: ids, log, test set, features with their names, propensities, treatments, a world of potential outcomes,
    scale, relevance, feedback. Not covered: the name, titles and other text of the tables, terms and source, none of
    which changes a number.
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

    def add_log(label: str, log: Interactions | None) -> None:
        if log is not None:
            add(label, log.user, log.item, log.value, None if log.time is None else time_bits(log))

    def add_features(label: str, features: Features) -> None:
        add(label, list(features.names), features.matrix)

    add("users", dataset.users["id"].tolist())
    add("items", dataset.items["id"].tolist())
    add_log("log", dataset.log)
    add_log("test", dataset.test)
    add_features("user features", dataset.user_features)
    add_features("item features", dataset.item_features)
    scale = [float(x) for x in dataset.scale]
    add("meaning", scale, float(dataset.relevance), dataset.feedback, dataset.test_kind, dataset.propensity)
    for label, treatment in (("treatment", dataset.treatment), ("test treatment", dataset.test_treatment)):
        if treatment is not None:
            add(label, treatment.treated, treatment.propensity, treatment.estimated, treatment.redrawn)
    if dataset.world is not None and dataset.world.fingerprint is not None:
        add("truth", dataset.world.fingerprint)
    return replace(dataset, fingerprint=digest.hexdigest())


def _numbered(log: pd.Series, test: pd.Series | None) -> tuple[np.ndarray, list[str]]:
    """i64 codes of the log's rows, then the test's, and the sorted ids as text that they point to."""
    column = log if test is None else pd.concat([log, test], ignore_index=True)
    codes, values = pd.factorize(column)
    ids = [str(value) for value in values]
    order = _sorted(ids)
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    return rank[codes], [ids[i] for i in order]


def _sorted(ids: Sequence[str]) -> list[int]:
    if all(re.fullmatch(r"0|-?[1-9]\d*", text) for text in ids):
        return sorted(range(len(ids)), key=lambda i: int(ids[i]))
    return sorted(range(len(ids)), key=lambda i: ids[i])


def _filtered(
    log: pd.DataFrame, user: np.ndarray, item: np.ndarray, config: DataConfig
) -> tuple[np.ndarray, np.ndarray]:
    expected = config.filter
    time = log["time"].to_numpy() if "time" in log else None
    index, value = merged(user, item, log["value"].to_numpy(), time, expected.duplicates)
    if expected.min_value is not None:
        enough = value >= expected.min_value
        index, value = index[enough], value[enough]
    core = k_core(user[index], item[index], expected.user_core, expected.item_core)
    if not core.any():
        raise UpliftlensError(
            f"data set '{config.name}': no row is left after data.filter (min_value={expected.min_value}, "
            f"user_core={expected.user_core}, item_core={expected.item_core}). Fix: lower them"
        )
    return index[core], value[core]


def _surviving(codes: np.ndarray, n: int, kept: np.ndarray) -> np.ndarray:
    """bool per test row: its code has a row in the filtered log, or had none in the log to begin with."""
    removed = np.setdiff1d(codes[:n], codes[kept])
    return ~np.isin(codes[n:], removed)


def _aligned(table: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    """One row per id, in order; '' where the table does not know it."""
    known = table.drop_duplicates("id").set_index("id")
    return known.reindex(ids).fillna("").rename_axis("id").reset_index()
