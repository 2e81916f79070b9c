"""A data set in memory: host-side arrays and tables."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.world import World
from upliftlens.causal.interactions import Interactions


class Features(NamedTuple):
    """``matrix`` f32[n, F], one column per name: one-hot for categories, 0/1 for tags, standardised for numbers."""

    names: tuple[str, ...]
    matrix: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A log with all that is known about its users and items.

    ``test`` is the test set that comes with the data, or None; ``test_kind`` says how its pairs were chosen:
    ``mnar`` (by the users), ``mar`` (at random). ``validates`` bool[len(log)]: the rows of the log that come as
    validation rows, for the splits that take that test set; None where the split has to choose them. ``users`` and
    ``items`` are the tables behind the indices, row i describing index i; column ``id`` holds the raw id as text,
    ``title`` (items) is optional.
    ``propensity`` f32[U, I], or None: P(the log holds the pair) as the data's authors ship it (Coat).
    In a log of recommendations (``treated`` is not None in ``log``, nor in ``test``) every logged pair is a row and its
    value an outcome; above 0 it was consumed. ``estimated``: its propensities are fitted (to all rows, or in a run to
    those it does not test on), not recorded. ``redrawn``: ``log`` is a training draw and then a validation draw of the
    same pairs, in the same order, the test set being a third.
    ``world``: the truth, where the data come from a world whose truth is known; for evaluation only.
    ``relevance`` is the lowest value that counts as relevant; ``fingerprint``: see ``sealed``.
    """

    name: str
    log: Interactions
    users: pd.DataFrame
    items: pd.DataFrame
    user_features: Features
    item_features: Features
    scale: tuple[float, float]
    relevance: float
    feedback: Literal["explicit", "implicit"]
    terms: str
    source: str
    fingerprint: str
    test: Interactions | None = None
    test_kind: Literal["mnar", "mar"] | None = None
    validates: np.ndarray | None = None
    propensity: np.ndarray | None = None
    estimated: bool = False
    redrawn: bool = False
    world: World | None = None

    @property
    def has_treatments(self) -> bool:
        """Whether it is a log of recommendations."""
        return self.log.treated is not None
