"""Per-pair losses ℓ(target, score). The error e of a risk estimator is such a loss."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from upliftlens.causal.interactions import Array

Link = Literal["rating", "probability", "rank"]
"""What ``predict`` returns: a value on the data's scale, P(positive), or a score that only orders."""


class Loss(NamedTuple):
    """A per-pair loss.

    ``error(score, target) -> f32`` elementwise, differentiable in ``score``.
    ``predict(score)`` turns a score into the unit that ``link`` names.
    ``pairwise``: the score is a difference between a positive and a negative item (layout ``triples``).
    """

    name: str
    error: Callable[[Array, Array], Array]
    predict: Callable[[Array], Array]
    link: Link
    pairwise: bool = False
    version: int = 1


def _squared(score: Array, target: Array) -> Array:
    return (score - target) ** 2


def _absolute(score: Array, target: Array) -> Array:
    return jnp.abs(score - target)


def _logistic(score: Array, target: Array) -> Array:
    return jax.nn.softplus(score) - target * score


def _identity(score: Array) -> Array:
    return score


squared = Loss("squared", _squared, _identity, "rating")
"""(r − r̂)²; the target is the value itself."""

absolute = Loss("absolute", _absolute, _identity, "rating")
"""|r − r̂|; the target is the value itself. Its gradient is ±1, and 0 where r̂ = r: decay the rate (schedule=cosine)."""

logistic = Loss("logistic", _logistic, jax.nn.sigmoid, "probability")
"""−y log σ(s) − (1−y) log(1 − σ(s)), y = 1{value is positive}."""

bpr = Loss("bpr", _logistic, _identity, "rank", pairwise=True)
"""−log σ(s_ui − s_uj), j a sampled item that the user has no positive row for; the target is 1.

Rendle et al. 2009, eq. 4.
"""
