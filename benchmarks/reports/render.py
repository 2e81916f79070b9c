"""A table in a format: lines of text for a terminal, Markdown, LaTeX or HTML; rows of values for CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from html import escape as in_html
from typing import Any, Literal

from rich import box
from rich.markup import escape
from rich.table import Table

Format = Literal["table", "md", "latex", "csv", "json", "html"]
"""The formats of a table; "table", for a terminal, is a table of rich."""

FORMATS: tuple[Format, ...] = ("table", "md", "latex", "csv", "json", "html")

_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # Without a font that has them, LaTeX stops at these.
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "α": r"$\alpha$",
    "λ": r"$\lambda$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "…": r"\dots{}",
    "–": "--",
    "√": r"$\surd$",
}


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]], rule: str = " --- ") -> str:
    """A table in Markdown; ``rule`` is the text below each column's name."""
    return "\n".join([_piped(head), f"|{'|'.join([rule] * len(head))}|", *map(_piped, lines)])


def latex(head: Sequence[str], lines: Iterable[Sequence[str]], numbers: int) -> str:
    """A ``tabular`` with the rules of booktabs; the last ``numbers`` columns are aligned to the right."""
    first, *rows = [" & ".join(map(escaped, line)) + r" \\" for line in (head, *lines)]
    rows = [
        f"{{}}{row}" if row[0] == "[" else row for row in rows
    ]  # else a bracket would state the space between lines
    columns = "l" * (len(head) - numbers) + "r" * numbers
    body = [r"\toprule", first, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"])


def escaped(text: str) -> str:
    """The text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def html(head: Sequence[str], lines: Iterable[Sequence[str]], numbers: int, caption: str = "") -> str:
    """A ``<table>`` that can stand in any page; the last ``numbers`` columns are aligned to the right."""

    def row(cells: Sequence[str], tag: str) -> str:
        sides = ("right" if place >= len(cells) - numbers else "left" for place in range(len(cells)))
        parts = (f'<{tag} style="text-align:{side}">{in_html(cell)}</{tag}>' for side, cell in zip(sides, cells))
        return f"<tr>{''.join(parts)}</tr>"

    above = [f"<caption>{in_html(caption)}</caption>"] * bool(caption)
    body = [row(line, "td") for line in lines]
    return "\n".join(
        ["<table>", *above, "<thead>", row(head, "th"), "</thead>", "<tbody>", *body, "</tbody>", "</table>"]
    )


def terminal(head: Sequence[str], lines: Iterable[Sequence[str]], numbers: int) -> Table:
    """A table of rich; the last ``numbers`` columns are aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(escape(name), overflow="fold", justify="right" if place >= len(head) - numbers else "left")
    for line in lines:
        table.add_row(*map(escape, line))
    return table


def as_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated values, without a line break at the end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue().rstrip("\n")


def _piped(line: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
