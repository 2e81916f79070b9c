"""The bootstrap over users: exactness, coverage, two ways, paired comparison, Holm."""

import numpy as np
import pytest
from scipy import sparse, stats

from upliftlens.benchmarks.evaluation.evaluation import Evaluation
from upliftlens.benchmarks.metrics.metric import Lists, Pairs
from upliftlens.benchmarks.metrics.registry import registry
from upliftlens.benchmarks.reports.comparison import over_seeds
from upliftlens.causal.intervals import (
    Resampling,
    Statistic,
    draws,
    holm,
    informative,
    interval,
    percentile,
    ratio,
    replicates,
    value,
)

SPEC = Resampling(0.9, 300, 0)


def mean_statistic(values, units=None):
    values = np.asarray(values, float)
    sums = np.stack([values, np.ones(len(values))], axis=1)
    return Statistic(np.arange(len(values)) if units is None else np.asarray(units), sums, lambda t: ratio(t[0], t[1]))


def evaluation(name, values, users=None):
    """An evaluation with one mean metric of given per-user values."""
    statistic = mean_statistic(values, users)._replace(reduce=registry()[name.partition("@")[0]].value.reduce)
    return Evaluation(statistic.units, {name: statistic}, {}, {}, {})


def test_a_replicate_is_the_metric_of_the_users_drawn_again_and_again():
    rng = np.random.default_rng(0)
    numbers = rng.gamma(1, size=(30, 2)) + np.arange(30)[:, None]
    statistic = Statistic(np.arange(30), numbers, lambda totals: np.sqrt(totals[0] / totals[1]))
    result, n = replicates([statistic], SPEC)
    draw = np.random.default_rng(SPEC.seed)
    for replicate in result[0]:
        drawn = numbers[draw.integers(30, size=30)]  # users copied, numerator and denominator recomputed
        assert replicate == pytest.approx(np.sqrt(drawn[:, 0].sum() / drawn[:, 1].sum()), rel=1e-12)
    assert n == 30
    assert value(statistic) == pytest.approx(np.sqrt(numbers[:, 0].sum() / numbers[:, 1].sum()))


def test_pooled_auc_is_recomputed_from_the_pairs_of_the_drawn_users():
    rng = np.random.default_rng(2)
    row = np.repeat(np.arange(6), 6)
    # every score has as many positives as negatives, but not within a user
    positive, score = np.tile([True, False], 18), np.repeat(rng.integers(0, 4, 18), 2).astype(float)
    order = np.concatenate([rng.permutation(np.flatnonzero(score == item)) for item in range(4)])
    positive, score = positive[order], score[order]
    metric = registry()["auc"].value
    sums = metric.sums(Pairs(row, 6, positive.astype(float), positive, score, (0, 1)), np.inf)
    result, _ = replicates([Statistic(np.arange(6), sums, metric.reduce)], SPEC)
    draw = np.random.default_rng(SPEC.seed)
    for replicate in result[0]:
        pairs = np.concatenate([np.flatnonzero(row == user) for user in draw.integers(6, size=6)])
        up, down = score[pairs][positive[pairs]], score[pairs][~positive[pairs]]
        wins = (up[:, None] > down).sum() + (up[:, None] == down).sum() / 2
        assert replicate == pytest.approx(wins / (len(up) * len(down)))


def test_the_width_of_a_block_changes_no_draw():
    whole = np.concatenate(list(draws(7, SPEC, 1000)), axis=1)
    assert whole.shape == (7, 300) and (whole.sum(axis=0) == 7).all()
    assert (whole == np.concatenate(list(draws(7, SPEC, 11)), axis=1)).all()
    assert (whole != np.concatenate(list(draws(7, Resampling(0.9, 300, 1), 11)), axis=1)).any()


def test_sparse_and_dense_sums_agree():
    table = np.random.default_rng(0).integers(0, 3, (12, 40)).astype(float)
    both = [Statistic(np.arange(12), sums, lambda t: (t > 1).mean(axis=0)) for sums in (table, sparse.csr_array(table))]
    result, _ = replicates(both, SPEC)
    assert (result[0] == result[1]).all() and value(both[0]) == value(both[1])
    assert (informative(both[0]) == informative(both[1])).all()


