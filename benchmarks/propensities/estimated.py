"""Propensities that are estimated from the log alone (``causal.propensities``), each with its options."""

from dataclasses import dataclass
from typing import Annotated, Literal

from upliftlens.benchmarks.propensities.kinds import Known, PropensityKind, PropensityOptions
from upliftlens.causal.options import Above, AtLeast
from upliftlens.causal.propensities import logistic as logistics
from upliftlens.causal.propensities import propensity as models
from upliftlens.causal.propensities.propensity import Propensity


@dataclass(frozen=True)
class PopularityOptions(PropensityOptions):
    """p ∝ n_i^``power``, scaled to the log's density or to a maximum of 1."""

    power: Annotated[float, AtLeast(0)]
    scale: Literal["density", "max"]


@dataclass(frozen=True)
class LogisticOptions(PropensityOptions):
    """Logistic regression on features and ids."""

    l2: Annotated[float, Above(0)]
    iterations: Annotated[int, AtLeast(1)]


@dataclass(frozen=True)
class LogisticMFOptions(LogisticOptions):
    """Logistic factorisation of the exposure matrix; ``seed`` draws its start."""

    dim: Annotated[int, AtLeast(1)]
    seed: Annotated[int, AtLeast(0)]


def _constant(options: PropensityOptions, known: Known) -> Propensity:
    return models.constant(known.log)


def _popularity(options: PopularityOptions, known: Known) -> Propensity:
    return models.popularity(known.log, options.power, options.scale)


def _logistic(options: LogisticOptions, known: Known) -> Propensity:
    features = known.dataset.user_features.matrix, known.dataset.item_features.matrix
    return logistics.logistic_regression(known.log, *features, options.l2, options.iterations)


def _logistic_mf(options: LogisticMFOptions, known: Known) -> Propensity:
    return logistics.logistic_mf(known.log, options.dim, options.l2, options.seed, options.iterations)


constant = PropensityKind("constant", PropensityOptions, _constant)
popularity = PropensityKind("popularity", PopularityOptions, _popularity)
logistic = PropensityKind("logistic", LogisticOptions, _logistic)
logistic_mf = PropensityKind("logistic_mf", LogisticMFOptions, _logistic_mf)
