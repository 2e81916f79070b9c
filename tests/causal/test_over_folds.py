"""Means over folds: the correction for shared training rows, folds × seeds, users in several folds, swapped sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, Repetition, sources_of
from upliftlens.benchmarks.metrics.registry import registry
from upliftlens.benchmarks.reports.comparison import compare, over_seeds, replicated
from upliftlens.causal.intervals import Resampling, Statistic
from upliftlens.causal.over_runs import Source, bounds, difference_of, numbered, pooled

SPEC = Resampling(0.95, 400, 0)


def constant(values, resamples=4000):
    """Replicates of runs whose users don't differ."""
    return np.tile(values[:, None], (1, resamples))


def test_over_folds_it_is_the_corrected_t_test_of_nadeau_and_bengio():
    values = np.random.default_rng(0).normal(0.3, 0.1, 5)
    folds = pooled(values, constant(values), [Source(np.arange(5), 1 / 4)])
    error = values.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert folds.spreads == ((pytest.approx(error, rel=1e-14), 4),)
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=error)
    assert bounds(folds, 0.95) == pytest.approx(expected, abs=1e-10)
    p = 2 * stats.t.sf(values.mean() / error, 4)
    assert difference_of(folds, 9, 0.95).p == pytest.approx(p, abs=2 / 4001)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_over_runs_alone_it_is_students_interval_and_the_paired_t_test(n):
    first, second = np.random.default_rng(n).normal(size=(2, n))
    for values, theirs in ((first, stats.ttest_1samp(first, 0)), (first - second, stats.ttest_rel(first, second))):
        mean = pooled(values, constant(values))
        for level in (0.5, 0.9, 0.95, 0.99):
            np.testing.assert_allclose(bounds(mean, level), theirs.confidence_interval(level), rtol=0, atol=1e-10)
        assert difference_of(mean, 9, 0.95).p == pytest.approx(theirs.pvalue, abs=2 / 4001)


def test_folds_and_seeds_are_two_sources():
    rng = np.random.default_rng(1)
    grid = rng.normal(size=(5, 1)) + rng.normal(size=(1, 3)) + 0.1 * rng.normal(size=(5, 3))
    fold, seed = np.divmod(np.arange(15), 3)
    mean = pooled(grid.ravel(), constant(grid.ravel()), [Source(fold, 1 / 4), Source(seed)])
    errors = grid.mean(axis=1).std(ddof=1) * np.sqrt(1 / 5 + 1 / 4), grid.mean(axis=0).std(ddof=1) / np.sqrt(3)
    assert [spread.freedom for spread in mean.spreads] == [4, 2]
    assert [spread.error for spread in mean.spreads] == pytest.approx(errors)
    half = np.hypot(stats.t.isf(0.025, 4) * errors[0], stats.t.isf(0.025, 2) * errors[1])
    assert np.diff(bounds(mean, 0.95)) / 2 == pytest.approx(half)


def test_a_fold_with_fewer_runs_counts_less():
    """Levels of 4, 1 and 1 runs: the variance of such a weighted mean of independent levels, Σ (runs/all)²."""
    values, fold = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 4.0]), np.array([0, 0, 0, 0, 1, 2])
    (spread,) = pooled(values, constant(values), [Source(fold)]).spreads
    assert spread.error == pytest.approx(np.std([1, 2, 4], ddof=1) * np.sqrt((16 + 1 + 1) / 36))


@pytest.mark.parametrize("shared", [0.0, 0.25])
def test_a_user_who_is_tested_in_several_folds_is_drawn_in_all_of_them(shared):
    """So what users differ in is no less over five folds than in a single run."""
    rng, users, variances = np.random.default_rng(2), 200, []
    for _ in range(30):
        weights = rng.multinomial(users, np.full(users, 1 / users), size=300).T / users
        per_user = rng.normal(size=users) + 2 * rng.normal(size=(5, users))
        mean = pooled(per_user.mean(axis=1), per_user @ weights, [Source(np.arange(5), shared)])
        variances.append(mean.users.var())
    assert np.mean(variances) == pytest.approx(1 / users, rel=0.1), "not 1.8, with the noise of user × fold in it"


