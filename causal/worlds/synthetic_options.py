"""What a synthetic world (``causal.worlds.synthetic``) is made of, and which can't be."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.special import ndtr

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import Above, AtLeast, Within, check_ranges

MOST_DAYS = 1e11  # so that the last second lies below 2^53
TOLERANCE = 0.1  # share of the expected log that max_propensity may cut off, from the most active users


@dataclass(frozen=True)
class SyntheticOptions:
    """What a world is made of. Standard deviations are in units of the latent utility behind a rating.

    ``ratings_per_user`` is the expected number of log rows of the mean user, ``activity_skew`` the log-normal spread
    of that number over users. ``exposure`` is the strength with which preference and popularity drive what is seen
    (0: nothing does), ``popularity_skew`` the weight of popularity beside preference in it. ``feature_strength``
    is the share of the factors' variance that the features explain. ``shares`` are the shares of ratings
    1, 2, … in the complete matrix. ``test_per_user`` pairs of each user, chosen uniformly, form the test set.
    ``confounding``: strength of the hidden cause of both rating and exposure.
    """

    n_users: Annotated[int, AtLeast(1)]
    n_items: Annotated[int, AtLeast(1)]
    dim: Annotated[int, AtLeast(1)]
    ratings_per_user: Annotated[float, Above(0)]
    activity_skew: Annotated[float, AtLeast(0)]
    test_per_user: Annotated[int, AtLeast(0)]
    exposure: float
    popularity_skew: float
    max_propensity: Annotated[float, Within(0, 1, "(]")]
    user_sd: Annotated[float, AtLeast(0)]
    item_sd: Annotated[float, AtLeast(0)]
    taste_sd: Annotated[float, AtLeast(0)]
    noise: Annotated[float, Above(0)]
    shares: tuple[Annotated[float, Above(0)], ...]
    n_user_features: Annotated[int, AtLeast(0)]
    n_item_features: Annotated[int, AtLeast(0)]
    feature_strength: Annotated[float, Within(0, 1)]
    days: Annotated[float, AtLeast(0)]
    confounding: Annotated[float, AtLeast(0)]


def check_options(options: SyntheticOptions) -> None:
    """Refuses a world that can't be.

    Raises:
        UpliftlensError: if an option is out of its range, or ``max_propensity`` caps the users' expected rows so
            that more than a share ``TOLERANCE`` of the log is lost.
    """
    check_ranges(type(options), vars(options))
    o = options
    most = o.max_propensity * (o.n_items - o.test_per_user)
    reach = f"max_propensity · (n_items - test_per_user) is {most:g}; lower them, or raise max_propensity or n_items"
    wrong = [
        (
            o.test_per_user >= o.n_items,
            f"test_per_user={o.test_per_user} must be below n_items={o.n_items}: change one",
        ),
        (o.ratings_per_user > most, f"{o.ratings_per_user:g} ratings_per_user can't be reached: {reach}"),
        (o.user_sd + o.item_sd + o.taste_sd <= 0, "one of user_sd, item_sd, taste_sd must be positive"),
        (len(o.shares) < 2, "shares must name a share for each of two or more levels"),
        (abs(sum(o.shares) - 1) > 1e-6, "shares must sum to 1"),
        (o.days > MOST_DAYS, f"days={o.days:g} must be at most {MOST_DAYS:g}: later times are not exact"),
    ]
    for is_wrong, sentence in wrong:
        if is_wrong:
            raise UpliftlensError(f"synthetic world: {sentence}")
    # Of log-normal numbers of rows per user, all above ``most`` are cut off: how much of their mean is left?
    asked = left = o.ratings_per_user
    if o.activity_skew > 0:
        distance, half = np.log(most / asked) / o.activity_skew, o.activity_skew / 2
        left = float(asked * ndtr(distance - half) + most * ndtr(-distance - half))
    if left < (1 - TOLERANCE) * asked:
        raise UpliftlensError(
            f"synthetic world: {asked:g} ratings_per_user can't be reached: no user has more than {most:g} = "
            f"max_propensity · (n_items - test_per_user), which leaves {left:.3g} in the mean; lower ratings_per_user "
            "or activity_skew, or raise max_propensity or n_items"
        )
