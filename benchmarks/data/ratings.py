"""A delimited text of ratings to columns: fast, and line by line (``scan``) only where something is wrong."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.build import repeated
from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.problems import Problem, beginning, refuse
from upliftlens.benchmarks.data.scan import (
    DELETE,
    QUOTED,
    SEPARATORS,
    TIME_LIMIT,
    Checks,
    Columns,
    Layout,
    is_number,
    read_rows,
    scan,
)
from upliftlens.benchmarks.system.talk import Say, say_once
from upliftlens.causal.options import LARGEST

REPEATS = "delete one, or data.filter.duplicates=last (or first, mean)"
COMPRESSED = {  # what such a file begins with: (its kind, what unpacks it)
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"BZh91AY&SY": ("bzip2", "bunzip2"),
    b"PK\x03\x04": ("zip", "unzip; save a spreadsheet as CSV"),
}
_LOOKED_AT = 100  # lines, to tell a table from lines of any length
TYPE = re.compile(r":(token|token_seq|float|float_seq)$")  # RecBole's header cells


def read_ratings(files: Files, path: str, layout: Layout, config: DataConfig) -> pd.DataFrame:
    """The rows of a ratings file, checked as the data set's options say; see ``read_columns``."""
    scale = config.scale if config.feedback == "explicit" or not layout.adjustable else None
    checks = Checks(scale, REPEATS if config.filter.duplicates == "error" else None)
    return read_columns(files.read(path), files.label(path), config.encoding, layout, checks, files.say)


def read_columns(
    data: bytes, file: str, encoding: str, layout: Layout, checks: Checks, say: Say | None
) -> pd.DataFrame:
    """Columns ``user``, ``item`` (text, or i64 with ``integer_ids``), ``value`` f32 and, if there is one, ``time``.

    ``time`` is i64, or f64 where one has a fraction. Rows are in file order; a log without a value column has value 1
    everywhere. Blanks around ids are cut. The index is the line of the file that a row begins on.
    ``say`` is given a sentence where rows span several lines.

    Raises:
        BadData: with every problem of the file.
    """
    text = as_text(data, file, encoding).rstrip("\n")
    if not text.strip():
        refuse([Problem(file, None, None, "the file is empty", "give the file that holds the ratings")])
    layout = layout.of(text.split("\n", 1)[0])
    columns = _columns(text, file, layout)
    try:
        table, exact = _parse(text, layout, columns)
        clean = _clean(table, checks)
    except (ValueError, pd.errors.ParserError, OverflowError) as error:
        table, exact, clean, reason = pd.DataFrame(), False, False, str(error).splitlines()[0]
    else:
        reason = "a row is not what the format asks for"
    if not (clean and exact):
        refuse(scan(text, file, columns, layout, checks))
    if not clean:
        refuse([Problem(file, None, None, reason, "compare the lines of the file with one another")])
    table.index, remark = _lines(text, file, layout, len(table))
    if remark and say is not None:
        say_once(remark, say)
    return table


def as_text(data: bytes, file: str, encoding: str) -> str:
    """Decoded, without a byte order mark; CR, LF and CRLF, which all end a line, are LF.

    Raises:
        BadData: if the bytes are not text in this encoding; names the line.
    """
    for start, (kind, command) in COMPRESSED.items():
        if data.startswith(start):
            what = f"this is a compressed file ({kind})"
            refuse([Problem(file, None, None, what, f"unpack it first, with {command}")])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        fix = "save it as UTF-8 text"
        refuse([Problem(file, None, None, "this is not a text file in UTF-8 (it may be UTF-16 or binary)", fix)])
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except LookupError:
        refuse([Problem(file, None, None, f"there is no encoding '{encoding}'", "data.encoding=utf-8 or latin-1")])
    except UnicodeDecodeError as error:
        line = len(data[: error.start + 1].splitlines())
        what = f"byte 0x{data[error.start]:02x} is not {encoding}"
        refuse([Problem(file, line, None, what, "convert the file to UTF-8, or for a data set data.encoding=latin-1")])
    raise AssertionError("unreachable")


