"""The synthetic world against its own closed forms: counts, propensities, expectations, and what is learnable in it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare, norm

from upliftlens.causal.interactions import Interactions
from upliftlens.causal.worlds.synthetic import (
    DAY,
    START,
    SyntheticOptions,
    SyntheticTruth,
    SyntheticWorld,
    synthetic_world,
)

OPTIONS = SyntheticOptions(
    n_users=300,
    n_items=200,
    dim=3,
    ratings_per_user=40.0,
    activity_skew=0.6,
    test_per_user=10,
    exposure=1.0,
    popularity_skew=1.0,
    max_propensity=0.9,
    user_sd=0.4,
    item_sd=0.5,
    taste_sd=0.6,
    noise=0.5,
    shares=(0.1, 0.2, 0.3, 0.25, 0.15),
    n_user_features=4,
    n_item_features=6,
    feature_strength=0.4,
    days=200.0,
    confounding=0.0,
)
EVERYBODY = np.arange(OPTIONS.n_users)


def expected_rating(truth: SyntheticTruth, users: np.ndarray) -> np.ndarray:
    """E[r_ui] = 1 + Σ_j Φ((s_ui + confounding·h_ui − c_j)/noise), f32[B, I], for the given users i32[B]."""
    utility = truth.signal(users) + truth.hidden(users)
    return (1 + sum(norm.cdf((utility - c) / truth.options.noise) for c in truth.thresholds)).astype(np.float32)


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return synthetic_world(OPTIONS, seed=0)


def pairs(log: Interactions) -> np.ndarray:
    return log.user.astype(np.int64) * log.n_items + log.item


def columns(world: SyntheticWorld) -> list[np.ndarray]:
    logs = [getattr(log, name) for log in (world.log, world.test) for name in ("user", "item", "value")]
    return [*logs, world.log.time, world.user_features, world.item_features]


def test_records_have_the_documented_shapes_and_types(world: SyntheticWorld) -> None:
    assert (world.log.n_users, world.log.n_items) == (world.test.n_users, world.test.n_items) == (300, 200)
    assert world.user_features.shape == (300, 4) and world.user_features.dtype == np.float32
    assert world.item_features.shape == (200, 6) and world.item_features.dtype == np.float32
    assert world.log.time is not None and world.log.time.dtype == np.int64
    assert (np.diff(world.log.time) >= 0).all()
    assert world.log.time.min() >= START and world.log.time.max() <= START + OPTIONS.days * DAY
    assert world.truth.propensity(EVERYBODY).dtype == np.float32
    assert set(np.unique(world.log.value)) == set(np.unique(world.test.value)) == {1, 2, 3, 4, 5}


def test_same_seed_same_bytes_and_another_seed_another_world(world: SyntheticWorld) -> None:
    again, other = synthetic_world(OPTIONS, seed=0), synthetic_world(OPTIONS, seed=1)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(columns(world), columns(again)))
    assert len(world.log) != len(other.log) and not np.array_equal(world.test.value, other.test.value)


@pytest.mark.parametrize("block", [1, 7, 300, 1000])
def test_the_block_size_changes_nothing(world: SyntheticWorld, block: int) -> None:
    other = synthetic_world(OPTIONS, seed=0, block=block)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(columns(world), columns(other)))


def test_the_truth_of_some_users_is_the_same_in_any_company(world: SyntheticWorld) -> None:
    some = np.array([5, 17, 203])
    assert np.array_equal(world.truth.propensity(some), world.truth.propensity(EVERYBODY)[some])
    assert np.array_equal(expected_rating(world.truth, some), expected_rating(world.truth, EVERYBODY)[some])


def test_the_test_set_is_uniform_and_disjoint_from_the_log(world: SyntheticWorld) -> None:
    assert (np.bincount(world.test.user, minlength=300) == OPTIONS.test_per_user).all()
    for log in (world.log, world.test):
        assert len(np.unique(pairs(log))) == len(log)
    assert not np.intersect1d(pairs(world.log), pairs(world.test)).size
    # every item equally often, whatever its popularity: a multinomial but for the draw without replacement in a user
    assert chisquare(np.bincount(world.test.item, minlength=200)).pvalue > 1e-4
    assert chisquare(np.bincount(world.log.item, minlength=200)).pvalue < 1e-12


def test_every_test_subset_is_equally_likely() -> None:
    few = replace(OPTIONS, n_users=6000, n_items=5, test_per_user=2, ratings_per_user=1.0, n_user_features=0)
    test = synthetic_world(few, seed=3).test
    items = test.item.reshape(-1, 2)
    counts = np.unique(items[:, 0] * 5 + items[:, 1], return_counts=True)[1]
    assert len(counts) == 10 and chisquare(counts).pvalue > 1e-4


def test_the_number_of_rows_has_its_closed_form(world: SyntheticWorld) -> None:
    p = world.truth.propensity(EVERYBODY).astype(np.float64)
    most = OPTIONS.max_propensity * (1 - OPTIONS.test_per_user / OPTIONS.n_items)
    # Σ_i p_ui is the user's expected number of rows exactly, unless that exceeds the cap on every item
    np.testing.assert_allclose(p.sum(axis=1), np.minimum(world.truth.expected_rows, most * 200), rtol=1e-5)
    assert p.max() <= most * (1 + 1e-6) and (p > 0.999 * most).any()


def test_the_log_is_bernoulli_of_the_propensity() -> None:
    """Counts of rows by user, by item and in all, standardised by Σ p and Σ p(1−p), are standard normal over worlds."""
    z: dict[str, list[np.ndarray]] = {"user": [], "item": [], "all": []}
    for seed in range(20):
        world = synthetic_world(OPTIONS, seed)
        p = world.truth.propensity(EVERYBODY).astype(np.float64)
        observed = np.zeros(p.shape)
        observed[world.log.user, world.log.item] = 1
        for name, axis in (("user", 1), ("item", 0), ("all", None)):
            error = (observed - p).sum(axis=axis)
            z[name].append(np.atleast_1d(error / np.sqrt((p * (1 - p)).sum(axis=axis))))
    for name, parts in z.items():
        values = np.concatenate(parts)
        assert abs(values.mean()) < 4 / np.sqrt(len(values)), name
        assert abs((values**2).mean() - 1) < 4 * np.sqrt(2 / len(values)), name


def test_propensities_are_calibrated() -> None:
    """Among pairs of about equal propensity, that share is observed."""
    world = synthetic_world(replace(OPTIONS, n_users=2000), seed=5)
    p = world.truth.propensity(np.arange(2000)).ravel()
    observed = np.isin(np.arange(len(p)), pairs(world.log))
    for rows in np.array_split(np.argsort(p), 20):
        error = observed[rows].mean() - p[rows].mean()
        assert abs(error) < 4.5 * np.sqrt((p[rows] * (1 - p[rows])).sum()) / len(rows)


def test_expected_ratings_match_the_formula_and_the_test_set(world: SyntheticWorld) -> None:
    expected = expected_rating(world.truth, EVERYBODY)
    user, item = 11, 42
    c, s = world.truth.thresholds, world.truth.signal(EVERYBODY)[user, item]
    edges = np.concatenate([[-np.inf], c, [np.inf]])
    shares = np.diff(norm.cdf((edges - s) / OPTIONS.noise))
    assert expected[user, item] == pytest.approx(shares @ [1, 2, 3, 4, 5], rel=1e-6)
    predicted = expected[world.test.user, world.test.item]
    residual = world.test.value - predicted
    assert abs(residual.mean()) < 4 * residual.std() / np.sqrt(len(residual))
    slope = np.polyfit(predicted, world.test.value, 1)[0]
    assert slope == pytest.approx(1, abs=0.05)


def test_the_signal_has_the_stated_parts() -> None:
    """Each spread alone gives a matrix of that standard deviation, and of the rank that it should have."""
    base = replace(
        OPTIONS, n_users=800, n_items=600, n_user_features=0, n_item_features=0, user_sd=0, item_sd=0, taste_sd=0
    )
    for name, rank in (("user_sd", 1), ("item_sd", 1), ("taste_sd", 3)):
        signal = synthetic_world(replace(base, **{name: 0.7}), seed=2).truth.signal(np.arange(800))
        assert np.linalg.matrix_rank(signal[:40, :40], tol=1e-8) == rank
        assert signal.std() == pytest.approx(0.7, rel=0.1)


def test_the_rating_marginal_is_about_the_stated_shares() -> None:
    test = synthetic_world(replace(OPTIONS, n_users=2000, n_items=1500), seed=0).test
    marginal = np.bincount(test.value.astype(int), minlength=6)[1:] / len(test)
    np.testing.assert_allclose(marginal, OPTIONS.shares, atol=0.03)


def test_without_exposure_the_logged_mean_is_the_population_mean() -> None:
    world = synthetic_world(replace(OPTIONS, exposure=0.0), seed=4)
    p = world.truth.propensity(EVERYBODY)
    assert np.ptp(p, axis=1).max() == 0
    mean = expected_rating(world.truth, EVERYBODY).mean(axis=1)[world.log.user]
    residual = world.log.value - mean  # against the user's own mean: active users may happen to be generous ones
    assert abs(residual.mean()) < 3 * residual.std() / np.sqrt(len(residual))


def test_exposure_biases_the_logged_mean_upward_and_ips_removes_it() -> None:
    gaps = []
    for exposure in (0.0, 0.5, 1.0):
        world = synthetic_world(replace(OPTIONS, exposure=exposure), seed=4)
        truth = expected_rating(world.truth, EVERYBODY).mean()
        gaps.append(world.log.value.mean() - truth)
        p = world.truth.propensity(EVERYBODY)[world.log.user, world.log.item].astype(np.float64)
        terms = world.log.value / p
        assert abs(terms.sum() / 60_000 - truth) < 4 * np.sqrt((terms**2).sum()) / 60_000
    assert gaps[2] > gaps[1] + 0.1 > gaps[0] + 0.3


def test_worlds_that_differ_in_exposure_only_share_preferences_and_test_set(world: SyntheticWorld) -> None:
    other = synthetic_world(replace(OPTIONS, exposure=0.0), seed=0)
    assert np.array_equal(expected_rating(world.truth, EVERYBODY), expected_rating(other.truth, EVERYBODY))
    assert np.array_equal(world.test.item, other.test.item) and np.array_equal(world.test.value, other.test.value)
    assert not np.array_equal(pairs(world.log), pairs(other.log))


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_features_explain_the_stated_share_of_the_factors(strength: float) -> None:
    world = synthetic_world(replace(OPTIONS, n_users=3000, feature_strength=strength), seed=1)
    factors, features = world.truth.users[:, :-1], world.user_features
    rest = factors - features @ np.linalg.lstsq(features, factors, rcond=None)[0]
    assert 1 - rest.var() / factors.var() == pytest.approx(strength, abs=0.05)


def test_matrix_factorisation_beats_biases_beats_the_mean_on_the_random_test_set(world: SyntheticWorld) -> None:
    """Alternating ridge regressions, written here in a few lines: rank 0 is the additive model."""

    def rmse(rank: int, ridge: float) -> float:
        log, rng = world.log, np.random.default_rng(0)
        mean = log.value.mean()
        sides = [np.column_stack([rng.normal(0, 0.1, (n, rank)), np.zeros(n)]) for n in (log.n_users, log.n_items)]
        for step in range(20):
            near, far = step % 2, 1 - step % 2
            ids = (log.user, log.item)
            for item in range(len(sides[near])):
                rows = np.flatnonzero(ids[near] == item)
                other = sides[far][ids[far][rows]]
                design = np.column_stack([other[:, :rank], np.ones(len(rows))])
                target = log.value[rows] - mean - other[:, rank]
                sides[near][item] = np.linalg.solve(design.T @ design + ridge * np.eye(rank + 1), design.T @ target)
        left, right = sides[0][world.test.user], sides[1][world.test.item]
        predicted = mean + (left[:, :rank] * right[:, :rank]).sum(axis=1) + left[:, rank] + right[:, rank]
        return float(np.sqrt(((np.clip(predicted, 1, 5) - world.test.value) ** 2).mean()))

    constant = float(np.sqrt(((world.log.value.mean() - world.test.value) ** 2).mean()))
    factorised, additive = rmse(3, 3.0), rmse(0, 1.0)
    assert factorised + 0.05 < additive < constant - 0.05


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"n_users": 0}, "n_users"),
        ({"test_per_user": 200}, "test_per_user"),
        ({"max_propensity": 0.0}, "max_propensity"),
        ({"ratings_per_user": 0.0}, "ratings_per_user must be above 0, got 0"),
        ({"ratings_per_user": 181.0}, "181 ratings_per_user can't be reached"),
        ({"ratings_per_user": 150.0}, r"150 ratings_per_user can't be reached: .* 171 = .* 12[0-9] .* activity_skew"),
        ({"noise": 0.0}, "noise"),
        ({"user_sd": 0.0, "item_sd": 0.0, "taste_sd": 0.0}, "taste_sd"),
        ({"feature_strength": 1.5}, "feature_strength"),
        ({"shares": (0.5, 0.4)}, "sum to 1"),
        ({"shares": (1.0,)}, "shares"),
        ({"noise": 1e300}, r"noise must be a finite number \(of at most 3\.4e38, as float32 holds\), got 1e\+300"),
        ({"exposure": -np.inf}, "exposure must be a finite number"),
        ({"days": 1e12}, r"days=1e\+12 must be at most 1e\+11"),
        ({"activity_skew": -1.0}, "activity_skew must be at least 0, got -1"),
    ],
)
def test_options_out_of_range_are_refused_by_name(wrong: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        synthetic_world(replace(OPTIONS, **wrong), seed=0)


def test_without_features_and_without_a_test_set() -> None:
    bare = replace(OPTIONS, n_user_features=0, n_item_features=0, test_per_user=0, activity_skew=0.0)
    world = synthetic_world(bare, seed=0)
    assert world.user_features.shape == (300, 0) and len(world.test) == 0
    assert world.truth.expected_rows == pytest.approx(40)


@pytest.mark.slow
def test_a_world_of_movielens_1m_size_has_its_rows() -> None:
    big = replace(OPTIONS, n_users=6040, n_items=3706, ratings_per_user=165.0)
    world = synthetic_world(big, seed=0)
    expected = world.truth.expected_rows.sum()
    assert abs(len(world.log) - expected) < 5 * np.sqrt(expected)
    assert len(world.test) == 60_400


def test_preference_and_popularity_drive_exposure_as_stated() -> None:
    """Below the cap log p_ui − log p_uj is linear in signal and popularity, with the stated weights."""
    o = replace(OPTIONS, exposure=0.5, popularity_skew=0.8)
    truth = synthetic_world(o, seed=0).truth
    p = truth.propensity(EVERYBODY).astype(np.float64)
    spread = np.sqrt(o.user_sd**2 + o.item_sd**2 + o.taste_sd**2)
    score = o.exposure * (truth.signal(EVERYBODY) / spread + o.popularity_skew * truth.popularity)
    free = p.max(axis=1) < 0.8
    assert free.sum() > 100
    np.testing.assert_allclose(np.diff(np.log(p[free])), np.diff(score[free]), atol=1e-5)
    assert truth.popularity.std() == pytest.approx(1, abs=0.15)
