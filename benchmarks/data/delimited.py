"""The user's own files: any CSV or TSV, and RecBole's atomic files."""

from pathlib import PurePosixPath

import pandas as pd

from upliftlens.benchmarks.data.build import Raw, ids_only
from upliftlens.benchmarks.data.config import CsvConfig, RecboleConfig
from upliftlens.benchmarks.data.contract import file_source
from upliftlens.benchmarks.data.features import Column, Kind
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.problems import Problem, refuse
from upliftlens.benchmarks.data.ratings import read_ratings
from upliftlens.benchmarks.data.scan import SEPARATORS, Layout
from upliftlens.benchmarks.data.tables import featured, read_cells, with_tables
from upliftlens.causal.errors import UpliftlensError

KINDS: dict[str, Kind] = {"token": "category", "token_seq": "tags", "float": "number"}


def read_delimited(files: Files, config: CsvConfig) -> Raw:
    """One file of ratings, and the tables of users and items that the options name."""
    path = files.chosen or only(files, (".csv", ".tsv", ".txt", ".dat"))
    columns = config.columns
    layout = Layout(
        SEPARATORS.get(config.separator, ""),
        config.header,
        columns.user,
        columns.item,
        columns.value,
        columns.time,
        integer_ids=False,
        adjustable=True,
    )
    return with_tables(Raw(read_ratings(files, path, layout, config), ids_only(), ids_only()), config, files.say)


def read_recbole(files: Files, config: RecboleConfig) -> Raw:
    """``NAME.inter`` and, beside it, ``NAME.user`` and ``NAME.item``, tab separated under a header ``name:type``.

    Features: token columns are categories (unless they have more than ``max_categories`` values), token_seq columns
    are tags, float columns are numbers. Columns of type float_seq and the title stay in the table only.
    """
    path = files.chosen or only(files, (".inter",))
    columns = config.columns
    layout = Layout(
        "\t", True, columns.user, columns.item, columns.value, columns.time, integer_ids=False, adjustable=True
    )
    log = read_ratings(files, path, layout, config)
    stem = str(PurePosixPath(path).with_suffix(""))
    users, user_columns = _table(files, f"{stem}.user", columns.user, None, config)
    items, item_columns = _table(files, f"{stem}.item", columns.item, columns.title, config)
    return Raw(log, users, items, user_columns, item_columns)


def only(files: Files, endings: tuple[str, ...]) -> str:
    """The only file with one of these endings.

    Raises:
        UpliftlensError: if there is no such file, or more than one.
    """
    paths = [name for name in files.names if name.endswith(endings)]
    if len(paths) != 1:
        some = ", ".join(sorted(paths)[:5]) or "none"
        raise UpliftlensError(
            f"{files.origin} should hold one file {' '.join(endings)}, found: {some}. Fix: data.path=FILE"
        )
    return paths[0]


def _table(
    files: Files, path: str, key: str, title: str | None, config: RecboleConfig
) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    """A table of features, and its columns of features."""
    if path not in files.names:
        return ids_only(), ()
    file = files.label(path)
    cells, types = read_cells(files, path, "\t", config.encoding)
    if key not in cells:
        what = f"no such column; there is: {', '.join(types)}"
        refuse([Problem(file, 1, key, what, f"name the id column {key}:token")])
    kinds = {name: KINDS[kind] for name, kind in types.items() if kind in KINDS and name not in (key, title)}
    table, columns = featured(cells, file, key, title if title in cells else None, kinds, " ")
    return table, tuple(column for column in columns if _count(table, column) <= config.max_categories)


def _count(table: pd.DataFrame, column: Column) -> int:
    """How many features a column would be, with an empty cell for a value."""
    if column.kind == "tags":
        return len({tag for cell in table[column.name] for tag in cell.split("|")})
    return table[column.name].nunique() if column.kind == "category" else 1


csv = file_source("csv", CsvConfig, read_delimited)
recbole = file_source("recbole", RecboleConfig, read_recbole)