def evaluation(values, users, fold, seed, name="ndcg@5"):
    values, metric = np.asarray(values, float), registry()[name.partition("@")[0]].value
    statistic = Statistic(np.asarray(users), np.stack([values, np.ones(len(values))], axis=1), metric.reduce)
    return Evaluation(np.asarray(users), {name: statistic}, {}, {}, {}, True, Repetition(f"fold {fold}", seed, 0.25))


def runs_of(values, name="ndcg@5"):
    """Runs of 5 folds × 2 seeds; ``values`` f64[10, 40]; a fold tests all users but every fifth."""
    users = [np.flatnonzero(np.arange(40) % 5 != fold) for fold in range(5)]
    places = [divmod(run, 2) for run in range(10)]
    return [
        evaluation(values[run][users[fold]], users[fold], fold, seed, name) for run, (fold, seed) in enumerate(places)
    ]


def test_runs_tell_over_what_they_vary():
    runs = runs_of(np.random.default_rng(3).normal(size=(10, 40)))
    folds, seeds = sources_of(runs, "ndcg@5")
    assert folds.level.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] and folds.shared == 0.25
    assert seeds.level.tolist() == [0, 1] * 5 and seeds.shared == 0
    assert [source.shared for source in sources_of(runs[::2], "ndcg@5")] == [0.25], "a seed alone says nothing of seeds"
    assert sources_of(runs, "coverage@5")[0].shared == 4, "lists depend on training rows alone, which folds share"
    assert sources_of(runs[:2], "ndcg@5") == (), "one fold: runs count as independent, as ever"
    assert sources_of([run._replace(repetition=None) for run in runs], "ndcg@5") == ()
    assert numbered(["b", "a", "b"]).tolist() == [0, 1, 0]


def test_intervals_and_comparisons_of_runs_use_their_folds():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(1, 40)) + np.repeat(rng.normal(size=(5, 1)), 2, axis=0) + 0.1 * rng.normal(size=(10, 40))
    runs = runs_of(values)
    summary, result = over_seeds(runs, "ndcg@5", SPEC), replicated(runs, "ndcg@5", SPEC)
    assert summary.n == 40
    expected = bounds(pooled(result.values, result.drawn, sources_of(runs, "ndcg@5")), 0.95)
    assert (summary.lo, summary.hi) == pytest.approx(np.clip(expected, 0, 1))
    independent = compare({"a": ([run._replace(repetition=None) for run in runs],) * 2}, "ndcg@5", SPEC)["a"]
    assert independent.folds == 1 and compare({"a": (runs, runs)}, "ndcg@5", SPEC)["a"].folds == 5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 2, 5]), st.sampled_from([1, 3]), st.floats(0, 2), st.booleans())
def test_swapped_sides_flip_the_sign_and_keep_p_exactly(seed, folds, seeds, apart, shared_users):
    rng = np.random.default_rng(seed)
    n = folds * seeds
    values, noise = rng.normal(size=(2, n)), rng.normal(size=(2, n if not shared_users else 1, 60))
    drawn = values[:, :, None] + noise
    fold, of_seed = np.divmod(np.arange(n), seeds)
    values[0] += apart
    sources = [Source(fold, 0.25), Source(of_seed)]
    there, back = (
        difference_of(pooled(values[a] - values[b], drawn[a] - drawn[b], sources), 9, 0.95) for a, b in ((0, 1), (1, 0))
    )
    assert (there.value, there.lo, there.hi) == (-back.value, -back.hi, -back.lo)
    assert (there.p, there.least) == (back.p, back.least)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_swapped_methods_flip_the_comparison_and_keep_p_exactly(seed):
    first, second = (runs_of(values) for values in np.random.default_rng(seed).normal(size=(2, 10, 40)))
    there, back = (compare({"a": sides}, "ndcg@5", SPEC)["a"] for sides in ((first, second), (second, first)))
    assert (there.difference, there.lo, there.hi) == (-back.difference, -back.hi, -back.lo)
    assert (there.p, there.p_holm, there.n) == (back.p, back.p_holm, back.n)
    assert there.effect == -back.effect
    assert {there.better, back.better} in ({"first", "second"}, {"undecided"})
