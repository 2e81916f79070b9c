"""What the Lab answers with: text for people, a DataFrame for further work, and the records behind both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table as Drawn

from upliftlens.benchmarks.reports.render import FORMATS, Format, as_csv, latex, markdown
from upliftlens.benchmarks.reports.sheet import Sheet, render
from upliftlens.benchmarks.runs.records import Record, dumps, to_json
from upliftlens.causal.errors import unknown

if TYPE_CHECKING:
    import pandas as pd

    from upliftlens.benchmarks.data.card import Card
    from upliftlens.benchmarks.data.problems import BadData
    from upliftlens.benchmarks.data.registry import Listed
    from upliftlens.benchmarks.reports.methods import Compared
    from upliftlens.benchmarks.sweeps.search import Search
    from upliftlens.benchmarks.tables.committed.check import Checked
    from upliftlens.benchmarks.tables.committed.trace import Trace
    from upliftlens.benchmarks.tables.ledger import Line
    from upliftlens.benchmarks.tables.table import Table

Content = TypeVar("Content")
Form = Callable[[], str | RenderableType]


class Answer(Generic[Content]):
    """An answer: ``print`` shows ``text``, a notebook the table; ``content`` is what both were made of.

    ``forms``: what writes the answer, by the name of the format; ``text`` is in the first. ``remarks``: what was left
    out, and how to read it; ``legend``: what its intervals are over. ``in_text``: the text has the remarks already.
    """

    def __init__(
        self,
        content: Content,
        forms: Mapping[str, Form],
        frame: Callable[[], "pd.DataFrame"],
        remarks: Sequence[str] = (),
        legend: Sequence[str] = (),
        in_text: bool = False,
    ) -> None:
        self.content, self.remarks, self.legend = content, tuple(remarks), tuple(legend)
        self._forms, self._frame, self._in_text = forms, frame, in_text

    @property
    def text(self) -> str:
        """The answer for people."""
        return str(self.render(next(iter(self._forms))))

    def render(self, form: str) -> str | RenderableType:
        """The answer in a format of the command line's ``--format``; "table", for a terminal, is a table of rich.

        Raises:
            UpliftlensError: for a format that it can't be written in.
        """
        if form not in self._forms:
            raise unknown("format", form, self._forms)
        return self._forms[form]()

    def to_pandas(self) -> "pd.DataFrame":
        """The answer as a DataFrame, a row per run, method, pair, cell, data set or problem."""
        return self._frame()

    def __repr__(self) -> str:
        remarks = () if self._in_text else self.remarks
        return "\n".join(filter(None, [self.text, *remarks, *self.legend]))

    def _repr_html_(self) -> str:
        notes = "".join(f"<p><small>{_escaped(remark)}</small></p>" for remark in (*self.remarks, *self.legend))
        return self.to_pandas().to_html(index=False, na_rep="") + notes


def _escaped(sentence: str) -> str:
    return sentence.replace("&", "&amp;").replace("<", "&lt;")


def of_sheet(sheet: Sheet, remarks: Sequence[str], legend: Sequence[str] = ()) -> Answer[Sheet]:
    """A table of results: the columns of `upliftlens results`, and of each metric its value, lo, hi and n."""

    def frame() -> "pd.DataFrame":
        lines = []
        for row in sheet.rows:
            parts = {
                f"{name}{end}": value
                for name, metric in row.metrics.items()
                for end, value in zip(("", "/lo", "/hi", "/n"), metric, strict=True)
            }
            lines.append({**{name: row.cells.get(name) for name in sheet.columns}, **parts})
        names = [f"{name}{end}" for name in sheet.metrics for end in ("", "/lo", "/hi", "/n")]
        return _frame(lines, columns=[*sheet.columns, *names])

    names: tuple[Format, ...] = ("md", *FORMATS)  # a form for people first
    forms: dict[str, Form] = {form: partial(render, sheet, form) for form in names}
    return Answer(sheet, forms, frame, remarks, legend)


def of_records(records: Sequence[Record], remarks: Sequence[str]) -> Answer[Sequence[Record]]:
    """Records as they are stored, a row each; nested entries are columns such as ``config.train.lr``."""
    as_dicts = [to_json(record) for record in records]
    return Answer(records, {"json": partial(dumps, as_dicts)}, partial(_normalised, as_dicts), remarks)


def of_comparison(pairs: "Sequence[Compared]") -> "Answer[Sequence[Compared]]":
    """Compared methods, a row per pair."""
    from upliftlens.benchmarks.reports.methods import as_json, as_text

    lines = [
        {
            "first_method": pair.names[0],
            "second_method": pair.names[1],
            **pair.comparison._asdict(),
            "verdict": pair.verdict,
        }
        for pair in pairs
    ]
    return Answer(
        pairs,
        {"text": lambda: "\n".join(as_text(pairs)), "json": partial(as_json, pairs)},
        partial(_frame, lines),
    )


def of_table(table: "Table", form: Format = "md") -> "Answer[Table]":
    """A table of a paper or of a benchmark, a row per cell; its text is in the format ``form``."""
    from upliftlens.benchmarks.tables.written import plain_cell, rendered

    lines = [plain_cell(cell) for cell in table.cells]
    forms: dict[str, Form] = {name: partial(rendered, table, name) for name in (form, *FORMATS)}
    return Answer(table, forms, partial(_frame, lines), table.remarks, in_text=True)


def of_ledger(lines: "Sequence[Line]") -> "Answer[Sequence[Line]]":
    """Published numbers beside ours, a row each; the remarks count the verdicts."""
    from upliftlens.benchmarks.tables.ledger import HEAD, as_dicts, as_text, summary, texts

    cells, plain = texts(lines), as_dicts(lines)
    forms: dict[str, Form] = {
        "text": partial(as_text, lines),
        "md": partial(markdown, HEAD, cells),
        "latex": partial(latex, HEAD, cells, 0),
        "csv": partial(as_csv, list(plain[0]), [list(line.values()) for line in plain]),
        "json": partial(dumps, plain),
    }
    return Answer(lines, forms, partial(_frame, plain), summary(lines))


def of_trace(trace: "Trace") -> "Answer[Trace]":
    """A cell of a table, a row per run behind it."""
    from upliftlens.benchmarks.tables.committed.trace import as_lines, as_plain

    content = as_plain(trace)
    forms: dict[str, Form] = {"text": partial(as_lines, trace), "json": partial(dumps, content)}
    return Answer(trace, forms, partial(_normalised, content["runs"]))


def of_checks(checks: "Sequence[Checked]") -> "Answer[Sequence[Checked]]":
    """What is wrong with committed tables, a row per table."""
    lines = [line for each in checks for line in (each.faults or [f"{each.table}: {each.verified}"])]
    frame = partial(_frame, [each._asdict() for each in checks])
    return Answer(checks, {"text": lambda: "\n".join(lines)}, frame)


class Tuned(NamedTuple):
    """A search: its ``trials`` as an answer, a row each, and the ``run`` of the best one."""

    trials: "Answer[Search]"
    run: Any


def of_search(search: "Search") -> "Answer[Search]":
    """The trials of a search, with their criterion on validation rows; NaN where a trial failed."""
    frame = _frame(
        {
            "trial": number,
            "options": " ".join(trial.changes) or "as configured",
            "criterion": trial.criterion,
            "best": number == search.best + 1,
        }
        for number, trial in enumerate(search.trials, 1)
    )
    return Answer(search, {"text": lambda: frame.to_string(index=False)}, frame.copy)


def of_listing(rows: "Sequence[Listed]") -> "Answer[Sequence[Listed]]":
    """Known data sets, a row each."""
    head = ["data", "users", "items", "rows", "state", "terms"]
    numbers = (["" if n is None else f"{n:,}" for n in row[1:4]] for row in rows)
    lines = [[row.name, *texts, row.ready, row.terms] for row, texts in zip(rows, numbers, strict=True)]
    return Answer(
        rows,
        {"md": partial(markdown, head, lines), "table": partial(_drawn, lines, *head)},
        lambda: _frame(rows, columns=head).convert_dtypes(),
    )


def of_card(card: "Card") -> "Answer[Card]":
    """The card of a data set, a row per fact."""
    from upliftlens.benchmarks.data.card import rows_of

    name, lines = card.data.name, rows_of(card)
    return Answer(
        card,
        {
            "md": partial(markdown, ("", name), lines),
            "table": partial(_drawn, lines, title=escape(name), show_header=False),
        },
        partial(_frame, lines, columns=["fact", "value"]),
    )


def of_check(report: "BadData | None", what: str, good: str = "") -> "Answer[BadData | None]":
    """The problems of ``what``, a row each, ``more``: how many other lines have the fault; the remark sums them up, or
    is ``good`` where there are none.
    """
    problems = [] if report is None else [(problem, report.more.get(problem, 0)) for problem in report.problems]
    lines = []
    for problem, more in problems:
        lines += [str(problem), *[f"… and {more:,} more line{'s' * (more > 1)} with this fault"] * (more > 0)]
    if report is not None:
        spoken = sum(1 + more for _, more in problems)
        shown = "" if report.count == spoken else f", the first {len(problems)} of them above"
        good = f"{what}: {report.count:,} problem{'s' * (report.count > 1)}{shown}"
    frame = partial(_frame, [{**problem._asdict(), "more": more} for problem, more in problems])
    return Answer(report, {"text": lambda: "\n".join(lines)}, frame, [good])


def _frame(lines: Iterable[Any], columns: list[str] | None = None) -> "pd.DataFrame":
    import pandas as pd  # a table for a terminal can do without it, and it is slow to load

    return pd.DataFrame(lines, columns=columns)


def _normalised(lines: list[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.json_normalize(lines)


def _drawn(lines: Sequence[Sequence[str]], *head: str, **style: Any) -> Drawn:
    """A table of rich."""
    table = Drawn(*head, **style)
    for line in lines:
        table.add_row(*map(escape, line))
    return table
