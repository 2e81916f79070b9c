"""A multirun in one process: every job is checked before the first one starts; a failed one leaves the others whole."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from upliftlens.benchmarks.config.compose import plain
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.sweeps.jobs import Jobs
from upliftlens.causal.errors import UpliftlensError


def launch(
    context: HydraContext, jobs: Jobs, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Composes and plans every job, runs them in order, and returns what Hydra expects of a launcher.

    Raises:
        UpliftlensError: before anything starts, for the first job whose configuration is wrong.
    """
    plans = [_planned(context, jobs, config, overrides, first + i) for i, overrides in enumerate(job_overrides)]
    return [
        JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=value)
        for overrides, value in zip(job_overrides, jobs.run(plans), strict=True)
    ]


def _planned(context: HydraContext, jobs: Jobs, config: DictConfig, overrides: Sequence[str], number: int) -> Plan:
    job = context.config_loader.load_sweep_config(config, list(overrides))
    try:
        return jobs.planned(plain(job), job.hydra.overrides.task)
    except UpliftlensError as error:
        raise UpliftlensError(f"{error}\nNothing was started (job {number})") from None
