"""What the verbs do once their configuration is known: run one job, tune."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.reports.selection import default_metrics
from upliftlens.benchmarks.runs import run as experiment
from upliftlens.benchmarks.runs.plan import Plan, general, ignored, plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.system.talk import Reporter, epoch_bar, say, say_styled
from upliftlens.causal.errors import UpliftlensError


def run_and_tell(config: Mapping[str, Any]) -> Record:
    """Runs a resolved configuration and tells its outcome in a line."""
    planned = plan(config)
    label = label_of(planned)
    with epoch_bar(label, planned.progress) as on_epoch:
        record, found = experiment.run(planned, Reporter(say, on_epoch))
    how = f"{record.timing['total']:.1f} s"
    if found:
        how = "found" if planned.logger.name == "none" else f"found, so {planned.logger.name} gets no new run"
    say_styled(("done", "green"), f"  {label}  {described(record)}  ", (f"{record.key} ({how})", "dim"))
    return record


def tell_failure(config: Mapping[str, Any], error: Exception) -> None:
    """Tells that a job of a sweep failed, and why."""
    say_styled(("failed", "red"), f"  {label_of(plan(config))}: {error}")


def label_of(planned: Plan) -> str:
    """What a person tells runs by: data, split with its fold, model with its loss and objective, seed."""
    fold = "" if planned.split.fold is None else f":{planned.split.fold}"
    learning = planned.learning
    parts = [learning.model.value.name]
    if not planned.solver:
        parts += [learning.loss.name, learning.objective.value.name]
    return f"{planned.data.name} {planned.split.name}{fold} {'/'.join(parts)} seed={planned.seed}"


def described(record: Record) -> str:
    """The main metrics of a record in one line."""
    shown = default_metrics(record.metrics) or list(record.metrics)[:3]
    return "  ".join(f"{name} {record.metrics[name].value:.4f}" for name in shown)


def tune_verb(arguments: Sequence[str]) -> int:
    """``upliftlens tune``: random search, then the best configuration in full."""
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
