"""Effects of groups and tests of whether they differ, against SciPy, numerical derivatives and textbook formulas."""

import numpy as np
import pytest
from scipy import stats

from upliftlens.causal.effects.heterogeneity import Group, against, differ, estimate, group
from upliftlens.causal.effects.uplift import arm_difference
from upliftlens.causal.intervals import benjamini_hochberg, ratio


def mean_group(values: np.ndarray, present: np.ndarray) -> Group:
    """A group whose effect is the mean of its users' values: the treated arm is the value, control is 0 of 1."""
    item = present.astype(np.float64)
    return group(np.stack([values * item, item, 0 * item, item], axis=1))


def test_a_users_influence_is_the_derivative_of_the_effect_by_the_users_weight():
    sums = np.random.default_rng(0).uniform(0.2, 3.0, (7, 4))
    result = group(sums)
    assert result.value == pytest.approx(float(arm_difference(sums.sum(axis=0))))
    for user in range(7):
        step = np.eye(7)[user] * 1e-6
        up, down = (arm_difference((1 + sign * step) @ sums) for sign in (1, -1))
        assert result.influence[user] == pytest.approx(float(up - down) / 2e-6, abs=1e-7)
    assert result.influence.sum() == pytest.approx(0, abs=1e-12)


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(1).normal(0.3, 1.0, 12)
    result = mean_group(values, np.ones(12, bool))
    ours = estimate(result.value, result.influence, 12, 0.9)
    theirs = stats.ttest_1samp(values, 0.0)
    expected = theirs.confidence_interval(0.9)
    assert (ours.value, ours.lo, ours.hi, ours.p) == pytest.approx(
        (values.mean(), expected.low, expected.high, theirs.pvalue)
    )
    alone = estimate(1.0, np.array([0.0]), 1, 0.9)
    assert alone.n == 1 and np.isnan([alone.lo, alone.hi, alone.p, alone.se]).all()


def test_levels_that_share_no_users_are_tested_by_welch():
    rng = np.random.default_rng(2)
    label = rng.integers(0, 4, 60)
    values = rng.normal(label * 0.3, 1 + label)
    overall = mean_group(values, np.ones(60, bool))
    levels = [mean_group(values, label == item) for item in range(4)]
    theirs = stats.f_oneway(*(values[label == item] for item in range(4)), equal_var=False)
    ours = differ(levels, overall, partition=True)
    assert (ours.statistic, ours.p, ours.df1) == pytest.approx((theirs.statistic, theirs.pvalue, 3))
    two = differ(levels[:2], overall, partition=True)
    assert two.p == pytest.approx(stats.ttest_ind(values[label == 0], values[label == 1], equal_var=False).pvalue)


@pytest.mark.parametrize("partition", [True, False])
def test_levels_that_share_users_are_tested_by_hotelling(partition):
    """Every user has a value in each of three levels, and an overall one: T² of the contrasts, by the textbook."""
    rng = np.random.default_rng(3)
    values = rng.normal([0.0, 0.2, 0.5], 1.0, (25, 3)) + rng.normal(size=(25, 1))
    everyone = np.ones(25, bool)
    overall = values @ [0.2, 0.3, 0.1]  # levels overlap, so they need not make up the whole
    levels = [mean_group(values[:, item], everyone) for item in range(3)]
    contrasts = values[:, :2] - values[:, 2:] if partition else values - overall[:, None]
    mean, k = contrasts.mean(axis=0), contrasts.shape[1]
    t2 = 25 * mean @ np.linalg.solve(np.cov(contrasts.T), mean)
    expected = t2 * (25 - k) / (k * 24)
    ours = differ(levels, mean_group(overall, everyone), partition)
    assert (ours.statistic, ours.df1, ours.df2) == pytest.approx((expected, k, 25 - k))
    assert ours.p == pytest.approx(stats.f.sf(expected, k, 25 - k))


def test_levels_that_say_the_same_count_once():
    """Two genres that are each other's complement make one contrast, a genre that holds all items none."""
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=30), rng.normal(0.5, 1, 30)
    everyone = np.ones(30, bool)
    overall = mean_group((first + second) / 2, everyone)
    levels = [mean_group(first, everyone), mean_group(second, everyone)]
    once = differ(levels, overall, False)
    assert once.df1 == 1 and once.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert differ([*levels, overall], overall, False).p == pytest.approx(once.p)
    assert np.isnan(differ([overall, overall], overall, False).p)


def test_a_difference_of_overlapping_groups_counts_shared_users_once():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=20), rng.normal(size=20)
    everyone = np.ones(20, bool)
    result = against(mean_group(first, everyone), mean_group(second, everyone), 0.95)
    assert result.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert result.value == pytest.approx(first.mean() - second.mean())


def test_an_empty_arm_has_no_effect_and_enters_no_test():
    sums = np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    empty = group(sums)
    assert np.isnan(empty.value) and empty.present.tolist() == [True, True, False]
    full = mean_group(np.array([0.1, 0.5, 0.2]), np.ones(3, bool))
    assert np.isnan(differ([empty, full], full, True).p)
    assert np.isnan(estimate(empty.value, empty.influence, 2, 0.95).p)
    assert np.isnan(ratio(np.array(1.0), np.array(0.0)))


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(6).uniform(0, 0.2, 9)
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    assert benjamini_hochberg([]) == []
