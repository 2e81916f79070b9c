"""Whether the committed files of a table say what its records, its definition and today's code say. Nothing is trained.

A fault is a sentence that names the table and the row and column, or the key. Checked are the checksums of cells and
records; that the text is rendered from the cells; that published numbers, verdicts and marks are those of the
definition and the runs; that a value follows from its runs; that no record is missing, none extra; and that the
configuration of each gives its key with today's code (a plugin's version and source, options, defaults).
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from upliftlens.benchmarks.config.choices import groups
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import keys
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.tables.cells import Cell, Ran, following
from upliftlens.benchmarks.tables.committed.files import DIGITS, Committed, content_key, read
from upliftlens.benchmarks.tables.marks import marked
from upliftlens.benchmarks.tables.run import configured
from upliftlens.benchmarks.tables.table import Where, checked, definition, judged, names, retold
from upliftlens.benchmarks.tables.written import rendered
from upliftlens.causal.errors import UpliftlensError, as_sentence, unknown


class Checked(NamedTuple):
    """The ``faults`` of a table's files, each a sentence; ``verified``: what was and what was not checked."""

    table: str
    faults: list[str]
    verified: str


def check(folder: Path, asked: Sequence[str] = ()) -> list[Checked]:
    """Checks the committed files of the tables in ``asked``; empty: of all tables.

    Raises:
        UpliftlensError: for an unknown table, a folder that is not there, or a table of ``asked`` without cells in it.
    """
    known = names()
    for name in asked:
        if name not in known:
            raise unknown("table", name, known)
    if not folder.is_dir():
        raise UpliftlensError(f"there is no folder {folder}: write `upliftlens table NAME --check FOLDER`")
    return [_alone(folder, name) for name in asked or known if asked or (folder / f"{name}.json").exists()]


def _alone(folder: Path, name: str) -> Checked:
    """One table: a definition that is wrong is a fault of its table and hides no other."""
    try:
        return _checked(folder, name)
    except UpliftlensError as error:
        if not (folder / f"{name}.json").exists():
            raise
        return Checked(name, [f"{name}: {as_sentence(error)}"], "")


def _checked(folder: Path, name: str) -> Checked:
    committed = read(folder, name)
    faults = list(committed.faults)
    runs: dict[str, Ran] = {}
    if not faults:  # of files that were changed by hand, the rest would be said twice
        for key in committed.lines:
            try:
                runs[key] = _run(committed, key)
            except (UpliftlensError, KeyError, IndexError, TypeError, ValueError) as error:
                faults.append(f"key {key}: {_reason(error)}")
        if not faults:
            faults += _faults(name, committed, runs)
    changed = "" if committed.shared is None else " ".join(committed.shared.get("overrides", ()))
    loose = sum(not cell.rule for cell in committed.cells)
    if not runs:
        rest = f"no run is behind them, so the values are not verified: `upliftlens table {name}` computes them again"
        verified = f"{len(committed.cells)} cells agree with their text and the definition; {rest}"
    else:
        verified = (
            f"{len(committed.cells) - loose} cells follow from {len(runs)} runs, whose keys are those of today's code"
            + f"; {loose} cells are no means of runs, their values are not verified" * bool(loose)
            + "; not verified: intervals, and what data and training give"
        )
    if changed:
        verified = f"computed with {changed}, not as its definition states: {verified}"
    return Checked(name, [f"{name}, {fault}" for fault in faults], verified)


def _run(committed: Committed, key: str) -> Ran:
    """A run with the configuration that its words compose today.

    Raises:
        UpliftlensError: for words that don't, and a key that is another one today.
    """
    nowhere = Path()
    words = committed.words(key)
    choosing = [word for word in words if word.partition("=")[0] in (*groups(), "model.file")]
    configuration = configured(
        choosing, [word for word in words if word not in choosing], Where(nowhere, nowhere, quiet.say)
    )
    source = committed.source(key)
    parts = (source["data"]["fingerprint"], source["split"]["fingerprint"], source["treated"])
    _, today, _ = keys(plan(configuration), *parts)
    if today != key:
        raise UpliftlensError(
            f"stale: with today's code its configuration has the key {today} (a version, an option or a default "
            "changed), so the table has to be computed again"
        )
    return committed.ran(key, configuration.content)


