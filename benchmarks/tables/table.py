"""``upliftlens table NAME``: a paper's table, computed where it is missing, beside the published numbers.

A definition (configs/table/NAME.yaml) names its ``kind``, a module with a function from the definition to cells, and
perhaps one, ``remarks``, from the cells to sentences about them. What is expensive goes through the result store, so an
interrupted table continues where it was.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from upliftlens.benchmarks.reports.render import latex, markdown
from upliftlens.benchmarks.tables.options import overridden
from upliftlens.causal.errors import UpliftlensError, unknown

PACKAGE = "upliftlens.configs.table"


class Cell(NamedTuple):
    """One number of a table with its interval, the published one, the runs behind it, and whether they saw MAR data.

    MAR data: ratings of pairs at random, beside the log, as some propensities and imputations do.
    """

    row: str
    column: str
    value: float
    lo: float
    hi: float
    published: float | None
    verdict: str
    keys: tuple[str, ...]
    uses_mar_data: bool = False


class Table(NamedTuple):
    """A table ready to be written: ``remarks`` are sentences on what its cells say."""

    title: str
    cells: list[Cell]
    remarks: list[str]


class Where(NamedTuple):
    """Folders of the result store and of downloaded data, and how to tell what happens."""

    store: Path
    cache: Path
    say: Callable[[str], None]


def names() -> list[str]:
    """The tables that there are."""
    found = (path.name for path in files(PACKAGE).iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def definition(name: str) -> dict[str, Any]:
    """The definition of a table.

    Raises:
        UpliftlensError: for an unknown name.
    """
    if name not in names():
        raise unknown("table", name, names())
    content = yaml.safe_load((files(PACKAGE) / f"{name}.yaml").read_text())
    assert isinstance(content, dict)
    return content


KINDS = {
    "estimators": ("upliftlens.benchmarks.tables.estimators", "estimator_cells"),
    "cross-validated": ("upliftlens.benchmarks.tables.cross_validated", "cross_validated_cells"),
    "tuned": ("upliftlens.benchmarks.tables.tuned", "tuned_cells"),
    "robustness": ("upliftlens.benchmarks.tables.robustness", "robustness_cells"),
    "uplift-learners": ("upliftlens.benchmarks.tables.uplift", "uplift_cells"),
    "uplift-estimators": ("upliftlens.benchmarks.tables.uplift_estimators", "uplift_estimator_cells"),
}
"""Module and function (definition, Where) -> cells of every kind of table; imported when one of it is asked for."""


def table(name: str, where: Where, overrides: Sequence[str] = ()) -> Table:
    """Title, cells and remarks of a table; ``overrides`` KEY=VALUE replace top-level keys of its definition.

    Raises:
        UpliftlensError: for an unknown name, kind or key, data that can't be had, or a run that fails.
    """
    content = overridden(definition(name), overrides)
    if content["kind"] not in KINDS:
        raise unknown(f"kind of the table {name}", content["kind"], KINDS)
    path, function = KINDS[content["kind"]]
    module = import_module(path)
    cells = getattr(module, function)(content, where)
    remarks = module.remarks(content, cells) if hasattr(module, "remarks") else []
    return Table(content["title"], cells, remarks)


def judged(content: Mapping[str, Any], row: str, column: str) -> Callable[[float], tuple[float | None, str]]:
    """The published number of a cell, and the verdict: "reproduced" within the table's tolerance, or "differs"."""
    published = content["published"].get(row, {}).get(column)
    tolerance = content["tolerance"].get(column)

    def verdict(value: float) -> tuple[float | None, str]:
        if published is None:
            return None, ""
        if tolerance is None:
            return published, "indicative"
        return published, "reproduced" if abs(value - published) <= tolerance else "differs"

    return verdict


def rendered(made: Table, how: str) -> str:
    """The table as "md", "latex" or "json" (the cells alone); paired differences, columns ``X vs ROW``, come apart.

    Raises:
        UpliftlensError: for another format.
    """
    if how == "json":
        return json.dumps([cell._asdict() for cell in made.cells], indent=1)
    if how not in ("md", "latex"):
        raise UpliftlensError(f"a table is written as md, latex or json, not as {how}")
    parts = [[cell for cell in made.cells if (" vs " in cell.column) == paired] for paired in (False, True)]
    bodies = [_lines(part) for part in parts if part]
    if how == "md":
        tables = [text for head, *body in bodies for text in ("", markdown(head, body, "---"))]
        return "\n".join([f"**{made.title}**", *tables, "", *legend(made), *(f"- {one}" for one in made.remarks)])
    comments = [f"% {one}" for one in (made.title, *legend(made), *made.remarks)]
    return "\n".join([*comments, *(latex(head, body, len(head) - 1) for head, *body in bodies)])


def legend(made: Table) -> list[str]:
    """What the words in the cells mean, as far as they occur."""
    lines = ["Each cell: ours [95 % interval]; published; verdict."]
    if any("(p " in cell.verdict for cell in made.cells):
        lines.append(
            "Columns with vs hold paired differences, first − second. p: how often chance alone would make one as "
            "large, corrected for the number of differences in the column (Holm)."
        )
    if any(cell.uses_mar_data for cell in made.cells):
        lines.append("MAR data: ratings of pairs chosen at random (missing at random), used beside the log.")
    return lines


def _lines(cells: Sequence[Cell]) -> list[list[str]]:
    """The head and a line per row."""
    rows, columns = (list(dict.fromkeys(getattr(cell, side) for cell in cells)) for side in ("row", "column"))
    at = {(cell.row, cell.column): cell for cell in cells}
    return [["", *columns], *([row, *(_text(at.get((row, column))) for column in columns)] for row in rows)]


def _text(cell: Cell | None) -> str:
    if cell is None:
        return ""
    ours = f"{cell.value:.3f} [{cell.lo:.3f}, {cell.hi:.3f}]"
    published = None if cell.published is None else f"{cell.published:.3f}"
    return "; ".join(filter(None, (ours, published, cell.verdict, "uses MAR data" if cell.uses_mar_data else None)))
