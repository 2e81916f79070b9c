"""MovieLens in its three layouts: u.data (100K), :: (1M, 10M), CSV (20M and later, latest-small).

Features: user age, gender, occupation (100K and 1M only); item year and genres. Age is standardised where it is a
number (100K) and one-hot where the archive has age groups (1M). Zip codes stay in the table and are not encoded.
"""

import csv
import io
from dataclasses import replace

import pandas as pd

from upliftlens.benchmarks.data.build import Raw, ids_only
from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.contract import file_source
from upliftlens.benchmarks.data.features import Column, year_of
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.problems import Problem, refuse
from upliftlens.benchmarks.data.ratings import as_text, read_ratings
from upliftlens.benchmarks.data.scan import Layout

LAYOUT_100K = Layout("\t", False, "0", "1", "2", "3", integer_ids=True, adjustable=False)
LAYOUT_DAT = LAYOUT_100K._replace(separator="::")
LAYOUT_CSV = Layout(",", True, "userId", "movieId", "rating", "timestamp", integer_ids=True, adjustable=False)
LAYOUT_RECBOLE = Layout("\t", True, "user_id", "item_id", "rating", "timestamp", integer_ids=True, adjustable=False)

USER_100K = ("id", "age", "gender", "occupation", "zip_code")
USER_1M = ("id", "gender", "age", "occupation", "zip_code")
GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
AGES_1M = {"1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56+"}
OCCUPATIONS_1M = (
    *("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service"),
    *("doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer"),
    *("retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman"),
    *("unemployed", "writer"),
)
ITEM_COLUMNS = (Column("year", "number"), Column("genres", "tags"))
NUMERIC_AGE = (Column("age", "number"), Column("gender", "category"), Column("occupation", "category"))
GROUPED_AGE = (Column("age", "category"), Column("gender", "category"), Column("occupation", "category"))


def read_100k(files: Files, config: DataConfig) -> Raw:
    """``u.data``, ``u.user``, ``u.item``, or the same three as RecBole's ``ml-100k.{inter,user,item}``."""
    chosen = files.chosen or ""
    recbole = (
        chosen.endswith(".inter")
        if chosen
        else files.find("u.data") is None and files.find("ml-100k.inter") is not None
    )
    if recbole:
        log = read_ratings(files, files.ratings("ml-100k.inter"), LAYOUT_RECBOLE, config)
        utf8 = replace(config, encoding="utf-8")  # u.item is Latin-1, RecBole's copy is not
        users = _lines(files, "ml-100k.user", "\t", 5, utf8)[1:]
        items = [_recbole_item(*row) for row in _lines(files, "ml-100k.item", "\t", 4, utf8)[1:]]
    else:
        log = read_ratings(files, files.ratings("u.data"), LAYOUT_100K, config)
        users = _lines(files, "u.user", "|", 5, config)
        items = [_item_100k(row) for row in _lines(files, "u.item", "|", 24, config)]
    return Raw(
        log, _table(users, USER_100K), _items(items), NUMERIC_AGE if users else (), ITEM_COLUMNS if items else ()
    )


def read_dat(files: Files, config: DataConfig) -> Raw:
    """``ratings.dat``, ``movies.dat`` and, in 1M, ``users.dat``."""
    log = read_ratings(files, files.ratings("ratings.dat"), LAYOUT_DAT, config)
    items = [(i, title, genres) for i, title, genres in _lines(files, "movies.dat", "::", 3, config)]
    users = [
        (i, gender, AGES_1M.get(age, age), OCCUPATIONS_1M[int(work)], zip_code)
        for i, gender, age, work, zip_code in _lines(files, "users.dat", "::", 5, config)
    ]
    return Raw(log, _table(users, USER_1M), _items(items), GROUPED_AGE if users else (), ITEM_COLUMNS if items else ())


def read_csv(files: Files, config: DataConfig) -> Raw:
    """``ratings.csv`` and ``movies.csv``; these archives say nothing about users."""
    log = read_ratings(files, files.ratings("ratings.csv"), LAYOUT_CSV, config)
    items = _lines(files, "movies.csv", ",", 3, config)[1:]
    return Raw(
        log, ids_only(), _items([(i, title, genres) for i, title, genres in items]), (), ITEM_COLUMNS if items else ()
    )


def _lines(files: Files, name: str, separator: str, width: int, config: DataConfig) -> list[list[str]]:
    """Rows of a table of features, or none where the file is absent.

    Raises:
        BadData: if a row does not have ``width`` fields.
    """
    path = files.find(name)
    if path is None:
        return []
    text = as_text(files.read(path), files.label(path), config.encoding)
    if separator == ",":
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    else:
        rows = [line.rstrip("\r").split(separator) for line in text.split("\n") if line.strip()]
    wrong = [(line, len(row)) for line, row in enumerate(rows, start=1) if len(row) != width]
    refuse(
        Problem(
            files.label(path),
            None,
            None,
            f"row {line} has {fields} fields instead of {width}",
            "get the original file again",
        )
        for line, fields in wrong[:1]
    )
    return rows


def _item_100k(row: list[str]) -> tuple[str, str, str]:
    return row[0], row[1], "|".join(genre for genre, flag in zip(GENRES_100K, row[5:]) if flag == "1")


def _recbole_item(identity: str, title: str, year: str, genres: str) -> tuple[str, str, str]:
    """RecBole splits 'Toy Story (1995)' at its last parentheses; a title without any is written twice."""
    return identity, title if year == title else f"{title} ({year})", "|".join(genres.split(" "))


def _items(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    cleaned = [
        (i, title.strip(), year_of(title), "" if genres.startswith("(no genres") else genres)
        for i, title, genres in rows
    ]
    return _table(cleaned, ("id", "title", "year", "genres"))


def _table(rows: list, columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns), dtype=object) if rows else ids_only()


ml_100k = file_source("movielens-100k", DataConfig, read_100k)
ml_dat = file_source("movielens-dat", DataConfig, read_dat)
ml_csv = file_source("movielens-csv", DataConfig, read_csv)
