"""A table that is wider than the screen, in parts below each other that can be read."""

from collections.abc import Iterator

from rich.table import Column, Table
from rich.text import Text

_GAP = 3  # columns of the screen that a column of a table takes beside its text
_LINE = 28  # width up to which a cell stays on a line: an interval does, a long message is wrapped


def parts(table: Table, width: int) -> list[Table]:
    """The table alone if its words fit into ``width`` columns of the screen, else its columns in several tables.

    Each of these begins with the table's first column, if that tells its rows apart, or else with the rows' numbers.
    """
    if sum(map(_longest_word, table.columns)) + _GAP * len(table.columns) <= width:
        return [table]
    first, *others = table.columns
    name = list(first.cells)
    if len(set(name)) < len(name):
        numbers = Column("row", justify="right", _cells=[str(number) for number in range(1, len(name) + 1)])
        first, others = numbers, [first, *others]
    divided: list[list[Column]] = []
    free = 0
    for column in others:
        needed = _wide(column) + _GAP
        if not divided or needed > free:
            divided.append([first])
            free = width - _wide(first) - _GAP
        divided[-1].append(column)
        free -= needed
    return [_of(table, columns) for columns in divided]


def _of(table: Table, columns: list[Column]) -> Table:
    part = Table(box=table.box, pad_edge=table.pad_edge)
    for column in columns:
        part.add_column(column.header, justify=column.justify, overflow=column.overflow)
    for line in zip(*(column.cells for column in columns), strict=True):
        part.add_row(*line)
    return part


def _wide(column: Column) -> int:
    """The width that a column asks for: its longest line as far as that is short, and its longest word."""
    return max(_longest_word(column), min(_LINE, max(text.cell_len for text in _texts(column))))


def _longest_word(column: Column) -> int:
    return max(len(word) for text in _texts(column) for word in (text.plain.split() or [""]))


def _texts(column: Column) -> Iterator[Text]:
    for cell in (column.header, *column.cells):
        yield Text.from_markup(cell) if isinstance(cell, str) else Text(str(cell))
