"""The layout of a ratings file, and its slow, exact reading where something is wrong: every problem with its line."""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from upliftlens.benchmarks.data.problems import Problem

SEPARATORS = {"colons": "::", "tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|", "space": " "}
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


class Layout(NamedTuple):
    """How a ratings file is laid out.

    ``separator``: "" takes the first of ``SEPARATORS`` that the first line holds.
    ``user``, ``item``, ``value``, ``time`` name header cells, or positions from 0 where there is no ``header``.
    ``adjustable``: the user can set these things through data options, so a fix may name one; otherwise the format
    fixes them.
    ``holds``: the content of the value column: "rating", or another number, whose option in data.columns has that name.
    """

    separator: str
    header: bool
    user: str
    item: str
    value: str | None
    time: str | None
    integer_ids: bool
    adjustable: bool
    holds: str = "rating"

    @property
    def quoted(self) -> bool:
        """Whether a field may stand in quotes."""
        return self.separator in (",", ";")

    def of(self, line: str) -> "Layout":
        """The layout of a file whose first line this is, with its separator."""
        return self._replace(separator=self.separator or next((s for s in SEPARATORS.values() if s in line), ","))


class Checks(NamedTuple):
    """What the values must satisfy: ``scale`` None for implicit counts; ``distinct`` refuses repeated pairs."""

    scale: tuple[float, float] | None
    distinct: bool


def is_number(cell: str) -> bool:
    """Whether a cell is a finite decimal number."""
    return NUMBER.fullmatch(cell.strip()) is not None


TIME_LIMIT = 2.0**53
"""Larger times are not exact as floats, so their order could be lost."""


def cells_of(line: str, layout: Layout) -> list[str]:
    """The stripped fields of one line."""
    _, _, cells = next(_lines(line, layout), (1, 1, []))
    return cells


def scan(text: str, file: str, columns: Columns, layout: Layout, checks: Checks) -> Iterator[Problem]:
    """Every problem, in file order; at most one per field."""
    seen: dict[tuple[str, str], int] = {}
    rows = 0
    for line, end, cells in _lines(text, layout):
        if line == 1 and layout.header:
            continue
        rows += 1
        if len(cells) != columns.width:
            what = f"{len(cells)} fields where the first line has {columns.width}" if any(cells) else "a blank line"
            fix = _field_fix(cells, columns, layout)
            if end > line:
                what = f"a quote opens here and the row runs on to line {end}"
                fix = "close the quote; one inside of a quoted field is doubled"
            yield Problem(file, line, None, what, fix)
            continue
        if end > line and (what := _swallowed(cells, columns, layout)):
            what = f"a quote opens here and closes on line {end}: {what}"
            yield Problem(file, line, None, what, "delete the stray quotes; one inside of a quoted field is doubled")
            continue
        for place, kind in ((columns.user, "user"), (columns.item, "item")):
            if cells[place] == "":
                yield Problem(file, line, columns.names[place], f"the {kind} is empty", "fill it in or delete the line")
            elif columns.integer_ids and not re.fullmatch(r"-?\d{1,18}", cells[place]):
                what = f"{kind} '{cells[place]}' is not a whole number below 10^18"
                yield Problem(file, line, columns.names[place], what, "read files with other ids with data=csv")
        if columns.value is not None:
            yield from _value(cells[columns.value], file, line, columns.names[columns.value], layout, checks)
        if columns.time is not None:
            numeric = is_number(cells[columns.time])
            if not numeric or not abs(float(cells[columns.time])) < TIME_LIMIT:
                reason = "is not below 2^53, so its order could be lost" if numeric else "is not a number"
                fix = "write seconds since 1970" + (", or data.columns.time=null" if layout.adjustable else "")
                yield Problem(file, line, columns.names[columns.time], f"time '{cells[columns.time]}' {reason}", fix)
        if checks.distinct:
            pair = (cells[columns.user], cells[columns.item])
            if pair in seen:
                what = f"user {pair[0]} and item {pair[1]} are already on line {seen[pair]}"
                other = "first, mean" if layout.holds == "rating" else "first"  # a treatment has no mean
                yield Problem(file, line, None, what, f"delete one, or data.filter.duplicates=last (or {other})")
            seen.setdefault(pair, line)
    if not rows:
        yield Problem(file, None, None, "there is no row of ratings", "give the file that holds the ratings")


def _lines(text: str, layout: Layout) -> Iterator[tuple[int, int, list[str]]]:
    """(numbers of the lines that a row begins and ends on, its stripped fields)."""
    if not layout.quoted:
        for line, row in enumerate(text.split("\n"), start=1):
            yield line, line, [cell.strip() for cell in row.split(layout.separator)]
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.separator)
    end = 0
    for fields in reader:
        begin, end = end + 1, reader.line_num
        yield begin, end, [cell.strip() for cell in fields]


def _swallowed(cells: list[str], columns: Columns, layout: Layout) -> str:
    """What two stray quotes did to the lines between them; "" for a field that may well hold several lines."""
    for place, kind in ((columns.user, "user"), (columns.item, "item")):
        if "\n" in cells[place]:
            return f"{cells[place].count(chr(10)) + 1} lines would be one {kind}"
    lines = layout.separator.join(cells).split("\n")  # as they stand in the file, but for the quotes
    inside = [line.split(layout.separator) for line in lines]
    rows = [
        row for row in inside if len(row) == columns.width and (columns.value is None or is_number(row[columns.value]))
    ]
    return f"{len(rows)} of its lines look like rows" if len(rows) > 1 else ""


def _field_fix(cells: list[str], columns: Columns, layout: Layout) -> str:
    if not any(cells):
        return "delete the line"
    if len(cells) > columns.width:
        return (
            "quote the field that holds the separator, or write decimals with a point"
            if layout.quoted
            else "delete what is too much"
        )
    return f"are the fields of this line separated by {layout.separator!r} as in the first? Complete or delete the line"


def _value(cell: str, file: str, line: int, name: str, layout: Layout, checks: Checks) -> Iterator[Problem]:
    if cell.lower() in ABSENT:
        what = f"the {layout.holds} is empty" if cell == "" else f"the {layout.holds} is '{cell}'"
        yield Problem(file, line, name, what, "fill it in or delete the line")
    elif not is_number(cell):
        fix = (
            "write decimals with a point" if is_number(cell.replace(",", ".")) else "write a number or delete the line"
        )
        yield Problem(file, line, name, f"'{cell}' is not a number", fix)
    elif checks.scale is not None and not checks.scale[0] <= float(cell) <= checks.scale[1]:
        low, high = checks.scale
        scale = f"[{min(low, float(cell)):g},{max(high, float(cell)):g}]"
        fix = "correct it" + (f", or state the true scale: 'data.scale={scale}'" if layout.holds == "rating" else "")
        yield Problem(file, line, name, f"{layout.holds} {cell} lies outside of the scale {low:g} to {high:g}", fix)
