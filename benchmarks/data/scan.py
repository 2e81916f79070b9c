"""The slow, exact reading of a ratings file in which something is wrong: it lists every problem with its line."""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from upliftlens.benchmarks.data.problems import Problem

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
ABSENT = {"", "nan", "na", "n/a", "null", "none", "?", "-"}


class Columns(NamedTuple):
    """Positions from 0; ``value`` and ``time`` may be None; ``width`` fields to a line, called ``names``."""

    user: int
    item: int
    value: int | None
    time: int | None
    width: int
    names: tuple[str, ...]
    integer_ids: bool


class Rules(NamedTuple):
    """How lines are split into fields, and what the fields must satisfy.

    ``adjustable``: the user can change the reading through data options, so a fix may name one.
    ``holds``: the content of the value column, e.g. "rating".
    """

    separator: str
    quoted: bool
    header: bool
    scale: tuple[float, float] | None
    distinct: bool
    adjustable: bool
    holds: str


def is_number(cell: str) -> bool:
    """Whether a cell is a finite decimal number."""
    return NUMBER.fullmatch(cell.strip()) is not None


TIME_LIMIT = 2.0**53
"""Larger times are not exact as floats, so their order could be lost."""


def cells_of(line: str, separator: str, quoted: bool) -> list[str]:
    """The stripped fields of one line."""
    cells = next(csv.reader([line], delimiter=separator), []) if quoted else line.split(separator)
    return [cell.strip() for cell in cells]


def scan(text: str, file: str, columns: Columns, rules: Rules) -> Iterator[Problem]:
    """Every problem, in file order; at most one per field."""
    seen: dict[tuple[str, str], int] = {}
    rows = 0
    for line, end, cells in _lines(text, rules):
        if line == 1 and rules.header:
            continue
        rows += 1
        if len(cells) != columns.width:
            what = f"{len(cells)} fields where the first line has {columns.width}" if any(cells) else "a blank line"
            fix = _field_fix(cells, columns, rules)
            if end > line:
                what = f"a quote opens here and the row runs on to line {end}"
                fix = "close the quote; one inside of a quoted field is doubled"
            yield Problem(file, line, None, what, fix)
            continue
        for place, kind in ((columns.user, "user"), (columns.item, "item")):
            if cells[place] == "":
                yield Problem(file, line, columns.names[place], f"the {kind} is empty", "fill it in or delete the line")
            elif columns.integer_ids and not re.fullmatch(r"-?\d{1,18}", cells[place]):
                what = f"{kind} '{cells[place]}' is not a whole number below 10^18"
                yield Problem(file, line, columns.names[place], what, "read files with other ids with data=csv")
        if columns.value is not None:
            yield from _value(cells[columns.value], file, line, columns.names[columns.value], rules)
        if columns.time is not None:
            numeric = is_number(cells[columns.time])
            if not numeric or not abs(float(cells[columns.time])) < TIME_LIMIT:
                reason = "is not below 2^53, so its order could be lost" if numeric else "is not a number"
                fix = "write seconds since 1970" + (", or data.columns.time=null" if rules.adjustable else "")
                yield Problem(file, line, columns.names[columns.time], f"time '{cells[columns.time]}' {reason}", fix)
        if rules.distinct:
            pair = (cells[columns.user], cells[columns.item])
            if pair in seen:
                what = f"user {pair[0]} and item {pair[1]} are already on line {seen[pair]}"
                other = "first, mean" if rules.holds == "rating" else "first"  # a treatment has no mean
                yield Problem(file, line, None, what, f"delete one, or data.filter.duplicates=last (or {other})")
            seen.setdefault(pair, line)
    if not rows:
        yield Problem(file, None, None, "there is no row of ratings", "give the file that holds the ratings")


def _lines(text: str, rules: Rules) -> Iterator[tuple[int, int, list[str]]]:
    """(numbers of the lines that a row begins and ends on, its stripped fields)."""
    if not rules.quoted:
        for line, row in enumerate(text.split("\n"), start=1):
            yield line, line, [cell.strip() for cell in row.split(rules.separator)]
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=rules.separator)
    end = 0
    for fields in reader:
        begin, end = end + 1, reader.line_num
        yield begin, end, [cell.strip() for cell in fields]


def _field_fix(cells: list[str], columns: Columns, rules: Rules) -> str:
    if not any(cells):
        return "delete the line"
    if len(cells) > columns.width:
        return (
            "quote the field that holds the separator, or write decimals with a point"
            if rules.quoted
            else "delete what is too much"
        )
    return f"are the fields of this line separated by {rules.separator!r} as in the first? Complete or delete the line"


def _value(cell: str, file: str, line: int, name: str, rules: Rules) -> Iterator[Problem]:
    if cell.lower() in ABSENT:
        what = f"the {rules.holds} is empty" if cell == "" else f"the {rules.holds} is '{cell}'"
        yield Problem(file, line, name, what, "fill it in or delete the line")
    elif not is_number(cell):
        fix = (
            "write decimals with a point" if is_number(cell.replace(",", ".")) else "write a number or delete the line"
        )
        yield Problem(file, line, name, f"'{cell}' is not a number", fix)
    elif rules.scale is not None and not rules.scale[0] <= float(cell) <= rules.scale[1]:
        low, high = rules.scale
        scale = f"[{min(low, float(cell)):g},{max(high, float(cell)):g}]"
        fix = "correct it" + (f", or state the true scale: 'data.scale={scale}'" if rules.holds == "rating" else "")
        yield Problem(file, line, name, f"{rules.holds} {cell} lies outside of the scale {low:g} to {high:g}", fix)
