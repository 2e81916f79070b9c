"""The line that is printed of a run that is done."""

from collections.abc import Sequence

from upliftlens.benchmarks.runs.many import Outcome, record_of
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record, default_metrics
from upliftlens.benchmarks.system.talk import say_styled

_FEW = 5  # metrics that a line shows where no more were asked for
_IN_LABEL = ("data", "split", "model", "loss", "objective", "seed")


def tell_done(plan: Plan, outcome: Outcome, place: str = "", options: str = "") -> Record:
    """Prints the line of a run that is done; its record. ``place``: which of several it is, ``options``: its own ones.

    Raises:
        UpliftlensError: if it failed.
    """
    record = record_of(plan, outcome)
    how = f"{record.timing['total']:.1f} s"
    if outcome.status == "stored":
        how = "found" if plan.logger.name == "none" else f"found, so {plan.logger.name} gets no new run"
    which = "  ".join(filter(None, (place, plan.label, options, described(record))))
    say_styled(("done", "green"), f"  {which}  ", (f"{record.key} ({how})", "dim"))
    return record


def described(record: Record) -> str:
    """The main metrics of a record in one line."""
    few = list(record.metrics) if len(record.metrics) <= _FEW else []
    shown = few or default_metrics(record.metrics) or list(record.metrics)[:_FEW]
    return "  ".join(f"{name} {record.metrics[name].value:.4f}" for name in shown)


def differing(plans: Sequence[Plan]) -> list[str]:
    """For each of several plans, the options stated for it and not for all others, without those in its label."""
    shared = set(plans[0].stated).intersection(*(plan.stated for plan in plans[1:]))
    own = ([text for text in plan.stated if text not in shared] for plan in plans)
    return [" ".join(text for text in words if text.partition("=")[0] not in _IN_LABEL) for words in own]