def _columns(text: str, file: str, layout: Layout) -> Columns:
    """The position of each column; refuses a wrong separator, a missing column, a missing or unexpected header."""
    top = list(islice(read_rows(text, layout), 2))
    if layout.header and (end := top[0][1]) > 1:
        refuse([Problem(file, 1, None, f"a quote opens here and the header runs on to line {end}", DELETE)])
    cells, below = ([field.strip() for field in fields] for _, _, fields in [*top, (2, 2, [])][:2])
    options = {"user": layout.user, "item": layout.item, "value": layout.value, "time": layout.time}
    options |= dict(layout.beside)
    named = {kind: name for kind, name in options.items() if name is not None}
    if layout.header:
        names = [TYPE.sub("", cell) for cell in cells]
        if twice := [name for name in named.values() if names.count(name) > 1]:
            what = f"the header names this column {names.count(twice[0])} times"
            refuse([Problem(file, 1, twice[0], what, "rename or delete all but one of them")])
    else:
        names = [str(i) for i in range(len(cells))]
    places = {kind: names.index(name) for kind, name in named.items() if name in names}
    missing = [kind for kind in named if kind not in places]
    if missing:
        widths = [len(fields) for _, _, fields in islice(read_rows(text, layout), _LOOKED_AT)]
        even = max(map(widths.count, widths)) > len(widths) / 2
        refuse(_missing(cells, names, below, file, layout, named, missing, even))
    value = places.get("value")
    if (
        not layout.header
        and value is not None
        and not is_number(cells[value])
        and len(below) > value
        and is_number(below[value])
    ):
        what = f"'{layout.separator.join(cells)}' looks like a header, and none is expected"
        fix = "data.header=true, and data.columns.user= and so on by name"
        refuse([Problem(file, 1, None, what, fix if layout.adjustable else "delete this line")])
    roles = {place: layout.holds if kind == "value" else kind for kind, place in places.items()}
    shown = names if layout.header else [roles.get(i, str(i)) for i in range(len(cells))]
    places_of = (places["user"], places["item"], value, places.get("time"))
    return Columns(*places_of, len(cells), tuple(shown), layout.integer_ids)


def _missing(
    cells: list[str],
    names: list[str],
    below: list[str],
    file: str,
    layout: Layout,
    named: dict[str, str],
    missing: list[str],
    even: bool,
) -> Iterator[Problem]:
    """A problem for each missing column; a single one where a wrong separator or no header explains them all.

    ``even``: whether most lines have equally many fields.
    """
    separator = layout.separator
    line = separator.join(cells)
    others = {name: len(line.split(mark)) for name, mark in SEPARATORS.items() if mark != separator and mark in line}
    if len(cells) <= len(named) - len(missing) + 1 and others:
        likely = max(others, key=lambda name: others[name])
        expected = next((name for name, mark in SEPARATORS.items() if mark == separator), separator)
        what = f"wrong separator: the file should be separated by {expected} and seems to be by {likely}"
        fix = f"data.separator={likely}"
        if not layout.adjustable:
            fix = f"separate its fields by {expected}, or read a data set with data=csv {fix}"
        yield Problem(file, 1, None, what, fix)
        return
    if layout.header and sum(map(is_number, cells)) >= 2:
        what = f"the header is missing: the first line is '{beginning(line)}'"
        if not layout.adjustable:
            fix = "put the header line back"
        elif even:
            fix = _by_position(cells, layout)
        else:
            what += ", and the lines differ in their number of fields"
            fix = "write a line for each pair of a user and an item"
        if layout.adjustable and (separator == " " or not even):
            blanks = "" if separator == " " else ", separated by blanks"
            fix += f"; data=files data.layout=adjacency reads lines of a user and the user's items{blanks}"
            if len(cells) > 4 and all(cell.isdecimal() for cell in cells):  # more than a row of ratings holds
                *by_position, adjacency = fix.split("; ")
                fix = f"{adjacency}. Else, if the first two columns are user and item: {'; '.join(by_position)}"
        yield Problem(file, 1, None, what, fix)
        return
    for kind in missing:
        options = get_close_matches(named[kind], names, n=1)
        if kind == "value":  # whatever else holds numbers
            options = options or [
                other for other, cell in zip(names, below) if other not in named.values() and is_number(cell)
            ]
        options = options or ([] if kind in ("value", "time") else ["one of these"])
        # A file without ratings is one of implicit feedback: one option alone would be refused.
        ratings = layout.holds == "rating"
        nothing = ["null data.feedback=implicit"] * ratings
        options += {"value": nothing, "time": ["null"], "propensity": ["null"]}.get(kind, [])
        option = kind if ratings or kind != "value" else layout.holds
        choices = " or ".join(f"data.columns.{option}={value}" for value in options or ["its name"])
        original = (
            f"its first line must name {', '.join(named.values())}" if layout.header else "get the original file again"
        )
        fix = choices if layout.adjustable else original
        yield Problem(file, 1, named[kind], f"no such column; there is: {', '.join(names)}", fix)


