"""Tables of users and items beside a log: delimited text under a header line, and arrays of vectors."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.build import Raw
from upliftlens.benchmarks.data.config import CsvConfig, FilesConfig, UpliftLogConfig, UserColumns
from upliftlens.benchmarks.data.features import Column, Kind
from upliftlens.benchmarks.data.files import Files, open_files
from upliftlens.benchmarks.data.problems import Problem, refuse
from upliftlens.benchmarks.data.ratings import TYPE, as_text
from upliftlens.benchmarks.data.scan import ABSENT, CLOSE, DELETE, NUMBER, SEPARATORS, Layout, is_number, read_rows
from upliftlens.benchmarks.system.talk import Say, say_once
from upliftlens.causal.errors import UpliftlensError

_KINDS: dict[str, Kind] = {"numbers": "number", "tags": "tags", "categories": "category"}  # by the option that names it
_NOT_FINITE = ABSENT | {f"{sign}{word}" for sign in ("", "+", "-") for word in ("inf", "infinity")}


def with_tables(raw: Raw, config: CsvConfig | FilesConfig | UpliftLogConfig, say: Say | None) -> Raw:
    """What was read of a log, with the tables of its users and items that the options name.

    ``say`` is given the columns that are no features, and how many ids have no row, and rows no id.

    Raises:
        BadData: with the problems of a table.
        UpliftlensError: if a file can't be read, or has no vector for each row of its table.
    """
    sides: tuple[Literal["user", "item"], ...] = ("user", "item")
    for side in sides:
        if (path := getattr(config, f"{side}s")) is not None:
            table, columns, vectors = _table(raw.log[side], config, side, path, say)
            new: dict[str, Any] = {f"{side}s": table, f"{side}_columns": columns, f"{side}_vectors": vectors}
            raw = replace(raw, **new)
    return raw


def _table(
    log: pd.Series,
    config: CsvConfig | FilesConfig | UpliftLogConfig,
    side: Literal["user", "item"],
    path: str,
    say: Say | None,
) -> tuple[pd.DataFrame, tuple[Column, ...], pd.DataFrame | None]:
    """The table of one side, its features and its vectors; ``log``: the ids of that side, a row each."""
    files = open_files(Path(path).expanduser(), f"data.{side}s")
    if files.chosen is None:
        raise UpliftlensError(f"data.{side}s={path} is a folder or an archive: name the file itself")
    file = files.label(files.chosen)
    cells, types = read_cells(files, files.chosen, SEPARATORS.get(config.separator, ""), config.encoding)
    cells = cells.apply(lambda column: column.str.strip())
    names, roles = list(types), getattr(config, f"{side}_columns")
    if cells.empty:
        what = "there is no row below a header that names columns"
        refuse([Problem(file, None, None, what, "give the file that holds the table")])
    refuse(_unknown(names, file, f"data.{side}_columns", vars(roles)))
    key = _chosen(roles.id, (getattr(config.columns, side), "id"), names) or names[0]
    title = None
    if side == "item":
        title = _chosen(roles.title, ("title", "name"), [name for name in names if name != key])
    ids = pd.Series(pd.unique(log))
    if (ids == key).any():
        what = f"the header is missing: the first line is '{', '.join(names)}'"
        refuse([Problem(file, 1, None, what, "write the names of the columns above it")])
    lacking, unused = int((~ids.isin(cells[key])).sum()), int((~cells[key].isin(ids)).sum())
    if lacking == len(ids):
        fix = f"name the column that holds the {side}s of the log: data.{side}_columns.id="
        refuse([Problem(file, None, key, f"none of its {len(cells):,} ids is in the log", fix)])
    mark = SEPARATORS[config.tag_separator]
    others = cells[[name for name in names if name not in (key, title)]]
    kinds = _kinds(others, roles, mark, config.max_categories)
    table, columns = featured(cells, file, key, title, {name: kind for name, kind in kinds.items() if kind}, mark)
    passed = ", ".join(name for name, kind in kinds.items() if kind is None)
    words = f"more than data.max_categories={config.max_categories} words, or none that occurs twice"
    for holds, remark in (
        (passed, f"no features from {passed}: {words}"),
        (lacking, f"{lacking:,} of the log's {len(ids):,} {side}s have no row: their features are 0"),
        (unused, f"{unused:,} of its {len(table):,} {side}s are not in the log and are left out"),
    ):
        if holds and say is not None:
            say_once(f"{file}: {remark}", say)
    vectors = getattr(config, f"{side}_vectors")
    return table, columns, None if vectors is None else _vectors(vectors, f"data.{side}_vectors", table, file)


def read_cells(files: Files, path: str, separator: str, encoding: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """The text of a table, each row indexed by the line that it begins on; RecBole's types by column, "" if unstated.

    A column without a name, such as the index of pandas, is left out. ``separator``: where it is "", or not in the
    header line, the first of ``SEPARATORS`` that is.

    Raises:
        BadData: for an empty file, two columns of a name, a row with more or fewer fields than the header, or one that
            seems to have swallowed others between two stray quotes.
    """
    file = files.label(path)
    text = as_text(files.read(path), file, encoding).rstrip("\n")
    first = text.split("\n", 1)[0]
    layout = Layout(separator if separator in first else "", True, "", "", None, None, False, adjustable=True).of(first)
    rows = list(read_rows(text, layout)) or [(1, 1, [""])]
    header = [cell.strip() for cell in rows[0][2]]
    names = [TYPE.sub("", cell) for cell in header]
    refuse(
        Problem(file, 1, name, f"the header names this column {names.count(name)} times", "rename all but one of them")
        for name in dict.fromkeys(names)
        if name and names.count(name) > 1
    )
    refuse(_misshapen(rows, len(names), file, layout.separator))
    cells = pd.DataFrame([row for *_, row in rows[1:]], [line for line, *_ in rows[1:]], names, dtype=object)
    types = {name: cell.removeprefix(name).removeprefix(":") for name, cell in zip(names, header) if name}
    return cells[list(types)], types


def featured(
    cells: pd.DataFrame, file: str, key: str, title: str | None, kinds: Mapping[str, Kind], mark: str
) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    """The table with its columns ``id`` and, unless it has none, ``title``; the columns of these kinds as features.

    Tags stand divided by ``mark`` in the cells, and by | in the table. Another column called id or title gets a _.

    Raises:
        BadData: for an id that is empty or stands on two lines, or a cell of numbers that holds none.
    """
    lines, ids = cells.index.tolist(), cells[key].str.strip()  # as the log's are
    first = dict(zip(reversed(ids.tolist()), reversed(lines)))
    fix = f"delete one of the lines, if {key} is the column of ids"
    refuse(
        Problem(file, line, key, "the id is empty", "fill it in or delete the line")
        if identity == ""
        else Problem(file, line, key, f"'{identity}' is already on line {first[identity]}", fix)
        for line, identity in zip(lines, ids.tolist())
        if identity == "" or first[identity] != line
    )
    refuse(
        Problem(file, line, name, f"'{cell}' is not a number", "write a number, or nothing where it is unknown")
        for name in kinds
        if kinds[name] == "number"
        for line, cell in zip(lines, cells[name].tolist())
        if cell and not is_number(cell)
    )
    tags = {name: cells[name].map(lambda cell: "|".join(_parts(cell, mark))) for name in kinds if kinds[name] == "tags"}
    new = {key: "id"} | ({} if title is None else {title: "title"})
    new |= {name: f"{name}_" for name in new.values() if name not in new}
    columns = tuple(Column(new.get(name, name), kind) for name, kind in kinds.items())
    return cells.assign(**{**tags, key: ids}).rename(columns=new), columns


def _unknown(
    names: list[str], file: str, section: str, roles: Mapping[str, str | tuple[str, ...]]
) -> Iterator[Problem]:
    """A problem for each column that an option names and the header doesn't."""
    for role, stated in roles.items():
        for name in (stated,) if isinstance(stated, str) else stated:
            if name not in ("auto", *names):
                nearest = get_close_matches(name, names, n=1) or ["one of these"]
                what = f"no such column; there is: {', '.join(names)}"
                value = nearest[0] if isinstance(stated, str) else f"[{nearest[0]}]"
                yield Problem(file, 1, name, what, f"{section}.{role}={value}")


