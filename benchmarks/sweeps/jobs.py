"""The jobs of one ``run`` or ``sweep``: each is run and told of as it comes; what they came to is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hydra_plugins.upliftlens.launcher import node
from upliftlens.benchmarks.config.compose import plain
from upliftlens.benchmarks.runs.many import Outcome, Watch, run_many
from upliftlens.benchmarks.runs.plan import Plan, plan, refuse_ignored
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.tell import bar, tell_done, tell_failure, tell_remark
from upliftlens.causal.errors import UpliftlensError


class SweepFailed(UpliftlensError):
    """Some jobs of a sweep failed; the others are done and stored."""


@dataclass
class Jobs:
    """What the jobs of a command have come to so far. It is Hydra's task function, too."""

    sweep: bool
    done: list[Record] = field(default_factory=list)
    failed: list[UpliftlensError] = field(default_factory=list)

    def planned(self, config: Mapping[str, Any], overrides: Sequence[str]) -> Plan:
        """The plan of a job. Options that its model does not read are an error of a run, a remark of a sweep.

        Raises:
            UpliftlensError: for what is wrong with the configuration.
        """
        job = plan(config, overrides)
        return job if self.sweep else refuse_ignored(job)

    def run(self, plans: Sequence[Plan]) -> list[float]:
        """Runs the jobs; the validation value of each, NaN where it has none. In a sweep a failure is told of."""
        values: list[float] = []

        def after(plan: Plan, outcome: Outcome) -> None:
            value = None
            if outcome.status in ("computed", "stored"):
                self.done.append(tell_done(plan, outcome))
                value = self.done[-1].diagnostics["validation"]
            else:
                self.failed.append(UpliftlensError(outcome.message))
                if self.sweep:
                    tell_failure(plan, outcome)
            values.append(float("nan") if value is None else float(value))

        run_many(plans, Watch(bar, after, tell_remark))
        return values

    def __call__(self, config: DictConfig) -> float:
        """A job as Hydra hands it over: that of a ``run``, or of a launcher that is not ours.

        Raises:
            UpliftlensError: in another launcher, which has to know: the job may be in a process of its own. Raised past
                Hydra in a ``run``, it would come with a line of Hydra's own, so there it waits for ``finished``.
        """
        hydra, failures, value = HydraConfig.get(), len(self.failed), float("nan")
        try:
            (value,) = self.run([self.planned(plain(config), hydra.overrides.task)])
        except UpliftlensError as error:
            self.failed.append(error)
        if self.failed[failures:] and hydra.launcher._target_ != node["_target_"]:
            raise self.failed[-1]
        return value

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
