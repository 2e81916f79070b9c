"""``Stored``: a folder of records, and what can be read from it without a new run.

A method imports what it calls: to read records takes no JAX, which is slow to load.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upliftlens.benchmarks.config.choices import default
from upliftlens.benchmarks.lab.answers import Answer, of_comparison, of_records, of_sheet
from upliftlens.benchmarks.reports.sheet import Sheet, gathered, selected
from upliftlens.benchmarks.reports.sorting import doubts, sorted_rows
from upliftlens.benchmarks.runs.store import Store, existing_store, readable_records
from upliftlens.benchmarks.system.talk import say
from upliftlens.causal.errors import UpliftlensError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from upliftlens.benchmarks.lab.run import Run
    from upliftlens.benchmarks.reports.methods import Compared
    from upliftlens.benchmarks.runs.records import Record


class Stored:
    """The finished runs of a folder of records (``store``); ``cache``: of downloads and compiled programs."""

    def __init__(self, store: str | Path | None = None, cache: str | Path | None = None) -> None:
        stated = {"store": store, "cache": cache}
        self._folders = {name: Path(path).expanduser().absolute() for name, path in stated.items() if path is not None}
        self.store = self._folders.get("store", Path(default("store")))
        self.cache = self._folders.get("cache", Path(default("cache", "cache.yaml")).expanduser())

    def results(
        self,
        where: Sequence[str] | str = (),
        metrics: Sequence[str] | str = (),
        over: Sequence[str] | str = (),
        sort: str | None = None,
        top: int | None = None,
    ) -> Answer[Sheet]:
        """The finished runs of the store, a row each, or averaged over fields such as "seed"; ``where``: conditions
        such as "model=mf", "seed<3"; ``sort``: by a metric, the best first, or a column; ``top`` rows of them.

        Raises:
            UpliftlensError: for an unknown field or metric.
        """
        sheet, remarks, legend = gathered(self._store, _several(where), _several(metrics), _several(over))
        return of_sheet(sorted_rows(sheet, sort, top), [*remarks, *doubts(sheet, sort)], legend)

    def records(self, where: Sequence[str] | str = ()) -> "Answer[Sequence[Record]]":
        """All that is stored of runs that meet the conditions, failed and running ones too; no trials unless ``where``
        names ``trial``.

        Raises:
            UpliftlensError: for an unknown field.
        """
        return of_records(*selected(self._store, _several(where)))

    def runs(self, where: Sequence[str] | str = ()) -> "list[Run]":
        """The finished runs that meet the conditions, trials left out.

        Raises:
            UpliftlensError: for an unknown field.
        """
        from upliftlens.benchmarks.reports.methods import finished

        return [self._run(record) for record in finished(readable_records(Store(self.store)), _several(where))]

    def open(self, key: str) -> "Run":
        """The run whose key begins with ``key``.

        Raises:
            UpliftlensError: if none or several do.
        """
        from upliftlens.benchmarks.runs.opened import find_run

        return self._run(find_run(readable_records(self._store), key))

    def compare(
        self,
        *methods: str,
        metric: str | None = None,
        where: Sequence[str] | str = (),
        baseline: str | None = None,
        margin: float | None = None,
    ) -> "Answer[Sequence[Compared]]":
        """Methods, paired over users and seeds, all with all or each with a ``baseline``.

        ``metric`` may stand after the methods, ``compare("mf", "ials", "recall@10")``; ndcg@10 where none is stated.

        Raises:
            UpliftlensError: for methods that can't be compared.
        """
        from upliftlens.benchmarks.metrics.registry import is_metric
        from upliftlens.benchmarks.reports.methods import compared

        if metric is None and methods and is_metric(methods[-1]):
            *methods_alone, metric = methods
        else:
            methods_alone = list(methods)
        named = metric or "ndcg@10"
        return of_comparison(compared(self._store, methods_alone, named, _several(where), baseline, margin))

    def groups(
        self, *methods: str, by: str, metrics: Sequence[str] | str, where: Sequence[str] | str = ()
    ) -> Answer[Sheet]:
        """Metrics by group of users: ``by`` a column of the data's table of users; each group against all others.

        Raises:
            UpliftlensError: for an unknown method, metric or column, or a column without groups.
        """
        from upliftlens.benchmarks.reports.groups import EXPLAINED, groups

        sheet = groups(self._store, self.cache, methods, by, _several(metrics), _several(where), say)
        return of_sheet(sheet, [EXPLAINED])

    def recommend(
        self, key: str, user: Any = None, k: int = 10, *, history: Sequence[str] | str | None = None
    ) -> "pd.DataFrame":
        """The lists of the run whose key begins with ``key``, as of ``Run.recommend``."""
        return self.open(key).recommend(user, k, history=history)

    def score(self, key: str, users: Any) -> "pd.DataFrame":
        """The scores of a run, as of ``Run.score``."""
        return self.open(key).score(users)

    def predict(self, key: str, users: Any, items: Any) -> "np.ndarray":
        """The predictions of a run, as of ``Run.predict``."""
        return self.open(key).predict(users, items)

    def plot(
        self,
        kind: str,
        *methods: str,
        where: Sequence[str] | str = (),
        x: str = "ndcg@10",
        y: str = "uplift@10/snips",
        out: str | Path | None = None,
    ) -> "Figure":
        """A figure of finished runs: kind "uplift", "qini", "reliability", "scatter", "overlap" or "learning".

        ``out``: a file for it, .png, .svg or .pdf.

        Raises:
            UpliftlensError: for an unknown kind or method, runs that lack what it shows, or a file of another kind.
        """
        from upliftlens.benchmarks.reports.drawing import check_path, save
        from upliftlens.benchmarks.reports.figures import figure_of

        if out is not None:
            check_path(Path(out))
        figure, shown = figure_of(self._store, kind, methods, _several(where), x, y)
        if out is not None:
            save(figure, Path(out))
            say(f"{out}: {shown}")
        return figure

    def report(
        self,
        out: str | Path = "report.html",
        where: Sequence[str] | str = (),
        metrics: Sequence[str] | str = (),
    ) -> None:
        """Writes a page of the runs that meet the conditions, in one HTML file that needs nothing else; the committed
        tables beside published numbers are on it, too.

        Raises:
            UpliftlensError: for an unknown field or metric, no runs, a file that can't be written, or if the extra
                ``report`` is not installed.
        """
        from upliftlens.benchmarks.reports.page.document import Ledger, report
        from upliftlens.benchmarks.tables.ledger import HEAD, ledger, summary, texts
        from upliftlens.benchmarks.tables.published import published

        lines = ledger(published())
        beside = Ledger(HEAD, texts(lines), summary(lines))
        say(report(self._store, Path(out), _several(where), _several(metrics), beside))

    @property
    def _store(self) -> Store:
        return existing_store(self.store)

    def _run(self, record: "Record") -> "Run":
        from upliftlens.benchmarks.lab.run import Run

        return Run(record, self.store, self.cache)

    def __repr__(self) -> str:
        count = 0
        with suppress(UpliftlensError):
            count = len(self.runs())
        return f"{type(self).__name__}({str(self.store)!r}): {count} finished runs"


def _several(value: Sequence[str] | str) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
