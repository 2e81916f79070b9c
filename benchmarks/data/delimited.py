"""The user's own files: any CSV or TSV, RecBole's atomic files, and two or three files that are a split already."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.build import Raw, build, ids_only, merged, repeated
from upliftlens.benchmarks.data.config import CsvConfig, FilesConfig, RecboleConfig
from upliftlens.benchmarks.data.contract import DataSource, file_source
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.features import Column, Kind
from upliftlens.benchmarks.data.files import Files, open_files
from upliftlens.benchmarks.data.problems import Problem, beginning, refuse
from upliftlens.benchmarks.data.ratings import REPEATS, TYPE, as_text, read_ratings
from upliftlens.benchmarks.data.scan import SEPARATORS, Layout
from upliftlens.benchmarks.data.tables import featured, read_cells, with_tables
from upliftlens.benchmarks.system.talk import Say
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


def read_files(files: Files, config: FilesConfig) -> Raw:
    """The training rows, then the validation rows, as the log; and the test rows. All files have one layout.

    Where ``data.path`` is a file and no part is named, it is the log, and there is no test set. The user is told of a
    guess at adjacency, lines without an item, and test rows of users or items without another row.

    Raises:
        BadData: with every problem of a file, such as another layout than that of the training file.
    """
    say = files.say or (lambda line: None)
    if files.chosen and config.train is None and config.test is None:
        paths = {"train": files.chosen}
    else:
        paths = {part: files.need(path) for part, path in _named(config).items()}
    layout: str = config.layout
    texts: dict[str, str] = {}
    if layout in ("auto", "adjacency"):
        texts = {path: as_text(files.read(path), files.label(path), config.encoding) for path in paths.values()}
        if layout == "auto":
            layout = _layout_of(texts[paths["train"]], config)
            if layout == "adjacency":
                say(f"{paths['train']} is read as lines of a user and their items (data.layout=adjacency)")
        refuse(_of_another_layout(texts, layout, config, files))
    if layout == "adjacency" and config.feedback == "explicit":
        raise UpliftlensError("lines of a user and their items hold no ratings: leave out data.feedback=explicit")
    tables = {}
    for part, path in paths.items():
        if layout != "adjacency":
            tables[part] = read_ratings(files, path, _columns_of(config, layout), config)
            continue
        tables[part], without = _adjacency(texts[path], files.label(path), config)
        if without:
            say(f"{path}: {len(without):,} lines name a user and no item, the first is line {without[0]}")
    log = pd.concat([table for part, table in tables.items() if part != "test"], ignore_index=True)
    validates = np.arange(len(log)) >= len(tables["train"]) if "validation" in tables else None
    test = None
    if "test" in tables:
        test = _merged(tables["test"], config)
        for remark in _without_another_row(test, log, paths["test"]):
            say(remark)
    nobody = ids_only()
    raw = Raw(log, nobody, nobody, test=test, test_kind="mnar", validates=validates)
    return with_tables(raw, config, files.say)


def _load_files(config: FilesConfig, cache: Path, say: Say | None) -> Dataset:
    if config.path is not None:
        files = open_files(Path(config.path).expanduser())
    else:
        for part, path in _named(config).items():
            if not Path(path).expanduser().is_file():
                reason = "is no file" if Path(path).expanduser().exists() else "does not exist"
                raise UpliftlensError(f"data.{part}={path} {reason}")
        files = Files("", tuple(_named(config).values()), _bytes)
    origin = ", ".join(filter(None, (config.path, config.train, config.validation, config.test)))
    return build(read_files(files._replace(say=say), config), config, origin)


def _bytes(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise UpliftlensError(f"cannot read {path}: {error.strerror}") from error


def _named(config: FilesConfig) -> dict[str, str]:
    """The files by part, in the order of the log.

    Raises:
        UpliftlensError: if the training or the test file is not named, or a file is named twice.
    """
    named = {"train": config.train, "validation": config.validation, "test": config.test}
    if missing := [f"data.{part}=FILE" for part in ("train", "test") if named[part] is None]:
        raise UpliftlensError(f"data=files reads a training and a test file: give {' and '.join(missing)}")
    paths = {part: path for part, path in named.items() if path is not None}
    for (first, path), (second, other) in combinations(paths.items(), 2):
        if Path(path).expanduser().resolve() == Path(other).expanduser().resolve():
            raise UpliftlensError(f"data.{first} and data.{second} name the same file, {path}: give another one")
    return paths


def _layout_of(text: str, config: FilesConfig) -> str:
    """RecBole's if the header says so; adjacency if blanks separate and lines differ in length; else delimited."""
    lines = text.rstrip("\n").split("\n")
    line = next((line for line in lines if len(line.split()) > 1), lines[0])  # the first user may have no item
    separator = _columns_of(config, "delimited").of(line).separator
    cells = line.split(separator)
    if any(map(TYPE.search, cells)):
        return "recbole"
    widths = {len(line.split()) for line in lines}
    return "adjacency" if separator == " " and len(widths) > 1 and not _header_of(cells, config) else "delimited"


def _header_of(cells: list[str], config: FilesConfig) -> bool:
    """Whether the first line of a file names its columns."""
    return config.header and not {config.columns.user, "user"}.isdisjoint(cells)


