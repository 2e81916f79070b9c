"""The line that is printed of a run that is done."""

from upliftlens.benchmarks.runs.many import Outcome, record_of
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record, default_metrics
from upliftlens.benchmarks.system.talk import say_styled


def tell_done(plan: Plan, outcome: Outcome) -> Record:
    """Prints the line of a run that is done; its record.

    Raises:
        UpliftlensError: if it failed.
    """
    record = record_of(plan, outcome)
    how = f"{record.timing['total']:.1f} s"
    if outcome.status == "stored":
        how = "found" if plan.logger.name == "none" else f"found, so {plan.logger.name} gets no new run"
    say_styled(("done", "green"), f"  {plan.label}  {described(record)}  ", (f"{record.key} ({how})", "dim"))
    return record


def described(record: Record) -> str:
    """The main metrics of a record in one line."""
    shown = default_metrics(record.metrics) or list(record.metrics)[:3]
    return "  ".join(f"{name} {record.metrics[name].value:.4f}" for name in shown)
