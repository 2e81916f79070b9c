"""One cell of a table and the runs behind it, each with the command that repeats it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from upliftlens.benchmarks.runs.records import plain
from upliftlens.benchmarks.runs.repeat import repeating
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.committed.files import read
from upliftlens.benchmarks.tables.table import Table
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.intervals import Summary


class Traced(NamedTuple):
    """A run behind a cell: its ``metrics`` that the table reads, the ``words`` that repeat it, and its source."""

    key: str
    metrics: Mapping[str, Summary]
    words: Sequence[str]
    data: Mapping[str, str]
    split: Mapping[str, str]
    seconds: float

    @property
    def command(self) -> str:
        """The command that repeats the run, or finds it."""
        return shlex.join(["upliftlens", "run", *self.words])


class Trace(NamedTuple):
    """A ``cell``, and the runs behind it."""

    table: str
    cell: Cell
    runs: list[Traced]


def of_cell(name: str, table: Table, row: str, column: str) -> Trace:
    """The trace of a cell of a computed table.

    Raises:
        UpliftlensError: for an unknown row or column.
    """
    cell = _cell(table.cells, row, column)
    runs = [Traced(run.key, run.metrics, repeating(run.config), run.data, run.split, run.seconds) for run in cell.runs]
    return Trace(name, cell, runs)


def of_committed(folder: Path, name: str, row: str, column: str) -> Trace:
    """The trace of a cell of a committed table, from its records.

    Raises:
        UpliftlensError: for an unknown row or column, a table without records, and a record that is missing.
    """
    committed = read(folder, name)
    cell = _cell(committed.cells, row, column)
    if committed.shared is None:
        raise UpliftlensError(f"{folder} holds no records of {name}: `upliftlens table {name} --check` says what to do")
    runs = []
    for key in cell.keys:
        if key not in committed.lines:
            raise UpliftlensError(f"{name}.records.jsonl has no record of the run {key}: `--check` says what is wrong")
        try:
            run, words = committed.ran(key, {}), committed.words(key)
        except (KeyError, IndexError, TypeError) as error:
            why = f"the record of {key} is damaged ({type(error).__name__}: {error})"
            raise UpliftlensError(f"{name}.records.jsonl: {why}: `--check` says what is wrong") from error
        runs.append(Traced(key, run.metrics, words, run.data, run.split, run.seconds))
    return Trace(name, cell, runs)


def _cell(cells: Sequence[Cell], row: str, column: str) -> Cell:
    rows, columns = (dict.fromkeys(getattr(cell, side) for cell in cells) for side in ("row", "column"))
    for what, asked, known in (("row", row, rows), ("column", column, columns)):
        if asked not in known:
            raise unknown(f"{what} of the table", asked, known)
    for cell in cells:
        if (cell.row, cell.column) == (row, column):
            return cell
    there = ", ".join(cell.column for cell in cells if cell.row == row)
    raise UpliftlensError(f"row {row} has no column {column}: it has {there}")


def as_lines(trace: Trace) -> str:
    """A trace for people: the cell, how it follows from the runs, and each run with its command."""
    cell, n = trace.cell, len(trace.runs) - trace.cell.against
    ours = f"{cell.value:.6g} [{cell.lo:.6g}, {cell.hi:.6g}]"
    published = None if cell.published is None else f"published {cell.published:g}"
    first = "; ".join(filter(None, (ours, published, cell.verdict)))
    how = {
        "": f"computed from {cell.metric} of {n} runs"
        if trace.runs
        else f"no runs are behind it: `upliftlens table {trace.table}` computes it again",
        "mean": f"the mean of {cell.metric} over {n} runs",
        "difference": f"the mean of {cell.metric} over the first {n} runs − that over the last {cell.against}",
        "ratio": f"the mean of {cell.metric} over the first {n} runs ÷ that over the last {cell.against}",
    }[cell.rule]
    lines = [f"{trace.table}, row {cell.row}, column {cell.column}: {first}", f"{how}."]
    for run in trace.runs:
        metric = run.metrics.get(cell.metric)
        value = "" if metric is None else f"  {cell.metric} {metric.value:.6g} [{metric.lo:.4g}, {metric.hi:.4g}]"
        source = f"data {run.data['fingerprint'][:16]}, split {run.split['fingerprint'][:16]}"
        lines += [f"{run.key}{value}  ({source}, {run.seconds:.3g} s)", f"  {run.command}"]
    return "\n".join(lines)


def as_plain(trace: Trace) -> dict[str, Any]:
    """A trace as plain data."""
    cell = {name: value for name, value in trace.cell._asdict().items() if name != "runs"}
    runs = [{**run._asdict(), "words": list(run.words), "command": run.command} for run in trace.runs]
    metrics = [{name: metric._asdict() for name, metric in run.metrics.items()} for run in trace.runs]
    together = [{**run, "metrics": of_run} for run, of_run in zip(runs, metrics, strict=True)]
    return dict(plain({"table": trace.table, "cell": cell, "runs": together}))
