"""The user's own files: any CSV or TSV, and RecBole's atomic files."""

from pathlib import PurePosixPath

import pandas as pd

from upliftlens.benchmarks.data.build import Raw, ids_only
from upliftlens.benchmarks.data.config import CsvConfig, RecboleConfig
from upliftlens.benchmarks.data.contract import file_source
from upliftlens.benchmarks.data.features import Column, Kind
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.problems import Problem, refuse
from upliftlens.benchmarks.data.ratings import as_text, read_ratings
from upliftlens.benchmarks.data.scan import CLOSE, SEPARATORS, Layout, is_number, read_rows
from upliftlens.causal.errors import UpliftlensError

KINDS: dict[str, Kind] = {"token": "category", "token_seq": "tags", "float": "number"}


def read_delimited(files: Files, config: CsvConfig) -> Raw:
    """One file of ratings; of users and items only the ids are known."""
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
    return Raw(read_ratings(files, path, layout, config), ids_only(), ids_only())


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
    users, user_columns = _table(files, f"{stem}.user", columns.user, layout, config)
    items, item_columns = _table(files, f"{stem}.item", columns.item, layout, config)
    if columns.title is not None and columns.title in items:
        items = items.rename(columns={columns.title: "title"})
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
    files: Files, path: str, key: str, layout: Layout, config: RecboleConfig
) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    if path not in files.names:
        return ids_only(), ()
    file = files.label(path)
    text = as_text(files.read(path), file, config.encoding).rstrip("\n")
    rows = list(read_rows(text, layout)) or [(1, 1, [""])]
    refuse(
        Problem(file, line, None, f"a quote opens here and the row runs on to line {end}", CLOSE)
        for line, end, _ in rows
        if end > line
    )
    lines = [fields for _, _, fields in rows]
    header = [cell.partition(":") for cell in lines[0]]
    names = [name for name, _, _ in header]
    if key not in names:
        refuse(
            [Problem(file, 1, key, f"no such column; there is: {', '.join(names)}", f"name the id column {key}:token")]
        )
    refuse(
        Problem(
            file,
            number,
            None,
            f"{len(row)} fields where the first line has {len(names)}",
            "complete or delete the line",
        )
        for number, row in enumerate(lines[1:], start=2)
        if len(row) != len(names)
    )
    table = pd.DataFrame(lines[1:], columns=names, dtype=object)
    table[key] = table[key].str.strip()  # as the log's ids are
    columns = []
    for name, _, kind in header:
        if name in (key, config.columns.title) or kind not in KINDS:
            continue
        if kind == "float":
            refuse(_not_numbers(table[name].tolist(), file, name))
        if kind == "token_seq":
            table[name] = ["|".join(cell.split(" ")) for cell in table[name]]
            count = len({tag for cell in table[name] for tag in cell.split("|")})
        else:
            count = table[name].nunique() if kind == "token" else 1
        if count <= config.max_categories:
            columns.append(Column(name, KINDS[kind]))
    return table.rename(columns={key: "id"}), tuple(columns)


def _not_numbers(cells: list[str], file: str, name: str) -> list[Problem]:
    return [
        Problem(file, line, name, f"'{cell}' is not a number", "write a number, or nothing where it is unknown")
        for line, cell in enumerate(cells, start=2)
        if cell and not is_number(cell)
    ]


csv = file_source("csv", CsvConfig, read_delimited)
recbole = file_source("recbole", RecboleConfig, read_recbole)
