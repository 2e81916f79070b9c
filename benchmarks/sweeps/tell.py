"""What is printed of runs: a bar while one runs, a line when it is done or has failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from upliftlens.benchmarks.runs.many import Outcome, Watch, record_of, run_many
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record, default_metrics
from upliftlens.benchmarks.system.talk import Reporter, epoch_bar, say, say_styled


@contextmanager
def bar(plan: Plan) -> Iterator[Reporter]:
    """The reporter of a run with a bar of its epochs."""
    with epoch_bar(label_of(plan), plan.progress) as on_epoch:
        yield Reporter(say, on_epoch)


def run_and_tell(plan: Plan) -> Record:
    """Runs a plan and tells its outcome in a line.

    Raises:
        UpliftlensError: if it fails.
    """
    (outcome,) = run_many([plan], Watch(bar))
    return tell_done(plan, outcome)


def tell_done(plan: Plan, outcome: Outcome) -> Record:
    """Tells what a run came to; its record.

    Raises:
        UpliftlensError: if it failed.
    """
    record = record_of(plan, outcome)
    how = f"{record.timing['total']:.1f} s"
    if outcome.status == "stored":
        how = "found" if plan.logger.name == "none" else f"found, so {plan.logger.name} gets no new run"
    say_styled(("done", "green"), f"  {label_of(plan)}  {described(record)}  ", (f"{record.key} ({how})", "dim"))
    return record


def tell_failure(plan: Plan, outcome: Outcome) -> None:
    """Tells that a job of a sweep failed, and why."""
    say_styled(("failed", "red"), f"  {label_of(plan)}: {outcome.message}")


def tell_remark(remark: str) -> None:
    """Tells what is odd about jobs of a sweep."""
    say_styled(("note", "yellow"), f"  {remark}: such jobs of the sweep are one run")


def label_of(plan: Plan) -> str:
    """What a person tells runs by: data, split with its fold, model with its loss and objective, seed."""
    fold = f":{plan.split.fold}" if hasattr(plan.split, "fold") else ""
    learning = plan.learning
    parts = [learning.model.value.name]
    if not plan.solver:
        parts += [learning.loss.value.name, learning.objective.value.name]
    return f"{plan.data.name} {plan.split.name}{fold} {'/'.join(parts)} seed={plan.seed}"


def described(record: Record) -> str:
    """The main metrics of a record in one line."""
    shown = default_metrics(record.metrics) or list(record.metrics)[:3]
    return "  ".join(f"{name} {record.metrics[name].value:.4f}" for name in shown)
