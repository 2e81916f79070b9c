"""What is printed of runs: a bar while a run goes on, a line when it is done or has failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from upliftlens.benchmarks.runs.many import Outcome, record_of
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record, default_metrics
from upliftlens.benchmarks.system.talk import Reporter, epoch_bar, say, say_styled


@contextmanager
def bar(plan: Plan) -> Iterator[Reporter]:
    """The reporter of a run with a bar of its epochs."""
    with epoch_bar(label_of(plan), plan.progress) as on_epoch:
        yield Reporter(say, on_epoch)


def tell_done(plan: Plan, outcome: Outcome) -> Record:
    """Prints the line of a run that is done; its record.

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
    """Prints that a job of a sweep failed, and why."""
    say_styled(("failed", "red"), f"  {label_of(plan)}: {outcome.message}")


def tell_remark(remark: str) -> None:
    """Prints that some jobs of a sweep are the same run, and why."""
    say_styled(("note", "yellow"), f"  {remark}: such jobs of the sweep are one run")


def label_of(plan: Plan) -> str:
    """How lines name a run: data, split with its fold, model with its loss and objective, seed."""
    fold = f":{plan.split.fold}" if hasattr(plan.split, "fold") else ""
    model, loss, objective = plan.learning.model, plan.learning.loss, plan.learning.objective
    method = "/".join(part.value.name for part in ((model,) if plan.solver else (model, loss, objective)))
    return f"{plan.data.name} {plan.split.name}{fold} {method} seed={plan.seed}"


def described(record: Record) -> str:
    """The main metrics of a record in one line."""
    shown = default_metrics(record.metrics) or list(record.metrics)[:3]
    return "  ".join(f"{name} {record.metrics[name].value:.4f}" for name in shown)
