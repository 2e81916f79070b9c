"""A multirun in one process: every job is checked before the first one starts; a failed one leaves the others whole."""

import os
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.markup import escape

from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.plan import plan
from upliftlens.benchmarks.progress import say


class SweepFailed(UpliftlensError):
    """Some jobs of a sweep failed; the others are done and stored."""


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
        SweepFailed: after the last job, if any failed; each was reported when it failed.
    """
    jobs = [_composed(context, config, overrides, first + index) for index, overrides in enumerate(job_overrides)]
    labels = _labels(job_overrides)
    returns: list[JobReturn] = []
    for index, job in enumerate(jobs):
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
        error = _error(returns[-1])
        if isinstance(error, KeyboardInterrupt):
            raise error
        if error is not None:
            say(f"[red]failed[/red] {index + 1}/{len(jobs)} {escape(labels[index])}: {escape(str(error))}")
    failed = [labels[i] for i, one in enumerate(returns) if one.status is JobStatus.FAILED]
    if failed:
        raise SweepFailed(
            f"{len(failed)} of {len(jobs)} runs failed ({'; '.join(failed)}). The others are stored; "
            "the same command retries the failed ones only"
        )
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


def _labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """What tells the jobs apart: the overrides that not all of them share."""
    shared = set.intersection(*(set(job) for job in jobs))
    return [" ".join(one for one in job if one not in shared) or "run" for job in jobs]


def _error(done: JobReturn) -> BaseException | None:
    # The property `return_value` would raise, after printing a line of Hydra's own.
    return done._return_value if done.status is JobStatus.FAILED else None
