"""A multirun in one process: every job is checked before the first one starts; a failed one leaves the others whole."""

import os
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from upliftlens.benchmarks.runs.plan import plan
from upliftlens.causal.errors import UpliftlensError


def launch(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """Runs the jobs in order and returns what Hydra expects of a launcher.

    Raises:
        UpliftlensError: before anything starts, for the first job whose configuration is wrong.
        Exception: what a job raised; a task that is to go on after a failure returns instead.
    """
    jobs = [_composed(context, config, overrides, first + index) for index, overrides in enumerate(job_overrides)]
    returns: list[JobReturn] = []
    for job in jobs:
        with open_dict(job):
            job.hydra.job.env_copy = []
        returns.append(
            run_job(
                hydra_context=context,
                task_function=task,
                config=job,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        )
        # The property `return_value` would raise, after printing a line of Hydra's own.
        if returns[-1].status is JobStatus.FAILED:
            raise returns[-1]._return_value
    return returns


def _composed(context: HydraContext, config: DictConfig, overrides: Sequence[str], number: int) -> DictConfig:
    job = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(job):
        job.hydra.job.id, job.hydra.job.num = f"{os.getpid()}-{number}", number
    task = OmegaConf.masked_copy(job, [str(key) for key in job if key != "hydra"])
    try:
        plan(OmegaConf.to_container(task, resolve=True))  # type: ignore[arg-type]
    except UpliftlensError as error:
        raise UpliftlensError(f"{error}\nNothing was started (job {number})") from None
    return job
