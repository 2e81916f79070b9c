"""A table in a format: lines of text for a terminal, Markdown or LaTeX; rows of values for CSV."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]], rule: str = " --- ") -> str:
    """A table in Markdown; ``rule`` is the text below each column's name."""
    return "\n".join([_piped(head), f"|{'|'.join([rule] * len(head))}|", *map(_piped, lines)])


def latex(head: Sequence[str], lines: Iterable[Sequence[str]], numbers: int) -> str:
    """A ``tabular`` in LaTeX; the last ``numbers`` columns are aligned to the right."""
    rows = [" & ".join(map(escaped, line)) + r" \\" for line in (head, *lines)]
    columns = "l" * (len(head) - numbers) + "r" * numbers
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\hline", *rows, r"\hline", r"\end{tabular}"])


def escaped(text: str) -> str:
    """The text with LaTeX's special characters escaped."""
    return re.sub(r"[\\~^&%$#_{}]", lambda hit: _LATEX.get(hit[0], f"\\{hit[0]}"), text)


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
