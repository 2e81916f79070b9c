"""Hydra accepts launchers and sweepers only from packages named ``hydra_plugins``: a thin shell."""

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from upliftlens.causal.errors import UpliftlensError


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
        loader, plans = self.hydra_context.config_loader, []
        try:
            for overrides in job_overrides:
                plans.append(self.jobs.planned(self.jobs.configured(loader, self.config, overrides)))
        except UpliftlensError as error:
            raise UpliftlensError(f"{error}\nNothing was started (job {initial_job_idx + len(plans)})") from None
        return [
            JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=value)
            for overrides, value in zip(job_overrides, self.jobs.run(plans), strict=True)
        ]


node: dict[str, Any] = {"_target_": "hydra_plugins.upliftlens.launcher.InProcess"}
ConfigStore.instance().store(group="hydra/launcher", name="in_process", node=node, provider="upliftlens")

# The sweeper's class can't be imported before Hydra has loaded its plugins; its choice is known with this file.
sweeper: dict[str, Any] = {
    "_target_": "hydra_plugins.upliftlens.sweeper.Product",
    "max_batch_size": None,
    "params": None,
}
ConfigStore.instance().store(group="hydra/sweeper", name="product", node=sweeper, provider="upliftlens")