def _by_position(cells: list[str], layout: Layout) -> str:
    """The options that read a file without header, whose first line has these fields."""
    fix = "data.header=false data.columns.user=0 data.columns.item=1"
    if layout.holds != "rating":
        return f"{fix}, and the other columns likewise, by their positions from 0"
    if layout.value is None:
        return fix
    rated = len(cells) > 2 and is_number(cells[2])
    return fix + (" data.columns.value=2" if rated else " data.columns.value=null data.feedback=implicit")


def _parse(text: str, layout: Layout, columns: Columns) -> tuple[pd.DataFrame, bool]:
    """The table, and whether it is exact for sure.

    pandas' parser pads short rows, and takes quotes for what they look like: then ``scan`` has to see the rows.
    """
    separator = layout.separator if layout.quoted else "\x1f"  # the parser takes a single character
    ids = "int64" if layout.integer_ids else "str"
    kinds: defaultdict[Any, str] = defaultdict(lambda: "str", {columns.user: ids, columns.item: ids})
    kinds |= {place: "float64" for place in (columns.value, columns.time) if place is not None}
    raw = pd.read_csv(
        io.BytesIO(text.replace(layout.separator, separator).encode()),
        sep=separator,
        header=None,
        skiprows=1 if layout.header else 0,
        dtype=kinds,
        na_filter=False,
        skip_blank_lines=False,
        skipinitialspace=layout.skips_blanks,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
    )
    if raw.shape[1] != columns.width:
        raise ValueError(f"{raw.shape[1]} fields where the first line has {columns.width}")
    value = raw[columns.value] if columns.value is not None else np.ones(len(raw))
    user, item = (
        raw[place] if layout.integer_ids else raw[place].str.strip() for place in (columns.user, columns.item)
    )
    table = pd.DataFrame({"user": user, "item": item, "value": value})
    if columns.time is not None:
        table["time"] = raw[columns.time]
    lines = text.count("\n") + 1
    if '"' not in text:
        return table, text.count(layout.separator) == lines * (columns.width - 1)
    padded = (raw[columns.width - 1] == "").any()
    begins = not layout.integer_ids and (user.str.startswith('"') | item.str.startswith('"')).any()
    ends = rf"[{re.escape(separator)}\n]"
    more = re.search(rf"(?:\A|{ends}) *{QUOTED}(?! *(?:{ends}|\Z))", text)  # behind a quoted field
    return table, len(raw) == lines - layout.header and not (padded or begins or more)


def _lines(text: str, file: str, layout: Layout, n_rows: int) -> tuple[pd.Index, str]:
    """The line that each row begins on, and a sentence on rows that span several lines: those may be meant, or not."""
    last = text.count("\n") + 1
    if n_rows == last - layout.header:
        return pd.RangeIndex(1 + layout.header, 1 + last), ""
    begin, end = np.array([row[:2] for row in islice(read_rows(text, layout), int(layout.header), None)]).T
    several = begin[end > begin]
    return pd.Index(begin), (
        f"{file}: {len(several):,} of {n_rows:,} rows take several lines, the first from line {several[0]}, the "
        f"longest {(end - begin).max() + 1:,}. If that isn't meant, delete the stray quotes: they take rows in"
    )


def _clean(table: pd.DataFrame, checks: Checks) -> bool:
    """Whether every row passes; brings the columns to their types."""
    value = table["value"].to_numpy(np.float64)
    fine = bool((np.abs(value) <= LARGEST).all())  # false for NaN
    if checks.scale is not None:
        fine = fine and bool(((value >= checks.scale[0]) & (value <= checks.scale[1])).all())
    if table["user"].dtype != np.int64:
        fine = fine and not ((table["user"] == "") | (table["item"] == "")).any()
    if "time" in table:
        time = table["time"].to_numpy(np.float64)
        fine = fine and bool((np.abs(time) < TIME_LIMIT).all())
    if not fine:
        return False
    table["value"] = value.astype(np.float32)
    if "time" in table:
        table["time"] = time.astype(np.int64) if (time == np.floor(time)).all() else time
    if checks.repeats is None:
        return True
    return not repeated(pd.factorize(table["user"])[0], pd.factorize(table["item"])[0]).any()
