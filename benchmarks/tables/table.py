"""``upliftlens table NAME``: a paper's table beside the published numbers.

A definition (configs/table/NAME.yaml) names its ``kind``, a ``TableKind``; its other keys are the options of that
kind, which ``upliftlens table NAME KEY=VALUE …`` replaces. Runs are kept in the result store, so an interrupted table
resumes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import yaml

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.plugins import entry, installed, place_in
from upliftlens.benchmarks.config.strict_yaml import loaded
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.marks import marked
from upliftlens.benchmarks.tables.published import Published, published_of, verdict
from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.options import Above, AtLeast

if TYPE_CHECKING:
    from upliftlens.benchmarks.runs.many import Runner
    from upliftlens.benchmarks.runs.plan import Plan

FIXED = "items, training rows and splits"


@dataclass(frozen=True)
class Cost:
    """``minutes`` of processor time that ``of`` runs, draws, logs or trials of a table took, measured once."""

    minutes: Annotated[float, Above(0)]
    of: Annotated[int, AtLeast(1)]


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What the definition of any table may state: its title, published numbers, and remarks (``notes``).

    ``published`` by row and column: those of paper/published.yaml, in a table that another package installs its own.
    ``cost``: what the estimate of the time starts from.
    """

    title: str
    published: Mapping[str, Mapping[str, Published]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cost: Cost | None = None

    @property
    def fixed(self) -> str:
        """What the runs of the table share, so that its intervals say nothing about other ones."""
        return FIXED

    @property
    def column_names(self) -> Iterable[str] | None:
        """The columns of the table, where the definition names them: a published number stands in one of them."""
        return None


class Table(NamedTuple):
    """A computed table; ``remarks`` are sentences about its cells; ``level`` of their intervals, None: not known.

    ``fixed``: as in ``TableOptions``.
    """

    title: str
    cells: list[Cell]
    remarks: list[str]
    level: float | None
    fixed: str = FIXED


class Where(NamedTuple):
    """Folders of the result store and of downloaded data; ``say`` reports progress."""

    store: Path
    cache: Path
    say: Callable[[str], None]


class Job(NamedTuple):
    """The search and the runs of a part of a table, ``of`` it as its kind knows it.

    ``choose(runner)``: what the search chooses, with ``n_trials`` runs; ``plans(chosen)``: of the ``n_plans`` final
    runs, by the group that is measured together.
    """

    of: Any
    n_trials: int
    choose: "Callable[[Runner], Any]"
    n_plans: int
    plans: "Callable[[Any], list[list[Plan]]]"


class TableKind(NamedTuple):
    """How tables of a kind are computed: what an entry point of ``upliftlens.tables`` names.

    ``options``: a frozen dataclass, a ``TableOptions`` with the other keys of a definition, whose ranges are part of
    their types; ``cells`` and ``remarks`` get a definition as an instance of it, checked. The legend states the level
    of the intervals by its ``interval.level``, or its ``level``, if it has one. ``cells(definition, where)``;
    ``remarks(definition, cells)`` are sentences about them. ``definition``: that of a table with the name of the kind,
    instead of a YAML file. For the estimate of the time: ``jobs``, if its cells are of runs, else ``size``, of draws,
    logs or trials.
    """

    name: str
    options: type[TableOptions]
    cells: Callable[[Any, Where], list[Cell]]
    remarks: Callable[[Any, Sequence[Cell]], list[str]] = lambda definition, cells: []
    definition: Mapping[str, Any] | None = None
    jobs: Callable[[Any, Where], Iterable[Job]] | None = None
    size: Callable[[Any], int] = lambda definition: 1


def names() -> list[str]:
    """The names of all tables: the files of configs/table, and the tables that installed kinds define."""
    return sorted({*packaged("table"), *_defined()})


def definition(name: str) -> dict[str, Any]:
    """The definition of a table, with its numbers of paper/published.yaml as ``published``.

    Raises:
        UpliftlensError: for an unknown name.
    """
    defined = _defined()
    if name in packaged("table"):
        with located(f"configs/table/{name}.yaml"):
            content = loaded((files("upliftlens.configs.table") / f"{name}.yaml").read_text())
            if not isinstance(content, Mapping):
                raise UpliftlensError("it is empty, or no mapping: state kind and title")
        return {**content, "published": published_of(name)}
    if name not in defined:
        raise unknown("table", name, names())
    return {**defined[name], "kind": name}


def _defined() -> dict[str, Mapping[str, Any]]:
    """The definitions of installed kinds by their names.

    Raises:
        UpliftlensError: for one that is no mapping, or has the name of a table that is there.
    """
    kinds: list[TableKind] = [entry("tables", point.name).value for point in installed("tables")]
    defined = {kind.name: kind.definition for kind in kinds if kind.definition is not None}
    for name, content in defined.items():
        if not isinstance(content, Mapping):
            raise UpliftlensError(f"the table {name}: its definition must be a mapping, got {content!r}")
        if name in packaged("table"):
            raise UpliftlensError(
                f"the table {name} of {entry('tables', name).file}: there is one of this name: rename it"
            )
    return defined


def table(name: str, where: Where, overrides: Sequence[str] = ()) -> Table:
    """Title, cells and remarks of a table; ``overrides`` KEY=VALUE replace top-level keys of its definition.

    Raises:
        UpliftlensError: for an unknown name, kind or key, data that can't be loaded, or a run that fails.
    """
    kind, options = checked(name, definition(name), overrides)
    file = entry("tables", kind.name).file
    try:
        cells = kind.cells(options, where)
        if not (isinstance(cells, list) and all(isinstance(cell, Cell) for cell in cells)):
            raise TypeError(f"cells must give a list of Cell, not {str(cells)[:60]}")
        remarks = kind.remarks(options, cells)
        if not isinstance(remarks, list):
            raise TypeError(f"remarks must give a list of sentences, not {str(remarks)[:60]!r}")
    except Exception as error:
        if isinstance(error, UpliftlensError) or not file:
            raise
        where_in = place_in(file, error) or file
        raise UpliftlensError(f"the table {name} ({where_in}): {type(error).__name__}: {error}") from error
    if not overrides:
        _check_columns(options, [cell.column for cell in cells])
    return assembled(options, marked(cells), remarks)


def retold(name: str, overrides: Sequence[str], cells: list[Cell]) -> Table:
    """The table of a definition from cells that were computed before.

    Raises:
        UpliftlensError: for an unknown name, kind or key.
    """
    kind, options = checked(name, definition(name), overrides)
    if not overrides:
        _check_columns(options, [cell.column for cell in cells])
    return assembled(options, cells, kind.remarks(options, cells))


def _check_columns(options: TableOptions, columns: Iterable[str]) -> None:
    """Refuses a published number of no column. Not called with overrides, which may have left columns out.

    Raises:
        UpliftlensError: with the nearest column.
    """
    known = dict.fromkeys(columns)
    for column in (column for of_row in options.published.values() for column in of_row):
        if column not in known:
            misspelt = unknown("published column", column, known)
            raise UpliftlensError(f"{misspelt}. A number of paper/published.yaml stands in it: which of them is right?")


def assembled(options: TableOptions, cells: list[Cell], remarks: Sequence[str]) -> Table:
    """The table of a definition with its cells and the ``remarks`` of its kind."""
    level = getattr(getattr(options, "interval", options), "level", None)
    return Table(options.title, cells, [*options.notes, *remarks, *paired_remarks(cells)], level, options.fixed)


def paired_remarks(cells: Sequence[Cell]) -> list[str]:
    """A sentence for each verdict on the paired differences of a column, with the rows that have it."""
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if " vs " in cell.column:
            rows.setdefault((cell.column, cell.verdict.partition(" (p ")[0]), []).append(cell.row)
    return [f"{column}: {verdict}: {', '.join(names)}." for (column, verdict), names in rows.items()]


def checked(name: str, content: Mapping[str, Any], overrides: Sequence[str] = ()) -> tuple[TableKind, Any]:
    """The kind of a table, and its options with what ``overrides`` replaces; the title lists the overrides.

    Values are written as in the definition, in YAML: ``draws=5``, ``seeds=[0,1]``, ``grid={model.dim: [2, 4]}``.

    Raises:
        UpliftlensError: for an override that isn't KEY=VALUE, an unknown kind or key, a value of a wrong type or out of
            its range.
    """
    with located(f"the table {name}"):
        kind: TableKind = entry("tables", content["kind"]).value
        changed = {key: value for key, value in content.items() if key != "kind"}
        known = [option.name for option in fields(kind.options) if option.name != "published"]
        for override in overrides:
            key, sign, text = override.partition("=")
            if not sign:
                raise UpliftlensError(f"'{override}' is no option of a table: write KEY=VALUE, as in draws=5")
            if key not in known:
                raise unknown("option", key, known)
            try:
                changed[key] = yaml.safe_load(text)
            except yaml.YAMLError:
                raise UpliftlensError(f"{override}: not a value in YAML") from None
        options = typed(kind.options, changed, "")
        if options.column_names is not None and not overrides:
            _check_columns(options, options.column_names)
    if overrides and options.title == content["title"]:
        options = replace(options, title=f"{options.title} ({' '.join(overrides)})")
    return kind, options


def judged(definition: TableOptions, row: str, column: str, lo: float, hi: float) -> tuple[float | None, str]:
    """The published number of a cell, None where there is none, and the verdict on the cell's interval beside it."""
    number = definition.published.get(row, {}).get(column)
    return (None, "") if number is None else (number.value, verdict(number, lo, hi))


def within(low: float, high: float, least: float, most: float) -> str:
    """The verdict on a share with the interval [low, high]: does it lie between ``least`` and ``most``?"""
    asked = f"{100 * least:g}–{100 * most:g} %"
    if least <= low and high <= most:
        return f"within {asked}"
    return f"outside {asked}" if high < least or most < low else f"undecided: the interval reaches beyond {asked}"
