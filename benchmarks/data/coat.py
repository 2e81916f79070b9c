"""Coat and Yahoo! R3: ratings of items that the users chose, with test sets whose pairs were drawn at random."""

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.build import Raw, ids_only
from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.contract import file_source
from upliftlens.benchmarks.data.features import Column
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.problems import Problem, refuse
from upliftlens.benchmarks.data.ratings import as_text, read_ratings
from upliftlens.benchmarks.data.scan import Layout, is_number

YAHOO = Layout("\t", False, "0", "1", "2", None, integer_ids=True, adjustable=False)


def read_coat(files: Files, config: DataConfig) -> Raw:
    """Dense ``train.ascii`` and ``test.ascii`` (0 = missing), binary features, ``propensities.ascii`` if it is there.

    Ids are row and column numbers from 0. Features keep the names of the maps: ``gender:men`` becomes ``gender=men``.
    """
    train, test = (_ratings(files, name, config) for name in ("train.ascii", "test.ascii"))
    users, user_columns = _flags(files, "user", config)
    items, item_columns = _flags(files, "item", config)
    path = files.find("propensities.ascii")
    propensity = None if path is None else _dense(files, path, config).astype(np.float32)
    return Raw(train, users, items, user_columns, item_columns, test, "mar", propensity)


def read_yahoo(files: Files, config: DataConfig) -> Raw:
    """The two files of the licensed copy, user, item and rating separated by tabs."""
    train, test = (
        read_ratings(files, files.need(f"ydata-ymusic-rating-study-v1_0-{part}.txt"), YAHOO, config)
        for part in ("train", "test")
    )
    return Raw(train, ids_only(), ids_only(), test=test, test_kind="mar")


def _ratings(files: Files, name: str, config: DataConfig) -> pd.DataFrame:
    path = files.need(name)
    matrix = _dense(files, path, config)
    low, high = config.scale
    outside = np.argwhere((matrix != 0) & ~((matrix >= low) & (matrix <= high)))
    refuse(
        Problem(
            files.label(path),
            row + 1,
            str(column + 1),
            f"rating {matrix[row, column]:g} lies outside of {low:g} to {high:g}",
            "correct it, or state the true data.scale; 0 means missing",
        )
        for row, column in outside
    )
    user, item = np.nonzero(matrix)
    return pd.DataFrame({"user": user, "item": item, "value": matrix[user, item].astype(np.float32)})


def _dense(files: Files, path: str, config: DataConfig) -> np.ndarray:
    """f64[rows, columns] of a text of numbers separated by spaces."""
    file = files.label(path)
    rows = [line.split() for line in as_text(files.read(path), file, config.encoding).strip().split("\n")]
    width = len(rows[0])
    if not width:
        refuse([Problem(file, None, None, "the file is empty", "get the archive again")])
    refuse(
        Problem(file, line, None, f"{len(row)} fields where the first line has {width}", "get the archive again")
        for line, row in enumerate(rows, start=1)
        if len(row) != width
    )
    try:
        matrix = np.array(rows, np.float64)
    except ValueError:
        matrix = np.full((1, 1), np.nan)
    if not np.isfinite(matrix).all():
        refuse(
            Problem(file, line, str(column), f"'{cell}' is not a number", "write 0 where there is no rating")
            for line, row in enumerate(rows, start=1)
            for column, cell in enumerate(row, start=1)
            if not is_number(cell)
        )
    return matrix


def _flags(files: Files, side: str, config: DataConfig) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    matrix_path, names_path = files.find(f"{side}_features.ascii"), files.find(f"{side}_features_map.txt")
    if matrix_path is None or names_path is None:
        return ids_only(), ()
    matrix = _dense(files, matrix_path, config)
    text = as_text(files.read(names_path), files.label(names_path), config.encoding)
    names = [line.strip().replace(":", "=", 1) for line in text.split("\n") if line.strip()]
    if len(names) != matrix.shape[1]:
        what = f"{len(names)} names for {matrix.shape[1]} features"
        refuse([Problem(files.label(names_path), None, None, what, "get the archive again")])
    table = pd.DataFrame(matrix.astype(int).astype(str), columns=names, dtype=object)
    table.insert(0, "id", [str(i) for i in range(len(matrix))])
    return table, tuple(Column(name, "flag") for name in names)


coat = file_source("coat", DataConfig, read_coat)
yahoo = file_source("yahoo-r3", DataConfig, read_yahoo)
