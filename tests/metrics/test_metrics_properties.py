"""Expectations under random ranking, best and worst cases, what metrics may and may not depend on."""

from itertools import permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.metrics.lists import METRICS as LIST_METRICS
from upliftlens.benchmarks.metrics.metric import Lists, Pairs, Ranks
from upliftlens.benchmarks.metrics.pairs import METRICS as PAIR_METRICS
from upliftlens.benchmarks.metrics.ranking import METRICS as RANKING_METRICS
from upliftlens.benchmarks.metrics.registry import MetricsConfig, registry
from upliftlens.causal.interactions import interactions, take
from upliftlens.causal.intervals import Interval, Statistic, informative, value
from upliftlens.models.contract import Method, TrainingData

RANKING = sorted(metric.name for metric in RANKING_METRICS)
MATRIX = Method(
    init=lambda key, data, hp: None,
    step=lambda state, data, batch, key, hp: (state, 0.0),
    score=lambda state, data, at: state[at.user],
    predict=lambda state, data, at, items: state[at.user, items],
    layout="full",
    link="rating",
)


def measured(name, evidence, k=np.inf):
    metric = registry()[name].value
    sums = metric.sums(evidence, k)
    return value(Statistic(np.arange(sums.shape[0]), sums, metric.reduce))


def ranks_of(lists_of_ranks):
    """Evidence from one sorted list of ranks per user."""
    row = np.repeat(np.arange(len(lists_of_ranks)), [len(rank) for rank in lists_of_ranks])
    flat = np.concatenate([np.sort(np.asarray(rank, float)) for rank in lists_of_ranks])
    return Ranks(row, flat, np.asarray([len(rank) for rank in lists_of_ranks], float))


# E[metric of one user], R relevant items at random places among n candidates, k ≤ n
EXPECTED = {
    "recall": lambda n, R, k: k / n,
    "precision": lambda n, R, k: R / n,
    "f1": lambda n, R, k: 2 * k * R / n / (k + R),
    "hit": lambda n, R, k: 1 - comb(n - R, k) / comb(n, k),
    "ndcg": lambda n, R, k: (
        R
        / n
        * sum(1 / np.log2(i + 1) for i in range(1, k + 1))
        / sum(1 / np.log2(i + 1) for i in range(1, min(k, R) + 1))
    ),
    # a hit at place i has 1 + (i − 1)(R − 1)/(n − 1) hits up to it, on average
    "map": lambda n, R, k: R / n * sum((1 + (i - 1) * (R - 1) / (n - 1)) / i for i in range(1, k + 1)) / min(k, R),
    "mrr": lambda n, R, k: sum(comb(n - i, R - 1) / comb(n, R) / i for i in range(1, min(k, n - R + 1) + 1)),
}


def test_every_ranking_metric_has_an_expectation():
    whole = {name.partition("/")[0] for name, entry in registry().items() if entry.value.evidence == "ranks"}
    assert set(EXPECTED) == whole


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize(("n", "R"), [(5, 1), (5, 3), (6, 2), (6, 6)])
def test_expectation_by_enumerating_all_rankings(name, n, R):
    evidence = ranks_of([order[:R] for order in permutations(range(1, n + 1))])
    for k in range(1, n + 1):
        assert measured(name, evidence, k) == pytest.approx(EXPECTED[name](n, R, k), abs=1e-12)


@pytest.fixture(scope="module")
def random_scores():
    """4,000 users, 7 relevant among 50 candidates (10 more were seen), scored at random."""
    rng = np.random.default_rng(0)
    n_users, n_items = 4000, 60
    order = rng.random((n_users, n_items)).argsort(axis=1)
    users = np.arange(n_users)
    test, seen = (
        interactions(np.repeat(users, part.shape[1]), part.ravel(), np.full(part.size, 5.0), n_users, n_items)
        for part in (order[:, :7], order[:, 7:17])
    )
    data = TrainingData(seen, seen.value, np.zeros((n_users, 0), np.float32), np.zeros((n_items, 0), np.float32))
    names = [f"{name}@10" for name in RANKING] + ["mrr", "map", "ndcg", "coverage@10", "gini@10", "popularity@10"]
    config = MetricsConfig(tuple(names), 500, 20, Interval(0.999, 2000, 0))
    scores = rng.random((n_users, n_items)).astype(np.float32)
    return seen, evaluate(MATRIX, scores, data, HeldOut(test, seen, 4.0, (1, 5), "explicit"), config)


@pytest.mark.parametrize("name", [f"{name}@10" for name in RANKING] + ["mrr", "map", "ndcg"])
def test_expectation_by_ranking_at_random(name, random_scores):
    base, _, k = name.partition("@")
    summary = random_scores[1].summaries[name]
    assert summary.lo < EXPECTED[base](50, 7, int(k or 50)) < summary.hi
    assert summary.hi - summary.lo < 0.05


def test_random_lists_are_even_and_of_average_popularity(random_scores):
    seen, result = random_scores
    assert result.summaries["coverage@10"].value == 1
    assert result.summaries["gini@10"].value < 0.05
    popularity = np.bincount(seen.item, minlength=60)
    # an item is a candidate of those who haven't seen it
    candidates = 4000 - popularity
    expected = (popularity * candidates).sum() / candidates.sum()
    assert result.summaries["popularity@10"].value == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("name", RANKING)
