"""``upliftlens tune``: random search, then the best configuration in full."""

import shlex
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.system.talk import out

HELP = """upliftlens tune OPTION=VALUE ... [budget=20] [tune_seed=0]

Draws `budget` trials from the ranges that the model's configuration states (model.space); the first is the
configuration as it stands. Each trial is fitted on training rows, scored on validation rows and stored; none reads the
test set. The best trial is then run in full. Run again to continue; a larger budget repeats no trial. Options are
those of `upliftlens run --help`.

  upliftlens tune model=mf data=ml-100k budget=20"""


def run(arguments: Sequence[str]) -> int:
    """Searches, runs the best trial in full, and prints both; 1 if a trial failed."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    from upliftlens.benchmarks.lab.lab import Lab

    trials, best = Lab().tune(*arguments)
    search = trials.content
    table = Table("trial", "options", escape(best.record.diagnostics["monitor"]), box=None, pad_edge=False)
    for number, trial in enumerate(search.trials, 1):
        value = f"{trial.criterion:.4f}" if trial.records else "failed"
        options = escape(" ".join(trial.changes)) or "as configured"
        table.add_row(f"{number}{' *' if number == search.best + 1 else ''}", options, value)
    out.print(table)
    out.print(f"* best on validation rows. On the test set: {best.summary}", markup=False)
    again = (*arguments, *search.trials[search.best].changes)
    words = " ".join(shlex.quote(text) for text in again if not text.startswith(("budget=", "tune_seed=")))
    out.print(f"Again: upliftlens run {words}", markup=False)
    return 0 if all(trial.records for trial in search.trials) else 1
