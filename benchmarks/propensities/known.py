"""Propensities that are known for the whole log: shipped with the data, or a world's."""

import numpy as np

from upliftlens.benchmarks.propensities.kinds import Known, PropensityKind, PropensityOptions
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.propensities import propensity as models
from upliftlens.causal.propensities.propensity import Propensity


def _given(options: PropensityOptions, known: Known) -> Propensity:
    return _of(known.dataset.propensity, options.name, f"{known.dataset.name} ships no propensities")


def _oracle(options: PropensityOptions, known: Known) -> Propensity:
    return _of(known.truth, options.name, f"{known.dataset.name} is no world with known propensities")


def _of(matrix: np.ndarray | None, name: str, lack: str) -> Propensity:
    if matrix is None:
        raise UpliftlensError(f"propensity={name}: {lack}: choose another, e.g. popularity")
    return models.given(matrix, name)


given = PropensityKind("given", PropensityOptions, _given, whole_log=True)
oracle = PropensityKind("oracle", PropensityOptions, _oracle, whole_log=True)
