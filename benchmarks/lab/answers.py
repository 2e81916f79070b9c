"""What the Lab answers with: text for people, a DataFrame for further work, and the records behind both."""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import pandas as pd

from upliftlens.benchmarks.reports.methods import Compared, as_text
from upliftlens.benchmarks.reports.sheet import Sheet, render
from upliftlens.benchmarks.sweeps.search import Search
from upliftlens.benchmarks.tables.table import Table, rendered

Content = TypeVar("Content")


class Answer(Generic[Content]):
    """An answer: ``print`` shows ``text``, a notebook the table; ``content`` is what both were made of."""

    def __init__(self, content: Content, text: str, frame: pd.DataFrame, remarks: Sequence[str] = ()) -> None:
        self.content, self.text, self.remarks = content, text, tuple(remarks)
        self._frame = frame

    def to_pandas(self) -> pd.DataFrame:
        """The answer as a DataFrame, a row per run, method, pair or cell."""
        return self._frame.copy()

    def __repr__(self) -> str:
        return "\n".join([self.text, *self.remarks]) if isinstance(self.content, Sheet) else self.text

    def _repr_html_(self) -> str:
        notes = "".join(f"<p><small>{_escaped(remark)}</small></p>" for remark in self.remarks)
        return self._frame.to_html(index=False, na_rep="") + notes


def _escaped(sentence: str) -> str:
    return sentence.replace("&", "&amp;").replace("<", "&lt;")


def of_sheet(sheet: Sheet, remarks: Sequence[str]) -> Answer[Sheet]:
    """A table of results: the columns of `upliftlens results`, and of each metric its value, lo, hi and n."""
    lines = []
    for row in sheet.rows:
        parts = {
            f"{name}{end}": value
            for name, metric in row.metrics.items()
            for end, value in zip(("", "/lo", "/hi", "/n"), metric, strict=True)
        }
        lines.append({**{name: row.cells.get(name) for name in sheet.columns}, **parts})
    names = [f"{name}{end}" for name in sheet.metrics for end in ("", "/lo", "/hi", "/n")]
    frame = pd.DataFrame(lines, columns=[*sheet.columns, *names])
    return Answer(sheet, str(render(sheet, "md")), frame, remarks)


def of_comparison(pairs: Sequence[Compared]) -> Answer[Sequence[Compared]]:
    """Compared methods, a row per pair."""
    lines = [
        {
            "first_method": pair.names[0],
            "second_method": pair.names[1],
            **pair.comparison._asdict(),
            "verdict": pair.verdict,
        }
        for pair in pairs
    ]
    return Answer(pairs, "\n".join(as_text(pairs)), pd.DataFrame(lines))


def of_table(table: Table) -> Answer[Table]:
    """A table of a paper or of a benchmark, a row per cell."""
    frame = pd.DataFrame([cell._asdict() for cell in table.cells])
    return Answer(table, rendered(table, "md"), frame, table.remarks)


class Tuned(NamedTuple):
    """A search: its ``trials`` as an answer, a row each, and the ``run`` of the best one."""

    trials: Answer[Search]
    run: Any


def of_search(search: Search) -> Answer[Search]:
    """The trials of a search, with their criterion on validation rows; NaN where a trial failed."""
    lines = [
        {
            "trial": number,
            "options": " ".join(trial.changes) or "as configured",
            "criterion": trial.criterion,
            "best": number == search.best + 1,
        }
        for number, trial in enumerate(search.trials, 1)
    ]
    frame = pd.DataFrame(lines)
    return Answer(search, frame.to_string(index=False), frame)