def test_best_and_worst(name):
    k, n = 5, 100
    best, worst = ranks_of([[1, 2, 3], list(range(1, 9))]), ranks_of([[98, 99, 100], list(range(93, 101))])
    ceiling = {"recall": (1 + 5 / 8) / 2, "precision": (3 / 5 + 1) / 2, "f1": (6 / 8 + 10 / 13) / 2}
    assert measured(name, best, k) == pytest.approx(ceiling.get(name, 1.0), abs=1e-12)
    assert measured(name, worst, k) == 0
    never = ranks_of([[np.inf] * 3])
    for cutoff in (k, n, np.inf if registry()[name].value.at == "optional" else n):
        assert measured(name, never, cutoff) == 0


def test_users_without_a_relevant_item_are_undefined():
    evidence = ranks_of([[1], [], [4]])
    for name in RANKING:
        sums = registry()[name].value.sums(evidence, 2)
        assert sums[:, 1].tolist() == [1, 0, 1] and sums[1].tolist() == [0, 0]
        assert informative(Statistic(np.arange(3), sums, registry()[name].value.reduce)).tolist() == [True, False, True]


def test_best_and_worst_area_and_lists():
    pairs = Pairs(np.zeros(4, int), 1, np.array([1, 1, 5, 5.0]), np.array([0, 0, 1, 1], bool), np.arange(4.0), (1, 5))
    for name in ("auc", "auc/user"):
        assert measured(name, pairs) == 1
        assert measured(name, pairs._replace(prediction=-pairs.prediction)) == 0
        assert measured(name, pairs._replace(prediction=np.ones(4))) == 0.5
    one_item, all_items = (Lists(np.asarray(items), np.arange(4.0)) for items in ([[2]] * 4, [[0], [1], [2], [3]]))
    assert [measured(name, one_item, 1) for name in ("coverage", "gini", "popularity")] == [0.25, 0.75, 2]
    assert [measured(name, all_items, 1) for name in ("coverage", "gini", "popularity")] == [1, 0, 1.5]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(1, 30), min_size=1, max_size=9), min_size=1, max_size=6))
def test_values_lie_within_limits_and_grow_with_k_where_they_must(ranks):
    evidence = ranks_of([sorted(rank) for rank in ranks])
    for name in RANKING:
        low, high = registry()[name].value.limits
        values = [measured(name, evidence, k) for k in range(1, 32)]
        assert all(low <= this_value <= high + 1e-12 for this_value in values)
        if name in ("recall", "hit", "mrr"):
            assert np.all(np.diff(values) >= -1e-12)
        if registry()[name].value.at == "optional":
            assert values[-1] == pytest.approx(measured(name, evidence), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(2, 30), min_size=1, max_size=9), st.data())
def test_moving_a_relevant_item_up_never_hurts(ranks, data):
    moved = data.draw(st.sampled_from(sorted(ranks)))
    free = sorted(set(range(1, moved)) - ranks)
    if not free:
        return
    better = ranks - {moved} | {data.draw(st.sampled_from(free))}
    for name in RANKING:
        for k in (1, 3, 10, np.inf if registry()[name].value.at == "optional" else 30):
            before, after = (measured(name, ranks_of([sorted(item)]), k) for item in (ranks, better))
            assert after >= before - 1e-12, name


NAMES = [
    f"{metric.name}@4" if metric.at == "required" else metric.name
    for metric in (*PAIR_METRICS, *RANKING_METRICS, *LIST_METRICS)
    if "rating" in metric.links
]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), block=st.integers(1, 20), offset=st.integers(-3, 3), factor=st.sampled_from([0.5, 4.0])
)
def test_block_size_row_order_and_affine_scores_change_nothing(seed, block, offset, factor):
    rng = np.random.default_rng(seed)
    shape = (9, 14)
    scores = rng.integers(-6, 7, shape).astype(np.float32)  # exact under the transformations, with ties
    values = rng.integers(1, 6, shape)
    test, seen = (rng.random(shape) < share for share in (0.3, 0.3))
    test[0, :2], values[0, :2] = True, (1, 5)  # both classes occur
    rows, known = (interactions(*np.nonzero(which), values[which], *shape) for which in (test, seen))
    data = TrainingData(known, known.value, np.zeros((9, 0), np.float32), np.zeros((14, 0), np.float32))

    def run(scores, rows, block):
        config = MetricsConfig(tuple(NAMES), block, 3, Interval(0.9, 20, 0))
        return evaluate(MATRIX, scores, data, HeldOut(rows, known, 4.0, (1, 5), "explicit"), config)

    first = run(scores, rows, 9)
    assert set(first.summaries) == set(NAMES)
    again = run(scores, take(rows, rng.permutation(len(rows))), block)
    for name in NAMES:
        np.testing.assert_allclose(again.summaries[name], first.summaries[name], rtol=1e-12)
    stretched = run(factor * scores + offset, rows, block)
    for name in set(NAMES) - {"rmse", "mae"}:
        np.testing.assert_allclose(stretched.summaries[name], first.summaries[name], rtol=1e-12)


def test_relabelling_the_users_changes_no_value():
    rng = np.random.default_rng(1)
    shape = (12, 15)
    scores, values = rng.normal(size=shape).astype(np.float32), rng.integers(1, 6, shape)
    test = rng.random(shape) < 0.4
    order = rng.permutation(12)
    results = []
    for mine in (np.arange(12), order):
        which = test[mine]
        rows = interactions(*np.nonzero(which), values[mine][which], *shape)
        none = take(rows, np.zeros(0, int))
        data = TrainingData(none, none.value, np.zeros((12, 0), np.float32), np.zeros((15, 0), np.float32))
        config = MetricsConfig(tuple(NAMES), 5, 3, Interval(0.9, 20, 0))
        results.append(evaluate(MATRIX, scores[mine], data, HeldOut(rows, none, 4.0, (1, 5), "explicit"), config))
    for name in NAMES:
        assert results[0].summaries[name].value == pytest.approx(results[1].summaries[name].value, rel=1e-12)
