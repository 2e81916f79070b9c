"""A DataFrame as a data set: kept as a file in the cache, so that records say what they were made from."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from upliftlens.benchmarks.lab.words import words_of
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.causal.errors import UpliftlensError, unknown


class Frame(NamedTuple):
    """Interactions: ``table`` with the columns user, item and, where there are, rating and time; ``options`` of
    ``data=csv``; ``tables`` of "items" and "users".
    """

    table: pd.DataFrame
    options: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]

    def words(self, cache: Path) -> list[str]:
        """The words that choose the data; their files are written unless the cache holds them.

        Raises:
            UpliftlensError: if they can't be written.
        """
        paths = {name: _kept(table, cache) for name, table in {"path": self.table, **self.tables}.items()}
        return ["data=csv", *words_of({"data": {**paths, **self.options}}, several=False)]


def refuse_frame(data: Any) -> None:
    """Refuses a bare DataFrame as data.

    Raises:
        UpliftlensError: with the way to say what its columns are.
    """
    if isinstance(data, pd.DataFrame):
        raise UpliftlensError("data is a DataFrame: say what its columns are, data=dataset(frame, user=…, item=…)")


def _kept(table: pd.DataFrame, cache: Path) -> Path:
    """The file of a table, named by its content.

    Raises:
        UpliftlensError: if it can't be written.
    """
    content = table.to_csv(index=False).encode()
    path = (cache / "frames" / f"{hashlib.sha256(content).hexdigest()[:16]}.csv").absolute()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as part:
                part.write_bytes(content)
    except OSError as error:
        raise UpliftlensError(f"the DataFrame can't be kept in {path}: {error.strerror or error}") from error
    return path


def dataset(
    frame: pd.DataFrame,
    user: str = "user",
    item: str = "item",
    value: str | None = "rating",
    time: str | None = None,
    *,
    items: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    name: str = "frame",
    scale: tuple[float, float] | None = None,
    relevance: float | None = None,
) -> Frame:
    """A data set from a DataFrame with a row per interaction: the names of its columns, ``value=None`` without ratings.

    ``items``, ``users``: tables with a row for each, by the same column of ids (or one called id, or the first); their
    other columns are titles and features (see docs/data.md). ``time``: seconds since 1970, or dates. ``scale``: lowest
    and highest rating (1 and 5), ``relevance``: the rating from which an item is liked (4).

    Raises:
        UpliftlensError: for a missing column, an empty cell, or a rating or time that is no number, naming the row.
    """
    if not isinstance(frame, pd.DataFrame):
        raise UpliftlensError(f"a data set is made from a pandas DataFrame, not from a {type(frame).__name__}")
    if frame.columns.nlevels > 1 or not frame.columns.is_unique:
        raise UpliftlensError("the DataFrame's columns must have different names, of one level each")
    roles = {"user": user, "item": item, "rating": value, "time": time}
    columns = {role: column for role, column in roles.items() if column is not None}
    for role, column in columns.items():
        if column not in frame.columns:
            raise unknown(f"column of the DataFrame ({'value' if role == 'rating' else role}=)", column, frame.columns)
    if len(set(columns.values())) < len(columns):
        raise UpliftlensError(f"user, item, value and time must be different columns, not {list(columns.values())}")
    table = pd.DataFrame({role: _checked(frame[column], role, column) for role, column in columns.items()})
    options: dict[str, Any] = {"name": name}
    if value is None:
        options |= {"feedback": "implicit", "columns": {"value": None}}
    if time is not None:
        options["columns"] = {**options.get("columns", {}), "time": "time"}
    options |= {} if scale is None else {"scale": tuple(scale)}
    options |= {} if relevance is None else {"relevance": relevance}
    given = {"items": (items, item, "item"), "users": (users, user, "user")}
    tables = {side: _table(content, side, *ids) for side, (content, *ids) in given.items() if content is not None}
    return Frame(table, options, tables)


def _table(table: pd.DataFrame, side: str, column: str, role: str) -> pd.DataFrame:
    """A table of items or users, its column of ids called as that of the log is written."""
    if not isinstance(table, pd.DataFrame):
        raise UpliftlensError(f"{side}= takes a pandas DataFrame, not a {type(table).__name__}")
    if not len(table.columns):
        raise UpliftlensError(f"{side}= has no column: it needs one of ids")
    named = next((name for name in (column, "id") if name in table.columns), table.columns[0])
    return table.assign(**{named: _checked(table[named], role, named)}).rename(columns={named: role})


def _checked(column: pd.Series, role: str, name: str) -> pd.Series:
    """A column as it is written: ids as text, ratings and times as numbers."""
    if column.isna().any():
        missing = column.index[column.isna()]
        raise UpliftlensError(
            f"column {name}, row {missing[0]}: empty ({len(missing)} such rows). "
            f"Fix: leave them out, frame.dropna(subset=['{name}'])"
        )
    if role == "time" and pd.api.types.is_datetime64_any_dtype(column):
        naive = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
        return naive.astype("datetime64[s]").astype("int64")
    if role in ("rating", "time"):
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            bad = pd.to_numeric(column, errors="coerce").isna() | column.map(lambda cell: isinstance(cell, str | bool))
            row = int(np.argmax(bad)) if bad.any() else 0
            raise UpliftlensError(
                f"column {name}, row {column.index[row]}: {column.iloc[row]!r} is no number (the column's type is "
                f"{column.dtype}). Fix: numbers, as of pd.to_numeric(frame['{name}']) or .astype(float)"
            )
        return column
    if pd.api.types.is_float_dtype(column) and (column == column.round()).all():
        return column.astype("int64")  # ids that pandas has made 1.0 of 1
    ids = column.astype(str)
    if (spaced := ids != ids.str.strip()).any():
        raise UpliftlensError(f"column {name}, row {column.index[spaced][0]}: blanks around an id. Fix: .str.strip()")
    if ids.nunique() != column.nunique():
        raise UpliftlensError(f"column {name}: two ids, such as 7 and '7', are one as text. Fix: ids of one type")
    return ids
