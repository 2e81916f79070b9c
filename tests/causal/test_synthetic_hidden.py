"""The generated world's hidden cause of rating and exposure, and the propensities that it ships."""

from dataclasses import replace

import numpy as np
import pytest
from test_synthetic import EVERYBODY, OPTIONS, expected_rating

from upliftlens.benchmarks.data import configure, load
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.worlds.synthetic import SyntheticWorld, synthetic_world


@pytest.fixture(scope="module")
def hidden() -> SyntheticWorld:
    return synthetic_world(replace(OPTIONS, confounding=0.8), seed=0)


def test_without_confounding_nothing_hidden_counts() -> None:
    world = synthetic_world(OPTIONS, seed=0)
    assert world.truth.hidden(EVERYBODY) == 0.0
    np.testing.assert_allclose(
        world.truth.recorded_propensity(EVERYBODY, 0.0), world.truth.propensity(EVERYBODY), rtol=1e-6
    )


def test_the_hidden_cause_raises_rating_and_exposure_together(hidden: SyntheticWorld) -> None:
    h = np.sign(hidden.truth.hidden(EVERYBODY))
    assert set(np.unique(h)) == {-1.0, 1.0} and abs(h.mean()) < 0.1
    rating, p = expected_rating(hidden.truth, EVERYBODY), hidden.truth.propensity(EVERYBODY)
    assert rating[h > 0].mean() - rating[h < 0].mean() > 0.8
    assert p[h > 0].mean() > 2 * p[h < 0].mean()
    seen = np.zeros(h.shape, bool)
    seen[hidden.log.user, hidden.log.item] = True
    assert abs(seen.sum() - p.sum()) < 5 * np.sqrt(p.sum())
    assert abs(seen[h > 0].sum() - p[h > 0].sum()) < 5 * np.sqrt(p[h > 0].sum())
    of_rows = h[hidden.log.user, hidden.log.item] > 0
    assert hidden.log.value[of_rows].mean() > hidden.log.value[~of_rows].mean() + 0.5


def test_it_multiplies_exposure_by_its_exponential() -> None:
    """Where no pair is capped, p/p⁰ of a user's pairs is k·e^(exposure·confounding·h)."""
    truth = synthetic_world(replace(OPTIONS, confounding=0.8, exposure=0.5, ratings_per_user=2.0), seed=0).truth
    factor = np.log(truth.propensity(EVERYBODY) / truth.recorded_propensity(EVERYBODY, 0.0))
    gap = factor - 0.5 * truth.hidden(EVERYBODY)
    np.testing.assert_allclose(gap, np.broadcast_to(gap[:, :1], gap.shape), atol=1e-4)


def test_what_is_recorded_does_not_know_the_hidden_cause(hidden: SyntheticWorld) -> None:
    h = np.sign(hidden.truth.hidden(EVERYBODY))
    p = hidden.truth.recorded_propensity(EVERYBODY, 0.0)
    assert p[h > 0].mean() / p[h < 0].mean() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(p.sum(axis=1), hidden.truth.propensity(EVERYBODY).sum(axis=1), rtol=1e-5)


def test_misspecification_goes_to_each_users_mean_in_the_inverse(hidden: SyntheticWorld) -> None:
    right, half, flat = (hidden.truth.recorded_propensity(EVERYBODY, amount) for amount in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(flat, np.broadcast_to(right.mean(axis=1, keepdims=True), right.shape), rtol=1e-5)
    np.testing.assert_allclose(1 / half, (1 / right + 1 / flat) / 2, rtol=1e-5)


def test_a_negative_confounding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"confounding must be at least 0, got -0\.1"):
        synthetic_world(replace(OPTIONS, confounding=-0.1), seed=0)


def test_a_data_set_ships_them_where_asked() -> None:
    small = ["data.n_users=20", "data.n_items=30", "data.ratings_per_user=10", "data.test_per_user=4"]
    assert load(configure("synthetic", small), "").propensity is None
    shipped = load(configure("synthetic", [*small, "data.misspecification=1.0", "data.confounding=0.5"]), "").propensity
    assert shipped is not None and shipped.shape == (20, 30) and (shipped == shipped[:, :1]).all()
    with pytest.raises(UpliftlensError, match="misspecification must lie in"):
        load(configure("synthetic", [*small, "data.misspecification=1.5"]), "")
