"""Logs of recommendations with features of users and items, small enough to study thousands of them."""

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset, Features
from upliftlens.benchmarks.reports.effect_features import EffectsOptions
from upliftlens.causal.interactions import interactions

OPTIONS = EffectsOptions(
    estimator="dr",
    features=None,
    bins=3,
    max_levels=8,
    min_users=5,
    correction="holm",
    level=0.95,
    chi=0.0,
    shrinkage=5.0,
    seed=0,
)
GENRES = ("drama", "comedy|drama", "comedy", "noir", "drama|noir", "")


def logged(rng: np.random.Generator, n_users: int = 90, n_items: int = 18, by_gender: float = 0.0) -> Dataset:
    """Users drawn anew with their features; what recommending changes varies by user, but with no feature.

    Taste drives exposure and outcomes, so raw means are confounded. ``by_gender``: how much more recommending helps a
    user of gender F. Theirs is .1 + by_gender on average, the others' .1.
    """
    gender, age = rng.choice(["F", "M"], n_users), rng.integers(18, 80, n_users)
    taste = rng.uniform(0.1, 0.5, n_users)
    effect = 0.1 + rng.uniform(-0.1, 0.1, n_users) + by_gender * (gender == "F")
    shape = (n_users, n_items)
    e = np.broadcast_to((0.15 + taste)[:, None].astype(np.float32).astype(np.float64), shape)
    treated = rng.random(shape) < e
    outcome = rng.random(shape) < taste[:, None] + np.where(treated, effect[:, None], 0.0)
    done = np.where(treated, e, 1 - e)
    user, item = (place.ravel() for place in np.indices(shape))
    users = pd.DataFrame({"id": np.arange(n_users), "gender": gender, "age": age}).astype(str)
    genres = [GENRES[this_item % len(GENRES)] for this_item in range(n_items)]
    return Dataset(
        name="logged",
        log=interactions(user, item, outcome.ravel(), *shape, None, treated.ravel(), done.ravel()),
        users=users,
        items=pd.DataFrame({"id": [str(this_item) for this_item in range(n_items)], "genres": genres}),
        user_features=Features((), np.zeros((n_users, 0), np.float32)),
        item_features=Features((), np.zeros((n_items, 0), np.float32)),
        scale=(0.0, 1.0),
        relevance=1.0,
        feedback="implicit",
        terms="",
        source="",
        fingerprint="",
    )
