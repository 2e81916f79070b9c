"""Tables of papers: computed, estimated, traced to their runs, and their committed files checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upliftlens.benchmarks.config.compose import prepare_overrides
from upliftlens.benchmarks.lab.answers import Answer, of_checks, of_table, of_trace
from upliftlens.benchmarks.lab.words import words_of
from upliftlens.benchmarks.system import talk
from upliftlens.benchmarks.tables.committed.check import Checked, check
from upliftlens.benchmarks.tables.committed.files import commit
from upliftlens.benchmarks.tables.committed.trace import Trace, of_cell, of_committed
from upliftlens.benchmarks.tables.estimate import Estimate, estimate
from upliftlens.benchmarks.tables.table import Table, Where, table


class Tables:
    """What `upliftlens table` does, with a lab's store and downloads: ``lab.tables.estimate("coat")``.

    ``words`` and ``replaced``: keys of a table's definition, as in ``"draws=5"`` or ``draws=5``.
    """

    def __init__(self, store: Path, cache: Path) -> None:
        self._where = Where(store, cache, talk.say)

    def compute(self, name: str, *words: str, out: str | Path | None = None, **replaced: Any) -> Answer[Table]:
        """The table, computed as far as it is not in the store; ``out``: a folder for the files that are committed.

        Raises:
            UpliftlensError: for an unknown table or key, a run that fails, or a folder that can't be written.
        """
        overrides = _overrides(words, replaced)
        content = table(name, self._where, overrides)
        if out is not None:
            paths = commit(Path(out), name, overrides, content)
            talk.say(f"written: {', '.join(map(str, paths))}")
        return of_table(content)

    def estimate(self, name: str, *words: str, **replaced: Any) -> Estimate:
        """How many of its runs are in the store, how many are missing, and the processor time of these.

        Raises:
            UpliftlensError: for an unknown table or key, and data that can't be loaded.
        """
        return estimate(name, self._where, _overrides(words, replaced))

    def trace(
        self, name: str, row: str, column: str, *words: str, committed: str | Path | None = None, **replaced: Any
    ) -> Answer[Trace]:
        """A cell and the runs behind it, each with the command that repeats it; ``committed``: a folder of committed
        records, which are read instead of the store.

        Raises:
            UpliftlensError: for an unknown table, row or column, and as ``compute``.
        """
        overrides = _overrides(words, replaced)
        if committed is not None:
            return of_trace(of_committed(Path(committed), name, row, column))
        return of_trace(of_cell(name, table(name, self._where, overrides), row, column))

    def check(self, *names: str, folder: str | Path = "results") -> Answer[Sequence[Checked]]:
        """What is wrong with the committed files of tables, all where none is named; no data and no training is needed.

        Raises:
            UpliftlensError: for an unknown table or folder.
        """
        prepare_overrides([])
        return of_checks(check(Path(folder), names))


def _overrides(words: Sequence[str], replaced: dict[str, Any]) -> list[str]:
    prepare_overrides([])  # registers installed plugins and fixes the settings of JAX
    return [*words_of(replaced, several=False), *words]