def _reason(error: Exception) -> str:
    if isinstance(error, UpliftlensError):
        return as_sentence(error)
    return f"its record lacks something ({type(error).__name__}: {error})"


def _faults(name: str, committed: Committed, runs: dict[str, Ran]) -> Iterator[str]:
    """What is wrong beyond single lines."""
    assert committed.shared is not None
    overrides = committed.shared["overrides"]
    if committed.shared["definition"] != content_key(name, overrides):
        yield "its definition: it was changed since the table was computed, so it has to be computed again"
    behind = {key for cell in committed.cells for key in cell.keys}
    missing = behind.difference(runs)
    yield from (f"key {key}: its record is missing, and cells rest on it" for key in sorted(missing))
    yield from (f"key {key}: a record that no cell rests on" for key in sorted(set(runs).difference(behind)))
    options = checked(name, definition(name), overrides)[1]
    whole = [cell for cell in committed.cells if missing.isdisjoint(cell.keys)]
    complete = [cell._replace(runs=tuple(committed.of_row(runs[key], cell.row) for key in cell.keys)) for cell in whole]
    for cell, again in zip(complete, marked(complete), strict=True):
        where = f"row {cell.row}, column {cell.column}"
        value = following(cell) if all(cell.metric in run.metrics for run in cell.runs) else math.nan
        if value is not None and not _near(cell, value):
            yield f"{where}: the cell is {cell.value}, and its runs give {value:.{DIGITS}g}"
        if " vs " not in cell.column and not missing:
            published, verdict = judged(options, cell.row, cell.column, cell.lo, cell.hi)
            if cell.published != published or (published is not None and not cell.verdict.startswith(verdict)):
                stands = f"{cell.published}, {cell.verdict or 'no verdict'}"
                yield f"{where}: published {stands}, and by the definition {published}, {verdict or 'no verdict'}"
        if cell.marks != again.marks and not missing:
            yield f"{where}: marked {', '.join(cell.marks) or 'as nothing'}, its runs {', '.join(again.marks) or 'not'}"
    yield from _of_text(name, committed, overrides)


def _near(cell: Cell, value: float) -> bool:
    """Whether the value of a cell is a value that follows from its runs, cut to ``DIGITS``."""
    if math.isnan(value) or cell.value == 0:
        return cell.value == value
    last = 10.0 ** (math.floor(math.log10(abs(cell.value))) - DIGITS + 1)
    largest = max(abs(run.metrics[cell.metric].value) for run in cell.runs)
    return abs(value - cell.value) <= 0.51 * last + 1e-11 * largest


def _of_text(name: str, committed: Committed, overrides: Sequence[str]) -> Iterator[str]:
    """Where the text is not what the cells give: the first such place."""
    try:
        lines = str(rendered(retold(name, overrides, committed.cells), "md")).splitlines()
    except Exception as error:  # remarks of a kind count on all cells
        yield f"{name}.md: its remarks can't be written from these cells ({type(error).__name__}: {error})"
        return
    there = [] if committed.text is None else committed.text.splitlines()
    if there == lines:
        return
    number = next((n for n, pair in enumerate(zip(there, lines)) if pair[0] != pair[1]), min(len(there), len(lines)))
    stands, gives = (some[number] if number < len(some) else "nothing" for some in (there, lines))
    place, first = f"line {number + 1} of {name}.md", (stands, gives)
    parts: tuple[list[Any], list[Any]] = stands.split(" | "), gives.split(" | ")
    if gives.startswith("| ") and len(parts[0]) == len(parts[1]):
        column = next((n for n, pair in enumerate(zip(*parts)) if pair[0] != pair[1]), 0)
        head = next((line for line in reversed(lines[: number + 1]) if line.startswith("|  |")), gives).split(" | ")
        place += f", row {parts[1][0].strip('| ')}" + f", column {head[column].strip('| ')}" * bool(column)
        first = parts[0][column].strip("| "), parts[1][column].strip("| ")
    yield f"{place}: it says '{first[0]}', and the cells give '{first[1]}'"
