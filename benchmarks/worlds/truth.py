"""The truth of a world, which only evaluation may read."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from upliftlens.causal.worlds.potential import PotentialWorld, fingerprint, realised

_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


class TruthRead(Exception):
    """Something read the truth of a world while it was hidden: a fault in a learner, not in its options."""


@contextmanager
def hidden() -> Iterator[None]:
    """While the block runs, reading any truth raises ``TruthRead``: what training and selection run under."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


class Truth:
    """A world behind a door: the log's own user and item indices, and the seed of the draw that tests."""

    def __init__(self, world: PotentialWorld, test_seed: int) -> None:
        self._world = world
        self._test_seed = test_seed
        self.fingerprint = fingerprint(world)

    @property
    def world(self) -> PotentialWorld:
        """The world.

        Raises:
            TruthRead: inside of ``hidden``.
        """
        if _hidden.get():
            raise TruthRead("a learner, or what selects it, read the truth of a world: only evaluation may")
        return self._world

    @property
    def tau(self) -> np.ndarray:
        """τ = μ1 − μ0, f32[U, I]; raises as ``world``."""
        return self.world.tau

    def realised(self) -> np.ndarray:
        """Y^T − Y^C of the draw that tests, f32[U, I]; raises as ``world``."""
        return realised(self.world, self._test_seed)
