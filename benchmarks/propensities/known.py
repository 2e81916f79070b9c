"""Propensities that are known for the whole log: shipped with the data (given), or those of a world (oracle)."""

import numpy as np

from upliftlens.benchmarks.propensities.kinds import PropensityKind, PropensityOptions
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.propensities import propensity as models


def _of(name: str, matrix: np.ndarray | None, lack: str) -> models.Propensity:
    if matrix is None:
        raise UpliftlensError(f"propensity={name}: {lack}: choose another, e.g. popularity")
    return models.given(matrix, name)


given = PropensityKind(
    "given",
    PropensityOptions,
    lambda options, known: _of("given", known.dataset.propensity, f"{known.dataset.name} ships no propensities"),
    whole_log=True,
)
oracle = PropensityKind(
    "oracle",
    PropensityOptions,
    lambda options, known: _of("oracle", known.truth, f"{known.dataset.name} is no world with known propensities"),
    whole_log=True,
)
