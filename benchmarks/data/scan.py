"""The layout of a ratings file, and its slow, exact reading where something is wrong: every problem with its line."""

import csv
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from upliftlens.benchmarks.data.problems import Problem
from upliftlens.causal.options import LARGEST

SEPARATORS = {"colons": "::", "tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|", "space": " "}
NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*")
QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'  # a field in quotes, those inside of it doubled
ABSENT = {"", "nan", "na", "n/a", "null", "none", "?", "-"}
CLOSE = "close the quote; one inside of a quoted field is doubled"
DELETE = "delete the stray quotes; one inside of a quoted field is doubled"

csv.field_size_limit(2**31 - 1)  # a stray quote takes in the rest of a file: that is told with its lines


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
    ``beside``: (option in data.columns, name) of other columns that the file must have.
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
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def quoted(self) -> bool:
        """Whether a field may stand in quotes (RFC 4180); where more than a character separates, quotes are data."""
        return len(self.separator) == 1

    @property
    def skips_blanks(self) -> bool:
        """Whether blanks before a field, and so before its quote, are no part of it."""
        return self.separator != " "

    def of(self, line: str) -> "Layout":
        """The layout of a file whose first line this is, with its separator."""
        return self._replace(separator=self.separator or next((s for s in SEPARATORS.values() if s in line), ","))


class Checks(NamedTuple):
    """What the values must satisfy: ``scale``, None for implicit counts.

    ``repeats``: the fix of a pair that stands on two lines; None where it may.
    """

    scale: tuple[float, float] | None
    repeats: str | None


def is_number(cell: str) -> bool:
    """Whether a cell is a decimal number, finite as a float32."""
    return NUMBER.fullmatch(cell) is not None and abs(float(cell)) <= LARGEST


TIME_LIMIT = 2.0**53
"""Larger times are not exact as floats, so their order could be lost."""


def cells_of(line: str, layout: Layout) -> list[str]:
    """The stripped fields of one line."""
    _, _, fields = next(read_rows(line, layout), (1, 1, []))
    return [field.strip() for field in fields]


def read_rows(text: str, layout: Layout) -> Iterator[tuple[int, int, list[str]]]:
    """(numbers of the lines that a row begins and ends on, its fields without their quotes); line ends are LF."""
    lines = (match[0] for match in re.finditer(r"[^\n]*\n|[^\n]+", text))
    if not layout.quoted:
        for line, row in enumerate(lines, start=1):
            yield line, line, row.removesuffix("\n").split(layout.separator)
        return
    reader = csv.reader(lines, delimiter=layout.separator, skipinitialspace=layout.skips_blanks)
    end = 0
    for fields in reader:
        begin, end = end + 1, reader.line_num
        yield begin, end, fields


def scan(text: str, file: str, columns: Columns, layout: Layout, checks: Checks) -> Iterator[Problem]:
    """Every problem, in file order; at most one per field."""
    seen: dict[tuple[str, str], int] = {}
    lines = text.split("\n")
    rows = 0
    for line, end, fields in islice(read_rows(text, layout), int(layout.header), None):
        rows += 1
        cells = [field.strip() for field in fields]
        if len(cells) != columns.width:
            what = f"{len(cells)} fields where the first line has {columns.width}" if any(cells) else "a blank line"
            fix = _field_fix(cells, columns, layout)
            if end > line:
                what = f"a quote opens here and the row runs on to line {end}"
                fix = CLOSE
            yield Problem(file, line, None, what, fix)
            continue
        if end > line and (what := _swallowed(fields, columns, layout)):
            yield Problem(file, line, None, f"a quote opens here and closes on line {end}: {what}", DELETE)
            continue
        for place, kind in ((columns.user, "user"), (columns.item, "item")):
            if cells[place] == "":
                yield Problem(file, line, columns.names[place], f"the {kind} is empty", "fill it in or delete the line")
            elif stray := _stray("\n".join(lines[line - 1 : end]), place, layout):
                fix = "delete it, or quote the whole field and double the quotes inside"
                if not layout.quoted:
                    fix = "delete the quotes, which are data between '::', or separate the fields by commas"
                what = f"{kind} {stray!r} begins with a quote that does not enclose it"
                yield Problem(file, line, columns.names[place], what, fix)
            elif columns.integer_ids and not re.fullmatch(r"[ \t]*-?[0-9]{1,18}[ \t]*", fields[place]):
                what = f"{kind} '{cells[place]}' is not a whole number below 10^18"
                yield Problem(file, line, columns.names[place], what, "read files with other ids with data=csv")
        if columns.value is not None:
            yield from _value(fields[columns.value], file, line, columns.names[columns.value], layout, checks)
        if columns.time is not None:
            numeric = NUMBER.fullmatch(fields[columns.time]) is not None
            if not numeric or not abs(float(cells[columns.time])) < TIME_LIMIT:
                reason = "is not below 2^53, so its order could be lost" if numeric else "is not a number"
                fix = "write seconds since 1970" + (", or data.columns.time=null" if layout.adjustable else "")
                yield Problem(file, line, columns.names[columns.time], f"time '{cells[columns.time]}' {reason}", fix)
        if checks.repeats is not None:
            pair = (cells[columns.user], cells[columns.item])
            if pair in seen:
                what = f"user {pair[0]} and item {pair[1]} are already on line {seen[pair]}"
                yield Problem(file, line, None, what, checks.repeats)
            seen.setdefault(pair, line)
    if not rows:
        yield Problem(file, None, None, "there is no row of ratings", "give the file that holds the ratings")