def _of_another_layout(texts: dict[str, str], layout: str, config: FilesConfig, files: Files) -> Iterator[Problem]:
    """A problem for each file, by its path, that isn't laid out as the first one, the training file."""
    train, *others = texts
    for path in others:
        line, seen = texts[path].split("\n", 1)[0], _layout_of(texts[path], config)
        same = seen == layout
        if layout == "adjacency" and seen == "delimited":  # as lines with equally many items are, too
            mark = next((mark for mark in SEPARATORS.values() if mark.strip() and mark in line), "")
            # A separator may be a part of ids: then the training file holds it, too.
            same = mark in texts[train] and not _header_of(line.split(), config)
        if line.strip() and not same:
            what = f"the first line is '{beginning(line)}', and {train} has another layout: {layout}"
            fix = "write all files in the same layout"
            fix += ", or state it with data.layout= if it was guessed wrong" if config.layout == "auto" else ""
            yield Problem(files.label(path), 1, None, what, fix)


def _columns_of(config: FilesConfig, layout: str) -> Layout:
    columns, header = config.columns, config.header or layout == "recbole"
    usual = ("user_id", "item_id") if layout == "recbole" else ("user", "item") if header else ("0", "1")
    user, item = (name if name != "auto" else other for name, other in zip((columns.user, columns.item), usual))
    separator = "\t" if layout == "recbole" else SEPARATORS.get(config.separator, "")
    return Layout(separator, header, user, item, columns.value, columns.time, integer_ids=False, adjustable=True)


def _adjacency(text: str, file: str, config: FilesConfig) -> tuple[pd.DataFrame, list[int]]:
    """A row of value 1 for each item that stands behind a line's user; and the numbers of the lines without an item.

    Raises:
        BadData: for a blank line, a pair twice, or lines that are not laid out like this (``_no_lists``).
    """
    text = text.rstrip("\n")
    if not text.strip():
        refuse([Problem(file, None, None, "the file is empty", "give the file that holds the interactions")])
    lines = [line.split() for line in text.split("\n")]
    refuse(
        Problem(file, number, None, "a blank line", "delete the line")
        for number, cells in enumerate(lines, start=1)
        if not cells
    )
    refuse(_no_lists(lines, text.split("\n", 1)[0], file))
    length = [len(cells) - 1 for cells in lines]
    user = pd.Series(np.repeat([cells[0] for cells in lines], length), dtype=object)
    item = pd.Series([cell for cells in lines for cell in cells[1:]], dtype=object)
    again = repeated(pd.factorize(user)[0], pd.factorize(item)[0])
    if config.filter.duplicates == "error" and again.any():
        number = np.repeat(np.arange(1, len(lines) + 1), length)
        refuse(
            Problem(file, int(number[row]), None, f"user {user[row]} has item {item[row]} a second time", REPEATS)
            for row in np.flatnonzero(again)
        )
    table = pd.DataFrame({"user": user, "item": item, "value": np.ones(len(item), np.float32)})
    return table, [number for number, cells in enumerate(lines, start=1) if len(cells) == 1]


def _no_lists(lines: list[list[str]], first: str, file: str) -> Iterator[Problem]:
    """A problem if most lines (their cells, between blanks) have no item, or other signs than blanks separate ids."""
    alone = sum(len(cells) == 1 for cells in lines)
    some = next((cells[:-1] for cells in lines if len(cells) > 1), [])
    mark = next((mark for mark in SEPARATORS.values() if some and all(cell.endswith(mark) for cell in some)), None)
    if 2 * alone > len(lines):
        what = f"{alone:,} of {len(lines):,} lines name a user and no item"
    elif mark:
        what = f"'{mark}' stands between ids"
    else:
        return
    what += f" (the first line is '{beginning(first)}')"
    fix = "separate a user and the user's items by blanks and delete lines without an item"
    yield Problem(file, 1, None, what, f"{fix}, or, for a row for each pair, data.layout=delimited")


def _merged(test: pd.DataFrame, config: FilesConfig) -> pd.DataFrame:
    """The test rows with one row per pair, by data.filter.duplicates as in the log."""
    user, item = (pd.factorize(test[side])[0] for side in ("user", "item"))
    time = test["time"].to_numpy() if "time" in test else None
    rows = merged(user, item, test["value"].to_numpy(), time, config.filter.duplicates)
    return test.iloc[rows.kept].assign(value=rows.value).reset_index(drop=True)


def _without_another_row(test: pd.DataFrame, log: pd.DataFrame, path: str) -> Iterator[str]:
    for side in ("user", "item"):
        unknown = ~test[side].isin(log[side])
        if unknown.any():
            ids = test[side][unknown].unique()
            yield (
                f"{path}: {int(unknown.sum()):,} of {len(test):,} rows are of {len(ids):,} {side}s that have no row to "
                f"learn from, e.g. {ids[0]}"
            )


csv = file_source("csv", CsvConfig, read_delimited)
recbole = file_source("recbole", RecboleConfig, read_recbole)
split_files = DataSource("files", FilesConfig, _load_files, read_files)