def _chosen(stated: str, candidates: tuple[str, ...], names: list[str]) -> str | None:
    """The column that is stated or, for auto, the first candidate that there is."""
    return stated if stated != "auto" else next((name for name in candidates if name in names), None)


def _kinds(cells: pd.DataFrame, roles: UserColumns, mark: str, most: int) -> dict[str, Kind | None]:
    """What the columns become as features, as the options say; None where they leave it to a guess that fails."""
    named = {name: kind for option, kind in _KINDS.items() for name in getattr(roles, option)}
    guessed = {kind for option, kind in _KINDS.items() if "auto" in getattr(roles, option)}
    kinds = {str(name): named.get(str(name)) or _guess(cells[name], mark, most) for name in cells}
    return {name: kind for name, kind in kinds.items() if name in named or kind is None or kind in guessed}


def _guess(cells: pd.Series, mark: str, most: int) -> Kind | None:
    """What a column seems to hold; None where no word occurs twice or there are more than ``most`` of them.

    Cells of numbers may hold what stands for an unknown number: that is refused later rather than taken for a word.
    """
    filled = [cell for cell in cells if cell]
    numbers = [NUMBER.fullmatch(cell) is not None for cell in filled]
    if any(numbers) and all(number or cell.lower() in _NOT_FINITE for number, cell in zip(numbers, filled)):
        return "number"
    kind: Kind = "tags" if any(mark in cell for cell in filled) else "category"
    words = [word for cell in filled for word in (_parts(cell, mark) if kind == "tags" else [cell])]
    return kind if len(set(words)) <= most and len(set(words)) < len(words) else None


