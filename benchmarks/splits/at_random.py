"""The split kfold, and the validation rows of every split that draws them at random."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.kinds import Sampling, SplitKind, SplitOptions
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.options import AtLeast

FOLDS, VALIDATION = 0, 1  # the streams of a split's seed, one for each use


@dataclass(frozen=True)
class KFoldOptions(SplitOptions):
    """Part ``fold`` of ``folds`` equal parts of the log tests."""

    folds: Annotated[int, AtLeast(2)]
    fold: Annotated[int, AtLeast(0)]

    def __post_init__(self) -> None:
        if self.fold >= self.folds >= 2:
            raise UpliftlensError(f"split.fold={self.fold} is out of range: 0 … folds-1")


def random_rows(log: Interactions, rows: np.ndarray, options: SplitOptions) -> np.ndarray:
    """bool[len(rows)]: ``options.validation`` of the rows, drawn by ``options.seed``."""
    n = len(rows)
    return _mask(n, stream(options.seed, VALIDATION).permutation(n)[: round(options.validation * n)])


def _held_out(dataset: Dataset, options: KFoldOptions) -> np.ndarray:
    n = len(dataset.log)
    if options.folds > n:
        raise UpliftlensError(f"split.folds={options.folds} is more than {dataset.name}'s {n} rows")
    order = stream(options.seed, FOLDS).permutation(n)
    return _mask(n, np.array_split(order, options.folds)[options.fold])


def stream(seed: int, axis: int) -> np.random.Generator:
    """The random numbers of one use of a split's seed."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(axis,))))


def _mask(n: int, rows: np.ndarray) -> np.ndarray:
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask


kfold = SplitKind("kfold", KFoldOptions, _held_out, random_rows, Sampling(fit=True, validation=True, test=True))
