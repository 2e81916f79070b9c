"""Data sets on a terminal: cards and lists as tables."""

from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.data.card import Card, rows_of
from upliftlens.benchmarks.data.registry import Listed


def card_table(facts: Card) -> Table:
    """The card as a table of two columns."""
    table = Table(title=escape(facts.name), show_header=False)
    for label, text in rows_of(facts):
        table.add_row(label, escape(text))
    return table


def listing_table(rows: list[Listed]) -> Table:
    """One data set to a line."""
    table = Table("data", "users", "items", "rows", "state", "terms")
    for row in rows:
        numbers = ("" if n is None else f"{n:,}" for n in (row.users, row.items, row.rows))
        table.add_row(escape(row.name), *numbers, escape(row.ready), escape(row.terms))
    return table
