"""``upliftlens tune``: random search, then the best configuration in full."""

import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.cli.parser import refuse_sweep
from upliftlens.benchmarks.runs.plan import general, ignored, plan
from upliftlens.benchmarks.sweeps.tell import described, run_and_tell
from upliftlens.benchmarks.system.talk import say
from upliftlens.causal.errors import UpliftlensError

HELP = """upliftlens tune OPTION=VALUE ... [budget=20] [tune_seed=0]

Draws `budget` trials from the ranges that the model's configuration states (model.space); trial 0 is the
configuration as it stands. Each is fitted on training rows, scored on validation rows and stored; none meets the test
set. The best one is then run in full. Run again to continue; a larger budget repeats no trial. Options are those of
`upliftlens run --help`.

  upliftlens tune model=mf data=ml-100k budget=20"""


def run(arguments: Sequence[str]) -> int:
    """Searches, runs the best trial in full, and prints both; 1 if a trial failed."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    refuse_sweep(arguments)
    from upliftlens.benchmarks.config.compose import composed, prepare_overrides
    from upliftlens.benchmarks.sweeps.app import sweep_name
    from upliftlens.benchmarks.sweeps.search import tune

    overrides = prepare_overrides(arguments)
    base = composed(overrides)
    if idle := ignored(plan(base), overrides):
        raise UpliftlensError(f"{idle}: leave that out, or choose a backbone such as model=mf")
    own = general(base)
    group = own.group or sweep_name("tune", [one for one in overrides if not one.startswith("budget=")])
    tuned = tune(composed, run_and_tell, overrides, own.budget, own.tune_seed, group, say)
    table = Table("trial", "options", escape(tuned.final.diagnostics["monitor"]), box=None, pad_edge=False)
    for number, (extra, record) in enumerate(tuned.trials):
        value = "failed" if record is None else f"{record.diagnostics['validation']:.4f}"
        table.add_row(
            f"{number}{' *' if number == tuned.best else ''}", escape(" ".join(extra)) or "as configured", value
        )
    out = Console(highlight=False, soft_wrap=True)
    out.print(table)
    out.print(f"* best on validation rows. On the test set: {described(tuned.final)}", markup=False)
    best = " ".join(
        shlex.quote(one)
        for one in (*arguments, *tuned.trials[tuned.best][0])
        if not one.startswith(("budget=", "tune_seed="))
    )
    out.print(f"Again: upliftlens run {best}", markup=False)
    return 1 if any(record is None for _, record in tuned.trials) else 0
