"""Splits whose test set comes with the data: any data set's (``given``), a user's files (``files``), or the third draw
of a world (``draws``)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.at_random import random_rows
from upliftlens.benchmarks.splits.kinds import Sampling, SplitKind, SplitOptions
from upliftlens.benchmarks.splits.leak import among, pairs
from upliftlens.causal.errors import UpliftlensError


@dataclass(frozen=True)
class GivenOptions(SplitOptions):
    """``overlap``: what happens to training rows whose pair is in the test set; with drop, also to those whose pair is
    a given validation row, and to such rows whose pair is in the test set."""

    overlap: Literal["keep", "drop", "error"]

    @property
    def published(self) -> bool:
        """Whether they stay."""
        return self.overlap == "keep"


def _overlapping(dataset: Dataset, options: GivenOptions) -> np.ndarray:
    if dataset.test is None:
        raise UpliftlensError(
            f"{dataset.name} comes without a test set: use split=kfold, or another data set, e.g. data=coat"
        )
    if options.overlap == "drop":
        pair, validates = pairs(dataset.log), dataset.validates
        tested = among(pair, np.sort(pairs(dataset.test)))
        return tested if validates is None else tested | (~validates & among(pair, np.sort(pair[validates])))
    return np.zeros(len(dataset.log), bool)


def _no_row(dataset: Dataset, options: SplitOptions) -> np.ndarray:
    if not dataset.redrawn:
        raise UpliftlensError(
            f"{dataset.name} does not come as three draws: use split=kfold, or data=uplift-ml-100k, for instance"
        )
    if options.validation != 0.5:
        raise UpliftlensError(
            f"split 'draws': split.validation={options.validation}, but the second draw is .5 of the log"
        )
    return np.zeros(len(dataset.log), bool)


given = SplitKind(
    "given",
    GivenOptions,
    _overlapping,
    random_rows,
    Sampling(fit=True, validation=True),
    given_test=True,
    mend="split.overlap=drop leaves them out of training, split.overlap=keep follows the published protocol",
)
files = SplitKind(
    "files",
    GivenOptions,
    _overlapping,
    random_rows,
    Sampling(validation=True),  # nobody knows how the files were sampled
    given_test=True,
    mend="split.overlap=drop leaves them out of training, split.overlap=keep tests what is trained on, too",
)
draws = SplitKind(
    "draws",
    SplitOptions,
    _no_row,
    lambda log, rows, options: rows >= len(log) // 2,  # the second draw
    Sampling(validation=True),
    given_test=True,
    redrawn=True,
)