def test_one_draw_serves_all_statistics_even_over_different_users():
    values = np.random.default_rng(0).normal(size=20)
    some = np.arange(0, 20, 2)
    result, n = replicates([mean_statistic(values), mean_statistic(values[some], some), mean_statistic(values)], SPEC)
    assert n == 20 and (result[0] == result[2]).all()
    draw = np.random.default_rng(SPEC.seed)
    for replicate in result[1]:
        drawn = draw.integers(20, size=20)
        assert replicate == pytest.approx(values[drawn[drawn % 2 == 0]].mean())


def test_the_spread_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(1).gamma(2, size=400)
    result, _ = replicates([mean_statistic(values)], Resampling(0.95, 4000, 0))
    assert result[0].std() == pytest.approx(values.std() / 20, rel=0.05)
    lo, hi = percentile(result[0], 0.95)
    assert (hi - lo) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.05)


def test_few_users_and_undefined_resamples():
    assert np.isnan(interval(0.5, np.full(9, 0.5), 1, 0.95, (0, 1))[1:3]).all()
    assert np.isnan(percentile(np.full(9, np.nan), 0.95)).all()
    # two users, one of them without a denominator: a quarter of the resamples has no value, the rest have one
    statistic = Statistic(np.arange(2), np.array([[1.0, 2.0], [0.0, 0.0]]), lambda t: ratio(t[0], t[1]))
    result, _ = replicates([statistic], SPEC)
    assert np.isnan(result).mean() == pytest.approx(0.25, abs=0.08)
    assert np.isnan(percentile(result[0], 0.9)).all(), "one user is behind it: its spread is none"
    assert percentile(np.append(np.full(95, 0.5), np.full(5, np.nan)), 0.95) == (0.5, 0.5)


@pytest.mark.parametrize("kind", ["mean", "rmse"])
def test_an_interval_covers_the_truth_as_often_as_it_says(kind):
    rng = np.random.default_rng(3)
    if kind == "mean":  # skewed per-user values
        truth, samples = 0.25, rng.beta(0.5, 1.5, (400, 150))
        runs = [mean_statistic(sample) for sample in samples]
    else:  # users with very different numbers of rows and errors that depend on it
        n = rng.geometric(0.1, (400, 150))
        squared = rng.chisquare(n) * (1 + 1 / n)
        # E[Σ e²] / E[n] = E[n + 1] / E[n], n geometric with mean 10
        truth = np.sqrt(11 / 10)
        reduce = registry()["rmse"].value.reduce
        runs = [
            Statistic(np.arange(150), np.stack(item, axis=1).astype(float), reduce)
            for item in zip(squared, n, strict=True)
        ]
    covered = []
    for run in runs:
        lo, hi = percentile(replicates([run], SPEC)[0][0], SPEC.level)
        covered.append(lo <= truth <= hi)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)  # 400 trials: ± 3 standard errors


def test_pooled_auc_covers_its_truth():
    rng = np.random.default_rng(4)
    metric = registry()["auc"].value
    covered = []
    row = np.repeat(np.arange(40), 8)
    for _ in range(150):
        positive = rng.random(320) < 0.4
        score = rng.normal(size=320) + positive + rng.normal(size=40)[row]  # users differ by an offset
        sums = metric.sums(Pairs(row, 40, positive.astype(float), positive, score, (0, 1)), np.inf)
        lo, hi = percentile(replicates([Statistic(np.arange(40), sums, metric.reduce)], SPEC)[0][0], SPEC.level)
        covered.append(lo <= stats.norm.cdf(1 / 2) <= hi)  # difference ~ N(1, 2·(1 + 1))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.075)


def lists_of(rng, users, items, k):
    """Lists of k items, each drawn with chances that fall like 1/rank."""
    return np.argsort(np.log(np.arange(1, items + 1)) - rng.gumbel(size=(users, items)), axis=1)[:, :k]


