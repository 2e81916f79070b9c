"""The published numbers of ``paper/published.yaml``, each once, and the verdict on ours beside one (``MEANINGS``)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.strict_yaml import loaded
from upliftlens.benchmarks.config.typed import typed
from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.options import Above, Distinct

NOT_COMPARABLE = "not comparable"

MEANINGS = {
    "reproduced": "our interval lies inside published ± tolerance",
    "compatible": "our interval contains the published number, and reaches beyond its tolerance",
    "undecided": "our interval reaches beyond the tolerance and does not contain the published number",
    "better": "our interval lies beyond published ± tolerance, on the better side",
    "worse": "our interval lies beyond published ± tolerance, on the worse side",
    "differs": "our interval lies beyond published ± tolerance",
    NOT_COMPARABLE: "the published number is no target: upliftlens ledger says why",
}
"""The verdicts, in the order of a summary."""

Better = Literal["lower", "higher", "neither"]

_ROUNDING = 1e-6  # of a published number, which is rounded: a point of ours that equals it in six digits contains it


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published number beside a cell of a table: its ``value``, a target if it has a ``tolerance``.

    ``better``: which values are; ``not_comparable``: why the number is no target.
    """

    value: float
    tolerance: Annotated[float, Above(0)] | None = None
    better: Better = "neither"
    not_comparable: str = ""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Columns of a ``table`` that show a number, too: by its column the column of the number."""

    table: str
    columns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The numbers of a table or paragraph of a source under one protocol: see the head of paper/published.yaml."""

    source: str
    part: str
    read: Literal["in the paper", "in its code", "in its documentation", "quoted", "recalled"]
    protocol: str
    numbers: Annotated[Mapping[str, Annotated[Mapping[str, float], Distinct()]], Distinct()]
    better: Better
    table: str | None = None
    beside: tuple[Beside, ...] = ()
    tolerance: Mapping[str, Annotated[float, Above(0)]] = field(default_factory=dict)
    tolerance_why: str = ""
    not_comparable: str = ""
    not_run: str = ""
    tried: str = ""

    def __post_init__(self) -> None:
        if (self.table is None) != bool(self.not_run):
            raise UpliftlensError("state table, or not_run: why there is none")
        if self.table is not None and bool(self.tolerance) == bool(self.not_comparable):
            raise UpliftlensError("state tolerance, or not_comparable: why the numbers are no target")
        if bool(self.tolerance) != bool(self.tolerance_why):
            raise UpliftlensError("state tolerance and tolerance_why together")
        if self.read == "recalled" and self.tolerance:
            raise UpliftlensError("a recalled number is no target: give not_comparable in place of tolerance")

    def at(self, row: str, column: str) -> Published:
        """The number of a row and column.

        Raises:
            UpliftlensError: if ``tolerance`` lacks the column.
        """
        if self.tolerance and column not in self.tolerance:
            raise UpliftlensError(f"tolerance lacks the column {column}")
        return Published(
            value=self.numbers[row][column],
            tolerance=self.tolerance.get(column),
            better=self.better,
            not_comparable=self.not_comparable,
        )


class Numbers(NamedTuple):
    """All published numbers: ``sources``, what is cited, by a short name, and the ``parts``."""

    sources: Mapping[str, str]
    parts: tuple[Part, ...]


def read(text: str) -> Numbers:
    """The published numbers of a file's text.

    Raises:
        UpliftlensError: naming the part, for an entry that is missing, misspelt or of a wrong type, a source that is
            not cited, or a number that stands twice.
    """
    with located("paper/published.yaml"):
        content = loaded(text)
        if not isinstance(content, Mapping):
            raise UpliftlensError("it is empty, or no mapping: state sources and parts")
        if set(content) != {"sources", "parts"}:
            raise UpliftlensError(f"it holds {', '.join(map(str, content))}: state sources and parts")
        parts = []
        for number, entry in enumerate(content["parts"], 1):
            name = f"part {number} ({entry.get('source', 'no source')}, {entry.get('part', 'no part')})"
            with located(name):
                part = typed(Part, entry, "")
                if part.source not in content["sources"]:
                    raise unknown("source", part.source, content["sources"])
                for row, columns in part.numbers.items():
                    for column in columns:
                        part.at(row, column)
                there = {column for columns in part.numbers.values() for column in columns}
                for column in (column for beside in part.beside for column in beside.columns.values()):
                    if column not in there:
                        raise unknown("column of its numbers", column, there)
                tables = (part.table, *(beside.table for beside in part.beside))
                for table in filter(None, tables):
                    if table not in packaged("table"):
                        raise unknown("table", table, packaged("table"))
                parts.append(part)
        seen: set[tuple[str | None, str, str]] = set()
        for part in parts:
            for place in _places(part):
                if place[:3] in seen:
                    raise UpliftlensError(f"{place[1]}, {place[2]} of the table {place[0]} stands twice")
                seen.add(place[:3])
    return Numbers(content["sources"], tuple(parts))


@cache
def published() -> Numbers:
    """The numbers of paper/published.yaml.

    Raises:
        UpliftlensError: as ``read``.
    """
    try:
        return read((files("upliftlens.paper") / "published.yaml").read_text())
    except UnicodeDecodeError as error:
        raise UpliftlensError(f"paper/published.yaml: it is no text in UTF-8 ({error.reason})") from None


def published_of(table: str, numbers: Numbers | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """The published numbers beside the cells of a table, by row and column, as plain data of ``Published``."""
    stated: dict[str, dict[str, dict[str, Any]]] = {}
    for part in (numbers or published()).parts:
        for name, row, column, number in _places(part):
            if name == table:
                stated.setdefault(row, {})[column] = asdict(number)
    return stated


def _places(part: Part) -> Iterator[tuple[str, str, str, Published]]:
    """(table, row, column, number) of all cells that a part's numbers stand beside."""
    if part.table is None:
        return
    for row, columns in part.numbers.items():
        for column in columns:
            yield part.table, row, column, part.at(row, column)
        for beside in part.beside:
            for shown, column in beside.columns.items():
                if column in columns:
                    yield beside.table, row, shown, part.at(row, column)


def verdict(number: Published, lo: float, hi: float) -> str:
    """The verdict on an interval of ours beside a published number: a word of ``MEANINGS``."""
    if number.tolerance is None:
        return NOT_COMPARABLE
    slack = abs(number.value) * _ROUNDING
    least, most = number.value - number.tolerance - slack, number.value + number.tolerance + slack
    if least <= lo and hi <= most:
        return "reproduced"
    if lo - slack <= number.value <= hi + slack:
        return "compatible"
    if least <= hi and lo <= most:
        return "undecided"
    if number.better == "neither":
        return "differs"
    return "better" if (lo > most) == (number.better == "higher") else "worse"
