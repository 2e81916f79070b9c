"""Hydra accepts launchers and sweepers only from packages named ``hydra_plugins``: a thin shell."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class InProcess(Launcher):
    """Runs a multirun's jobs one after the other in this process, where they share data and compiled programs."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what ``launch`` needs; ``task_function``: the ``Jobs`` of ``upliftlens.benchmarks.sweeps.jobs``."""
        self.hydra_context, self.config = hydra_context, config
        self.jobs: Any = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs, once all are composed, typed and planned; a return per job, with its validation value.

        Raises:
            UpliftlensError: before anything starts, for the first job whose configuration is wrong.
        """
        loader = self.hydra_context.config_loader
        jobs = {tuple(each): partial(self.jobs.configured, loader, self.config, each) for each in job_overrides}
        values = self.jobs.run(self.jobs.plans(jobs))
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=value) for value in values]


node: dict[str, Any] = {"_target_": "hydra_plugins.upliftlens.launcher.InProcess"}
ConfigStore.instance().store(group="hydra/launcher", name="in_process", node=node, provider="upliftlens")

# The sweeper's class can't be imported before Hydra has loaded its plugins; its choice is known with this file.
sweeper: dict[str, Any] = {
    "_target_": "hydra_plugins.upliftlens.sweeper.Product",
    "max_batch_size": None,
    "params": None,
}
ConfigStore.instance().store(group="hydra/sweeper", name="product", node=sweeper, provider="upliftlens")