@pytest.mark.parametrize("name", ["coverage", "gini"])
def test_what_counts_distinct_things_is_known_without_each_user(name):
    metric, rng = registry()[name].value, np.random.default_rng(8)
    items = lists_of(rng, 25, 12, 4)
    items[3, 1:], items[7] = -1, -1  # a short list, and none
    sums = metric.sums(Lists(items, np.zeros(12)), 4)
    rows = sums.toarray()
    one_by_one = [metric.reduce(np.delete(rows, user, axis=0).sum(axis=0)[:, None])[0] for user in range(25)]
    np.testing.assert_allclose(metric.without(sums), one_by_one, atol=1e-12)
    statistic = Statistic(np.arange(25), sums, metric.reduce, metric.without)
    many = Resampling(0.9, 40_000, 3)
    result = replicates([statistic], many)[0][0]
    assert result.mean() == pytest.approx(value(statistic), abs=0.05 * result.std())
    assert result.var() == pytest.approx(24 * np.var(one_by_one), rel=0.03)


@pytest.mark.parametrize("name", ["coverage", "gini"])
def test_intervals_of_coverage_and_gini_hold_their_value_and_the_truth(name):
    """Plain resampling lies beside the value, as a resample holds fewer users."""
    rng, metric = np.random.default_rng(5), registry()[name].value
    result = [metric.sums(Lists(lists_of(rng, 300, 500, 10), np.zeros(500)), 10) for _ in range(100)]
    runs = [Statistic(np.arange(300), sums, metric.reduce, metric.without) for sums in result]
    truth = np.mean([value(run) for run in runs])
    covered, beside = [], []
    for run in runs:
        summary = interval(value(run), replicates([run], SPEC)[0][0], 300, SPEC.level, metric.limits)
        covered.append(summary.lo <= truth <= summary.hi)
        assert summary.lo <= summary.value <= summary.hi
        lo, hi = percentile(replicates([run._replace(without=None)], SPEC)[0][0], SPEC.level)
        beside.append(not lo <= value(run) <= hi)
    assert np.mean(beside) > 0.9
    assert np.mean(covered) == pytest.approx(0.9, abs=0.08)


def test_a_value_that_no_user_changes_alone_has_an_interval_of_no_width():
    metric = registry()["coverage"].value
    sums = metric.sums(Lists(np.tile(np.arange(7), (30, 1)), np.zeros(11)), 7)
    run = Statistic(np.arange(30), sums, metric.reduce, metric.without)
    assert interval(value(run), replicates([run], SPEC)[0][0], 30, 0.9, metric.limits)[:3] == (7 / 11,) * 3


def test_bounds_stay_within_limits():
    summary = interval(0.99, np.linspace(0.9, 1.1, 101), 9, 0.95, (0.0, 1.0))
    assert summary.hi == 1.0 and summary.lo == pytest.approx(0.905)


def test_an_interval_over_users_and_seeds_covers_the_truth():
    rng = np.random.default_rng(6)
    covered, users_only = [], []
    for _ in range(200):
        effect = rng.normal(size=(1, 60)) + 0.15 * rng.normal(size=(6, 1)) + 0.3 * rng.normal(size=(6, 60))
        runs = [evaluation("recall@5", item) for item in effect]
        summary = over_seeds(runs, "recall@5", SPEC)
        assert summary.n == 60 and summary.value == pytest.approx(effect.mean())
        covered.append(summary.lo <= 0 <= summary.hi)
    for _ in range(200):  # seeds dominate: resampling users alone would cover a third of the time
        effect = 0.1 * rng.normal(size=(1, 60)) + rng.normal(size=(6, 1)) * 0.3
        summary = over_seeds([evaluation("recall@5", item) for item in effect], "recall@5", SPEC)
        users_only.append(summary.lo <= 0 <= summary.hi)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.065)
    assert np.mean(users_only) > 0.8


def test_folds_with_different_users():
    values = np.random.default_rng(7).normal(size=30)
    folds = [evaluation("ndcg@5", values[start::3], np.arange(start, 30, 3)) for start in range(3)]
    summary = over_seeds(folds, "ndcg@5", SPEC)
    assert summary.n == 30 and summary.value == pytest.approx(values.mean())


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
