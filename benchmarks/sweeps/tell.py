"""What the verbs do once their configuration is known: run one job, tune."""

from collections.abc import Mapping
from typing import Any

from upliftlens.benchmarks.runs import run as experiment
from upliftlens.benchmarks.runs.plan import Plan, plan
from upliftlens.benchmarks.runs.records import Record, default_metrics
from upliftlens.benchmarks.system.talk import Reporter, epoch_bar, say, say_styled


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
    fold = f":{planned.split.fold}" if hasattr(planned.split, "fold") else ""
    learning = planned.learning
    parts = [learning.model.value.name]
    if not planned.solver:
        parts += [learning.loss.value.name, learning.objective.value.name]
    return f"{planned.data.name} {planned.split.name}{fold} {'/'.join(parts)} seed={planned.seed}"


def described(record: Record) -> str:
    """The main metrics of a record in one line."""
    shown = default_metrics(record.metrics) or list(record.metrics)[:3]
    return "  ".join(f"{name} {record.metrics[name].value:.4f}" for name in shown)
