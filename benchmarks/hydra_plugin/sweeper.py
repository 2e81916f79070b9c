"""A shell around Hydra's sweeper, which composes every job once more than is needed where the launcher is ours."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from hydra_plugins.upliftlens.launcher import node


class Product(BasicSweeper):
    """The product of all values, as Hydra's. Our launcher composes all jobs before it starts the first one."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Leaves the pass out where the launcher checks every job itself."""
        assert self.config is not None
        if self.config.hydra.launcher._target_ != node["_target_"]:
            super().validate_batch_is_legal(batch)
