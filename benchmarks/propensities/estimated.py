"""Propensities that are estimated from the log alone (``causal.propensities``), each with its options."""

from dataclasses import dataclass
from typing import Annotated, Literal

from upliftlens.benchmarks.propensities.kinds import PropensityKind, PropensityOptions
from upliftlens.causal.options import Above, AtLeast
from upliftlens.causal.propensities import logistic as logistics
from upliftlens.causal.propensities import propensity as models


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


constant = PropensityKind("constant", PropensityOptions, lambda options, known: models.constant(known.log))
popularity = PropensityKind(
    "popularity",
    PopularityOptions,
    lambda options, known: models.popularity(known.log, options.power, options.scale),
)
logistic = PropensityKind(
    "logistic",
    LogisticOptions,
    lambda options, known: logistics.logistic_regression(
        known.log,
        known.dataset.user_features.matrix,
        known.dataset.item_features.matrix,
        options.l2,
        options.iterations,
    ),
)
logistic_mf = PropensityKind(
    "logistic_mf",
    LogisticMFOptions,
    lambda options, known: logistics.logistic_mf(known.log, options.dim, options.l2, options.seed, options.iterations),
)
