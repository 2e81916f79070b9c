"""A grid world for risk estimators, after Schnabel et al. (2016, section 6) and Guo et al. (2021, section 5.1).

A pair has a level k (a rating, or a conversion rate) with outcome ``levels[k]`` and is predicted to be of level j with
probability ``prediction[k][j]``. Every pair's loss e = ℓ(levels[k], levels[j]) and propensity are known. Three knobs
make an estimator's inputs worse than the truth:

    propensity β      1/p̂ = (1 − β)/p + β/p̄ up to β = 1: the constant p̄ = |O|/|D| (Guo et al.);
                      1/p̂ = (2 − β)/p̄ + (β − 1)/p' up to β = 2: p', the propensities in the reverse order of levels
    imputation γ      ê = ℓ(g, prediction), the pseudo-label g the true outcome with probability 1 − γ, otherwise one
                      drawn from the outcomes that are observed, which are not those of all pairs
    confounding c     a fair coin h = ±1 that nobody records: p = E[p | level]·e^(ch)/cosh(c), e·(1 + h·tanh(c)/2).
                      p̂ and ê know the means over h only, so with c > 0 no estimator is consistent

The mean loss does not depend on the knobs, up to which pairs the coin favours.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array
from upliftlens.causal.options import Above, AtLeast, Within, check_ranges


@dataclass(frozen=True)
class GridOptions:
    """``levels`` f[K], their ``shares`` and relative ``exposure`` f[K], scaled to a mean of ``density``.

    ``prediction`` f[K, K]: row k is the distribution of the predicted level. ``loss``: of outcome and prediction.
    """

    n_pairs: Annotated[int, AtLeast(1)]
    levels: tuple[float, ...]
    shares: tuple[Annotated[float, Above(0)], ...]
    exposure: tuple[Annotated[float, Above(0)], ...]
    density: Annotated[float, Within(0, 1, "()")]
    prediction: tuple[tuple[Annotated[float, Within(0, 1)], ...], ...]
    loss: Literal["absolute", "squared"]

    def __post_init__(self) -> None:
        size = len(self.levels)
        wrong = [
            (size < 2, "there must be two levels or more"),
            (len(self.shares) != size, "shares must name a share for each level"),
            (abs(sum(self.shares) - 1) > 1e-3, "shares must sum to 1"),
            (len(self.exposure) != size, "exposure must name one for each level"),
            (
                len(self.prediction) != size
                or any(len(row) != size or not np.isclose(sum(row), 1, atol=1e-6) for row in self.prediction),
                "prediction must have a row for each level: shares of the predicted levels that sum to 1",
            ),
        ]
        for is_wrong, sentence in wrong:
            if is_wrong:
                raise UpliftlensError(f"grid world: {sentence}")


@dataclass(frozen=True)
class Knobs:
    """How wrong an estimator's inputs are; all 0: it is given the truth."""

    propensity: Annotated[float, Within(0, 2)]
    imputation: Annotated[float, Within(0, 1)]
    confounding: Annotated[float, AtLeast(0)]


class Grid(NamedTuple):
    """A world and the inputs of estimators, f64[D] each.

    ``outcome``, ``loss`` and ``exposure`` are true; estimators get ``imputed`` for the loss and ``propensity`` for the
    exposure.
    """

    outcome: np.ndarray
    loss: np.ndarray
    exposure: np.ndarray
    propensity: np.ndarray
    imputed: np.ndarray


def grid(options: GridOptions, knobs: Knobs, rng: np.random.Generator, ranks: Array | None = None) -> Grid:
    """A drawn world. The same stream gives the same pairs under all knobs.

    ``ranks`` f[D] in [0, 1): a pair's quantile by outcome, if outcomes follow tastes; None: drawn uniformly.

    Raises:
        UpliftlensError: if an option or a knob is out of range, or the density can't be reached: a propensity would
            exceed 1.
    """
    check_ranges(type(options), vars(options))
    check_ranges(Knobs, vars(knobs), "knobs")
    size, levels = len(options.levels), np.asarray(options.levels, np.float64)
    shares = np.asarray(options.shares) / np.sum(options.shares)
    drawn = rng.random(options.n_pairs)
    level = np.minimum(np.searchsorted(np.cumsum(shares), drawn if ranks is None else ranks), size - 1)
    cumulated = np.cumsum(np.asarray(options.prediction, np.float64), axis=1)[level]
    predicted = np.minimum((rng.random(options.n_pairs)[:, None] > cumulated).sum(axis=1), size - 1)
    hidden = np.where(rng.random(options.n_pairs) < 0.5, -1.0, 1.0)
    guessed, guess = rng.random((2, options.n_pairs))

    relative = np.asarray(options.exposure, np.float64)
    by_level = options.density * relative / relative[level].mean()
    visible = by_level[level]
    exposure = visible * np.exp(knobs.confounding * hidden) / np.cosh(knobs.confounding)
    if exposure.max() > 1 or by_level.max() > 1:
        raise UpliftlensError(
            f"grid world: a density of {options.density:g} can't be reached: a propensity would exceed 1"
        )
    inverse = worsened(1 / visible, options.density, 1 / by_level[::-1][level], knobs.propensity)

    visible_loss = error(options.loss, levels[level], levels[predicted])
    seen = np.cumsum(shares * relative) / np.sum(shares * relative)
    label = np.where(guessed < knobs.imputation, np.minimum(np.searchsorted(seen, guess), size - 1), level)
    imputed = error(options.loss, levels[label], levels[predicted])
    loss = visible_loss * (1 + hidden * np.tanh(knobs.confounding) / 2)
    return Grid(levels[level], loss, exposure, np.minimum(1 / inverse, 1.0), imputed)


def worsened(inverse: Array, density: float, reversed_inverse: Array, amount: float) -> np.ndarray:
    """1/p̂ by the knob β = ``amount``: 1/p at 0, 1/``density`` at 1, ``reversed_inverse`` at 2, linear between."""
    inverse, reversed_inverse = np.asarray(inverse), np.asarray(reversed_inverse)
    if amount <= 1:
        return (1 - amount) * inverse + amount / density
    return (2 - amount) / density + (amount - 1) * reversed_inverse


def error(kind: str, outcome: Array | float, prediction: Array) -> np.ndarray:
    """The loss of each pair, f64[D]."""
    gap = np.asarray(outcome) - np.asarray(prediction)
    return np.abs(gap) if kind == "absolute" else gap**2


def observed_rows(exposure: Array, rng: np.random.Generator, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows i64[capacity] of one draw of o ~ B(p), and their weights f64[capacity], 0 for padding."""
    rows = np.flatnonzero(rng.random(len(exposure)) < exposure)[:capacity]
    weight = np.zeros(capacity)
    weight[: len(rows)] = 1
    return np.pad(rows, (0, capacity - len(rows))), weight


def capacity_of(exposure: Array) -> int:
    """Rows that practically no draw exceeds, for programs compiled once: the mean and eight standard deviations."""
    p = np.asarray(exposure, np.float64)
    return min(len(p), int(p.sum() + 8 * np.sqrt((p * (1 - p)).sum())) + 1)
