"""The layout full: one step per epoch without a batch; the method reads the training data itself."""

from typing import Any

import numpy as np

from upliftlens.benchmarks.training.rows import Feed, Sizes, Wants
from upliftlens.models.contract import Link, TrainingData


def full(data: TrainingData, link: Link, sizes: Sizes, wants: Wants) -> Feed:
    """The feed of the layout."""
    return Feed(None, lambda rng: np.zeros((1, 0), np.int32), _cut, 1)


def _cut(arrays: Any, index: Any) -> None:
    return None
