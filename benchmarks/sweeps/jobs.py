"""The jobs of one ``run`` or ``sweep``: each is run and told of as it comes; what they came to is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from upliftlens.benchmarks.data import DataUnavailable
from upliftlens.benchmarks.runs.plan import ignored, plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.tell import run_and_tell, tell_failure
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.benchmarks.system.talk import say_styled
from upliftlens.causal.errors import UpliftlensError, as_sentence


class SweepFailed(UpliftlensError):
    """Some jobs of a sweep failed; the others are done and stored."""


@dataclass
class Jobs:
    """What the jobs of a command have come to so far.

    ``missing``: keys of data sets that could not be had: each is tried, and told of, once. ``noted``: remarks that were
    made, for the same reason.
    """

    sweep: bool
    done: list[Record] = field(default_factory=list)
    failed: list[UpliftlensError] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)

    def run(self, config: Mapping[str, Any], overrides: Sequence[str]) -> float:
        """Runs a job; its validation value, NaN where it has none. In a sweep a failure is told of.

        Raises:
            UpliftlensError: for what a user can mend: wrong options, missing data, a failed run.
        """
        try:
            self._refuse_ignored(config, overrides)
            value = self._run(config).diagnostics["validation"]
        except (UpliftlensError, OSError, MemoryError) as problem:
            error = problem if isinstance(problem, UpliftlensError) else UpliftlensError(as_sentence(problem))
            if self.sweep:
                tell_failure(config, error)
            raise error from problem
        return float("nan") if value is None else float(value)

    def finished(self) -> list[Record]:
        """The records of all jobs, once the last one has ended.

        Raises:
            UpliftlensError: that of a run.
            SweepFailed: if any job of a sweep failed.
        """
        if self.failed and not self.sweep:
            raise self.failed[0]
        if self.failed:
            kept = "The others are stored; the same command retries the failed ones only" if self.done else ""
            jobs = len(self.failed) + len(self.done)
            raise SweepFailed(f"{len(self.failed)} of {jobs} runs failed, as told above. {kept}".strip())
        return self.done

    def _refuse_ignored(self, config: Mapping[str, Any], overrides: Sequence[str]) -> None:
        """Options that the model does not read: an error of a run, a remark of a sweep."""
        idle = ignored(plan(config), overrides)
        if idle and not self.sweep:
            raise UpliftlensError(f"{idle}: leave that out, or choose a backbone such as model=mf")
        if idle and idle not in self.noted:
            self.noted.add(idle)
            say_styled(("note", "yellow"), f"  {idle}: such jobs of the sweep are one run")

    def _run(self, config: Mapping[str, Any]) -> Record:
        wanted = canonical_key({"data": config.get("data")})
        if wanted in self.missing:
            raise UpliftlensError("its data could not be had, as told above")
        try:
            self.done.append(run_and_tell(config))
        except DataUnavailable:
            self.missing.add(wanted)
            raise
        return self.done[-1]
