"""The truth of a world: its propensities, ratings and effects, locked during training and selection."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np

from upliftlens.causal.worlds.potential import PotentialWorld, fingerprint, realised

T = TypeVar("T")

_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


class TruthRead(Exception):
    """The truth of a world was read while hidden: an error in a learner's code, not in its options."""


@contextmanager
def hidden() -> Iterator[None]:
    """While the block runs, reading any truth raises ``TruthRead``; training and selection run in such a block."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


class World:
    """The truth about the users and items of a data set that comes from a world; each part is None if it isn't known.

    ``propensity`` and ``ratings`` are functions, called at every reading, so that the matrices take no memory in
    between. ``potential``: the outcomes with and without recommendation; ``test_seed``: the seed of the test draw.
    The data set's fingerprint covers ``potential`` alone: the two functions must follow from what else it covers, as
    they do where the log is drawn from them. Every reading raises ``TruthRead`` inside of ``hidden``; ``knows_effects``
    does not.
    """

    def __init__(
        self,
        propensity: Callable[[], np.ndarray] | None = None,
        ratings: Callable[[], np.ndarray] | None = None,
        potential: PotentialWorld | None = None,
        test_seed: int = 0,
    ) -> None:
        self._propensity, self._ratings = propensity, ratings
        self._potential = None if potential is None else lambda: potential
        self._test_seed = test_seed
        self.fingerprint = None if potential is None else fingerprint(potential)

    @property
    def knows_effects(self) -> bool:
        """Whether ``potential``, ``tau`` and ``realised`` are known."""
        return self._potential is not None

    @property
    def propensity(self) -> np.ndarray | None:
        """P(the log holds the pair), f32[U, I]."""
        return self._read(self._propensity)

    @property
    def ratings(self) -> np.ndarray | None:
        """The rating of every pair, f64[U, I]."""
        return self._read(self._ratings)

    @property
    def potential(self) -> PotentialWorld | None:
        """The world of potential outcomes."""
        return self._read(self._potential)

    @property
    def tau(self) -> np.ndarray | None:
        """τ = μ1 − μ0, f32[U, I]."""
        return None if (world := self.potential) is None else world.tau

    def realised(self) -> np.ndarray | None:
        """Y^T − Y^C of the test draw, f32[U, I]."""
        return None if (world := self.potential) is None else realised(world, self._test_seed)

    def _read(self, part: Callable[[], T] | None) -> T | None:
        if _hidden.get():
            raise TruthRead("a learner, or what selects it, read the truth of a world: only evaluation may")
        return None if part is None else part()
