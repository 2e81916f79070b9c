"""A table in the formats of ``--format``: the same head, lines, signs and legend in each that is for people."""

import json
from collections.abc import Sequence
from html import escape as in_html
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from upliftlens.benchmarks.reports.render import Format, as_csv, html, latex, markdown, terminal
from upliftlens.benchmarks.runs.records import plain
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.marks import MARKS
from upliftlens.benchmarks.tables.published import MEANINGS
from upliftlens.benchmarks.tables.table import Table
from upliftlens.causal.errors import UpliftlensError

_PLAIN = ("row", "column", "value", "lo", "hi", "published", "verdict")


def rendered(table: Table, form: Format) -> str | RenderableType:
    """The table in a format; paired differences, columns ``X vs ROW``, in a second part. JSON and CSV hold cells only.

    Raises:
        UpliftlensError: for another format.
    """
    parts = [[cell for cell in table.cells if (" vs " in cell.column) == paired] for paired in (False, True)]
    bodies = [_lines(part) for part in parts if part]
    legend = [*_legend(table), *(f"{sign} {MARKS[name][1]}" for name, sign in _signs(table.cells).items())]
    match form:
        case "json":
            return json.dumps([plain_cell(cell) for cell in table.cells], indent=1, ensure_ascii=False)
        case "csv":
            rows = ([*(getattr(cell, name) for name in _PLAIN), " ".join(cell.marks)] for cell in table.cells)
            return as_csv([*_PLAIN, "marks"], rows)
        case "md":
            tables = [text for head, *body in bodies for text in ("", markdown(head, body, "---"))]
            remarks = [f"- {remark}" for remark in table.remarks]
            return "\n".join([f"**{table.title}**", *tables, "", *legend, *remarks])
        case "latex":
            comments = [f"% {line}" for line in (table.title, *legend, *table.remarks)]
            return "\n".join([*comments, *(latex(head, body, len(head) - 1) for head, *body in bodies)])
        case "html":
            captions = [table.title, *[""] * len(bodies)]
            tables = [html(head, body, len(head) - 1, of) for (head, *body), of in zip(bodies, captions)]
            notes = [f"<li>{in_html(line)}</li>" for line in (*legend, *table.remarks)]
            return "\n".join([*tables, "<ul>", *notes, "</ul>"])
        case "table":
            drawn = (terminal(head, body, len(head) - 1) for head, *body in bodies)
            notes = [*legend, *(f"- {remark}" for remark in table.remarks)]
            return Group(Text(table.title, style="bold"), *drawn, *map(Text, notes))
    raise UpliftlensError(f"a table is written as md, latex, csv, json, html or table, not as {form}")


def plain_cell(cell: Cell) -> dict[str, Any]:
    """A cell as plain data, without the runs behind it."""
    return dict(plain({name: value for name, value in cell._asdict().items() if name != "runs"}))


def _signs(cells: Sequence[Cell]) -> dict[str, str]:
    """The sign of each mark that some cell has."""
    return {name: sign for name, (sign, _) in MARKS.items() if any(name in cell.marks for cell in cells)}


def _legend(table: Table) -> list[str]:
    """What the words in the cells mean, for those that occur."""
    level = "" if table.level is None else f"{100 * table.level:g} % "
    published = any(cell.published is not None for cell in table.cells)
    verdicts = "; verdict" * any(cell.verdict for cell in table.cells)
    lines = [f"Each cell: {'ours' if published else 'value'} [{level}interval]{'; published' * published}{verdicts}."]
    words = {cell.verdict.partition(";")[0] for cell in table.cells if cell.published is not None}
    lines += [f"{word}: {meaning}." for word, meaning in MEANINGS.items() if word in words]
    if any(cell.keys for cell in table.cells):
        lines.append(f"Runs are taken with their {table.fixed}: with others, values may lie outside.")
    if any("(p " in cell.verdict for cell in table.cells):
        lines.append(
            "Columns with vs hold paired differences, first − second. p: how often chance alone would make one as "
            "large, corrected for the number of differences (Holm); ≤: the resamples allow none smaller."
        )
    if any(cell.uses_mar_data for cell in table.cells):
        lines.append("MAR data: ratings of pairs chosen at random (missing at random), used beside the log.")
    return lines


def _lines(cells: Sequence[Cell]) -> list[list[str]]:
    """The head and a line per row; a sign of all cells of a column stands at its head, of all of a row at its name."""
    rows, columns = (list(dict.fromkeys(getattr(cell, side) for cell in cells)) for side in ("row", "column"))
    at = {(cell.row, cell.column): cell for cell in cells}
    of_column = {column: _shared([cell for cell in cells if cell.column == column]) for column in columns}
    of_row = {row: _shared([cell for cell in cells if cell.row == row]) for row in rows}
    lines = []
    for row in rows:
        there = [column for column in columns if (row, column) in at]
        signs = [name for name in of_row[row] if not all(name in of_column[column] for column in there)]
        texts = (_text(at.get((row, column)), (*of_column[column], *signs)) for column in columns)
        lines.append([_signed(row, signs), *texts])
    return [["", *(_signed(column, of_column[column]) for column in columns)], *lines]


def _shared(cells: Sequence[Cell]) -> list[str]:
    """The marks that all cells have."""
    return [name for name in MARKS if all(name in cell.marks for cell in cells)]


def _signed(text: str, marks: Sequence[str]) -> str:
    """A text with the signs of marks."""
    return " ".join([text, *(MARKS[name][0] for name in marks)])


def _text(cell: Cell | None, elsewhere: Sequence[str]) -> str:
    """A cell, with the signs of those of its marks that stand nowhere else."""
    if cell is None:
        return ""
    ours = f"{cell.value:.3f} [{cell.lo:.3f}, {cell.hi:.3f}]"
    published = None if cell.published is None else f"{cell.published:.3f}"
    words = (ours, published, cell.verdict, "uses MAR data" if cell.uses_mar_data else None)
    return _signed("; ".join(filter(None, words)), [name for name in cell.marks if name not in elsewhere])
