"""A fully generated world of potential outcomes: any size, every strength a knob, the truth a formula.

For user u with group x_u ∈ {0, 1}, item i, factors p_u, q_i, a_u, c_i ~ N(0, 1)^d, and h_ui = ±1 a fair coin that
nobody records:

    logit μ0_ui = base + popularity_sd·g_i + taste_sd·⟨p_u, q_i⟩/√d + confounding·h_ui
    logit μ1_ui = logit μ0_ui + effect + heterogeneity·(x_u − ½) + effect_sd·⟨a_u, c_i⟩/√d
    e_ui        = clip(k·exposure(rank_u of (μ1+μ0)/2)·exp(confounding·h_ui), floor, cap)

The rank is taken at h = 0; k makes the mean user get ``per_user`` recommendations. A log records E_h[e], the best
that an observer who never sees h could know: with ``confounding`` = 0 that is e itself, otherwise estimators that
trust it are biased.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np

from upliftlens.causal.options import Above, AtLeast, Within, check_ranges
from upliftlens.causal.worlds.potential import EXPOSURES, PotentialWorld, potential_world, ranks, rescaled


@dataclass(frozen=True)
class GeneratedOptions:
    """What the world is made of; effects and standard deviations are on the logit scale.

    ``effect``: log odds ratio of recommending. ``effect_sd``: how much it differs between pairs. ``heterogeneity``: how
    much larger it is in group 1 than in group 0. ``exposure`` names a rule of ``causal.worlds.potential.EXPOSURES`` and
    ``exponent`` its strength, 0 being a randomised policy. ``confounding``: strength of the hidden cause of both.
    """

    n_users: Annotated[int, AtLeast(1)]
    n_items: Annotated[int, AtLeast(1)]
    dim: Annotated[int, AtLeast(1)]
    base: float
    popularity_sd: Annotated[float, AtLeast(0)]
    taste_sd: Annotated[float, AtLeast(0)]
    effect: float
    effect_sd: Annotated[float, AtLeast(0)]
    heterogeneity: float
    confounding: Annotated[float, AtLeast(0)]
    exposure: Literal["log-rank", "rank"]
    exponent: Annotated[float, AtLeast(0)]
    per_user: Annotated[float, Above(0)]
    floor: Annotated[float, Within(0, 1)]
    cap: Annotated[float, Within(0, 1, "(]")]


class Generated(NamedTuple):
    """The world, and the group x i8[U] of every user, the only user feature."""

    world: PotentialWorld
    group: np.ndarray


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


@np.errstate(over="ignore")  # an exposure that overflows is refused, and a sigmoid then is the 0 that it should be
def generate(options: GeneratedOptions, seed: int) -> Generated:
    """The world of these options and this seed.

    Raises:
        UpliftlensError: if an option is out of its range, or ``per_user`` can't be reached.
    """
    o = options
    check_ranges(type(o), vars(o))
    rng = np.random.default_rng(seed)
    taste, response = (
        rng.standard_normal((o.n_users, o.dim)) @ rng.standard_normal((o.dim, o.n_items)) / np.sqrt(o.dim)
        for _ in range(2)
    )
    popularity = rng.standard_normal(o.n_items)
    group = rng.permutation(np.arange(o.n_users) % 2).astype(np.int8)
    hidden = rng.choice([-1.0, 1.0], (o.n_users, o.n_items))
    visible = o.base + o.popularity_sd * popularity + o.taste_sd * taste
    effect = o.effect + o.heterogeneity * (group - 0.5)[:, None] + o.effect_sd * response
    preference = _sigmoid(visible) + _sigmoid(visible + effect)
    exposure = EXPOSURES[o.exposure](ranks(preference, np.arange(o.n_items)), o.exponent)
    # Both values of the hidden cause side by side, so that one scale serves the policy and what is recorded of it.
    both = np.concatenate([exposure * np.exp(o.confounding * sign) for sign in (-1.0, 1.0)])
    low, high = np.split(rescaled(both, o.per_user, o.floor, o.cap), 2)
    logit = visible + o.confounding * hidden
    world = potential_world(
        _sigmoid(logit + effect), _sigmoid(logit), np.where(hidden > 0, high, low), 0.5 * (low + high)
    )
    return Generated(world, group)
