"""``Lab``: a store and a cache, and what can be done with them. Every verb that computes or reads has a method here."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from upliftlens.benchmarks.config.choices import default
from upliftlens.benchmarks.config.compose import prepare_overrides
from upliftlens.benchmarks.lab.answers import (
    Answer,
    Tuned,
    of_comparison,
    of_records,
    of_search,
    of_sheet,
    of_table,
)
from upliftlens.benchmarks.lab.data import Data
from upliftlens.benchmarks.lab.run import Run
from upliftlens.benchmarks.lab.stated import stated_words
from upliftlens.benchmarks.lab.words import refuse_sweep, words_of
from upliftlens.benchmarks.metrics.registry import is_metric
from upliftlens.benchmarks.reports import effect_report
from upliftlens.benchmarks.reports.drawing import check_path, save
from upliftlens.benchmarks.reports.effects import effects
from upliftlens.benchmarks.reports.figures import figure_of
from upliftlens.benchmarks.reports.groups import EXPLAINED, groups
from upliftlens.benchmarks.reports.methods import Compared, compared, finished
from upliftlens.benchmarks.reports.sheet import Sheet, gathered, selected
from upliftlens.benchmarks.reports.sorting import doubts, sorted_rows
from upliftlens.benchmarks.runs.opened import find_run
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, existing_store, readable_records
from upliftlens.benchmarks.sweeps.jobs import run_jobs
from upliftlens.benchmarks.sweeps.tune import tune
from upliftlens.benchmarks.system.talk import say
from upliftlens.benchmarks.tables.benchmark import benchmark
from upliftlens.benchmarks.tables.table import Table, Where, table
from upliftlens.causal.errors import UpliftlensError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure


class Lab:
    """A folder of records (``store``) and one of downloads and compiled programs (``cache``).

    Options are given by name, ``lab.run(data="ml-100k", model="mf", train={"lr": 0.03})``, or as the words of a
    command, ``lab.run("data=ml-100k", "train.lr=0.03")``; both make the same keys and records as the command line.
    ``data`` may be a ``dataset(frame, …)``, ``model`` a Backbone, a Solver or a class of a Flax module.
    ``lab.data`` looks at data without a run (see ``Data``).
    Before the first run JAX is put into fixed settings (``benchmarks.system.environment.NUMERICS``).
    """

    def __init__(self, store: str | Path | None = None, cache: str | Path | None = None) -> None:
        stated = {"store": store, "cache": cache}
        self._folders = {name: Path(path).expanduser().absolute() for name, path in stated.items() if path is not None}
        self.store = self._folders.get("store", Path(default("store")))
        self.cache = self._folders.get("cache", Path(default("cache", "cache.yaml")).expanduser())
        self.data = Data(self.cache)

    def run(self, *words: str, **options: Any) -> Run:
        """One run, or its record if it is in the store.

        Raises:
            UpliftlensError: for what can't be configured, and a run that failed.
        """
        (run,) = self.command("run", self.words(words, options, several=False))
        return run

    def sweep(self, *words: str, **options: Any) -> list[Run]:
        """Every combination of the options that have several values (lists, ranges); the same call continues.

        Raises:
            UpliftlensError: as ``run``; for runs that failed after the last one has ended.
        """
        return self.command("sweep", self.words(words, options, several=True))

    def command(self, verb: Literal["run", "sweep"], words: Sequence[str]) -> list[Run]:
        """The runs of a whole command, as it is typed; none where a flag of Hydra among its words shows something.

        Raises:
            UpliftlensError: as ``run`` and ``sweep``.
        """
        if verb == "run":
            refuse_sweep(words)
        return [self._run(record) for record in run_jobs(verb, words)]

    def tune(self, *words: str, **options: Any) -> Tuned:
        """Random search on validation rows (``budget`` trials), and the best trial, run in full.

        Raises:
            UpliftlensError: as ``run``, or if every trial failed.
        """
        stated = self.words(words, options, several=False)
        refuse_sweep(stated)
        search, record = tune(stated)
        return Tuned(of_search(search), self._run(record))

    def benchmark(self, *words: str, **options: Any) -> Answer[Table]:
        """Methods tuned with equal trials, run with several seeds, compared; ``budget``, ``seeds``, ``metric``,
        ``baseline``, ``margin``, ``format`` as on the command line.

        Raises:
            UpliftlensError: as ``run``, and for methods that can't be compared.
        """
        stated = self.words(words, options, several=True)
        refuse_sweep(stated)
        content, asked = benchmark(stated)
        return of_table(content, asked.format)

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

    def records(self, where: Sequence[str] | str = ()) -> Answer[Sequence[Record]]:
        """All that is stored of runs that meet the conditions, failed and running ones too; no trials unless ``where``
        names ``trial``.

        Raises:
            UpliftlensError: for an unknown field.
        """
        return of_records(*selected(self._store, _several(where)))

    def runs(self, where: Sequence[str] | str = ()) -> list[Run]:
        """The finished runs that meet the conditions, trials left out.

        Raises:
            UpliftlensError: for an unknown field.
        """
        return [self._run(record) for record in finished(readable_records(Store(self.store)), _several(where))]

    def open(self, key: str) -> Run:
        """The run whose key begins with ``key``.

        Raises:
            UpliftlensError: if none or several do.
        """
        return self._run(find_run(readable_records(self._store), key))

    def compare(
        self,
        *methods: str,
        metric: str | None = None,
        where: Sequence[str] | str = (),
        baseline: str | None = None,
        margin: float | None = None,
    ) -> Answer[Sequence[Compared]]:
        """Methods, paired over users and seeds, all with all or each with a ``baseline``.

        ``metric`` may stand after the methods, ``compare("mf", "ials", "recall@10")``; ndcg@10 where none is stated.

        Raises:
            UpliftlensError: for methods that can't be compared.
        """
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

    def effects(self, *words: str, plot: str | Path | None = None, **options: Any) -> Answer[Sheet]:
        """Whom does recommending help? Effects by ``features`` of users and items; options as of `upliftlens effects`.

        ``plot``: a file for the forest plot.

        Raises:
            UpliftlensError: for data without treatments, or a file that can't be written.
        """
        if plot is not None:
            check_path(Path(plot))
        study = effects(self.words(words, options, several=False, folders=("cache",)), say)
        if plot is not None:
            effect_report.forest(study, Path(plot))
        return of_sheet(effect_report.sheet(study), [effect_report.EXPLAINED])

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
        if out is not None:
            check_path(Path(out))
        figure, shown = figure_of(self._store, kind, methods, _several(where), x, y)
        if out is not None:
            save(figure, Path(out))
            say(f"{out}: {shown}")
        return figure

    def table(self, name: str, *words: str, **replaced: Any) -> Answer[Table]:
        """A paper's table, computed as far as it is not in the store; ``words``, ``replaced``: keys of its definition.

        Raises:
            UpliftlensError: for an unknown table or key, or a run that fails.
        """
        prepare_overrides([])  # registers installed plugins and fixes the settings of JAX
        overrides = [*words_of(replaced, several=False), *words]
        return of_table(table(name, Where(self.store, self.cache, say), overrides))

    def words(
        self,
        words: Sequence[str],
        options: Mapping[str, Any],
        several: bool,
        folders: Sequence[str] = ("store", "cache"),
    ) -> list[str]:
        """The words of a command that states ``options``, and those of this lab's ``folders`` that it takes.

        Raises:
            UpliftlensError: for a value that no option can have, and a flag.
        """
        stated = stated_words(words, options, several, self.cache)
        places = {name: path for name, path in self._folders.items() if name in folders}
        return [*words_of(places, several=False), *stated]

    @property
    def _store(self) -> Store:
        return existing_store(self.store)

    def _run(self, record: Record) -> Run:
        return Run(record, self.store, self.cache)

    def __repr__(self) -> str:
        count = 0
        with suppress(UpliftlensError):
            count = len(self.runs())
        return f"Lab({str(self.store)!r}): {count} finished runs"


def _several(value: Sequence[str] | str) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
