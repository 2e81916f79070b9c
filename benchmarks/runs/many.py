"""Runs in groups: plans in, a plain outcome per plan out. A launcher calls nothing else.

An outcome is plain data, so it may come from another process or machine; its record is in the store, under its key.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir, nullcontext
from typing import Any, Literal, NamedTuple

from upliftlens.benchmarks.data import DataUnavailable
from upliftlens.benchmarks.runs import run as experiment
from upliftlens.benchmarks.runs.failures import RunFailed
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, load_record
from upliftlens.benchmarks.system.talk import Reporter, quiet, reporting
from upliftlens.causal.errors import UpliftlensError, as_sentence


class NoData(UpliftlensError):
    """The data of a run could not be loaded: every other run on them will fail, too."""


class Outcome(NamedTuple):
    """The end of a plan: the ``key`` of its record (None if it has none), and the reason of a failure.

    ``stored``: it was done before; ``no data``: its data could not be loaded.
    """

    key: str | None
    status: Literal["computed", "stored", "failed", "no data"]
    message: str = ""


Runner = Callable[[Sequence[Plan], bool], Iterator[Outcome]]
"""What gives the outcomes of plans: ``run_many``, or what looks them up."""


def run_many(plans: Iterable[Plan], watched: bool = False) -> Iterator[Outcome]:
    """Runs the plans in order and yields the outcome of each. After a failure the others still run.

    Data that could not be loaded are tried once. ``watched``: remarks and a bar of the epochs are shown.
    """
    missing: set[Any] = set()
    for plan in plans:
        if plan.data in missing:
            yield Outcome(None, "no data", "its data could not be loaded, see the message above")
            continue
        with reporting(plan.label, plan.progress) if watched else nullcontext(quiet) as reporter:
            outcome = _outcome(plan, reporter)
        if outcome.status == "no data":
            missing.add(plan.data)
        yield outcome


def record_of(plan: Plan, outcome: Outcome) -> Record:
    """The record behind an outcome, from the plan's store.

    Raises:
        NoData: for an outcome without data.
        UpliftlensError: for a run that failed, or whose record is gone.
    """
    if outcome.status == "no data":
        raise NoData(outcome.message)
    record = None if outcome.key is None else load_record(Store(plan.store), outcome.key)
    if outcome.status == "failed" or record is None:
        raise UpliftlensError(outcome.message or f"run {outcome.key} is no longer in the store {plan.store}")
    return record


def _outcome(plan: Plan, reporter: Reporter) -> Outcome:
    try:
        with chdir("."):  # a plugin may change the folder, and relative paths of the next run are meant from here
            record, looked_up = experiment.run(plan, reporter)
    except DataUnavailable as error:
        return Outcome(None, "no data", str(error))
    except (UpliftlensError, OSError, MemoryError) as error:
        key = error.key if isinstance(error, RunFailed) else None
        return Outcome(key, "failed", as_sentence(error))
    return Outcome(record.key, "stored" if looked_up else "computed")