def _swallowed(fields: list[str], columns: Columns, layout: Layout) -> str:
    """What two stray quotes did to the lines between them; "" for a field that may well hold several lines."""
    for place, kind in ((columns.user, "user"), (columns.item, "item")):
        if "\n" in fields[place]:
            return f"{fields[place].count(chr(10)) + 1} lines would be one {kind}"
    lines = layout.separator.join(fields).split("\n")  # as they stand in the file, but for the quotes
    inside = [line.split(layout.separator) for line in lines]
    rows = [
        row for row in inside if len(row) == columns.width and (columns.value is None or is_number(row[columns.value]))
    ]
    return f"{len(rows)} of its lines look like rows" if len(rows) > 1 else ""


def _stray(row: str, place: int, layout: Layout) -> str:
    """The field at this place as it stands in the file, if it begins with a quote that does not enclose it, or ""."""
    if '"' not in row:
        return ""
    fields = row.split(layout.separator)
    if layout.quoted:
        separator, blanks = re.escape(layout.separator), " *" if layout.skips_blanks else ""
        fields = re.findall(rf"((?:{blanks}{QUOTED})?[^{separator}]*)(?:{separator}|\Z)", row)
        if re.fullmatch(rf"{blanks}{QUOTED}\s*", fields[place]):
            return ""
    return fields[place] if fields[place].strip().startswith('"') else ""


def _field_fix(cells: list[str], columns: Columns, layout: Layout) -> str:
    if not any(cells):
        return "delete the line"
    if len(cells) > columns.width:
        if layout.separator in (",", ";"):
            return "quote the field that holds the separator, or write decimals with a point"
        return "delete what is too much" + (", or quote the field that holds the separator" if layout.quoted else "")
    return f"are the fields of this line separated by {layout.separator!r} as in the first? Complete or delete the line"


def _value(field: str, file: str, line: int, name: str, layout: Layout, checks: Checks) -> Iterator[Problem]:
    cell = field.strip()
    if cell.lower() in ABSENT:
        what = f"the {layout.holds} is empty" if cell == "" else f"the {layout.holds} is '{cell}'"
        yield Problem(file, line, name, what, "fill it in or delete the line")
    elif NUMBER.fullmatch(field) is None:
        fix = (
            "write decimals with a point" if is_number(field.replace(",", ".")) else "write a number or delete the line"
        )
        yield Problem(file, line, name, f"{field!r} is not a number", fix)
    elif not is_number(field):
        yield Problem(file, line, name, f"{cell} is too large for a float32", "correct it or delete the line")
    elif checks.scale is not None and not checks.scale[0] <= float(cell) <= checks.scale[1]:
        low, high = checks.scale
        scale = f"[{min(low, float(cell)):g},{max(high, float(cell)):g}]"
        fix = "correct it" + (f", or state the true scale: 'data.scale={scale}'" if layout.holds == "rating" else "")
        yield Problem(file, line, name, f"{layout.holds} {cell} lies outside of the scale {low:g} to {high:g}", fix)
