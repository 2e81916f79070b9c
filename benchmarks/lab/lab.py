"""``Lab``: a store and a cache, and what can be done with them. Every verb that computes or reads has a method here.

What is read from the store alone is in ``Stored``. A method imports what it calls, see there.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from upliftlens.benchmarks.lab.answers import Answer, Tuned, of_ledger, of_search, of_sheet, of_table
from upliftlens.benchmarks.lab.stored import Stored
from upliftlens.benchmarks.reports.sheet import Sheet
from upliftlens.benchmarks.system.talk import say

if TYPE_CHECKING:
    from upliftlens.benchmarks.lab.data import Data
    from upliftlens.benchmarks.lab.run import Run
    from upliftlens.benchmarks.lab.tables import Tables
    from upliftlens.benchmarks.tables.ledger import Line
    from upliftlens.benchmarks.tables.table import Table


class Lab(Stored):
    """A folder of records (``store``) and one of downloads and compiled programs (``cache``).

    Options are given by name, ``lab.run(data="ml-100k", model="mf", train={"lr": 0.03})``, or as the words of a
    command, ``lab.run("data=ml-100k", "train.lr=0.03")``; both make the same keys and records as the command line.
    ``data`` may be a ``dataset(frame, …)``, ``model`` a Backbone, a Solver or a class of a Flax module.
    ``lab.data`` looks at data without a run (see ``Data``), ``lab.tables`` at tables (see ``Tables``).
    Before the first run JAX is put into fixed settings (``benchmarks.system.environment.NUMERICS``).
    """

    @cached_property
    def data(self) -> "Data":
        """What can be done with data without a run."""
        from upliftlens.benchmarks.lab.data import Data

        return Data(self.cache)

    @cached_property
    def tables(self) -> "Tables":
        """What can be done with tables of papers."""
        from upliftlens.benchmarks.lab.tables import Tables

        return Tables(self.store, self.cache)

    def run(self, *words: str, **options: Any) -> "Run":
        """One run, or its record if it is in the store.

        Raises:
            UpliftlensError: for what can't be configured, and a run that failed.
        """
        (run,) = self.command("run", self.words(words, options, several=False))
        return run

    def sweep(self, *words: str, **options: Any) -> "list[Run]":
        """Every combination of the options that have several values (lists, ranges); the same call continues.

        Raises:
            UpliftlensError: as ``run``; for runs that failed after the last one has ended.
        """
        return self.command("sweep", self.words(words, options, several=True))

    def command(self, verb: Literal["run", "sweep"], words: Sequence[str]) -> "list[Run]":
        """The runs of a whole command, as it is typed; none where a flag of Hydra among its words shows something.

        Raises:
            UpliftlensError: as ``run`` and ``sweep``.
        """
        from upliftlens.benchmarks.lab.words import refuse_sweep
        from upliftlens.benchmarks.sweeps.jobs import run_jobs

        if verb == "run":
            refuse_sweep(words)
        return [self._run(record) for record in run_jobs(verb, words)]

    def tune(self, *words: str, **options: Any) -> Tuned:
        """Random search on validation rows (``budget`` trials), and the best trial, run in full.

        Raises:
            UpliftlensError: as ``run``, or if every trial failed.
        """
        from upliftlens.benchmarks.lab.words import refuse_sweep
        from upliftlens.benchmarks.sweeps.tune import tune

        stated = self.words(words, options, several=False)
        refuse_sweep(stated)
        search, record = tune(stated)
        return Tuned(of_search(search), self._run(record))

    def benchmark(self, *words: str, **options: Any) -> "Answer[Table]":
        """Methods tuned with equal trials, run with several seeds, compared; ``budget``, ``seeds``, ``metric``,
        ``baseline``, ``margin``, ``format`` as on the command line.

        Raises:
            UpliftlensError: as ``run``, and for methods that can't be compared.
        """
        from upliftlens.benchmarks.lab.words import refuse_sweep
        from upliftlens.benchmarks.tables.benchmark import benchmark

        stated = self.words(words, options, several=True)
        refuse_sweep(stated)
        content, asked = benchmark(stated)
        return of_table(content, asked.format)

    def effects(self, *words: str, plot: str | Path | None = None, **options: Any) -> Answer[Sheet]:
        """Whom does recommending help? Effects by ``features`` of users and items; options as of `upliftlens effects`.

        ``plot``: a file for the forest plot.

        Raises:
            UpliftlensError: for data without treatments, or a file that can't be written.
        """
        from upliftlens.benchmarks.reports import effect_report
        from upliftlens.benchmarks.reports.drawing import check_path
        from upliftlens.benchmarks.reports.effects import effects

        if plot is not None:
            check_path(Path(plot))
        study = effects(self.words(words, options, several=False, folders=("cache",)), say)
        if plot is not None:
            effect_report.forest(study, Path(plot))
        return of_sheet(effect_report.sheet(study), [effect_report.EXPLAINED])

    def table(self, name: str, *words: str, out: str | Path | None = None, **replaced: Any) -> "Answer[Table]":
        """A paper's table, computed as far as it is not in the store, as of ``Tables.compute``."""
        return self.tables.compute(name, *words, out=out, **replaced)

    def ledger(self, source: str | None = None) -> "Answer[Sequence[Line]]":
        """Every published number, or those of one ``source``, beside that of our committed table, with a verdict.

        Raises:
            UpliftlensError: for an unknown source, or a faulty entry of paper/published.yaml.
        """
        from upliftlens.benchmarks.tables.ledger import ledger
        from upliftlens.benchmarks.tables.published import published

        return of_ledger(ledger(published(), source))

    def check_ledger(self) -> list[str]:
        """A sentence for each line on which the committed results/ledger.md differs from the ledger.

        Raises:
            UpliftlensError: as ``ledger``, or if the file can't be read.
        """
        from upliftlens.benchmarks.tables.ledger import check, ledger
        from upliftlens.benchmarks.tables.published import published

        return check(ledger(published()))

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
        from upliftlens.benchmarks.lab.stated import stated_words
        from upliftlens.benchmarks.lab.words import words_of

        stated = stated_words(words, options, several, self.cache)
        places = {name: path for name, path in self._folders.items() if name in folders}
        return [*words_of(places, several=False), *stated]
