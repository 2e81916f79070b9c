"""``upliftlens table NAME``: a paper's table, computed where it is missing, beside the published numbers.

A definition (configs/table/NAME.yaml) names its ``kind``, a function from the definition to cells. What is expensive
goes through the result store, so an interrupted table continues where it was.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from upliftlens.benchmarks.errors import UpliftlensError, unknown
from upliftlens.benchmarks.table_options import overridden

PACKAGE = "upliftlens.configs.table"


class Cell(NamedTuple):
    """One number of a table with its interval, the published one, and the runs behind it."""

    row: str
    column: str
    value: float
    lo: float
    hi: float
    published: float | None
    verdict: str
    keys: tuple[str, ...]


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


def table(name: str, where: Where, overrides: Sequence[str] = ()) -> tuple[str, list[Cell]]:
    """Title and cells of a table; ``overrides`` KEY=VALUE replace top-level keys of its definition.

    Raises:
        UpliftlensError: for an unknown name, kind or key, data that can't be had, or a run that fails.
    """
    from upliftlens.benchmarks.table_estimators import estimator_cells
    from upliftlens.benchmarks.table_runs import cross_validated_cells
    from upliftlens.benchmarks.table_uplift import uplift_cells
    from upliftlens.benchmarks.table_uplift_estimators import uplift_estimator_cells

    kinds = {
        "estimators": estimator_cells,
        "cross-validated": cross_validated_cells,
        "uplift-learners": uplift_cells,
        "uplift-estimators": uplift_estimator_cells,
    }
    content = overridden(definition(name), overrides)
    if content["kind"] not in kinds:
        raise unknown(f"kind of the table {name}", content["kind"], kinds)
    return content["title"], kinds[content["kind"]](content, where)


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


def rendered(title: str, cells: Sequence[Cell], how: str) -> str:
    """The table as "md", "latex" or "json".

    Raises:
        UpliftlensError: for another format.
    """
    if how == "json":
        return json.dumps([cell._asdict() for cell in cells], indent=1)
    if how not in ("md", "latex"):
        raise UpliftlensError(f"a table is written as md, latex or json, not as {how}")
    rows, columns = (list(dict.fromkeys(getattr(cell, side) for cell in cells)) for side in ("row", "column"))
    at = {(cell.row, cell.column): cell for cell in cells}
    body = [[row, *(_text(at.get((row, column))) for column in columns)] for row in rows]
    if how == "md":
        head = [f"**{title}**", "", f"| | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 1)}"]
        return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in body), "", LEGEND])
    lines = [" & ".join(["", *columns]), *(" & ".join(line) for line in body)]
    rules = [r"\begin{tabular}{l" + "r" * len(columns) + "}", r"\hline"]
    text = [*rules, *(_escaped(line) + r" \\" for line in lines), r"\hline", r"\end{tabular}"]
    return "\n".join([f"% {title}", f"% {LEGEND}", *text])


LEGEND = "Each cell: ours [95 % interval]; published; verdict."


def _text(cell: Cell | None) -> str:
    if cell is None:
        return ""
    ours = f"{cell.value:.3f} [{cell.lo:.3f}, {cell.hi:.3f}]"
    published = None if cell.published is None else f"{cell.published:.3f}"
    return "; ".join(filter(None, (ours, published, cell.verdict)))


def _escaped(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%")