def _parts(cell: str, mark: str) -> list[str]:
    return [part.strip() for part in cell.split(mark)]


def _misshapen(rows: list[tuple[int, int, list[str]]], width: int, file: str, separator: str) -> Iterator[Problem]:
    """Rows of another number of fields than the header's; fields over several lines, of which more than one look so."""
    for line, end, row in rows:
        if end > line and (len(row) != width or line == 1):
            yield Problem(file, line, None, f"a quote opens here and the row runs on to line {end}", CLOSE)
        elif len(row) != width:
            fix = "complete or delete the line, or quote the field that holds the separator"
            yield Problem(file, line, None, f"{len(row)} fields where the first line has {width}", fix)
        elif end > line:
            widths = [len(text.split(separator)) for text in separator.join(row).split("\n")]
            if (rows_inside := widths.count(width)) > 1:
                what = f"a quote opens here and closes on line {end}: {rows_inside} of its lines look like rows"
                yield Problem(file, line, None, what, DELETE)


def _vectors(path: str, option: str, table: pd.DataFrame, file: str) -> pd.DataFrame:
    """f32[rows, d] by id.

    Raises:
        UpliftlensError: if the file can't be read or holds anything but finite numbers, one row for each of the table.
    """
    where = f"{option}={path}"
    try:
        with Path(path).expanduser().open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except OSError as error:
        raise UpliftlensError(f"{where} can't be read: {error.strerror}") from error
    except (ValueError, EOFError) as error:
        raise UpliftlensError(
            f"{where} is no array of numbers ({error}). Fix: numpy.save(FILE, array.astype('float32'))"
        ) from error
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise UpliftlensError(f"{where} holds {array.dtype}{list(array.shape)}: it must be numbers of shape [rows, d]")
    if len(array) != len(table):
        raise UpliftlensError(
            f"{where} has {len(array):,} rows and {file} has {len(table):,} below its header: a vector belongs to each "
            "row, in the same order"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if len(wrong := np.flatnonzero(~np.isfinite(array).all(axis=1))):
        line = table.index[wrong[0]]
        raise UpliftlensError(
            f"{where}: {len(wrong):,} rows hold NaN or infinity, the first is row {wrong[0]} (from 0; line {line} of "
            f"{file}): write 0 where a number is unknown"
        )
    return pd.DataFrame(array, index=table["id"])
