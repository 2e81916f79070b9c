"""The ledger: every published number beside ours, with a verdict, and how many of them are reproduced."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple

from upliftlens.benchmarks.reports.render import markdown
from upliftlens.benchmarks.tables.published import MEANINGS, NOT_COMPARABLE, Numbers, Part, Published, verdict
from upliftlens.causal.errors import UpliftlensError, unknown

NOT_RUN = "not run"

HEAD = ("source", "part", "row", "column", "published", "ours", "verdict", "behind it")


class Line(NamedTuple):
    """A published number, and ours, None where it is not run; ``why``: why it is not run or no target; ``command``:
    what shows the runs behind ours."""

    part: Part
    row: str
    column: str
    number: Published
    ours: tuple[float, float, float] | None
    verdict: str
    why: str
    command: str


Ours = Mapping[tuple[str, str], tuple[float, float, float]]
"""(value, lo, hi) by row and column of a table."""


@cache
def committed(table: str) -> Ours:
    """The cells of the committed table results/NAME.json.

    Raises:
        UpliftlensError: if there is none, or it can't be read.
    """
    try:
        cells = json.loads((files("upliftlens.results") / f"{table}.json").read_text())
        return {(cell["row"], cell["column"]): (cell["value"], cell["lo"], cell["hi"]) for cell in cells}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UpliftlensError(f"results/{table}.json can't be read ({type(error).__name__}: {error})") from None


def ledger(numbers: Numbers, source: str | None = None, ours: Callable[[str], Ours] = committed) -> list[Line]:
    """A line per published number, of one ``source`` if it is stated; ``ours(table)`` gives the cells of a table.

    Raises:
        UpliftlensError: for an unknown source, or a table that lacks the cell of a number.
    """
    if source is not None and source not in numbers.sources:
        raise unknown("source", source, numbers.sources)
    return [
        _line(part, row, column, ours)
        for part in numbers.parts
        if source in (None, part.source)
        for row, columns in part.numbers.items()
        for column in columns
    ]


def _line(part: Part, row: str, column: str, ours: Callable[[str], Ours]) -> Line:
    number = part.at(row, column)
    if part.table is None:
        return Line(part, row, column, number, None, NOT_RUN, part.not_run, "")
    cells = ours(part.table)
    if (row, column) not in cells:
        raise UpliftlensError(
            f"paper/published.yaml ({part.source}, {part.part}): results/{part.table}.json lacks the cell {row}, "
            f"{column}: mend the name, or state not_run in place of table"
        )
    cell = cells[row, column]
    command = f"upliftlens table {part.table} --trace '{row}' '{column}' --from results"
    return Line(part, row, column, number, cell, verdict(number, *cell[1:]), part.not_comparable, command)


def summary(lines: Sequence[Line]) -> list[str]:
    """How many numbers are reproduced; the counts of the verdicts, what these mean, and why numbers are not run."""
    counts = Counter(line.verdict for line in lines)
    targets = sum(n for word, n in counts.items() if word not in (NOT_RUN, NOT_COMPARABLE))
    words = [f"{counts[word]} {word}" for word in (*MEANINGS, NOT_RUN) if counts[word]]
    n_sources = len({line.part.source for line in lines})
    of = f"{n_sources} source{'s' * (n_sources > 1)}"
    return [
        f"{counts['reproduced']} of {targets} reproduced. {len(lines)} published numbers of {of}: {', '.join(words)}.",
        *(f"{word}: {meaning}." for word, meaning in MEANINGS.items() if counts[word]),
        "Protocols, how each number was read, and what was tried where it is not reproduced: paper/published.yaml.",
    ]


def check(lines: Sequence[Line]) -> list[str]:
    """``faults`` of the committed results/ledger.md.

    Raises:
        UpliftlensError: if it can't be read.
    """
    try:
        written = (files("upliftlens.results") / "ledger.md").read_text()
    except OSError as error:
        raise UpliftlensError(f"results/ledger.md can't be read ({error.strerror})") from None
    return faults(lines, written)


def faults(lines: Sequence[Line], written: str) -> list[str]:
    """A sentence for each number on which the text ``written`` of results/ledger.md differs from ``lines``."""
    held = written.splitlines()[2:]  # below the head and its rule
    rows = markdown(HEAD, texts(lines)).splitlines()[2:]
    given, said = ({_place(row): row for row in some} for some in (rows, held))
    return [
        f"results/ledger.md: {', '.join(place)}: it says '{said.get(place, 'nothing')}', "
        f"the numbers and tables give '{given.get(place, 'nothing')}'"
        for place in dict.fromkeys([*given, *said])
        if given.get(place) != said.get(place)
    ]


def _place(row: str) -> tuple[str, ...]:
    """Source, part, row and column of a line of results/ledger.md."""
    return tuple(row.strip("| ").split(" | ")[:4])


def texts(lines: Sequence[Line]) -> list[list[str]]:
    """The cells of ``HEAD`` for each line."""
    return [
        [line.part.source, line.part.part, *_numbers(line), "; ".join(filter(None, (line.command, line.why)))]
        for line in lines
    ]


def as_text(lines: Sequence[Line]) -> str:
    """A line per number below a heading per part, which says what is behind all of its lines."""
    printed = []
    for _, of_part in groupby(lines, lambda line: id(line.part)):
        members = list(of_part)
        part = members[0].part
        printed.append(
            f"{part.source}: {part.part} (read: {part.read}){': not run: ' * bool(part.not_run)}{part.not_run}"
        )
        if part.table is not None:
            why = f"; {NOT_COMPARABLE}: {part.not_comparable}" if part.not_comparable else ""
            printed.append(f"  behind it: upliftlens table {part.table} --trace ROW COLUMN --from results{why}")
        cells = [_numbers(line) for line in members]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        printed += ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    return "\n".join(printed)


def _numbers(line: Line) -> list[str]:
    """Row, column, the published number with its tolerance, ours with its interval, and the verdict."""
    digits = max(
        len(f"{value:g}".partition(".")[2]) for columns in line.part.numbers.values() for value in columns.values()
    )
    published = f"{line.number.value:.{digits}f}"
    tolerance = "" if line.number.tolerance is None else f" ± {line.number.tolerance:g}"
    ours = "" if line.ours is None else "{:.3f} [{:.3f}, {:.3f}]".format(*line.ours)
    return [line.row, line.column, published + tolerance, ours, line.verdict]


def as_dicts(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Plain data of each line, with the citation's short name, the protocol, how it was read, and what was tried."""
    return [
        {
            "source": line.part.source,
            "part": line.part.part,
            "read": line.part.read,
            "protocol": line.part.protocol,
            "row": line.row,
            "column": line.column,
            "published": line.number.value,
            "tolerance": line.number.tolerance,
            "tolerance_why": line.part.tolerance_why,
            **dict(zip(("value", "lo", "hi"), line.ours or (None, None, None), strict=True)),
            "verdict": line.verdict,
            "why": line.why,
            "tried": line.part.tried,
            "table": line.part.table,
            "command": line.command,
        }
        for line in lines
    ]
