"""How much of a table is missing, and how long that takes, before anything is started."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from upliftlens.benchmarks.runs.many import Outcome, Runner
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.runs.store import Store, is_done
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.tables.table import Job, Where, checked, definition


class Estimate(NamedTuple):
    """Of a table: its runs in all, those that are missing in the store, and ``minutes`` of processor time of these.

    ``runs``: whether there are any; else draws, logs or trials are counted, none of which is stored. ``minutes`` is the
    measured time of the whole table as defined, times the share that is missing; None: the definition states none.
    """

    table: str
    runs: bool
    total: int
    missing: int
    minutes: float | None
    store: Path

    @property
    def text(self) -> str:
        """The estimate for people."""
        time = "the definition states no time"
        if self.minutes is not None:
            time = f"about {self.minutes:.0f} min" if self.minutes >= 1 else "less than a minute"
            time += " of processor time on one core"
        if not self.runs:
            return f"{self.table}: {time} (it has no runs that could be kept)"
        if not self.missing:
            return f"{self.table}: all its runs, {self.total:,}, are in the store {self.store}"
        there = f"{self.total - self.missing:,} of {self.total:,} runs are in the store {self.store}"
        return f"{self.table}: {there}; {self.missing:,} are missing: {time}"


def estimate(name: str, where: Where, overrides: Sequence[str] = ()) -> Estimate:
    """What computing a table would take; nothing is trained. A store with runs is looked through, which needs the data.

    Which final runs there are depends on the searches, their number does not: those of a search that has still to end
    count as missing.

    Raises:
        UpliftlensError: for an unknown name or key; for data that can't be loaded.
    """
    kind, options = checked(name, definition(name), overrides)
    where = where._replace(say=quiet.say)
    if kind.jobs is None:
        total = missing = kind.size(options)
    else:
        folder, stored = where.store / "runs", set[str]()
        empty = not folder.is_dir() or next(folder.iterdir(), None) is None
        counted = [
            (job.n_trials + job.n_plans, job.n_trials + job.n_plans if empty else _missing(job, where, stored))
            for job in kind.jobs(options, where)
        ]
        total, missing = (sum(numbers) for numbers in zip(*counted, strict=True))
    minutes = None if options.cost is None else options.cost.minutes * missing / options.cost.of
    return Estimate(name, kind.jobs is not None, total, missing, minutes, where.store)


class _NotStored(Exception):
    """A run is missing, so a search can't be followed any further."""


def _missing(job: Job, where: Where, stored: set[str]) -> int:
    """How many runs of a job are missing; the keys of the others join ``stored``, which holds those of earlier jobs."""
    before, runner = len(stored), _lookup(Store(where.store), stored)
    try:
        runner([plan for group in job.plans(job.choose(runner)) for plan in group], False)
    except _NotStored:
        return max(1, job.n_trials + job.n_plans - (len(stored) - before))
    return 0


def _lookup(store: Store, stored: set[str]) -> Runner:
    """What gives the outcomes of plans whose runs are all stored."""

    def runs(plans: Sequence[Plan], watched: bool = False) -> Iterator[Outcome]:
        keys = [prepare(plan, quiet).key for plan in plans]
        done = {key for key in keys if is_done(store, key)}
        stored.update(done)
        if not done.issuperset(keys):
            raise _NotStored
        return iter([Outcome(key, "stored") for key in keys])

    return runs
