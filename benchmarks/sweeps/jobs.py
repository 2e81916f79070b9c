"""The jobs of one ``run`` or ``sweep``, from Hydra's configurations to plans, runs, and the lines printed of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hydra_plugins.upliftlens.launcher import node
from upliftlens.benchmarks.config.compose import plain
from upliftlens.benchmarks.runs.many import run_many
from upliftlens.benchmarks.runs.plan import Plan, ignored, plan, refuse_ignored
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.tell import tell_done, tell_failure, tell_remark
from upliftlens.causal.errors import UpliftlensError


@dataclass
class Jobs:
    """The jobs of a command that are done or failed so far. It is Hydra's task function, too."""

    sweep: bool
    done: list[Record] = field(default_factory=list)
    failed: list[UpliftlensError] = field(default_factory=list)

    def launch(
        self, loader: ConfigLoader, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
    ) -> list[float]:
        """Runs the jobs of a multirun in order, once all are composed and planned; their validation values.

        ``config``: of the command; ``first``: the number of the first job.

        Raises:
            UpliftlensError: before anything starts, for the first job whose configuration is wrong.
        """
        plans = []
        for number, overrides in enumerate(job_overrides, start=first):
            job = loader.load_sweep_config(config, list(overrides))
            try:
                plans.append(self._planned(job, job.hydra.overrides.task))
            except UpliftlensError as error:
                raise UpliftlensError(f"{error}\nNothing was started (job {number})") from None
        return self._run(plans)

    def _planned(self, config: DictConfig, overrides: Sequence[str]) -> Plan:
        """The plan of a job. Options that its model does not read are an error of a run, a remark of a sweep."""
        job = plan(plain(config), overrides)
        return job if self.sweep else refuse_ignored(job)

    def _run(self, plans: Sequence[Plan]) -> list[float]:
        """Runs the jobs and prints a line of each; their validation values, NaN for a job without one."""
        for sentence in dict.fromkeys(filter(None, map(ignored, plans))):
            tell_remark(sentence)
        values: list[float] = []
        for job, outcome in zip(plans, run_many(plans, watched=True), strict=True):
            value = None
            if outcome.status in ("computed", "stored"):
                self.done.append(tell_done(job, outcome))
                value = self.done[-1].diagnostics["validation"]
            else:
                self.failed.append(UpliftlensError(outcome.message))
                if self.sweep:
                    tell_failure(job, outcome)
            values.append(float("nan") if value is None else float(value))
        return values

    def __call__(self, config: DictConfig) -> float:
        """Runs the job that Hydra hands over: that of a ``run``, or of a launcher that is not ours.

        Raises:
            UpliftlensError: if it failed in another launcher, whose job may be in another process. In a ``run`` Hydra
                would add a line of its own to the error, so there ``finished`` raises it.
        """
        hydra, failures, value = HydraConfig.get(), len(self.failed), float("nan")
        try:
            (value,) = self._run([self._planned(config, hydra.overrides.task)])
        except UpliftlensError as error:
            self.failed.append(error)
        if self.failed[failures:] and hydra.launcher._target_ != node["_target_"]:
            raise self.failed[-1]
        return value

    def finished(self) -> list[Record]:
        """The records of all jobs, once the last one has ended.

        Raises:
            UpliftlensError: the error of a ``run``; of a sweep, how many of its jobs failed.
        """
        if self.failed and not self.sweep:
            raise self.failed[0]
        if self.failed:
            kept = "The others are stored; the same command retries the failed ones only" if self.done else ""
            jobs = len(self.failed) + len(self.done)
            raise UpliftlensError(f"{len(self.failed)} of {jobs} runs failed, see the lines above. {kept}".strip())
        return self.done
